/* The whole runtime as one C source, netc_runtime.c, for the C backend to write beside its own. Made by
   tools/amalgamate and tools/embed while netc is built. */
#ifndef NETC_RUNTIME_SOURCE_H
#define NETC_RUNTIME_SOURCE_H

extern const char netc_runtime_source[];

#endif
