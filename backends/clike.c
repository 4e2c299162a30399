#include "clike.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_WIDTH = 110, INDENT = 4 };

/* ---- text ------------------------------------------------------------------------------------------ */

/* The blank at which to break the line that begins at `line`: the last of those within the fewest parentheses, not too
   far left; else any; 0 if there is none. */
static size_t find_break(const Text *text, size_t line, size_t margin)
{
    size_t best = 0, any = 0;
    int depth = 0, least = 0;
    for (size_t i = line; i < text->length && (i - line < LINE_WIDTH || !any); i++) {
        char c = text->at[i];
        depth += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
        if (c != ' ' || i - line <= margin)
            continue;
        any = i;
        if (i - line >= margin + (LINE_WIDTH - margin) / 3 && i - line < LINE_WIDTH &&
            (!best || depth <= least)) {
            best = i;
            least = depth;
        }
    }
    return best ? best : any;
}

void clike_wrap(Text *text, size_t line, int depth)
{
    size_t margin = (size_t)(depth + 1) * INDENT;
    if (margin > LINE_WIDTH / 2)
        margin = LINE_WIDTH / 2;
    while (text->length - line > LINE_WIDTH) {
        size_t blank = find_break(text, line, margin);
        if (!blank)
            return;
        Text rest = {0};
        text_add(&rest, text->at + blank + 1);
        text->length = blank;
        text_printf(text, "\n%*s", (int)margin, "");
        text_add(text, text_string(&rest));
        text_free(&rest);
        line = blank + 1;
    }
}

static size_t begin_line(Clike *w)
{
    size_t begin = w->text->length;
    text_indent(w->text, w->depth);
    return begin;
}

static void end_line(Clike *w, size_t begin, const char *end)
{
    text_add(w->text, end);
    clike_wrap(w->text, begin, w->depth);
    text_add(w->text, "\n");
}

void clike_line(Clike *w, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *line = arena_vprintf(w->arena, format, arguments);
    va_end(arguments);
    size_t begin = begin_line(w);
    text_add(w->text, line);
    end_line(w, begin, "");
}

void clike_comment_words(Text *text, const char *string)
{
    for (const char *c = string; *c; c++) {
        char before = c > string ? c[-1] : ' ';
        bool closes = (*c == '/' && before == '*') || (*c == '*' && before == '/');
        bool plain = *c >= ' ' && *c <= '~' && *c != '\\' && !(*c == '?' && before == '?');
        text_printf(text, "%s%c", closes ? " " : "", plain ? *c : *c == '\n' ? ' ' : '_');
    }
}

void clike_comment(Text *text, const char *string)
{
    text_add(text, "/* ");
    clike_comment_words(text, string);
    text_add(text, " */");
}

void clike_identifier(Text *text, const char *prefix, const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    enum { LONGEST = 48 };
    text_add(text, prefix);
    bool same = strlen(name) <= LONGEST;
    for (int i = 0; name[i] && i < LONGEST; i++) {
        bool allowed = strchr(letters, name[i]);
        text_printf(text, "%c", allowed ? name[i] : '_');
        same = same && allowed;
    }
    if (!same)
        text_printf(text, "_%08x", (unsigned)text_hash(name, strlen(name)));
}

/* The shortest decimal that the C compiler reads as the same number. */
static void real_constant(Text *text, DType dtype, double value)
{
    bool single = dtype == DTYPE_F32;
    if (isnan(value) || isinf(value)) {
        text_printf(text, "%s%s", value < 0 ? "-" : "", single ? "" : "(double)");
        text_add(text, isnan(value) ? "NAN" : "INFINITY");
        return;
    }
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value)
            break;
    }
    text_add(text, digits);
    text_add(text, strpbrk(digits, ".e") ? "" : ".0");
    text_add(text, single ? "f" : "");
}

void clike_constant(Text *text, DType dtype, double real, int64_t integer)
{
    if (dtype_is_float(dtype))
        real_constant(text, dtype, real);
    else if (dtype == DTYPE_BOOL)
        text_add(text, integer ? "true" : "false");
    else if (dtype == DTYPE_U32)
        text_printf(text, "%lluu", (unsigned long long)integer);
    else if (integer == INT64_MIN)
        text_add(text, "INT64_MIN");
    else if (integer == INT32_MIN)
        text_add(text, "INT32_MIN");
    else
        text_printf(text, "%lld%s", (long long)integer,
                    integer > INT32_MAX || integer < INT32_MIN ? "LL" : "");
}

/* ---- expressions ----------------------------------------------------------------------------------- */

/* How tightly a text binds: as in C, but that operands of & | ^ << >> always stand in parentheses. */
enum { LEVEL_ANY, LEVEL_BITS, LEVEL_COMPARE, LEVEL_ADD, LEVEL_MULTIPLY, LEVEL_UNARY, LEVEL_PRIMARY };

static void print(Clike *w, const Expr *e, int level);

typedef struct Shape { /* of a text "(%s + %s)": how it binds, and its operands */
    int level, left, right;
} Shape;

static const Shape primary = {LEVEL_PRIMARY, LEVEL_PRIMARY, LEVEL_PRIMARY};

static Shape shape_of(const char *format)
{
    size_t length = strlen(format);
    if (format[0] != '(' || format[length - 1] != ')')
        return primary;
    if (!strcmp(format, "(-%s)"))
        return (Shape){LEVEL_UNARY, LEVEL_PRIMARY, LEVEL_PRIMARY};
    if (!strcmp(format, "(%s ? %s : %s)"))
        return (Shape){LEVEL_BITS, LEVEL_COMPARE, LEVEL_COMPARE};
    if (strncmp(format, "(%s ", 4) || strcmp(format + length - 4, " %s)") || length > 12)
        return primary;
    switch (format[4]) {
    case '+':
    case '-':
        return (Shape){LEVEL_ADD, LEVEL_ADD, LEVEL_MULTIPLY};
    case '*':
    case '/':
    case '%':
        return (Shape){LEVEL_MULTIPLY, LEVEL_MULTIPLY, LEVEL_UNARY};
    case '<':
        if (format[5] == '<')
            break;
        return (Shape){LEVEL_COMPARE, LEVEL_ADD, LEVEL_ADD};
    case '=':
    case '!':
        return (Shape){LEVEL_COMPARE, LEVEL_ADD, LEVEL_ADD};
    default:
        break;
    }
    return (Shape){LEVEL_BITS, LEVEL_UNARY, LEVEL_UNARY};
}

/* An operand that stands alone between parentheses or commas needs none of its own. */
static bool stands_alone(const char *format, const char *at)
{
    return at > format && (at[-1] == '(' || (at[-1] == ' ' && at[-2] == ',')) &&
           (at[2] == ')' || at[2] == ',');
}

/* i64 constants that no other operand makes 64 bits wide. */
static void print_wide(Clike *w, const Expr *e, int level)
{
    bool constant = e->kind == EXPR_CONST && e->dtype == DTYPE_I64;
    if (constant && e->integer <= INT32_MAX && e->integer > INT32_MIN)
        text_printf(w->text, e->integer < 0 && level > LEVEL_ADD ? "(%lldLL)" : "%lldLL",
                    (long long)e->integer);
    else
        print(w, e, level);
}

/* The text of a format whose operands are `arg`. %F: the suffix of float functions; %%. `wide`: see print_wide. */
static void print_operands(Clike *w, const char *format, DType dtype, Expr *const *arg, int level, bool wide)
{
    Shape shape = shape_of(format);
    bool bare = shape.level < LEVEL_PRIMARY && shape.level >= level;
    size_t end = strlen(format) - (bare ? 1 : 0);
    int next = 0;
    for (const char *at = format + (bare ? 1 : 0); at < format + end; at++) {
        if (*at != '%') {
            text_add_bytes(w->text, at, 1);
            continue;
        }
        if (*++at == 's') {
            bool alone = shape.level == LEVEL_PRIMARY && stands_alone(format, at - 1);
            int within = alone ? LEVEL_ANY : next ? shape.right : shape.left;
            if (wide)
                print_wide(w, arg[next], within);
            else
                print(w, arg[next], within);
            next++;
        } else if (*at == 'F') {
            text_add(w->text, dtype == DTYPE_F32 ? "f" : "");
        } else {
            text_add_bytes(w->text, at, 1);
        }
    }
}

static void print_format(Clike *w, const char *format, DType dtype, Expr *const *arg, int level)
{
    print_operands(w, format, dtype, arg, level, false);
}

const char *clike_function(Clike *w, ScalarOp op)
{
    const ScalarInfo *info = &scalar_info[op];
    if (info->c)
        return info->c;
    return arena_printf(w->arena, "%s%%F(%s)", info->name, info->arity == 2 ? "%s, %s" : "%s");
}

/* The lanes base + i · stride compared with one value: by the lanes' offsets, in 32 bits. */
static bool print_ramp_comparison(Clike *w, const Expr *e)
{
    bool left = e->arg[0]->kind == EXPR_RAMP;
    const Expr *ramp = e->arg[left ? 0 : 1], *other = e->arg[left ? 1 : 0];
    if (!scalar_info[e->op].boolean || ramp->kind != EXPR_RAMP || other->kind != EXPR_SPLAT ||
        ramp->integer > INT32_MAX / e->lanes || ramp->integer < INT32_MIN / e->lanes)
        return false;
    const char *offsets = w->dialect->vector(w, VECTOR_OFFSETS, DTYPE_I32, e->lanes);
    const char *bound = w->dialect->vector(w, VECTOR_BOUND, DTYPE_I32, e->lanes);
    Exprs *pool = w->kernel->pool;
    Expr *difference = expr_sub(pool, other->arg[0], ramp->arg[0]);
    Expr plain = *e; /* compares i32 lanes */
    Expr narrow = {.kind = EXPR_CONST, .dtype = DTYPE_I32, .lanes = e->lanes};
    plain.arg[0] = plain.arg[1] = &narrow;
    const char *format = w->dialect->function(w, &plain);
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            text_add_bytes(w->text, at, 1);
            continue;
        }
        at++;
        if (left)
            print_format(w, offsets, DTYPE_I64, (Expr *[]){expr_int(pool, DTYPE_I64, ramp->integer)},
                         LEVEL_ADD);
        else
            print_format(w, bound, DTYPE_I64, (Expr *[]){difference}, LEVEL_ADD);
        left = !left;
    }
    return true;
}

/* a + -3 reads a - 3, a * -1 reads -a. */
static bool print_negative(Clike *w, const Expr *e, int level)
{
    int64_t right;
    if (e->lanes > 1 || e->dtype != DTYPE_I64 || e->count != 2 || !expr_is_int(e->arg[1], &right))
        return false;
    if (e->op == SCALAR_MUL && right == -1) {
        text_add(w->text, level > LEVEL_UNARY ? "(-" : "-");
        print(w, e->arg[0], LEVEL_PRIMARY);
        text_add(w->text, level > LEVEL_UNARY ? ")" : "");
        return true;
    }
    if (e->op != SCALAR_ADD || right >= 0 || right <= INT32_MIN)
        return false;
    text_add(w->text, level > LEVEL_ADD ? "(" : "");
    print(w, e->arg[0], LEVEL_ADD);
    text_printf(w->text, " - %lld%s", -(long long)right, level > LEVEL_ADD ? ")" : "");
    return true;
}

static void print_apply(Clike *w, const Expr *e, int level)
{
    if (print_negative(w, e, level))
        return;
    if (e->lanes > 1 && e->arg[0]->dtype == DTYPE_I64 && e->count == 2 && print_ramp_comparison(w, e))
        return;
    bool wide = e->dtype == DTYPE_I64 && e->lanes == 1 &&
                (e->op == SCALAR_SELECT || e->op == SCALAR_SHL || e->op == SCALAR_SHR);
    print_operands(w, w->dialect->function(w, e), e->arg[e->count > 2]->dtype, e->arg, level, wide);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

/* Where elements lie: a buffer, or a local of scalars. */
static void print_base(Clike *w, bool local, int index)
{
    text_printf(w->text, "%c%d", local ? 'l' : 'x', index);
}

static void print_address(Clike *w, bool local, int index, const Expr *at)
{
    print_base(w, local, index);
    int64_t offset;
    if (expr_is_int(at, &offset) && offset == 0)
        return;
    text_add(w->text, " + ");
    print(w, at, LEVEL_ADD);
}

static void print_element(Clike *w, bool local, int index, const Expr *at)
{
    int64_t element;
    if (local && w->scattered[index] && expr_is_int(at, &element)) {
        text_printf(w->text, "l%d_%lld", index, (long long)element);
        return;
    }
    print_base(w, local, index);
    text_add(w->text, "[");
    print(w, at, LEVEL_ANY);
    text_add(w->text, "]");
}

/* A word for vectors, whose operands are printed by hand: the text up to the next %s. */
static const char *print_until_operand(Clike *w, const char *format)
{
    while (*format && strncmp(format, "%s", 2))
        text_add_bytes(w->text, format++, 1);
    return *format ? format + 2 : format;
}

/* A ramp addresses by its first lane and a stride. */
static bool is_row(const Expr *at) { return at->kind == EXPR_RAMP; }

static VectorWord load_word(const Expr *e)
{
    bool row = is_row(e->arg[0]), contiguous = row && e->arg[0]->integer == 1;
    if (e->count == 3)
        return contiguous ? VECTOR_LOAD_WHERE : VECTOR_GATHER_WHERE;
    return contiguous ? VECTOR_LOAD : row ? VECTOR_LOAD_EVERY : VECTOR_GATHER;
}

static void print_vector_load(Clike *w, const Expr *e, bool local)
{
    const Expr *at = e->arg[0];
    VectorWord word = load_word(e);
    const char *format = print_until_operand(w, w->dialect->vector(w, word, e->dtype, e->lanes));
    if (word == VECTOR_LOAD || word == VECTOR_LOAD_EVERY) {
        print_address(w, local, e->index, at->arg[0]);
    } else {
        print_base(w, local, e->index);
        format = print_until_operand(w, format);
        print(w, word == VECTOR_LOAD_WHERE ? at->arg[0] : at, LEVEL_ANY);
    }
    if (word == VECTOR_LOAD_EVERY) {
        format = print_until_operand(w, format);
        text_printf(w->text, "%lld", (long long)at->integer);
    }
    for (int i = 1; i < e->count; i++) {
        format = print_until_operand(w, format);
        print(w, e->arg[i], LEVEL_ANY);
    }
    print_until_operand(w, format);
}

static void print_load(Clike *w, const Expr *e, int level)
{
    if (e->lanes > 1) {
        print_vector_load(w, e, false);
        return;
    }
    if (e->count < 3) {
        print_element(w, false, e->index, e->arg[0]);
        return;
    }
    bool parentheses = level > LEVEL_BITS;
    text_add(w->text, parentheses ? "(" : "");
    print(w, e->arg[1], LEVEL_COMPARE);
    text_add(w->text, " ? ");
    print_element(w, false, e->index, e->arg[0]);
    text_add(w->text, " : ");
    print_wide(w, e->arg[2], LEVEL_COMPARE);
    text_add(w->text, parentheses ? ")" : "");
}

/* Locals of vectors are addressed by one index; it may come spread over the lanes. */
static const Expr *vector_index(const Expr *at) { return at->kind == EXPR_SPLAT ? at->arg[0] : at; }

static void print_local(Clike *w, const Expr *e)
{
    const Local *local = &w->kernel->local.at[e->index];
    if (local->lanes > 1)
        print_element(w, true, e->index, vector_index(e->arg[0]));
    else if (e->lanes > 1)
        print_vector_load(w, e, true);
    else
        print_element(w, true, e->index, e->arg[0]);
}

/* ---- */

static void print_ramp(Clike *w, const Expr *e)
{
    Expr *stride = expr_int(w->kernel->pool, DTYPE_I64, e->integer);
    print_format(w, w->dialect->vector(w, VECTOR_RAMP, DTYPE_I64, e->lanes), DTYPE_I64,
                 (Expr *[]){e->arg[0], stride}, LEVEL_ANY);
}

static bool is_negative(const Expr *e)
{
    bool lowest = e->integer == INT64_MIN || e->integer == INT32_MIN; /* a name */
    return dtype_is_float(e->dtype) ? signbit(e->real) != 0 || !isfinite(e->real) : e->integer < 0 && !lowest;
}

static void print(Clike *w, const Expr *e, int level)
{
    bool sign = e->kind == EXPR_CONST && is_negative(e) && level > LEVEL_ADD;
    switch (e->kind) {
    case EXPR_CONST:
        text_add(w->text, sign ? "(" : "");
        clike_constant(w->text, e->dtype, e->real, e->integer);
        text_add(w->text, sign ? ")" : "");
        break;
    case EXPR_AXIS:
        text_printf(w->text, "i%d", e->index);
        break;
    case EXPR_ARGUMENT:
        text_printf(w->text, e->index ? "a%d" : "batch", e->index);
        break;
    case EXPR_TEMP:
        text_printf(w->text, "t%d", e->index);
        break;
    case EXPR_APPLY:
        print_apply(w, e, level);
        break;
    case EXPR_CAST:
        print_format(w, w->dialect->cast(w, e->arg[0]->dtype, e->dtype, e->lanes), e->dtype, e->arg, level);
        break;
    case EXPR_BITCAST:
        print_format(w, w->dialect->bits(w, e->arg[0]->dtype, e->dtype, e->lanes), e->dtype, e->arg, level);
        break;
    case EXPR_LOAD:
        print_load(w, e, level);
        break;
    case EXPR_LOCAL:
        print_local(w, e);
        break;
    case EXPR_RAMP:
        print_ramp(w, e);
        break;
    case EXPR_SPLAT:
        print_format(w, w->dialect->vector(w, VECTOR_SPLAT, e->dtype, e->lanes), e->dtype, e->arg, level);
        break;
    case EXPR_REDUCE:
        assert(!"a reduction reached a backend");
    }
}

void clike_expr(Clike *w, const Expr *e) { print(w, e, LEVEL_ANY); }

/* ---- statements ------------------------------------------------------------------------------------ */

static void print_block(Clike *w, const Stmt *s);

static void print_braces(Clike *w, const Stmt *body)
{
    w->depth++;
    print_block(w, body);
    w->depth--;
    clike_line(w, "}");
}

static void print_for(Clike *w, const Stmt *s)
{
    size_t begin = begin_line(w);
    text_printf(w->text, "for (int64_t i%d = 0; i%d < ", s->index, s->index);
    print(w, s->extent, LEVEL_ADD);
    text_printf(w->text, "; i%d++)", s->index);
    end_line(w, begin, " {");
    print_braces(w, s->body);
}

static void print_if(Clike *w, const Stmt *s)
{
    size_t begin = begin_line(w);
    text_add(w->text, "if (");
    print(w, s->value, LEVEL_ANY);
    end_line(w, begin, ") {");
    print_braces(w, s->body);
}

static void print_let(Clike *w, const Stmt *s)
{
    size_t begin = begin_line(w);
    text_printf(w->text, "const %s t%d = ", w->dialect->type(w, s->value->dtype, s->value->lanes), s->index);
    print(w, s->value, LEVEL_ANY);
    end_line(w, begin, ";");
}

/* Lanes of scalars; a scalar `at` is the first of consecutive ones. */
static void print_vector_store(Clike *w, const Stmt *s, bool local)
{
    const Expr *at = s->at;
    bool row = is_row(at), contiguous = row ? at->integer == 1 : at->lanes == 1;
    VectorWord word = contiguous ? VECTOR_STORE : row ? VECTOR_STORE_EVERY : VECTOR_SCATTER;
    const char *format = w->dialect->vector(w, word, s->value->dtype, s->value->lanes);
    format = print_until_operand(w, format);
    if (word == VECTOR_SCATTER) {
        print_base(w, local, s->index);
        format = print_until_operand(w, format);
        print(w, at, LEVEL_ANY);
    } else {
        print_address(w, local, s->index, row ? at->arg[0] : at);
    }
    if (word == VECTOR_STORE_EVERY) {
        format = print_until_operand(w, format);
        text_printf(w->text, "%lld", (long long)at->integer);
    }
    format = print_until_operand(w, format);
    print(w, s->value, LEVEL_ANY);
    print_until_operand(w, format);
}

static void print_assignment(Clike *w, const Stmt *s)
{
    bool local = s->kind == STMT_SET, vectors = local && w->kernel->local.at[s->index].lanes > 1;
    size_t begin = begin_line(w);
    if (s->value->lanes > 1 && !vectors) {
        print_vector_store(w, s, local);
    } else {
        print_element(w, local, s->index, vectors ? vector_index(s->at) : s->at);
        text_add(w->text, " = ");
        print(w, s->value, LEVEL_ANY);
    }
    end_line(w, begin, ";");
}

static void print_prefetch(Clike *w, const Stmt *s)
{
    size_t begin = begin_line(w);
    text_add(w->text, "__builtin_prefetch(&");
    print_element(w, false, s->index, s->at);
    end_line(w, begin, ");");
}

static void print_block(Clike *w, const Stmt *s)
{
    for (; s; s = s->next)
        switch (s->kind) {
        case STMT_FOR:
            print_for(w, s);
            break;
        case STMT_IF:
            print_if(w, s);
            break;
        case STMT_LET:
            print_let(w, s);
            break;
        case STMT_SET:
        case STMT_STORE:
            print_assignment(w, s);
            break;
        case STMT_PREFETCH:
            print_prefetch(w, s);
            break;
        }
}

/* ---- the kernel ------------------------------------------------------------------------------------ */

enum { MOST_VARIABLES = 128 };

/* Whether an access to a local means one whole element of constant index. */
static bool is_plain_access(const Local *local, const Expr *at, int lanes)
{
    int64_t element;
    return lanes == local->lanes && expr_is_int(local->lanes > 1 ? vector_index(at) : at, &element);
}

static void survey_expr(Clike *w, const Expr *e)
{
    if (e->kind == EXPR_LOAD)
        w->uses_buffer[e->index] = true;
    if (e->kind == EXPR_ARGUMENT)
        w->uses_argument[e->index] = true;
    if (e->kind == EXPR_LOCAL && !is_plain_access(&w->kernel->local.at[e->index], e->arg[0], e->lanes))
        w->scattered[e->index] = false;
    for (int i = 0; i < e->count; i++)
        survey_expr(w, e->arg[i]);
}

static void survey_block(Clike *w, const Stmt *s)
{
    for (; s; s = s->next) {
        const Expr *part[] = {s->extent, s->at, s->value};
        for (int i = 0; i < 3; i++)
            if (part[i])
                survey_expr(w, part[i]);
        if (s->kind == STMT_STORE || s->kind == STMT_PREFETCH)
            w->uses_buffer[s->index] = true;
        if (s->kind == STMT_SET && !is_plain_access(&w->kernel->local.at[s->index], s->at, s->value->lanes))
            w->scattered[s->index] = false;
        survey_block(w, s->body);
    }
}

static void print_locals(Clike *w)
{
    for (int i = 0; i < w->kernel->local.count; i++) {
        const Local *local = &w->kernel->local.at[i];
        const char *type = local->lanes == 1 && local->dtype == DTYPE_BOOL
                               ? dtype_info[DTYPE_BOOL].ctype
                               : w->dialect->type(w, local->dtype, local->lanes);
        size_t begin = begin_line(w);
        text_printf(w->text, "%s ", type);
        if (!w->scattered[i])
            text_printf(w->text, "l%d[%lld]", i, (long long)local->count);
        for (int64_t n = 0; w->scattered[i] && n < local->count; n++)
            text_printf(w->text, "%sl%d_%lld", n ? ", " : "", i, (long long)n);
        text_add(w->text, "; ");
        clike_comment(w->text, local->name ? local->name : "");
        end_line(w, begin, "");
    }
}

void clike_kernel(Text *text, Arena *arena, const Dialect *dialect, void *context, const Kernel *kernel)
{
    Clike w = {.dialect = dialect, .context = context, .arena = arena, .kernel = kernel, .text = text};
    w.uses_buffer = arena_alloc(arena, (size_t)kernel->buffer.count);
    w.uses_argument = arena_alloc(arena, (size_t)kernel->arguments);
    w.scattered = arena_alloc(arena, (size_t)kernel->local.count);
    for (int i = 0; i < kernel->local.count; i++)
        w.scattered[i] = kernel->local.at[i].count <= MOST_VARIABLES;
    survey_block(&w, kernel->body);
    if (kernel->comment) {
        size_t begin = begin_line(&w);
        clike_comment(text, kernel->comment);
        end_line(&w, begin, "");
    }
    dialect->open(&w);
    print_locals(&w);
    print_block(&w, kernel->body);
    dialect->close(&w);
}
