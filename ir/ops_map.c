/* Elementwise ops: y[at] = f(a[at], b[at], c[at]), and their derivatives. */
#include "ops.h"

static const ScalarOp map_scalar[OP_COUNT] = {
#define OP(kind, name, inputs, class, attrs, infer, define, gradient)
#define MAP(kind, name, inputs, gradient) [OP_##kind] = SCALAR_##kind,
#include "ops.def"
#undef OP
#undef MAP
};

bool infer_map(const Node *node, Type *type)
{
    const OpInfo *info = &op_info[node->op];
    const Type *a = &node->in[node->op == OP_SELECT ? 1 : 0]->type;
    for (int i = 0; i < info->inputs; i++) {
        const Type *b = &node->in[i]->type;
        if (!type_same_shape(a, b))
            return refuse("%s: %s and %s have different shapes", info->name, shape_text(a), shape_text(b));
        DType want = node->op == OP_SELECT && i == 0 ? DTYPE_BOOL : a->dtype;
        if (b->dtype != want)
            return refuse("%s: element types %s and %s differ", info->name, dtype_info[want].name,
                          dtype_info[b->dtype].name);
    }
    bool logic = node->op == OP_AND || node->op == OP_OR;
    bool real = node->op >= OP_EXP && node->op <= OP_FLOOR;
    if (logic && a->dtype != DTYPE_BOOL)
        return refuse("%s: operands are bool, not %s", info->name, dtype_info[a->dtype].name);
    if ((real || node->op == OP_POW || node->op == OP_ABS) && !dtype_is_float(a->dtype))
        return refuse("%s: operands are floats, not %s", info->name, dtype_info[a->dtype].name);
    if (!logic && node->op != OP_SELECT && node->op != OP_EQ && a->dtype == DTYPE_BOOL)
        return refuse("%s: operands are numbers, not bool", info->name);
    *type = *a;
    if (scalar_info[map_scalar[node->op]].boolean)
        type->dtype = DTYPE_BOOL;
    return true;
}

Expr *define_map(Definer *d, const Node *node, Expr *const *at)
{
    Expr *operand[MAX_INPUTS] = {0};
    for (int i = 0; i < op_info[node->op].inputs; i++)
        operand[i] = d->read(d, node->in[i], at);
    return expr_apply(d->pool, map_scalar[node->op], operand[0], operand[1], operand[2]);
}

bool infer_cast(const Node *node, Type *type)
{
    if (!type_same_shape(&node->in[0]->type, type))
        return refuse("cast: %s to %s changes the shape", shape_text(&node->in[0]->type), shape_text(type));
    return true;
}

Expr *define_cast(Definer *d, const Node *node, Expr *const *at)
{
    return expr_cast(d->pool, d->read(d, node->in[0], at), node->type.dtype);
}

void grad_cast(Graph *g, Node *n, Node *dy, Node **dx)
{
    if (dtype_is_float(n->type.dtype) && dtype_is_float(n->in[0]->type.dtype))
        dx[0] = graph_cast(g, dy, n->in[0]->type.dtype);
}

bool infer_same(const Node *node, Type *type)
{
    *type = node->in[0]->type;
    return true;
}

Expr *define_same(Definer *d, const Node *node, Expr *const *at) { return d->read(d, node->in[0], at); }

/* The same value: what is computed of it is not one with what is computed of its operand, or of one of another number, and so
   is computed again. */
bool infer_again(const Node *node, Type *type)
{
    *type = node->in[0]->type;
    return node->attr[0].count == 1 || refuse("again: number tells apart what is computed again");
}

void grad_again(Graph *g, Node *n, Node *dy, Node **dx)
{
    (void)g;
    (void)n;
    dx[0] = dy;
}

/* ---- derivatives --------------------------------------------------------------------------------------- */

static Node *number(Graph *g, const Node *like, double value) { return graph_const(g, like->type, value); }

static Node *sub(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_SUB, a, b); }
static Node *mul(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_MUL, a, b); }
static Node *divide(Graph *g, Node *a, Node *b) { return graph_binary(g, OP_DIV, a, b); }
static Node *negate(Graph *g, Node *a) { return graph_unary(g, OP_NEG, a); }

void grad_neg(Graph *g, Node *n, Node *dy, Node **dx)
{
    (void)n;
    dx[0] = negate(g, dy);
}

void grad_abs(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *negative = graph_binary(g, OP_LT, n->in[0], number(g, dy, 0));
    dx[0] = graph_select(g, negative, negate(g, dy), dy);
}

void grad_exp(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = mul(g, dy, n); }
void grad_log(Graph *g, Node *n, Node *dy, Node **dx) { dx[0] = divide(g, dy, n->in[0]); }
void grad_sqrt(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = divide(g, mul(g, dy, number(g, dy, 0.5)), n);
}

void grad_tanh(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = mul(g, dy, sub(g, number(g, dy, 1), mul(g, n, n)));
}

/* erf'(x) = 2/√π · exp(−x²) */
void grad_erf(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *bell = graph_unary(g, OP_EXP, negate(g, mul(g, n->in[0], n->in[0])));
    dx[0] = mul(g, dy, mul(g, number(g, dy, 1.12837916709551257390), bell));
}

void grad_sin(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = mul(g, dy, graph_unary(g, OP_COS, n->in[0]));
}
void grad_cos(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = negate(g, mul(g, dy, graph_unary(g, OP_SIN, n->in[0])));
}

/* y > 0 exactly where x > 0: x need not be kept. */
void grad_relu(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *zero = number(g, dy, 0);
    dx[0] = graph_select(g, graph_binary(g, OP_LT, zero, n), dy, zero);
}

void grad_add(Graph *g, Node *n, Node *dy, Node **dx)
{
    (void)g;
    (void)n;
    dx[0] = dx[1] = dy;
}

void grad_sub(Graph *g, Node *n, Node *dy, Node **dx)
{
    (void)n;
    dx[0] = dy;
    dx[1] = negate(g, dy);
}

void grad_mul(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = mul(g, dy, n->in[1]);
    dx[1] = mul(g, dy, n->in[0]);
}

void grad_div(Graph *g, Node *n, Node *dy, Node **dx)
{
    dx[0] = divide(g, dy, n->in[1]);
    dx[1] = negate(g, divide(g, mul(g, dy, n), n->in[1]));
}

/* d(a^b) = b·a^(b−1) da + a^b·log(a) db; the second only where a > 0. */
void grad_pow(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *a = n->in[0], *b = n->in[1], *zero = number(g, dy, 0);
    Node *lower = graph_binary(g, OP_POW, a, sub(g, b, number(g, dy, 1)));
    dx[0] = mul(g, dy, mul(g, b, lower));
    Node *positive = graph_binary(g, OP_LT, zero, a);
    Node *logarithm = graph_unary(g, OP_LOG, graph_select(g, positive, a, number(g, dy, 1)));
    dx[1] = mul(g, dy, mul(g, n, logarithm));
}

/* A tie gives all to the first operand. */
void grad_max(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *zero = number(g, dy, 0), *second = graph_binary(g, OP_LT, n->in[0], n->in[1]);
    dx[0] = graph_select(g, second, zero, dy);
    dx[1] = graph_select(g, second, dy, zero);
}

void grad_min(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *zero = number(g, dy, 0), *second = graph_binary(g, OP_LT, n->in[1], n->in[0]);
    dx[0] = graph_select(g, second, zero, dy);
    dx[1] = graph_select(g, second, dy, zero);
}

void grad_select(Graph *g, Node *n, Node *dy, Node **dx)
{
    Node *zero = number(g, dy, 0);
    dx[1] = graph_select(g, n->in[0], dy, zero);
    dx[2] = graph_select(g, n->in[0], zero, dy);
}
