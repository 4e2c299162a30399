/* One LLVM module: some of a program's kernels, or what refers to all of them. Built, optimised, printed, made into an
   object or assembly, by any thread; what there is to say waits for llvm_module_report(). */
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
    bool time;   /* print how long each step took, on diag->out */
    Diagnostics *diag;
} LlvmOptions;

typedef struct LlvmTimes {
    double build, optimize, emit; /* seconds */
} LlvmTimes;

/* Makes LLVM ready; once before all modules. False after a diagnostic: it has no code generator for the target. */
bool llvm_start(LlvmOptions options);

/* An empty module with a context of its own, or that of `beside`, which must live as long. */
LlvmModule *llvm_module_new(LlvmOptions options, LlvmModule *beside);
void llvm_module_end(LlvmModule *m); /* only what is said and measured stays */
void llvm_module_free(LlvmModule *m);

#define LLVM_TABLE "netc_kernels"

/* A kernel as a function, to which modules refer by the kernel's name. */
void llvm_module_add_kernel(LlvmModule *m, const Kernel *kernel);

/* LLVM_TABLE, an array of pointers to kernels of whatever modules. Once. */
void llvm_module_add_table(LlvmModule *m, Kernel *const *kernel, int count);

/* main(), which hands the descriptor, text or packed, and the table to the runtime's netc_main(). */
void llvm_module_add_main(LlvmModule *m, const char *descriptor, size_t length);

/* A library's member that defines the symbol is linked with the program. Once a module. */
void llvm_module_ask_for(LlvmModule *m, const char *const *symbol, int count);

/* These return false where netc or LLVM is at fault. */
bool llvm_module_optimize(LlvmModule *m, bool outline);  /* outline: small code counts, time less */
bool llvm_module_join(LlvmModule *m, LlvmModule *other); /* `other` is beside m; its contents move to m */
bool llvm_module_close(LlvmModule *m);                   /* m has the table and, by now, all kernels */
bool llvm_module_object(LlvmModule *m, Text *bytes);
bool llvm_module_assembly(LlvmModule *m, Text *text);
bool llvm_module_print(LlvmModule *m, Text *text); /* LLVM IR */

/* What was said of this module and those beside it, in that order. False: a step has failed. For the main thread. */
bool llvm_module_report(LlvmModule *m);

LlvmTimes llvm_module_times(const LlvmModule *m);

#endif
