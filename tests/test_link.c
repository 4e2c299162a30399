/* From an object to a program that runs, and every way in which that can fail. The runtime's place is taken by a C
   source, which the compiler that links compiles as it goes. */
#include "link.h"
#include "llvm_program.h"

#include <check.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the first kernel on one number, and prints what it was given and what came out. */
static const char runtime[] =
    "#include <stdint.h>\n"
    "#include <stdio.h>\n"
    "typedef void Kernel(void *const *, const int64_t *, int64_t, int64_t);\n"
    "int netc_main(const char *descriptor, Kernel *const *kernel, int argc, char **argv)\n"
    "{\n"
    "    float x = 20.5f;\n"
    "    void *buffer[] = {&x};\n"
    "    int64_t argument[] = {1};\n"
    "    kernel[0](buffer, argument, 0, 1);\n"
    "    printf(\"%s %d %s %g\", descriptor, argc, argv[1], x);\n"
    "    return 7;\n"
    "}\n";

static char folder[] = "/tmp/netc-link-XXXXXX";
static char source[100], program[100], said[2000];
static Arena *arena;
static LlvmProgram *compiled;
static LlvmObjects objects; /* two: the kernel is not in the one that has main */
static FILE *messages;
static Diagnostics diag;
static BackendOptions options;

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert(file && fputs(text, file) >= 0 && !fclose(file));
}

/* One kernel: x[0] = x[0] + x[0]. */
static void make_objects(void)
{
    Exprs *pool = exprs_new(arena);
    Kernel kernel = {.name = "main", .pool = pool, .arguments = 1, .item_axis = -1}, *kernels[] = {&kernel};
    Expr *at = expr_int(pool, DTYPE_I64, 0), *x = expr_load(pool, DTYPE_F32, 0, at, NULL, NULL);
    list_add(arena, &kernel.buffer, ((KernelBuffer){DTYPE_F32, true, true, false}));
    Stmt store = {.kind = STMT_STORE, .at = at, .value = expr_apply(pool, SCALAR_ADD, x, x, NULL)};
    kernel.body = &store;
    compiled = llvm_program_new(
        kernels, 1, (LlvmOptions){.target = target_native(), .level = 2, .verify = true, .diag = &diag});
    ck_assert_ptr_nonnull(compiled);
    static const char descriptor[] = "a \"descriptor\" with\n2 lines";
    llvm_module_add_main(llvm_program_frame(compiled), descriptor, sizeof descriptor - 1);
    ck_assert(llvm_program_objects(compiled, 1, &objects));
    ck_assert_int_eq(objects.count, 2);
}

static void setup(void)
{
    arena = arena_new();
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(source, sizeof source, "%s/runtime.c", folder);
    snprintf(program, sizeof program, "%s/program", folder);
    write_file(source, runtime);
    messages = tmpfile();
    diag = (Diagnostics){.out = messages};
    options = (BackendOptions){.level = 2, .output = program, .library = source, .diag = &diag};
    make_objects();
}

static int files_in_folder(void)
{
    int count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void teardown(void)
{
    unlink(source);
    unlink(program);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left */
    fclose(messages);
    llvm_program_free(compiled);
    arena_free(arena);
}

static const char *said_so_far(void)
{
    rewind(messages);
    said[fread(said, 1, sizeof said - 1, messages)] = '\0';
    return said;
}

static int link_objects(void) { return link_program(&options, target_native(), objects.at, objects.count); }

START_TEST(a_program_runs)
{
    ck_assert_int_eq(link_objects(), STATUS_OK);
    ck_assert_str_eq(said_so_far(), "");
    char command[200], output[200];
    snprintf(command, sizeof command, "%s one", program);
    FILE *pipe = popen(command, "r");
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    ck_assert_int_eq(WEXITSTATUS(pclose(pipe)), 7);
    ck_assert_str_eq(output, "a \"descriptor\" with\n2 lines 2 one 41");
}
END_TEST

START_TEST(the_command_is_shown)
{
    options.show_commands = true;
    options.link_flags = (const char *const[]){"-g", "-O1", NULL};
    ck_assert_int_eq(link_objects(), STATUS_OK);
    const char *shown = said_so_far();
    ck_assert_msg(strstr(shown, "cc -pie ") == shown && strstr(shown, " -g -O1 -o ") &&
                      strstr(shown, " -lpng -lz -lm "),
                  "%s", shown);
}
END_TEST

START_TEST(a_missing_compiler)
{
    options.compiler = "no-such-compiler";
    ck_assert_int_eq(link_objects(), STATUS_MISSING);
    ck_assert_str_eq(
        said_so_far(),
        "netc: error: cannot start the C compiler 'no-such-compiler' to link: No such file or directory\n"
        "netc: help: install gcc or clang, or name one by --cc\n");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_compiler_that_fails)
{
    options.compiler = "false";
    ck_assert_int_eq(link_objects(), STATUS_MISSING);
    char want[400];
    snprintf(want, sizeof want,
             "netc: error: 'false' failed with status 1 while linking %s\n"
             "netc: help: a program needs the development files of zlib and libpng\n",
             program);
    ck_assert_str_eq(said_so_far(), want);
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_folder_that_is_not_there)
{
    options.output = "/no/such/folder/program";
    ck_assert_int_eq(link_objects(), STATUS_INPUT);
    ck_assert_str_eq(said_so_far(),
                     "netc: error: cannot write /no/such/folder/program: No such file or directory\n");
}
END_TEST

/* The runtime is looked for beside this very program, and is not there. */
START_TEST(a_missing_runtime)
{
    options.library = NULL;
    ck_assert_int_eq(link_objects(), STATUS_MISSING);
    ck_assert_str_eq(said_so_far(), "netc: error: libnetrt.a is neither beside netc nor in ../lib/netc\n");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

static void write_script(const char *text)
{
    write_file(program, text);
    ck_assert_int_eq(chmod(program, 0755), 0);
    options.compiler = program;
}

/* The compiler interrupts its parent, as the terminal does: the file goes before the parent does. */
START_TEST(an_interrupt_leaves_no_file)
{
    write_script("#!/bin/sh\nkill -INT $PPID\nexit 1\n");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGINT, SIG_DFL);
        _exit(link_objects());
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ck_assert_int_eq(files_in_folder(), 2); /* the source and the script */
}
END_TEST

START_TEST(a_compiler_that_crashes)
{
    write_script("#!/bin/sh\nkill -KILL $$\n");
    ck_assert_int_eq(link_objects(), STATUS_MISSING);
    ck_assert_ptr_nonnull(strstr(said_so_far(), "was ended by signal 9 while linking"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *cases = tcase_create("link");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_program_runs);
    tcase_add_test(cases, the_command_is_shown);
    tcase_add_test(cases, a_missing_compiler);
    tcase_add_test(cases, a_compiler_that_fails);
    tcase_add_test(cases, a_folder_that_is_not_there);
    tcase_add_test(cases, a_missing_runtime);
    tcase_add_test(cases, an_interrupt_leaves_no_file);
    tcase_add_test(cases, a_compiler_that_crashes);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
