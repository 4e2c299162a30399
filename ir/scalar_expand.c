#include "scalar_expand.h"

#include <math.h>

/* The methods are those of Cody & Waite, "Software Manual for the Elementary Functions", 1980, and Muller et
   al., "Handbook of Floating-Point Arithmetic", 2018, ch. 10: bring the argument near 0, evaluate a
   polynomial there, put the result back. A number is rounded to an integer by adding MAGIC, whose last place
   is 1, and its low bits then hold that integer: no float is ever converted to an integer, so that NaN and
   infinity need no care on the way.

   Every polynomial is the minimax one of its form, for the relative error of the whole function over the
   stated range, found by Lawson's iteration (weighted least squares on 1,500 Chebyshev points, values from
   40-digit arithmetic); its coefficients were rounded to f32 one by one from the lowest power, the rest
   fitted anew after each. The comments give the remaining error. tests/test_scalar.c has the bounds that hold
   in ulp. */

static Expr *real(Exprs *pool, const Expr *like, double value) { return expr_real(pool, like->dtype, value); }
static Expr *bits(Exprs *pool, uint32_t value) { return expr_int(pool, DTYPE_U32, value); }

#define BINARY(name, op)                                                                                     \
    static Expr *name(Exprs *pool, Expr *a, Expr *b) { return expr_apply(pool, SCALAR_##op, a, b, NULL); }
BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(less, LT)
BINARY(equal, EQ)
BINARY(unequal, NE)
BINARY(both, AND)
BINARY(either, OR)
BINARY(flip, XOR)
BINARY(shift_left, SHL)
BINARY(shift_right, SHR)
#undef BINARY

static Expr *fma3(Exprs *pool, Expr *a, Expr *b, Expr *c) { return expr_apply(pool, SCALAR_FMA, a, b, c); }
static Expr *magnitude(Exprs *pool, Expr *a) { return expr_apply(pool, SCALAR_ABS, a, NULL, NULL); }
static Expr *negate(Exprs *pool, Expr *a) { return expr_apply(pool, SCALAR_NEG, a, NULL, NULL); }
static Expr *floor_of(Exprs *pool, Expr *a) { return expr_apply(pool, SCALAR_FLOOR, a, NULL, NULL); }
static Expr *choose(Exprs *pool, Expr *condition, Expr *yes, Expr *no)
{
    return expr_apply(pool, SCALAR_SELECT, condition, yes, no);
}

/* NaN stays. */
static Expr *at_most(Exprs *pool, Expr *x, double limit)
{
    return choose(pool, less(pool, real(pool, x, limit), x), real(pool, x, limit), x);
}

static Expr *at_least(Exprs *pool, Expr *x, double limit)
{
    return choose(pool, less(pool, x, real(pool, x, limit)), real(pool, x, limit), x);
}

/* c[0] + c[1] x + … + c[count-1] x^(count-1), by Horner's rule. */
static Expr *polynomial(Exprs *pool, Expr *x, const double *c, int count)
{
    Expr *sum = real(pool, x, c[count - 1]);
    for (int i = count - 2; i >= 0; i--)
        sum = fma3(pool, sum, x, real(pool, x, c[i]));
    return sum;
}
#define POLYNOMIAL(pool, x, ...)                                                                             \
    polynomial(pool, x, (const double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double))

/* The sign bit of `sign` put on `value`, which has none. */
static Expr *with_sign(Exprs *pool, Expr *value, Expr *sign)
{
    Expr *bit = both(pool, expr_bitcast(pool, sign, DTYPE_U32), bits(pool, 0x80000000u));
    return expr_bitcast(pool, either(pool, expr_bitcast(pool, value, DTYPE_U32), bit), DTYPE_F32);
}

/* ---- max, min, relu ------------------------------------------------------------------------------------ */

static Expr *extreme(Exprs *pool, Expr *a, Expr *b, Expr *better)
{
    if (dtype_is_float(a->dtype))
        better = either(pool, better, unequal(pool, a, a));
    return choose(pool, better, a, b);
}

Expr *expand_max(Exprs *pool, Expr **operand)
{
    return extreme(pool, operand[0], operand[1], less(pool, operand[1], operand[0]));
}

Expr *expand_min(Exprs *pool, Expr **operand)
{
    return extreme(pool, operand[0], operand[1], less(pool, operand[0], operand[1]));
}

Expr *expand_relu(Exprs *pool, Expr **operand)
{
    Expr *zero = real(pool, operand[0], 0);
    return choose(pool, less(pool, operand[0], zero), zero, operand[0]);
}

/* ---- exp, tanh, erf: e^x = 2^n (1 + p) ----------------------------------------------------------------- */

#define MAGIC 0x1.8p23
#define LOG2_E 0x1.715476p+0
#define LN2_HIGH 0x1.62e43p-1 /* rounded to f32: n · LN2_HIGH is exact inside an fma */
#define LN2_LOW -0x1.05c61p-29

typedef struct Power {
    Expr *count; /* u32: MAGIC's bits + n + bias */
    Expr *p;     /* e^(x - n ln 2) - 1, |p| < 0.42 */
} Power;

static Power power_of_e(Exprs *pool, Expr *x, int bias)
{
    Expr *magic = real(pool, x, MAGIC + bias);
    Expr *shifted = fma3(pool, x, real(pool, x, LOG2_E), magic);
    Expr *n = sub(pool, shifted, magic);
    Expr *r = fma3(pool, n, real(pool, x, -LN2_HIGH), x);
    r = fma3(pool, n, real(pool, x, -LN2_LOW), r);
    /* |r| ≤ ln 2 / 2: e^r = 1 + r + r² q(r) to 2^-28.3 */
    Expr *q = POLYNOMIAL(pool, r, 0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558b4p-5, 0x1.1239ap-7, 0x1.6a495cp-10);
    return (Power){expr_bitcast(pool, shifted, DTYPE_U32), fma3(pool, mul(pool, r, r), q, r)};
}

/* 2^n of count = … + n + 127: the exponent's field moved to its place. */
static Expr *two_to(Exprs *pool, Expr *count)
{
    return expr_bitcast(pool, shift_left(pool, count, bits(pool, 23)), DTYPE_F32);
}

/* The factor 2^n in two halves: the first product is exact, the second overflows or loses bits as it must. Where nothing is left
   the second is 0, for a product that loses all its bits takes a CPU a hundred times as long; softmax's masks are such. */
Expr *expand_exp(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = at_most(pool, at_least(pool, operand[0], -104), 89);
    Power e = power_of_e(pool, x, 2 * 127);
    Expr *half = shift_right(pool, e.count, bits(pool, 1)), *rest = sub(pool, e.count, half);
    Expr *y = add(pool, e.p, real(pool, x, 1));
    Expr *nothing = less(pool, operand[0], real(pool, x, -104));
    Expr *second = choose(pool, nothing, real(pool, x, 0), two_to(pool, rest));
    return mul(pool, mul(pool, y, two_to(pool, half)), second);
}

/* For |x|: near 0 x + x³ P(x²), else 1 - 2 / (e^2x + 1). */
Expr *expand_tanh(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = magnitude(pool, operand[0]), *one = real(pool, x, 1), *two = real(pool, x, 2);
    Expr *square = mul(pool, x, x);
    /* |x| ≤ 0.65: to 2^-27.1 */
    Expr *near =
        POLYNOMIAL(pool, square, -0x1.555524p-2, 0x1.1103fp-3, -0x1.b7cfb6p-5, 0x1.4f5d72p-6, -0x1.696a9ap-8);
    near = fma3(pool, mul(pool, near, square), x, x);
    Power e = power_of_e(pool, mul(pool, at_most(pool, x, 9.5), two), 127); /* tanh 9.02 rounds to 1 */
    Expr *scale = two_to(pool, e.count);
    Expr *above = add(pool, fma3(pool, scale, e.p, scale), one);
    Expr *far = sub(pool, one, expr_apply(pool, SCALAR_DIV, two, above, NULL));
    return with_sign(pool, choose(pool, less(pool, x, real(pool, x, 0.65)), near, far), operand[0]);
}

/* Near 0 x + x P(x²); else 1 - e^(-t + t R(t)) with t = |x|: the form of N. Juffa's erff. */
Expr *expand_erf(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = operand[0], *one = real(pool, x, 1), *t = magnitude(pool, x);
    /* |x| ≤ 0.925: to 2^-25.9 */
    Expr *near = POLYNOMIAL(pool, mul(pool, x, x), 0x1.06eba6p-3, -0x1.8126e6p-2, 0x1.ce1a4cp-4,
                            -0x1.b687ecp-6, 0x1.4721d8p-8, -0x1.399e76p-11);
    near = fma3(pool, near, x, x);
    /* 0.924 ≤ t ≤ 3.95: to 2^-28.3; erf 3.95 rounds to 1 */
    t = at_most(pool, t, 3.95);
    Expr *far = POLYNOMIAL(pool, t, -0x1.0731ep-3, -0x1.457d6ep-1, -0x1.af212ap-4, 0x1.76f86ap-6,
                           -0x1.a53e82p-9, 0x1.c079aap-13);
    Power e = power_of_e(pool, fma3(pool, far, t, negate(pool, t)), 127);
    Expr *scale = two_to(pool, e.count);
    far = sub(pool, one, fma3(pool, scale, e.p, scale));
    return choose(pool, less(pool, t, real(pool, x, 0.925)), near, with_sign(pool, far, x));
}

/* ---- log: x = 2^e m ------------------------------------------------------------------------------------ */

typedef struct Parts {
    Expr *m, *e; /* f32 */
} Parts;

/* m from `low` (the bits of a number below 1) to twice that; for positive finite x, else without meaning. */
static Parts split(Exprs *pool, Expr *x, uint32_t low)
{
    Expr *denormal = less(pool, x, real(pool, x, 0x1p-126));
    Expr *number =
        expr_bitcast(pool, choose(pool, denormal, mul(pool, x, real(pool, x, 0x1p23)), x), DTYPE_I32);
    Expr *above = sub(pool, number, expr_int(pool, DTYPE_I32, low));
    Expr *field = both(pool, above, expr_int(pool, DTYPE_I32, -0x800000));
    Expr *exponent = expr_cast(pool, shift_right(pool, above, expr_int(pool, DTYPE_I32, 23)), DTYPE_F32);
    Expr *correction = choose(pool, denormal, real(pool, x, 23), real(pool, x, 0));
    return (Parts){expr_bitcast(pool, sub(pool, number, field), DTYPE_F32), sub(pool, exponent, correction)};
}

/* e ln 2 + log(1 + f), smallest parts first. */
Expr *expand_log(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = operand[0], *zero = real(pool, x, 0);
    Parts parts = split(pool, x, 0x3f2aaaab); /* 2/3 ≤ m < 4/3 */
    Expr *f = sub(pool, parts.m, real(pool, x, 1)), *f2 = mul(pool, f, f);
    /* log(1 + f) = f - f²/2 + f³ P(f) to 2^-27.7 */
    Expr *y = POLYNOMIAL(pool, f, 0x1.555506p-2, -0x1.fffefap-3, 0x1.99d05cp-3, -0x1.559c3p-3, 0x1.1ed452p-3,
                         -0x1.f33c0cp-4, 0x1.1e72ap-3, -0x1.07ab66p-3);
    y = fma3(pool, mul(pool, f2, f), y, mul(pool, parts.e, real(pool, x, LN2_LOW)));
    y = fma3(pool, f2, real(pool, x, -0.5), y);
    y = fma3(pool, parts.e, real(pool, x, LN2_HIGH), add(pool, y, f));
    y = choose(pool, less(pool, x, real(pool, x, INFINITY)), y, x); /* infinity and NaN */
    Expr *pole = choose(pool, equal(pool, x, zero), real(pool, x, -INFINITY), real(pool, x, NAN));
    return choose(pool, expr_apply(pool, SCALAR_LE, x, zero, NULL), pole, y);
}

/* ---- sin, cos: x = n π/2 + r --------------------------------------------------------------------------- */

#define WIDE_MAGIC 0x1.8p52
#define HALF_PI_HIGH 0x1.921fb54442d18p+0
#define HALF_PI_LOW 0x1.1a62633145c07p-54

typedef struct Turn {
    Expr *quarter; /* u32: n in its low bits */
    Expr *r;       /* f32, |r| ≤ π/4 */
} Turn;

/* In f64, whose first fma is all but exact. Up to 2^50 r is right to all its digits; beyond, and for
 * infinity, NaN. */
static Turn turn_of(Exprs *pool, Expr *x)
{
    Expr *known = expr_apply(pool, SCALAR_LE, magnitude(pool, x), real(pool, x, 0x1p50), NULL);
    Expr *wide = expr_cast(pool, choose(pool, known, x, real(pool, x, NAN)), DTYPE_F64);
    Expr *magic = real(pool, wide, WIDE_MAGIC);
    Expr *shifted = fma3(pool, wide, real(pool, wide, 0x1.45f306dc9c883p-1), magic);
    Expr *n = sub(pool, shifted, magic);
    Expr *r = fma3(pool, n, real(pool, wide, -HALF_PI_HIGH), wide);
    r = fma3(pool, n, real(pool, wide, -HALF_PI_LOW), r);
    Expr *quarter = expr_cast(pool, expr_bitcast(pool, shifted, DTYPE_I64), DTYPE_U32);
    return (Turn){quarter, expr_cast(pool, r, DTYPE_F32)};
}

/* The sine of turn's angle plus `quarters` right angles. */
static Expr *sine(Exprs *pool, Turn turn, uint32_t quarters)
{
    Expr *r = turn.r, *square = mul(pool, r, r);
    /* sin r = r + r³ S(r²) to 2^-28, cos r = 1 - r²/2 + r⁴ C(r²) to 2^-33 */
    Expr *s = POLYNOMIAL(pool, square, -0x1.555546p-3, 0x1.11077ap-7, -0x1.9954a8p-13);
    s = fma3(pool, mul(pool, s, square), r, r);
    Expr *c = POLYNOMIAL(pool, square, 0x1.55554ap-5, -0x1.6c0c28p-10, 0x1.99e816p-16);
    c = fma3(pool, c, square, real(pool, r, -0.5));
    c = fma3(pool, c, square, real(pool, r, 1));
    Expr *quarter = add(pool, turn.quarter, bits(pool, quarters));
    Expr *odd = unequal(pool, both(pool, quarter, bits(pool, 1)), bits(pool, 0));
    Expr *sign = shift_left(pool, both(pool, quarter, bits(pool, 2)), bits(pool, 30));
    Expr *y = expr_bitcast(pool, choose(pool, odd, c, s), DTYPE_U32);
    return expr_bitcast(pool, flip(pool, y, sign), DTYPE_F32);
}

Expr *expand_sin(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = operand[0];
    Expr *y = sine(pool, turn_of(pool, x), 0);
    return choose(pool, equal(pool, x, real(pool, x, 0)), x, y); /* keeps -0 */
}

Expr *expand_cos(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    return sine(pool, turn_of(pool, operand[0]), 1);
}

/* ---- pow: 2^(y log2 |x|), in f64 ----------------------------------------------------------------------- */

static Expr *log2_wide(Exprs *pool, Expr *x)
{
    Parts parts = split(pool, x, 0x3f3504f3); /* √½ ≤ m < √2 */
    Expr *m = expr_cast(pool, parts.m, DTYPE_F64), *one = real(pool, m, 1);
    Expr *s = expr_apply(pool, SCALAR_DIV, sub(pool, m, one), add(pool, m, one), NULL), *z = mul(pool, s, s);
    /* log2 m = 2/ln 2 · atanh s = s · 2/ln 2 + s³ P(s²) to 2^-44.9 */
    Expr *y = POLYNOMIAL(pool, z, 0x1.ec709dc4c4f89p-1, 0x1.2776c2ec0a758p-1, 0x1.a619f98c14d0bp-2,
                         0x1.479c481bbc7e6p-2, 0x1.215cd720a6f0dp-2);
    y = fma3(pool, mul(pool, s, z), y, mul(pool, s, real(pool, m, 0x1.71547652b82fep+1)));
    y = add(pool, y, expr_cast(pool, parts.e, DTYPE_F64));
    Expr *wide = expr_cast(pool, x, DTYPE_F64);
    y = choose(pool, less(pool, x, real(pool, x, INFINITY)), y, wide);
    return choose(pool, equal(pool, x, real(pool, x, 0)), real(pool, y, -INFINITY), y);
}

/* Rounded to f32 at the end: overflow, underflow and denormal results are that conversion's. */
static Expr *exp2_wide(Exprs *pool, Expr *x)
{
    x = at_most(pool, at_least(pool, x, -256), 256);
    Expr *magic = real(pool, x, WIDE_MAGIC + 1023);
    Expr *shifted = add(pool, x, magic);
    Expr *r = sub(pool, x, sub(pool, shifted, magic));
    /* |r| ≤ ½: 2^r = 1 + r ln 2 + r² q(r) to 2^-34 */
    Expr *y =
        POLYNOMIAL(pool, r, 1, 0x1.62e42fefa39efp-1, 0x1.ebfbe067f9c24p-3, 0x1.c6b08c02fd511p-5,
                   0x1.3b29fea37d9a4p-7, 0x1.5d89c0ad1b629p-10, 0x1.44553683dcf76p-13, 0x1.fe7bb645b9891p-17);
    Expr *scale = shift_left(pool, expr_bitcast(pool, shifted, DTYPE_I64), expr_int(pool, DTYPE_I64, 52));
    return expr_cast(pool, mul(pool, y, expr_bitcast(pool, scale, DTYPE_F64)), DTYPE_F32);
}

/* C's pow: x^0 and 1^y are 1 even of NaN; a negative x takes integers only, odd ones keep its sign. */
Expr *expand_pow(Exprs *pool, Expr **operand)
{
    if (operand[0]->dtype != DTYPE_F32)
        return NULL;
    Expr *x = operand[0], *y = operand[1], *zero = real(pool, x, 0), *one = real(pool, x, 1);
    Expr *size = magnitude(pool, x), *half = mul(pool, y, real(pool, x, 0.5));
    Expr *power = mul(pool, expr_cast(pool, y, DTYPE_F64), log2_wide(pool, size));
    Expr *fraction = unequal(pool, floor_of(pool, y), y);
    Expr *odd = both(pool, equal(pool, floor_of(pool, y), y), unequal(pool, floor_of(pool, half), half));
    Expr *result = exp2_wide(pool, power);
    result = choose(pool, odd, with_sign(pool, result, x), result);
    Expr *negative = both(pool, less(pool, x, zero), less(pool, real(pool, x, -INFINITY), x));
    result = choose(pool, both(pool, negative, fraction), real(pool, x, NAN), result);
    Expr *endless =
        both(pool, equal(pool, size, one), equal(pool, magnitude(pool, y), real(pool, x, INFINITY)));
    Expr *unity = either(pool, either(pool, equal(pool, y, zero), equal(pool, x, one)), endless);
    return choose(pool, unity, one, result);
}
