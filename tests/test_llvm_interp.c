/* LLVM against the interpreter, which shares no code with it: the same bits in every buffer, for every target that runs
   here and every -O, whether a call does all items or several do some. */
#include "interp.h"
#include "kernel_cases.h"
#include "llvm_jit.h"

#include <check.h>

static void compare(const KernelCase *c, const CaseMemory *got, const CaseMemory *want, const char *target,
                    int level)
{
    for (int i = 0; i < c->kernel->buffer.count; i++)
        ck_assert_msg(!memcmp(got->buffer[i], want->buffer[i], CASE_ROOM), "%s: buffer %d differs, %s -O%d",
                      c->kernel->name, i, target, level);
}

START_TEST(same_bits_as_the_interpreter)
{
    Arena *arena = arena_new();
    KernelCase *c = kernel_cases[_i](arena);
    CaseMemory want, got;
    Diagnostics diag = {.out = stderr};
    case_fill(c, &want);
    Interp *interp = interp_new(arena, &c->kernel, 1, NULL, NULL);
    interp_call(interp, 0, want.buffer, c->argument, 0, c->items);
    for (int t = 0; t < target_count; t++)
        for (int level = 0; level <= 3 && target_runs_here(&target_list[t]); level++) {
            LlvmJit *jit = llvm_jit_new(
                &c->kernel, 1,
                (LlvmOptions){.target = &target_list[t], .level = level, .verify = true, .diag = &diag}, 1);
            ck_assert_ptr_nonnull(jit);
            case_fill(c, &got);
            for (int64_t begin = 0, end; begin < c->items; begin = end) {
                end = level % 2 ? c->items : begin + (c->items - begin + 1) / 2;
                llvm_jit_function(jit, 0)(got.buffer, c->argument, begin, end);
            }
            compare(c, &got, &want, target_list[t].name, level);
            case_free(c, &got);
            llvm_jit_free(jit);
        }
    case_free(c, &want);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llvm_interp");
    TCase *cases = tcase_create("cases");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, same_bits_as_the_interpreter, 0, CASE_COUNT);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
