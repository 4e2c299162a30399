/* Checkpoints: everything that a later run needs to go on to the same bits, in one safetensors file.
   Parameters, states and optimizer slots are tensors by their names, in logical order; the rest is text in
   the metadata. Equal runs write equal files. A checksum covers every byte. */
#ifndef NETC_CHECKPOINT_H
#define NETC_CHECKPOINT_H

#include "file.h"
#include "machine.h"
#include "safetensors.h"

extern const char checkpoint_best[], checkpoint_last[]; /* names in the folder of a run */

typedef struct TrainingState {
    uint64_t seed;
    int64_t batch, epochs, samples;     /* samples: of the training set */
    int64_t step;                       /* steps done, from the very start */
    int64_t epoch;                      /* epochs done, each with its evaluation */
    double loss_sum;                    /* of the current epoch: losses times samples, in order */
    double best;                        /* the best value so far; NaN: none */
    int64_t best_epoch;                 /* the epoch that gave it, from 1; 0: none */
    int options;                        /* as in the description */
    double option[DESCRIPTION_OPTIONS]; /* NaN: not given */
} TrainingState;

typedef struct Checkpoint {
    InputFile file;
    SafeHeader header;
} Checkpoint;

/* Opens a file, checks the format and the checksum. Close it in either case. `path` is kept. */
bool checkpoint_open(Checkpoint *checkpoint, const char *path, Fault *fault);
void checkpoint_close(Checkpoint *checkpoint);

/* The state of training in it. Refuses a file of another program, by the graph's hash. */
bool checkpoint_state(const Checkpoint *checkpoint, const Description *description, TrainingState *state,
                      Fault *fault);
uint64_t checkpoint_seed(const Checkpoint *checkpoint); /* 0 if the file holds none */

/* Copies the tensors into the machine, with or without the slots. Names, shapes and types must agree; nothing
   is copied before all do. */
bool checkpoint_load(const Checkpoint *checkpoint, Machine *machine, bool slots, Fault *fault);

/* Writes checkpoints; all that this takes is allocated when it is made. */
typedef struct CheckpointWriter {
    const Machine *machine;
    int tensors;
    int *buffer;         /* of the tensors, in the file's order */
    char *tensor_json;   /* their part of the header */
    size_t tensor_bytes; /* of it */
    char *header;        /* 8 bytes of length, then JSON */
    size_t header_size;
    int64_t data_bytes;
    char *block; /* for tensors that are not in logical order */
} CheckpointWriter;

bool checkpoint_writer_make(CheckpointWriter *writer, const Machine *machine, Fault *fault);
void checkpoint_writer_free(CheckpointWriter *writer);

/* Replaces folder/name at one stroke; after a fault the old file is as it was. */
bool checkpoint_save(CheckpointWriter *writer, const OutputFolder *folder, const char *name,
                     const TrainingState *state, Fault *fault);

#endif
