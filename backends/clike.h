/* Kernels as text in languages like C. What those differ in is a Dialect: how work is spread over items, and the words
   for types, functions and vectors. Statements, memory and expressions are printed here, once for all. */
#ifndef NETC_CLIKE_H
#define NETC_CLIKE_H

#include "kernel.h"

typedef struct Clike Clike;

/* Words for vectors; each is a text with %s an operand, in the order given. */
typedef enum VectorWord {
    VECTOR_SPLAT,        /* scalar */
    VECTOR_RAMP,         /* first, stride: i64 lanes */
    VECTOR_OFFSETS,      /* stride: i32 lanes 0, stride, 2 · stride … */
    VECTOR_BOUND,        /* i64 scalar, brought into i32's range, in i32 lanes */
    VECTOR_LOAD,         /* address */
    VECTOR_LOAD_WHERE,   /* base, index of the first lane, condition, other value */
    VECTOR_LOAD_EVERY,   /* address, stride */
    VECTOR_GATHER,       /* base, indices */
    VECTOR_GATHER_WHERE, /* base, indices, condition, other value */
    VECTOR_STORE,        /* address, value */
    VECTOR_STORE_EVERY,  /* address, stride, value */
    VECTOR_SCATTER,      /* base, indices, value; lanes in order */
} VectorWord;

typedef struct Dialect {
    /* From the function's head to where an item's statements begin (its axis being declared), and what follows them. */
    void (*open)(Clike *w);
    void (*close)(Clike *w);
    const char *(*type)(Clike *w, DType dtype, int lanes); /* of a value */
    /* A scalar function of operands of any number of lanes; %s an operand. */
    const char *(*function)(Clike *w, const Expr *apply);
    const char *(*cast)(Clike *w, DType from, DType to, int lanes); /* the value; one %s */
    const char *(*bits)(Clike *w, DType from, DType to, int lanes); /* the bits; one %s */
    const char *(*vector)(Clike *w, VectorWord word, DType dtype, int lanes);
} Dialect;

struct Clike { /* one kernel being printed */
    const Dialect *dialect;
    void *context; /* the dialect's own */
    Arena *arena;
    const Kernel *kernel;
    Text *text;
    int depth;         /* of blocks */
    bool *uses_buffer; /* by index; of arguments likewise */
    bool *uses_argument;
    bool *
        scattered; /* by local: every access is a constant whole element, so that each is a variable of its own */
};

/* Prints one kernel as a function. */
void clike_kernel(Text *text, Arena *arena, const Dialect *dialect, void *context, const Kernel *kernel);

/* ---- for dialects ---- */

/* The row's own text for a scalar function; rows that the f64 reference keeps are called by their names. */
const char *clike_function(Clike *w, ScalarOp op);

/* A line: indentation, the text, a newline. */
void clike_line(Clike *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Breaks the line that begins at `line`, if it is too long, at blanks. */
void clike_wrap(Text *text, size_t line, int depth);
void clike_expr(Clike *w, const Expr *e);
void clike_constant(Text *text, DType dtype, double real, int64_t integer);

/* `string` as what a comment can hold: printable, without a begin or an end of comment; and as a comment. */
void clike_comment_words(Text *text, const char *string);
void clike_comment(Text *text, const char *string);

/* `name` as an identifier after `prefix`: letters, digits and _ stay, the rest becomes _ and a hash tells it apart. */
void clike_identifier(Text *text, const char *prefix, const char *name);

#endif
