/* The machine: a described program in memory. One arena holds every buffer; it is reserved, touched and
   divided at the start, the buffer pointers of all calls with it. Running a phase allocates nothing. */
#ifndef NETC_MACHINE_H
#define NETC_MACHINE_H

#include "description.h"
#include "descriptor.h"
#include "pool.h"

typedef struct MachineCall {
    void **buffer;
    int64_t *argument; /* [0] is the batch */
    double work;       /* FLOPs + bytes, at the machine's batch */
} MachineCall;

typedef struct Slices Slices;

typedef struct Machine {
    const Description *description;
    const NetcEngine *engine;
    Pool *pool; /* NULL: a lane, which has one thread */
    unsigned phases;
    int64_t batch;       /* the largest that it can run */
    int64_t arena_bytes; /* what the buffers need */
    int64_t *offset;     /* of each buffer; -1: the phases that it runs do not need it */
    MachineCall *call;
    unsigned char *arena;
    int64_t mapped_bytes;
    Slices *slices; /* NULL: it makes none */
    void *memory;
} Machine;

enum { /* sets of phases */
       PHASES_TRAIN = 1 << RUN_INIT | 1 << RUN_STEP,
       PHASES_TEST = 1 << RUN_TEST | 1 << RUN_FINISH,
       PHASES_PREDICT = 1 << RUN_PREPARE | 1 << RUN_PREDICT
};

/* A machine that can run the phases of a set, and takes memory for no others. Keeps the description's plan if
   that serves, else plans anew. False after a fault: memory short (status 1, with what is needed and what
   there is) or no threads. All buffers are zero. */
bool machine_start(Machine *machine, const Description *description, const NetcEngine *engine,
                   unsigned phases, int64_t batch, int threads, Fault *fault);
void machine_stop(Machine *machine);

void *machine_buffer(const Machine *machine, int buffer); /* NULL: not needed by its phases */

/* Whether a buffer holds a slice only: no call before the prediction's writes it. */
NETC_ENTRY bool machine_slices(const Machine *machine, int buffer);

/* Samples that a phase is run for at a time. */
NETC_ENTRY int64_t machine_slice(const Machine *machine, RunPhase phase, int64_t batch);

/* Runs all calls of a phase. 1 ≤ batch ≤ machine->batch, except for `finish`, where it is any number of
 * samples. */
void machine_run(Machine *machine, RunPhase phase, int64_t batch);
/* One call, for at most a slice. */
void machine_run_call(Machine *machine, int call, int64_t batch);

/* The calls of a phase find their buffers from sample `first` on; at the start from 0. */
NETC_ENTRY void machine_point(Machine *machine, RunPhase phase, int64_t first);
/* Samples from `first` on, at most a slice; calls stay pointed there. */
NETC_ENTRY void machine_run_samples(Machine *machine, RunPhase phase, int64_t first, int64_t count);

/* For lanes: makes tables of offsets, pointers and arguments, which machine->memory holds. */
NETC_ENTRY bool machine_build_calls(Machine *machine, Fault *fault);

/* A scalar by name (or, for options, "option.NAME"); nothing happens if the program has none of that name.
   Element `index` of it, for a scalar that is a list. */
void machine_set_scalar(Machine *machine, const char *name, int index, double value);

/* The value of a loss or metric. */
double machine_number(const Machine *machine, int buffer);

#endif
