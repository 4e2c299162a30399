/* The Graph: which tensors exist and which op makes each. Nodes are pure, have one result, are made in an order in
   which inputs come first, and equal nodes are one node. State changes by `assign` pairs at a graph's end.
   A Model is the whole program at this level: its variables and one Graph a phase. */
#ifndef NETC_GRAPH_H
#define NETC_GRAPH_H

#include "arena.h"
#include "diag.h"
#include "text.h"
#include "type.h"

typedef enum {
    OP_CLASS_LEAF,
    OP_CLASS_MAP,
    OP_CLASS_VIEW,
    OP_CLASS_REDUCE,
    OP_CLASS_CONTRACT,
    OP_CLASS_LOOP
} OpClass;

typedef enum OpKind {
#define OP(kind, name, inputs, class, attrs, infer, define, gradient) OP_##kind,
#define MAP(kind, name, inputs, gradient) OP_##kind,
#include "ops.def"
#undef OP
#undef MAP
    OP_COUNT
} OpKind;

enum { MAX_INPUTS = 3, MAX_ATTRS = 4 };

typedef struct Ints { /* a list of integers, at most MAX_RANK */
    int count;
    int64_t at[MAX_RANK];
} Ints;

bool ints_have(const Ints *ints, int64_t value);
bool ints_are_all(const Ints *ints, int64_t value);

typedef struct Node Node;
typedef struct Graph Graph;
typedef struct Variable Variable;

struct Node {
    OpKind op;
    int id; /* its place in graph->node */
    Type type;
    Node *in[MAX_INPUTS];
    Ints attr[MAX_ATTRS]; /* as the op's row names them */
    double value;         /* CONST; PAD and WINDOW: what lies outside */
    Variable *variable;   /* VARIABLE, and GRADIENT: with respect to which */
    const char *name;     /* path in the file, for people: "conv1", "stage2.3.norm1"; NULL if it has none */
    Span span;            /* where it comes from; source NULL if unknown */
};

typedef enum VariableKind {
    VARIABLE_PARAM, /* learnt; saved in checkpoints */
    VARIABLE_STATE, /* changed by `update`; saved in checkpoints */
    VARIABLE_SLOT,  /* optimizer state of one parameter; saved, for resuming */
    VARIABLE_METRIC, /* accumulator of a loss or metric over a split; zeroed by the runtime before an evaluation */
    VARIABLE_INPUT, /* a field of a data source, or an input of the net: set by the runtime before a phase */
    VARIABLE_SCALAR, /* set by the runtime: step epoch epochs progress (f32), seed (u32[2]), and option.NAME (f32, NaN
                        unless given on the command line) */
    VARIABLE_PREPARED, /* set by phase `prepare`, for phase `predict`: what is made of parameters alone */
} VariableKind;

struct Variable {
    VariableKind kind;
    const char *name; /* full path; unique in the model. A slot is "optim.SLOT.PARAMETER" */
    Type type;
    Variable *of; /* SLOT: its parameter */
    bool trainable, decay;
    double lr_scale;
    Span span;
    int id; /* its place in model->variable */
};

typedef enum { RESULT_OUTPUT, RESULT_LOSS, RESULT_METRIC } ResultKind;

typedef struct Result { /* what a phase computes for the outside */
    ResultKind kind;
    const char *name;
    Node *node;
} Result;

typedef struct Assign { /* at the graph's end, variable := node */
    Variable *variable;
    Node *node;
} Assign;

typedef struct Carry { /* at the end of each step of its loop, state := next */
    Node *state, *next;
} Carry;

struct Graph {
    Arena *arena; /* its own, which graph_free() ends: names are in the model's */
    struct Model *model;
    const char *name;
    LIST(Node *) node;
    LIST(Result) result;
    LIST(Assign) assign;
    LIST(Carry) carry;
    int loops;              /* numbers of loops are 1 … loops */
    struct NodeSlot *table; /* of equal nodes, by hash */
    int table_size;
    const char *scope; /* name that graph_add gives to nodes; set by the front end */
    Span span;         /* likewise */
};

/* The phases of a program. init: initialisers → parameters and states. step: one training step. test: one batch of
   an evaluation, adding to METRIC variables. finish: METRIC variables → loss and metrics of the whole split, run with
   batch = number of samples. predict: inputs → the net's outputs. An absent phase has no nodes. */
typedef enum {
    PHASE_INIT,
    PHASE_STEP,
    PHASE_TEST,
    PHASE_FINISH,
    PHASE_PREPARE,
    PHASE_PREDICT,
    PHASE_COUNT
} Phase;
extern const char *const phase_name[PHASE_COUNT];

typedef struct Field { /* `train`'s data: one field of a source, in the source's order */
    Variable *input;
} Field;

typedef struct Argument { /* a named string or number given to a data source */
    const char *name;
    const char *string; /* NULL: a number */
    double number;
} Argument;

typedef struct DataSource {
    const char *split;       /* "train", "valid", "test" */
    const char *source;      /* "mnist", "cifar10" */
    LIST(Argument) argument; /* `path` first, then by name */
} DataSource;

typedef struct Option { /* a number that the trained program's command line can override */
    const char *name;   /* "lr": its SCALAR variable is "option.lr" */
} Option;

typedef struct Training {
    const char *name; /* of the train block */
    LIST(DataSource) source;
    LIST(Field) field;
    LIST(Option) option;
    int64_t batch, epochs, seed;
    const char *
        best; /* metric that `best` goes by: NULL for the default (first metric on valid, else training loss) */
    int64_t patience; /* `stop`: evaluations without a better value; 0: none */
} Training;

typedef struct Model {
    Arena *arena;
    const char *name; /* of the net */
    LIST(Variable *) variable;
    Variable **table; /* by hash of the name */
    int table_size;
    Graph *phase[PHASE_COUNT];
    Training *training; /* NULL: the file has no `train` */
    int64_t batch;      /* nominal batch: train's, else 1 */
} Model;

typedef struct OpInfo {
    const char *name;
    int inputs;
    OpClass class;
    const char *attrs; /* names of the attributes, separated by blanks */
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
OpKind op_find(const char *name);                           /* OP_COUNT if there is none */
int op_attrs(OpKind op);                                    /* how many attributes */
const char *op_attr_name(OpKind op, int attr, int *length); /* not ended by NUL */

Model *model_new(Arena *arena, const char *name);
Variable *model_variable(Model *model, VariableKind kind, const char *name, Type type);
Variable *model_find(const Model *model, const char *name); /* NULL if there is none */
Graph *graph_new(Model *model, const char *name);
void graph_free(Graph *graph); /* before the model ends */

/* Adds `node` (op, in, attr, value, variable; type where the op cannot infer it: CONST SIZE VARIABLE IOTA RANDOM CAST
   RESHAPE BROADCAST), or finds its equal. Returns NULL, with the reason in graph_why(), if the op refuses. */
Node *graph_add(Graph *graph, Node node);
const char *graph_why(void);

/* By node id: the loop that the node is computed in, once a step; 0: none. Loops do not nest. */
int *graph_loops(const Graph *graph);
/* By loop number: how many steps. */
int64_t *graph_loop_lengths(const Graph *graph);
bool node_enters_loop(const Node *node); /* CARRY, STEP */
bool node_leaves_loop(const Node *node); /* STACK, LAST */

/* Shorthands; they assert where the op would refuse. `like` operators: binary ops need equal shapes and elements. */
Node *graph_const(Graph *graph, Type type, double value);
Node *graph_number(Graph *graph, DType dtype, double value); /* a scalar */
Node *graph_size(Graph *graph, DType dtype, Size size);      /* a scalar: the value of a size at run time */
Node *graph_variable(Graph *graph, Variable *variable);
Node *graph_iota(Graph *graph, Type type, int axis); /* i32 of that shape: the index along axis */
/* u32 bits of Philox 4x32-10: word 0 … 3 of the block of (seed, step, place, sample, element). Reads the SCALAR variables
   "seed" and "step", which it makes if need be. */
Node *graph_random(Graph *graph, Type shape, int64_t place, int word);
Node *graph_gradient(Graph *graph, Node *loss, Node *variable);
Node *graph_unary(Graph *graph, OpKind op, Node *a);
Node *graph_binary(Graph *graph, OpKind op, Node *a, Node *b);
Node *graph_select(Graph *graph, Node *condition, Node *a, Node *b);
Node *graph_cast(Graph *graph, Node *a, DType dtype);
Node *graph_reshape(Graph *graph, Node *a, Type type);
Node *graph_broadcast(Graph *graph, Node *a,
                      Type type); /* NumPy's alignment at the last axis; sizes 1 stretch */
Node *graph_transpose(Graph *graph, Node *a, Ints axes);         /* y's axis d is a's axes[d] */
Node *graph_reduce(Graph *graph, OpKind op, Node *a, Ints axes); /* the axes vanish */
Node *graph_step(Graph *graph, Node *x, int loop, bool reverse); /* x's element of the loop's step */
Node *graph_stack(Graph *graph, Node *x, int loop, int64_t length, bool reverse); /* of all steps */
Node *graph_carry(Graph *graph, Node *init, int loop, int64_t length, int index);
Node *graph_last(Graph *graph, Node *carry);
Node *graph_sum_to(Graph *graph, Node *a, const Type *type); /* the transpose of graph_broadcast */

/* NumPy's broadcasting of two shapes; false if they do not agree. */
bool type_broadcast(const Type *a, const Type *b, Type *result);

/* The type of a node from its op, inputs and attributes; false, with the reason in graph_why(), if the op refuses. */
bool graph_infer(const Node *node, Type *type);

/* The first fault of a graph or model in words, NULL if all invariants hold. */
const char *graph_fault(const Graph *graph);
const char *model_fault(const Model *model);

/* `.graph` text: prints; parses to an equal Model; NULL after a diagnostic. */
void model_print(Text *text, const Model *model);
Model *model_parse(Arena *arena, Diagnostics *diag, const Source *source);
void graph_print_node(Text *text, const Node *node);

#endif
