#include "ops.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const OpInfo op_info[OP_COUNT] = {
#define OP(kind, name, inputs, class, attrs, infer, define, gradient)                                        \
    [OP_##kind] = {name, inputs, class, attrs},
#define MAP(kind, name, inputs, gradient) [OP_##kind] = {name, inputs, OP_CLASS_MAP, ""},
#include "ops.def"
#undef OP
#undef MAP
};

const OpRule op_rule[OP_COUNT] = {
#define OP(kind, name, inputs, class, attrs, infer, define, gradient) [OP_##kind] = {infer, define, gradient},
#define MAP(kind, name, inputs, gradient) [OP_##kind] = {infer_map, define_map, gradient},
#include "ops.def"
#undef OP
#undef MAP
};

OpKind op_find(const char *name)
{
    int op = 0;
    while (op < OP_COUNT && strcmp(op_info[op].name, name))
        op++;
    return (OpKind)op;
}

int op_attrs(OpKind op)
{
    int count = 0;
    for (const char *at = op_info[op].attrs; *at; at += strcspn(at, " "), at += strspn(at, " "))
        count++;
    return count;
}

const char *op_attr_name(OpKind op, int attr, int *length)
{
    const char *at = op_info[op].attrs;
    for (; attr > 0; attr--) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    *length = (int)strcspn(at, " ");
    return at;
}

AttrUse op_attr_use(OpKind op, int attr, int place)
{
    if (op == OP_RANDOM && attr == 0)
        return ATTR_ARGUMENT;
    if (op == OP_AGAIN)
        return ATTR_NUMBER;
    bool loop = op == OP_CARRY || op == OP_STEP || op == OP_STACK || op == OP_LAST;
    if ((loop && attr == 0 && place == 0) || (op == OP_CARRY && attr == 1))
        return ATTR_NUMBER;
    return ATTR_COMPUTED;
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static _Thread_local char why[600];

const char *graph_why(void) { return why; }

bool refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return false;
}

const char *shape_text(const Type *type)
{
    static _Thread_local char ring[8][160];
    static _Thread_local int next;
    Text text = {0};
    type_print(&text, type);
    char *slot = ring[next++ % 8];
    snprintf(slot, sizeof ring[0], "%s", text_string(&text));
    text_free(&text);
    return slot;
}

bool graph_infer(const Node *node, Type *type)
{
    const OpInfo *info = &op_info[node->op];
    for (int i = 0; i < info->inputs; i++)
        if (!node->in[i])
            return refuse("%s: input %d is missing", info->name, i + 1);
    if (!op_rule[node->op].infer(node, type))
        return false;
    Size elements;
    if (!type_elements(type, &elements))
        return refuse("%s: %s is too large: at most 2^40 along an axis and 2^48 elements", info->name,
                      shape_text(type));
    return true;
}

/* ---- rows without a function --------------------------------------------------------------------------- */

void no_derivative(Graph *graph, Node *node, Node *dy, Node **dx) { no_gradient(graph, node, dy, dx); }

void no_gradient(Graph *graph, Node *node, Node *dy, Node **dx)
{
    (void)graph;
    (void)node;
    (void)dy;
    (void)dx;
}

Expr *no_define(Definer *d, const Node *node, Expr *const *at)
{
    (void)node;
    (void)at;
    assert(!"a node that a pass replaces before lowering");
    return expr_int(d->pool, DTYPE_I64, 0);
}

/* ---- what definitions share ---------------------------------------------------------------------------- */

Expr *read_where(Definer *d, const Node *node, Expr *const *at, Expr *where, Expr *otherwise)
{
    Exprs *pool = d->pool;
    int64_t known;
    bool is_known = !where || expr_is_int(where, &known);
    if (!where || (is_known && known))
        return d->read(d, node, at);
    if (is_known)
        return otherwise;
    Expr *outer = d->where;
    d->where = expr_and(pool, outer, where);
    Expr *value = d->read(d, node, at);
    Expr *inner = d->where;
    d->where = outer;
    if (value->kind == EXPR_LOAD && value->arg[1] == inner)
        return expr_load(pool, value->dtype, value->index, value->arg[0], inner, otherwise);
    return expr_apply(pool, SCALAR_SELECT, where, value, otherwise);
}

Expr *reduce_axis(Definer *d, Size extent)
{
    if (size_is_one(extent))
        return expr_int(d->pool, DTYPE_I64, 0);
    return expr_axis(d->pool, d->axis(d, extent, NULL));
}

/* Adds the axis of an index made by reduce_axis to a reduction (an extent of 1 has none). */
void reduction_add(Reduction *r, const Expr *index)
{
    if (index->kind == EXPR_AXIS)
        r->axis[r->axes++] = index->index;
}

/* V: the largest power of two up to 8 that leaves SHARD_TERMS terms a shard at the nominal batch. */
static int64_t shard_count(const Model *model, const ContractAxes *axes)
{
    if (axes->extent[0].power == 0)
        return 1;
    int64_t terms = 1;
    for (int i = 0; i < axes->count; i++)
        terms *= size_at(axes->extent[i], model->batch);
    int64_t shards = 1;
    while (shards < MAX_SHARDS && terms / (2 * shards) >= SHARD_TERMS)
        shards *= 2;
    int64_t most = size_at(axes->extent[0], model->batch);
    while (shards > most)
        shards /= 2;
    return shards;
}

void contract_axes(Definer *d, ContractAxes *axes)
{
    Exprs *pool = d->pool;
    Reduction *r = &axes->reduction;
    *r = (Reduction){.op = SCALAR_ADD, .fma = true, .tree = TREE_CHAIN, .inner = TREE_CHAIN};
    int64_t shards = shard_count(d->model, axes);
    int first = 0;
    if (shards > 1) { /* n = shard · length + rest, the last shards may be shorter or empty */
        Expr *extent = expr_size(pool, axes->extent[0]), *count = expr_int(pool, DTYPE_I64, shards);
        Expr *length = expr_div(pool, expr_add(pool, extent, expr_int(pool, DTYPE_I64, shards - 1)), count);
        Expr *shard = reduce_axis(d, size_of(shards));
        Expr *begin = expr_mul(pool, shard, length);
        Expr *left = expr_sub(pool, extent, begin);
        Expr *terms = expr_apply(pool, SCALAR_SELECT, expr_less(pool, left, length), left, length);
        Expr *rest = expr_axis(pool, d->axis(d, axes->extent[0], terms));
        axes->at[0] = expr_add(pool, begin, rest);
        reduction_add(r, shard);
        reduction_add(r, rest);
        r->tree = TREE_LEAVES;
        r->leaf = 1;
        first = 1;
    }
    for (int i = first; i < axes->count; i++) {
        axes->at[i] = reduce_axis(d, axes->extent[i]);
        reduction_add(r, axes->at[i]);
    }
}
