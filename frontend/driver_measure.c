#include "system.h"

#include "driver_measure.h"
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const measure_phase_name[MEASURE_PHASES] = {"step", "test", "predict"};

static const RunPhase run_phase[MEASURE_PHASES] = {RUN_STEP, RUN_TEST, RUN_PREDICT};

struct Measure {
    Description description;
    Machine machine;
    unsigned phases;
    int64_t batch, steps;
};

static unsigned machine_phases(const Measure *m)
{
    unsigned phases = 1u << RUN_INIT;
    for (int p = 0; p < MEASURE_PHASES; p++)
        if (m->phases & 1u << p)
            phases |= 1u << run_phase[p];
    return phases & 1u << RUN_PREDICT ? phases | PHASES_PREDICT : phases;
}

static bool start(Measure *m, const char *descriptor, const NetcEngine *engine, unsigned phases,
                  int64_t batch, int threads, Fault *fault)
{
    if (!description_parse(&m->description, descriptor, fault))
        return false;
    const Description *d = &m->description;
    m->batch = batch ? batch : d->batch;
    for (int p = 0; p < MEASURE_PHASES; p++)
        if (phases & 1u << p && d->phase[run_phase[p]].count)
            m->phases |= 1u << p;
    if (!machine_start(&m->machine, d, engine, machine_phases(m), m->batch,
                       threads ? threads : pool_online_cpus(), fault))
        return false;
    double option[DESCRIPTION_OPTIONS];
    for (int i = 0; i < DESCRIPTION_OPTIONS; i++)
        option[i] = NAN;
    Session session = {d, engine, NULL};
    session_set_scalars(&session, &m->machine, 1, option, 1);
    machine_run(&m->machine, RUN_INIT, m->batch);
    session_fill_inputs(&m->machine, m->batch);
    return true;
}

Measure *measure_start(const char *descriptor, const NetcEngine *engine, unsigned phases, int64_t batch,
                       int threads, char why[1000], int *status)
{
    Fault fault = {0};
    Measure *m = calloc(1, sizeof *m);
    if (!m)
        fault_memory(&fault, sizeof *m, "measuring");
    else if (start(m, descriptor, engine, phases, batch, threads, &fault))
        return m;
    memcpy(why, fault.text, sizeof fault.text);
    *status = fault.status;
    if (m)
        measure_stop(m);
    return NULL;
}

void measure_stop(Measure *m)
{
    if (m->machine.description)
        machine_stop(&m->machine);
    description_free(&m->description);
    free(m);
}

double measure_clock(void) { return seconds_now(); }
unsigned measure_phases(const Measure *m) { return m->phases; }
int64_t measure_batch(const Measure *m) { return m->batch; }
int measure_cpus(void) { return pool_online_cpus(); }

int measure_threads(const Measure *m) { return pool_threads(m->machine.pool); }

void measure_set_items(Measure *m, int kernel, int64_t outer, int64_t count, int power, int64_t divisor)
{
    DescribedKernel *k = &m->description.kernel[kernel];
    k->outer = outer;
    k->extent = (Extent){count, power};
    k->divisor = divisor;
}

/* How many samples a call is made for: a slice of those, in predictions. */
static int64_t samples_of(const Measure *m, int call)
{
    const DescribedPhase *predict = &m->description.phase[RUN_PREDICT];
    bool predicts = call >= predict->first && call < predict->first + predict->count;
    return predicts ? machine_slice(&m->machine, RUN_PREDICT, m->batch) : m->batch;
}

void measure_call(Measure *m, int call) { machine_run_call(&m->machine, call, samples_of(m, call)); }

/* ---- every call ------------------------------------------------------------------------------------------ */

static bool each_of_phase(Measure *m, const DescribedPhase *phase, MeasureVisit *visit, void *context)
{
    const DescribedCall *call = m->description.call;
    for (int i = phase->first, calls; i < phase->first + phase->count; i += calls) {
        calls = call[i].loop_calls ? call[i].loop_calls : 1;
        for (int64_t step = 0; step < (call[i].loop_calls ? call[i].steps : 1); step++)
            for (int k = i; k < i + calls; k++) {
                if (call[k].step)
                    m->machine.call[k].argument[call[k].step] = step;
                if (!visit(context, m, k, call[k].kernel))
                    return false;
            }
    }
    return true;
}

bool measure_each_call(Measure *m, MeasureVisit *visit, void *context)
{
    machine_set_scalar(&m->machine, "step", 0, (double)++m->steps);
    bool all = true;
    for (int p = 0; p < MEASURE_PHASES && all; p++) {
        if (!(m->phases & 1u << p))
            continue;
        if (p == MEASURE_PREDICT) /* what it prepared last time lies where a step leaves other things */
            machine_run(&m->machine, RUN_PREPARE, 1);
        all = each_of_phase(m, &m->description.phase[run_phase[p]], visit, context);
    }
    return all;
}

static bool time_call(void *context, Measure *m, int call, int kernel)
{
    double *seconds = context, before = seconds_now();
    measure_call(m, call);
    seconds[kernel] += seconds_now() - before;
    return true;
}

void measure_run(Measure *m, double *seconds)
{
    memset(seconds, 0, (size_t)m->description.kernels * sizeof *seconds);
    measure_each_call(m, time_call, seconds);
}

/* ---- the bytes of a call --------------------------------------------------------------------------------- */

typedef void EachBuffer(void *context, char *at, size_t bytes);

static int64_t bytes_of(const Measure *m, int call, int buffer)
{
    int64_t bytes = 0;
    buffer_bytes(&m->description.buffer[buffer], samples_of(m, call), &bytes);
    return bytes;
}

/* A buffer that is named twice is visited twice. */
static void each_buffer(const Measure *m, int call, EachBuffer *visit, void *context)
{
    const DescribedCall *c = &m->description.call[call];
    for (int i = 0; i < c->buffers; i++) {
        visit(context, machine_buffer(&m->machine, c->buffer[i]), (size_t)bytes_of(m, call, c->buffer[i]));
    }
}

static void save_bytes(void *context, char *at, size_t bytes)
{
    char **to = context;
    memcpy(*to, at, bytes);
    *to += bytes;
}

static void restore_bytes(void *context, char *at, size_t bytes)
{
    const char **from = context;
    memcpy(at, *from, bytes);
    *from += bytes;
}

typedef struct Comparison {
    const char *with;
    bool equal;
} Comparison;

static void compare_bytes(void *context, char *at, size_t bytes)
{
    Comparison *c = context;
    c->equal = c->equal && !memcmp(at, c->with, bytes);
    c->with += bytes;
}

char *measure_save(const Measure *m, int call)
{
    const DescribedCall *c = &m->description.call[call];
    size_t bytes = 0;
    for (int i = 0; i < c->buffers; i++)
        bytes += (size_t)bytes_of(m, call, c->buffer[i]);
    char *saved = malloc(bytes + 1), *to = saved;
    if (saved)
        each_buffer(m, call, save_bytes, &to);
    return saved;
}

void measure_restore(Measure *m, int call, const char *saved) { each_buffer(m, call, restore_bytes, &saved); }

bool measure_equals(const Measure *m, int call, const char *saved)
{
    Comparison c = {saved, true};
    each_buffer(m, call, compare_bytes, &c);
    return c.equal;
}
