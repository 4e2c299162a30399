#include "llvm_module.h"
#include "llvm_kernel.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>

struct LlvmModule {
    Arena *arena;
    LlvmOptions options;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
    LLVMValueRef table;
    bool failed; /* LLVM has reported an error */
};

static const Span nowhere = {NULL, 0, 0};

/* ---- target machine ---- */

/* LLVM fuses a·b + c only where it is told to: the kernels say llvm.fma themselves. */
static LLVMTargetMachineRef new_machine(LlvmOptions options)
{
    static const LLVMCodeGenOptLevel level[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                                LLVMCodeGenLevelDefault, LLVMCodeGenLevelAggressive};
    const Target *t = options.target;
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();

    LLVMTargetRef target;
    char *why = NULL;
    if (LLVMGetTargetFromTriple(t->triple, &target, &why)) {
        diag_report(options.diag, DIAG_ERROR, nowhere, "this LLVM makes no code for %s: %s", t->name, why);
        LLVMDisposeMessage(why);
        return NULL;
    }
    return LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, level[options.level], LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

/* Without a handler LLVM would print the error and exit. */
static void handle_diagnostic(LLVMDiagnosticInfoRef info, void *context)
{
    LlvmModule *m = context;
    LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(info);
    if (severity != LLVMDSError && severity != LLVMDSWarning)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    diag_report(m->options.diag, severity == LLVMDSError ? DIAG_ERROR : DIAG_WARNING, nowhere, "LLVM: %s",
                text);
    LLVMDisposeMessage(text);
    m->failed |= severity == LLVMDSError;
}

/* ---- contents ---- */

static LLVMValueRef new_constant(LlvmModule *m, const char *name, LLVMValueRef value)
{
    LLVMValueRef global = LLVMAddGlobal(m->module, LLVMTypeOf(value), name);
    LLVMSetInitializer(global, value);
    LLVMSetGlobalConstant(global, true);
    return global;
}

static void add_kernels(LlvmModule *m, Kernel *const *kernel, int count)
{
    LLVMValueRef *function = arena_alloc(m->arena, ((size_t)count + 1) * sizeof *function);
    for (int i = 0; i < count; i++)
        function[i] = llvm_build_kernel(m->arena, m->module, m->options.target, kernel[i]);
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->context, 0);
    m->table = new_constant(m, LLVM_TABLE, LLVMConstArray2(pointer, function, (uint64_t)count));
}

/* For any CPU: the runtime checks what the kernels need before it calls one. */
void llvm_module_add_main(LlvmModule *m, const char *descriptor, size_t length)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->context, 0),
                integer = LLVMInt32TypeInContext(m->context);
    LLVMValueRef text =
        new_constant(m, "netc_descriptor", LLVMConstStringInContext2(m->context, descriptor, length, false));
    LLVMTypeRef start_type =
        LLVMFunctionType(integer, (LLVMTypeRef[]){pointer, pointer, integer, pointer}, 4, false);
    LLVMTypeRef main_type = LLVMFunctionType(integer, (LLVMTypeRef[]){integer, pointer}, 2, false);
    LLVMValueRef start = LLVMAddFunction(m->module, "netc_main", start_type);
    LLVMValueRef main_function = LLVMAddFunction(m->module, "main", main_type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(main_function, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(m->context, nounwind, 0));
    if (!strncmp(m->options.target->triple, "x86_64", 6))
        LLVMAddTargetDependentFunctionAttr(main_function, "target-cpu", "x86-64");

    LLVMBuilderRef builder = LLVMCreateBuilderInContext(m->context);
    LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(m->context, main_function, "entry"));
    LLVMValueRef operand[] = {text, m->table, LLVMGetParam(main_function, 0), LLVMGetParam(main_function, 1)};
    LLVMBuildRet(builder, LLVMBuildCall2(builder, start_type, start, operand, 4, ""));
    LLVMDisposeBuilder(builder);
}

/* The pointers themselves are kept by the compiler, but by no linker. */
void llvm_module_ask_for(LlvmModule *m, const char *const *symbol, int count)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->context, 0),
                type = LLVMFunctionType(LLVMVoidTypeInContext(m->context), NULL, 0, false);
    LLVMValueRef *asked = arena_alloc(m->arena, ((size_t)count + 1) * sizeof *asked);
    for (int i = 0; i < count; i++) {
        LLVMValueRef function = LLVMGetNamedFunction(m->module, symbol[i]);
        if (!function)
            function = LLVMAddFunction(m->module, symbol[i], type);
        asked[i] = new_constant(m, arena_printf(m->arena, "netc_asks.%d", i), function);
        LLVMSetLinkage(asked[i], LLVMPrivateLinkage);
        LLVMSetSection(asked[i], ".data.rel.ro.netc_asks");
    }
    LLVMValueRef used =
        LLVMAddGlobal(m->module, LLVMArrayType2(pointer, (uint64_t)count), "llvm.compiler.used");
    LLVMSetInitializer(used, LLVMConstArray2(pointer, asked, (uint64_t)count));
    LLVMSetLinkage(used, LLVMAppendingLinkage);
    LLVMSetSection(used, "llvm.metadata");
}

LlvmModule *llvm_module_new(Kernel *const *kernel, int count, LlvmOptions options)
{
    LLVMTargetMachineRef machine = new_machine(options);
    if (!machine)
        return NULL;
    Arena *arena = arena_new();
    LlvmModule *m = arena_alloc(arena, sizeof *m);
    *m = (LlvmModule){.arena = arena, .options = options, .context = LLVMContextCreate(), .machine = machine};
    LLVMContextSetDiagnosticHandler(m->context, handle_diagnostic, m);
    LLVMContextSetDiscardValueNames(m->context, !options.names);
    m->module = LLVMModuleCreateWithNameInContext("netc", m->context);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(m->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(m->module, options.target->triple);

    add_kernels(m, kernel, count);
    return m;
}

void llvm_module_free(LlvmModule *m)
{
    LLVMDisposeModule(m->module);
    LLVMDisposeTargetMachine(m->machine);
    LLVMContextDispose(m->context);
    arena_free(m->arena);
}

/* ---- optimisation and output ---- */

/* Loops come unrolled and vectorised, addresses short: what is left is to put locals into registers, to lift
   what does not change out of loops, and to join what is equal; in the kernels that allow it also what is equal
   between kernels. -O2 does so in a tenth of the time of "default<O2>", for the same tiles. -O3 is all that LLVM has.
   No pass may reassociate: no operation allows it. */
static const char *const pipeline[] = {
    "default<O0>",
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)",
    ("function(sroa<modify-cfg>,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
     "loop-mssa(licm),early-cse<memssa>,simplifycfg),mergefunc,iroutliner"),
    "default<O3>",
};

static bool is_sound(LlvmModule *m)
{
    if (!m->options.verify)
        return true;
    char *why = NULL;
    bool broken = LLVMVerifyModule(m->module, LLVMReturnStatusAction, &why);
    if (broken)
        diag_report(m->options.diag, DIAG_ERROR, nowhere, "internal: LLVM refuses the module: %s", why);
    LLVMDisposeMessage(why);
    return !broken;
}

bool llvm_module_optimize(LlvmModule *m)
{
    if (!is_sound(m))
        return false;
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(m->module, pipeline[m->options.level], m->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error) {
        char *why = LLVMGetErrorMessage(error);
        diag_report(m->options.diag, DIAG_ERROR, nowhere, "internal: LLVM: %s", why);
        LLVMDisposeErrorMessage(why);
        return false;
    }
    return is_sound(m);
}

static bool emit(LlvmModule *m, LLVMCodeGenFileType type, Text *bytes)
{
    LLVMMemoryBufferRef buffer = NULL;
    char *why = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->module, type, &why, &buffer)) {
        diag_report(m->options.diag, DIAG_ERROR, nowhere, "internal: LLVM: %s", why);
        LLVMDisposeMessage(why);
        return false;
    }
    text_add_bytes(bytes, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    return !m->failed;
}

bool llvm_module_object(LlvmModule *m, Text *bytes) { return emit(m, LLVMObjectFile, bytes); }

bool llvm_module_assembly(LlvmModule *m, Text *text) { return emit(m, LLVMAssemblyFile, text); }

void llvm_module_print(const LlvmModule *m, Text *text)
{
    char *printed = LLVMPrintModuleToString(m->module);
    text_add(text, printed);
    LLVMDisposeMessage(printed);
}
