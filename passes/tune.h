/* Measured schedules: a text file beside a .net, which `netc tune` writes and pass `schedule` reads, and what is worth
   measuring. A kernel is known by a hash of its Compute, without names and buffers, and of the target's name: so an entry
   survives changes elsewhere, and equal layers share it. */
#ifndef NETC_TUNE_H
#define NETC_TUNE_H

#include "passes.h"

typedef struct TuneEntry {
    uint64_t key;
    const char *name;    /* of the kernel, for people */
    double usual, tuned; /* seconds by netc's own schedule and by this one, all calls of a phase together */
    Schedule schedule;
    Span span; /* of the schedule, where it was read */
} TuneEntry;

typedef struct TuneSection {  /* of one target */
    const char *target, *cpu; /* the CPU that was measured, for people */
    LIST(TuneEntry) entry;
} TuneSection;

typedef struct TuneFile {
    LIST(TuneSection) section;
} TuneFile;

/* Strict; false after a report. What is read prints to the same entries. */
bool tune_read(Arena *arena, Diagnostics *diag, const Source *source, TuneFile *file);
void tune_print(Text *text, const TuneFile *file);

TuneSection *tune_find(const TuneFile *file, const char *target); /* NULL: there is none */

/* As `netc --stop-after=schedule` prints it. */
uint64_t tune_key(Arena *arena, const Target *target, const Compute *compute);

/* The kernels of a program, in the order of program->kernel, and how they are scheduled. */
typedef struct TuneKernel {
    uint64_t key;
    const Compute *compute;
    Schedule schedule;
    bool chained; /* it is a chain that begins with the compute, and is as it is */
} TuneKernel;

typedef struct TuneKernels {
    LIST(TuneKernel) at;
} TuneKernels;

/* Entries of c->tune replace what pass `schedule` chose. */
bool tune_apply(Compilation *c);

/* What may be faster: schedules that differ from `base` in one respect, the most likely first, at most `most`. */
typedef enum TuneStage { TUNE_TILES, TUNE_LOOPS, TUNE_STAGES } TuneStage;
typedef struct TuneSchedules {
    LIST(Schedule) at;
} TuneSchedules;
TuneSchedules tune_neighbours(Arena *arena, const Target *target, const Compute *compute, int64_t batch,
                              const Schedule *base, TuneStage stage, int most);

#endif
