/* Leaves: constants, sizes, variables, indices, random bits; and gradient(), which autodiff replaces. */
#include "ops.h"

#include <assert.h>

bool infer_given(const Node *node, Type *type)
{
    if (node->op == OP_VARIABLE && (!node->variable || !type_equal(&node->variable->type, type)))
        return refuse("variable: its type is not the variable's");
    if (node->op == OP_IOTA &&
        (node->attr[0].count != 1 || node->attr[0].at[0] < 0 || node->attr[0].at[0] >= type->rank))
        return refuse("iota: axis is not one of %s", shape_text(type));
    if (node->op == OP_SIZE &&
        (node->attr[0].count != 1 || node->attr[0].at[0] < 0 || node->attr[0].at[0] > MAX_DIM ||
         node->attr[1].count != 1 || node->attr[1].at[0] < 0 || node->attr[1].at[0] > MAX_RANK))
        return refuse("size: count or power is out of range");
    if (node->op == OP_RANDOM &&
        (node->attr[0].count != 1 || node->in[0]->type.dtype != DTYPE_U32 || node->in[0]->type.rank != 1 ||
         !size_equal(node->in[0]->type.dim[0], size_of(2)) || node->in[1]->type.rank ||
         !dtype_is_float(node->in[1]->type.dtype) || type->dtype != DTYPE_U32))
        return refuse("random: of seed, u32[2], and step, a number, it makes u32 at one place");
    if (node->op == OP_RANDOM &&
        (node->attr[1].count != 1 || node->attr[1].at[0] < 0 || node->attr[1].at[0] > 3))
        return refuse("random: word is not 0, 1, 2 or 3");
    if ((node->op == OP_CONST || node->op == OP_SIZE) && type->rank)
        return refuse("%s: it is a scalar, not %s", op_info[node->op].name, shape_text(type));
    return true;
}

bool infer_gradient(const Node *node, Type *type)
{
    if (node->in[0]->type.rank || !dtype_is_float(node->in[0]->type.dtype))
        return refuse("gradient: of a number, not of %s", shape_text(&node->in[0]->type));
    *type = node->in[1]->type;
    return true;
}

Expr *define_const(Definer *d, const Node *node, Expr *const *at)
{
    (void)at;
    return expr_real(d->pool, node->type.dtype, node->value);
}

Expr *define_size(Definer *d, const Node *node, Expr *const *at)
{
    (void)at;
    Size size = {node->attr[0].at[0], (int)node->attr[1].at[0]};
    return expr_cast(d->pool, expr_size(d->pool, size), node->type.dtype);
}

Expr *define_variable(Definer *d, const Node *node, Expr *const *at)
{
    (void)d;
    (void)node;
    (void)at;
    assert(!"a variable is always in memory");
    return NULL;
}

Expr *define_iota(Definer *d, const Node *node, Expr *const *at)
{
    return expr_cast(d->pool, at[node->attr[0].at[0]], node->type.dtype);
}

/* One block of Philox 4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.
 */
static void philox(Exprs *pool, Expr *counter[4], Expr *key[2])
{
    Expr *multiplier[2] = {expr_int(pool, DTYPE_U32, 0xD2511F53), expr_int(pool, DTYPE_U32, 0xCD9E8D57)};
    Expr *weyl[2] = {expr_int(pool, DTYPE_U32, 0x9E3779B9), expr_int(pool, DTYPE_U32, 0xBB67AE85)};
    for (int round = 0; round < 10; round++) {
        Expr *high0 = expr_apply(pool, SCALAR_MULHI, counter[0], multiplier[0], NULL);
        Expr *low0 = expr_apply(pool, SCALAR_MUL, counter[0], multiplier[0], NULL);
        Expr *high1 = expr_apply(pool, SCALAR_MULHI, counter[2], multiplier[1], NULL);
        Expr *low1 = expr_apply(pool, SCALAR_MUL, counter[2], multiplier[1], NULL);
        Expr *first = expr_apply(pool, SCALAR_XOR, high1, counter[1], NULL);
        Expr *third = expr_apply(pool, SCALAR_XOR, high0, counter[3], NULL);
        counter[0] = expr_apply(pool, SCALAR_XOR, first, key[0], NULL);
        counter[2] = expr_apply(pool, SCALAR_XOR, third, key[1], NULL);
        counter[1] = low1;
        counter[3] = low0;
        for (int i = 0; i < 2; i++)
            key[i] = expr_apply(pool, SCALAR_ADD, key[i], weyl[i], NULL);
    }
}

/* y[at] = word of philox(counter = (element in its sample, sample, step, place), key = seed) */
Expr *define_random(Definer *d, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const Type *type = &node->type;
    Expr *sample = expr_int(pool, DTYPE_I64, 0), *element = sample;
    bool found = false; /* the first axis that grows with the batch numbers the samples */
    for (int i = 0; i < type->rank; i++) {
        Expr *index = at[i], *extent = expr_size(pool, type->dim[i]);
        if (!found && type->dim[i].power == 1) {
            extent = expr_int(pool, DTYPE_I64, type->dim[i].count);
            sample = expr_div(pool, index, extent);
            index = expr_mod(pool, index, extent);
            found = true;
        }
        element = expr_add(pool, expr_mul(pool, element, extent), index);
    }
    Expr *zero = expr_int(pool, DTYPE_I64, 0), *one = expr_int(pool, DTYPE_I64, 1);
    Expr *key[2], *step = d->read(d, node->in[1], NULL);
    key[0] = d->read(d, node->in[0], &zero);
    key[1] = d->read(d, node->in[0], &one);
    Expr *counter[4] = {expr_cast(pool, element, DTYPE_U32), expr_cast(pool, sample, DTYPE_U32),
                        expr_cast(pool, expr_cast(pool, step, DTYPE_I64), DTYPE_U32),
                        expr_cast(pool, d->argument(d, node->attr[0].at[0]), DTYPE_U32)};
    philox(pool, counter, key);
    return counter[node->attr[1].at[0]];
}
