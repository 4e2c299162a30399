#include "driver.h"

#include "frontend.h"
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage_error(const char *format, const char *name)
{
    fputs("netc: ", stderr);
    fprintf(stderr, format, name);
    fputc('\n', stderr);
    return STATUS_USAGE;
}

static int print_help(const Driver *driver)
{
    const char *topic = driver->options->topic;
    NamedRow row[MOST_NAMED_ROWS];
    if (!topic)
        options_help(stdout);
    else if (!strcmp(topic, "emit"))
        options_help_rows(stdout, "--emit=STAGE", row, options_stages(row));
    else if (!strcmp(topic, "backends"))
        options_help_rows(stdout, "netc run --backend=KIND", row, options_engines(driver->arena, row));
    else if (!strcmp(topic, "passes")) {
        puts("The passes, in the order in which they run. -d and the letter, or --print-after and the name, "
             "print the\n"
             "program after one.");
        for (int i = 0; i < pass_count; i++)
            printf("  %c  %-12s  %s\n", pass_list[i].letter, pass_list[i].name, pass_list[i].help);
    } else
        return usage_error("there is no help on '%s'; there is on emit, passes and backends", topic);
    return STATUS_OK;
}

static int print_text(Text *text)
{
    fwrite(text_string(text), 1, text->length, stdout);
    text_free(text);
    return STATUS_OK;
}

static int print_doc(const Driver *driver)
{
    const char *name = driver->options->input, *nearest = NULL;
    Text text = {0};
    if (!name)
        frontend_doc_list(&text);
    else if (!frontend_doc(&text, name, &nearest)) {
        text_free(&text);
        fprintf(stderr,
                nearest ? "netc: there is no layer or op '%s'; did you mean '%s'?\n"
                        : "netc: there is no layer or op '%s'; netc doc lists them\n",
                name, nearest);
        return STATUS_INPUT;
    }
    return print_text(&text);
}

static const char *op_class_name(OpClass class)
{
    static const char *const name[] = {
        [OP_CLASS_LEAF] = "leaf",        [OP_CLASS_MAP] = "elementwise",      [OP_CLASS_VIEW] = "view",
        [OP_CLASS_REDUCE] = "reduction", [OP_CLASS_CONTRACT] = "contraction",
    };
    return name[class];
}

static int print_ops(void)
{
    for (int i = 0; i < OP_COUNT; i++)
        printf("%-16s %-12s %d input%s%s%s\n", op_info[i].name, op_class_name(op_info[i].class),
               op_info[i].inputs, op_info[i].inputs == 1 ? "" : "s", *op_info[i].attrs ? "; " : "",
               op_info[i].attrs);
    return STATUS_OK;
}

static int print_targets(void)
{
    Text text = {0};
    target_print_list(&text);
    return print_text(&text);
}

static int print_version(void)
{
    printf("netc %s (LLVM %s)\n", NETC_VERSION, NETC_LLVM_VERSION);
    return STATUS_OK;
}

/* Also what NO_COLOR asks for, see no-color.org. */
static bool wants_color(Color color)
{
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (color != COLOR_AUTO)
        return color == COLOR_ALWAYS;
    return isatty(STDERR_FILENO) && !(none && *none) && terminal && strcmp(terminal, "dumb");
}

static int act(Driver *driver)
{
    switch (driver->options->action) {
    case ACTION_HELP:
        return print_help(driver);
    case ACTION_VERSION:
        return print_version();
    case ACTION_OPS:
        return print_ops();
    case ACTION_LIST_TARGETS:
        return print_targets();
    case ACTION_DOC:
        return print_doc(driver);
    case ACTION_COMPILE:
        return driver_compile(driver);
    case ACTION_RUN:
        return driver_run(driver);
    }
    return STATUS_INTERNAL;
}

/* What the options name outside of their own table. */
static int find_names(Driver *driver)
{
    const Options *options = driver->options;
    const char *cpu = options->cpu ? options->cpu : "native";
    driver->target = target_find(cpu);
    if (!driver->target)
        return usage_error("there is no CPU '%s'; netc --list-targets lists them", cpu);
    const char *const pass[] = {options->print_after, options->stop_after};
    for (size_t i = 0; i < sizeof pass / sizeof *pass; i++)
        if (pass[i] && !pass_find(pass[i])) {
            const char *near = name_nearest(pass[i], &pass_list[0].name, pass_count, sizeof *pass_list);
            if (!near)
                return usage_error("there is no pass '%s'; netc --help=passes lists them", pass[i]);
            return usage_error(
                arena_printf(driver->arena, "there is no pass '%%s'; did you mean '%s'?", near), pass[i]);
        }
    for (const char *letter = options->dump; letter && *letter; letter++) {
        int found = 0;
        for (int i = 0; i < pass_count; i++)
            found += pass_list[i].letter == *letter;
        if (!found)
            return usage_error("no pass has the letter '%s'; netc --help=passes lists them",
                               arena_printf(driver->arena, "%c", *letter));
    }
    return STATUS_OK;
}

int driver_main(int count, char **argument)
{
    if (count <= 1) {
        options_usage(stderr);
        return STATUS_USAGE;
    }
    Arena *arena = arena_new();
    Options options;
    int status = STATUS_USAGE;
    if (options_parse(&options, arena, count, argument, stderr)) {
        Driver driver = {.arena = arena,
                         .options = &options,
                         .diag = {.out = stderr, .limit = 20, .color = wants_color(options.color)}};
        status = find_names(&driver);
        status = status ? status : act(&driver);
    }
    arena_free(arena);
    if ((fflush(stdout) || ferror(stdout)) && status == STATUS_OK) {
        perror("netc: standard output");
        status = STATUS_INPUT;
    }
    return status;
}
