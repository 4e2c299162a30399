/* Where tune files are, and what the driver does with them before a compilation. */
#ifndef NETC_DRIVER_TUNE_FILE_H
#define NETC_DRIVER_TUNE_FILE_H

#include "driver.h"
#include "tune.h"

/* Beside the input: "x.net" → "x.tune". NULL: the input is none that has one. */
const char *tune_path(Arena *arena, const char *input);

/* The section for the driver's target from --tune, or from the file beside the input if there is one, into driver->tune.
   False after a report. */
bool tune_load(Driver *driver);

/* A file that is to be written anew: its sections are kept. False if it is there and no tune file. */
bool tune_load_existing(Driver *driver, const char *path, TuneFile *file);

/* Puts a section in the place of the one for its target. */
void tune_replace(Arena *arena, TuneFile *file, const TuneSection *section);

/* As the system calls this machine's CPU; else the target's name. */
const char *tune_cpu_name(Arena *arena, const Target *target);

#endif
