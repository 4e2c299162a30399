/* Kernels enough for several modules: one result, by however many threads. */
#include "kernel_cases.h"
#include "llvm_jit.h"
#include "llvm_program.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

enum { KERNELS = 40, STATEMENTS = 120, NUMBERS = 16, RUNS = 3 };
static const int threads[RUNS] = {1, 2, 7};

static Arena *arena;
static Kernel *kernel[KERNELS];
static FILE *messages;
static Diagnostics diag;

/* Kernel k adds k + i to the number i mod NUMBERS, for each i. Every fifth runs once, and so shares parts with others. */
static Kernel *make_kernel(int number)
{
    Kernel *k = case_new(arena, arena_printf(arena, "add_%d", number), 1, 1)->kernel;
    k->once = number % 5 == 0;
    k->flops = 1e9;
    list_add(arena, &k->buffer, ((KernelBuffer){DTYPE_F32, true, true, false}));
    for (int i = 0; i < STATEMENTS; i++) {
        Expr *at = case_int(k, i % NUMBERS);
        Expr *sum = expr_apply(k->pool, SCALAR_ADD, case_load(k, 0, at),
                               expr_real(k->pool, DTYPE_F32, number + i), NULL);
        k->body = case_append(k->body, case_store(k, 0, at, sum));
    }
    return k;
}

/* A temp that is used where it may not have a value. */
static void break_kernel(Kernel *k)
{
    Expr *value = case_load(k, 0, case_int(k, 0));
    list_add(arena, &k->temp, DTYPE_F32);
    list_add(arena, &k->temp_lanes, 1);
    Expr *positive = expr_apply(k->pool, SCALAR_LT, expr_real(k->pool, DTYPE_F32, 0), value, NULL);
    Stmt *use = case_store(k, 0, case_int(k, 1), expr_temp(k->pool, DTYPE_F32, 1, 0));
    k->body = case_append(case_if(k, positive, case_let(k, 0, value)), use);
}

static void setup(void)
{
    arena = arena_new();
    for (int i = 0; i < KERNELS; i++)
        kernel[i] = make_kernel(i);
    messages = tmpfile();
    diag = (Diagnostics){.out = messages};
}

static void teardown(void)
{
    fclose(messages);
    arena_free(arena);
}

static LlvmOptions options(void)
{
    return (LlvmOptions){.target = target_native(), .level = 2, .verify = true, .diag = &diag};
}

START_TEST(objects_have_the_same_bytes)
{
    LlvmProgram *program[RUNS];
    LlvmObjects objects[RUNS];
    for (int r = 0; r < RUNS; r++) {
        program[r] = llvm_program_new(kernel, KERNELS, options());
        ck_assert(program[r] && llvm_program_objects(program[r], threads[r], &objects[r]));
        ck_assert_int_ge(objects[r].count, 4);
        ck_assert_int_eq(objects[r].count, objects[0].count);
        for (int i = 0; i < objects[r].count; i++) {
            const Text *a = &objects[0].at[i], *b = &objects[r].at[i];
            ck_assert(a->length > 0 && a->length == b->length && !memcmp(a->at, b->at, a->length));
        }
    }
    for (int r = 0; r < RUNS; r++)
        llvm_program_free(program[r]);
}
END_TEST

/* At every level: -O3 gives functions the names that are for other modules. */
START_TEST(one_module_has_all)
{
    LlvmOptions own = options();
    own.level = _i;
    LlvmProgram *program = llvm_program_new(kernel, KERNELS, own);
    Text text = {NULL, 0, 0};
    ck_assert(program && llvm_program_make(program, llvm_module_print, &text));
    for (int i = 0; i < KERNELS; i++) {
        const char *function = arena_printf(arena, "define internal void @kernel.add_%d(", i);
        ck_assert_msg(strstr(text_string(&text), function) != NULL, "no '%s'", function);
    }
    ck_assert_ptr_null(strstr(text_string(&text), " alias "));
    text_free(&text);
    llvm_program_free(program);
}
END_TEST

START_TEST(every_kernel_runs)
{
    LlvmOptions own = options();
    own.level = _i;
    LlvmJit *jit = llvm_jit_new(kernel, KERNELS, own, 3);
    ck_assert_ptr_nonnull(jit);
    for (int k = 0; k < KERNELS; k++) {
        float number[NUMBERS] = {0}, want[NUMBERS] = {0};
        int64_t batch = 1;
        llvm_jit_function(jit, k)((void *[]){number}, &batch, 0, 1);
        for (int i = 0; i < STATEMENTS; i++)
            want[i % NUMBERS] += (float)(k + i);
        ck_assert(!memcmp(number, want, sizeof want));
    }
    llvm_jit_free(jit);
}
END_TEST

static const char *said(void)
{
    static char text[4000];
    rewind(messages);
    text[fread(text, 1, sizeof text - 1, messages)] = '\0';
    return text;
}

/* Of several modules at fault the first is named, whichever thread comes first. */
START_TEST(the_first_fault_is_told)
{
    break_kernel(kernel[7]);
    break_kernel(kernel[KERNELS - 1]);
    char *first = NULL;
    for (int r = 0; r < RUNS; r++) {
        LlvmProgram *program = llvm_program_new(kernel, KERNELS, options());
        LlvmObjects objects;
        ck_assert(program && !llvm_program_objects(program, threads[r], &objects));
        llvm_program_free(program);
        ck_assert_int_eq(diag.errors, r + 1);
        const char *text = said();
        first = first ? first : arena_string(arena, text);
        ck_assert_msg(strstr(text, "netc: error: internal: LLVM refuses the module: ") == text, "%s", text);
        ck_assert_str_eq(text, first);
        rewind(messages);
        ck_assert_int_eq(ftruncate(fileno(messages), 0), 0);
    }
    Text text = {NULL, 0, 0};
    LlvmProgram *program = llvm_program_new(kernel, KERNELS, options());
    ck_assert(program && !llvm_program_make(program, llvm_module_print, &text));
    llvm_program_free(program);
    ck_assert_str_eq(said(), first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llvm_program");
    TCase *cases = tcase_create("llvm_program");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, objects_have_the_same_bytes);
    tcase_add_loop_test(cases, one_module_has_all, 0, 4);
    tcase_add_loop_test(cases, every_kernel_runs, 0, 4);
    tcase_add_test(cases, the_first_fault_is_told);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
