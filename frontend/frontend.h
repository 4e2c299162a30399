/* The front end: the text of a .net file → a Model with a Graph for each phase. See README.md for the language. */
#ifndef NETC_FRONTEND_H
#define NETC_FRONTEND_H

#include "diag.h"
#include "graph.h"

/* The program in a file ("-" is standard input) with what it imports. `define` are the command line's "name=value",
   which override consts. NULL if anything was reported as an error; the Model and all text live in the arena. */
Model *frontend_load(Arena *arena, Diagnostics *diag, const char *path, const char *const *define,
                     int defines);

/* The same of a text; imports are looked for beside `name`. */
Model *frontend_text(Arena *arena, Diagnostics *diag, const char *name, const char *text, size_t length,
                     const char *const *define, int defines);

/* --emit=syntax: the file as it was understood, in one layout. False after a report. */
bool frontend_syntax(Arena *arena, Diagnostics *diag, const char *path, Text *out);

/* `netc doc NAME`: signature, defaults and comment of a layer, op, optimizer or data source of the prelude. Where there
   is none: false, and *nearest is a name that may have been meant, or NULL. */
bool frontend_doc(Text *out, const char *name, const char **nearest);

/* `netc doc`: all names with the first sentence of their comments, one a line. */
void frontend_doc_list(Text *out);

#endif
