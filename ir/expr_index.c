/* Index arithmetic: integer expressions are kept as sums  Σ coefficient · atom + constant  with the atoms in
   one order, so that equal indices are one node, views cancel, and strides and bounds can be proven. */
#include "expr_index.h"

#include <string.h>

enum { MAX_TERMS = 32, POWERS = 3 };

typedef struct Linear {
    int count;
    Expr *atom[MAX_TERMS];
    int64_t coefficient[MAX_TERMS];
    int64_t constant;
} Linear;

/* ---- sums ---------------------------------------------------------------------------------------------- */

static void linear_remove(Linear *l, int i)
{
    memmove(&l->atom[i], &l->atom[i + 1], sizeof l->atom[0] * (size_t)(l->count - i - 1));
    memmove(&l->coefficient[i], &l->coefficient[i + 1],
            sizeof l->coefficient[0] * (size_t)(l->count - i - 1));
    l->count--;
}

static bool linear_add_expr(Linear *l, const Expr *e, int64_t factor);

/* (x / c)·c·k + (x % c)·k = x·k: whether `atom` finds its other half in l, and is thereby taken in. */
static bool linear_join(Linear *l, const Expr *atom, int64_t coefficient)
{
    int64_t divisor, other;
    if (atom->kind != EXPR_APPLY || (atom->op != SCALAR_DIV && atom->op != SCALAR_MOD) ||
        !expr_is_int(atom->arg[1], &divisor))
        return false;
    bool quotient = atom->op == SCALAR_DIV;
    for (int i = 0; i < l->count; i++) {
        const Expr *half = l->atom[i];
        if (half->kind != EXPR_APPLY || half->op != (quotient ? SCALAR_MOD : SCALAR_DIV) ||
            half->arg[0] != atom->arg[0] || half->arg[1] != atom->arg[1])
            continue;
        int64_t small = quotient ? l->coefficient[i] : coefficient,
                large = quotient ? coefficient : l->coefficient[i];
        if (__builtin_mul_overflow(small, divisor, &other) || other != large)
            continue;
        linear_remove(l, i);
        return linear_add_expr(l, atom->arg[0], small);
    }
    return false;
}

/* x / s · s, for a divisor s known at run time only. */
static bool is_multiple(const Expr *e, const Expr *x, const Expr *s)
{
    if (e->kind != EXPR_APPLY || e->op != SCALAR_MUL)
        return false;
    for (int i = 0; i < 2; i++) {
        const Expr *quotient = e->arg[i];
        if (e->arg[1 - i] == s && quotient->kind == EXPR_APPLY && quotient->op == SCALAR_DIV &&
            quotient->arg[0] == x && quotient->arg[1] == s)
            return true;
    }
    return false;
}

/* The same of (x / s · s)·k + (x % s)·k. */
static bool linear_join_run_time(Linear *l, const Expr *atom, int64_t coefficient)
{
    bool rest = atom->kind == EXPR_APPLY && atom->op == SCALAR_MOD;
    for (int i = 0; i < l->count; i++) {
        const Expr *mod = rest ? atom : l->atom[i], *multiple = rest ? l->atom[i] : atom;
        if (l->coefficient[i] != coefficient || mod->kind != EXPR_APPLY || mod->op != SCALAR_MOD ||
            !is_multiple(multiple, mod->arg[0], mod->arg[1]))
            continue;
        const Expr *x = mod->arg[0];
        linear_remove(l, i);
        return linear_add_expr(l, x, coefficient);
    }
    return false;
}

static bool linear_add(Linear *l, Expr *atom, int64_t coefficient)
{
    if (linear_join(l, atom, coefficient) || linear_join_run_time(l, atom, coefficient))
        return true;
    int i = 0;
    while (i < l->count && l->atom[i]->id < atom->id)
        i++;
    if (i < l->count && l->atom[i] == atom) {
        if (__builtin_add_overflow(l->coefficient[i], coefficient, &l->coefficient[i]))
            return false;
        if (l->coefficient[i] == 0)
            linear_remove(l, i);
        return true;
    }
    if (l->count == MAX_TERMS)
        return false;
    memmove(&l->atom[i + 1], &l->atom[i], sizeof l->atom[0] * (size_t)(l->count - i));
    memmove(&l->coefficient[i + 1], &l->coefficient[i], sizeof l->coefficient[0] * (size_t)(l->count - i));
    l->atom[i] = atom;
    l->coefficient[i] = coefficient;
    l->count++;
    return true;
}

/* l += factor · e; false if it does not fit (then the caller makes a plain node). */
static bool linear_add_expr(Linear *l, const Expr *e, int64_t factor)
{
    int64_t value, scaled;
    if (expr_is_int(e, &value))
        return !__builtin_mul_overflow(value, factor, &scaled) &&
               !__builtin_add_overflow(l->constant, scaled, &l->constant);
    if (e->kind == EXPR_APPLY && e->dtype == DTYPE_I64 && e->lanes == 1) {
        if (e->op == SCALAR_ADD)
            return linear_add_expr(l, e->arg[0], factor) && linear_add_expr(l, e->arg[1], factor);
        if (e->op == SCALAR_MUL && expr_is_int(e->arg[1], &value))
            return !__builtin_mul_overflow(value, factor, &scaled) && linear_add_expr(l, e->arg[0], scaled);
    }
    return factor == 0 || linear_add(l, (Expr *)e, factor);
}

static Expr *linear_expr(Exprs *pool, const Linear *l)
{
    Expr *sum = NULL;
    for (int i = 0; i < l->count; i++) {
        Expr *term = l->atom[i];
        if (l->coefficient[i] != 1)
            term = expr_node(pool, SCALAR_MUL, term, expr_int(pool, DTYPE_I64, l->coefficient[i]));
        sum = sum ? expr_node(pool, SCALAR_ADD, sum, term) : term;
    }
    if (!sum)
        return expr_int(pool, DTYPE_I64, l->constant);
    return l->constant ? expr_node(pool, SCALAR_ADD, sum, expr_int(pool, DTYPE_I64, l->constant)) : sum;
}

Expr *expr_add(Exprs *pool, Expr *a, Expr *b)
{
    Linear l = {0};
    if (linear_add_expr(&l, a, 1) && linear_add_expr(&l, b, 1))
        return linear_expr(pool, &l);
    return expr_node(pool, SCALAR_ADD, a, b);
}

Expr *expr_sub(Exprs *pool, Expr *a, Expr *b)
{
    Linear l = {0};
    if (linear_add_expr(&l, a, 1) && linear_add_expr(&l, b, -1))
        return linear_expr(pool, &l);
    return expr_node(pool, SCALAR_SUB, a, b);
}

/* A product of atoms: the batch goes first, else by age, so that products have one form. */
static Expr *multiply_atoms(Exprs *pool, Expr *a, Expr *b)
{
    bool first = a->kind == EXPR_ARGUMENT || (b->kind != EXPR_ARGUMENT && a->id <= b->id);
    return first ? expr_node(pool, SCALAR_MUL, a, b) : expr_node(pool, SCALAR_MUL, b, a);
}

Expr *expr_mul(Exprs *pool, Expr *a, Expr *b)
{
    int64_t value;
    Linear l = {0}, x = {0}, y = {0};
    if (expr_is_int(b, &value) && linear_add_expr(&l, a, value))
        return linear_expr(pool, &l);
    if (expr_is_int(a, &value) && linear_add_expr(&l, b, value))
        return linear_expr(pool, &l);
    if (!linear_add_expr(&x, a, 1) || !linear_add_expr(&y, b, 1) || (x.count > 1 && y.count > 1))
        return multiply_atoms(pool, a, b);
    Linear product = {.constant = x.constant * y.constant};
    for (int i = 0; i < x.count; i++) {
        if (y.constant && !linear_add(&product, x.atom[i], x.coefficient[i] * y.constant))
            return multiply_atoms(pool, a, b);
        for (int j = 0; j < y.count; j++)
            if (!linear_add(&product, multiply_atoms(pool, x.atom[i], y.atom[j]),
                            x.coefficient[i] * y.coefficient[j]))
                return multiply_atoms(pool, a, b);
    }
    for (int j = 0; j < y.count && x.constant; j++)
        if (!linear_add(&product, y.atom[j], y.coefficient[j] * x.constant))
            return multiply_atoms(pool, a, b);
    return linear_expr(pool, &product);
}

/* ---- bounds: polynomials in the batch ------------------------------------------------------------------ */

typedef struct Bound {
    int64_t at[POWERS]; /* at[p] · batch^p */
} Bound;

/* Holds for every batch ≥ 1 if no suffix sum is negative (Abel summation). */
static bool bound_not_negative(const Bound *b)
{
    int64_t sum = 0;
    for (int p = POWERS - 1; p >= 0; p--)
        if ((sum += b->at[p]) < 0)
            return false;
    return true;
}

static bool bound_add(Bound *sum, const Bound *b, int64_t factor)
{
    for (int p = 0; p < POWERS; p++) {
        int64_t scaled;
        if (__builtin_mul_overflow(b->at[p], factor, &scaled) ||
            __builtin_add_overflow(sum->at[p], scaled, &sum->at[p]))
            return false;
    }
    return true;
}

static bool upper_bound(Exprs *pool, const Expr *e, Bound *bound);

/* Only what an index needs: every atom is ≥ 0 (axes, the batch, quotients and remainders of such). */
static bool atom_not_negative(const Expr *e)
{
    if (e->kind == EXPR_AXIS || e->kind == EXPR_ARGUMENT)
        return true;
    if (e->kind == EXPR_CONST)
        return e->integer >= 0;
    if (e->kind == EXPR_APPLY &&
        (e->op == SCALAR_MUL || e->op == SCALAR_ADD || e->op == SCALAR_DIV || e->op == SCALAR_MOD))
        return atom_not_negative(e->arg[0]) && atom_not_negative(e->arg[1]);
    return e->kind == EXPR_CAST && dtype_info[e->arg[0]->dtype].class == CLASS_UNSIGNED;
}

static bool atom_upper(Exprs *pool, const Expr *e, Bound *bound)
{
    *bound = (Bound){0};
    int64_t value;
    if (e->kind == EXPR_AXIS) {
        Size extent = expr_extent(pool, e->index);
        if (extent.count < 0 || extent.power >= POWERS)
            return false;
        bound->at[extent.power] += extent.count;
        bound->at[0] -= 1;
        return true;
    }
    if (e->kind == EXPR_ARGUMENT && e->index == 0) {
        bound->at[1] = 1;
        return true;
    }
    if (e->kind != EXPR_APPLY)
        return false;
    if (e->op == SCALAR_MOD && expr_is_int(e->arg[1], &value)) {
        bound->at[0] = value - 1;
        return value > 0;
    }
    if (e->op == SCALAR_DIV && expr_is_int(e->arg[1], &value) && value > 0) {
        if (!upper_bound(pool, e->arg[0], bound) || bound->at[1] || bound->at[2])
            return false;
        bound->at[0] /= value;
        return true;
    }
    if (e->op == SCALAR_MUL && e->arg[0]->kind == EXPR_ARGUMENT && e->arg[0]->index == 0) {
        Bound rest;
        if (!upper_bound(pool, e->arg[1], &rest) || rest.at[POWERS - 1])
            return false;
        for (int p = 1; p < POWERS; p++)
            bound->at[p] = rest.at[p - 1];
        return true;
    }
    return false;
}

static bool linear_upper(Exprs *pool, const Linear *l, Bound *bound)
{
    *bound = (Bound){.at = {l->constant}};
    for (int i = 0; i < l->count; i++) {
        Bound atom = {0};
        if (l->coefficient[i] < 0 ? !atom_not_negative(l->atom[i]) : !atom_upper(pool, l->atom[i], &atom))
            return false;
        if (l->coefficient[i] > 0 && !bound_add(bound, &atom, l->coefficient[i]))
            return false;
    }
    return true;
}

static bool upper_bound(Exprs *pool, const Expr *e, Bound *bound)
{
    Linear l = {0};
    return linear_add_expr(&l, e, 1) && linear_upper(pool, &l, bound);
}

/* l ≥ 0, whatever the axes are. */
static bool linear_not_negative(Exprs *pool, const Linear *l)
{
    Linear negative = {.count = l->count, .constant = -l->constant};
    for (int i = 0; i < l->count; i++) {
        negative.atom[i] = l->atom[i];
        negative.coefficient[i] = -l->coefficient[i];
    }
    Bound most;
    if (!linear_upper(pool, &negative, &most))
        return false;
    for (int p = 0; p < POWERS; p++)
        most.at[p] = -most.at[p];
    return bound_not_negative(&most);
}

Expr *expr_less(Exprs *pool, Expr *a, Expr *b)
{
    Linear more = {.constant = -1}, not_less = {0}; /* b - a - 1 ≥ 0: always; a - b ≥ 0: never */
    if (linear_add_expr(&more, b, 1) && linear_add_expr(&more, a, -1) && linear_not_negative(pool, &more))
        return expr_int(pool, DTYPE_BOOL, 1);
    if (linear_add_expr(&not_less, a, 1) && linear_add_expr(&not_less, b, -1) &&
        linear_not_negative(pool, &not_less))
        return expr_int(pool, DTYPE_BOOL, 0);
    return expr_node(pool, SCALAR_LT, a, b);
}

Expr *expr_and(Exprs *pool, Expr *a, Expr *b)
{
    int64_t value;
    if (!a || (expr_is_int(a, &value) && value))
        return b && expr_is_int(b, &value) && value ? NULL : b;
    if (!b || (expr_is_int(b, &value) && value))
        return a;
    return expr_apply(pool, SCALAR_AND, a, b, NULL);
}

/* ---- division ------------------------------------------------------------------------------------------ */

/* atom = batch^power · rest; NULL if it has not so many factors. */
static Expr *without_batch(Exprs *pool, Expr *atom, int power)
{
    for (; power > 0; power--) {
        if (atom->kind == EXPR_ARGUMENT && atom->index == 0)
            atom = expr_int(pool, DTYPE_I64, 1);
        else if (atom->kind == EXPR_APPLY && atom->op == SCALAR_MUL && atom->arg[0]->kind == EXPR_ARGUMENT &&
                 atom->arg[0]->index == 0)
            atom = atom->arg[1];
        else
            return NULL;
    }
    return atom;
}

/* The divisor as count · batch^power. */
static bool divisor_size(const Expr *e, Size *size)
{
    *size = size_of(1);
    int64_t value;
    if (expr_is_int(e, &value)) {
        size->count = value;
        return value > 0;
    }
    if (e->kind == EXPR_ARGUMENT && e->index == 0) {
        size->power = 1;
        return true;
    }
    Size a, b;
    return e->kind == EXPR_APPLY && e->op == SCALAR_MUL && divisor_size(e->arg[0], &a) &&
           divisor_size(e->arg[1], &b) && size_multiply(a, b, size);
}

/* e = divisor · quotient + rest with 0 ≤ rest; `small` says that rest < divisor is proven. */
static bool split(Exprs *pool, Expr *e, Size divisor, Linear *quotient, Linear *rest, bool *small)
{
    Linear l = {0};
    *quotient = *rest = (Linear){0};
    if (!linear_add_expr(&l, e, 1))
        return false;
    for (int i = 0; i < l.count; i++) {
        Expr *inner = l.coefficient[i] % divisor.count ? NULL : without_batch(pool, l.atom[i], divisor.power);
        if (inner ? !linear_add_expr(quotient, inner, l.coefficient[i] / divisor.count)
                  : !linear_add(rest, l.atom[i], l.coefficient[i]))
            return false;
    }
    if (divisor.power == 0) {
        int64_t whole = l.constant / divisor.count - (l.constant % divisor.count < 0);
        quotient->constant += whole;
        rest->constant = l.constant - whole * divisor.count;
    } else {
        rest->constant = l.constant;
    }
    if (!linear_not_negative(pool, rest))
        return false;
    Bound most, room = {0};
    *small = linear_upper(pool, rest, &most) && divisor.power < POWERS;
    if (*small) {
        room.at[divisor.power] += divisor.count;
        room.at[0] -= 1;
        *small = bound_add(&room, &most, -1) && bound_not_negative(&room);
    }
    return true;
}

Expr *expr_div(Exprs *pool, Expr *a, Expr *b)
{
    Size divisor;
    Linear quotient, rest;
    bool small;
    if (!divisor_size(b, &divisor) || !split(pool, a, divisor, &quotient, &rest, &small))
        return expr_node(pool, SCALAR_DIV, a, b);
    if (small)
        return linear_expr(pool, &quotient);
    if (size_is_one(divisor))
        return a;
    Expr *left = expr_node(pool, SCALAR_DIV, linear_expr(pool, &rest), b);
    return expr_add(pool, linear_expr(pool, &quotient), left);
}

Expr *expr_mod(Exprs *pool, Expr *a, Expr *b)
{
    Size divisor;
    Linear quotient, rest;
    bool small;
    if (!divisor_size(b, &divisor) || !split(pool, a, divisor, &quotient, &rest, &small))
        return expr_node(pool, SCALAR_MOD, a, b);
    if (small)
        return linear_expr(pool, &rest);
    return expr_node(pool, SCALAR_MOD, linear_expr(pool, &rest), b);
}

/* ---- strides ------------------------------------------------------------------------------------------- */

bool expr_stride(const Expr *e, int axis, int64_t *stride)
{
    if (!expr_uses_axis(e, axis)) {
        *stride = 0;
        return true;
    }
    Linear l = {0};
    if (!linear_add_expr(&l, e, 1))
        return false;
    *stride = 0;
    for (int i = 0; i < l.count; i++) {
        if (l.atom[i]->kind == EXPR_AXIS && l.atom[i]->index == axis)
            *stride = l.coefficient[i];
        else if (expr_uses_axis(l.atom[i], axis))
            return false;
    }
    return true;
}

/* The same wherever the axes stand: made of numbers and arguments. */
static bool expr_is_constant(const Expr *e)
{
    bool constant = e->kind == EXPR_CONST || e->kind == EXPR_ARGUMENT || e->kind == EXPR_APPLY;
    for (int i = 0; constant && i < e->count; i++)
        constant = expr_is_constant(e->arg[i]);
    return constant;
}

bool expr_is_affine(const Expr *e, int axis)
{
    if (!expr_uses_axis(e, axis) || e->kind == EXPR_AXIS)
        return true;
    if (e->kind != EXPR_APPLY || e->dtype != DTYPE_I64)
        return false;
    if (e->op == SCALAR_ADD)
        return expr_is_affine(e->arg[0], axis) && expr_is_affine(e->arg[1], axis);
    const Expr *a = e->arg[0], *b = e->arg[1];
    return e->op == SCALAR_MUL && ((expr_is_affine(a, axis) && expr_is_constant(b)) ||
                                   (expr_is_affine(b, axis) && expr_is_constant(a)));
}
