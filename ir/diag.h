/* Diagnostics: errors with file, line, column, the source line and a caret; notes and help belong to the error
   before them. Reported once, where noticed; whoever sees a failed call only propagates. */
#ifndef NETC_DIAG_H
#define NETC_DIAG_H

#include "arena.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct Source {
    const char *name; /* as the user wrote it */
    const char *text; /* ends in NUL, may hold others */
    size_t length;
} Source;

typedef struct Span {
    const Source *source; /* NULL: no place in a file */
    int begin, end;       /* bytes */
} Span;

typedef enum { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE, DIAG_HELP } DiagKind;

typedef struct Diagnostics {
    FILE *out; /* usually stderr */
    int errors, warnings;
    int limit;  /* after this many errors the rest is silent; 0: no limit */
    bool color; /* escape sequences */
    bool muted; /* notes of a suppressed error are suppressed too */
} Diagnostics;

/* FILE:LINE:COLUMN: error: TEXT, the source line, and a caret under the span. Columns count bytes from 1. */
void diag_report(Diagnostics *diag, DiagKind kind, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Line and column (from 1) of a byte offset. */
void source_position(const Source *source, int offset, int *line, int *column);

#endif
