/* The grammar of .net, without conflicts: see README.md for the language. */
%require "3.8"
%define api.pure full
%define api.prefix {parser_}
%define api.token.prefix {TOKEN_}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {void *scanner} {Parse *parse}

%code requires {
#include "parse.h"
}

%union {
    const char *text;
    int64_t integer;
    double real;
    Operator op;
    Name name;
    Term *term;
    Arg arg;
    Args args;
    TypeTerm *type;
    Dim dim;
    Parameter parameter;
    Parameters params;
    Statement *statement;
    Block block;
    Entry entry;
    TrainField field;
    Item *item;
}

%code {
#include <string.h>

#define YYMAXDEPTH 4000 /* brackets are bounded by the lexer; this bounds -----x */
#define YYLLOC_DEFAULT(current, rhs, n)                                                                     \
    ((current).source = parse->source, (current).begin = (n) ? YYRHSLOC(rhs, 1).begin : YYRHSLOC(rhs, 0).end, \
     (current).end = YYRHSLOC(rhs, n).end)

static int parser_lex(PARSER_STYPE *value, Span *span, void *scanner, Parse *parse);
static void parser_error(const Span *span, void *scanner, Parse *parse, const char *message);
static Span join(Span a, Span b) { return (Span){a.source, a.begin, b.end}; }
static const Args NO_ARGS;
static const Name NO_NAME;
static const Block NO_BLOCK;
static const Parameters NO_PARAMETERS;
#define ARENA parse->arena
}

%token START_FILE "a file" START_TERM "an expression"
%token IMPORT "'import'" CONST "'const'" LAYER "'layer'" NET "'net'" TRAIN "'train'" OPTIMIZER "'optimizer'"
%token PARAM "'param'" STATE "'state'" UPDATE "'update'" REPEAT "'repeat'" AS "'as'" IF "'if'" ELSE "'else'"
%token ASSERT "'assert'" RETURN "'return'" YIELD "'yield'" SCAN "'scan'" IN "'in'" FROM "'from'" ON "'on'"
%token CHECKPOINT "'checkpoint'" PIPE "'|>'" OR "'||'" AND "'&&'" EQ "'=='" NE "'!='" LE "'<='" GE "'>='"
%token ADD_TO "'+='" SUB_FROM "'-='" MUL_BY "'*='" DIV_BY "'/='" REST "'...'"
%token <text> NAME "a name" STRING "a string"
%token <integer> INT "a number" BOOL "true or false"
%token <real> FLOAT "a number with a point"

%type <term> expr pipe callee or and equality comparison sum product unary power postfix called primary count optional_value
%type <arg> arg named
%type <args> args arg_list elements element_list options returns named_returns
%type <name> name optional_as field_name
%type <op> assign
%type <type> type optional_type dims
%type <dim> dim
%type <params> params param_list
%type <parameter> parameter
%type <statement> statement if_statement
%type <block> block statements otherwise
%type <item> item fields
%type <field> field entries
%type <entry> entry entry_value
%%

start: START_FILE items
    | START_TERM expr { parse->term = $2; }
    ;

items: %empty
    | items item { list_add(ARENA, &parse->file->item, $2); }
    | items error
    ;

item: IMPORT STRING ';' {
        $$ = item_new(parse, ITEM_IMPORT, @$, @$, (Name){$2, @2});
    }
    | CONST name '=' expr ';' {
        $$ = item_new(parse, ITEM_CONST, @$, join(@1, @2), $2);
        $$->value = $4;
    }
    | LAYER name '(' params ')' block {
        $$ = item_new(parse, ITEM_LAYER, @$, join(@1, @2), $2);
        $$->params = $4;
        $$->body = $6;
    }
    | LAYER name '(' params ')' ';' {
        $$ = item_new(parse, ITEM_LAYER, @$, join(@1, @2), $2);
        $$->params = $4;
        $$->core = true;
    }
    | NET name '(' params ')' block {
        $$ = item_new(parse, ITEM_NET, @$, join(@1, @2), $2);
        $$->params = $4;
        $$->body = $6;
    }
    | OPTIMIZER name '(' params ')' block {
        $$ = item_new(parse, ITEM_OPTIMIZER, @$, join(@1, @2), $2);
        $$->params = $4;
        $$->body = $6;
    }
    | TRAIN name optional_as '{' fields '}' {
        $$ = $5;
        $$->kind = ITEM_TRAIN;
        $$->span = @$;
        $$->head = join(@1, @2);
        $$->name = $2;
        $$->as = $3;
    }
    ;

name: NAME { $$ = (Name){$1, @1}; }
    ;
optional_as: %empty { $$ = NO_NAME; }
    | AS name { $$ = $2; }
    ;

/* ---- signatures and types ---- */

params: %empty { $$ = NO_PARAMETERS; }
    | param_list
    | param_list ','
    ;
param_list: parameter { $$ = NO_PARAMETERS; list_add(ARENA, &$$, $1); }
    | param_list ',' parameter { $$ = $1; list_add(ARENA, &$$, $3); }
    ;
parameter: name optional_type optional_value { $$ = (Parameter){$1, $2, $3}; }
    ;
optional_type: %empty { $$ = NULL; }
    | ':' type { $$ = $2; }
    ;
optional_value: %empty { $$ = NULL; }
    | '=' expr { $$ = $2; }
    ;
type: name {
        $$ = arena_alloc(ARENA, sizeof *$$);
        *$$ = (TypeTerm){.element = $1, .span = @$};
    }
    | name '[' ']' {
        $$ = arena_alloc(ARENA, sizeof *$$);
        *$$ = (TypeTerm){.element = $1, .tensor = true, .span = @$};
    }
    | name '[' dims ']' {
        $$ = $3;
        $$->element = $1;
        $$->span = @$;
    }
    ;
dims: dim {
        $$ = arena_alloc(ARENA, sizeof *$$);
        $$->tensor = true;
        list_add(ARENA, &$$->dim, $1);
    }
    | dims ',' dim { $$ = $1; list_add(ARENA, &$$->dim, $3); }
    ;
dim: expr { $$ = (Dim){$1, @1}; }
    | REST { $$ = (Dim){NULL, @1}; }
    ;

/* ---- statements ---- */

block: '{' statements '}' { $$ = $2; }
    | '{' statements error '}' { $$ = $2; }
    ;
statements: %empty { $$ = NO_BLOCK; }
    | statements statement { $$ = $1; list_add(ARENA, &$$, $2); }
    | statements error ';' { $$ = $1; }
    ;
statement: name assign expr ';' {
        $$ = statement_new(parse, STATEMENT_BIND, @$);
        $$->name = $1;
        $$->op = $2;
        $$->value = $3;
        statement_finish(parse, $$);
    }
    | name '=' SCAN name IN name '(' args ')' FROM '(' args ')' block ';' {
        $$ = statement_new(parse, STATEMENT_SCAN, @$);
        $$->name = $1;
        $$->step = $4;
        $$->value = term_call(parse, join(@6, @9), NULL, term_name(parse, $6), $8);
        $$->from = $12;
        $$->body = $14;
        statement_finish(parse, $$);
    }
    | PARAM name ':' type '=' expr options ';' {
        $$ = statement_new(parse, STATEMENT_PARAM, @$);
        $$->name = $2;
        $$->type = $4;
        $$->value = $6;
        $$->args = $7;
        statement_finish(parse, $$);
    }
    | STATE name optional_type '=' expr options ';' {
        $$ = statement_new(parse, STATEMENT_STATE, @$);
        $$->name = $2;
        $$->type = $3;
        $$->value = $5;
        $$->args = $6;
        statement_finish(parse, $$);
    }
    | UPDATE name '=' expr ';' {
        $$ = statement_new(parse, STATEMENT_UPDATE, @$);
        $$->name = $2;
        $$->value = $4;
        statement_finish(parse, $$);
    }
    | RETURN returns ';' {
        $$ = statement_new(parse, STATEMENT_RETURN, @$);
        $$->args = $2;
        statement_finish(parse, $$);
    }
    | YIELD returns ';' {
        $$ = statement_new(parse, STATEMENT_YIELD, @$);
        $$->args = $2;
        statement_finish(parse, $$);
    }
    | ASSERT expr ',' STRING ';' {
        $$ = statement_new(parse, STATEMENT_ASSERT, @$);
        $$->value = $2;
        parse_pieces(parse, @4, $$);
        statement_finish(parse, $$);
    }
    | if_statement
    | REPEAT count AS name block {
        $$ = statement_new(parse, STATEMENT_REPEAT, @$);
        $$->value = $2;
        $$->name = $4;
        $$->body = $5;
        statement_finish(parse, $$);
    }
    | CHECKPOINT block {
        $$ = statement_new(parse, STATEMENT_CHECKPOINT, @$);
        $$->body = $2;
        statement_finish(parse, $$);
    }
    ;
if_statement: IF '(' expr ')' block otherwise {
        $$ = statement_new(parse, STATEMENT_IF, @$);
        $$->value = $3;
        $$->body = $5;
        $$->otherwise = $6;
        statement_finish(parse, $$);
    }
    ;
otherwise: %empty { $$ = NO_BLOCK; }
    | ELSE block { $$ = $2; }
    | ELSE if_statement { $$ = NO_BLOCK; list_add(ARENA, &$$, $2); }
    ;
assign: '=' { $$ = OPERATOR_NONE; }
    | ADD_TO { $$ = OPERATOR_ADD; }
    | SUB_FROM { $$ = OPERATOR_SUB; }
    | MUL_BY { $$ = OPERATOR_MUL; }
    | DIV_BY { $$ = OPERATOR_DIV; }
    ;
count: INT { $$ = term_new(parse, TERM_INT, @1); $$->integer = $1; }
    | name { $$ = term_name(parse, $1); }
    | '(' expr ')' { $$ = term_parenthesise($2); }
    ;
options: %empty { $$ = NO_ARGS; }
    | options ',' named { $$ = $1; list_add(ARENA, &$$, $3); }
    ;
named: name '=' expr { $$ = (Arg){$1, $3}; }
    ;
returns: expr { $$ = NO_ARGS; list_add(ARENA, &$$, ((Arg){NO_NAME, $1})); }
    | named_returns
    ;
named_returns: named { $$ = NO_ARGS; list_add(ARENA, &$$, $1); }
    | named_returns ',' named { $$ = $1; list_add(ARENA, &$$, $3); }
    ;

/* ---- training ---- */

fields: %empty {
        $$ = arena_alloc(ARENA, sizeof *$$);
    }
    | fields field ';' { $$ = $1; list_add(ARENA, &$$->field, $2); }
    | fields error ';' { $$ = $1; }
    ;
field: name '=' expr { $$ = (TrainField){.name = $1, .value = $3, .span = @$}; }
    | entries
    ;
entries: field_name entry {
        $$ = (TrainField){.name = $1, .span = @$};
        list_add(ARENA, &$$.entry, $2);
    }
    | entries ',' entry {
        $$ = $1;
        $$.span = @$;
        list_add(ARENA, &$$.entry, $3);
    }
    ;
field_name: name
    | OPTIMIZER { $$ = (Name){"optimizer", @1}; }
    ;
entry: entry_value
    | name '=' entry_value { $$ = $3; $$.name = $1; $$.span = @$; }
    | TRAIN '=' entry_value { $$ = $3; $$.name = (Name){"train", @1}; $$.span = @$; }
    ;
entry_value: expr { $$ = (Entry){.value = $1, .span = @$}; }
    | expr ON name { $$ = (Entry){.value = $1, .on = $3, .span = @$}; }
    | called AS '(' params ')' { $$ = (Entry){.value = $1, .declares = true, .params = $4, .span = @$}; }
    ;

/* ---- expressions ---- */

expr: pipe
    | IF '(' expr ')' expr ELSE expr {
        $$ = term_new(parse, TERM_IF, @$);
        $$->left = $3;
        $$->right = $5;
        $$->third = $7;
        term_finish(parse, $$);
    }
    ;
pipe: or
    | pipe PIPE callee optional_as {
        $$ = term_call(parse, @3, $1, $3, NO_ARGS);
        $$->as = $4;
    }
    | pipe PIPE callee '(' args ')' optional_as {
        $$ = term_call(parse, join(@3, @6), $1, $3, $5);
        $$->as = $7;
    }
    ;
callee: name { $$ = term_name(parse, $1); }
    | callee '.' name { $$ = term_member(parse, @$, $1, $3); }
    ;
or: and
    | or OR and { $$ = term_binary(parse, @$, OPERATOR_OR, $1, $3); }
    ;
and: equality
    | and AND equality { $$ = term_binary(parse, @$, OPERATOR_AND, $1, $3); }
    ;
equality: comparison
    | equality EQ comparison { $$ = term_binary(parse, @$, OPERATOR_EQ, $1, $3); }
    | equality NE comparison { $$ = term_binary(parse, @$, OPERATOR_NE, $1, $3); }
    ;
comparison: sum
    | comparison '<' sum { $$ = term_binary(parse, @$, OPERATOR_LT, $1, $3); }
    | comparison LE sum { $$ = term_binary(parse, @$, OPERATOR_LE, $1, $3); }
    | comparison '>' sum { $$ = term_binary(parse, @$, OPERATOR_GT, $1, $3); }
    | comparison GE sum { $$ = term_binary(parse, @$, OPERATOR_GE, $1, $3); }
    ;
sum: product
    | sum '+' product { $$ = term_binary(parse, @$, OPERATOR_ADD, $1, $3); }
    | sum '-' product { $$ = term_binary(parse, @$, OPERATOR_SUB, $1, $3); }
    ;
product: unary
    | product '*' unary { $$ = term_binary(parse, @$, OPERATOR_MUL, $1, $3); }
    | product '/' unary { $$ = term_binary(parse, @$, OPERATOR_DIV, $1, $3); }
    | product '%' unary { $$ = term_binary(parse, @$, OPERATOR_MOD, $1, $3); }
    | product '@' unary { $$ = term_binary(parse, @$, OPERATOR_MATMUL, $1, $3); }
    ;
unary: power
    | '-' unary { $$ = term_unary(parse, @$, OPERATOR_NEG, $2); }
    | '!' unary { $$ = term_unary(parse, @$, OPERATOR_NOT, $2); }
    ;
power: postfix
    | postfix '^' unary { $$ = term_binary(parse, @$, OPERATOR_POW, $1, $3); }
    ;
postfix: primary
    | called
    | called AS name { $$ = $1; $$->as = $3; }
    | postfix '[' element_list ']' {
        $$ = term_new(parse, TERM_INDEX, @$);
        $$->left = $1;
        $$->args = $3;
        term_finish(parse, $$);
    }
    | postfix '.' name { $$ = term_member(parse, @$, $1, $3); }
    ;
called: postfix '(' args ')' { $$ = term_call(parse, @$, NULL, $1, $3); }
    ;
primary: name { $$ = term_name(parse, $1); }
    | INT { $$ = term_new(parse, TERM_INT, @1); $$->integer = $1; }
    | FLOAT { $$ = term_new(parse, TERM_FLOAT, @1); $$->real = $1; }
    | BOOL { $$ = term_new(parse, TERM_BOOL, @1); $$->integer = $1; }
    | STRING { $$ = term_new(parse, TERM_STRING, @1); $$->text = $1; }
    | '(' expr ')' { $$ = term_parenthesise($2); }
    | '[' elements ']' {
        $$ = term_new(parse, TERM_LIST, @$);
        $$->args = $2;
        term_finish(parse, $$);
    }
    ;
args: %empty { $$ = NO_ARGS; }
    | arg_list
    | arg_list ','
    ;
arg_list: arg { $$ = NO_ARGS; list_add(ARENA, &$$, $1); }
    | arg_list ',' arg { $$ = $1; list_add(ARENA, &$$, $3); }
    ;
arg: expr { $$ = (Arg){NO_NAME, $1}; }
    | named
    ;
elements: %empty { $$ = NO_ARGS; }
    | element_list
    | element_list ','
    ;
element_list: expr { $$ = NO_ARGS; list_add(ARENA, &$$, ((Arg){NO_NAME, $1})); }
    | element_list ',' expr { $$ = $1; list_add(ARENA, &$$, ((Arg){NO_NAME, $3})); }
    ;
%%

static int parser_lex(PARSER_STYPE *value, Span *span, void *scanner, Parse *parse)
{
    int token = parse->start;
    *span = (Span){parse->source, parse->at, parse->at};
    if (token) {
        parse->start = 0;
        return token;
    }
    if (!parse->over)
        token = lexer_next(scanner, value, span);
    if (token == TOKEN_YYEOF)
        *span = (Span){parse->source, parse->at, parse->at};
    parse->previous = parse->token;
    parse->token = *span;
    return token;
}

/* ---- messages ---- */

/* 'conv', or the end of the file. */
static const char *token_text(Parse *parse, Span span)
{
    if (span.begin == span.end)
        return parse->file ? "end of the file" : "end of the expression";
    return arena_printf(ARENA, "'%.*s'", span.end - span.begin > 40 ? 40 : span.end - span.begin,
                        parse->source->text + span.begin);
}

static bool expects(const yysymbol_kind_t *expected, int count, yysymbol_kind_t symbol)
{
    for (int i = 0; i < count; i++)
        if (expected[i] == symbol)
            return true;
    return false;
}

/* Bison numbers the symbols of characters: they are known by name only. */
static bool expects_text(const yysymbol_kind_t *expected, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(yysymbol_name(expected[i]), name))
            return true;
    return false;
}

/* "expected A, B or C" while that is short, else what the place is about. */
static const char *expectation(Parse *parse, const yysymbol_kind_t *expected, int count)
{
    if (count == 0)
        return "";
    if (count <= 4) {
        const char *text = "; expected ";
        for (int i = 0; i < count; i++)
            text = arena_printf(ARENA, "%s%s%s", text, i == 0 ? "" : i == count - 1 ? " or " : ", ",
                                yysymbol_name(expected[i]));
        return text;
    }
    if (expects(expected, count, YYSYMBOL_LAYER))
        return "; expected import, const, layer, net, train or optimizer";
    if (expects(expected, count, YYSYMBOL_PARAM))
        return "; expected a statement";
    if (expects(expected, count, YYSYMBOL_INT))
        return "; expected an expression";
    static const char *const ends[] = {"';'", "')'", "']'"};
    for (int i = 0; i < 3; i++)
        if (expects_text(expected, count, ends[i]))
            return arena_printf(ARENA, "; expected an operator or %s", ends[i]);
    return "; expected an operator";
}

static bool on_one_line(Parse *parse, Span a, Span b)
{
    return !memchr(parse->source->text + a.end, '\n', (size_t)(b.begin - a.end));
}

static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, Parse *parse)
{
    (void)scanner;
    enum { MOST = YYNTOKENS };
    yysymbol_kind_t expected[MOST];
    int count = yypcontext_expected_tokens(context, expected, MOST);
    Span span = *yypcontext_location(context);
    bool outside = expects(expected, count, YYSYMBOL_LAYER);
    if (parse->over || (outside && parse->confused))
        return 0;
    parse->confused = true;
    if (expects_text(expected, count, "';'") && parse->previous.source && parse->previous.end > parse->previous.begin &&
        !on_one_line(parse, parse->previous, span)) {
        Span gap = {parse->source, parse->previous.end - 1, parse->previous.end};
        diag_report(parse->diag, DIAG_ERROR, gap, "expected ';' after %s", token_text(parse, parse->previous));
        return 0;
    }
    bool keyword = count && expects(expected, count, YYSYMBOL_NAME) &&
                   yypcontext_token(context) >= YYSYMBOL_IMPORT && yypcontext_token(context) <= YYSYMBOL_CHECKPOINT;
    if (keyword && !expects(expected, count, YYSYMBOL_PARAM) && !outside)
        diag_report(parse->diag, DIAG_ERROR, span, "unexpected %s, which is a word of the language and cannot be a name",
                    token_text(parse, span));
    else
        diag_report(parse->diag, DIAG_ERROR, span, "unexpected %s%s", token_text(parse, span),
                    expectation(parse, expected, count));
    if (span.begin == span.end && parse->depth > 0)
        diag_report(parse->diag, DIAG_NOTE, parse->open[parse->depth - 1], "this is not closed");
    return 0;
}

/* Called by the generated parser only when its stack is full: brackets are counted by the lexer. */
static void parser_error(const Span *span, void *scanner, Parse *parse, const char *message)
{
    (void)scanner;
    (void)message;
    if (!parse->over)
        parse_stop(parse, *span, "nested too deep: at most %d levels", MAX_NESTING);
}

static void parse_run(Parse *parse, int start, int begin, int end)
{
    void *scanner = lexer_open(parse, begin, end);
    parse->start = start;
    parse->at = begin;
    parse->end = end;
    parser_parse(scanner, parse);
    lexer_close(scanner);
}

File *parse_file(Arena *arena, Diagnostics *diag, const Source *source)
{
    Parse parse = {.arena = arena, .diag = diag, .source = source, .file = arena_alloc(arena, sizeof(File))};
    parse.file->source = source;
    parse_run(&parse, TOKEN_START_FILE, 0, (int)source->length);
    return parse.file;
}

Term *parse_term(Arena *arena, Diagnostics *diag, const Source *source)
{
    Parse parse = {.arena = arena, .diag = diag, .source = source};
    int errors = diag->errors;
    parse_run(&parse, TOKEN_START_TERM, 0, (int)source->length);
    return diag->errors == errors ? parse.term : NULL;
}

Term *parse_part(Parse *parse, int begin, int end)
{
    Parse part = {.arena = parse->arena, .diag = parse->diag, .source = parse->source};
    int errors = parse->diag->errors;
    parse_run(&part, TOKEN_START_TERM, begin, end);
    return parse->diag->errors == errors ? part.term : NULL;
}
