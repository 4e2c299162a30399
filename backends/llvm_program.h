/* The kernels of a program as LLVM modules, and one more, the frame, which has the table of them and what else the
   program is given. Which kernel is in which module depends on the kernels alone: the bytes do not depend on how many
   threads make them. */
#ifndef NETC_LLVM_PROGRAM_H
#define NETC_LLVM_PROGRAM_H

#include "llvm_module.h"
#include "text.h"

typedef struct LlvmProgram LlvmProgram;

typedef struct LlvmObjects {
    Text *at;
    int count;
} LlvmObjects;

/* NULL after a diagnostic: this LLVM has no code generator for the target. */
LlvmProgram *llvm_program_new(Kernel *const *kernel, int count, LlvmOptions options);
void llvm_program_free(LlvmProgram *p);

/* To be added to before one of the next two is called. */
LlvmModule *llvm_program_frame(LlvmProgram *p);

typedef bool LlvmMaker(LlvmModule *m, Text *bytes);

/* False after a diagnostic. Once a program: all of it as one, by this thread; or as objects, by several. */
bool llvm_program_make(LlvmProgram *p, LlvmMaker *maker, Text *bytes);
bool llvm_program_objects(LlvmProgram *p, int threads, LlvmObjects *objects); /* which live as long as p */

#endif
