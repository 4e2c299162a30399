/* The C backend: a program as one C file, which a C compiler and the runtime's source beside it make into the same program
   that LLVM makes, with the same bits. */
#ifndef NETC_C_H
#define NETC_C_H

#include "backend.h"

/* The row of backend_list: writes options->output and, beside it, netc_runtime.c. */
int c_emit(const Program *program, const BackendOptions *options);

/* The kernels alone, with what they need, as functions that the table `netc_kernels` holds; for tests. */
void c_print_kernels(Text *text, Arena *arena, Kernel *const *kernel, int count);

/* What any C compiler must be told, beside a target's flags and -O, for the bits to be the same. */
extern const char c_flags[];

/* The command that builds `source`, found in the working folder with netc_runtime.c, with gcc or clang for `target`. */
void c_print_command(Text *text, const Target *target, const char *source);

#endif
