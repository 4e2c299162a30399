/* For tests: a Model through all passes, then run by any engine on values given in logical order. */
#ifndef NETC_TESTS_RUN_MODEL_H
#define NETC_TESTS_RUN_MODEL_H

#include "backend.h"
#include "passes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct Run {
    Program *program;
    const Engine *engine;
    void *state;
    char *arena;
    int64_t batch;
} Run;

/* A program as it stands, with an arena in which every number is NaN: nothing may be read before it is written. */
static inline Run run_open(Program *program, const char *engine, int64_t batch)
{
    static Diagnostics diag;
    diag = (Diagnostics){.out = stderr};
    BackendOptions options = {.level = 2, .verify = true, .diag = &diag};
    Run run = {.program = program, .engine = engine_find(engine), .batch = batch};
    ck_assert_ptr_nonnull(run.engine);
    run.state = run.engine->start(program, &options);
    ck_assert_ptr_nonnull(run.state);
    run.arena = aligned_alloc(64, (size_t)program->arena_bytes + 64);
    ck_assert_ptr_nonnull(run.arena);
    memset(run.arena, 0xff, (size_t)program->arena_bytes + 64);
    return run;
}

/* model is used up. reference: f64. */
static inline Run run_start(Model *model, const char *engine, const char *target, bool reference)
{
    Diagnostics diag = {.out = stderr};
    PipelineOptions options = {.target = target_find(target),
                               .verify = true,
                               .chains = USE_ALWAYS,
                               .reference = reference,
                               .dump_to = stderr,
                               .dump = getenv("NETC_DUMP")};
    Program *program;
    ck_assert_ptr_nonnull(options.target);
    ck_assert(pipeline_run(model, &diag, &options, &program));
    return run_open(program, engine, model->batch);
}

static inline void run_stop(Run *run)
{
    if (run->engine->stop)
        run->engine->stop(run->state);
    free(run->arena);
}

static inline int run_buffer(const Run *run, Phase phase, const char *name)
{
    const ProgramPhase *p = &run->program->phase[phase];
    for (int r = 0; r < p->result.count; r++)
        if (!strcmp(p->result.at[r].name, name))
            return p->result.at[r].buffer;
    for (int b = 0; b < run->program->buffer.count; b++)
        if (run->program->buffer.at[b].kind == BUFFER_VARIABLE &&
            !strcmp(run->program->buffer.at[b].name, name))
            return b;
    ck_abort_msg("no result or variable '%s'", name);
    return -1;
}

static inline int64_t run_count(const Run *run, int buffer)
{
    Size size;
    type_elements(&run->program->buffer.at[buffer].type, &size);
    return size_at(size, run->batch);
}

/* The place in memory of the logical element `index`. */
static inline int64_t run_address(const Run *run, const Buffer *b, int64_t index)
{
    int64_t at[MAX_RANK], address = 0;
    for (int d = b->type.rank - 1; d >= 0; d--) {
        int64_t extent = size_at(b->type.dim[d], run->batch);
        at[d] = index % extent;
        index /= extent;
    }
    for (int i = 0; i < b->type.rank; i++)
        address = address * size_at(b->type.dim[b->axes[i]], run->batch) + at[b->axes[i]];
    return address;
}

static inline void run_set(Run *run, int buffer, const double *value)
{
    const Buffer *b = &run->program->buffer.at[buffer];
    char *base = run->arena + b->offset;
    int64_t count = run_count(run, buffer);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = run_address(run, b, i);
        switch (b->type.dtype) {
        case DTYPE_F32:
            ((float *)base)[at] = (float)value[i];
            break;
        case DTYPE_F64:
            ((double *)base)[at] = value[i];
            break;
        case DTYPE_I32:
            ((int32_t *)base)[at] = (int32_t)value[i];
            break;
        case DTYPE_U32:
            ((uint32_t *)base)[at] = (uint32_t)value[i];
            break;
        case DTYPE_I64:
            ((int64_t *)base)[at] = (int64_t)value[i];
            break;
        case DTYPE_I8:
            ((int8_t *)base)[at] = (int8_t)value[i];
            break;
        default:
            ((uint8_t *)base)[at] = (uint8_t)value[i];
            break;
        }
    }
}

static inline void run_get(const Run *run, int buffer, double *value)
{
    const Buffer *b = &run->program->buffer.at[buffer];
    const char *base = run->arena + b->offset;
    int64_t count = run_count(run, buffer);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = run_address(run, b, i);
        switch (b->type.dtype) {
        case DTYPE_F32:
            value[i] = (double)((const float *)base)[at];
            break;
        case DTYPE_F64:
            value[i] = ((const double *)base)[at];
            break;
        case DTYPE_I32:
            value[i] = ((const int32_t *)base)[at];
            break;
        case DTYPE_U32:
            value[i] = ((const uint32_t *)base)[at];
            break;
        case DTYPE_I64:
            value[i] = (double)((const int64_t *)base)[at];
            break;
        case DTYPE_I8:
            value[i] = ((const int8_t *)base)[at];
            break;
        default:
            value[i] = ((const uint8_t *)base)[at];
            break;
        }
    }
}

/* Where sample `first` of a buffer begins: what predictions leave for each other's slices has room for one slice only. */
static inline void *run_sample(const Run *run, int buffer, int64_t first)
{
    const Buffer *b = &run->program->buffer.at[buffer];
    bool lists = b->kind != BUFFER_TRANSIENT && b->type.rank > 0 && b->type.dim[0].power == 1;
    return run->arena + b->offset + (lists ? first * type_bytes(&b->type, 1) : 0);
}

static inline void run_call(Run *run, int place, int64_t first, int64_t samples, int64_t step, int parts)
{
    const Program *p = run->program;
    const Call *call = &p->call.at[place];
    const Kernel *kernel = p->kernel.at[call->kernel];
    void *buffer[64];
    int64_t argument[64] = {samples}, items = items_at(kernel->items, samples);
    for (int b = 0; b < kernel->buffer.count; b++)
        buffer[b] = run_sample(run, call->buffer[b], first);
    for (int a = 1; a < kernel->arguments; a++)
        argument[a] = call->step == a ? step : call->argument[a - 1];
    for (int q = parts - 1; q >= 0; q--)
        run->engine->call(run->state, call->kernel, buffer, argument, items * q / parts,
                          items * (q + 1) / parts);
}

static inline void run_slice(Run *run, Phase phase, int64_t first, int64_t samples, int parts)
{
    const Program *p = run->program;
    for (int i = p->phase[phase].first; i < p->phase[phase].first + p->phase[phase].count; i++) {
        ProgramLoop loop = {i, 1, 1};
        for (int l = 0; l < p->loop.count; l++)
            loop = p->loop.at[l].first == i ? p->loop.at[l] : loop;
        for (int64_t step = 0; step < loop.length; step++)
            for (int k = 0; k < loop.count; k++)
                run_call(run, i + k, first, samples, step, parts);
        i += loop.count - 1;
    }
}

/* One phase; each call's items in `parts` pieces, last piece first: the result must not depend on it. */
static inline void run_phase(Run *run, Phase phase, int parts)
{
    const Program *p = run->program;
    if (phase == PHASE_PREDICT)
        run_phase(run, PHASE_PREPARE, parts);
    int64_t slice = phase == PHASE_PREDICT && p->slice && p->slice < run->batch ? p->slice : run->batch;
    for (int64_t first = 0; first < run->batch; first += slice)
        run_slice(run, phase, first, run->batch - first < slice ? run->batch - first : slice, parts);
}

/* Numbers in [-1, 1), which the first letter of a variable's name fixes. */
static inline void run_fill(Run *run, Phase phase, const char *name)
{
    int buffer = run_buffer(run, phase, name);
    int64_t count = run_count(run, buffer);
    double *value = calloc((size_t)count + 1, sizeof *value);
    uint64_t state = (uint64_t)name[0];
    ck_assert_ptr_nonnull(value);
    for (int64_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        value[i] = (double)(state >> 40) / 8388608 - 1;
    }
    run_set(run, buffer, value);
    free(value);
}

/* Two programs gave the same bits as a result. */
static inline void run_compare(Run *a, Run *b, Phase phase, const char *result)
{
    int of_a = run_buffer(a, phase, result), of_b = run_buffer(b, phase, result);
    size_t count = (size_t)run_count(a, of_a);
    ck_assert_int_eq((int64_t)count, run_count(b, of_b));
    double *one = calloc(count + 1, sizeof *one), *other = calloc(count + 1, sizeof *other);
    ck_assert(one && other);
    run_get(a, of_a, one);
    run_get(b, of_b, other);
    ck_assert(!memcmp(one, other, count * sizeof *one));
    free(one);
    free(other);
}

#endif
