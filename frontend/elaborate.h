/* Elaboration: the syntax tree is run once for each phase, and what it computes with tensors becomes that phase's graph.
   Shared by the files elaborate*.c, builtin.c, report.c; nobody else includes it. */
#ifndef NETC_ELABORATE_H
#define NETC_ELABORATE_H

#include "nearest.h"
#include "value.h"

enum {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* sanitizers are slow */
    MAX_EVALUATIONS = 100000,
    MAX_NODES = 20000,
#else
    MAX_EVALUATIONS = 10000000, /* terms and rounds evaluated in a program, all phases together */
    MAX_NODES = 1000000,        /* of a graph */
#endif
    MAX_DEPTH = 1000, /* terms, blocks and layers within each other while they are evaluated */
    MAX_LIST = 65536,
};

typedef struct Map { /* text → pointer */
    struct MapEntry {
        const char *key;
        void *value;
    } *at;
    int count, size;
} Map;
void *map_find(const Map *map, const char *key);
void map_set(Arena *arena, Map *map, const char *key, void *value);

/* All items that can be seen, and the files they came from. */
typedef struct Library {
    Map layer[2], optimizer[2], constant[2]; /* [0] the user's, [1] the prelude's */
    LIST(Item *) net, train;
    LIST(const Item *) item; /* layers and optimizers of the prelude, in its order */
    LIST(const Source *) prelude;
    int depth; /* of item_owns() */
    Map file;  /* the user's files that were read, by identity */
} Library;

typedef struct Constant {
    const Item *item;
    const Term *term; /* of -D, else the item's */
    enum { CONSTANT_NEW, CONSTANT_BUSY, CONSTANT_DONE } progress;
    Value value;
} Constant;

typedef struct Binding {
    Value value;
    Variable *state; /* it names a state */
    Variable *field; /* of the data, not used yet: its node is made at the first use */
} Binding;

typedef struct Instance { /* what `as` named */
    const Item *item;
    const char *path;
    Value *argument; /* as bound at the first call; tensors are not kept */
} Instance;

typedef struct Scope { /* the names of one body, or of one round of a repeat */
    struct Scope *outer;
    bool is_scan; /* of a scan's block: what is bound inside stays inside */
    Map binding, instance;
} Scope;

typedef struct Frame { /* one expansion of a layer, the net, an optimizer; or the train block */
    struct Frame *caller;
    const Item *item;
    Span call;    /* where, in the caller's text */
    bool prelude; /* its own text is the prelude's */
    const char *
        path; /* prefix of the names inside: an instance's path, else that of the statement that called; "" */
    const char *round; /* of the repeats around the statement: ".0", ".3.1" */
    const char *place; /* layers without a path on the way here: "/dropout" */
    const char *word;  /* component of names for unnamed layers of this statement */
    bool several;      /* … of which it has several */
    bool shared;       /* an instance is called again: its parameters exist */
    Scope *scope;
    bool returned;
    int results;
    const char **result_name;
    Value *result;
} Frame;

typedef struct Yield {
    const char *name;
    Node *node; /* NULL: it was refused */
} Yield;

typedef struct Scan { /* whose block is being elaborated */
    const Frame *frame;
    Scope *scope;
    int loop; /* of the graph */
    int64_t length;
    Node **state;
    LIST(Yield) yield;
} Scan;

typedef struct Declared { /* a parameter or state by full name */
    Variable *variable;
    const Frame *frame; /* the last that declared it, */
    int pass;           /* and in which pass */
    Span span;
} Declared;

typedef enum PlanField {
#define TRAIN_FIELD(kind, name, many, form) PLAN_##kind,
#include "train_fields.def"
#undef TRAIN_FIELD
    PLAN_FIELDS
} PlanField;

typedef struct Plan { /* a train block in its parts */
    const Item *train, *net;
    const TrainField *field[PLAN_FIELDS]; /* NULL: not given; of several the first */
    LIST(const TrainField *) augment, input;
    Variable *label[MAX_RANK]; /* fields that are labels */
    int labels;
} Plan;

typedef struct Update {
    Variable *variable;
    Node *node;
} Update;

typedef struct Elaborator {
    Arena *arena;
    Diagnostics *diag;
    Library *library;
    Model *model;
    Graph *graph; /* of the phase being elaborated */
    Phase phase;
    int pass;      /* counts the elaborations of the net */
    bool training; /* `training` in the language */
    Frame *frame;
    Scan *scan;          /* NULL: none */
    Map declared;        /* full name → Declared */
    Map path;            /* instance paths of this pass → the call's Term */
    Map place;           /* places of random numbers, by phase */
    LIST(Update) update; /* of this pass */
    Map reported;        /* places that have had their error */
    int faults;          /* errors, those not shown included */
    bool muted;          /* notes of an error that was not shown are not shown */
    int evaluations, depth;
    uintptr_t stack;            /* an address in the first frame */
    size_t most_stack;          /* bytes that may be used from there */
    bool exhausted;             /* a budget is spent: nothing more is evaluated */
    const Type *shape;          /* of the parameter whose initialiser is evaluated; NULL */
    LIST(Variable *) parameter; /* in the order of declaration */
    const Plan *plan;           /* NULL: the net alone */
    Variable *updated;          /* the optimizer's `parameter` */
    LIST(Variable *) slot;      /* its states so far */
} Elaborator;

/* ---- report.c ---- */

/* An error at a place of the user's text: for one inside the prelude it is the call that led there, and the message
   begins with the name of what was called. Notes name the user's layers around it. False if this place has had its
   error already, and then its notes are dropped too. */
bool report(Elaborator *e, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_note(Elaborator *e, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void report_help(Elaborator *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Notes on where a tensor came from. `name` is what the message called it. */
void report_origin(Elaborator *e, const char *name, Value value);
/* Of two operands; what has one origin is told once. */
void report_pair(Elaborator *e, Value a, Value b);
/* The signature as help. */
void report_signature(Elaborator *e, const Item *item);
const char *signature_text(Arena *arena, const Item *item);
const char *value_text(Elaborator *e, Value value);
const char *described_text(Elaborator *e, Value value);
const char *type_text(Elaborator *e, const Type *type);
const char *format_text(Elaborator *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* nearest.h; as text: "" or "; did you mean 'x'?". */
void nearest_try_map(Nearest *nearest, const Map *map);
const char *nearest_text(Elaborator *e, const Nearest *nearest);

/* ---- library.c ---- */

/* Reads the prelude, then the source and what it imports. False after a report. */
bool library_load(Library *library, Arena *arena, Diagnostics *diag, const Source *source);
bool library_load_prelude(Library *library, Arena *arena, Diagnostics *diag);
/* "name=value" of the command line, instead of what the file says. False after a report. */
bool library_define(Library *library, Arena *arena, Diagnostics *diag, const char *define);
bool source_is_prelude(const Library *library, const Source *source);
/* As seen from a file of the user or of the prelude; NULL: there is none. */
Item *library_layer(const Library *library, const char *name, bool prelude);
Item *library_optimizer(const Library *library, const char *name);
Constant *library_constant(const Library *library, const char *name, bool prelude);
/* Whether a layer declares parameters or states, itself or by what it calls. */
bool item_owns(Library *library, Item *item);
/* How many calls of such layers a term holds. */
int term_owners(Library *library, const Term *term, bool prelude);

/* ---- elaborate_term.c ---- */

Value evaluate(Elaborator *e, const Term *term);
Value evaluate_binary(Elaborator *e, Operator op, Value a, Value b, Span span);
/* Known at compile time. False after a report. */
bool evaluate_bool(Elaborator *e, const Term *term, const char *what, bool *value);
bool evaluate_int(Elaborator *e, const Term *term, const char *what, int64_t *value);
bool evaluate_real(Elaborator *e, const Term *term, const char *what, double *value);
Value name_value(Elaborator *e, const char *name, Span span);
Value constant_value(Elaborator *e, Constant *constant, Span span);
Binding *scope_find(const Scope *scope, const char *name);
Binding *scope_bind(Elaborator *e, Scope *scope, const char *name, Value value); /* in this scope */
/* False when a budget is spent, after the one report. */
bool budget_spend(Elaborator *e, Span span);
/* What costs as much as so many evaluations, and is looked at by the next. */
void budget_charge(Elaborator *e, size_t evaluations);
const Origin *origin_new(Elaborator *e, const char *name, const char *maker, const char *word, Span span);
bool in_prelude(const Elaborator *e);

/* ---- elaborate_tensor.c ---- */

/* Numbers become scalars of the element type, options their nodes. NULL after a report. */
Node *tensor_of(Elaborator *e, Value value, DType dtype, Span span);
Value tensor_value(Elaborator *e, Node *node);
/* Adds a node; where the op refuses, its reason is reported at span with the operands' origins. */
Value tensor_add(Elaborator *e, Node node, Span span, const Value *operand, int operands);
Value tensor_unary(Elaborator *e, OpKind op, Value a, Span span);
/* Elementwise with broadcasting; `name` is what messages call the op. */
Value tensor_binary(Elaborator *e, OpKind op, const char *name, Value a, Value b, Span span);
Value tensor_operator(Elaborator *e, Operator op, Value a, Value b, Span span);
Value tensor_choose(Elaborator *e, Value condition, Value a, Value b, Span span);
/* To a shape, by broadcasting; `what` is what the message calls it. */
Value tensor_fit(Elaborator *e, Value value, const Type *type, const char *what, Span span);

/* ---- elaborate_call.c ---- */

Value evaluate_call(Elaborator *e, const Term *term, const Value *piped);
/* The type that a TypeTerm says, its sizes known. False after a report. */
bool evaluate_type(Elaborator *e, const TypeTerm *type, Type *result);
Frame *frame_new(Elaborator *e, const Item *item, Span call);
Value frame_result(Elaborator *e, const Frame *frame);

typedef struct Given { /* arguments, one a parameter of the item */
    Value *value;
    Span *span;
    bool *given;
} Given;
/* Evaluates and matches a call's arguments. False after a report, or if one is poison. */
bool arguments_match(Elaborator *e, const Item *item, const Term *term, const Value *piped, Given *given);
/* Binds them in the frame's scope by their declared types. */
bool arguments_bind(Elaborator *e, Frame *frame, Given *given, Span call);

/* ---- elaborate_statement.c ---- */

void run_block(Elaborator *e, const Block *block);
/* A term whose unnamed layers and nodes are called `word`. */
Value evaluate_named(Elaborator *e, const char *word, const Term *term, Span span);
void assign_name(Elaborator *e, const char *name,
                 Value value); /* where it is bound, else in the current scope */
/* The full name of a component in the current frame and round. */
const char *full_name(Elaborator *e, const char *component);
/* What the nodes made from here on are called, and where they come from. */
void set_scope(Elaborator *e, const char *component, Span span);

bool may_bind(Elaborator *e, Name name); /* false after a report */

/* ---- elaborate_scan.c ---- */

void run_scan(Elaborator *e, const Statement *statement);
void run_yield(Elaborator *e, const Statement *statement);

/* ---- elaborate_param.c ---- */

void declare_parameter(Elaborator *e, const Statement *statement);
void declare_state(Elaborator *e, const Statement *statement);
void update_state(Elaborator *e, const Statement *statement);

/* ---- elaborate_train.c ---- */

/* Reads a train block into the plan and model->training, and declares the fields of its data. False after a report. */
bool plan_read(Elaborator *e, Plan *plan);
bool glob_match(const char *pattern, const char *text); /* * and ? */

/* ---- elaborate_step.c ---- */

/* The current frame is the train block's, and sees the net's names: from the loss to the assignments. */
void elaborate_step(Elaborator *e);
/* The loss or a metric as a number. */
Value evaluate_measure(Elaborator *e, const char *name, const Term *term);

/* ---- elaborate_finish.c ---- */

/* Loss and metrics of the test phase: sums over the batch become accumulators, what remains the finish phase. */
void elaborate_measures(Elaborator *e);

/* ---- builtin.c ---- */

typedef Value Builtin(Elaborator *e, const Item *item, const Value *argument, Span span);
Builtin *builtin_find(const char *name);

#endif
