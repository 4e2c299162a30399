/* The commands of a compiled program. Each is a file; all of them work from one session. */
#ifndef NETC_SESSION_H
#define NETC_SESSION_H

#include "commandline.h"
#include "machine.h"
#include "source.h"

typedef struct Session {
    const Description *description;
    const NetcEngine *engine;
    const CommandLine *line;
} Session;

/* Results go to stdout, progress to stderr. False after a fault; an interruption is one, of status 128 +
   signal. */
bool command_train(const Session *session, Fault *fault);
bool command_test(const Session *session, Fault *fault);
bool command_predict(const Session *session, Fault *fault);
bool command_bench(const Session *session, Fault *fault);

/* A machine for phases and batches up to `batch`, with the threads of the command line. */
bool session_start(const Session *session, Machine *machine, unsigned phases, int64_t batch, Fault *fault);

/* Sets the scalars that do not change from step to step. `option` as in the command line. */
void session_set_scalars(const Session *session, Machine *machine, uint64_t seed, const double *option,
                         int64_t epochs);

/* Random values in all inputs, for measuring. */
void session_fill_inputs(Machine *machine, int64_t batch);

/* Loads what -w names, by default the best of the default folder, and prepares the machine for predictions if it makes them. */
bool session_load_weights(const Session *session, Machine *machine, Fault *fault);

/* "runs/NAME": where training writes unless told otherwise. */
void session_default_folder(const Session *session, char *path, size_t size);

/* Opens a split: `role` is "train", "valid" or "test". False without a fault where the program has none. */
bool session_open_data(const Session *session, DataSet *set, const char *role, bool test, Fault *fault);

/* Runs a whole set through `test` and `finish`; the results are in the machine. False if `stopped`, asked
   before every batch, said so. */
bool session_evaluate(Machine *machine, const DataSet *set, int64_t batch, bool (*stopped)(void));

double seconds_now(void); /* of a clock that only goes forward */

#endif
