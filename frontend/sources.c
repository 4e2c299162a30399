#include "sources.h"

#include <string.h>

#define COLUMN(what, dtype, rank, a, b, c, d, label) {what, dtype, rank, {a, b, c, d}, label}
#define SOURCE(name, comment, window, columns, ...) {name, comment, window, columns, {__VA_ARGS__}},
const SourceInfo source_info[] = {
#include "sources.def"
    {.name = NULL},
};

const SourceInfo *source_find(const char *name)
{
    for (const SourceInfo *s = source_info; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}
