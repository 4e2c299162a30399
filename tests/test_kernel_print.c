/* How expressions and kernels read. */
#include "kernel.h"
#include "kernel_samples.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;
static Exprs *pool;

static void set_up(void)
{
    arena = arena_new();
    pool = exprs_new(arena);
}

static void tear_down(void) { arena_free(arena); }

static const char *text_of(const Expr *e)
{
    Text text = {0};
    expr_print(&text, e);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static Expr *apply(ScalarOp op, Expr *a, Expr *b) { return expr_apply(pool, op, a, b, NULL); }
static Expr *load(int buffer, Expr *at) { return expr_load(pool, DTYPE_F32, buffer, at, NULL, NULL); }
static Expr *number(int64_t value) { return expr_int(pool, DTYPE_I64, value); }

START_TEST(indices_read_like_c)
{
    Expr *i0 = expr_axis(pool, 0), *i2 = expr_axis(pool, 2), *batch = expr_argument(pool, 0);
    ck_assert_str_eq(text_of(load(1, expr_add(pool, expr_mul(pool, i0, number(576)), i2))),
                     "x1[i0*576 + i2]");
    ck_assert_str_eq(text_of(expr_sub(pool, i0, number(1))), "i0 - 1");
    Expr *t1 = expr_temp(pool, DTYPE_I64, 1, 1);
    ck_assert_str_eq(text_of(expr_add(pool, batch, expr_mul(pool, t1, number(-6)))), "batch - t1*6");
    ck_assert_str_eq(text_of(expr_div(pool, expr_add(pool, i0, i2), number(3))), "(i0 + i2)/3");
    ck_assert_str_eq(text_of(expr_mod(pool, i0, batch)), "i0%batch");
    ck_assert_str_eq(text_of(expr_less(pool, i0, expr_argument(pool, 2))), "i0 < a2");
    ck_assert_str_eq(text_of(number(INT64_MIN)), "-9223372036854775808");
    ck_assert_str_eq(text_of(expr_local(pool, DTYPE_F32, 3, i0)), "l3[i0]");
    ck_assert_str_eq(text_of(expr_temp(pool, DTYPE_F32, 1, 7)), "t7");
}
END_TEST

START_TEST(constants_show_their_type)
{
    ck_assert_str_eq(text_of(number(-5)), "-5");
    ck_assert_str_eq(text_of(expr_int(pool, DTYPE_I32, -5)), "i32(-5)");
    ck_assert_str_eq(text_of(expr_int(pool, DTYPE_U8, 200)), "u8(200)");
    ck_assert_str_eq(text_of(expr_int(pool, DTYPE_U32, 4294967295)), "4294967295u");
    ck_assert_str_eq(text_of(expr_int(pool, DTYPE_BOOL, 1)), "true");
    ck_assert_str_eq(text_of(expr_real(pool, DTYPE_F32, 0.1)), "0.1f");
    ck_assert_str_eq(text_of(expr_real(pool, DTYPE_F64, 0.1)), "0.1");
    ck_assert_str_eq(text_of(expr_real(pool, DTYPE_F32, -INFINITY)), "-inff");
    ck_assert_str_eq(text_of(expr_real(pool, DTYPE_F64, NAN)), "nan");
}
END_TEST

START_TEST(parentheses_stand_where_c_needs_them)
{
    Expr *a = load(0, number(0)), *b = load(0, number(1)), *c = load(0, number(2));
    Expr *sum = apply(SCALAR_ADD, a, b), *less = apply(SCALAR_LT, a, b), *equal = apply(SCALAR_EQ, b, c);
    ck_assert_str_eq(text_of(apply(SCALAR_MUL, sum, c)), "(x0[0] + x0[1])*x0[2]");
    ck_assert_str_eq(text_of(apply(SCALAR_ADD, sum, c)), "x0[0] + x0[1] + x0[2]");
    ck_assert_str_eq(text_of(apply(SCALAR_ADD, c, sum)), "x0[2] + (x0[0] + x0[1])");
    ck_assert_str_eq(text_of(apply(SCALAR_NEG, sum, NULL)), "-(x0[0] + x0[1])");
    ck_assert_str_eq(text_of(apply(SCALAR_NEG, apply(SCALAR_NEG, a, NULL), NULL)), "-(-x0[0])");
    ck_assert_str_eq(text_of(apply(SCALAR_MUL, apply(SCALAR_NEG, a, NULL), b)), "-x0[0]*x0[1]");
    ck_assert_str_eq(text_of(apply(SCALAR_AND, less, equal)), "(x0[0] < x0[1]) & (x0[1] == x0[2])");
    Expr *chosen = expr_apply(pool, SCALAR_SELECT, less, a, b);
    ck_assert_str_eq(text_of(chosen), "x0[0] < x0[1] ? x0[0] : x0[1]");
    ck_assert_str_eq(text_of(apply(SCALAR_MUL, chosen, c)), "(x0[0] < x0[1] ? x0[0] : x0[1])*x0[2]");
    ck_assert_str_eq(text_of(expr_apply(pool, SCALAR_SELECT, equal, chosen, chosen)), text_of(chosen));
    ck_assert_str_eq(text_of(expr_apply(pool, SCALAR_SELECT, equal, chosen, c)),
                     "x0[1] == x0[2] ? (x0[0] < x0[1] ? x0[0] : x0[1]) : x0[2]");
    Expr *bits = expr_bitcast(pool, a, DTYPE_U32), *two = expr_int(pool, DTYPE_U32, 2);
    Expr *shifted = apply(SCALAR_SHL, apply(SCALAR_SHR, bits, two), two);
    ck_assert_str_eq(text_of(shifted), "(bits_u32(x0[0]) >> 2u) << 2u");
    ck_assert_str_eq(text_of(apply(SCALAR_XOR, apply(SCALAR_XOR, bits, two), shifted)),
                     "bits_u32(x0[0]) ^ 2u ^ ((bits_u32(x0[0]) >> 2u) << 2u)");
}
END_TEST

START_TEST(the_rest_reads_like_calls)
{
    Expr *i = expr_axis(pool, 0), *a = load(0, i);
    Expr *inside = expr_less(pool, i, number(4));
    ck_assert_str_eq(text_of(expr_apply(pool, SCALAR_FMA, a, a, a)), "fma(x0[i0], x0[i0], x0[i0])");
    ck_assert_str_eq(text_of(apply(SCALAR_MAX, a, load(1, i))), "max(x0[i0], x1[i0])");
    ck_assert_str_eq(text_of(expr_cast(pool, a, DTYPE_I32)), "i32(x0[i0])");
    Expr *padded = expr_load(pool, DTYPE_F32, 2, i, inside, expr_real(pool, DTYPE_F32, 0));
    ck_assert_str_eq(text_of(padded), "i0 < 4 ? x2[i0] : 0.0f");
    ck_assert_str_eq(text_of(apply(SCALAR_ADD, padded, a)), "(i0 < 4 ? x2[i0] : 0.0f) + x0[i0]");
    Expr *ramp = expr_ramp(pool, expr_mul(pool, i, number(8)), 2, 4);
    ck_assert_str_eq(text_of(load(1, ramp)), "x1[ramp4(i0*8, 2)]");
    ck_assert_str_eq(text_of(expr_splat(pool, a, 16)), "splat16(x0[i0])");
    Reduction chain = {.op = SCALAR_ADD, .fma = true, .axes = 2, .axis = {1, 2}, .tree = TREE_CHAIN};
    ck_assert_str_eq(text_of(expr_reduce(pool, a, &chain)), "add<chain fma i1 i2>(x0[i0])");
    Reduction lanes = {.op = SCALAR_MAX, .axes = 1, .axis = {1}, .tree = TREE_LANES};
    ck_assert_str_eq(text_of(expr_reduce(pool, a, &lanes)), "max<lanes i1>(x0[i0])");
    Reduction leaves = {
        .op = SCALAR_ADD, .axes = 2, .axis = {1, 2}, .tree = TREE_LEAVES, .inner = TREE_LANES, .leaf = 1};
    ck_assert_str_eq(text_of(expr_reduce(pool, a, &leaves)), "add<leaves lanes i1; i2>(x0[i0])");
    leaves.leaf = 2;
    leaves.inner = TREE_CHAIN;
    ck_assert_str_eq(text_of(expr_reduce(pool, a, &leaves)), "add<leaves chain i1 i2;>(x0[i0])");
}
END_TEST

/* Thirty squarings are a tree of 2^30 loads, but thirty nodes. */
START_TEST(a_large_expression_shows_its_shared_parts_once)
{
    Expr *x = load(0, number(0));
    for (int i = 0; i < 30; i++)
        x = apply(SCALAR_MUL, x, x);
    const char *text = text_of(x);
    char want[200];
    Expr *first = x;
    while (first->arg[0]->kind == EXPR_APPLY)
        first = first->arg[0];
    int load_id = first->arg[0]->id;
    snprintf(want, sizeof want, "{e%d = x0[0]; e%d = e%d*e%d; e%d = e%d*e%d; ", load_id, first->id, load_id,
             load_id, first->id + 1, first->id, first->id);
    ck_assert_msg(!strncmp(text, want, strlen(want)), "%s", text);
    snprintf(want, sizeof want, "; e%d*e%d}", x->arg[0]->id, x->arg[0]->id);
    ck_assert_str_eq(text + strlen(text) - strlen(want), want);
    ck_assert_uint_lt(strlen(text), 600);
}
END_TEST

START_TEST(every_primitive_function_prints)
{
    for (int op = 0; op < SCALAR_COUNT; op++) {
        Expr *a = load(0, expr_axis(pool, 0));
        Expr e = {.kind = EXPR_APPLY,
                  .dtype = DTYPE_F32,
                  .lanes = 1,
                  .op = (ScalarOp)op,
                  .count = scalar_info[op].arity,
                  .arg = {a, a, a}};
        const char *text = text_of(&e), *c = scalar_info[op].c;
        /* What C writes between its operands is there, else the name. */
        bool infix = c && !strncmp(c, "(%s ", 4) && e.count == 2;
        bool named = strstr(text, scalar_info[op].name) == text;
        ck_assert_msg(infix || named || op == SCALAR_NEG || op == SCALAR_SELECT, "%s: %s",
                      scalar_info[op].name, text);
        ck_assert_msg(!infix || !named, "%s: %s", scalar_info[op].name, text);
    }
}
END_TEST

START_TEST(a_kernel_reads_like_this)
{
    SampleKernel s = sample_kernel(arena);
    Text text = {0};
    kernel_print(&text, s.kernel);
    ck_assert_str_eq(text_string(&text), "kernel matmul_1 // head: 1x8 tiles\n"
                                         "    item i0 < batch\n"
                                         "    arguments a1\n"
                                         "    buffer x0: f32 read\n"
                                         "    buffer x1: f32 read\n"
                                         "    buffer x2: f32 written\n"
                                         "    local l0: f32[8] sum\n"
                                         "    l0[ramp8(0, 1)] = splat8(0.0f)\n"
                                         "    for i1 < 3 unroll\n"
                                         "        t0: f32x8 = splat8(x0[i0*3 + i1])\n"
                                         "        l0[0] = fma(t0, x1[ramp8(i1*8, 1)], l0[ramp8(0, 1)])\n"
                                         "    if i0 < a1\n"
                                         "        x2[ramp8(i0*8, 1)] = l0[ramp8(0, 1)]\n");
    text_free(&text);
}
END_TEST

START_TEST(items_read_like_this)
{
    static const struct {
        Items items;
        const char *text;
        int64_t at_5;
    } cases[] = {
        {{1, {1, 1}, 1}, "    item i0 < batch\n", 5},
        {{4, {3, 1}, 1}, "    item i0 < 4*3*batch\n", 60},
        {{4, {1, 1}, 8}, "    item i0 < 4*ceil(batch / 8)\n", 4},
        {{1, {20, 0}, 6}, "    item i0 < ceil(20 / 6)\n", 4},
        {{INT64_MAX, {1, 1}, 1}, "    item i0 < 9223372036854775807*batch\n", INT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SampleKernel s = sample_kernel(arena);
        s.kernel->items = cases[i].items;
        Text text = {0};
        kernel_print(&text, s.kernel);
        ck_assert_msg(strstr(text_string(&text), cases[i].text), "%s", text_string(&text));
        ck_assert_int_eq(items_at(cases[i].items, 5), cases[i].at_5);
        text_free(&text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_print");
    TCase *cases = tcase_create("print");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, indices_read_like_c);
    tcase_add_test(cases, constants_show_their_type);
    tcase_add_test(cases, parentheses_stand_where_c_needs_them);
    tcase_add_test(cases, the_rest_reads_like_calls);
    tcase_add_test(cases, a_large_expression_shows_its_shared_parts_once);
    tcase_add_test(cases, every_primitive_function_prints);
    tcase_add_test(cases, a_kernel_reads_like_this);
    tcase_add_test(cases, items_read_like_this);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
