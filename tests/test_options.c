#include "options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 20 };

static Arena *arena;
static Options options;
static char *message; /* what the last parse said */

static void set_up(void) { arena = arena_new(); }

static void tear_down(void)
{
    arena_free(arena);
    free(message);
    message = NULL;
}

/* Parses words separated by blanks. */
static bool parse(const char *line)
{
    static char *word[MOST_WORDS + 1]; /* options.run_argument points into it */
    int count = 0;
    memset(word, 0, sizeof word);
    for (char *at = strtok(arena_string(arena, line), " "); at && count < MOST_WORDS; at = strtok(NULL, " "))
        word[count++] = at;
    free(message);
    size_t size;
    FILE *messages = open_memstream(&message, &size);
    bool good = options_parse(&options, arena, count, word, messages);
    fclose(messages);
    return good;
}

START_TEST(defaults)
{
    ck_assert(parse("netc a.net"));
    ck_assert_int_eq(options.action, ACTION_COMPILE);
    ck_assert_int_eq(options.stage, STAGE_BACKEND);
    ck_assert_str_eq(options.backend->name, "exe");
    ck_assert_str_eq(options.engine->name, "llvm");
    ck_assert_int_eq(options.level, 2);
    ck_assert_int_eq(options.jobs, 0); /* all cores */
    ck_assert_str_eq(options.input, "a.net");
    ck_assert_ptr_null(options.cc); /* the target's */
    ck_assert_uint_eq(options.phases, 7);
    ck_assert_ptr_null(options.tune);
    ck_assert_ptr_null(options.output);
}
END_TEST

START_TEST(values_may_be_joined_or_apart_and_options_anywhere)
{
    ck_assert(parse("netc -Dn=3 a.net -D width=4 --emit=c --output b.c -O3 --cpu x86-64-v3"));
    ck_assert_int_eq(options.define.count, 2);
    ck_assert_str_eq(options.define.at[0], "n=3");
    ck_assert_str_eq(options.define.at[1], "width=4");
    ck_assert_str_eq(options.backend->name, "c");
    ck_assert_str_eq(options.output, "b.c");
    ck_assert_int_eq(options.level, 3);
    ck_assert_str_eq(options.cpu, "x86-64-v3");
    ck_assert(parse("netc - -o - -O 0 --emit llvm -j3"));
    ck_assert_str_eq(options.input, "-");
    ck_assert_str_eq(options.output, "-");
    ck_assert_int_eq(options.level, 0);
    ck_assert_int_eq(options.jobs, 3);
    ck_assert(parse("netc -- -o"));
    ck_assert_str_eq(options.input, "-o");
}
END_TEST

START_TEST(tune_has_options_of_its_own)
{
    ck_assert(parse("netc tune --seconds 3 --batch=8 --phase predict --tune x.tune -o y.tune a.net"));
    ck_assert_int_eq(options.action, ACTION_TUNE);
    ck_assert_int_eq(options.seconds, 3);
    ck_assert_int_eq(options.batch, 8);
    ck_assert_uint_eq(options.phases, 4);
    ck_assert_str_eq(options.tune, "x.tune");
    ck_assert(parse("netc tune --phase all a.net"));
    ck_assert_uint_eq(options.phases, 7);
}
END_TEST

START_TEST(run_leaves_the_rest_to_the_program)
{
    ck_assert(parse("netc run --backend=interp64 a.net train --epochs 3 -v"));
    ck_assert_int_eq(options.action, ACTION_RUN);
    ck_assert_str_eq(options.engine->name, "interp64");
    ck_assert_int_eq(options.run_count, 4);
    ck_assert_str_eq(options.run_argument[0], "train");
    ck_assert_ptr_null(options.run_argument[4]);
    ck_assert(!options.verbose);
    ck_assert(parse("netc ./run"));
    ck_assert_int_eq(options.action, ACTION_COMPILE);
}
END_TEST

static const struct {
    const char *line, *message;
} wrong[] = {
    {"netc", "netc: no input file; netc --help says what netc does\n"},
    {"netc a.net b.net", "netc: one input at a time: 'a.net', then 'b.net'\n"},
    {"netc a.net --chekc", "netc: there is no option '--chekc'; did you mean '--check'?\n"},
    {"netc a.net --qqq", "netc: there is no option '--qqq'; netc --help lists them\n"},
    {"netc a.net -check", "netc: there is no option '-check'; did you mean '--check'?\n"},
    {"netc a.net -q", "netc: there is no option '-q'; netc --help lists them\n"},
    {"netc a.net -o", "netc: -o wants a value: -o FILE\n"},
    {"netc a.net --check=yes", "netc: --check takes no value, but got 'yes'\n"},
    {"netc a.net -O4", "netc: -O wants a number from 0 to 3, not '4'\n"},
    {"netc a.net -Ofast", "netc: -O wants a number from 0 to 3, not 'fast'\n"},
    {"netc a.net --threads 0", "netc: --threads wants a number from 1 to 1024, not '0'\n"},
    {"netc a.net -j 0", "netc: --jobs wants a number from 1 to 1024, not '0'\n"},
    {"netc a.net --batch 3", "netc: --batch, --phase and --seconds are for netc tune\n"},
    {"netc tune --seconds soon a.net", "netc: --seconds wants a number from 1 to 1048576, not 'soon'\n"},
    {"netc tune --phase stop a.net",
     "netc: there is no phase to tune 'stop'; did you mean 'step'? There are step, test, "
     "predict, all\n"},
    {"netc a.net -D n", "netc: -D wants NAME=VALUE, not 'n'\n"},
    {"netc a.net -D =3", "netc: -D wants NAME=VALUE, not '=3'\n"},
    {"netc a.net --emit=garph",
     "netc: there is no stage 'garph'; did you mean 'graph'? There are syntax, graph, "
     "kernels, plan, dot, exe, obj, asm, llvm, c\n"},
    {"netc a.net --color=blue", "netc: there is no value of --color 'blue'. There are auto, always, never\n"},
    {"netc run --backend=gpu a.net", "netc: there is no backend 'gpu'. There are llvm, interp, interp64\n"},
    {"netc a.net --check --emit=c", "netc: --check, --summary and --emit exclude each other\n"},
    {"netc a.net --check -o x", "netc: --check writes nothing, so -o 'x' makes no sense\n"},
};

START_TEST(faults_are_named)
{
    ck_assert_msg(!parse(wrong[_i].line), "%s is accepted", wrong[_i].line);
    ck_assert_str_eq(message, wrong[_i].message);
}
END_TEST

/* The first word after "--" or "  -X," of a help line is an option of the table, and every option has its
 * line. */
START_TEST(help_names_every_option)
{
    char *help;
    size_t size;
    FILE *out = open_memstream(&help, &size);
    options_help(out);
    fclose(out);
    for (int i = 0; i < OPTION_COUNT; i++) {
        ck_assert_msg(strstr(help, arena_printf(arena, "--%s", option_row[i].name)), "--%s has no line",
                      option_row[i].name);
        ck_assert_msg(strstr(help, option_row[i].help), "the help of --%s is not printed",
                      option_row[i].name);
        for (int j = 0; j < i; j++)
            ck_assert(strcmp(option_row[i].name, option_row[j].name) &&
                      (!option_row[i].letter || option_row[i].letter != option_row[j].letter));
    }
    free(help);
}
END_TEST

START_TEST(nearest_name)
{
    static const char *const name[] = {"conv", "dense", "max_pool"};
    ck_assert_str_eq(name_nearest("cnov", name, 3, sizeof *name), "conv");
    ck_assert_str_eq(name_nearest("maxpool", name, 3, sizeof *name), "max_pool");
    ck_assert_ptr_null(name_nearest("lstm", name, 3, sizeof *name));
    ck_assert_ptr_null(name_nearest("", name, 3, sizeof *name));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *cases = tcase_create("command line");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, defaults);
    tcase_add_test(cases, values_may_be_joined_or_apart_and_options_anywhere);
    tcase_add_test(cases, tune_has_options_of_its_own);
    tcase_add_test(cases, run_leaves_the_rest_to_the_program);
    tcase_add_loop_test(cases, faults_are_named, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(cases, help_names_every_option);
    tcase_add_test(cases, nearest_name);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
