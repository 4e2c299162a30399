/* A whole program as C: what is written, that its own command builds it as it stands, with and without zlib and libpng,
   and that names cannot break out of it. */
#include "c.h"
#include "compile_c.h"
#include "program_samples.h"

#include <sys/stat.h>

static Arena *arena;
static Program *program;
static Diagnostics diag;
static const char *folder;

static void open_arena(void)
{
    arena = arena_new();
    program = sample_program(arena);
    diag = (Diagnostics){.out = tmpfile(), .muted = false};
    folder = arena_string(arena, "/tmp/netc_program.XXXXXX");
    ck_assert(diag.out && mkdtemp((char *)folder));
}

static void close_arena(void)
{
    compile_run(arena, arena_printf(arena, "rm -rf %s", folder));
    fclose(diag.out);
    arena_free(arena);
}

static int emit(const char *name)
{
    BackendOptions options = {.output = arena_printf(arena, "%s/%s", folder, name), .diag = &diag};
    return c_emit(program, &options);
}

static const char *read_file(const char *name)
{
    static char text[1 << 20];
    FILE *file = fopen(arena_printf(arena, "%s/%s", folder, name), "r");
    ck_assert_msg(file, "no %s", name);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

/* The line of the first comment that begins with `cc `. */
static const char *command_of(const char *source)
{
    const char *text = read_file(source), *begin = strstr(text, "\n   cc "), *end = strstr(text, "*/");
    ck_assert_msg(begin && end && begin < end, "no command in %.300s", text);
    begin += 4;
    return arena_printf(arena, "%.*s", (int)strcspn(begin, "\n"), begin);
}

/* The status of a shell's command, run in the folder; what it says is in the file `said`. */
static int run_shell(const char *command)
{
    char *line = arena_printf(arena, "cd %s && { %s; } >said 2>&1", folder, command);
    char *argv[] = {"sh", "-c", line, NULL};
    pid_t child;
    int status;
    ck_assert(!posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) &&
              waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_program(const char *name)
{
    struct stat status;
    return !stat(arena_printf(arena, "%s/%s", folder, name), &status) && S_ISREG(status.st_mode) &&
           status.st_mode & S_IXUSR;
}

START_TEST(its_command_builds_a_program)
{
    ck_assert_int_eq(emit("net.c"), STATUS_OK);
    const char *command = arena_printf(arena, "%s -O0 -Wall -Wextra -Werror", command_of("net.c"));
    ck_assert_msg(run_shell(command) == 0, "%s: %s", command, read_file("said"));
    ck_assert(is_program("net"));
    ck_assert_msg(run_shell("./net info") == 0, "%s", read_file("said"));
    ck_assert_msg(strstr(read_file("said"), "head.w"), "%s", read_file("said"));
}
END_TEST

/* -nostdinc hides the headers from the question for libraries; the runtime's answer is given by hand. */
START_TEST(it_builds_without_zlib_and_libpng)
{
    ck_assert_int_eq(emit("net.c"), STATUS_OK);
    const char *command = command_of("net.c");
    const char *build =
        arena_printf(arena, "CC='cc -nostdinc -I.'; %s -O0 -DNETC_HAVE_ZLIB=0 -DNETC_HAVE_PNG=0", command);
    ck_assert_msg(run_shell(build) == 0, "%s: %s", build, read_file("said"));
    ck_assert_int_eq(run_shell("ldd ./net"), 0);
    ck_assert_msg(!strstr(read_file("said"), "libz") && !strstr(read_file("said"), "libpng"), "%s",
                  read_file("said"));
    const char *asked = strstr(command, "$(");
    ck_assert_ptr_nonnull(asked);
    const char *question = arena_printf(arena, "%.*s", (int)(strrchr(asked, ')') + 1 - asked), asked);
    ck_assert_int_eq(run_shell(arena_printf(arena, "CC='cc -nostdinc -I.'; echo %s", question)), 0);
    ck_assert_str_eq(read_file("said"), "\n");
}
END_TEST

START_TEST(names_stay_within_their_quotes)
{
    static const char evil[] = "*/ int evil(void) { return 1; } /*\" \\\n#error x\n?"
                               "?/";
    program->model->name = evil;
    program->kernel.at[0]->comment = program->kernel.at[0]->name = evil;
    program->call.at[0].name = evil;
    program->buffer.at[0].name = program->model->variable.at[0]->name = evil;
    ck_assert_int_eq(emit("it's; touch evil #.c"), STATUS_OK);
    const char *command = command_of("it's; touch evil #.c");
    ck_assert_msg(run_shell(arena_printf(arena, "%s -O0 -Wall -Wextra -Werror", command)) == 0, "%s: %s",
                  command, read_file("said"));
    ck_assert(is_program("it's; touch evil #"));
    ck_assert_int_ne(run_shell("test -e evil"), 0);
    ck_assert_int_ne(run_shell("nm \"it's; touch evil #\" | grep -w evil"), 0);
}
END_TEST

START_TEST(a_strange_file_name_stays_in_the_comment)
{
    ck_assert_int_eq(emit("a*b?\nc.c"), STATUS_OK);
    const char *text = read_file("a*b?\nc.c");
    ck_assert_ptr_null(memchr(command_of("a*b?\nc.c"), '*', strlen("cc -std=gnu11")));
    ck_assert_ptr_nonnull(strstr(text, " a_b__c_c_"));
}
END_TEST

START_TEST(failures_are_reported)
{
    ck_assert_int_eq(emit("missing/net.c"), STATUS_INPUT);
    ck_assert_int_eq(diag.errors, 1);
    ck_assert(!mkdir(arena_printf(arena, "%s/netc_runtime.c", folder), 0700));
    ck_assert_int_eq(emit("net.c"), STATUS_INPUT);
    ck_assert_int_eq(diag.errors, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("c_program");
    TCase *cases = tcase_create("c_program");
    tcase_set_timeout(cases, 120);
    tcase_add_checked_fixture(cases, open_arena, close_arena);
    tcase_add_test(cases, its_command_builds_a_program);
    tcase_add_test(cases, it_builds_without_zlib_and_libpng);
    tcase_add_test(cases, names_stay_within_their_quotes);
    tcase_add_test(cases, a_strange_file_name_stays_in_the_comment);
    tcase_add_test(cases, failures_are_reported);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
