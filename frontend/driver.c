#include "driver.h"

#include "frontend.h"
#include "read_source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("netc: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
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
        options_help_rows(stdout, "netc run --backend=KIND", row, options_engines(row));
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
        if (nearest)
            fprintf(stderr, "netc: there is no layer or op '%s'; did you mean '%s'?\n", name, nearest);
        else
            fprintf(stderr, "netc: there is no layer or op '%s'; netc doc lists them\n", name);
        return STATUS_INPUT;
    }
    return print_text(&text);
}

static const char *op_class_name(OpClass class)
{
    static const char *const name[] = {
        [OP_CLASS_LEAF] = "leaf",        [OP_CLASS_MAP] = "elementwise",      [OP_CLASS_VIEW] = "view",
        [OP_CLASS_REDUCE] = "reduction", [OP_CLASS_CONTRACT] = "contraction", [OP_CLASS_LOOP] = "loop",
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
    case ACTION_TUNE:
        return driver_tune(driver);
    }
    return STATUS_INTERNAL;
}

static int check_pass(const char *name)
{
    if (!name || pass_find(name))
        return STATUS_OK;
    const char *near = name_nearest(name, &pass_list[0].name, pass_count, sizeof *pass_list);
    if (near)
        return usage_error("there is no pass '%s'; did you mean '%s'?", name, near);
    return usage_error("there is no pass '%s'; netc --help=passes lists them", name);
}

static int check_letters(const char *letters)
{
    for (const char *letter = letters; letter && *letter; letter++) {
        int pass = 0;
        while (pass < pass_count && pass_list[pass].letter != *letter)
            pass++;
        if (pass == pass_count)
            return usage_error("no pass has the letter '%c'; netc --help=passes lists them", *letter);
    }
    return STATUS_OK;
}

/* What the options name outside of their own table. */
static int find_names(Driver *driver)
{
    const Options *options = driver->options;
    const char *cpu = options->cpu ? options->cpu : "native";
    driver->target = target_find(cpu);
    if (!driver->target)
        return usage_error("there is no CPU '%s'; netc --list-targets lists them", cpu);
    int status = check_pass(options->print_after);
    status = status ? status : check_pass(options->stop_after);
    return status ? status : check_letters(options->dump);
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
