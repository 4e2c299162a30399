/* The data sources that a program may name: sources.def as a table. */
#ifndef NETC_SOURCES_H
#define NETC_SOURCES_H

#include "type.h"

enum { SOURCE_FIELDS = 4, SIZE_BATCH = 0, SIZE_ANY = -1 };

typedef struct SourceColumn {
    const char *what; /* "images" */
    DType dtype;
    int rank;
    int64_t dim[4]; /* SIZE_BATCH, SIZE_ANY, or the size */
    bool label;
} SourceColumn;

typedef struct SourceInfo {
    const char *name, *comment;
    const char *window; /* the argument, needed, that says what SIZE_ANY is; NULL: any size will do */
    int columns;
    SourceColumn column[SOURCE_FIELDS];
} SourceInfo;

extern const SourceInfo source_info[]; /* ends in a row without a name */
const SourceInfo *source_find(const char *name);

#endif
