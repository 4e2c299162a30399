/* The syntax tree of a .net file: what the parser makes and the elaborator walks. Every part has its span.
   Chains that lean to the left (a + b + …, a |> f |> …) may be long: walk them from term->first by ->up, not by
   recursion. All other nesting is at most MAX_NESTING deep. */
#ifndef NETC_SYNTAX_H
#define NETC_SYNTAX_H

#include "arena.h"
#include "diag.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

enum { MAX_NESTING = 200, MAX_NAME = 200 };

typedef struct Name {
    const char *text; /* NULL: there is none */
    Span span;
} Name;

typedef enum Operator {
    OPERATOR_NONE,
    OPERATOR_OR,
    OPERATOR_AND,
    OPERATOR_EQ,
    OPERATOR_NE,
    OPERATOR_LT,
    OPERATOR_LE,
    OPERATOR_GT,
    OPERATOR_GE,
    OPERATOR_ADD,
    OPERATOR_SUB,
    OPERATOR_MUL,
    OPERATOR_DIV,
    OPERATOR_MOD,
    OPERATOR_MATMUL,
    OPERATOR_POW,
    OPERATOR_NEG,
    OPERATOR_NOT,
} Operator;

typedef enum TermKind {
    TERM_NAME,
    TERM_INT,
    TERM_FLOAT,
    TERM_BOOL,
    TERM_STRING,
    TERM_LIST,   /* [args] */
    TERM_CALL,   /* left |> text(args) as as; left may be NULL */
    TERM_INDEX,  /* left[args] */
    TERM_MEMBER, /* left.text */
    TERM_UNARY,  /* op left */
    TERM_BINARY, /* left op right */
    TERM_IF,     /* if (left) right else third */
} TermKind;

typedef struct Term Term;

typedef struct Arg { /* also: a named return, an option, an element of a list */
    Name name;
    Term *value;
} Arg;
typedef LIST(Arg) Args;

struct Term {
    TermKind kind;
    Span span; /* of a call: without what is piped in */
    int depth; /* of nesting, 1 for a leaf */
    Operator op;
    bool parenthesised;
    const char *text; /* NAME, STRING, CALL (the callee), MEMBER */
    int64_t integer;  /* INT; BOOL: 0 or 1 */
    double real;      /* FLOAT */
    Term *left, *right, *third;
    Args args;
    Name as; /* CALL */

    /* The chain: BINARY and CALL grow along `left`. first is where it starts (a term without such a left is its own
       first), up the term whose left operand this is. for (t = term->first;; t = t->up) { …; if (t == term) break; } */
    Term *first, *up;
};

typedef struct Dim {
    Term *size; /* NULL: `...` */
    Span span;
} Dim;

typedef struct TypeTerm {
    Name element; /* f32 … any, or int float bool string list */
    bool tensor;  /* has dimensions in brackets */
    LIST(Dim) dim;
    Span span;
} TypeTerm;

typedef struct Parameter { /* of a layer, net, optimizer; a field of a data source */
    Name name;
    TypeTerm *type; /* NULL: not given */
    Term *value;    /* the default; NULL: must be given */
} Parameter;
typedef LIST(Parameter) Parameters;

typedef struct Statement Statement;
typedef LIST(Statement *) Block;

typedef enum StatementKind {
    STATEMENT_BIND,   /* name = value; with op: name = name op value */
    STATEMENT_SCAN,   /* name = scan step in value from (from) body */
    STATEMENT_PARAM,  /* param name: type = value, args */
    STATEMENT_STATE,  /* state name: type = value, args */
    STATEMENT_UPDATE, /* update name = value */
    STATEMENT_RETURN, /* return args */
    STATEMENT_YIELD,
    STATEMENT_ASSERT, /* assert value, pieces */
    STATEMENT_IF,     /* if (value) body else otherwise */
    STATEMENT_REPEAT, /* repeat value as name body */
    STATEMENT_CHECKPOINT,
} StatementKind;

typedef struct Piece { /* of an assert's text */
    const char *text;  /* NULL: value */
    Term *value;
} Piece;

struct Statement {
    StatementKind kind;
    Span span;
    int depth;
    Name name;
    Operator op;
    TypeTerm *type;
    Term *value;
    Args args, from; /* from: a scan's first state */
    Name step;       /* a scan's element */
    Block body, otherwise;
    LIST(Piece) piece;
};

typedef struct Entry { /* of a train field: [name =] value [on on] or value as (params) */
    Name name;
    Term *value;
    Name on;
    bool declares; /* has params */
    Parameters params;
    Span span;
} Entry;

typedef struct TrainField {
    Name name;
    Term *value; /* name = value: binds an input of the net; NULL: name entries */
    LIST(Entry) entry;
    Span span;
} TrainField;

typedef enum ItemKind { ITEM_IMPORT, ITEM_CONST, ITEM_LAYER, ITEM_NET, ITEM_OPTIMIZER, ITEM_TRAIN } ItemKind;

typedef struct Item {
    ItemKind kind;
    Span span, head; /* head: `layer f`, for messages about the whole */
    Name name;       /* IMPORT: the path */
    Name as;         /* TRAIN */
    Term *value;     /* CONST */
    Parameters params;
    bool core; /* a layer without a body: the compiler's own */
    Block body;
    enum { OWNS_UNKNOWN, OWNS_BUSY, OWNS_NOT, OWNS } owns; /* parameters; found out by item_owns() */
    LIST(TrainField) field;
} Item;

typedef struct File {
    const Source *source;
    LIST(Item *) item;
} File;

/* The items of a file, as far as they could be understood; every fault is reported. */
File *parse_file(Arena *arena, Diagnostics *diag, const Source *source);

/* The expression that a piece of text is; NULL after a report. For `-D name=value`. */
Term *parse_term(Arena *arena, Diagnostics *diag, const Source *source);

/* Source text again, in one layout: it parses to the same tree. */
void file_print(Text *text, const File *file);
void term_print(Text *text, const Term *term);
void parameters_print(Text *text, const Parameters *params);
void type_term_print(Text *text, const TypeTerm *type);
const char *operator_text(Operator op);

/* "layer", "net", …: as the language spells it. */
const char *item_word(ItemKind kind);

#endif
