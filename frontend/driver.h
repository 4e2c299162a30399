/* What netc does for a command line; the only part of the compiler that sees all the others. */
#ifndef NETC_DRIVER_H
#define NETC_DRIVER_H

#include "options.h"
#include "passes.h"

/* A whole run of netc. Returns the exit status: 0 ok, 1 the input is at fault, 2 usage, 3 internal, 4 a tool
 * is missing. */
int driver_main(int count, char **argument);

/* The options, and what every step needs beside them. */
typedef struct Driver {
    Arena *arena;
    Options *options;
    Diagnostics diag;
    const Target *target;
    const struct TuneSection *tune; /* measured schedules for it; NULL: none */
    const char *tune_path;          /* the file that was read; NULL: none */
    struct TuneKernels *kernels;    /* to be filled by driver_build; may be NULL */
} Driver;

/* Each does one Action or a part of it, and returns an exit status; what failed is reported. */
int driver_compile(Driver *driver);
int driver_run(Driver *driver);
int driver_tune(Driver *driver);

/* The input as a Model; NULL after a report. */
Model *driver_load(Driver *driver);
/* Model → Program by the options' passes; NULL after a report. */
Program *driver_build(Driver *driver, Model *model, bool reference);
/* For what takes no other options: where to write, how to link. `output` may be NULL. */
BackendOptions driver_backend_options(Driver *driver, const char *output);

#endif
