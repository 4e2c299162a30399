/* The prelude: .net files that the compiler carries, written into C by tools/embed at build. */
#ifndef NETC_PRELUDE_H
#define NETC_PRELUDE_H

#include <stddef.h>

typedef struct PreludeFile {
    const char *name; /* "layers.net"; NULL after the last file */
    const char *text;
    size_t length;
} PreludeFile;

extern const PreludeFile prelude_file[];

#endif
