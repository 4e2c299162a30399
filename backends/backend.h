/* Backends: what makes something from a Program. A Backend writes a file (--emit=NAME); an Engine runs the
   kernels in this process (netc run --backend=NAME). One row each in backend.c; nothing else names them. */
#ifndef NETC_BACKEND_H
#define NETC_BACKEND_H

#include "program.h"

/* Exit statuses of the compiler; a step that fails has reported why. */
enum { STATUS_OK = 0, STATUS_INPUT = 1, STATUS_USAGE = 2, STATUS_INTERNAL = 3, STATUS_MISSING = 4 };

typedef struct BackendOptions {
    int level;                     /* -O0 … 3: compile time against speed, never other bits */
    int threads;                   /* that compile; never other bytes */
    bool verify;                   /* check what is built, too: always done where assertions are on */
    const char *output;            /* the file to write; "-" is standard output */
    const char *compiler;          /* --cc: the C compiler that links; NULL is the target's, see link.h */
    const char *library;           /* the runtime to link with; NULL is netc's */
    const char *const *link_flags; /* further arguments for the linking compiler, then NULL; or NULL */
    bool show_commands;            /* -v: the command that links, on diag->out */
    /* The form of a descriptor that object files for this machine have, to be freed; NULL: text, as everywhere else. */
    char *(*pack)(const char *descriptor, size_t *bytes);
    bool time; /* print how long each step took, on diag->out */
    Diagnostics *diag;
} BackendOptions;

typedef struct Backend {
    const char *name;
    const char *suffix; /* of the default output: ".s" */
    const char *description;
    int (*emit)(const Program *program, const BackendOptions *options); /* returns a status */
    bool binary;                                                        /* not for a terminal */
} Backend;

typedef struct Engine {
    const char *name;
    const char *description;
    /* Makes ready to run; what it returns is passed to the others, and must not outlive the program. NULL:
       failed, reported. */
    void *(*start)(const Program *program, const BackendOptions *options);
    /* Does the items [begin, end) of a kernel, from any thread; see kernel.h. */
    void (*call)(void *engine, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                 int64_t end);
    void (*stop)(void *engine);
    bool reference; /* it is given the program widened to f64 */
    bool compiled;  /* what it starts is code, and may outlive the program all the same */
} Engine;

extern const Backend backend_list[];
extern const int backend_count;
extern const Engine engine_list[];
extern const int engine_count;

/* NULL if there is none of that name. */
const Backend *backend_find(const char *name);
const Engine *engine_find(const char *name);

/* Writes bytes to options->output, all or nothing. Returns a status. */
int backend_write(const BackendOptions *options, const void *bytes, size_t count);

#endif
