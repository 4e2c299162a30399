/* Where a CPU has no fma, LLVM's backend makes it of other instructions: its bits against fmaf's, for operands of all
   kinds and for those that show a second rounding. */
#include "kernel_cases.h"
#include "llvm_jit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

enum { COUNT = 1 << 16, LANES = 4, ROUNDS = 2 };

static float x[3][COUNT], y[COUNT];

static uint32_t bits(float value)
{
    uint32_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    return pattern;
}

static float float_of(uint32_t pattern)
{
    float value;
    memcpy(&value, &pattern, sizeof value);
    return value;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state ^ *state >> 29;
}

/* c, and a product that is half a unit of c's last place but for less than an f64 of c's size can hold. */
static void half_a_unit(uint64_t random, float *operand)
{
    uint32_t exponent = 60 + (uint32_t)(random >> 56) % 130, step = 1 + (uint32_t)(random >> 48) % 127;
    float half = ldexpf(1, (int)exponent - 127 - 24);
    operand[0] = 1 + (float)step * 0x1p-23f;
    operand[1] = (1 - (float)step * 0x1p-23f) * (random >> 40 & 1 ? half : -half);
    operand[2] = float_of((uint32_t)(random & 0x807fffff) | exponent << 23);
}

/* c somewhere between far above and far below a·b, or its opposite. */
static void any_size(uint64_t random, float *operand)
{
    uint32_t high = (uint32_t)(random >> 32), low = (uint32_t)random;
    operand[0] = float_of((high & 0x807fffff) | (64 + low % 100) << 23);
    operand[1] = float_of((low & 0x807fffff) | (64 + high % 100) << 23);
    operand[2] = ldexpf(operand[0] * operand[1], (int)(random >> 20 & 63) - 30);
    operand[2] = high % 8 ? float_of(bits(operand[2]) + low % 5 - 2) : -operand[0] * operand[1];
}

/* Any patterns: zeros, subnormals, infinities, NaN among them. */
static void any_pattern(uint64_t random, float *operand)
{
    static const uint32_t special[] = {0,          0x80000000, 1,          0x80000003,
                                       0x7f800000, 0xff800000, 0x7fc00000, 0x7f7fffff};
    for (int k = 0; k < 3; k++) {
        operand[k] = float_of((uint32_t)(random >> 11 * k));
        if ((random >> 3 * k) % 4 == 0)
            operand[k] = float_of(special[(random >> (40 + 3 * k)) % 8]);
    }
}

typedef void Operands(uint64_t random, float *operand);
static Operands *const kinds[] = {half_a_unit, any_size, any_pattern};

static KernelCase *make_fma(Arena *arena)
{
    KernelCase *c = case_new(arena, "fma", 1, COUNT / LANES);
    Kernel *k = c->kernel;
    Expr *first = expr_mul(k->pool, expr_axis(k->pool, 0), case_int(k, LANES)), *value[3];
    int at = case_temp(c, first);
    Expr *places = case_vector(k, expr_temp(k->pool, DTYPE_I64, 1, at), LANES);
    for (int i = 0; i < 3; i++)
        value[i] = case_load(k, case_buffer(c, DTYPE_F32, COUNT, false), places);
    Expr *fma = expr_apply(k->pool, SCALAR_FMA, value[0], value[1], value[2]);
    k->body =
        BLOCK(case_let(k, at, first), case_store(k, case_buffer(c, DTYPE_F32, COUNT, true), places, fma));
    return c;
}

/* How many results a product and a sum in f64, rounded once more, would have got wrong. */
static int compare(void)
{
    int wrong = 0;
    for (int i = 0; i < COUNT; i++) {
        float a = x[0][i], b = x[1][i], c = x[2][i], want = fmaf(a, b, c);
        ck_assert_msg(bits(y[i]) == bits(want) || (isnan(y[i]) && isnan(want)),
                      "fma(%a, %a, %a) is %a, not %a", (double)a, (double)b, (double)c, (double)want,
                      (double)y[i]);
        wrong += !isnan(want) && bits((float)((double)a * (double)b + (double)c)) != bits(want);
    }
    return wrong;
}

START_TEST(as_exact_as_the_instruction)
{
    const Target *plain = target_find("x86-64");
    if (!target_runs_here(plain))
        return;
    Arena *arena = arena_new();
    Diagnostics diag = {.out = stderr};
    KernelCase *c = make_fma(arena);
    const char *fault = kernel_fault(c->kernel);
    ck_assert_msg(!fault, "%s", fault);
    LlvmOptions options = {.target = plain, .level = _i, .verify = true, .diag = &diag};
    LlvmJit *jit = llvm_jit_new(&c->kernel, 1, options, 1);
    ck_assert_ptr_nonnull(jit);
    uint64_t state = 1;
    int would_be_wrong = 0;
    for (int round = 0; round < ROUNDS * 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            float operand[3];
            kinds[round % 3](next_random(&state), operand);
            for (int k = 0; k < 3; k++)
                x[k][i] = operand[k];
        }
        llvm_jit_function(jit, 0)((void *[]){x[0], x[1], x[2], y}, c->argument, 0, c->items);
        would_be_wrong += compare();
    }
    ck_assert_msg(would_be_wrong > COUNT / 8, "only %d operands show a second rounding", would_be_wrong);
    llvm_jit_free(jit);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llvm_fma");
    TCase *cases = tcase_create("fma");
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, as_exact_as_the_instruction, 0, 4);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
