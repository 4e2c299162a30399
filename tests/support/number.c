#include "number.h"

#include <math.h>
#include <stdlib.h>

double number_unit(DType dtype) { return dtype == DTYPE_F32 ? 0x1p-24 : 0x1p-53; }

static double tiny(DType dtype) { return dtype == DTYPE_F32 ? 0x1p-149 : 0x1p-1074; }

double number_round(DType dtype, double value) { return dtype == DTYPE_F32 ? (double)(float)value : value; }

Number number_exact(double value) { return (Number){value, 0, fabs(value), 0, value, true}; }

static bool same(double want, double got) { return isnan(want) ? isnan(got) : got == want; }

bool number_within(Number want, double got)
{
    if (want.error == INFINITY)
        return true;
    if (!isfinite(want.value))
        return same(want.value, got);
    return fabs(got - want.value) <= want.error;
}

bool number_predicts(Number want, double got) { return !want.known || same(want.predicted, got); }

/* ---- floats --------------------------------------------------------------------------------------------- */

/* The value of a function that is exact or correctly rounded. */
static double step_value(OpKind op, double a, double b)
{
    switch (op) {
    case OP_NEG:
        return -a;
    case OP_ABS:
        return fabs(a);
    case OP_SQRT:
        return sqrt(a);
    case OP_FLOOR:
        return floor(a);
    case OP_RELU:
        return a <= 0 ? 0 : a;
    case OP_ADD:
        return a + b;
    case OP_SUB:
        return a - b;
    case OP_MUL:
        return a * b;
    case OP_DIV:
        return a / b;
    case OP_MAX:
        return isnan(a) || a > b ? a : b;
    case OP_MIN:
        return isnan(a) || a < b ? a : b;
    default:
        abort();
    }
}

/* A function that is exact: so is what it inherits. */
static Number exact_step(OpKind op, Number a, Number b, double inherited, double tangent)
{
    Number n = {.value = step_value(op, a.value, b.value), .error = inherited, .tangent = tangent};
    n.size = fabs(n.value);
    n.predicted = step_value(op, a.predicted, b.predicted);
    n.known = a.known && b.known;
    return n;
}

/* One rounding more. (The prediction rounds to double first, then to f32; for + − · / √ that changes nothing, since
   53 ≥ 2·24 + 2: Figueroa 1995.) */
static Number rounded_step(DType dtype, OpKind op, Number a, Number b, double inherited, double tangent)
{
    Number n = exact_step(op, a, b, inherited, tangent);
    n.error += number_unit(dtype) * (fabs(n.value) + inherited) + tiny(dtype);
    n.predicted = number_round(dtype, n.predicted);
    return n;
}

/* A function that is accurate to two units in the last place. */
static Number nearly(DType dtype, double value, double inherited, double tangent)
{
    double last_places = 4 * number_unit(dtype) * (fabs(value) + inherited) + 2 * tiny(dtype);
    return (Number){value, inherited + last_places, fabs(value), tangent, NAN, false};
}

/* A value by an error, or by another: what is 0 stays 0 by anything. */
static double times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

static Number quotient(DType dtype, Number a, Number b)
{
    double value = a.value / b.value, inherited = 0;
    if (a.error > 0 || b.error > 0)
        inherited = fabs(b.value) > b.error
                        ? (a.error + times(fabs(value), b.error)) / (fabs(b.value) - b.error)
                        : INFINITY;
    return rounded_step(dtype, OP_DIV, a, b, inherited, (a.tangent - value * b.tangent) / b.value);
}

static Number logarithm(DType dtype, Number a)
{
    double inherited = a.error > 0 ? (a.value > a.error ? a.error / (a.value - a.error) : INFINITY) : 0;
    return nearly(dtype, log(a.value), inherited, a.tangent / a.value);
}

static Number root(DType dtype, Number a)
{
    double value = sqrt(a.value), inherited = 0;
    if (a.error > 0)
        inherited = a.value > 0 ? a.error / value : sqrt(a.error);
    return rounded_step(dtype, OP_SQRT, a, a, inherited, 0.5 * a.tangent / value);
}

/* Where a > 0, d(a^b) = a^b (b/a da + log(a) db); a base that is not positive has a whole, constant exponent. */
static Number power(DType dtype, Number a, Number b)
{
    double value = pow(a.value, b.value), inherited = 0, tangent = 0;
    if (a.error > 0 || b.error > 0) {
        double room = fabs(a.value) - a.error;
        double relative = (fabs(b.value) + b.error) * a.error / room + fabs(log(fabs(a.value))) * b.error;
        inherited = room > 0 ? fabs(value) * expm1(2 * relative) : INFINITY;
    }
    if (a.tangent != 0)
        tangent += b.value * pow(a.value, b.value - 1) * a.tangent;
    if (b.tangent != 0 && a.value > 0)
        tangent += value * log(a.value) * b.tangent;
    return nearly(dtype, value, inherited, tangent);
}

static Number whole_part(Number a)
{
    double low = floor(a.value - a.error), high = floor(a.value + a.error);
    return exact_step(OP_FLOOR, a, a, low == high ? 0 : 1 + a.error, 0);
}

/* A tie gives the derivative of the first. */
static Number extreme(OpKind op, Number a, Number b)
{
    bool second = op == OP_MAX ? a.value < b.value : b.value < a.value;
    return exact_step(op, a, b, fmax(a.error, b.error), second ? b.tangent : a.tangent);
}

static Number product(DType dtype, Number a, Number b)
{
    double inherited =
        times(fabs(a.value), b.error) + times(fabs(b.value), a.error) + times(a.error, b.error);
    return rounded_step(dtype, OP_MUL, a, b, inherited, a.value * b.tangent + b.value * a.tangent);
}

static Number map_float(OpKind op, DType dtype, const Number *in)
{
    Number a = in[0], b = in[1];
    double x = a.value, t = a.tangent;
    switch (op) {
    case OP_NEG:
        return exact_step(op, a, a, a.error, -t);
    case OP_ABS:
        return exact_step(op, a, a, a.error, x < 0 ? -t : t);
    case OP_EXP:
        return nearly(dtype, exp(x), exp(x) * expm1(a.error), exp(x) * t);
    case OP_LOG:
        return logarithm(dtype, a);
    case OP_SQRT:
        return root(dtype, a);
    case OP_TANH:
        return nearly(dtype, tanh(x), a.error, t / (cosh(x) * cosh(x)));
    case OP_ERF:
        return nearly(dtype, erf(x), M_2_SQRTPI * a.error, M_2_SQRTPI * exp(-x * x) * t);
    case OP_SIN:
        return nearly(dtype, sin(x), a.error, cos(x) * t);
    case OP_COS:
        return nearly(dtype, cos(x), a.error, -sin(x) * t);
    case OP_FLOOR:
        return whole_part(a);
    case OP_RELU:
        return exact_step(op, a, a, a.error, x > 0 ? t : 0);
    case OP_ADD:
        return rounded_step(dtype, op, a, b, a.error + b.error, t + b.tangent);
    case OP_SUB:
        return rounded_step(dtype, op, a, b, a.error + b.error, t - b.tangent);
    case OP_MUL:
        return product(dtype, a, b);
    case OP_DIV:
        return quotient(dtype, a, b);
    case OP_POW:
        return power(dtype, a, b);
    case OP_MAX:
    case OP_MIN:
        return extreme(op, a, b);
    default:
        abort();
    }
}

/* ---- integers, truth values, choices -------------------------------------------------------------------- */

/* The integer of a type that is equal modulo its range. */
static double wrapped(DType dtype, int64_t value)
{
    switch (dtype) {
    case DTYPE_BOOL:
        return value != 0;
    case DTYPE_I8:
        return (int8_t)value;
    case DTYPE_U8:
        return (uint8_t)value;
    case DTYPE_I32:
        return (int32_t)value;
    case DTYPE_U32:
        return (uint32_t)value;
    default:
        return (double)value;
    }
}

static int64_t integer_value(OpKind op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_NEG:
        return -a;
    case OP_ADD:
        return a + b;
    case OP_SUB:
        return a - b;
    case OP_MUL:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case OP_DIV:
        return b ? a / b : 0;
    case OP_MAX:
        return a > b ? a : b;
    case OP_MIN:
        return a < b ? a : b;
    case OP_RELU:
        return a > 0 ? a : 0;
    case OP_AND:
        return a & b;
    case OP_OR:
        return a | b;
    default:
        abort();
    }
}

static Number map_integer(OpKind op, DType dtype, Number a, Number b)
{
    Number n = number_exact(wrapped(dtype, integer_value(op, (int64_t)a.value, (int64_t)b.value)));
    n.known = a.known && b.known;
    if (n.known)
        n.predicted = wrapped(dtype, integer_value(op, (int64_t)a.predicted, (int64_t)b.predicted));
    n.error = a.error > 0 || b.error > 0 ? INFINITY : 0;
    return n;
}

static bool holds(OpKind op, double a, double b)
{
    return op == OP_LT ? a < b : op == OP_LE ? a <= b : a == b;
}

static Number compare(OpKind op, Number a, Number b)
{
    double error = a.error + b.error;
    Number n = number_exact(holds(op, a.value, b.value));
    n.error = error > 0 && fabs(a.value - b.value) <= error ? 1 : 0;
    n.predicted = holds(op, a.predicted, b.predicted);
    n.known = n.error == 0 || (a.known && b.known);
    if (n.error == 0)
        n.predicted = n.value;
    return n;
}

static Number choose(Number condition, Number a, Number b)
{
    Number n = condition.value != 0 ? a : b;
    if (condition.error > 0)
        n.error = fmax(a.error, b.error) + fabs(a.value - b.value);
    Number chosen = condition.predicted != 0 ? a : b;
    n.predicted = chosen.predicted;
    n.known = condition.known && chosen.known;
    return n;
}

/* Towards zero. */
static double integer_of(DType to, double value)
{
    return to == DTYPE_BOOL ? value != 0 : wrapped(to, (int64_t)value);
}

static Number convert(DType to, Number a)
{
    Number n = a;
    if (dtype_is_float(to)) {
        n.error += number_unit(to) * (fabs(a.value) + a.error) + tiny(to);
        n.predicted = number_round(to, a.predicted);
        return n;
    }
    bool sure = isfinite(a.error) && integer_of(to, a.value - a.error) == integer_of(to, a.value + a.error);
    n = number_exact(integer_of(to, a.value));
    n.error = sure ? 0 : INFINITY;
    n.known = sure || a.known;
    n.predicted = sure ? n.value : integer_of(to, a.predicted);
    return n;
}

Number number_map(OpKind op, DType from, DType to, const Number *in)
{
    Number n;
    switch (op) {
    case OP_SELECT:
        return choose(in[0], in[1], in[2]);
    case OP_LT:
    case OP_LE:
    case OP_EQ:
        return compare(op, in[0], in[1]);
    case OP_CAST:
        return from == to ? in[0] : convert(to, in[0]);
    case OP_AGAIN:
        return in[0];
    case OP_STOP_GRADIENT:
        n = in[0];
        n.tangent = 0;
        return n;
    default:
        return dtype_is_float(to) ? map_float(op, to, in) : map_integer(op, to, in[0], in[1]);
    }
}

/* ---- reductions ----------------------------------------------------------------------------------------- */

double order_depth(Order order)
{
    double depth = order.lanes ? ceil((double)order.leaf / 16) + 4 : (double)order.leaf;
    for (int64_t leaves = order.leaves; leaves > 1; leaves = (leaves + 1) / 2)
        depth++;
    return depth;
}

static double add(DType dtype, double a, double b) { return number_round(dtype, a + b); }

/* One term of a chain, in the type's arithmetic. */
static double accumulate(DType dtype, double sum, const Number *a, const Number *b)
{
    if (!b)
        return add(dtype, sum, a->predicted);
    if (dtype == DTYPE_F32)
        return (double)fmaf((float)a->predicted, (float)b->predicted, (float)sum);
    return fma(a->predicted, b->predicted, sum);
}

static double leaf_sum(DType dtype, bool lanes, const Number *a, const Number *b, int64_t count)
{
    enum { LANES = 16 };
    double lane[LANES] = {0};
    for (int64_t i = 0; i < count; i++) {
        double *sum = &lane[lanes ? i % LANES : 0];
        *sum = accumulate(dtype, *sum, &a[i], b ? &b[i] : NULL);
    }
    for (int half = LANES / 2; lanes && half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] = add(dtype, lane[l], lane[l + half]);
    return lane[0];
}

static double tree_sum(DType dtype, Order order, const Number *a, const Number *b, int64_t count)
{
    double *level = malloc(sizeof *level * (size_t)order.leaves);
    if (!level)
        abort();
    for (int64_t l = 0; l < order.leaves; l++) {
        int64_t begin = l * order.leaf < count ? l * order.leaf : count;
        int64_t rest = count - begin, length = rest < order.leaf ? rest : order.leaf;
        level[l] = leaf_sum(dtype, order.lanes, a + begin, b ? b + begin : NULL, length);
    }
    for (int64_t n = order.leaves; n > 1; n = (n + 1) / 2) {
        for (int64_t i = 0; i < n / 2; i++)
            level[i] = add(dtype, level[2 * i], level[2 * i + 1]);
        if (n % 2)
            level[n / 2] = level[n - 1];
    }
    double sum = level[0];
    free(level);
    return sum;
}

/* The bound of Higham with √depth for depth (Higham and Mary 2019) and a factor of 4: reliability's rule 1. */
static double sum_error(DType dtype, Order order, const Number *sum)
{
    double depth = order_depth(order);
    return (4 * sqrt(depth) + 2) * number_unit(dtype) * (sum->size + sum->error) + depth * tiny(dtype);
}

Number number_sum(DType dtype, Order order, const Number *a, const Number *b, int64_t count)
{
    Number n = {.known = true};
    long double value = 0, tangent = 0;
    static const Number one = {.value = 1, .size = 1};
    for (int64_t i = 0; i < count; i++) {
        Number x = a[i], y = b ? b[i] : one;
        value += (long double)x.value * (long double)y.value;
        tangent +=
            (long double)x.value * (long double)y.tangent + (long double)x.tangent * (long double)y.value;
        n.size += fabs(x.value * y.value);
        n.error += times(fabs(x.value), y.error) + times(fabs(y.value), x.error) + times(x.error, y.error);
        n.known &= x.known && (!b || y.known);
    }
    n.value = (double)value;
    n.tangent = (double)tangent;
    if (!dtype_is_float(dtype)) {
        n.predicted = n.value = wrapped(dtype, (int64_t)value);
        n.error = n.error > 0 ? INFINITY : 0;
        return n;
    }
    n.error += sum_error(dtype, order, &n);
    n.predicted = n.known ? tree_sum(dtype, order, a, b, count) : NAN;
    return n;
}

Number number_extreme(DType dtype, const Number *a, int64_t count, bool greatest)
{
    Number n = a[0];
    for (int64_t i = 1; i < count; i++) {
        Number pair[2] = {n, a[i]};
        OpKind op = greatest ? OP_MAX : OP_MIN;
        n = dtype_is_float(dtype) ? extreme(op, pair[0], pair[1]) : map_integer(op, dtype, pair[0], pair[1]);
    }
    return n;
}
