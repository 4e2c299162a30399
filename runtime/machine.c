#include "system.h"

#include "available.h"
#include "checked.h"
#include "machine.h"
#include "plan.h"
#include "slices.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    MACHINE_HUGE_PAGE = 2 << 20,
    MACHINE_PAGE = 4096,
    /* Calls with fewer FLOPs and bytes than this are done before other threads would have begun. */
    MACHINE_SERIAL_WORK = 40000,
};

static bool lives_throughout(const DescribedBuffer *b) { return b->role < ROLE_RESULT; }

/* The last call of the phase that a call belongs to. */
static int end_of_phase(const Description *d, int call)
{
    for (int i = 0; i < RUN_PHASES; i++)
        if (call >= d->phase[i].first && call < d->phase[i].first + d->phase[i].count)
            return d->phase[i].first + d->phase[i].count - 1;
    return call;
}

/* Marks what the machine's phases need: offset 0 instead of -1. */
static void choose_buffers(Machine *machine)
{
    const Description *d = machine->description;
    for (int i = 0; i < d->buffers; i++) {
        BufferRole role = d->buffer[i].role;
        bool needed = role < ROLE_RESULT && (role != ROLE_SLOT || (machine->phases & 1u << RUN_STEP));
        machine->offset[i] = needed ? 0 : -1;
    }
    for (int p = 0; p < RUN_PHASES; p++) {
        if (!(machine->phases & 1u << p))
            continue;
        for (int i = 0; i < d->phase[p].results; i++)
            machine->offset[d->phase[p].result[i].buffer] = 0;
        for (int c = d->phase[p].first; c < d->phase[p].first + d->phase[p].count; c++)
            for (int i = 0; i < d->call[c].buffers; i++)
                machine->offset[d->call[c].buffer[i]] = 0;
    }
}

bool machine_slices(const Machine *machine, int buffer)
{
    const DescribedBuffer *b = &machine->description->buffer[buffer];
    return b->role == ROLE_TRANSIENT && b->first >= machine->description->phase[RUN_PREDICT].first;
}

static PlanBuffer plan_buffer(const Machine *machine, int buffer)
{
    const Description *d = machine->description;
    const DescribedBuffer *b = &d->buffer[buffer];
    PlanBuffer p = {b->name, 0, b->first, b->last, PLAN_UNPLACED};
    int64_t slice = machine_slice(machine, RUN_PREDICT, machine->batch);
    if (!buffer_bytes(b, machine_slices(machine, buffer) ? slice : machine->batch, &p.bytes))
        p.bytes = INT64_MAX; /* the planner refuses it */
    if (b->role == ROLE_RESULT)
        p.last = end_of_phase(d, b->last);
    if (lives_throughout(b)) {
        p.first = 0;
        p.last = d->calls;
    }
    return p;
}

static bool plan_anew(Machine *machine, Fault *fault)
{
    const Description *d = machine->description;
    Plan plan = {calloc((size_t)d->buffers + 1, sizeof *plan.buffer), 0, 0, 0, 0};
    if (!plan.buffer)
        return fault_memory(fault, d->buffers * (int64_t)sizeof *plan.buffer, "the memory plan");
    for (int i = 0; i < d->buffers; i++)
        if (machine->offset[i] >= 0)
            plan.buffer[plan.count++] = plan_buffer(machine, i);
    bool done = plan_memory(&plan);
    for (int i = 0, next = 0; i < d->buffers && done; i++)
        if (machine->offset[i] >= 0)
            machine->offset[i] = plan.buffer[next++].offset;
    machine->arena_bytes = plan.arena_bytes;
    free(plan.buffer);
    return done ||
           fault_set(fault, STATUS_INPUT, "a batch of %" PRId64 " needs more memory than can be addressed",
                     machine->batch);
}

/* The compiler's plan is for training with its batch; for a larger one, or for less than training, there is a
   better one. */
static bool place_buffers(Machine *machine, Fault *fault)
{
    const Description *d = machine->description;
    if (machine->batch > d->batch || !(machine->phases & 1u << RUN_STEP))
        return plan_anew(machine, fault);
    for (int i = 0; i < d->buffers; i++) {
        int64_t bytes = 0;
        if (machine->offset[i] < 0)
            continue;
        machine->offset[i] = d->buffer[i].offset;
        buffer_bytes(&d->buffer[i], machine->batch, &bytes); /* less than at the description's batch */
        if (machine->offset[i] + bytes > machine->arena_bytes)
            machine->arena_bytes = machine->offset[i] + bytes;
    }
    return true;
}

static bool refuse_memory(const Machine *machine, int64_t available, Fault *fault)
{
    return fault_set(fault, STATUS_INPUT,
                     "not enough memory: a batch of %" PRId64 " needs %" PRId64 " bytes, %" PRId64
                     " are available; try a smaller --batch",
                     machine->batch, machine->mapped_bytes, available);
}

/* Touches every page, so that memory cannot run out later. */
static bool reserve_arena(Machine *machine, Fault *fault)
{
    int64_t page = machine->arena_bytes >= 2 * MACHINE_HUGE_PAGE ? MACHINE_HUGE_PAGE : MACHINE_PAGE;
    int64_t available = memory_available();
    if (!checked_align(machine->arena_bytes + !machine->arena_bytes, page, &machine->mapped_bytes) ||
        machine->mapped_bytes > available)
        return refuse_memory(machine, available, fault);
    void *map =
        mmap(NULL, (size_t)machine->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return refuse_memory(machine, memory_limit(), fault);
    machine->arena = map;
#if defined(MADV_HUGEPAGE)
    if (page == MACHINE_HUGE_PAGE)
        madvise(map, (size_t)machine->mapped_bytes,
                MADV_HUGEPAGE); /* fewer misses of the TLB; no harm if refused */
#endif
    for (int64_t at = 0; at < machine->mapped_bytes; at += MACHINE_PAGE)
        ((volatile unsigned char *)machine->arena)[at] = 0;
    return true;
}

static double work_of(const Machine *machine, int call)
{
    const DescribedKernel *k = &machine->description->kernel[machine->description->call[call].kernel];
    return (k->flops + k->bytes) * call_share(machine->description, call, machine->batch);
}

bool machine_build_calls(Machine *machine, Fault *fault)
{
    const Description *d = machine->description;
    size_t buffers = 0, arguments = 0;
    for (int i = 0; i < d->calls; i++) {
        buffers += (size_t)d->call[i].buffers;
        arguments += 1 + (size_t)d->call[i].arguments;
    }
    size_t bytes = (size_t)d->buffers * sizeof(int64_t) + (size_t)d->calls * sizeof(MachineCall) +
                   buffers * sizeof(void *) + arguments * sizeof(int64_t);
    machine->memory = calloc(1, bytes + 1);
    if (!machine->memory)
        return fault_memory(fault, (int64_t)bytes, "the calls");
    machine->call = machine->memory;
    machine->offset = (int64_t *)(machine->call + d->calls);
    int64_t *argument = machine->offset + d->buffers;
    void **buffer = (void **)(argument + arguments);
    for (int i = 0; i < d->calls; i++) {
        const DescribedCall *c = &d->call[i];
        machine->call[i] = (MachineCall){buffer, argument, work_of(machine, i)};
        for (int j = 0; j < c->arguments; j++)
            argument[1 + j] = c->argument[j];
        buffer += c->buffers;
        argument += 1 + c->arguments;
    }
    return true;
}

/* Where sample `first` of a buffer begins, of one that is kept for all of them. */
static void *sample_of(const Machine *machine, int buffer, int64_t first)
{
    const DescribedBuffer *b = &machine->description->buffer[buffer];
    char *base = machine_buffer(machine, buffer);
    int64_t bytes;
    bool lists = base && b->role != ROLE_TRANSIENT && b->rank > 0 && b->dim[0].power == 1;
    return lists && first && buffer_bytes(b, 1, &bytes) ? base + first * bytes : base;
}

void machine_point(Machine *machine, RunPhase phase, int64_t first)
{
    const DescribedPhase *p = &machine->description->phase[phase];
    const DescribedCall *call = machine->description->call;
    for (int i = p->first; i < p->first + p->count; i++)
        for (int j = 0; j < call[i].buffers; j++)
            machine->call[i].buffer[j] = sample_of(machine, call[i].buffer[j], first);
}

/* Sizes grow with the batch, so that what fits for the largest fits for all. */
static bool check_items(const Machine *machine, Fault *fault)
{
    for (int i = 0; i < machine->description->kernels; i++) {
        int64_t items;
        if (!kernel_items(&machine->description->kernel[i], machine->batch, &items))
            return fault_set(fault, STATUS_INPUT, "a batch of %" PRId64 " is too large", machine->batch);
    }
    return true;
}

static bool start_slices(Machine *machine, int threads, Fault *fault)
{
    bool (*start)(Machine *, int, Fault *) =
        slices_start; /* NULL: not linked, as the program did not ask for it */
    if (machine_slice(machine, RUN_PREDICT, machine->batch) == machine->batch ||
        !(machine->phases & PHASES_PREDICT))
        return true;
    return start ? start(machine, threads, fault)
                 : fault_set(fault, STATUS_MISSING, "this program's runtime makes no slices");
}

bool machine_start(Machine *machine, const Description *description, const NetcEngine *engine,
                   unsigned phases, int64_t batch, int threads, Fault *fault)
{
    *machine = (Machine){.description = description, .engine = engine, .phases = phases, .batch = batch};
    bool started = machine_build_calls(machine, fault) && check_items(machine, fault);
    if (started)
        choose_buffers(machine);
    started = started && place_buffers(machine, fault) && start_slices(machine, threads, fault) &&
              reserve_arena(machine, fault) && (machine->pool = pool_start(threads, fault));
    for (int i = 0; i < RUN_PHASES && started; i++)
        machine_point(machine, (RunPhase)i, 0);
    if (!started)
        machine_stop(machine);
    return started;
}

void machine_stop(Machine *machine)
{
    if (machine->slices)
        slices_stop(machine->slices);
    pool_stop(machine->pool);
    if (machine->arena)
        munmap(machine->arena, (size_t)machine->mapped_bytes);
    free(machine->memory);
    *machine = (Machine){0};
}

void *machine_buffer(const Machine *machine, int buffer)
{
    return machine->offset[buffer] < 0 ? NULL : machine->arena + machine->offset[buffer];
}

typedef struct CallJob {
    const NetcEngine *engine;
    int kernel;
    const MachineCall *call;
} CallJob;

static void do_call_items(void *context, int64_t begin, int64_t end)
{
    const CallJob *job = context;
    job->engine->call(job->engine->context, job->kernel, job->call->buffer, job->call->argument, begin, end);
}

void machine_run_call(Machine *machine, int call, int64_t batch)
{
    const MachineCall *c = &machine->call[call];
    int kernel = machine->description->call[call].kernel;
    CallJob job = {machine->engine, kernel, c};
    int64_t items = 0;
    c->argument[0] = batch;
    kernel_items(&machine->description->kernel[kernel], batch, &items);
    if (machine->pool && c->work >= MACHINE_SERIAL_WORK)
        pool_run(machine->pool, do_call_items, &job, items);
    else if (items > 0)
        do_call_items(&job, 0, items);
}

static void run_loop(Machine *machine, int first, int64_t batch)
{
    const DescribedCall *call = &machine->description->call[first];
    for (int64_t step = 0; step < call->steps; step++)
        for (int i = 0; i < call->loop_calls; i++) {
            if (call[i].step)
                machine->call[first + i].argument[call[i].step] = step;
            machine_run_call(machine, first + i, batch);
        }
}

int64_t machine_slice(const Machine *machine, RunPhase phase, int64_t batch)
{
    int64_t slice = machine->description->phase[phase].slice;
    return slice && slice < batch ? slice : batch;
}

static void run_calls(Machine *machine, const DescribedPhase *p, int64_t batch)
{
    for (int i = p->first; i < p->first + p->count; i++) {
        const DescribedCall *c = &machine->description->call[i];
        if (c->loop_calls) {
            run_loop(machine, i, batch);
            i += c->loop_calls - 1;
        } else {
            machine_run_call(machine, i, batch);
        }
    }
}

void machine_run_samples(Machine *machine, RunPhase phase, int64_t first, int64_t count)
{
    machine_point(machine, phase, first);
    run_calls(machine, &machine->description->phase[phase], count);
}

void machine_run(Machine *machine, RunPhase phase, int64_t batch)
{
    if (machine->slices && phase == RUN_PREDICT)
        slices_run(machine->slices, batch);
    else
        run_calls(machine, &machine->description->phase[phase], batch);
}

void machine_set_scalar(Machine *machine, const char *name, int index, double value)
{
    const Description *d = machine->description;
    int found = description_find(d, ROLE_SCALAR, name);
    int64_t elements = 0;
    if (found < 0 || !buffer_elements(&d->buffer[found], 1, &elements) || index >= elements)
        return;
    Element element = d->buffer[found].element;
    element_write((char *)machine_buffer(machine, found) + index * element_row[element].bytes, element,
                  value);
}

double machine_number(const Machine *machine, int buffer)
{
    return element_read(machine_buffer(machine, buffer), machine->description->buffer[buffer].element);
}
