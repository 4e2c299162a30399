/* What a compiled program is: one constant text, the descriptor, and a table of kernels. The compiler writes
   the text (ir/program_descriptor.c), the runtime reads it at start (description_parse.c); every backend emits
   the same text, in object files packed as what it says (packed.h).

   Lines of words separated by blanks; strings are quoted with C escapes; a size is COUNT or COUNT^POWER, meaning
   COUNT · batch^POWER; a number is decimal. In this order:

     netc-descriptor 1
     model "lenet" hash "8f…16 hex digits" version "0.1.0" cpu "x86-64-v3" needs "avx2,fma,f16c,bmi2" batch 64
     training "lenet" epochs 10 seed 1 patience 0 best ""           (absent without a `train`)
     source "train" "mnist"                                          (0 or more)
     argument "path" string "examples/data/mnist"                    (0 or more after each source)
     argument "limit" number 3
     field BUFFER                                                    (the source's fields, in order)
     option "lr" BUFFER                                              (a f32 scalar: NaN unless given)
     buffer KIND "conv1.weight" DTYPE RANK SIZE… [axes AXIS…] life FIRST LAST at OFFSET [of BUFFER]
     kernel "conv1_3" items OUTER COUNT^POWER DIVISOR flops F bytes B
     phase "step" FIRST COUNT [slice S]                              (init … predict, 6; absent ones too)
     result KIND "loss" BUFFER                                       (0 or more after each; loss metric output)
     call KERNEL "conv1" buffers N BUFFER… [arguments N VALUE…] [step N] [loop CALLS STEPS]
                                                                     (all calls, in the order of the phases)
     end

   Buffers, kernels and calls are numbered from 0 in the order of their lines (so a `field` may name a later
   line). KIND of a buffer: param state slot metric input scalar result transient. The first six keep their
   contents from phase to phase; a result and an input must survive until the phase's end; a transient lives
   from call FIRST to call LAST. Those that `prepare` makes live through `predict`: it is run once, after the
   parameters got their values and before any prediction. If `predict` has a slice it is run for S samples at a
   time: its transients have room for as many, and of what it keeps that grows, samples are the first axis. `axes` is the layout: logical axes from the outermost in memory to the
   innermost; checkpoints, data and results are in logical order. OFFSET is in bytes in one arena, valid for
   batches up to the model line's; for a larger batch the runtime plans anew by plan_memory(). `of` names a
   slot's parameter. A kernel has items = OUTER · ceil(COUNT · batch^POWER / DIVISOR); F and B are FLOPs and
   bytes at the model line's batch. `loop` begins a loop: CALLS calls, from this one on and within its phase, are
   made STEPS times, one round after the other; the N-th argument, from 1, of a call with `step` is the round,
   from 0. Loops do not nest.

   What the runtime writes before a step: the fields; step, from 1; epoch, from 0; epochs; progress = (step -
   1) / (epochs · steps of an epoch); once, seed (low and high half) and the options. `finish` runs with the
   number of all samples as its batch, so none of its kernels or buffers may grow with the batch. */
#ifndef NETC_DESCRIPTOR_H
#define NETC_DESCRIPTOR_H

#include "system.h"

/* Does the items [begin, end) of one call. argument[0] is the batch, then the call's own. */
typedef void NetcKernel(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end);

/* The whole program, train to bench, by the command line. Returns the exit status. */
NETC_ENTRY int netc_main(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv);

/* The same where kernels are not plain functions: the interpreter, a device. `call` comes from several threads
   at once, for disjoint items. argv is reordered. */
typedef struct NetcEngine {
    void (*call)(void *context, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                 int64_t end);
    void *context;
} NetcEngine;
int netc_main_engine(const char *descriptor, const NetcEngine *engine, int argc, char **argv);

/* Whether a descriptor holds together, which netc_main takes for granted. If not, `why` says why not. */
bool netc_check(const char *descriptor, char *why, size_t size);

/* The form that object files have (packed.h), which netc_main takes as well: to be freed, NULL if there is no memory. */
char *netc_pack(const char *descriptor, size_t *bytes);

#endif
