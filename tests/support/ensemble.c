#include "ensemble.h"

#include <stdlib.h>
#include <string.h>

enum { FENCE = 64 }; /* bytes behind an arena: run_start allocates them */

Ensemble ensemble_start(const EngineRow *row, int count, ModelBuilder *build, const void *context)
{
    Ensemble e = {0};
    for (int i = 0; i < count; i++) {
        bool native = !strcmp(row[i].target, "native") || target_runs_here(target_find(row[i].target));
        if (!strcmp(row[i].engine, "llvm") && !native)
            continue;
        Arena *arena = e.arena[e.count] = arena_new();
        Model *model = model_new(arena, "case");
        build(model, context);
        e.row[e.count] = row[i];
        e.run[e.count] = run_start(model, row[i].engine, row[i].target, row[i].reference);
        e.arena_bytes[e.count] = e.run[e.count].program->arena_bytes;
        e.count++;
    }
    return e;
}

void ensemble_stop(Ensemble *e)
{
    for (int i = 0; i < e->count; i++) {
        run_stop(&e->run[i]);
        arena_free(e->arena[i]);
    }
}

void ensemble_clear(Ensemble *e, int64_t batch)
{
    for (int i = 0; i < e->count; i++) {
        e->run[i].batch = batch;
        memset(e->run[i].arena, 0xff, (size_t)e->arena_bytes[i] + FENCE);
    }
}

void ensemble_set(Ensemble *e, const char *variable, const double *value)
{
    for (int i = 0; i < e->count; i++)
        run_set(&e->run[i], run_buffer(&e->run[i], PHASE_PREDICT, variable), value);
}

void ensemble_run(Ensemble *e, Phase phase, int parts)
{
    for (int i = 0; i < e->count; i++) {
        run_phase(&e->run[i], phase, parts);
        const char *fence = e->run[i].arena + e->arena_bytes[i];
        for (int byte = 0; byte < FENCE; byte++)
            if (fence[byte] != (char)0xff)
                ck_abort_msg("%s %s wrote behind its arena", e->row[i].engine, e->row[i].target);
    }
}

int64_t ensemble_get(const Ensemble *e, int engine, Phase phase, const char *name, double *value)
{
    const Run *run = &e->run[engine];
    int buffer = run_buffer(run, phase, name);
    run_get(run, buffer, value);
    return run_count(run, buffer);
}
