/* The core ops: layers without a body in prelude/core.net, one function each. */
#include "elaborate.h"

#include <math.h>
#include <string.h>

static Value refuse(Elaborator *e, const Item *item, Value value, const char *why, Span span)
{
    report(e, span, "%s: %s", item->name.text, why);
    report_origin(e, NULL, value);
    report_signature(e, item);
    return value_poison;
}

/* ---- arguments ---- */

static bool is_number(Value value)
{
    return value_is_number(value) && !(value.kind == VALUE_INT && value.integer.power);
}

static bool is_tensor(Value value) { return value.kind == VALUE_TENSOR || value.kind == VALUE_OPTION; }

/* An axis counted from the end becomes one from the start. */
static bool axis_of(Value value, int rank, int64_t *axis)
{
    if (value.kind != VALUE_INT || value.integer.power || value.integer.count < -rank ||
        value.integer.count >= rank)
        return false;
    *axis = value.integer.count + (value.integer.count < 0 ? rank : 0);
    return true;
}

/* One axis, a list of different ones, or all for none. */
static bool axes_of(Value value, int rank, Ints *axes)
{
    *axes = (Ints){0};
    if (value.kind == VALUE_NONE)
        for (; axes->count < rank; axes->count++)
            axes->at[axes->count] = axes->count;
    if (value.kind == VALUE_NONE)
        return true;
    const Value *at = value.kind == VALUE_LIST ? value.list->at : &value;
    int count = value.kind == VALUE_LIST ? value.list->count : 1;
    for (int i = 0; i < count; i++) {
        int64_t axis;
        if (i == MAX_RANK || !axis_of(at[i], rank, &axis))
            return false;
        for (int j = 0; j < i; j++)
            if (axes->at[j] == axis)
                return false;
        axes->at[axes->count++] = axis;
    }
    return true;
}

static bool ints_of(const ValueList *list, Ints *ints)
{
    *ints = (Ints){0};
    for (int i = 0; i < list->count; i++) {
        if (i == MAX_RANK || list->at[i].kind != VALUE_INT || list->at[i].integer.power)
            return false;
        ints->at[ints->count++] = list->at[i].integer.count;
    }
    return true;
}

/* A shape given as a list of sizes. */
static bool shape_of(Elaborator *e, const Item *item, Value value, DType dtype, Type *type, Span span)
{
    *type = type_scalar(dtype);
    bool good = value.list->count <= MAX_RANK;
    for (int i = 0; good && i < value.list->count; i++) {
        good = value.list->at[i].kind == VALUE_INT && value.list->at[i].integer.count >= 0;
        if (good)
            type->dim[type->rank++] = value.list->at[i].integer;
    }
    Size elements;
    if (good && type_elements(type, &elements))
        return true;
    report(e, span,
           good ? "%s: the shape %s is too large: at most 2^40 along an axis and 2^48 elements"
                : "%s: a shape is a list of at most 8 ints of at least 0, not %s",
           item->name.text, value_text(e, value));
    return false;
}

static Value added(Elaborator *e, Node node, Value x, Span span) { return tensor_add(e, node, span, &x, 1); }

/* ---- elementwise ---- */

static const struct {
    const char *name;
    OpKind op;
    double (*number)(double);
} unary_rows[] = {
    {"abs", OP_ABS, fabs},      {"exp", OP_EXP, exp},    {"log", OP_LOG, log}, {"sqrt", OP_SQRT, sqrt},
    {"tanh", OP_TANH, tanh},    {"erf", OP_ERF, erf},    {"sin", OP_SIN, sin}, {"cos", OP_COS, cos},
    {"floor", OP_FLOOR, floor}, {"relu", OP_RELU, NULL},
};

static Value builtin_unary(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    int row = 0;
    while (strcmp(unary_rows[row].name, item->name.text))
        row++;
    Value x = argument[0];
    if (is_number(x) && unary_rows[row].number) {
        double y = unary_rows[row].number(value_real(x));
        if (isnan(y))
            return refuse(e, item, x, format_text(e, "%s has no %s", value_text(e, x), item->name.text),
                          span);
        bool whole = x.kind == VALUE_INT && (unary_rows[row].op == OP_ABS || unary_rows[row].op == OP_FLOOR);
        if (whole && x.integer.count == INT64_MIN && unary_rows[row].op == OP_ABS)
            return refuse(e, item, x, "the result is too large: integers are below 2^63", span);
        return !whole ? value_float(y) : x.integer.count < 0 && y > 0 ? value_int(-x.integer.count) : x;
    }
    return tensor_unary(e, unary_rows[row].op, x, span);
}

static Value builtin_where(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)item;
    return tensor_choose(e, argument[0], argument[1], argument[2], span);
}

static Value builtin_cast(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    DType dtype = dtype_find(item->name.text);
    Value x = argument[0];
    Node *node = tensor_of(e, x, x.kind == VALUE_BOOL ? DTYPE_BOOL : dtype, span);
    if (!node)
        return value_poison;
    if (node->type.dtype == dtype)
        return tensor_value(e, node);
    return added(e, (Node){.op = OP_CAST, .in = {node}, .type = type_like(dtype, &node->type)}, x, span);
}

/* ---- reductions ---- */

static Value reduce(Elaborator *e, const Item *item, OpKind op, Value x, Value axis, Value keep, Span span)
{
    Node *node = tensor_of(e, x, DTYPE_F32, span);
    Ints axes;
    if (!node)
        return value_poison;
    if (!axes_of(axis, node->type.rank, &axes))
        return refuse(e, item, x,
                      format_text(e, "%s is not an axis or a list of axes of %s", value_text(e, axis),
                                  type_text(e, &node->type)),
                      span);
    if (axes.count == 0)
        return x;
    Value y = added(e, (Node){.op = op, .in = {node}, .attr = {axes}}, x, span);
    if (y.kind != VALUE_TENSOR || !keep.boolean)
        return y;
    Type kept = node->type;
    for (int i = 0; i < axes.count; i++)
        kept.dim[axes.at[i]] = size_of(1);
    return tensor_value(e, graph_reshape(e->graph, y.node, kept));
}

static Value builtin_sum(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    return reduce(e, item, OP_SUM, argument[0], argument[1], argument[2], span);
}

static Value builtin_extreme(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    bool max = !strcmp(item->name.text, "max");
    Value x = argument[0], y = argument[1];
    if (y.kind == VALUE_NONE)
        return reduce(e, item, max ? OP_REDUCE_MAX : OP_REDUCE_MIN, x, argument[2], argument[3], span);
    if (argument[2].kind != VALUE_NONE)
        return refuse(e, item, x, "it takes a second operand or an axis, not both", span);
    if (is_tensor(x) || is_tensor(y))
        return tensor_binary(e, max ? OP_MAX : OP_MIN, item->name.text, x, y, span);
    if (!is_number(x) || !is_number(y))
        return refuse(e, item, x,
                      format_text(e, "it takes numbers or tensors, not %s and %s", described_text(e, x),
                                  described_text(e, y)),
                      span);
    return (value_real(x) < value_real(y)) == max ? y : x;
}

/* ---- views ---- */

static Value builtin_reshape(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Type type;
    Node *x = argument[0].node;
    if (!shape_of(e, item, argument[1], x->type.dtype, &type, span))
        return value_poison;
    return added(e, (Node){.op = OP_RESHAPE, .in = {x}, .type = type}, argument[0], span);
}

static Value builtin_broadcast(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Type type;
    Node *x = tensor_of(e, argument[0], DTYPE_F32, span);
    if (!x || !shape_of(e, item, argument[1], x->type.dtype, &type, span))
        return value_poison;
    return added(e, (Node){.op = OP_BROADCAST, .in = {x}, .type = type}, argument[0], span);
}

static Value builtin_transpose(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node *x = argument[0].node;
    Ints axes;
    int rank = x->type.rank;
    if (!axes_of(argument[1], rank, &axes) || axes.count != rank)
        return refuse(e, item, argument[0],
                      format_text(e, "axes must name each of the %d axes of %s once, but are %s", rank,
                                  type_text(e, &x->type), value_text(e, argument[1])),
                      span);
    if (argument[1].kind == VALUE_NONE && rank > 1) {
        axes.at[rank - 2] = rank - 1;
        axes.at[rank - 1] = rank - 2;
    }
    return added(e, (Node){.op = OP_TRANSPOSE, .in = {x}, .attr = {axes}}, argument[0], span);
}

static Value builtin_slice(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node *x = argument[0].node;
    int64_t axis;
    if (!axis_of(argument[1], x->type.rank, &axis))
        return refuse(
            e, item, argument[0],
            format_text(e, "%s is not an axis of %s", value_text(e, argument[1]), type_text(e, &x->type)),
            span);
    if (argument[2].integer.power || argument[4].integer.power || argument[4].integer.count < 1)
        return refuse(e, item, argument[0],
                      "begin and step are known at compile time, and step is at least 1", span);
    Node node = {.op = OP_SLICE, .in = {x}, .type = x->type};
    for (int d = 0; d < x->type.rank; d++) {
        node.attr[0].at[d] = d == axis ? argument[2].integer.count : 0;
        node.attr[1].at[d] = d == axis ? argument[4].integer.count : 1;
    }
    node.attr[0].count = node.attr[1].count = x->type.rank;
    node.type.dim[axis] = argument[3].integer;
    return added(e, node, argument[0], span);
}

static Value builtin_pad(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node node = {.op = OP_PAD, .in = {argument[0].node}, .value = argument[3].real};
    if (!ints_of(argument[1].list, &node.attr[0]) || !ints_of(argument[2].list, &node.attr[1]))
        return refuse(e, item, argument[0], "low and high are lists of ints", span);
    return added(e, node, argument[0], span);
}

static Value builtin_reverse(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node *x = argument[0].node;
    Ints axes;
    if (!axes_of(argument[1], x->type.rank, &axes))
        return refuse(e, item, argument[0],
                      format_text(e, "%s is not an axis or a list of axes of %s", value_text(e, argument[1]),
                                  type_text(e, &x->type)),
                      span);
    return added(e, (Node){.op = OP_REVERSE, .in = {x}, .attr = {axes}}, argument[0], span);
}

static Value builtin_window(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node *x = argument[0].node;
    Node node = {.op = OP_WINDOW, .in = {x}};
    bool good = axes_of(argument[1], x->type.rank, &node.attr[0]);
    for (int a = 1; a < 4; a++)
        good = good && ints_of(argument[1 + a].list, &node.attr[a]);
    if (!good)
        return refuse(e, item, argument[0], "axis, size, stride and dilation are lists of ints", span);
    return added(e, node, argument[0], span);
}

static Value builtin_convolve(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    int64_t stride = argument[2].integer.count, dilation = argument[3].integer.count;
    if (argument[2].integer.power || argument[3].integer.power || stride < 1 || dilation < 1)
        return refuse(e, item, value_none, "stride and dilation are ints of at least 1", span);
    Node node = {.op = OP_CONV, .in = {argument[0].node, argument[1].node}};
    node.attr[0] = (Ints){2, {stride, stride}};
    node.attr[1] = (Ints){2, {dilation, dilation}};
    return tensor_add(e, node, span, argument, 2);
}

static Value builtin_shift(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Node *x = argument[0].node;
    int64_t axis;
    if (!axis_of(argument[2], x->type.rank, &axis))
        return refuse(
            e, item, argument[0],
            format_text(e, "%s is not an axis of %s", value_text(e, argument[2]), type_text(e, &x->type)),
            span);
    Node node = {.op = OP_SHIFT, .in = {x, argument[1].node}, .attr = {{1, {axis}}}};
    return tensor_add(e, node, span, argument, 2);
}

static Value builtin_gather(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)item;
    Node node = {.op = OP_GATHER, .in = {argument[0].node, argument[1].node}};
    return tensor_add(e, node, span, argument, 2);
}

/* Joined from the left. */
static Value builtin_concat(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    const ValueList *list = argument[0].list;
    Value all = value_none;
    for (int i = 0; i < list->count; i++) {
        int64_t axis;
        if (list->at[i].kind != VALUE_TENSOR)
            return refuse(
                e, item, list->at[i],
                format_text(e, "it takes a list of tensors, not of %s", described_text(e, list->at[i])),
                span);
        if (!axis_of(argument[1], list->at[i].node->type.rank, &axis))
            return refuse(e, item, list->at[i],
                          format_text(e, "%s is not an axis of %s", value_text(e, argument[1]),
                                      type_text(e, &list->at[i].node->type)),
                          span);
        Value pair[] = {all, list->at[i]};
        Node node = {.op = OP_CONCAT, .in = {all.node, pair[1].node}, .attr = {{1, {axis}}}};
        all = i ? tensor_add(e, node, span, pair, 2) : pair[1];
        if (all.kind != VALUE_TENSOR)
            return all;
    }
    return list->count ? all : refuse(e, item, value_none, "the list is empty", span);
}

static Value builtin_iota(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Type type;
    int64_t axis;
    if (!shape_of(e, item, argument[0], DTYPE_I32, &type, span))
        return value_poison;
    if (!axis_of(argument[1], type.rank, &axis))
        return refuse(
            e, item, value_none,
            format_text(e, "%s is not an axis of %s", value_text(e, argument[1]), type_text(e, &type)), span);
    return tensor_value(e, graph_iota(e->graph, type, (int)axis));
}

static Value builtin_stop_gradient(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)item;
    return added(e, (Node){.op = OP_STOP_GRADIENT, .in = {argument[0].node}}, argument[0], span);
}

/* ---- random numbers ---- */

/* What this call's numbers are keyed by: a hash of the names on the way here, so that an edit elsewhere in the file
   does not change them; the n-th of the same names, and what collides, is hashed on. */
static int64_t random_place(Elaborator *e, const Item *item)
{
    const char *scope = e->graph->scope ? e->graph->scope : "";
    const char *path = format_text(e, "%s%s/%s", scope, e->frame ? e->frame->place : "", item->name.text);
    for (int attempt = 0;; attempt++) {
        const char *text = attempt ? format_text(e, "%s#%d", path, attempt) : path;
        int64_t place = (int64_t)(text_hash(text, strlen(text)) & 0x7FFFFFFF);
        const char *key = format_text(e, "%d:%lld", (int)e->phase, (long long)place);
        if (map_find(&e->place, key))
            continue;
        map_set(e->arena, &e->place, key, e);
        return place;
    }
}

/* The shape of random numbers; inside a scan the steps are one more axis. */
static bool random_shape(Elaborator *e, const Item *item, Value value, Type *type, Span span)
{
    if (!shape_of(e, item, value, DTYPE_F32, type, span))
        return false;
    if (!e->scan || type->rank < MAX_RANK)
        return true;
    report(e, span, "%s: inside a scan a shape has at most %d axes, for the steps are one more",
           item->name.text, MAX_RANK - 1);
    return false;
}

/* The upper 24 of 32 random bits, times 2^-24: every float of [0, 1) that is a multiple of it, exactly. `more` is added
   before: 1 gives (0, 1]. */
static Node *uniform(Elaborator *e, Type type, int64_t place, int word, double more)
{
    Graph *g = e->graph;
    Node *bits;
    if (e->scan) { /* every step has its own */
        Type all = type;
        memmove(all.dim + 1, type.dim, sizeof type.dim[0] * (size_t)type.rank);
        all.rank++;
        all.dim[0] = size_of(e->scan->length);
        bits = graph_step(g, graph_random(g, all, place, word), e->scan->loop, false);
    } else {
        bits = graph_random(g, type, place, word);
    }
    Node *upper = graph_binary(g, OP_DIV, bits, graph_const(g, type_like(DTYPE_U32, &type), 256));
    Node *whole = graph_cast(g, upper, DTYPE_F32);
    if (more)
        whole = graph_binary(g, OP_ADD, whole, graph_const(g, type, more));
    return graph_binary(g, OP_MUL, whole, graph_const(g, type, ldexp(1, -24)));
}

static Value builtin_random_uniform(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Type type;
    if (!random_shape(e, item, argument[0], &type, span))
        return value_poison;
    return tensor_value(e, uniform(e, type, random_place(e, item), 0, 0));
}

/* Box and Muller 1958: sqrt(-2 log u) cos(2 pi v). */
static Value builtin_random_normal(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Type type;
    if (!random_shape(e, item, argument[0], &type, span))
        return value_poison;
    Graph *g = e->graph;
    int64_t place = random_place(e, item);
    Node *u = uniform(e, type, place, 0, 1), *v = uniform(e, type, place, 1, 0);
    Node *square = graph_binary(g, OP_MUL, graph_unary(g, OP_LOG, u), graph_const(g, type, -2));
    Node *angle = graph_binary(g, OP_MUL, v, graph_const(g, type, 2 * 3.141592653589793));
    return tensor_value(
        e, graph_binary(g, OP_MUL, graph_unary(g, OP_SQRT, square), graph_unary(g, OP_COS, angle)));
}

/* ---- what is known at compile time ---- */

static Value builtin_shape(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)item;
    (void)span;
    const Type *type = &argument[0].node->type;
    ValueList *list = arena_alloc(e->arena, sizeof *list);
    list->count = type->rank;
    list->at = arena_alloc(e->arena, (size_t)type->rank * sizeof *list->at);
    for (int d = 0; d < type->rank; d++)
        list->at[d] = value_size(type->dim[d]);
    return (Value){.kind = VALUE_LIST, .list = list};
}

static Value builtin_rank(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)e;
    (void)item;
    (void)span;
    return value_int(argument[0].node->type.rank);
}

static Value builtin_size(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)e;
    (void)item;
    (void)span;
    Size elements;
    type_elements(&argument[0].node->type, &elements); /* holds for every node */
    return value_size(elements);
}

static Value builtin_len(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)e;
    (void)item;
    (void)span;
    return value_int(argument[0].list->count);
}

static Value builtin_divide(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    Size a = argument[0].integer, b = argument[1].integer, quotient;
    if (b.count == 0)
        return refuse(e, item, value_none, "division by zero", span);
    if (a.count == INT64_MIN && b.count == -1)
        return refuse(e, item, value_none, "the result is too large: integers are below 2^63", span);
    if (size_divide(a, b, &quotient))
        return value_size(quotient);
    if (a.power || b.power)
        return refuse(e, item, value_none, "batch is known only at run time: the division must be exact",
                      span);
    bool up = !strcmp(item->name.text, "ceil_div"), negative = (a.count < 0) != (b.count < 0);
    return value_int(a.count / b.count + (up ? !negative : -negative));
}

static Value builtin_known(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    (void)e;
    (void)item;
    (void)span;
    return value_bool(is_number(value_known(argument[0])));
}

static Value builtin_int(Elaborator *e, const Item *item, const Value *argument, Span span)
{
    double x = trunc(value_real(value_known(argument[0])));
    if (!(fabs(x) < 9e18))
        return refuse(e, item, value_none, "the number is too large", span);
    return value_int((int64_t)x);
}

/* ---- the table ---- */

static const struct {
    const char *name;
    Builtin *function;
} rows[] = {
    {"where", builtin_where},
    {"sum", builtin_sum},
    {"max", builtin_extreme},
    {"min", builtin_extreme},
    {"reshape", builtin_reshape},
    {"broadcast", builtin_broadcast},
    {"transpose", builtin_transpose},
    {"slice", builtin_slice},
    {"pad", builtin_pad},
    {"reverse", builtin_reverse},
    {"window", builtin_window},
    {"convolve", builtin_convolve},
    {"shift", builtin_shift},
    {"gather", builtin_gather},
    {"concat", builtin_concat},
    {"iota", builtin_iota},
    {"stop_gradient", builtin_stop_gradient},
    {"random_uniform", builtin_random_uniform},
    {"random_normal", builtin_random_normal},
    {"shape", builtin_shape},
    {"rank", builtin_rank},
    {"size", builtin_size},
    {"len", builtin_len},
    {"floor_div", builtin_divide},
    {"ceil_div", builtin_divide},
    {"known", builtin_known},
    {"int", builtin_int},
};

Builtin *builtin_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strcmp(rows[i].name, name))
            return rows[i].function;
    for (size_t i = 0; i < sizeof unary_rows / sizeof unary_rows[0]; i++)
        if (!strcmp(unary_rows[i].name, name))
            return builtin_unary;
    return dtype_find(name) != DTYPE_COUNT ? builtin_cast : NULL;
}
