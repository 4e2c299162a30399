#include "llvm_jit.h"
#include "llvm_program.h"

#include <llvm-c/Core.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Orc.h>
#include <llvm-c/Target.h>
#include <stdlib.h>

struct LlvmJit {
    LLVMOrcLLJITRef lljit;
    LlvmFunction *const *table;
};

static bool failed(Diagnostics *diag, LLVMErrorRef error)
{
    if (!error)
        return false;
    char *why = LLVMGetErrorMessage(error);
    diag_report(diag, DIAG_ERROR, (Span){NULL, 0, 0}, "LLVM cannot load the kernels: %s", why);
    LLVMDisposeErrorMessage(why);
    return true;
}

/* What the code calls (fmaf, memset) is found among the symbols of this process. */
static bool load_objects(LlvmJit *jit, const LlvmObjects *objects, Diagnostics *diag)
{
    if (failed(diag, LLVMOrcCreateLLJIT(&jit->lljit, NULL)))
        return false;
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit->lljit);
    LLVMOrcDefinitionGeneratorRef process;
    if (failed(diag, LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                         &process, LLVMOrcLLJITGetGlobalPrefix(jit->lljit), NULL, NULL)))
        return false;
    LLVMOrcJITDylibAddGenerator(library, process);

    for (int i = 0; i < objects->count; i++) {
        LLVMMemoryBufferRef copy =
            LLVMCreateMemoryBufferWithMemoryRangeCopy(objects->at[i].at, objects->at[i].length, "kernels");
        if (failed(diag, LLVMOrcLLJITAddObjectFile(jit->lljit, library, copy)))
            return false;
    }
    LLVMOrcExecutorAddress address;
    if (failed(diag, LLVMOrcLLJITLookup(jit->lljit, &address, LLVM_TABLE)))
        return false;
    jit->table = (LlvmFunction *const *)(uintptr_t)address;
    return true;
}

LlvmJit *llvm_jit_new(Kernel *const *kernel, int count, LlvmOptions options, int threads)
{
    if (!target_runs_here(options.target)) {
        diag_report(options.diag, DIAG_ERROR, (Span){NULL, 0, 0}, "this CPU cannot run code for %s",
                    options.target->name);
        return NULL;
    }
    LlvmProgram *program = llvm_program_new(kernel, count, options);
    LlvmJit *jit = calloc(1, sizeof *jit);
    LlvmObjects objects;
    bool ready = program && jit && llvm_program_objects(program, threads, &objects) &&
                 load_objects(jit, &objects, options.diag);
    llvm_program_free(program);
    if (ready)
        return jit;
    llvm_jit_free(jit);
    return NULL;
}

LlvmFunction *llvm_jit_function(const LlvmJit *jit, int kernel) { return jit->table[kernel]; }

void llvm_jit_free(LlvmJit *jit)
{
    if (jit && jit->lljit)
        LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->lljit));
    free(jit);
}
