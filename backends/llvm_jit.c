#include "llvm_jit.h"

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

static bool make_object(Kernel *const *kernel, int count, LlvmOptions options, Text *object)
{
    LlvmModule *module = llvm_module_new(kernel, count, options);
    if (!module)
        return false;
    bool made = llvm_module_optimize(module) && llvm_module_object(module, object);
    llvm_module_free(module);
    return made;
}

/* What the code calls (fmaf, memset) is found among the symbols of this process. */
static bool load_object(LlvmJit *jit, const Text *object, Diagnostics *diag)
{
    if (failed(diag, LLVMOrcCreateLLJIT(&jit->lljit, NULL)))
        return false;
    LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit->lljit);
    LLVMOrcDefinitionGeneratorRef process;
    if (failed(diag, LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(
                         &process, LLVMOrcLLJITGetGlobalPrefix(jit->lljit), NULL, NULL)))
        return false;
    LLVMOrcJITDylibAddGenerator(library, process);

    LLVMMemoryBufferRef copy =
        LLVMCreateMemoryBufferWithMemoryRangeCopy(object->at, object->length, "kernels");
    LLVMOrcExecutorAddress address;
    if (failed(diag, LLVMOrcLLJITAddObjectFile(jit->lljit, library, copy)) ||
        failed(diag, LLVMOrcLLJITLookup(jit->lljit, &address, LLVM_TABLE)))
        return false;
    jit->table = (LlvmFunction *const *)(uintptr_t)address;
    return true;
}

LlvmJit *llvm_jit_new(Kernel *const *kernel, int count, LlvmOptions options)
{
    if (!target_runs_here(options.target)) {
        diag_report(options.diag, DIAG_ERROR, (Span){NULL, 0, 0}, "this CPU cannot run code for %s",
                    options.target->name);
        return NULL;
    }
    Text object = {NULL, 0, 0};
    LlvmJit *jit = calloc(1, sizeof *jit);
    bool ready =
        jit && make_object(kernel, count, options, &object) && load_object(jit, &object, options.diag);
    text_free(&object);
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
