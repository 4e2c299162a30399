#include "elaborate.h"

#include <math.h>
#include <string.h>

Value tensor_value(Elaborator *e, Node *node)
{
    return (Value){.kind = VALUE_TENSOR, .phase = e->phase, .node = node};
}

/* ---- numbers as tensors ---- */

static bool fits(DType dtype, double value)
{
    const DTypeInfo *info = &dtype_info[dtype];
    if (info->class == CLASS_FLOAT)
        return true;
    if (info->class == CLASS_BOOL)
        return value == 0 || value == 1;
    double span = ldexp(1, 8 * info->bytes);
    double least = info->class == CLASS_SIGNED ? -span / 2 : 0;
    return floor(value) == value && value >= least && value < least + span;
}

/* c * batch^p as a number of the run. */
static Node *size_node(Elaborator *e, Size size, DType dtype, Span span)
{
    bool negative = size.count < 0, whole = size.count != INT64_MIN;
    if (negative && whole)
        size.count = -size.count;
    if (!whole || size.count > MAX_DIM || size.power > MAX_RANK) {
        report(e, span, "%s is too large for a number of the run: at most 2^40*batch^%d",
               value_text(e, value_size(size)), MAX_RANK);
        return NULL;
    }
    Node *node = graph_size(e->graph, dtype, size);
    return negative ? graph_unary(e->graph, OP_NEG, node) : node;
}

static Node *number_node(Elaborator *e, Value value, DType dtype, Span span)
{
    if (value.kind == VALUE_INT && value.integer.power)
        return size_node(e, value.integer, dtype, span);
    double number = value_real(value);
    if (fits(dtype, number))
        return graph_number(e->graph, dtype, number);
    report(e, span, "%s is not a value of %s", value_text(e, value), dtype_info[dtype].name);
    if (!dtype_is_float(dtype) && dtype != DTYPE_BOOL)
        report_help(e, "f32(x) makes floats of a tensor's elements");
    return NULL;
}

/* An option is the command line's number if there is one (it is not NaN then), else the program's. The variable is
   made here: an option that no tensor depends on cannot be overridden, and is not offered. */
static Node *option_node(Elaborator *e, OptionValue *option, Span span)
{
    if (option->node)
        return option->node;
    Graph *g = e->graph;
    Node *given = tensor_of(e, option->value, DTYPE_F32, span);
    if (!given)
        return NULL;
    Variable *v = model_variable(e->model, VARIABLE_SCALAR, format_text(e, "option.%s", option->name),
                                 type_scalar(DTYPE_F32));
    list_add(e->arena, &e->model->training->option, ((Option){option->name}));
    Node *node = graph_variable(g, v);
    option->node = graph_select(g, graph_binary(g, OP_EQ, node, node), node, given);
    return option->node;
}

Node *tensor_of(Elaborator *e, Value value, DType dtype, Span span)
{
    switch (value.kind) {
    case VALUE_TENSOR:
        return value.node;
    case VALUE_OPTION:
        return option_node(e, value.option, span);
    case VALUE_INT:
    case VALUE_FLOAT:
        return number_node(e, value, dtype, span);
    case VALUE_BOOL:
        if (dtype == DTYPE_BOOL)
            return graph_number(e->graph, dtype, value.boolean);
        break;
    default:
        break;
    }
    if (value.kind != VALUE_POISON)
        report(e, span, "a tensor of %s is expected, but this is %s", dtype_info[dtype].name,
               described_text(e, value));
    return NULL;
}

/* ---- adding nodes ---- */

/* The op's reason begins with its own name: messages have the user's. */
static Value add_named(Elaborator *e, Node node, const char *name, Span span, const Value *operand,
                       int operands)
{
    Node *made = graph_add(e->graph, node);
    if (made)
        return tensor_value(e, made);
    const char *why = graph_why(), *reason = strstr(why, ": ");
    report(e, span, "%s%s", name && reason ? name : "", name && reason ? reason : why);
    for (int i = 0; i < operands; i++) {
        bool noted = false;
        for (int j = 0; j < i; j++)
            noted |= operand[j].origin == operand[i].origin;
        if (!noted)
            report_origin(e, NULL, operand[i]);
    }
    return value_poison;
}

Value tensor_add(Elaborator *e, Node node, Span span, const Value *operand, int operands)
{
    return add_named(e, node, NULL, span, operand, operands);
}

Value tensor_unary(Elaborator *e, OpKind op, Value a, Span span)
{
    Node *x = tensor_of(e, a, DTYPE_F32, span);
    return x ? tensor_add(e, (Node){.op = op, .in = {x}}, span, &a, 1) : value_poison;
}

/* The element type that two operands meet in: a tensor's own; a number takes the other's. */
static bool common_dtype(Elaborator *e, const char *name, Value a, Value b, DType *dtype, Span span)
{
    if (a.kind == VALUE_TENSOR && b.kind == VALUE_TENSOR && a.node->type.dtype != b.node->type.dtype) {
        report(e, span, "%s: the elements of %s and %s differ", name, type_text(e, &a.node->type),
               type_text(e, &b.node->type));
        report_pair(e, a, b);
        report_help(e, "f32(x), i32(x), … convert a tensor");
        return false;
    }
    *dtype = a.kind == VALUE_TENSOR   ? a.node->type.dtype
             : b.kind == VALUE_TENSOR ? b.node->type.dtype
                                      : DTYPE_F32;
    if (a.kind == VALUE_BOOL || b.kind == VALUE_BOOL)
        *dtype = DTYPE_BOOL;
    return true;
}

/* The first axis at which two shapes do not agree, counted in the longer one. */
static void report_broadcast(Elaborator *e, const char *name, Value a, Value b, const Type *x, const Type *y,
                             Span span)
{
    int axis = 0;
    const char *left = "", *right = "";
    for (int d = 1; d <= x->rank && d <= y->rank; d++) {
        Size m = x->dim[x->rank - d], n = y->dim[y->rank - d];
        if (size_equal(m, n) || size_is_one(m) || size_is_one(n))
            continue;
        axis = (x->rank > y->rank ? x->rank : y->rank) - d;
        left = value_text(e, value_size(m));
        right = value_text(e, value_size(n));
    }
    report(e, span, "%s: %s and %s do not fit together: axis %d is %s and %s", name, type_text(e, x),
           type_text(e, y), axis, left, right);
    report_pair(e, a, b);
}

/* Both operands in one element type and shape. */
static bool bring_together(Elaborator *e, const char *name, Value a, Value b, Node *pair[2], Span span)
{
    DType dtype;
    if (!common_dtype(e, name, a, b, &dtype, span))
        return false;
    pair[0] = tensor_of(e, a, dtype, span);
    pair[1] = pair[0] ? tensor_of(e, b, dtype, span) : NULL;
    if (!pair[1])
        return false;
    Type shape;
    if (!type_broadcast(&pair[0]->type, &pair[1]->type, &shape)) {
        report_broadcast(e, name, a, b, &pair[0]->type, &pair[1]->type, span);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        Size elements;
        if (!type_elements(&shape, &elements)) {
            report(e, span, "%s: %s is too large: at most 2^40 along an axis and 2^48 elements", name,
                   type_text(e, &shape));
            return false;
        }
        pair[i] = graph_broadcast(e->graph, pair[i], shape);
    }
    return true;
}

Value tensor_binary(Elaborator *e, OpKind op, const char *name, Value a, Value b, Span span)
{
    Node *pair[2];
    if (a.kind == VALUE_POISON || b.kind == VALUE_POISON || !bring_together(e, name, a, b, pair, span))
        return value_poison;
    Value operand[] = {a, b};
    return add_named(e, (Node){.op = op, .in = {pair[0], pair[1]}}, name, span, operand, 2);
}

Value tensor_choose(Elaborator *e, Value condition, Value a, Value b, Span span)
{
    Node *pair[2], *which = tensor_of(e, condition, DTYPE_BOOL, span);
    if (!which || !bring_together(e, "where", a, b, pair, span))
        return value_poison;
    Type shape;
    if (!type_broadcast(&which->type, &pair[0]->type, &shape)) {
        report_broadcast(e, "where", condition, a, &which->type, &pair[0]->type, span);
        return value_poison;
    }
    Graph *g = e->graph;
    Value operand[] = {condition, a, b};
    Node node = {.op = OP_SELECT};
    node.in[0] = graph_broadcast(g, which, shape);
    node.in[1] = graph_broadcast(g, pair[0], shape);
    node.in[2] = graph_broadcast(g, pair[1], shape);
    return tensor_add(e, node, span, operand, 3);
}

Value tensor_fit(Elaborator *e, Value value, const Type *type, const char *what, Span span)
{
    if (value.kind == VALUE_POISON)
        return value;
    Node *node = tensor_of(e, value, type->dtype, span);
    if (!node)
        return value_poison;
    Type shape;
    bool fitting = type_broadcast(&node->type, type, &shape) && type_same_shape(&shape, type);
    if (node->type.dtype != type->dtype || !fitting) {
        report(e, span, "%s must be %s, but is %s", what, type_text(e, type), type_text(e, &node->type));
        report_origin(e, NULL, value);
        return value_poison;
    }
    return tensor_value(e, graph_broadcast(e->graph, node, *type));
}

/* ---- operators ---- */

/* x^n by repeated squaring: exact signs, and no exp and log. */
static Value int_power(Elaborator *e, Value x, int64_t n, Span span)
{
    Value result = value_float(1);
    for (Value square = x; n > 0; n /= 2) {
        if (n % 2)
            result = value_is_number(result) ? square : tensor_binary(e, OP_MUL, "'^'", result, square, span);
        if (n > 1)
            square = tensor_binary(e, OP_MUL, "'^'", square, square, span);
    }
    return result;
}

static Value power(Elaborator *e, Value a, Value b, Span span)
{
    enum { MOST = 64 };
    double n = value_is_number(b) && !(b.kind == VALUE_INT && b.integer.power) ? value_real(b) : NAN;
    if (n == 0.5)
        return tensor_unary(e, OP_SQRT, a, span);
    if (floor(n) != n || fabs(n) > MOST || n == 0)
        return tensor_binary(e, OP_POW, "'^'", a, b, span);
    Value result = int_power(e, a, (int64_t)fabs(n), span);
    return n > 0 ? result : tensor_binary(e, OP_DIV, "'^'", value_float(1), result, span);
}

/* a [..., m, k] @ b [..., k, n]. A vector is a row on the left and a column on the right; a matrix on the right serves
   all rows of a stack, which then are one long matrix. */
static Value matrix_product(Elaborator *e, Value a, Value b, Span span)
{
    Node *x = tensor_of(e, a, DTYPE_F32, span), *y = x ? tensor_of(e, b, DTYPE_F32, span) : NULL;
    if (!y)
        return value_poison;
    Value operand[] = {a, b};
    Type left = x->type, right = y->type, result;
    if (left.rank == 0 || right.rank == 0) {
        report(e, span, "'@' is a product of matrices: %s and %s are not", type_text(e, &left),
               type_text(e, &right));
        return value_poison;
    }
    Size inner = left.dim[left.rank - 1], outer = right.dim[right.rank > 1 ? right.rank - 2 : 0];
    if (!size_equal(inner, outer)) {
        report(e, span,
               "'@': %s and %s do not fit together: the last axis of the first is %s, and the second has %s "
               "rows",
               type_text(e, &left), type_text(e, &right), value_text(e, value_size(inner)),
               value_text(e, value_size(outer)));
        report_pair(e, a, b);
        return value_poison;
    }
    result = left;
    result.rank = left.rank - 1;
    if (right.rank > 1)
        result.dim[result.rank++] = right.dim[right.rank - 1];
    if (right.rank > 2 && left.rank == right.rank) /* stack by stack: the op itself */
        return add_named(e, (Node){.op = OP_MATMUL, .in = {x, y}}, "'@'", span, operand, 2);
    if (right.rank > 2) {
        report(e, span, "'@': %s and %s do not fit together: stacks need as many axes", type_text(e, &left),
               type_text(e, &right));
        report_pair(e, a, b);
        return value_poison;
    }
    Size rows = size_of(1);
    for (int d = 0; d < left.rank - 1; d++)
        size_multiply(rows, left.dim[d], &rows); /* a node's type holds it */
    Type flat = {.dtype = left.dtype, .rank = 2, .dim = {rows, inner}};
    Type column = {
        .dtype = right.dtype, .rank = 2, .dim = {inner, right.rank > 1 ? right.dim[1] : size_of(1)}};
    Node node = {.op = OP_MATMUL};
    node.in[0] = graph_reshape(e->graph, x, flat);
    node.in[1] = graph_reshape(e->graph, y, column);
    Value product = add_named(e, node, "'@'", span, operand, 2);
    if (product.kind == VALUE_TENSOR)
        product.node = graph_reshape(e->graph, product.node, result);
    return product;
}

static Value compare(Elaborator *e, Operator op, const char *name, Value a, Value b, Span span)
{
    switch (op) {
    case OPERATOR_LT:
        return tensor_binary(e, OP_LT, name, a, b, span);
    case OPERATOR_LE:
        return tensor_binary(e, OP_LE, name, a, b, span);
    case OPERATOR_GT:
        return tensor_binary(e, OP_LT, name, b, a, span);
    case OPERATOR_GE:
        return tensor_binary(e, OP_LE, name, b, a, span);
    case OPERATOR_NE:
        a = tensor_binary(e, OP_EQ, name, a, b, span);
        return tensor_binary(e, OP_EQ, name, a, value_bool(false), span);
    default:
        return tensor_binary(e, OP_EQ, name, a, b, span);
    }
}

Value tensor_operator(Elaborator *e, Operator op, Value a, Value b, Span span)
{
    const char *name = format_text(e, "'%s'", operator_text(op));
    switch (op) {
    case OPERATOR_ADD:
        return tensor_binary(e, OP_ADD, name, a, b, span);
    case OPERATOR_SUB:
        return tensor_binary(e, OP_SUB, name, a, b, span);
    case OPERATOR_MUL:
        return tensor_binary(e, OP_MUL, name, a, b, span);
    case OPERATOR_DIV:
        return tensor_binary(e, OP_DIV, name, a, b, span);
    case OPERATOR_AND:
        return tensor_binary(e, OP_AND, name, a, b, span);
    case OPERATOR_OR:
        return tensor_binary(e, OP_OR, name, a, b, span);
    case OPERATOR_POW:
        return power(e, a, b, span);
    case OPERATOR_MATMUL:
        return matrix_product(e, a, b, span);
    case OPERATOR_MOD:
        report(e, span, "'%%' works on numbers known at compile time, not on tensors");
        return value_poison;
    default:
        return compare(e, op, name, a, b, span);
    }
}
