/* The rows of commandline.c and of said.c: what a program's commands and options are called, take and do. */
#ifndef NETC_COMMANDLINE_TABLE_H
#define NETC_COMMANDLINE_TABLE_H

#include "commandline.h"

/* ROW(name, command, help) */
#define COMMANDLINE_COMMANDS(ROW)                                                                            \
    ROW("train", COMMAND_TRAIN, "learn from the data; writes best.safetensors, last.safetensors, log.csv")   \
    ROW("test", COMMAND_TEST, "measure what was learnt on the test data")                                    \
    ROW("predict", COMMAND_PREDICT, "FILE…: what the network says of images (.png) or arrays (.npy)")        \
    ROW("info", COMMAND_INFO, "what this program is: inputs, outputs, parameters, memory")                   \
    ROW("bench", COMMAND_BENCH, "how fast it is, on random data")

enum {
    ON_DATA = COMMAND_TRAIN | COMMAND_TEST,
    ON_WEIGHTS = COMMAND_TEST | COMMAND_PREDICT,
    ON_ALL_RUNS = COMMAND_TRAIN | COMMAND_TEST | COMMAND_PREDICT | COMMAND_BENCH,
    ON_JSON = COMMAND_TEST | COMMAND_INFO | COMMAND_BENCH,
    ON_ALL = ON_ALL_RUNS | COMMAND_INFO,
};

/* ROW(name, argument, help, letter or 0, what it takes, commands, place in the CommandLine) */
#define COMMANDLINE_OPTIONS(ROW)                                                                             \
    ROW("data", "FOLDER", "read the data from there", 0, TAKE_TEXT, ON_DATA, data)                           \
    ROW("out", "FOLDER", "write there (default: runs/ and the network's name)", 0, TAKE_TEXT, COMMAND_TRAIN, \
        out)                                                                                                 \
    ROW("epochs", "N", "train for N epochs", 0, TAKE_COUNT, COMMAND_TRAIN, epochs)                           \
    ROW("steps", "N", "stop after N steps, counted from the very start", 0, TAKE_COUNT, COMMAND_TRAIN,       \
        steps)                                                                                               \
    ROW("seed", "N", "fix all that is random", 0, TAKE_SEED, COMMAND_TRAIN, seed)                            \
    ROW("resume", "", "go on from last.safetensors, with its settings", 0, TAKE_NOTHING, COMMAND_TRAIN,      \
        resume)                                                                                              \
    ROW("force", "", "begin anew even where a checkpoint is", 0, TAKE_NOTHING, COMMAND_TRAIN, force)         \
    ROW("log-every", "N", "a line of progress every N steps", 0, TAKE_COUNT, COMMAND_TRAIN, log_every)       \
    ROW("quiet", "", "say nothing but errors", 'q', TAKE_NOTHING, COMMAND_TRAIN, quiet)                      \
    ROW("weights", "FILE", "a checkpoint (default: the best of runs/)", 'w', TAKE_TEXT, ON_WEIGHTS, weights) \
    ROW("top", "K", "the K best classes (default 5)", 0, TAKE_COUNT, COMMAND_PREDICT, top)                   \
    ROW("output", "FILE.npy", "write the outputs there", 'o', TAKE_TEXT, COMMAND_PREDICT, output)            \
    ROW("input", "NAME=FILE.npy", "give an input by name", 0, TAKE_INPUT, COMMAND_PREDICT, input)            \
    ROW("train", "", "measure a step of training", 0, TAKE_NOTHING, COMMAND_BENCH, train)                    \
    ROW("layers", "", "measure each kernel call too", 0, TAKE_NOTHING, COMMAND_BENCH, layers)                \
    ROW("iters", "N", "repeat N times (default: about two seconds)", 0, TAKE_COUNT, COMMAND_BENCH,           \
        iterations)                                                                                          \
    ROW("batch", "N", "samples at a time", 0, TAKE_COUNT, ON_ALL_RUNS, batch)                                \
    ROW("threads", "N", "threads (default: all CPUs); never changes results", 0, TAKE_COUNT, ON_ALL_RUNS,    \
        threads)                                                                                             \
    ROW("device", "cpu", "where to compute", 0, TAKE_TEXT, ON_ALL_RUNS, device)                              \
    ROW("json", "", "print JSON", 0, TAKE_NOTHING, ON_JSON, json)                                            \
    ROW("help", "", "print this", 'h', TAKE_NOTHING, ON_ALL, help)

#endif
