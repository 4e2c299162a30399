#include "llvm_module.h"
#include "clock.h"
#include "llvm_kernel.h"

#include <assert.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Linker.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdlib.h>
#include <string.h>

typedef struct Message {
    DiagKind kind;
    const char *text;
} Message;

struct LlvmModule {
    Arena *arena;
    LlvmOptions options;
    LlvmModule *beside; /* whose context and machine it uses, and which keeps the messages; or itself */
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
    LLVMValueRef *symbol; /* of the table: what it refers to */
    LLVMValueRef table;
    Kernel *const *kernel; /* those of the table */
    int kernels;
    LIST(Message) message;
    bool failed;
    LlvmTimes times;
};

static const Span nowhere = {NULL, 0, 0};

/* ---- messages ---- */

static void say(LlvmModule *m, DiagKind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(LlvmModule *m, DiagKind kind, const char *format, ...)
{
    LlvmModule *keeper = m->beside;
    va_list arguments;
    va_start(arguments, format);
    Message message = {kind, arena_vprintf(keeper->arena, format, arguments)};
    va_end(arguments);
    list_add(keeper->arena, &keeper->message, message);
    keeper->failed |= kind == DIAG_ERROR;
}

/* Without a handler LLVM would print the error and exit. */
static void handle_diagnostic(LLVMDiagnosticInfoRef info, void *module)
{
    LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(info);
    if (severity != LLVMDSError && severity != LLVMDSWarning)
        return;
    char *text = LLVMGetDiagInfoDescription(info);
    say(module, severity == LLVMDSError ? DIAG_ERROR : DIAG_WARNING, "LLVM: %s", text);
    LLVMDisposeMessage(text);
}

bool llvm_module_report(LlvmModule *m)
{
    for (int i = 0; i < m->message.count; i++)
        diag_report(m->options.diag, m->message.at[i].kind, nowhere, "%s", m->message.at[i].text);
    m->message.count = 0;
    return !m->failed;
}

/* ---- target machine ---- */

bool llvm_start(LlvmOptions options)
{
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
    const Target *t = options.target;
    LLVMTargetRef target;
    char *why = NULL;
    if (!LLVMGetTargetFromTriple(t->triple, &target, &why))
        return true;
    diag_report(options.diag, DIAG_ERROR, nowhere, "this LLVM makes no code for %s: %s", t->name, why);
    LLVMDisposeMessage(why);
    return false;
}

/* LLVM fuses a·b + c only where it is told to: the kernels say llvm.fma themselves. */
static LLVMTargetMachineRef new_machine(LlvmOptions options)
{
    static const LLVMCodeGenOptLevel level[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess,
                                                LLVMCodeGenLevelDefault, LLVMCodeGenLevelAggressive};
    const Target *t = options.target;
    LLVMTargetRef target;
    LLVMGetTargetFromTriple(t->triple, &target, NULL);
    return LLVMCreateTargetMachine(target, t->triple, t->cpu, t->features, level[options.level], LLVMRelocPIC,
                                   LLVMCodeModelDefault);
}

/* ---- contents ---- */

static LLVMValueRef new_constant(LlvmModule *m, const char *name, LLVMValueRef value)
{
    LLVMValueRef global = LLVMAddGlobal(m->module, LLVMTypeOf(value), name);
    LLVMSetInitializer(global, value);
    LLVMSetGlobalConstant(global, true);
    return global;
}

/* Other modules know it by a name of its own: so a function that equals another can still vanish. */
void llvm_module_add_kernel(LlvmModule *m, const Kernel *kernel)
{
    double start = clock_seconds();
    const char *name = llvm_kernel_name(m->arena, kernel);
    LLVMValueRef function = llvm_build_kernel(m->arena, m->module, m->options.target, kernel);
    LLVMSetValueName2(function, "", 0);
    LLVMSetLinkage(function, LLVMPrivateLinkage);
    assert(!LLVMGetNamedGlobalAlias(m->module, name, strlen(name)));
    LLVMValueRef alias = LLVMAddAlias2(m->module, llvm_kernel_type(m->context), 0, function, name);
    LLVMSetVisibility(alias, LLVMHiddenVisibility);
    m->times.build += clock_seconds() - start;
}

void llvm_module_add_table(LlvmModule *m, Kernel *const *kernel, int count)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->context, 0), type = llvm_kernel_type(m->context);
    m->symbol = arena_alloc(m->arena, ((size_t)count + 1) * sizeof *m->symbol);
    for (int i = 0; i < count; i++) {
        m->symbol[i] = LLVMAddFunction(m->module, llvm_kernel_name(m->arena, kernel[i]), type);
        LLVMSetVisibility(m->symbol[i], LLVMHiddenVisibility);
    }
    m->kernel = kernel;
    m->kernels = count;
    m->table = new_constant(m, LLVM_TABLE, LLVMConstArray2(pointer, m->symbol, (uint64_t)count));
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

LlvmModule *llvm_module_new(LlvmOptions options, LlvmModule *beside)
{
    Arena *arena = arena_new();
    LlvmModule *m = arena_alloc(arena, sizeof *m);
    *m = (LlvmModule){.arena = arena, .options = options, .beside = beside ? beside : m};
    if (beside) {
        m->context = beside->context;
        m->machine = beside->machine;
    } else {
        m->context = LLVMContextCreate();
        m->machine = new_machine(options);
        LLVMContextSetDiagnosticHandler(m->context, handle_diagnostic, m);
        LLVMContextSetDiscardValueNames(m->context, !options.names);
    }
    m->module = LLVMModuleCreateWithNameInContext("netc", m->context);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(m->machine);
    LLVMSetModuleDataLayout(m->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMSetTarget(m->module, options.target->triple);
    return m;
}

void llvm_module_end(LlvmModule *m)
{
    if (m->module)
        LLVMDisposeModule(m->module);
    m->module = NULL;
    if (m->beside != m || !m->context)
        return;
    LLVMDisposeTargetMachine(m->machine);
    LLVMContextDispose(m->context);
    m->context = NULL;
}

void llvm_module_free(LlvmModule *m)
{
    if (!m)
        return;
    llvm_module_end(m);
    arena_free(m->arena);
}

/* ---- optimisation and output ---- */

/* Loops come unrolled and vectorised, addresses short: what is left is to put locals into registers, to lift
   what does not change out of loops, and to join what is equal. -O2 does so in a tenth of the time of "default<O2>", for
   the same tiles. -O3 is all that LLVM has. No pass may reassociate: no operation allows it. */
static const char *const pipeline[] = {
    "default<O0>",
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg)",
    ("function(sroa<modify-cfg>,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
     "loop-mssa(licm),early-cse<memssa>,simplifycfg),mergefunc"),
    "default<O3>",
};

/* Then, at -O2: what is equal between kernels becomes functions. The time grows faster than the module. */
static const char outlining[] = "iroutliner";

static bool is_sound(LlvmModule *m)
{
    if (!m->options.verify)
        return true;
    char *why = NULL;
    bool broken = LLVMVerifyModule(m->module, LLVMReturnStatusAction, &why);
    if (broken)
        say(m, DIAG_ERROR, "internal: LLVM refuses the module: %s", why);
    LLVMDisposeMessage(why);
    return !broken;
}

static bool run_passes(LlvmModule *m, const char *passes)
{
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(m->module, passes, m->machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return true;
    char *why = LLVMGetErrorMessage(error);
    say(m, DIAG_ERROR, "internal: LLVM: %s", why);
    LLVMDisposeErrorMessage(why);
    return false;
}

bool llvm_module_optimize(LlvmModule *m, bool outline)
{
    double start = clock_seconds();
    int level = m->options.level;
    bool good = is_sound(m) && run_passes(m, pipeline[level]) &&
                (!outline || level != 2 || run_passes(m, outlining)) && is_sound(m);
    m->times.optimize += clock_seconds() - start;
    return good;
}

bool llvm_module_join(LlvmModule *m, LlvmModule *other)
{
    double start = clock_seconds();
    bool broken = LLVMLinkModules2(m->module, other->module);
    other->module = NULL;
    m->times.optimize += clock_seconds() - start;
    if (broken)
        say(m, DIAG_ERROR, "internal: LLVM cannot join modules");
    return !broken;
}

/* The function behind a name that no other module has to know. -O3 may have given it the name already. */
static LLVMValueRef close_kernel(LlvmModule *m, LLVMValueRef named, const Kernel *kernel)
{
    const char *name = llvm_kernel_name(m->arena, kernel);
    LLVMValueRef function = named;
    LLVMSetVisibility(named, LLVMDefaultVisibility);
    LLVMSetLinkage(named, LLVMInternalLinkage);
    if (LLVMIsAGlobalAlias(named)) {
        LLVMSetValueName2(named, "", 0);
        function = LLVMAliasGetAliasee(named);
    }
    LLVMSetLinkage(function, LLVMInternalLinkage);
    LLVMSetValueName2(function, name, strlen(name));
    return function;
}

bool llvm_module_close(LlvmModule *m)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(m->context, 0);
    LLVMValueRef old = LLVMGetInitializer(m->table);
    for (int i = 0; i < m->kernels; i++)
        m->symbol[i] = close_kernel(m, LLVMGetOperand(old, (unsigned)i), m->kernel[i]);
    LLVMSetInitializer(m->table, LLVMConstArray2(pointer, m->symbol, (uint64_t)m->kernels));
    return run_passes(m, "globaldce") && is_sound(m);
}

static bool emit(LlvmModule *m, LLVMCodeGenFileType type, Text *bytes)
{
    double start = clock_seconds();
    LLVMMemoryBufferRef buffer = NULL;
    char *why = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(m->machine, m->module, type, &why, &buffer)) {
        say(m, DIAG_ERROR, "internal: LLVM: %s", why);
        LLVMDisposeMessage(why);
        return false;
    }
    text_add_bytes(bytes, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
    m->times.emit += clock_seconds() - start;
    return !m->beside->failed;
}

bool llvm_module_object(LlvmModule *m, Text *bytes) { return emit(m, LLVMObjectFile, bytes); }

bool llvm_module_assembly(LlvmModule *m, Text *text) { return emit(m, LLVMAssemblyFile, text); }

bool llvm_module_print(LlvmModule *m, Text *text)
{
    char *printed = LLVMPrintModuleToString(m->module);
    text_add(text, printed);
    LLVMDisposeMessage(printed);
    return true;
}

LlvmTimes llvm_module_times(const LlvmModule *m) { return m->times; }
