/* The interpreter: runs kernels as they are, f32 in float and f64 in double, with the bits that every other
   backend must give; a program widened to f64 is the reference. It checks what the others trust: every load
   and store against the buffer's size, every read of a local against what was set. A broken rule is netc's
   fault, never the user's. */
#ifndef NETC_INTERP_H
#define NETC_INTERP_H

#include "backend.h"

typedef struct Interp Interp;

/* Called with a sentence that names kernel, statement and element; must not return. */
typedef void InterpFault(void *context, const char *text);

/* Kernels by number. Everything lives in `arena`. `fault` NULL: print the sentence and abort. */
Interp *interp_new(Arena *arena, Kernel *const *kernel, int count, InterpFault *fault, void *context);

/* Tells that buffer `buffer` of kernel `kernel` has this many elements; where calls differ, the largest
   counts. A buffer of which nothing was told is not checked. */
void interp_set_size(Interp *interp, int kernel, int buffer, Size elements);

/* The kernel's items [begin, end); may be called by several threads at once. */
void interp_call(void *interp, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                 int64_t end);

/* The row of engine_list: interp_start makes the interpreter of a program's kernels and knows their buffers'
 * sizes. */
void *interp_start(const Program *program, const BackendOptions *options);
void interp_stop(void *interp);

#endif
