#include "system.h"

#include "checkpoint.h"
#include "random.h"
#include "session.h"
#include "tensor_view.h"
#include "text_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool session_start(const Session *session, Machine *machine, unsigned phases, int64_t batch, Fault *fault)
{
    const CommandLine *line = session->line;
    if (line->device && strcmp(line->device, "cpu") != 0)
        return fault_set(fault, STATUS_MISSING, "--device %s: this program was compiled for the CPU",
                         line->device);
    if (line->threads > POOL_MOST_THREADS)
        return fault_set(fault, STATUS_USAGE, "--threads: at most %d", POOL_MOST_THREADS);
    int threads = line->threads ? (int)line->threads : pool_online_cpus();
    return machine_start(machine, session->description, session->engine, phases, batch, threads, fault);
}

void session_set_scalars(const Session *session, Machine *machine, uint64_t seed, const double *option,
                         int64_t epochs)
{
    const Description *d = session->description;
    machine_set_scalar(machine, "seed", 0, (double)(uint32_t)seed);
    machine_set_scalar(machine, "seed", 1, (double)(seed >> 32));
    machine_set_scalar(machine, "epochs", 0, (double)epochs);
    for (int i = 0; i < d->options; i++) {
        const DescribedBuffer *b = &d->buffer[d->option[i].buffer];
        element_write(machine_buffer(machine, d->option[i].buffer), b->element, option[i]);
    }
}

void session_default_folder(const Session *session, char *path, size_t size)
{
    text_format(path, size, "runs/%s", session->description->model);
}

/* Whole numbers are 0 or 1, for they may be classes or indices, and any has at least two; bytes are all
   values; others lie in [0, 1). */
static double random_value(const DescribedBuffer *b, uint32_t bits)
{
    if (element_row[b->element].is_float)
        return (double)(bits >> 8) / (1 << 24);
    return b->element == ELEMENT_U8 ? bits >> 24 : bits & 1;
}

void session_fill_inputs(Machine *machine, int64_t batch)
{
    const Description *d = machine->description;
    for (int i = 0; i < d->buffers; i++) {
        const DescribedBuffer *b = &d->buffer[i];
        if (b->role != ROLE_INPUT)
            continue;
        TensorView view = tensor_view(machine, i, batch);
        int64_t size = element_row[b->element].bytes;
        for (int64_t e = 0; e < view.elements; e++) {
            uint32_t counter[4] = {(uint32_t)e, (uint32_t)(e >> 32), (uint32_t)i, 0}, key[2] = {0}, word[4];
            random_philox(counter, key, word);
            element_write(view.at + e * size, b->element, random_value(b, word[0]));
        }
    }
}

bool session_load_weights(const Session *session, Machine *machine, Fault *fault)
{
    char folder[1000], path[1100];
    Checkpoint checkpoint;
    session_default_folder(session, folder, sizeof folder);
    text_format(path, sizeof path, "%s/%s", folder, checkpoint_best);
    bool done = checkpoint_open(&checkpoint, session->line->weights ? session->line->weights : path, fault);
    if (done) {
        session_set_scalars(session, machine, checkpoint_seed(&checkpoint), session->line->option, 1);
        done = checkpoint_load(&checkpoint, machine, false, fault);
    }
    if (done && machine->phases & 1u << RUN_PREPARE)
        machine_run(machine, RUN_PREPARE, 1);
    checkpoint_close(&checkpoint);
    return done;
}

bool session_open_data(const Session *session, DataSet *set, const char *role, bool test, Fault *fault)
{
    const Description *d = session->description;
    *set = (DataSet){0};
    for (int i = 0; i < d->sources; i++)
        if (strcmp(d->source[i].split, role) == 0)
            return dataset_open(set, d, &d->source[i], session->line->data, test, fault);
    return false;
}

bool session_evaluate(Machine *machine, const DataSet *set, int64_t batch, bool (*stopped)(void))
{
    const Description *d = machine->description;
    for (int i = 0; i < d->buffers; i++)
        if (d->buffer[i].role == ROLE_METRIC) {
            TensorView view = tensor_view(machine, i, batch);
            view_zero(&view);
        }
    for (int64_t first = 0; first < set->samples; first += batch) {
        if (stopped && stopped())
            return false;
        int64_t count = set->samples - first < batch ? set->samples - first : batch;
        dataset_load(set, machine, NULL, first, count);
        machine_run(machine, RUN_TEST, count);
    }
    machine_run(machine, RUN_FINISH, set->samples);
    return true;
}
