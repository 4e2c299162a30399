/* Reading of source files: bounded, regular files only, and text that is text. */
#ifndef NETC_READ_SOURCE_H
#define NETC_READ_SOURCE_H

#include "arena.h"
#include "diag.h"

#include <stdbool.h>

enum { MAX_SOURCE_BYTES = 16 << 20 };

/* The file's text, or that of standard input for "-"; NULL after a report at `from` (the import; source NULL: the
   command line). */
Source *source_read(Arena *arena, Diagnostics *diag, const char *path, Span from);

/* A source from memory. The text is copied. */
Source *source_text(Arena *arena, const char *name, const char *text, size_t length);

/* Whether it is UTF-8 without control characters; reports the first byte that is not. */
bool source_check(Diagnostics *diag, const Source *source);

/* Whether a readable regular file is there. */
bool source_exists(const char *path);

#endif
