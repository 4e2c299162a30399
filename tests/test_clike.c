/* The C backend: its text is compiled by gcc and clang at several -O and for several CPUs, and must compute the bits that
   the interpreter does. */
#include "c.h"
#include "clike.h"
#include "compile_c.h"
#include "interp.h"
#include "kernel_cases.h"

/* ---- same bits ---- */

/* Case `i` of both tables: what the interpreter left in memory, and what the function does. */
static void compare_case(KernelCase *c, const CaseMemory *want, NetcKernel *function, const char *how)
{
    CaseMemory got;
    case_fill(c, &got);
    function(got.buffer, c->argument, 0, c->items / 2);
    function(got.buffer, c->argument, c->items / 2, c->items);
    for (int i = 0; i < c->kernel->buffer.count; i++)
        for (int at = 0; at < CASE_ROOM; at++)
            ck_assert_msg(((char *)got.buffer[i])[at] == ((char *)want->buffer[i])[at],
                          "%s, kernel %s: byte %d of buffer %d differs", how, c->kernel->name, at, i);
    case_free(c, &got);
}

typedef struct Cases {
    KernelCase *at[CASE_COUNT];
    Kernel *kernel[CASE_COUNT];
    CaseMemory want[CASE_COUNT];
} Cases;

static void interpret_cases(Arena *arena, Cases *cases)
{
    for (int i = 0; i < CASE_COUNT; i++) {
        cases->at[i] = kernel_cases[i](arena);
        cases->kernel[i] = cases->at[i]->kernel;
        case_fill(cases->at[i], &cases->want[i]);
    }
    Interp *interp = interp_new(arena, cases->kernel, CASE_COUNT, NULL, NULL);
    for (int i = 0; i < CASE_COUNT; i++)
        interp_call(interp, i, cases->want[i].buffer, cases->at[i]->argument, 0, cases->at[i]->items);
}

static const CompileRow builds[] = {
    {"gcc", "-O0", "native"},      {"gcc", "-O3", "native"}, {"clang-22", "-O3", "native"},
    {"clang-22", "-O0", "x86-64"}, {"gcc", "-O3", "x86-64"}, {"gcc", "-O3", "x86-64-v3"},
    {"clang", "-O3", "native"},
};

START_TEST(compiled_text_computes_the_interpreters_bits)
{
    const CompileRow *build = &builds[_i];
    if (!compile_can(build))
        return;
    Arena *arena = arena_new();
    Cases cases;
    interpret_cases(arena, &cases);
    Text text = {0};
    c_print_kernels(&text, arena, cases.kernel, CASE_COUNT);
    NetcKernel *const *kernels = compile_load(arena, build, &text);
    const char *how = arena_printf(arena, "%s %s %s", build->compiler, build->level, build->target);
    for (int i = 0; i < CASE_COUNT; i++) {
        compare_case(cases.at[i], &cases.want[i], kernels[i], how);
        case_free(cases.at[i], &cases.want[i]);
    }
    text_free(&text);
    arena_free(arena);
}
END_TEST

START_TEST(some_compiler_was_tried)
{
    bool any = false;
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++)
        any = any || compile_can(&builds[i]);
    ck_assert(any);
}
END_TEST

/* ---- text ---- */

START_TEST(kernels_read_well)
{
    Arena *arena = arena_new();
    KernelCase *c = case_matmul(arena);
    c->kernel->comment = "y = a b";
    c->kernel->local.at[0].name = "sums";
    Text text = {0};
    c_print_kernels(&text, arena, &c->kernel, 1);
    const char *function = strstr(text_string(&text), "/* y = a b */");
    ck_assert_ptr_nonnull(function);
    ck_assert_str_eq(
        function,
        "/* y = a b */\n"
        "static void kernel_matmul(void *const *buffer, const int64_t *argument, int64_t begin, int64_t "
        "end)\n"
        "{\n"
        "    const float *x0 = buffer[0];\n"
        "    const float *x1 = buffer[1];\n"
        "    float *x2 = buffer[2];\n"
        "    (void)argument;\n"
        "    for (int64_t i0 = begin; i0 < end; i0++) {\n"
        "        f32x8 l0_0, l0_1, l0_2, l0_3; /* sums */\n"
        "        l0_0 = splat_f32x8(0.0f);\n"
        "        l0_1 = splat_f32x8(0.0f);\n"
        "        l0_2 = splat_f32x8(0.0f);\n"
        "        l0_3 = splat_f32x8(0.0f);\n"
        "        for (int64_t i1 = 0; i1 < 19; i1++) {\n"
        "            l0_0 = fma_f32x8(splat_f32x8(x0[i0 * 38 + i1]), load_f32x8(x1 + i1 * 16), l0_0);\n"
        "            l0_1 = fma_f32x8(splat_f32x8(x0[i0 * 38 + i1]), load_f32x8(x1 + i1 * 16 + 8), l0_1);\n"
        "            l0_2 = fma_f32x8(splat_f32x8(x0[i0 * 38 + i1 + 19]), load_f32x8(x1 + i1 * 16), l0_2);\n"
        "            l0_3 = fma_f32x8(splat_f32x8(x0[i0 * 38 + i1 + 19]), load_f32x8(x1 + i1 * 16 + 8), "
        "l0_3);\n"
        "        }\n"
        "        store_f32x8(x2 + i0 * 32, l0_0);\n"
        "        store_f32x8(x2 + i0 * 32 + 8, l0_1);\n"
        "        store_f32x8(x2 + i0 * 32 + 16, l0_2);\n"
        "        store_f32x8(x2 + i0 * 32 + 24, l0_3);\n"
        "    }\n"
        "}\n"
        "\n"
        "extern NetcKernel *const netc_kernels[];\n"
        "\n"
        "NetcKernel *const netc_kernels[] = {\n"
        "    kernel_matmul,\n"
        "};\n");
    text_free(&text);
    arena_free(arena);
}
END_TEST

static void want_text(void (*print)(Text *, const char *), const char *string, const char *want)
{
    Text text = {0};
    print(&text, string);
    ck_assert_str_eq(text_string(&text), want);
    text_free(&text);
}

static void print_identifier(Text *text, const char *name) { clike_identifier(text, "kernel_", name); }

START_TEST(names_cannot_break_out)
{
    want_text(print_identifier, "conv1_3", "kernel_conv1_3");
    want_text(print_identifier, "*/ system(\"x\"); /*", "kernel____system__x_______142bf08c");
    want_text(clike_comment, "*/ system(\"x\"); /*", "/* * / system(\"x\"); / * */");
    want_text(clike_comment,
              "a\nb\\\xff?\?/"
              "*/*",
              "/* a b__?_/ * / * */");
    want_text(clike_comment, "", "/*  */");
}
END_TEST

START_TEST(constants_are_exact)
{
    static const float values[] = {0.1f,     1.0f / 3, 0x1p-149f, 0x1.fffffep127f,
                                   16777216, -0.0f,    1e10f,     0x1.000002p0f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        Text text = {0};
        clike_constant(&text, DTYPE_F32, (double)values[i], 0);
        float back = strtof(text_string(&text), NULL);
        ck_assert_msg(!memcmp(&back, &values[i], sizeof back), "%a is %s", (double)values[i],
                      text_string(&text));
        ck_assert(strpbrk(text_string(&text), ".e") && text.at[text.length - 1] == 'f');
        text_free(&text);
    }
}
END_TEST

START_TEST(the_command_names_its_files)
{
    Text text = {0};
    c_print_command(&text, target_find("x86-64-v3"), "it's.c");
    ck_assert_str_eq(
        text_string(&text),
        "cc -std=gnu11 -ffp-contract=off -fwrapv -fno-strict-aliasing -Wno-psabi -O3 -march=x86-64-v3 "
        "-pthread -o "
        "'it'\\''s' 'it'\\''s.c' netc_runtime.c $(printf '#if __has_include(<png.h>)\\n-lpng\\n#endif\\n"
        "#if __has_include(<zlib.h>)\\n-lz\\n#endif\\n' | ${CC:-cc} -E -P -x c -) -lm");
    text_free(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clike");
    TCase *cases = tcase_create("clike");
    tcase_set_timeout(cases, 120);
    tcase_add_unchecked_fixture(cases, compile_open, compile_close);
    tcase_add_loop_test(cases, compiled_text_computes_the_interpreters_bits, 0,
                        sizeof builds / sizeof *builds);
    tcase_add_test(cases, some_compiler_was_tried);
    tcase_add_test(cases, kernels_read_well);
    tcase_add_test(cases, names_cannot_break_out);
    tcase_add_test(cases, constants_are_exact);
    tcase_add_test(cases, the_command_names_its_files);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
