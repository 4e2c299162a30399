/* For tests: one model compiled for several engines and targets, run on the same values. Those in f32 must agree bit for bit;
   the first is the f64 reference. */
#ifndef NETC_TESTS_ENSEMBLE_H
#define NETC_TESTS_ENSEMBLE_H

#include "graph_eval.h"
#include "run_model.h"

typedef struct EngineRow {
    const char *engine, *target;
    bool reference;
} EngineRow;

enum { MAX_ENGINES = 8 };

typedef struct Ensemble {
    int count;
    EngineRow row[MAX_ENGINES];
    Arena *arena[MAX_ENGINES];
    Run run[MAX_ENGINES];
    int64_t arena_bytes[MAX_ENGINES];
} Ensemble;

typedef void ModelBuilder(Model *model, const void *context);

/* Rows for targets that this machine cannot run are left out. */
Ensemble ensemble_start(const EngineRow *row, int count, ModelBuilder *build, const void *context);
void ensemble_stop(Ensemble *e);

/* All memory of all engines to NaN; then variables, in logical order; then a phase. */
void ensemble_clear(Ensemble *e, int64_t batch);
void ensemble_set(Ensemble *e, const char *variable, const double *value);
void ensemble_run(Ensemble *e, Phase phase, int parts);

/* A result or variable of one engine, in logical order. */
int64_t ensemble_get(const Ensemble *e, int engine, Phase phase, const char *name, double *value);

#endif
