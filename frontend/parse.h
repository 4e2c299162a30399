/* What the lexer, the parser and the constructors of the syntax tree share while they read one source. */
#ifndef NETC_PARSE_H
#define NETC_PARSE_H

#include "syntax.h"

typedef struct Parse {
    Arena *arena;
    Diagnostics *diag;
    const Source *source;
    int start;   /* a token that says what is to be read, handed out first; 0 when it has been */
    int at, end; /* bytes read, and where to stop */
    int depth;   /* open brackets */
    Span open[MAX_NESTING];
    bool over;            /* a fault after which nothing is worth reading: only the end follows */
    Span token, previous; /* the last two tokens */
    bool confused;        /* a syntax error was met: what follows outside of items may be its consequence */
    File *file;
    Term *term;
} Parse;

/* Reports a fault that ends the reading. */
void parse_stop(Parse *parse, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The expression in bytes [begin, end) of the source that is being read; NULL after a report. */
Term *parse_part(Parse *parse, int begin, int end);

/* The text of an assert in its pieces: `{expr}` is an expression, `{{` a brace. `span` holds the quotes. */
void parse_pieces(Parse *parse, Span span, Statement *statement);

/* The lexer over bytes [begin, end) of parse->source. `value` is the parser's union, the result a token. */
void *lexer_open(Parse *parse, int begin, int end);
int lexer_next(void *scanner, void *value, Span *span);
void lexer_close(void *scanner);

/* Constructors. *_finish sets the depth from the parts and refuses what is nested too deep. */
Term *term_new(Parse *parse, TermKind kind, Span span);
Term *term_finish(Parse *parse, Term *term);
Term *term_name(Parse *parse, Name name);
Term *term_parenthesise(Term *term);
Term *term_unary(Parse *parse, Span span, Operator op, Term *left);
Term *term_binary(Parse *parse, Span span, Operator op, Term *left, Term *right);
Term *term_member(Parse *parse, Span span, Term *left, Name name);
Term *term_call(Parse *parse, Span span, Term *piped, Term *callee, Args args);
Statement *statement_new(Parse *parse, StatementKind kind, Span span);
Statement *statement_finish(Parse *parse, Statement *statement);
Item *item_new(Parse *parse, ItemKind kind, Span span, Span head, Name name);

#endif
