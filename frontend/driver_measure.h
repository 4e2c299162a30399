/* A program in memory whose calls are timed one by one: what `netc tune` knows of the runtime. */
#ifndef NETC_DRIVER_MEASURE_H
#define NETC_DRIVER_MEASURE_H

#include "descriptor.h"

#include <stdbool.h>

typedef struct Measure Measure;

typedef enum MeasurePhase { MEASURE_STEP, MEASURE_TEST, MEASURE_PREDICT, MEASURE_PHASES } MeasurePhase;
enum { MEASURE_ALL = (1 << MEASURE_PHASES) - 1 };
extern const char *const measure_phase_name[MEASURE_PHASES];

/* Parameters have their first values, inputs random ones. `phases`: a set of bits; those that the program lacks are left
   out. batch, threads: 0 means the program's, and all cores. NULL: failed, with the reason in `why`; *status then
   is an exit status. */
Measure *measure_start(const char *descriptor, const NetcEngine *engine, unsigned phases, int64_t batch,
                       int threads, char why[1000], int *status);
void measure_stop(Measure *measure);

double measure_clock(void);                      /* seconds; only goes forward */
unsigned measure_phases(const Measure *measure); /* those that there are */
int64_t measure_batch(const Measure *measure);
int measure_cpus(void); /* those that this process may run on */
int measure_threads(const Measure *measure);

/* The kernel that the engine runs now has so many items: outer · ceil(count · batch^power / divisor). */
void measure_set_items(Measure *measure, int kernel, int64_t outer, int64_t count, int power,
                       int64_t divisor);

/* Runs every phase once. seconds[kernel] gets the time of all its calls, 0 if it has none. */
void measure_run(Measure *measure, double *seconds);

/* Calls `visit` for every call of the phases, in order; then the call has been made, and all are in the state of a run. */
typedef bool MeasureVisit(void *context, Measure *measure, int call, int kernel);
bool measure_each_call(Measure *measure, MeasureVisit *visit, void *context);
void measure_call(Measure *measure, int call);

/* The bytes of all buffers of a call, to be freed; NULL: no memory. */
char *measure_save(const Measure *measure, int call);
void measure_restore(Measure *measure, int call, const char *saved);
bool measure_equals(const Measure *measure, int call, const char *saved);

#endif
