/* Values of the language while it is elaborated: numbers, texts and lists known at compile time, and tensors, which are
   nodes of the phase's graph. */
#ifndef NETC_VALUE_H
#define NETC_VALUE_H

#include "graph.h"
#include "syntax.h"

typedef enum ValueKind {
    VALUE_NONE,   /* `none`: an argument that was not given */
    VALUE_POISON, /* stands for what was refused: whatever it meets is silent */
    VALUE_INT,    /* also sizes with batch */
    VALUE_FLOAT,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TENSOR,
    VALUE_RECORD, /* several results of a layer */
    VALUE_OPTION, /* a number of an optimizer that the command line may override */
} ValueKind;

typedef struct Origin { /* where a value came from, for notes */
    const char *name;   /* of the binding; NULL: none */
    const char *maker;  /* the layer that made it; NULL: an expression */
    const char *word;   /* what else it is: "an input of the net", "a field of the data"; NULL */
    Span span;
} Origin;

typedef struct Value Value;
typedef struct ValueList ValueList;
typedef struct Record Record;
typedef struct OptionValue OptionValue;

struct Value {
    ValueKind kind;
    Phase phase; /* TENSOR: whose graph the node is of */
    union {
        Size integer;
        double real;
        bool boolean;
        const char *string;
        const ValueList *list;
        Node *node;
        const Record *record;
        OptionValue *option;
    };
    const Origin *origin; /* NULL: not worth a note */
};

struct ValueList {
    int count;
    Value *at;
};

struct Record {
    int count;
    const char **name;
    Value *value;
};

struct OptionValue {
    const char *name;
    Value value; /* what the program gives: a number or a scalar tensor */
    Node *node;  /* with the command line's override; made at its first use in a tensor */
};

static const Value value_poison = {.kind = VALUE_POISON};
static const Value value_none = {.kind = VALUE_NONE};
Value value_int(int64_t integer);
Value value_size(Size size);
Value value_float(double real);
Value value_bool(bool boolean);
Value value_string(const char *string);

/* An option that is a number counts as that number where something is decided at compile time. */
Value value_known(Value value);

bool value_is_number(Value value); /* INT or FLOAT */
double value_real(Value value);    /* of a number without batch */

/* For messages: "f32[batch, 10]", "3", "0.5", "true", "\"text\"", "[1, 2]", "a record (last, all)". */
void value_print(Text *text, Value value);
/* "an int", "a float", "a tensor f32[3]", … */
void value_describe(Text *text, Value value);

/* Arithmetic at compile time. On failure NULL is not the result: *why says what is wrong. Operands are numbers, or bools
   where the operator is logical. */
Value value_binary(Operator op, Value a, Value b, const char **why);
Value value_unary(Operator op, Value a, const char **why);
bool size_divide(Size a, Size b, Size *quotient); /* exact */

#endif
