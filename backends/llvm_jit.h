/* Kernels as functions of this process: the same object code as in a linked program, loaded by LLVM's ORC. */
#ifndef NETC_LLVM_JIT_H
#define NETC_LLVM_JIT_H

#include "llvm_module.h"

typedef struct LlvmJit LlvmJit;
typedef void LlvmFunction(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end);

/* Compiled by so many threads. NULL after a diagnostic. The functions live until llvm_jit_free(). */
LlvmJit *llvm_jit_new(Kernel *const *kernel, int count, LlvmOptions options, int threads);
LlvmFunction *llvm_jit_function(const LlvmJit *jit, int kernel);
void llvm_jit_free(LlvmJit *jit);

#endif
