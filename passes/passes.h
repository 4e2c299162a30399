/* The passes: a pass is a file, a function, a row of passes.def and a test. The driver loop (pipeline.c)
   dumps, verifies, times and counts after each row, so no pass does. */
#ifndef NETC_PASSES_H
#define NETC_PASSES_H

#include "diag.h"
#include "program.h"
#include "schedule.h"
#include "target.h"

/* Where a node's value lives. */
typedef enum { PLACE_INLINE, PLACE_MEMORY } Place;

typedef struct NodePlace {
    Place place;
    bool live;
    Node *root;    /* MEMORY: the node whose kernel stores it (itself, or a later one it was merged into) */
    Node *reducer; /* of a root: the contraction or reduction inlined into its kernel, or NULL */
    int axes[MAX_RANK]; /* MEMORY: its layout, logical axes outermost first; of reducers the order of loops */
    int panel;          /* MEMORY: see Buffer */
    int buffer;         /* MEMORY: in program->buffer, once lowered */
    const Node
        *stack; /* MEMORY: it lives in the element of this STACK that is of the present step; or NULL */
    const Node *inside; /* MEMORY: it lives in this node's memory, from `begin` on along each axis; or NULL */
    int64_t begin[MAX_RANK]; /* see embed.h */
    bool holds;              /* others live in its memory */
    const char *reason;      /* why it is where it is, for people */
} NodePlace;

typedef struct ReaderMemos ReaderMemos; /* reader.c */
typedef struct Forms Forms;             /* form.c */
typedef struct Visits Visits;           /* region.c */

typedef enum { USE_AUTO, USE_ALWAYS, USE_NEVER } UseWhen; /* ALWAYS: where it is possible */

typedef struct Compilation {
    Arena *arena;
    Diagnostics *diag;
    Model *model;
    const Target *target;
    NodePlace *place[PHASE_COUNT]; /* by node id */
    ReaderMemos *memos[PHASE_COUNT];
    Forms *forms;
    Visits *visits[PHASE_COUNT];
    const int64_t *steps[PHASE_COUNT]; /* by loop number: how many it has */
    int *buffer_of_variable;           /* by variable id, in program->buffer */
    LIST(Compute *) compute;           /* all phases, in the order of calls */
    LIST(Schedule) schedule;           /* one a compute */
    int *same;                         /* by compute: the first equal one; only that is built */
    Program *program;
    bool reference; /* f64 throughout, library functions unexpanded */
    bool verify;    /* what an equal key gives is made anew, too, and compared: see form.h */
    UseWhen winograd, chains;
    const struct TuneSection *tune; /* schedules for the target that were measured; or NULL */
    struct TuneKernels *kernels;    /* filled by pass build; or NULL */
} Compilation;

typedef enum { LEVEL_GRAPH, LEVEL_COMPUTE, LEVEL_PROGRAM } Level;

typedef struct PassInfo {
    char letter; /* -d LETTERS */
    const char *name, *help;
    Level level;                 /* what it leaves, and so what is dumped and verified after it */
    bool (*run)(Compilation *c); /* false after a diagnostic */
} PassInfo;
extern const PassInfo pass_list[];
extern const int pass_count;
const PassInfo *pass_find(const char *name);

typedef struct PipelineOptions {
    const Target *target;
    const char *dump;       /* letters of passes to print after; "*": all; may be NULL */
    const char *stop_after; /* name of a pass, or NULL */
    FILE *dump_to;
    bool verify; /* every IR after every pass */
    bool time;   /* a table of times on dump_to */
    bool reference;
    UseWhen winograd, chains;
    int64_t batch;                  /* plan for this batch; 0: the model's */
    const struct TuneSection *tune; /* see tune.h: measured schedules, or NULL */
    struct TuneKernels *kernels;    /* to be told of every kernel's Compute and Schedule, or NULL */
} PipelineOptions;

/* Model → Program. After stop_after at a graph level *program is NULL and the model is as that pass left it.
 */
bool pipeline_run(Model *model, Diagnostics *diag, const PipelineOptions *options, Program **program);

/* share.c: what makes a kernel, as text: the Compute without names and buffers. */
const char *compute_key(Arena *arena, const Compute *compute);

/* collapse.c: an output axis becomes two: which run of `inner` elements, and where in it. */
void compute_cut_axis(Compute *c, int axis, int64_t inner);

#define PASS(letter, name, level, function, help) bool function(Compilation *c);
#include "passes.def"
#undef PASS

#endif
