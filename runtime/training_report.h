/* What training tells: a line that is drawn over and over on a terminal, one line an epoch elsewhere, and
   log.csv with a row an epoch. */
#ifndef NETC_TRAINING_REPORT_H
#define NETC_TRAINING_REPORT_H

#include "checkpoint.h"

typedef struct Report {
    const Machine *machine;
    bool quiet, terminal, validates;
    bool line_open;          /* the terminal's cursor stands in the line of progress */
    bool headed;             /* log.csv has its first line */
    int64_t log_every;       /* 0: never */
    int64_t steps_per_epoch; /* of this run */
    int64_t samples;         /* of an epoch */
    int log;                 /* log.csv */
    OutputFolder *folder;
    double run_began, epoch_began, drawn;
    int64_t run_step, epoch_step; /* steps done when those began */
} Report;

/* Opens folder/log.csv; of an older one it keeps the header and the rows of epochs up to state->epoch. The
   machine, the flags and the sizes are set before. */
bool report_open(Report *report, OutputFolder *folder, const TrainingState *state, Fault *fault);
void report_close(Report *report);

void report_end_line(Report *report); /* before anything else is said */

void report_step(Report *report, const TrainingState *state, int64_t last_step, double loss);

/* After an epoch; state->epoch counts it. The machine holds the results of `finish` if the report validates. */
bool report_epoch(Report *report, const TrainingState *state, double loss, bool best, Fault *fault);

#endif
