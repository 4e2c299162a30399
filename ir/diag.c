#include "diag.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *word, *color;
} kinds[] = {
    [DIAG_ERROR] = {"error", "\033[1;31m"},
    [DIAG_WARNING] = {"warning", "\033[1;35m"},
    [DIAG_NOTE] = {"note", "\033[1;36m"},
    [DIAG_HELP] = {"help", "\033[1;32m"},
};

void source_position(const Source *source, int offset, int *line, int *column)
{
    int start = 0;
    *line = 1;
    for (int i = 0; i < offset && (size_t)i < source->length; i++)
        if (source->text[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    *column = offset - start + 1;
}

/* The line that holds the span's start; control bytes are shown as blanks, long lines are cut. */
static void print_line(FILE *out, const Source *source, Span span)
{
    enum { WIDEST = 160 };
    int begin = span.begin, end;
    while (begin > 0 && source->text[begin - 1] != '\n')
        begin--;
    for (end = begin; (size_t)end < source->length && source->text[end] != '\n'; end++)
        ;
    int first = span.begin - begin > WIDEST - 40 ? span.begin - 40 : begin;
    int last = end - first > WIDEST ? first + WIDEST : end;
    fputs("    ", out);
    for (int i = first; i < last; i++)
        fputc((unsigned char)source->text[i] < ' ' ? ' ' : source->text[i], out);
    fputs("\n    ", out);
    for (int i = first; i < span.begin; i++)
        fputc(' ', out);
    fputc('^', out);
    for (int i = span.begin + 1; i < span.end && i < last; i++)
        fputc('~', out);
    fputc('\n', out);
}

void diag_report(Diagnostics *diag, DiagKind kind, Span span, const char *format, ...)
{
    if (kind == DIAG_ERROR)
        diag->muted = ++diag->errors > diag->limit && diag->limit;
    else if (kind == DIAG_WARNING)
        diag->warnings++;
    if (diag->muted)
        return;
    const char *bold = diag->color ? "\033[1m" : "", *plain = diag->color ? "\033[0m" : "";
    if (span.source) {
        int line, column;
        source_position(span.source, span.begin, &line, &column);
        fprintf(diag->out, "%s%s:%d:%d: ", bold, span.source->name, line, column);
    } else {
        fprintf(diag->out, "%snetc: ", bold);
    }
    fprintf(diag->out, "%s%s:%s ", diag->color ? kinds[kind].color : "", kinds[kind].word, plain);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(diag->out, format, arguments);
    va_end(arguments);
    fputc('\n', diag->out);
    if (span.source)
        print_line(diag->out, span.source, span);
}
