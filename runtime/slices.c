#include "system.h"

#include "available.h"
#include "slices.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    SLICES_MOST_BYTES = 256 << 20, /* more than in the arena, for all threads */
    SLICES_PAGE = 4096
};

/* A thread that makes slices: a machine with pointers, and buffers for a slice, of its own. */
typedef struct Lane {
    Machine machine;
    atomic_flag busy;
} Lane;

struct Slices {
    Machine *machine;
    int lanes;
    int64_t batch, slice; /* of the run */
    Lane lane[];
};

/* Where the buffers that hold a slice begin and end in the arena. */
static void find_sliced(const Machine *machine, int64_t *begin, int64_t *end)
{
    const Description *d = machine->description;
    const DescribedPhase *p = &d->phase[RUN_PREDICT];
    int64_t slice = machine_slice(machine, RUN_PREDICT, machine->batch);
    *begin = machine->arena_bytes;
    *end = 0;
    for (int c = p->first; c < p->first + p->count; c++)
        for (int i = 0; i < d->call[c].buffers; i++) {
            int buffer = d->call[c].buffer[i];
            int64_t bytes = 0, offset = machine->offset[buffer];
            if (!machine_slices(machine, buffer))
                continue;
            buffer_bytes(&d->buffer[buffer], slice, &bytes);
            *begin = offset < *begin ? offset : *begin;
            *end = offset + bytes > *end ? offset + bytes : *end;
        }
}

/* The first lane has the machine's own memory, the others have more behind it. */
static bool start_lane(Machine *lane, const Machine *machine, int64_t begin, int64_t own_begin, Fault *fault)
{
    *lane = *machine;
    lane->memory = NULL;
    lane->slices = NULL;
    if (!machine_build_calls(lane, fault))
        return false;
    for (int i = 0; i < lane->description->buffers; i++)
        lane->offset[i] = machine->offset[i] + (machine_slices(machine, i) ? own_begin - begin : 0);
    return true;
}

/* More than one where there are threads and memory for it. */
static bool start_lanes(Slices *s, int threads, Fault *fault)
{
    Machine *machine = s->machine;
    int64_t begin, end, others = threads - 1;
    find_sliced(machine, &begin, &end);
    int64_t first = (machine->arena_bytes + SLICES_PAGE - 1) / SLICES_PAGE * SLICES_PAGE;
    int64_t bytes = end > begin ? (end - begin + SLICES_PAGE - 1) / SLICES_PAGE * SLICES_PAGE : 0;
    if (others < 1 || bytes > SLICES_MOST_BYTES / others || first + bytes * others > memory_available())
        return true;
    for (; s->lanes < threads; s->lanes++) {
        Lane *lane = &s->lane[s->lanes];
        atomic_flag_clear(&lane->busy);
        if (!start_lane(&lane->machine, machine, begin, s->lanes ? first + (s->lanes - 1) * bytes : begin,
                        fault))
            return false;
    }
    machine->arena_bytes = first + bytes * others;
    return true;
}

bool slices_start(Machine *machine, int threads, Fault *fault)
{
    size_t bytes = sizeof(Slices) + (size_t)threads * sizeof(Lane);
    Slices *s = machine->slices = calloc(1, bytes);
    if (!s)
        return fault_memory(fault, (int64_t)bytes, "the slices");
    s->machine = machine;
    return start_lanes(s, threads, fault);
}

void slices_stop(Slices *s)
{
    for (int i = 0; i < s->lanes; i++)
        free(s->lane[i].machine.memory);
    free(s);
}

/* There are as many lanes as threads, so that one is free. */
static void do_slices(void *context, int64_t begin, int64_t end)
{
    Slices *s = context;
    int i = 0;
    while (atomic_flag_test_and_set_explicit(&s->lane[i].busy, memory_order_acquire))
        i = (i + 1) % s->lanes;
    Machine *lane = &s->lane[i].machine;
    lane->arena = s->machine->arena;
    for (int64_t n = begin; n < end && n * s->slice < s->batch; n++) {
        int64_t first = n * s->slice, rest = s->batch - first;
        machine_run_samples(lane, RUN_PREDICT, first, rest < s->slice ? rest : s->slice);
    }
    atomic_flag_clear_explicit(&s->lane[i].busy, memory_order_release);
}

/* All threads on one slice after another. */
static void run_in_turns(Machine *machine, int64_t batch, int64_t slice)
{
    for (int64_t first = 0; first < batch; first += slice)
        machine_run_samples(machine, RUN_PREDICT, first, batch - first < slice ? batch - first : slice);
    machine_point(machine, RUN_PREDICT, 0);
}

void slices_run(Slices *s, int64_t batch)
{
    int64_t most = machine_slice(s->machine, RUN_PREDICT, s->machine->batch), each = most * s->lanes;
    int64_t slices = each ? (batch + each - 1) / each * s->lanes : 0;
    s->batch = batch;
    s->slice = slices ? (batch + slices - 1) / slices : 0;
    if (batch <= most || 2 * s->slice < most)
        run_in_turns(s->machine, batch, most);
    else
        pool_run(s->machine->pool, do_slices, s, slices);
}
