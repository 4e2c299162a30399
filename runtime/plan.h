/* Memory plan: where every buffer lives in the one arena of a program, and the proof that it may.

   A buffer is live from the kernel that first writes it to the kernel that last reads it. Buffers live at the
   same time must not share bytes; others may. The compiler and, for a larger batch, the program itself plan.
 */
#ifndef NETC_PLAN_H
#define NETC_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PlanBuffer {
    const char *name; /* for messages: the value that it holds */
    int64_t bytes;    /* 0 … PLAN_MOST_BYTES */
    int first, last;  /* kernels, in program order: first <= last */
    int64_t offset;   /* in the arena, bytes; PLAN_UNPLACED before planning */
} PlanBuffer;

typedef struct Plan {
    PlanBuffer *buffer;
    int count;
    int64_t arena_bytes; /* what this plan needs */
    int64_t bound_bytes; /* most bytes live at once: no plan can need less */
    int bound_kernel;    /* the first kernel at which they are */
} Plan;

enum { PLAN_ALIGNMENT = 64, PLAN_UNPLACED = -1 };
#define PLAN_MOST_BYTES ((int64_t)1 << 62) /* of all buffers together, each rounded up to the alignment */

/* Places all buffers; sets offsets, arena and bound. Equal inputs get equal plans. O(n²) in buffers live
   together, with a step of a few bytes: 20,000 buffers of a deep network's training take well under a tenth
   of a second. Returns false when memory is short or the bytes are out of range; the plan is then undefined.
   Source: greedy by size, Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
   inference", section 4. */
bool plan_memory(Plan *plan);

/* Checks that no two buffers share a byte in one kernel, by code of its own. Returns NULL if the plan holds,
   else `text`, filled with the first fault in words. */
const char *plan_fault(const Plan *plan, char *text, size_t size);

#endif
