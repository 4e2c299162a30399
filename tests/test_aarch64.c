/* The kernels of kernel_cases.h for aarch64, by LLVM and by the cross compiler, run under qemu: the bits that the
   interpreter leaves here. Skipped where there is no cross compiler or no qemu. */
#include "compile_c.h"
#include "interp.h"
#include "kernel_cases.h"
#include "llvm_program.h"

#include <math.h>

/* Reads cases from one file: kernel, items, arguments, number of buffers, their bytes; writes the bytes after the
   call to another. */
static const char harness[] =
    "#include <stdint.h>\n"
    "#include <stdio.h>\n"
    "enum { BUFFERS = 6, ARGUMENTS = 3, ROOM = 1 << 16 };\n"
    "typedef void Kernel(void *const *, const int64_t *, int64_t, int64_t);\n"
    "extern Kernel *const netc_kernels[];\n"
    "static _Alignas(64) char memory[BUFFERS][ROOM];\n"
    "int main(int count, char **argument)\n"
    "{\n"
    "    FILE *in = count > 2 ? fopen(argument[1], \"rb\") : 0, *out = in ? fopen(argument[2], \"wb\") : 0;\n"
    "    int64_t head[3 + ARGUMENTS];\n"
    "    void *buffer[BUFFERS];\n"
    "    if (!out)\n"
    "        return 2;\n"
    "    for (int i = 0; i < BUFFERS; i++)\n"
    "        buffer[i] = memory[i];\n"
    "    while (fread(head, sizeof head, 1, in) == 1) {\n"
    "        if (fread(memory, ROOM, (size_t)head[2], in) != (size_t)head[2])\n"
    "            return 3;\n"
    "        netc_kernels[head[0]](buffer, head + 3, 0, head[1] / 2);\n"
    "        netc_kernels[head[0]](buffer, head + 3, head[1] / 2, head[1]);\n"
    "        if (fwrite(memory, ROOM, (size_t)head[2], out) != (size_t)head[2])\n"
    "            return 4;\n"
    "    }\n"
    "    return fclose(out) != 0;\n"
    "}\n";
_Static_assert(CASE_BUFFERS == 6 && CASE_ARGUMENTS == 3 && CASE_ROOM == 1 << 16, "as the harness has them");

static const Target *target;
static Arena *arena;
static KernelCase *cases[CASE_COUNT];
static Kernel *kernels[CASE_COUNT];
static Diagnostics diag;
static bool can; /* what the tests need is here */

static const char *in_folder(const char *name) { return arena_printf(arena, "%s/%s", compile_folder, name); }

static void write_file(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(in_folder(name), "wb");
    ck_assert(file && fwrite(bytes, 1, count, file) == count && !fclose(file));
}

static void open_cases(void)
{
    arena = arena_new();
    diag = (Diagnostics){.out = stderr};
    target = target_find("aarch64");
    for (int i = 0; i < CASE_COUNT; i++) {
        cases[i] = kernel_cases[i](arena);
        kernels[i] = cases[i]->kernel;
    }
    compile_open();
    can = target_is_foreign(target) &&
          !compile_run(arena, arena_printf(arena, "%s-gcc -E -x c -o /dev/null /dev/null", target->tools)) &&
          !compile_run(arena, "qemu-aarch64 -version");
    if (!can)
        printf("skipped: no %s-gcc or no qemu-aarch64, or this is an aarch64\n", target->tools);
}

static void close_cases(void)
{
    compile_close();
    arena_free(arena);
}

/* ---- running them there ---- */

static void write_cases(void)
{
    Text text = {0};
    for (int i = 0; i < CASE_COUNT; i++) {
        CaseMemory memory;
        int64_t head[3] = {i, cases[i]->items, kernels[i]->buffer.count};
        text_add_bytes(&text, head, sizeof head);
        text_add_bytes(&text, cases[i]->argument, sizeof cases[i]->argument);
        case_fill(cases[i], &memory);
        for (int b = 0; b < kernels[i]->buffer.count; b++)
            text_add_bytes(&text, memory.buffer[b], CASE_ROOM);
        case_free(cases[i], &memory);
    }
    write_file("in", text.at, text.length);
    text_free(&text);
}

/* Any two NaNs are the same: the sign of one that an instruction makes of numbers is the CPU's. */
static bool same_element(DType dtype, const char *a, const char *b)
{
    float f[2];
    double d[2];
    if (dtype == DTYPE_F32) {
        memcpy(&f[0], a, sizeof *f);
        memcpy(&f[1], b, sizeof *f);
        return (isnan(f[0]) && isnan(f[1])) || !memcmp(a, b, sizeof *f);
    }
    if (dtype == DTYPE_F64) {
        memcpy(&d[0], a, sizeof *d);
        memcpy(&d[1], b, sizeof *d);
        return (isnan(d[0]) && isnan(d[1])) || !memcmp(a, b, sizeof *d);
    }
    return !memcmp(a, b, (size_t)dtype_info[dtype].bytes);
}

/* What the interpreter leaves. */
static void compare_cases(const char *how)
{
    static char got[CASE_ROOM];
    Interp *interp = interp_new(arena, kernels, CASE_COUNT, NULL, NULL);
    FILE *out = fopen(in_folder("out"), "rb");
    ck_assert_ptr_nonnull(out);
    for (int i = 0; i < CASE_COUNT; i++) {
        CaseMemory want;
        case_fill(cases[i], &want);
        interp_call(interp, i, want.buffer, cases[i]->argument, 0, cases[i]->items);
        for (int b = 0; b < kernels[i]->buffer.count; b++) {
            ck_assert_uint_eq(fread(got, 1, CASE_ROOM, out), CASE_ROOM);
            DType dtype = kernels[i]->buffer.at[b].dtype;
            for (int at = 0; at < CASE_ROOM; at += dtype_info[dtype].bytes)
                ck_assert_msg(same_element(dtype, got + at, (char *)want.buffer[b] + at),
                              "%s, kernel %s: byte %d of buffer %d differs", how, kernels[i]->name, at, b);
        }
        case_free(cases[i], &want);
    }
    ck_assert_int_eq(getc(out), EOF);
    fclose(out);
}

/* `source` is what the cross compiler makes the kernels of. */
static void run_cases(const char *source, const char *level, const char *how)
{
    write_file("harness.c", harness, sizeof harness - 1);
    write_cases();
    const char *build =
        arena_printf(arena, "%s-gcc %s %s %s -Wall -Wextra -Werror -o %s %s %s -lm", target->tools, c_flags,
                     level, target->flags, in_folder("run"), in_folder("harness.c"), in_folder(source));
    ck_assert_msg(compile_run(arena, build) == 0, "failed: %s", build);
    const char *run = arena_printf(arena, "qemu-aarch64 -L /usr/%s %s %s %s", target->tools, in_folder("run"),
                                   in_folder("in"), in_folder("out"));
    ck_assert_msg(compile_run(arena, run) == 0, "%s, failed: %s", how, run);
    compare_cases(how);
}

START_TEST(llvms_code_computes_the_interpreters_bits)
{
    if (!can)
        return;
    LlvmProgram *program = llvm_program_new(
        kernels, CASE_COUNT, (LlvmOptions){.target = target, .level = _i, .verify = true, .diag = &diag});
    ck_assert_ptr_nonnull(program);
    Text object = {0};
    ck_assert(llvm_program_make(program, llvm_module_object, &object));
    llvm_program_free(program);
    write_file("kernels.o", object.at, object.length);
    text_free(&object);
    run_cases("kernels.o", "-O1", arena_printf(arena, "LLVM -O%d", _i));
}
END_TEST

START_TEST(c_computes_the_interpreters_bits)
{
    if (!can)
        return;
    static const char *const level[] = {"-O0", "-O3"};
    Text text = {0};
    c_print_kernels(&text, arena, kernels, CASE_COUNT);
    write_file("kernels.c", text_string(&text), text.length);
    text_free(&text);
    run_cases("kernels.c", level[_i], level[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aarch64");
    TCase *kernel_tests = tcase_create("kernels");
    tcase_set_timeout(kernel_tests, 120);
    tcase_add_checked_fixture(kernel_tests, open_cases, close_cases);
    tcase_add_loop_test(kernel_tests, llvms_code_computes_the_interpreters_bits, 0, 4);
    tcase_add_loop_test(kernel_tests, c_computes_the_interpreters_bits, 0, 2);
    suite_add_tcase(suite, kernel_tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
