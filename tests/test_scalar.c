/* The scalar table: values in every type's arithmetic, conversions, and how far the expanded functions are
 * from the truth. */
#include "expr.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table's values ---------------------------------------------------------------------------- */

static int64_t value_i(ScalarOp op, DType dtype, int64_t a, int64_t b, int64_t c)
{
    return scalar_value(op, dtype, (Cell){.i64 = a}, (Cell){.i64 = b}, (Cell){.i64 = c}).i64;
}

static float value_f(ScalarOp op, float a, float b, float c)
{
    return scalar_value(op, DTYPE_F32, (Cell){.f32 = a}, (Cell){.f32 = b}, (Cell){.f32 = c}).f32;
}

START_TEST(integers_wrap)
{
    static const struct {
        ScalarOp op;
        DType dtype;
        int64_t a, b, c, result;
    } cases[] = {
        {SCALAR_ADD, DTYPE_U32, 0xffffffff, 2, 0, 1},
        {SCALAR_SUB, DTYPE_U32, 0, 1, 0, 0xffffffff},
        {SCALAR_MUL, DTYPE_U32, 0xffffffff, 0xffffffff, 0, 1},
        {SCALAR_NEG, DTYPE_U32, 1, 0, 0, 0xffffffff},
        {SCALAR_FMA, DTYPE_U32, 0x10000, 0x10000, 7, 7},
        {SCALAR_ADD, DTYPE_I32, INT32_MAX, 1, 0, INT32_MIN},
        {SCALAR_MUL, DTYPE_I32, 65536, 32768, 0, INT32_MIN},
        {SCALAR_ADD, DTYPE_I64, INT64_MAX, 1, 0, INT64_MIN},
        {SCALAR_SUB, DTYPE_I64, INT64_MIN, 1, 0, INT64_MAX},
        {SCALAR_MUL, DTYPE_I64, INT64_MAX, 2, 0, -2},
        {SCALAR_NEG, DTYPE_I64, INT64_MIN, 0, 0, INT64_MIN},
        {SCALAR_ABS, DTYPE_I64, -5, 0, 0, 5},
        {SCALAR_ABS, DTYPE_I32, INT32_MIN, 0, 0, INT32_MIN},
        {SCALAR_ADD, DTYPE_I8, 127, 1, 0, -128},
        {SCALAR_ADD, DTYPE_U8, 255, 1, 0, 0},
        {SCALAR_DIV, DTYPE_I64, -7, 2, 0, -3},
        {SCALAR_MOD, DTYPE_I64, -7, 2, 0, -1},
        {SCALAR_DIV, DTYPE_U32, 0xffffffff, 2, 0, 0x7fffffff},
        {SCALAR_DIV, DTYPE_I64, INT64_MIN, -1, 0, INT64_MIN},
        {SCALAR_MOD, DTYPE_I64, INT64_MIN, -1, 0, 0},
        {SCALAR_DIV, DTYPE_U32, 5, 0xffffffff, 0, 0},
        {SCALAR_MOD, DTYPE_U32, 5, 0xffffffff, 0, 5},
        {SCALAR_DIV, DTYPE_I32, 5, 0, 0, 0},
        {SCALAR_MOD, DTYPE_I32, 5, 0, 0, 0},
        {SCALAR_SHL, DTYPE_U32, 3, 31, 0, 0x80000000},
        {SCALAR_SHL, DTYPE_I32, -1, 31, 0, INT32_MIN},
        {SCALAR_SHR, DTYPE_I32, -8, 1, 0, -4},
        {SCALAR_SHR, DTYPE_U32, 0xfffffff8, 1, 0, 0x7ffffffc},
        {SCALAR_XOR, DTYPE_U32, 0xff, 0xf0f, 0, 0xff0},
        {SCALAR_OR, DTYPE_I64, 1LL << 40, 1, 0, (1LL << 40) + 1},
        {SCALAR_AND, DTYPE_BOOL, 1, 0, 0, 0},
        {SCALAR_MULHI, DTYPE_U32, 0xffffffff, 0xffffffff, 0, 0xfffffffe},
        {SCALAR_MULHI, DTYPE_I32, -1, 1, 0, -1},
        {SCALAR_MULHI, DTYPE_I64, INT64_MIN, INT64_MIN, 0, 1LL << 62},
        {SCALAR_CTZ, DTYPE_U32, 0, 0, 0, 32},
        {SCALAR_CTZ, DTYPE_I64, 0, 0, 0, 64},
        {SCALAR_CTZ, DTYPE_I32, 24, 0, 0, 3},
        {SCALAR_LT, DTYPE_U32, 1, 0xffffffff, 0, 1},
        {SCALAR_LT, DTYPE_I32, 1, -1, 0, 0},
        {SCALAR_LE, DTYPE_I64, 3, 3, 0, 1},
        {SCALAR_NE, DTYPE_BOOL, 1, 0, 0, 1},
        {SCALAR_SELECT, DTYPE_I64, 1, 20, 30, 20},
        {SCALAR_MAX, DTYPE_I32, -3, 2, 0, 2},
        {SCALAR_MIN, DTYPE_U32, 0xffffffff, 2, 0, 2},
        {SCALAR_RELU, DTYPE_I32, -3, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(value_i(cases[i].op, cases[i].dtype, cases[i].a, cases[i].b, cases[i].c) ==
                          cases[i].result,
                      "case %zu: %s", i, scalar_info[cases[i].op].name);
}
END_TEST

START_TEST(floats_are_floats)
{
    ck_assert(value_f(SCALAR_ADD, 0x1p24f, 1, 0) == 0x1p24f);
    ck_assert(value_f(SCALAR_FMA, 0x1.000002p0f, 0x1.fffffcp-1f, -1) == -0x1p-46f); /* rounded once */
    ck_assert(value_f(SCALAR_DIV, 1, 0, 0) == INFINITY);
    ck_assert(value_f(SCALAR_FLOOR, -1.5f, 0, 0) == -2);
    ck_assert(signbit(value_f(SCALAR_NEG, 0, 0, 0)));
    ck_assert(value_f(SCALAR_SELECT, 0, 1, 2) == 2);
    ck_assert(isnan(value_f(SCALAR_MAX, NAN, 1, 0)) && isnan(value_f(SCALAR_MAX, 1, NAN, 0)));
    ck_assert(isnan(value_f(SCALAR_MIN, NAN, 1, 0)) && isnan(value_f(SCALAR_MIN, 1, NAN, 0)));
    ck_assert(isnan(value_f(SCALAR_RELU, NAN, 0, 0)));
    ck_assert_int_eq(scalar_value(SCALAR_LT, DTYPE_F64, (Cell){.f64 = NAN}, (Cell){.f64 = 1}, (Cell){0}).i64,
                     0);
    ck_assert_int_eq(
        scalar_value(SCALAR_NE, DTYPE_F32, (Cell){.f32 = NAN}, (Cell){.f32 = NAN}, (Cell){0}).i64, 1);
    ck_assert(scalar_value(SCALAR_EXP, DTYPE_F64, (Cell){.f64 = 1}, (Cell){0}, (Cell){0}).f64 == exp(1));
}
END_TEST

START_TEST(conversions)
{
    ck_assert_int_eq(cell_convert((Cell){.f32 = -2.9f}, DTYPE_F32, DTYPE_I32).i64, -2);
    ck_assert_int_eq(cell_convert((Cell){.f64 = 4e9}, DTYPE_F64, DTYPE_U32).i64, 4000000000);
    ck_assert_int_eq(cell_convert((Cell){.f64 = NAN}, DTYPE_F64, DTYPE_I64).i64, 0);
    ck_assert_int_eq(cell_convert((Cell){.f64 = 1e30}, DTYPE_F64, DTYPE_I64).i64, INT64_MAX);
    ck_assert_int_eq(cell_convert((Cell){.f64 = -1e30}, DTYPE_F64, DTYPE_I64).i64, INT64_MIN);
    ck_assert_int_eq(cell_convert((Cell){.i64 = -1}, DTYPE_I64, DTYPE_U32).i64, 0xffffffff);
    ck_assert_int_eq(cell_convert((Cell){.i64 = 300}, DTYPE_I64, DTYPE_I8).i64, 44);
    ck_assert_int_eq(cell_convert((Cell){.i64 = 256}, DTYPE_I32, DTYPE_BOOL).i64, 1);
    ck_assert(cell_convert((Cell){.i64 = 0xffffffff}, DTYPE_U32, DTYPE_F32).f32 == 0x1p32f);
    ck_assert(cell_convert((Cell){.i64 = (1LL << 53) + 1}, DTYPE_I64, DTYPE_F64).f64 == 0x1p53);
    ck_assert(cell_convert((Cell){.f64 = 0x1.000001p0}, DTYPE_F64, DTYPE_F32).f32 == 1); /* to even */
    ck_assert_int_eq(cell_bits((Cell){.f32 = -0.0f}, DTYPE_F32, DTYPE_U32).i64, 0x80000000);
    ck_assert_int_eq(cell_bits((Cell){.f32 = -0.0f}, DTYPE_F32, DTYPE_I32).i64, INT32_MIN);
    ck_assert(cell_bits((Cell){.i64 = 0x3f800000}, DTYPE_U32, DTYPE_F32).f32 == 1);
    ck_assert(cell_bits((Cell){.i64 = 0x3ff0000000000000}, DTYPE_I64, DTYPE_F64).f64 == 1);
}
END_TEST

/* ---- the expanded functions ------------------------------------------------------------------------ */

enum { MAX_NODES = 200 };

typedef struct Function { /* of temp 0 and temp 1, flat: each node after its operands */
    const Expr *node[MAX_NODES];
    int count;
} Function;

static void flatten(Function *f, const Expr *e, int *place)
{
    if (place[e->id] >= 0)
        return;
    for (int i = 0; i < e->count; i++)
        flatten(f, e->arg[i], place);
    ck_assert_int_lt(f->count, MAX_NODES);
    place[e->id] = f->count;
    f->node[f->count++] = e;
}

typedef struct Evaluator {
    Arena *arena;
    Function function;
    int place[4096];
} Evaluator;

static void evaluator_open(Evaluator *v, ScalarOp op, DType dtype)
{
    *v = (Evaluator){.arena = arena_new()};
    Exprs *pool = exprs_new(v->arena);
    Expr *a = expr_temp(pool, dtype, 1, 0),
         *b = scalar_info[op].arity > 1 ? expr_temp(pool, dtype, 1, 1) : NULL;
    Expr *e = expr_expand(pool, expr_apply(pool, op, a, b, NULL));
    memset(v->place, -1, sizeof v->place);
    flatten(&v->function, e, v->place);
    for (int i = 0; i < v->function.count; i++)
        if (v->function.node[i]->kind == EXPR_APPLY)
            ck_assert_msg(!scalar_info[v->function.node[i]->op].expand, "%s is not spelled by primitive rows",
                          scalar_info[op].name);
}

static Cell evaluate(const Evaluator *v, Cell a, Cell b)
{
    Cell value[MAX_NODES];
    for (int i = 0; i < v->function.count; i++) {
        const Expr *e = v->function.node[i];
        Cell arg[3] = {{0}};
        for (int k = 0; k < e->count; k++)
            arg[k] = value[v->place[e->arg[k]->id]];
        if (e->kind == EXPR_TEMP)
            value[i] = e->index ? b : a;
        else if (e->kind == EXPR_CONST)
            value[i] = e->dtype == DTYPE_F32   ? (Cell){.f32 = (float)e->real}
                       : e->dtype == DTYPE_F64 ? (Cell){.f64 = e->real}
                                               : (Cell){.i64 = e->integer};
        else if (e->kind == EXPR_CAST)
            value[i] = cell_convert(arg[0], e->arg[0]->dtype, e->dtype);
        else if (e->kind == EXPR_BITCAST)
            value[i] = cell_bits(arg[0], e->arg[0]->dtype, e->dtype);
        else
            value[i] = scalar_value(e->op, e->arg[e->count > 1]->dtype, arg[0], arg[1], arg[2]);
    }
    return value[v->function.count - 1];
}

static float evaluate_f(const Evaluator *v, float a, float b)
{
    return evaluate(v, (Cell){.f32 = a}, (Cell){.f32 = b}).f32;
}

static float float_of(uint32_t pattern)
{
    float x;
    memcpy(&x, &pattern, sizeof x);
    return x;
}

/* Distance in units of f32's last place at the true value; infinite where one is NaN, infinite or zero and
   the other cannot be. */
static double ulps(float got, long double truth)
{
    if (isnan(truth) || isnan(got))
        return isnan(truth) && isnan(got) ? 0 : INFINITY;
    if (isinf(truth) || isinf(got))
        return (float)truth == got ? 0 : INFINITY;
    int exponent = 0;
    if (truth != 0)
        frexpl(truth, &exponent);
    exponent = exponent < -125 ? -125 : exponent;
    return (double)(fabsl((long double)got - truth) / ldexpl(1, exponent - 24));
}

static const float specials[] = {
    0.0f,
    -0.0f,
    1.0f,
    -1.0f,
    0x1p-149f,
    -0x1p-149f,
    0x1p-126f,
    -0x1p-126f,
    0x1.fffffcp-127f,
    0.5f,
    -0.5f,
    2.0f,
    -2.0f,
    3.0f,
    -3.0f,
    INFINITY,
    -INFINITY,
    NAN,
    0x1.fffffep127f,
    0x1p24f,
    -0x1p24f,
    0x1p23f,
    -0x1p23f,
    88.722839f,
    88.72284f,
    -103.97f,
    -103.98f,
    -87.336544f,
    1e-30f,
    -1e-30f,
    1e30f,
    -1e30f,
    0.333333f,
    -0.333333f,
    0x1.000002p0f,
    0x1.fffffep-1f,
    1.5f,
    -1.5f,
    2.5f,
    -2.5f,
    9.01f,
    16777215,
    -16777215,
    3.9192059f,
    0.925f,
    0.92499995f,
    1e5f,
    -1e5f,
    100.5f,
    -100.5f,
};
enum { SPECIALS = sizeof specials / sizeof *specials };

typedef struct Unary {
    ScalarOp op;
    double (*truth)(double);
    double limit; /* |x| up to which the bound holds */
    double bound; /* ulp */
} Unary;

/* The largest errors over all 2^32 floats, as once measured: 1.013, 0.838, 1.293, 1.064, 1.536, 1.533. */
static const Unary unaries[] = {
    {SCALAR_EXP, exp, INFINITY, 1.02}, {SCALAR_LOG, log, INFINITY, 0.85}, {SCALAR_TANH, tanh, INFINITY, 1.3},
    {SCALAR_ERF, erf, INFINITY, 1.07}, {SCALAR_SIN, sin, 0x1p50, 1.54},   {SCALAR_COS, cos, 0x1p50, 1.54},
};

static void check_unary(const Evaluator *v, const Unary *u, float x, double *worst, float *where)
{
    if (fabsf(x) > u->limit && !isinf(x))
        return;
    double truth = u->truth((double)x);
    float got = evaluate_f(v, x, 0);
    double error = ulps(got, (long double)truth);
    if (error > *worst) {
        *worst = error;
        *where = x;
    }
    if (truth == 0)
        ck_assert_msg(!signbit(got) == !signbit(truth), "%s(%a) has the wrong zero", scalar_info[u->op].name,
                      (double)x);
}

START_TEST(unary_functions_are_accurate)
{
    const Unary *u = &unaries[_i];
    Evaluator v;
    evaluator_open(&v, u->op, DTYPE_F32);
    double worst = 0;
    float where = 0;
    for (int i = 0; i < SPECIALS; i++)
        check_unary(&v, u, specials[i], &worst, &where);
    for (uint64_t pattern = 0; pattern < 1ull << 32; pattern += 8191) /* every exponent alike */
        check_unary(&v, u, float_of((uint32_t)pattern), &worst, &where);
    for (int i = -300000; i <= 300000; i++) /* where networks are */
        check_unary(&v, u, (float)i * 0x1.0cp-15f, &worst, &where);
    ck_assert_msg(worst <= u->bound, "%s(%a) is off by %.3f ulp", scalar_info[u->op].name, (double)where,
                  worst);
    arena_free(v.arena);
}
END_TEST

START_TEST(far_angles_are_nan)
{
    Evaluator v;
    evaluator_open(&v, SCALAR_SIN, DTYPE_F32);
    ck_assert(isnan(evaluate_f(&v, 0x1.000002p50f, 0)) && !isnan(evaluate_f(&v, 0x1p50f, 0)));
    arena_free(v.arena);
}
END_TEST

static void check_pow(const Evaluator *v, float x, float y)
{
    long double truth = powl((long double)x, (long double)y);
    float got = evaluate_f(v, x, y);
    ck_assert_msg(ulps(got, truth) <= 0.51, "pow(%a, %a) is off by %.3f ulp", (double)x, (double)y,
                  ulps(got, truth));
    ck_assert_msg(isnan(truth) || !signbit(got) == !signbit(truth), "pow(%a, %a) has the wrong sign",
                  (double)x, (double)y);
}

START_TEST(pow_is_accurate)
{
    Evaluator v;
    evaluator_open(&v, SCALAR_POW, DTYPE_F32);
    for (int i = 0; i < SPECIALS; i++)
        for (int k = 0; k < SPECIALS; k++)
            check_pow(&v, specials[i], specials[k]);
    uint64_t random = 1;
    for (int i = 0; i < 500000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        float x = float_of((uint32_t)(random >> 33)),
              y = (float)((double)(random >> 40 & 0xfffff) * 0x1p-14 - 32);
        check_pow(&v, x, y * 0.1f);
        check_pow(&v, 0.5f + (float)(random >> 44) * 0x1p-20f, 8 * y);
    }
    arena_free(v.arena);
}
END_TEST

START_TEST(max_min_relu_agree_with_their_values)
{
    static const ScalarOp ops[] = {SCALAR_MAX, SCALAR_MIN, SCALAR_RELU};
    for (int op = 0; op < 3; op++) {
        Evaluator v;
        evaluator_open(&v, ops[op], DTYPE_F32);
        for (int i = 0; i < SPECIALS; i++)
            for (int k = 0; k < SPECIALS; k++) {
                Cell a = {.f32 = specials[i]}, b = {.f32 = specials[k]};
                float got = evaluate(&v, a, b).f32, want = scalar_value(ops[op], DTYPE_F32, a, b, b).f32;
                ck_assert_msg(!memcmp(&got, &want, sizeof got), "%s of %a and %a", scalar_info[ops[op]].name,
                              (double)specials[i], (double)specials[k]);
            }
        arena_free(v.arena);
        evaluator_open(&v, ops[op], DTYPE_I32);
        for (int i = -2; i <= 2; i++)
            for (int k = -2; k <= 2; k++) {
                Cell a = {.i64 = i}, b = {.i64 = k};
                ck_assert_int_eq(evaluate(&v, a, b).i64, scalar_value(ops[op], DTYPE_I32, a, b, b).i64);
            }
        arena_free(v.arena);
    }
}
END_TEST

START_TEST(in_f64_the_library_is_asked)
{
    Arena *arena = arena_new();
    Exprs *pool = exprs_new(arena);
    Expr *x = expr_temp(pool, DTYPE_F64, 1, 0);
    for (int op = 0; op < SCALAR_COUNT; op++) {
        if (!scalar_info[op].expand)
            continue;
        Expr *e = expr_expand(pool, expr_apply(pool, (ScalarOp)op, x, x, NULL));
        bool simple = op == SCALAR_MAX || op == SCALAR_MIN || op == SCALAR_RELU;
        ck_assert_msg((e->op == (ScalarOp)op) == !simple, "%s", scalar_info[op].name);
    }
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scalar");
    TCase *cases = tcase_create("scalar");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, integers_wrap);
    tcase_add_test(cases, floats_are_floats);
    tcase_add_test(cases, conversions);
    tcase_add_loop_test(cases, unary_functions_are_accurate, 0, sizeof unaries / sizeof *unaries);
    tcase_add_test(cases, far_angles_are_nan);
    tcase_add_test(cases, pow_is_accurate);
    tcase_add_test(cases, max_min_relu_agree_with_their_values);
    tcase_add_test(cases, in_f64_the_library_is_asked);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
