/* An LLVM module of kernels: built, optimised, printed, made into an object or assembly. */
#ifndef NETC_LLVM_MODULE_H
#define NETC_LLVM_MODULE_H

#include "diag.h"
#include "kernel.h"
#include "target.h"

typedef struct LlvmModule LlvmModule;

typedef struct LlvmOptions {
    const Target *target;
    int level;   /* 0 … 3 */
    bool verify; /* before and after optimising */
    bool names;  /* values keep the names that kernel_print gives them, for people */
    Diagnostics *diag;
} LlvmOptions;

/* The kernels as internal functions, and LLVM_TABLE, an array of pointers to them in their order.
   NULL after a diagnostic: this LLVM has no code generator for the target. */
LlvmModule *llvm_module_new(Kernel *const *kernel, int count, LlvmOptions options);
void llvm_module_free(LlvmModule *m);

#define LLVM_TABLE "netc_kernels"

/* main(), which hands the descriptor, text or packed, and the table to the runtime's netc_main(). */
void llvm_module_add_main(LlvmModule *m, const char *descriptor, size_t length);

/* A library's member that defines the symbol is linked with the program. Once a module. */
void llvm_module_ask_for(LlvmModule *m, const char *const *symbol, int count);

/* These return false, and have reported, where netc or LLVM is at fault. */
bool llvm_module_optimize(LlvmModule *m);
bool llvm_module_object(LlvmModule *m, Text *bytes);
bool llvm_module_assembly(LlvmModule *m, Text *text);
void llvm_module_print(const LlvmModule *m, Text *text); /* LLVM IR */

#endif
