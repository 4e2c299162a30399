/* A prediction of many samples is made in slices. Where each thread finds some it makes them by itself, in memory of its own: then
   threads wait for each other once instead of after every call, and what a call leaves for the next stays in the cache of one
   core. Else all share one slice after another. */
#ifndef NETC_SLICES_H
#define NETC_SLICES_H

#include "machine.h"

/* Sets machine->slices, of a machine whose arena is not reserved yet and grows by the other threads' buffers, if there is memory.
   The compiler asks for this function by its name, if a program has slices. */
NETC_PART bool slices_start(Machine *machine, int threads, Fault *fault);
NETC_PART void slices_stop(Slices *slices);

/* Runs the prediction. */
NETC_PART void slices_run(Slices *slices, int64_t batch);

#endif
