/* Output files appear whole or not at all: they are written under another name in the same folder, then
 * renamed. */
#ifndef NETC_OUTPUT_H
#define NETC_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Output {
    char path[PATH_MAX];    /* where it is to be; links are followed */
    char written[PATH_MAX]; /* where to write: a new empty file, or `path` itself if that is a device or a
                               pipe */
} Output;

/* All three: false with the reason in errno, and nothing left behind. */
bool output_start(Output *output, const char *path);
bool output_end(Output *output); /* `written` is complete, and becomes `path` */
bool output_write_all(const char *path, const void *bytes,
                      size_t count); /* all of it, "-" to standard output */

/* Instead of output_end: what was written is thrown away. */
void output_drop(Output *output);

#endif
