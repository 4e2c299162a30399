#include "parse.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *text;
    int strength; /* how tightly it binds */
} operators[] = {
    [OPERATOR_NONE] = {"", 0}, [OPERATOR_OR] = {"||", 2}, [OPERATOR_AND] = {"&&", 3},
    [OPERATOR_EQ] = {"==", 4}, [OPERATOR_NE] = {"!=", 4}, [OPERATOR_LT] = {"<", 5},
    [OPERATOR_LE] = {"<=", 5}, [OPERATOR_GT] = {">", 5},  [OPERATOR_GE] = {">=", 5},
    [OPERATOR_ADD] = {"+", 6}, [OPERATOR_SUB] = {"-", 6}, [OPERATOR_MUL] = {"*", 7},
    [OPERATOR_DIV] = {"/", 7}, [OPERATOR_MOD] = {"%", 7}, [OPERATOR_MATMUL] = {"@", 7},
    [OPERATOR_POW] = {"^", 9}, [OPERATOR_NEG] = {"-", 8}, [OPERATOR_NOT] = {"!", 8},
};

const char *operator_text(Operator op) { return operators[op].text; }

const char *item_word(ItemKind kind)
{
    static const char *const word[] = {"import", "const", "layer", "net", "optimizer", "train"};
    return word[kind];
}

/* ---- making it ---- */

void parse_stop(Parse *parse, Span span, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(parse->arena, format, arguments);
    va_end(arguments);
    if (!parse->over)
        diag_report(parse->diag, DIAG_ERROR, span, "%s", text);
    parse->over = true;
}

static int deeper(int depth, int part) { return part + 1 > depth ? part + 1 : depth; }

static int args_depth(const Args *args, int depth)
{
    for (int i = 0; i < args->count; i++)
        if (args->at[i].value)
            depth = deeper(depth, args->at[i].value->depth);
    return depth;
}

Term *term_new(Parse *parse, TermKind kind, Span span)
{
    Term *term = arena_alloc(parse->arena, sizeof *term);
    term->kind = kind;
    term->span = span;
    term->depth = 1;
    term->first = term;
    return term;
}

Term *term_finish(Parse *parse, Term *term)
{
    bool chain = term->left && (term->kind == TERM_BINARY || term->kind == TERM_CALL);
    if (chain) {
        term->first = term->left->first;
        term->left->up = term;
        term->depth = term->left->depth > 1 ? term->left->depth : 1;
    }
    Term *part[] = {chain ? NULL : term->left, term->right, term->third};
    for (int i = 0; i < 3; i++)
        if (part[i])
            term->depth = deeper(term->depth, part[i]->depth);
    term->depth = args_depth(&term->args, term->depth);
    if (term->depth > MAX_NESTING)
        parse_stop(parse, term->span, "nested too deep: at most %d levels", MAX_NESTING);
    return term;
}

Term *term_name(Parse *parse, Name name)
{
    Term *term = term_new(parse, TERM_NAME, name.span);
    term->text = name.text;
    return term;
}

Term *term_parenthesise(Term *term)
{
    term->parenthesised = true;
    return term;
}

Term *term_unary(Parse *parse, Span span, Operator op, Term *left)
{
    Term *term = term_new(parse, TERM_UNARY, span);
    term->op = op;
    term->left = left;
    return term_finish(parse, term);
}

Term *term_binary(Parse *parse, Span span, Operator op, Term *left, Term *right)
{
    Term *term = term_new(parse, TERM_BINARY, span);
    term->op = op;
    term->left = left;
    term->right = right;
    return term_finish(parse, term);
}

Term *term_member(Parse *parse, Span span, Term *left, Name name)
{
    Term *term = term_new(parse, TERM_MEMBER, span);
    term->left = left;
    term->text = name.text;
    return term_finish(parse, term);
}

Term *term_call(Parse *parse, Span span, Term *piped, Term *callee, Args args)
{
    Term *term = term_new(parse, TERM_CALL, span);
    term->left = piped;
    term->args = args;
    term->text = callee->text;
    if (callee->kind != TERM_NAME) {
        bool reported = callee->kind == TERM_CALL && !callee->text;
        if (!reported)
            diag_report(parse->diag, DIAG_ERROR, callee->span,
                        "only a name can be called: a layer, or what `as` named");
        term->text = NULL; /* nothing follows an error */
    }
    return term_finish(parse, term);
}

Statement *statement_new(Parse *parse, StatementKind kind, Span span)
{
    Statement *statement = arena_alloc(parse->arena, sizeof *statement);
    statement->kind = kind;
    statement->span = span;
    statement->depth = 1;
    return statement;
}

Statement *statement_finish(Parse *parse, Statement *statement)
{
    const Block *block[] = {&statement->body, &statement->otherwise};
    for (int b = 0; b < 2; b++)
        for (int i = 0; i < block[b]->count; i++)
            statement->depth = deeper(statement->depth, block[b]->at[i]->depth);
    if (statement->value)
        statement->depth = deeper(statement->depth, statement->value->depth);
    statement->depth = args_depth(&statement->args, statement->depth);
    if (statement->depth > MAX_NESTING)
        parse_stop(parse, statement->span, "nested too deep: at most %d levels", MAX_NESTING);
    return statement;
}

Item *item_new(Parse *parse, ItemKind kind, Span span, Span head, Name name)
{
    Item *item = arena_alloc(parse->arena, sizeof *item);
    *item = (Item){.kind = kind, .span = span, .head = head, .name = name};
    return item;
}

static void add_text_piece(Parse *parse, Statement *statement, const char *at, size_t length)
{
    char *text = arena_alloc(parse->arena, length + 1);
    memcpy(text, at, length);
    list_add(parse->arena, &statement->piece, ((Piece){text, NULL}));
}

void parse_pieces(Parse *parse, Span span, Statement *statement)
{
    const char *base = parse->source->text, *at = base + span.begin + 1, *end = base + span.end - 1;
    while (at < end) {
        const char *brace = memchr(at, '{', (size_t)(end - at));
        if (!brace)
            brace = end;
        if (brace > at)
            add_text_piece(parse, statement, at, (size_t)(brace - at));
        if (brace == end)
            return;
        if (brace + 1 < end && brace[1] == '{') {
            add_text_piece(parse, statement, "{", 1);
            at = brace + 2;
            continue;
        }
        const char *close = memchr(brace, '}', (size_t)(end - brace));
        int begin = (int)(brace - base);
        if (!close) {
            diag_report(parse->diag, DIAG_ERROR, (Span){span.source, begin, begin + 1},
                        "'{' begins an expression in the text, and there is no '}'");
            diag_report(parse->diag, DIAG_HELP, (Span){0}, "a brace itself is written {{");
            return;
        }
        Term *value = parse_part(parse, begin + 1, (int)(close - base));
        if (value)
            list_add(parse->arena, &statement->piece, ((Piece){NULL, value}));
        at = close + 1;
    }
}
