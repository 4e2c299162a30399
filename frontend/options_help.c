#include "nearest.h"
#include "options.h"

#include <string.h>

enum { HELP_COLUMN = 30 };

void options_usage(FILE *out)
{
    fputs("usage: netc [OPTIONS] FILE.net              compile; makes the program ./FILE\n"
          "       netc run [OPTIONS] FILE.net ARGS...  compile in memory and run: train, test, predict, "
          "info, bench\n"
          "       netc tune [OPTIONS] FILE.net         measure schedules of its kernels; makes FILE.tune, "
          "which netc "
          "reads\n"
          "       netc doc [NAME]                      explain a layer or an op, or list them\n",
          out);
}

/* "left" padded to the column, then the help; on a line of its own if left is too long. */
static void print_columns(FILE *out, const char *left, const char *help)
{
    if (strlen(left) < HELP_COLUMN)
        fprintf(out, "%-*s%s\n", HELP_COLUMN, left, help);
    else
        fprintf(out, "%s\n%*s%s\n", left, HELP_COLUMN, "", help);
}

static void print_option(FILE *out, const OptionRow *row)
{
    char letter[5] = "   ", left[80];
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c,", row->letter);
    if (!row->argument)
        snprintf(left, sizeof left, "  %s --%s", letter, row->name);
    else if (*row->argument == '[')
        snprintf(left, sizeof left, "  %s --%s[=%s", letter, row->name, row->argument + 1);
    else
        snprintf(left, sizeof left, "  %s --%s=%s", letter, row->name, row->argument);
    print_columns(out, left, row->help);
}

void options_help(FILE *out)
{
    options_usage(out);
    const char *group = "";
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(group, option_row[i].group))
            fprintf(out, "\n%s:\n", group = option_row[i].group);
        print_option(out, &option_row[i]);
    }
}

void options_help_rows(FILE *out, const char *title, const NamedRow *row, int count)
{
    fprintf(out, "%s:\n", title);
    for (int i = 0; i < count; i++) {
        char left[80];
        snprintf(left, sizeof left, "  %s", row[i].name);
        print_columns(out, left, row[i].help);
    }
}

const char *name_nearest(const char *name, const char *const *names, int count, size_t stride)
{
    Nearest nearest = nearest_of(name);
    for (int i = 0; i < count; i++)
        nearest_try(&nearest, *(const char *const *)((const char *)names + (size_t)i * stride));
    return nearest.best;
}
