#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sweep goes from birth to birth with the live buffers in a list by offset. As long as those are apart, a
   newborn can only meet its two neighbours there. */
typedef struct Sweep {
    const PlanBuffer **birth, **live; /* by first kernel; by offset */
    int count;                        /* of live */
} Sweep;

static int64_t end_of(const PlanBuffer *buffer) { return buffer->offset + buffer->bytes; }

static int by_birth(const void *x, const void *y)
{
    const PlanBuffer *a = *(const PlanBuffer *const *)x, *b = *(const PlanBuffer *const *)y;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first) : (a > b) - (a < b);
}

static void bury_dead(Sweep *sweep, int kernel)
{
    int kept = 0;
    for (int i = 0; i < sweep->count; i++)
        if (sweep->live[i]->last >= kernel)
            sweep->live[kept++] = sweep->live[i];
    sweep->count = kept;
}

/* Adds a newborn; returns the live buffer whose bytes it shares, else NULL. */
static const PlanBuffer *add_live(Sweep *sweep, const PlanBuffer *newborn)
{
    int low = 0, high = sweep->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sweep->live[middle]->offset < newborn->offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && end_of(sweep->live[low - 1]) > newborn->offset)
        return sweep->live[low - 1];
    if (low < sweep->count && sweep->live[low]->offset < end_of(newborn))
        return sweep->live[low];
    memmove(sweep->live + low + 1, sweep->live + low, (size_t)(sweep->count - low) * sizeof *sweep->live);
    sweep->live[low] = newborn;
    sweep->count++;
    return NULL;
}

static const char *find_meeting(const Plan *plan, Sweep *sweep, char *text, size_t size)
{
    int count = 0;
    for (int i = 0; i < plan->count; i++)
        if (plan->buffer[i].bytes > 0)
            sweep->birth[count++] = &plan->buffer[i];
    qsort(sweep->birth, (size_t)count, sizeof *sweep->birth, by_birth);

    for (int i = 0; i < count; i++) {
        const PlanBuffer *a = sweep->birth[i];
        if (i == 0 || a->first != sweep->birth[i - 1]->first)
            bury_dead(sweep, a->first);
        const PlanBuffer *b = add_live(sweep, a);
        if (b) {
            snprintf(text, size,
                     "'%s' at %" PRId64 "+%" PRId64 " meets '%s' at %" PRId64 "+%" PRId64 " in kernel %d",
                     a->name, a->offset, a->bytes, b->name, b->offset, b->bytes, a->first);
            return text;
        }
    }
    return NULL;
}

static bool lies_inside(const PlanBuffer *b, int64_t arena_bytes)
{
    return b->bytes >= 0 && b->bytes <= arena_bytes && b->offset >= 0 && b->offset % PLAN_ALIGNMENT == 0 &&
           b->offset <= arena_bytes - b->bytes;
}

const char *plan_fault(const Plan *plan, char *text, size_t size)
{
    for (int i = 0; i < plan->count; i++) {
        const PlanBuffer *b = &plan->buffer[i];
        if (b->first > b->last) {
            snprintf(text, size, "'%s' dies in kernel %d, before its birth in %d", b->name, b->last,
                     b->first);
            return text;
        }
        if (!lies_inside(b, plan->arena_bytes)) {
            snprintf(text, size,
                     "'%s' at %" PRId64 "+%" PRId64 " is misaligned or outside the arena of %" PRId64,
                     b->name, b->offset, b->bytes, plan->arena_bytes);
            return text;
        }
    }

    size_t count = (size_t)plan->count + 1;
    Sweep sweep = {calloc(count, sizeof *sweep.birth), calloc(count, sizeof *sweep.live), 0};
    const char *fault = text;
    if (sweep.birth && sweep.live)
        fault = find_meeting(plan, &sweep, text, size);
    else
        snprintf(text, size, "not enough memory to check a plan of %d buffers", plan->count);
    free(sweep.live);
    free(sweep.birth);
    return fault;
}
