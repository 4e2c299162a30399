#include "kernel.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef enum TempState { TEMP_UNBOUND, TEMP_IN_SCOPE, TEMP_OUT_OF_SCOPE } TempState;

enum { MAX_LANES = 64, MAX_QUOTE = 80 };

typedef struct Checker {
    const Kernel *kernel;
    Arena *arena;
    const char *fault; /* the first; whoever sees it returns */
    TempState *temp;
    bool *axis;            /* in scope */
    LIST(int) bound;       /* temps of the blocks around, in order */
    int *seen, seen_size;  /* by Expr.id: the last expression in which it stood */
    int expression;        /* counts the roots */
    const Stmt *statement; /* the one being checked; NULL: the declarations */
} Checker;

static void fail(Checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *statement_text(Checker *c)
{
    const Stmt *s = c->statement;
    switch (s->kind) {
    case STMT_FOR:
        return arena_printf(c->arena, "loop i%d", s->index);
    case STMT_IF:
        return "if";
    case STMT_LET:
        return arena_printf(c->arena, "let t%d", s->index);
    case STMT_SET:
        return arena_printf(c->arena, "set l%d", s->index);
    case STMT_STORE:
        return arena_printf(c->arena, "store x%d", s->index);
    case STMT_PREFETCH:
        return arena_printf(c->arena, "prefetch x%d", s->index);
    }
    return "statement";
}

static void fail(Checker *c, const char *format, ...)
{
    if (c->fault)
        return;
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(c->arena, format, arguments);
    va_end(arguments);
    const char *kernel = c->kernel->name;
    c->fault = c->statement ? arena_printf(c->arena, "kernel %s: %s: %s", kernel, statement_text(c), text)
                            : arena_printf(c->arena, "kernel %s: %s", kernel, text);
}

/* An expression for a message, cut where it is long. */
static const char *quote(Checker *c, const Expr *e)
{
    Text text = {0};
    expr_print(&text, e);
    const char *copy =
        arena_printf(c->arena, "%.*s%s", MAX_QUOTE, text_string(&text), text.length > MAX_QUOTE ? "..." : "");
    text_free(&text);
    return copy;
}

static const char *element_text(Checker *c, DType dtype, int lanes)
{
    return lanes == 1 ? dtype_info[dtype].name
                      : arena_printf(c->arena, "%sx%d", dtype_info[dtype].name, lanes);
}

static void want(Checker *c, const Expr *e, DType dtype, int lanes)
{
    if (e->dtype != dtype || e->lanes != lanes)
        fail(c, "'%s' is %s, not %s", quote(c, e), element_text(c, e->dtype, e->lanes),
             element_text(c, dtype, lanes));
}

/* ---- expressions --------------------------------------------------------------------------------------- */

/* Which elements a scalar function knows. The rows whose C text has the suffix of float functions are theirs.
 */
static bool takes(ScalarOp op, DType dtype)
{
    bool is_float = dtype_is_float(dtype);
    switch (op) {
    case SCALAR_MOD:
    case SCALAR_SHL:
    case SCALAR_SHR:
    case SCALAR_MULHI:
    case SCALAR_CTZ:
        return !is_float && dtype != DTYPE_BOOL;
    case SCALAR_AND:
    case SCALAR_OR:
    case SCALAR_XOR:
        return !is_float;
    case SCALAR_ADD:
    case SCALAR_SUB:
    case SCALAR_MUL:
    case SCALAR_DIV:
    case SCALAR_NEG:
        return dtype != DTYPE_BOOL;
    default:
        return is_float || (scalar_info[op].c && !strstr(scalar_info[op].c, "%F"));
    }
}

static void check_apply(Checker *c, const Expr *e)
{
    const ScalarInfo *info = &scalar_info[e->op];
    if (e->count != info->arity) {
        fail(c, "%s takes %d operands, not %d", info->name, info->arity, e->count);
        return;
    }
    int first = e->op == SCALAR_SELECT;
    DType operands = e->arg[first]->dtype;
    if (first)
        want(c, e->arg[0], DTYPE_BOOL, e->lanes);
    for (int i = first; i < e->count; i++)
        want(c, e->arg[i], operands, e->lanes);
    want(c, e, info->boolean ? DTYPE_BOOL : operands, e->lanes);
    if (!takes(e->op, operands))
        fail(c, "%s does not take %s: '%s'", info->name, dtype_info[operands].name, quote(c, e));
}

static void check_load(Checker *c, const Expr *e)
{
    const Kernel *k = c->kernel;
    if (e->index < 0 || e->index >= k->buffer.count) {
        fail(c, "x%d is no buffer of the kernel", e->index);
        return;
    }
    want(c, e, k->buffer.at[e->index].dtype, e->lanes);
    if (!k->buffer.at[e->index].read)
        fail(c, "x%d is read, but not marked so", e->index);
    want(c, e->arg[0], DTYPE_I64, e->lanes);
    if (e->count == 3) {
        want(c, e->arg[1], DTYPE_BOOL, e->lanes);
        want(c, e->arg[2], e->dtype, e->lanes);
    }
}

/* The place of a local's element or vector, with the number of elements from there on that are meant. Where
   it is constant, it lies within the local. */
static void check_place(Checker *c, int index, const Expr *at, int lanes)
{
    const Local *local = &c->kernel->local.at[index];
    bool wide = local->lanes > 1;
    const Expr *base = at->kind == EXPR_RAMP || (wide && at->kind == EXPR_SPLAT) ? at->arg[0] : at;
    int64_t first, last;
    if (wide && (lanes != local->lanes || base->lanes != 1 || at->kind == EXPR_RAMP))
        fail(c, "l%d holds vectors of %d, but is addressed by '%s' for %d", index, local->lanes, quote(c, at),
             lanes);
    if (!expr_is_int(base, &first))
        return;
    int64_t stride = at->kind == EXPR_RAMP ? at->integer : 1, steps = wide ? 0 : lanes - 1;
    bool overflow =
        __builtin_mul_overflow(stride, steps, &last) || __builtin_add_overflow(first, last, &last);
    if (overflow || first < 0 || last < 0 || first >= local->count || last >= local->count)
        fail(c, "l%d has %lld elements, but '%s' for %d lanes is outside", index, (long long)local->count,
             quote(c, at), lanes);
}

static void check_local(Checker *c, const Expr *e)
{
    const Kernel *k = c->kernel;
    if (e->index < 0 || e->index >= k->local.count) {
        fail(c, "l%d is no local of the kernel", e->index);
        return;
    }
    const Local *local = &k->local.at[e->index];
    want(c, e, local->dtype, e->lanes);
    want(c, e->arg[0], DTYPE_I64, local->lanes > 1 ? e->arg[0]->lanes : e->lanes);
    check_place(c, e->index, e->arg[0], e->lanes);
}

static void check_temp(Checker *c, const Expr *e)
{
    const Kernel *k = c->kernel;
    if (e->index < 0 || e->index >= k->temp.count)
        fail(c, "t%d is no temp of the kernel", e->index);
    else if (c->temp[e->index] == TEMP_UNBOUND)
        fail(c, "t%d is used before it is bound", e->index);
    else if (c->temp[e->index] == TEMP_OUT_OF_SCOPE)
        fail(c, "t%d is used outside the block that binds it", e->index);
    else
        want(c, e, k->temp.at[e->index], k->temp_lanes.at[e->index]);
}

static void check_axis(Checker *c, int axis)
{
    if (axis < 0 || axis >= c->kernel->axes)
        fail(c, "i%d is no axis of the kernel", axis);
    else if (!c->axis[axis])
        fail(c, "i%d is used outside its loop", axis);
}

/* The node itself; its operands have been checked. */
static void check_node(Checker *c, const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST:
        want(c, e, e->dtype, 1);
        break;
    case EXPR_AXIS:
        want(c, e, DTYPE_I64, 1);
        check_axis(c, e->index);
        break;
    case EXPR_ARGUMENT:
        want(c, e, DTYPE_I64, 1);
        if (e->index < 0 || e->index >= c->kernel->arguments)
            fail(c, "a%d is no argument of the kernel", e->index);
        break;
    case EXPR_APPLY:
        check_apply(c, e);
        break;
    case EXPR_CAST:
        want(c, e->arg[0], e->arg[0]->dtype, e->lanes);
        break;
    case EXPR_BITCAST:
        want(c, e->arg[0], e->arg[0]->dtype, e->lanes);
        if (dtype_info[e->dtype].bytes != dtype_info[e->arg[0]->dtype].bytes)
            fail(c, "'%s' changes the number of bits", quote(c, e));
        break;
    case EXPR_LOAD:
        check_load(c, e);
        break;
    case EXPR_LOCAL:
        check_local(c, e);
        break;
    case EXPR_TEMP:
        check_temp(c, e);
        break;
    case EXPR_REDUCE: /* see is_left */
        break;
    case EXPR_RAMP:
        want(c, e->arg[0], DTYPE_I64, 1);
        want(c, e, DTYPE_I64, e->lanes);
        break;
    case EXPR_SPLAT:
        want(c, e->arg[0], e->dtype, 1);
        break;
    }
}

/* Operands that each kind has; a function's arity is its row's affair. */
static bool has_operands(const Expr *e)
{
    int least = e->kind <= EXPR_ARGUMENT || e->kind == EXPR_TEMP ? 0 : 1, most = least;
    if (e->kind == EXPR_APPLY)
        most = 3;
    if (e->kind == EXPR_LOAD)
        most = e->count == 3 ? 3 : 1;
    if (e->count < least || e->count > most)
        return false;
    for (int i = 0; i < e->count; i++)
        if (!e->arg[i])
            return false;
    return true;
}

/* What costs nothing to have twice. */
static bool is_cheap(const Expr *e)
{
    bool vector = e->kind == EXPR_SPLAT || e->kind == EXPR_RAMP;
    return e->count == 0 || (vector && e->arg[0]->count == 0);
}

static bool seen_before(Checker *c, const Expr *e)
{
    if (e->id >= c->seen_size) {
        int size = 2 * e->id + 64;
        c->seen = realloc(c->seen, (size_t)size * sizeof *c->seen);
        if (!c->seen)
            abort();
        memset(c->seen + c->seen_size, 0, (size_t)(size - c->seen_size) * sizeof *c->seen);
        c->seen_size = size;
    }
    bool before = c->seen[e->id] == c->expression;
    c->seen[e->id] = c->expression;
    return before;
}

/* What a pass before should have replaced. */
static bool is_left(const Expr *e)
{
    bool expands = e->kind == EXPR_APPLY && scalar_info[e->op].expand;
    return e->kind == EXPR_REDUCE || (expands && e->dtype != DTYPE_F64); /* f64: see scalar_expand.h */
}

static void check_tree(Checker *c, const Expr *e)
{
    if (c->fault)
        return;
    if ((unsigned)e->kind > EXPR_SPLAT || (unsigned)e->dtype >= DTYPE_COUNT || !has_operands(e) ||
        (e->kind == EXPR_APPLY && (unsigned)e->op >= SCALAR_COUNT))
        fail(c, "an expression has no kind, function or element type, or a wrong number of operands");
    else if (e->lanes < 1 || e->lanes > MAX_LANES)
        fail(c, "an expression has %d lanes, not 1 to %d", e->lanes, MAX_LANES);
    else if (is_left(e))
        fail(c, "'%s' is no primitive", quote(c, e));
    else if (!is_cheap(e) && seen_before(c, e))
        fail(c, "'%s' occurs twice in one expression, but is bound to no temp", quote(c, e));
    for (int i = 0; i < e->count && !c->fault; i++)
        check_tree(c, e->arg[i]);
    if (!c->fault)
        check_node(c, e);
}

static void check_expression(Checker *c, const Expr *e)
{
    c->expression++;
    if (e)
        check_tree(c, e);
    else
        fail(c, "an expression is missing");
}

/* ---- statements ---------------------------------------------------------------------------------------- */

static void check_block(Checker *c, const Stmt *stmt);

static void check_for(Checker *c, const Stmt *s)
{
    check_expression(c, s->extent);
    if (c->fault)
        return;
    want(c, s->extent, DTYPE_I64, 1);
    if (s->index < 0 || s->index >= c->kernel->axes)
        fail(c, "i%d is no axis of the kernel", s->index);
    else if (c->axis[s->index])
        fail(c, "i%d is already an axis around this loop", s->index);
    if (c->fault)
        return;
    c->axis[s->index] = true;
    check_block(c, s->body);
    c->axis[s->index] = false;
}

static void check_let(Checker *c, const Stmt *s)
{
    const Kernel *k = c->kernel;
    if (s->index < 0 || s->index >= k->temp.count)
        fail(c, "t%d is no temp of the kernel", s->index);
    else if (c->temp[s->index] != TEMP_UNBOUND)
        fail(c, "t%d is bound twice", s->index);
    check_expression(c, s->value);
    if (c->fault)
        return;
    want(c, s->value, k->temp.at[s->index], k->temp_lanes.at[s->index]);
    c->temp[s->index] = TEMP_IN_SCOPE;
    list_add(c->arena, &c->bound, s->index);
}

static void check_set(Checker *c, const Stmt *s)
{
    const Kernel *k = c->kernel;
    check_expression(c, s->at);
    check_expression(c, s->value);
    if (!c->fault && (s->index < 0 || s->index >= k->local.count))
        fail(c, "l%d is no local of the kernel", s->index);
    if (c->fault)
        return;
    int lanes = s->value->lanes;
    bool one_place = k->local.at[s->index].lanes > 1 || s->at->lanes == 1;
    want(c, s->value, k->local.at[s->index].dtype, lanes);
    want(c, s->at, DTYPE_I64, one_place ? s->at->lanes : lanes);
    check_place(c, s->index, s->at, lanes);
}

static void check_store(Checker *c, const Stmt *s)
{
    const Kernel *k = c->kernel;
    check_expression(c, s->at);
    check_expression(c, s->value);
    if (!c->fault && (s->index < 0 || s->index >= k->buffer.count))
        fail(c, "x%d is no buffer of the kernel", s->index);
    if (c->fault)
        return;
    if (!k->buffer.at[s->index].written)
        fail(c, "x%d is written, but not marked so", s->index);
    want(c, s->value, k->buffer.at[s->index].dtype, s->value->lanes);
    want(c, s->at, DTYPE_I64, s->value->lanes);
}

static void check_prefetch(Checker *c, const Stmt *s)
{
    check_expression(c, s->at);
    if (!c->fault && (s->index < 0 || s->index >= c->kernel->buffer.count))
        fail(c, "x%d is no buffer of the kernel", s->index);
    if (!c->fault)
        want(c, s->at, DTYPE_I64, 1);
}

static void check_statement(Checker *c, const Stmt *s)
{
    c->statement = s;
    switch (s->kind) {
    case STMT_FOR:
        check_for(c, s);
        return;
    case STMT_IF:
        check_expression(c, s->value);
        if (!c->fault)
            want(c, s->value, DTYPE_BOOL, 1);
        check_block(c, s->body);
        return;
    case STMT_LET:
        check_let(c, s);
        return;
    case STMT_SET:
        check_set(c, s);
        return;
    case STMT_STORE:
        check_store(c, s);
        return;
    case STMT_PREFETCH:
        check_prefetch(c, s);
        return;
    }
    fail(c, "a statement has no kind");
}

/* Temps bound in a block are gone after it. */
static void check_block(Checker *c, const Stmt *stmt)
{
    int outer = c->bound.count;
    for (; stmt && !c->fault; stmt = stmt->next)
        check_statement(c, stmt);
    for (; c->bound.count > outer; c->bound.count--)
        c->temp[c->bound.at[c->bound.count - 1]] = TEMP_OUT_OF_SCOPE;
}

/* ---- the kernel ---------------------------------------------------------------------------------------- */

static bool is_identifier(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char also_digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return name && strspn(name, letters) && !name[strspn(name, also_digits)];
}

static void check_declarations(Checker *c)
{
    const Kernel *k = c->kernel;
    Items items = k->items;
    if (k->arguments < 1)
        fail(c, "it lacks the argument 'batch'");
    if (k->axes < 0 || k->item_axis < -1 || k->item_axis >= k->axes)
        fail(c, "its items run along i%d, which is no axis", k->item_axis);
    if (items.outer < 0 || items.size.count < 0 || items.size.power < 0 || items.divisor < 1)
        fail(c, "the number of items is negative or divided by 0");
    if (k->item_axis < 0 && (items.outer != 1 || items.size.power || items.size.count != 1))
        fail(c, "it has items, but no axis for them");
    if (k->temp.count != k->temp_lanes.count)
        fail(c, "%d temps have an element type, %d a width", k->temp.count, k->temp_lanes.count);
    for (int i = 0; i < k->buffer.count; i++)
        if ((unsigned)k->buffer.at[i].dtype >= DTYPE_COUNT)
            fail(c, "x%d has no element type", i);
    for (int i = 0; i < k->local.count; i++) {
        const Local *l = &k->local.at[i];
        if ((unsigned)l->dtype >= DTYPE_COUNT || l->count < 1 || l->lanes < 1 || l->lanes > MAX_LANES)
            fail(c, "l%d has no element type, no elements or not 1 to %d lanes", i, MAX_LANES);
    }
}

const char *kernel_fault(const Kernel *kernel)
{
    Arena *arena = exprs_arena(kernel->pool);
    if (!is_identifier(kernel->name))
        return arena_printf(arena, "a kernel's name '%s' is no identifier", kernel->name ? kernel->name : "");
    Checker c = {.kernel = kernel, .arena = arena};
    check_declarations(&c);
    if (!c.fault) {
        c.temp = calloc((size_t)kernel->temp.count + 1, sizeof *c.temp);
        c.axis = calloc((size_t)kernel->axes + 1, sizeof *c.axis);
        if (!c.temp || !c.axis)
            abort();
        if (kernel->item_axis >= 0)
            c.axis[kernel->item_axis] = true;
        check_block(&c, kernel->body);
        free(c.temp);
        free(c.axis);
        free(c.seen);
    }
    return c.fault;
}
