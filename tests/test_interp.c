/* The interpreter: kernels built by hand against plain C, and the rules of memory that it checks. */
#include "interp.h"
#include "kernel_cases.h"

#include <check.h>
#include <math.h>
#include <setjmp.h>

static jmp_buf escape;
static char fault_text[400];

static void note_fault(void *context, const char *text)
{
    (void)context;
    snprintf(fault_text, sizeof fault_text, "%s", text);
    longjmp(escape, 1);
}

/* Runs a case; false if the interpreter found a fault. */
static bool run(Arena *arena, const KernelCase *c, const CaseMemory *memory)
{
    const char *fault = kernel_fault(c->kernel);
    ck_assert_msg(!fault, "%s", fault);
    Kernel *kernel = c->kernel;
    Interp *interp = interp_new(arena, &kernel, 1, note_fault, NULL);
    for (int i = 0; i < kernel->buffer.count; i++)
        interp_set_size(interp, 0, i, size_of(c->elements[i]));
    if (setjmp(escape))
        return false;
    interp_call(interp, 0, memory->buffer, c->argument, 0, c->items / 2);
    interp_call(interp, 0, memory->buffer, c->argument, c->items / 2, c->items);
    return true;
}

__extension__ typedef __int128 Wide;
typedef void Expected(const CaseMemory *m);

#define F32(i) ((float *)m->buffer[i])
#define U8(i) ((uint8_t *)m->buffer[i])
#define I32(i) ((int32_t *)m->buffer[i])

static void expect_f32(float got, float want, const char *what, int i)
{
    ck_assert_msg(!memcmp(&got, &want, sizeof got) || (isnan(got) && isnan(want)), "%s %d is %a, not %a",
                  what, i, (double)got, (double)want);
}

static void expect_add(const CaseMemory *m)
{
    for (int i = 0; i < 37; i++)
        expect_f32(F32(2)[i], F32(0)[i] + F32(1)[i], "z", i);
    ck_assert_int_eq(U8(2)[37 * 4], 0xAA); /* nothing behind the end */
}

static void expect_matmul(const CaseMemory *m)
{
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 16; j++) {
            float sum = 0;
            for (int n = 0; n < 19; n++)
                sum = fmaf(F32(0)[i * 19 + n], F32(1)[n * 16 + j], sum);
            expect_f32(F32(2)[i * 16 + j], sum, "y", i * 16 + j);
        }
}

static void expect_window(const CaseMemory *m)
{
    for (int i = 0; i < 40; i++) {
        float sum = 0;
        for (int d = -2; d <= 2; d++) {
            float x = i + d < 0 || i + d >= 40 ? 0.25f : F32(0)[i + d];
            sum = d == -2 ? x : sum + x;
        }
        expect_f32(F32(1)[i], sum, "y", i);
        expect_f32(F32(2)[i], sum, "z", i);
    }
}

static void expect_bytes(const CaseMemory *m)
{
    for (int i = 0; i < 64; i++) {
        float scaled = (float)U8(0)[i] / 255.0f;
        expect_f32(F32(2)[i], scaled, "y", i);
        expect_f32(F32(3)[i], (float)((int8_t *)m->buffer[1])[i], "z", i);
        ck_assert_int_eq(U8(4)[i], (uint8_t)(scaled * 200.5f));
        ck_assert_int_eq(U8(5)[i], (uint8_t)(U8(0)[i] + 100));
    }
}

static void expect_integers(const CaseMemory *m)
{
    for (int i = 0; i < 32; i++) {
        uint32_t u = ((uint32_t *)m->buffer[0])[i];
        uint64_t product = (uint64_t)u * 0xD2511F53;
        uint32_t mixed = (uint32_t)(product >> 32) ^ (uint32_t)product;
        ck_assert_uint_eq(((uint32_t *)m->buffer[1])[i], mixed << 13 | mixed >> 19);
        int32_t n = (int32_t)u;
        uint32_t zeros = u ? (uint32_t)__builtin_ctz(u) : 32, turned = u << (u & 15);
        ck_assert_int_eq(I32(2)[i], (int32_t)((uint32_t)(n >> 7) * u - (zeros - turned)));
        int64_t l = n, d = l >> 27, high = (int64_t)(((Wide)(l * (1LL << 31)) * l) >> 64);
        ck_assert_int_eq(((int64_t *)m->buffer[3])[i], d == 0 ? 0 : (high / d) ^ (l % d));
    }
}

static void expect_lanes(const CaseMemory *m)
{
    for (int row = 0; row < 5; row++) {
        float lane[16] = {0};
        for (int i = 0; i < 53; i++)
            lane[i % 16] += F32(0)[row * 53 + i];
        for (int half = 8; half; half /= 2)
            for (int i = 0; i < half; i++)
                lane[i] += lane[i + half];
        expect_f32(F32(1)[row], lane[0], "y", row);
    }
}

static void expect_scatter(const CaseMemory *m)
{
    float y[48];
    memset(y, 0xAA, sizeof y);
    for (int i = 0; i < 48; i++)
        if (F32(0)[i * 7 % 48] > 0 && i % 2 == 1)
            y[I32(1)[i] & 31] = F32(0)[i * 7 % 48];
    for (int i = 0; i < 48; i++) {
        float got = F32(0)[I32(1)[i] & 31], other = F32(0)[i];
        expect_f32(F32(2)[i], y[i], "y", i);
        ck_assert_int_eq(U8(3)[i], !(got <= other));
        expect_f32(F32(4)[47 - i], got <= other ? got + 1 : -other + 0.0f, "back", i);
    }
}

static void expect_functions(const CaseMemory *m)
{
    static double (*const truth[])(double) = {exp, log, tanh, erf, sin, cos};
    for (int i = 0; i < 128; i++) {
        float x = F32(0)[i];
        for (int op = 0; op < 13; op++)
            expect_f32(F32(1)[op * 128 + i], F32(2)[op * 128 + i], "vector and scalar", op * 128 + i);
        for (int op = 0; op < 6; op++) {
            double got = (double)F32(1)[op * 128 + i], want = truth[op]((double)x);
            bool far = op >= 4 && fabsf(x) > 0x1p50f;
            ck_assert_msg(far || (isnan(got) && isnan(want)) || got == (double)(float)want ||
                              fabs(got - want) <= 2e-7 * fabs(want) + 0x1p-149,
                          "function %d of %a is %a, not %a", op, (double)x, got, want);
        }
        expect_f32(F32(1)[7 * 128 + i], sqrtf(x), "sqrt", i);
        expect_f32(F32(1)[8 * 128 + i], floorf(x), "floor", i);
        expect_f32(F32(1)[9 * 128 + i], fabsf(x), "abs", i);
        expect_f32(F32(1)[10 * 128 + i], x > 1.75f ? x : 1.75f, "max", i);
        expect_f32(F32(1)[11 * 128 + i], x < 1.75f ? x : 1.75f, "min", i);
        expect_f32(F32(1)[12 * 128 + i], 0 > x ? 0 : x, "relu", i);
        ck_assert(((double *)m->buffer[3])[i] == sqrt(fabs((double)x)));
    }
}

static Expected *const expected[] = {expect_add,      expect_matmul, expect_window,  expect_bytes,
                                     expect_integers, expect_lanes,  expect_scatter, expect_functions};
_Static_assert(sizeof expected / sizeof *expected == CASE_COUNT, "each case has its expected values");

START_TEST(kernels_compute_what_plain_c_does)
{
    Arena *arena = arena_new();
    KernelCase *c = kernel_cases[_i](arena);
    CaseMemory memory;
    case_fill(c, &memory);
    ck_assert_msg(run(arena, c, &memory), "%s", fault_text);
    expected[_i](&memory);
    case_free(c, &memory);
    arena_free(arena);
}
END_TEST

/* A kernel whose body is made by `make`; the fault that it must have. */
static void want_fault(Stmt *(*make)(KernelCase *), const char *want)
{
    Arena *arena = arena_new();
    KernelCase *c = case_new(arena, "wrong", 2, 2);
    CaseMemory memory;
    case_buffer(c, DTYPE_F32, 20, false);
    case_buffer(c, DTYPE_F32, 20, true);
    c->kernel->body = make(c);
    case_fill(c, &memory);
    ck_assert_msg(!run(arena, c, &memory), "no fault, but '%s' was due", want);
    ck_assert_str_eq(fault_text, want);
    case_free(c, &memory);
    arena_free(arena);
}

static Stmt *load_behind(KernelCase *c)
{
    Kernel *k = c->kernel;
    Expr *at = case_vector(k, expr_mul(k->pool, expr_axis(k->pool, 0), case_int(k, 16)), 8);
    return case_store(k, 1, case_vector(k, case_int(k, 0), 8), case_load(k, 0, at));
}

static Stmt *store_before(KernelCase *c)
{
    Kernel *k = c->kernel;
    return case_store(k, 1, expr_sub(k->pool, expr_axis(k->pool, 0), case_int(k, 1)),
                      expr_real(k->pool, DTYPE_F32, 1));
}

static Stmt *predicate_too_wide(KernelCase *c)
{
    Kernel *k = c->kernel;
    Expr *at = case_vector(k, case_int(k, 16), 8), *zero = expr_real(k->pool, DTYPE_F32, 0);
    Expr *where = case_apply(k, SCALAR_LT, at, case_int(k, 22));
    return case_store(k, 1, case_vector(k, case_int(k, 0), 8),
                      expr_load(k->pool, DTYPE_F32, 0, at, where, zero));
}

static Stmt *local_behind(KernelCase *c)
{
    Kernel *k = c->kernel;
    int local = case_local(c, DTYPE_F32, 3, 1);
    Expr *one = expr_real(k->pool, DTYPE_F32, 1);
    return case_for(k, 1, case_int(k, 4), case_set(k, local, expr_axis(k->pool, 1), one));
}

static Stmt *local_not_set(KernelCase *c)
{
    Kernel *k = c->kernel;
    int local = case_local(c, DTYPE_F32, 3, 8);
    Expr *zero = expr_splat(k->pool, expr_real(k->pool, DTYPE_F32, 0), 8);
    Expr *two = expr_local(k->pool, DTYPE_F32, local, expr_splat(k->pool, case_int(k, 2), 8));
    Expr *first = expr_less(k->pool, expr_axis(k->pool, 0), case_int(k, 1));
    return BLOCK(case_set(k, local, case_int(k, 1), zero),
                 case_if(k, first, case_set(k, local, case_int(k, 2), zero)),
                 case_store(k, 1, case_vector(k, case_int(k, 0), 8), two));
}

static Stmt *element_not_set(KernelCase *c)
{
    Kernel *k = c->kernel;
    int local = case_local(c, DTYPE_F32, 8, 1);
    Expr *axis = expr_axis(k->pool, 1), *one = expr_real(k->pool, DTYPE_F32, 1);
    Expr *row = expr_local(k->pool, DTYPE_F32, local, case_vector(k, case_int(k, 0), 8));
    return BLOCK(case_for(k, 1, case_int(k, 7), case_set(k, local, axis, one)),
                 case_store(k, 1, case_vector(k, case_int(k, 0), 8), row));
}

START_TEST(faults_are_found)
{
    want_fault(load_behind,
               "kernel wrong, store x1[ramp8(0, 1)] := x0[ramp8(i0*16, 1)]: element 23 of x0, which has 20");
    want_fault(store_before, "kernel wrong, store x1[i0 - 1] := 1.0f: element -1 of x1, which has 20");
    want_fault(predicate_too_wide,
               "kernel wrong, store x1[ramp8(0, 1)] := ramp8(16, 1) < splat8(22) ? x0[ramp8(16, 1)] : "
               "splat8(0.0f): element 20 of x0, which has 20");
    want_fault(local_behind, "kernel wrong, set l0[i1] := 1.0f: element 3 of l0, which has 3");
    want_fault(local_not_set,
               "kernel wrong, store x1[ramp8(0, 1)] := l0[splat8(2)]: element 2 of l0, which was not set");
    want_fault(element_not_set,
               "kernel wrong, store x1[ramp8(0, 1)] := l0[ramp8(0, 1)]: element 7 of l0, which was not set");
}
END_TEST

START_TEST(f64_asks_the_library)
{
    Arena *arena = arena_new();
    KernelCase *c = case_new(arena, "wide", 1, 4);
    Kernel *k = c->kernel;
    int x = case_buffer(c, DTYPE_F64, 4, false), y = case_buffer(c, DTYPE_F64, 4, true);
    Expr *e = expr_expand(k->pool, case_apply(k, SCALAR_EXP, case_load(k, x, expr_axis(k->pool, 0)), NULL));
    k->body = case_store(k, y, expr_axis(k->pool, 0), e);
    CaseMemory memory;
    case_fill(c, &memory);
    double *from = memory.buffer[0], *to = memory.buffer[1];
    for (int i = 0; i < 4; i++)
        from[i] = 1.5 * i;
    ck_assert(run(arena, c, &memory));
    for (int i = 0; i < 4; i++)
        ck_assert(to[i] == exp(1.5 * i));
    case_free(c, &memory);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("interp");
    TCase *cases = tcase_create("interp");
    tcase_add_loop_test(cases, kernels_compute_what_plain_c_does, 0, CASE_COUNT);
    tcase_add_test(cases, faults_are_found);
    tcase_add_test(cases, f64_asks_the_library);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
