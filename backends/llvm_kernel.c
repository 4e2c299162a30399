/* Statements: a kernel's loops become basic blocks. */
#include "llvm_kernel.h"

#include <stdio.h>
#include <string.h>

LLVMTypeRef llvm_kernel_type(LLVMContextRef context)
{
    LLVMTypeRef pointer = LLVMPointerTypeInContext(context, 0), index = LLVMInt64TypeInContext(context);
    return LLVMFunctionType(LLVMVoidTypeInContext(context), (LLVMTypeRef[]){pointer, pointer, index, index},
                            4, false);
}

static LLVMBasicBlockRef new_block(KernelBuilder *b, const char *name)
{
    return LLVMAppendBasicBlockInContext(b->context, b->function, name);
}

/* The names that kernel_print uses; LLVM forgets them unless the module is to be read. */
static void set_name(LLVMValueRef value, char kind, int index)
{
    char name[16];
    int length = snprintf(name, sizeof name, "%c%d", kind, index);
    LLVMSetValueName2(value, name, (size_t)length);
}

static void build_block(KernelBuilder *b, const Stmt *first);

static bool has_loop(const Stmt *s)
{
    for (; s; s = s->next)
        if (s->kind == STMT_FOR || (s->kind == STMT_IF && has_loop(s->body)))
            return true;
    return false;
}

/* The same value, but LLVM sees no recurrence in it: it would keep a pointer from round to round of an outer loop for every
   address in the inner ones, most of them in memory. */
static LLVMValueRef build_unrelated(KernelBuilder *b, LLVMValueRef index)
{
    LLVMTypeRef type = LLVMTypeOf(index);
    unsigned expect = LLVMLookupIntrinsicID("llvm.expect", 11);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(b->module, expect, &type, 1);
    LLVMValueRef operand[] = {index, llvm_const_index(b, 0)};
    return LLVMBuildCall2(b->builder, LLVMGlobalGetValueType(function), function, operand, 2, "");
}

/* axis from begin below end: tested once before, then at the end of each round. */
static void build_loop(KernelBuilder *b, int axis, LLVMValueRef begin, LLVMValueRef end, const Stmt *body)
{
    LLVMTypeRef index = LLVMInt64TypeInContext(b->context);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(b->builder);
    LLVMBasicBlockRef loop = new_block(b, "loop"), after = new_block(b, "after");
    LLVMBuildCondBr(b->builder, LLVMBuildICmp(b->builder, LLVMIntSLT, begin, end, ""), loop, after);

    LLVMPositionBuilderAtEnd(b->builder, loop);
    LLVMValueRef variable = LLVMBuildPhi(b->builder, index, "");
    set_name(variable, 'i', axis);
    b->axis[axis] = has_loop(body) ? build_unrelated(b, variable) : variable;
    build_block(b, body);
    LLVMValueRef next = LLVMBuildNSWAdd(b->builder, variable, llvm_const_index(b, 1), "");
    LLVMBuildCondBr(b->builder, LLVMBuildICmp(b->builder, LLVMIntSLT, next, end, ""), loop, after);
    LLVMAddIncoming(variable, (LLVMValueRef[]){begin, next},
                    (LLVMBasicBlockRef[]){before, LLVMGetInsertBlock(b->builder)}, 2);

    LLVMMoveBasicBlockAfter(after, LLVMGetInsertBlock(b->builder));
    LLVMPositionBuilderAtEnd(b->builder, after);
}

static void build_if(KernelBuilder *b, LLVMValueRef condition, const Stmt *body)
{
    LLVMBasicBlockRef then = new_block(b, "then"), after = new_block(b, "after");
    LLVMBuildCondBr(b->builder, condition, then, after);
    LLVMPositionBuilderAtEnd(b->builder, then);
    build_block(b, body);
    LLVMBuildBr(b->builder, after);
    LLVMMoveBasicBlockAfter(after, LLVMGetInsertBlock(b->builder));
    LLVMPositionBuilderAtEnd(b->builder, after);
}

static void build_statement(KernelBuilder *b, const Stmt *s)
{
    switch (s->kind) {
    case STMT_FOR:
        build_loop(b, s->index, llvm_const_index(b, 0), llvm_build_expr(b, s->extent), s->body);
        break;
    case STMT_IF:
        build_if(b, llvm_build_expr(b, s->value), s->body);
        break;
    case STMT_LET:
        b->temp[s->index] = llvm_build_expr(b, s->value);
        if (LLVMIsAInstruction(b->temp[s->index]))
            set_name(b->temp[s->index], 't', s->index);
        b->let[s->index] = s->value;
        b->natural[s->index] = llvm_is_natural(b, s->value);
        break;
    case STMT_SET:
        llvm_build_set(b, s);
        break;
    case STMT_STORE:
        llvm_build_store(b, s);
        break;
    case STMT_PREFETCH:
        llvm_build_prefetch(b, s);
        break;
    }
}

static void build_block(KernelBuilder *b, const Stmt *first)
{
    int before = b->built_order.count;
    for (const Stmt *s = first; s; s = s->next)
        build_statement(b, s);
    llvm_forget(b, before);
}

/* ---- the function ---- */

static void add_attribute(KernelBuilder *b, const char *name, const char *value)
{
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(b->context, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(b->function, LLVMAttributeFunctionIndex, attribute);
}

/* FLOPs and bytes below which a kernel had better be small than fast. */
#define SMALL_WORK 1e8
/* And below which a call costs nothing that counts: parts that are in several kernels become functions. */
#define TINY_WORK 1e4

static double work(const Kernel *kernel) { return kernel->flops + kernel->bytes; }

bool llvm_kernel_shares_parts(const Kernel *kernel) { return kernel->once || work(kernel) < TINY_WORK; }

static void add_attributes(KernelBuilder *b)
{
    char bits[16];
    snprintf(bits, sizeof bits, "%d", 32 * b->target->vector_lanes);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(b->function, LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(b->context, nounwind, 0));
    if (!llvm_kernel_shares_parts(b->kernel))
        add_attribute(b, "nooutline", "");
    if (b->kernel->once || work(b->kernel) < SMALL_WORK) {
        unsigned small = LLVMGetEnumAttributeKindForName(b->kernel->once ? "minsize" : "optsize", 7);
        LLVMAddAttributeAtIndex(b->function, LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(b->context, small, 0));
    }
    add_attribute(b, "target-cpu", b->target->cpu);
    add_attribute(b, "tune-cpu", b->target->tune);
    if (*b->target->features)
        add_attribute(b, "target-features", b->target->features);
    add_attribute(b, "prefer-vector-width", bits);
    add_attribute(b, "min-legal-vector-width", bits);
    add_attribute(b, "no-trapping-math", "true");
}

/* One scope a buffer: what is in it does not overlap what is in the others. */
static void build_scopes(KernelBuilder *b)
{
    int count = b->kernel->buffer.count;
    if (count < 2 || b->kernel->once)
        return;
    LLVMContextRef c = b->context;
    const char *name = b->kernel->name;
    LLVMMetadataRef domain_name = LLVMMDStringInContext2(c, name, strlen(name));
    LLVMMetadataRef domain = LLVMMDNodeInContext2(c, &domain_name, 1);
    LLVMMetadataRef *scope = arena_alloc(b->arena, (size_t)count * sizeof *scope);
    LLVMMetadataRef *others = arena_alloc(b->arena, (size_t)count * sizeof *others);
    b->scope = arena_alloc(b->arena, (size_t)count * sizeof *b->scope);
    b->other_scopes = arena_alloc(b->arena, (size_t)count * sizeof *b->other_scopes);
    b->scope_kind = LLVMGetMDKindIDInContext(c, "alias.scope", 11);
    b->noalias_kind = LLVMGetMDKindIDInContext(c, "noalias", 7);

    for (int i = 0; i < count; i++) {
        const char *scope_name = arena_printf(b->arena, "%s.%d", name, i);
        LLVMMetadataRef named[] = {LLVMMDStringInContext2(c, scope_name, strlen(scope_name)), domain};
        scope[i] = LLVMMDNodeInContext2(c, named, 2);
    }
    for (int i = 0; i < count; i++) {
        int other = 0;
        for (int j = 0; j < count; j++)
            if (j != i)
                others[other++] = scope[j];
        b->scope[i] = LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, &scope[i], 1));
        b->other_scopes[i] = LLVMMetadataAsValue(c, LLVMMDNodeInContext2(c, others, (size_t)other));
    }
}

static LLVMValueRef load_parameter(KernelBuilder *b, int parameter, LLVMTypeRef type, char kind, int i)
{
    LLVMValueRef at = llvm_const_index(b, i);
    LLVMValueRef address =
        LLVMBuildInBoundsGEP2(b->builder, type, LLVMGetParam(b->function, (unsigned)parameter), &at, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(b->builder, type, address, "");
    set_name(value, kind, i);
    return value;
}

LLVMValueRef llvm_load_buffer(KernelBuilder *b, int index)
{
    return load_parameter(b, 0, LLVMPointerTypeInContext(b->context, 0), 'x', index);
}

static void build_parameters(KernelBuilder *b)
{
    for (int i = 0; i < b->kernel->buffer.count; i++)
        b->buffer[i] = llvm_load_buffer(b, i);
    for (int i = 0; i < b->kernel->arguments; i++)
        b->argument[i] = load_parameter(b, 1, LLVMInt64TypeInContext(b->context), 'a', i);
}

static void build_body(KernelBuilder *b)
{
    LLVMValueRef begin = LLVMGetParam(b->function, 2), end = LLVMGetParam(b->function, 3);
    if (b->kernel->item_axis >= 0)
        build_loop(b, b->kernel->item_axis, begin, end, b->kernel->body);
    else
        build_if(b, LLVMBuildICmp(b->builder, LLVMIntSLT, begin, end, ""), b->kernel->body);
    LLVMBuildRetVoid(b->builder);
}

static LLVMValueRef *new_values(Arena *arena, int count)
{
    return arena_alloc(arena, ((size_t)count + 1) * sizeof(LLVMValueRef));
}

const char *llvm_kernel_name(Arena *arena, const Kernel *kernel)
{
    return arena_printf(arena, "kernel.%s", kernel->name);
}

LLVMValueRef llvm_build_kernel(Arena *arena, LLVMModuleRef module, const Target *target, const Kernel *kernel)
{
    KernelBuilder b = {.arena = arena,
                       .target = target,
                       .kernel = kernel,
                       .context = LLVMGetModuleContext(module),
                       .module = module,
                       .buffer = new_values(arena, kernel->buffer.count),
                       .argument = new_values(arena, kernel->arguments),
                       .local = new_values(arena, kernel->local.count),
                       .temp = new_values(arena, kernel->temp.count),
                       .natural = arena_alloc(arena, (size_t)kernel->temp.count + 1),
                       .let = arena_alloc(arena, ((size_t)kernel->temp.count + 1) * sizeof(Expr *)),
                       .axis = new_values(arena, kernel->axes)};
    b.function = LLVMAddFunction(module, llvm_kernel_name(arena, kernel), llvm_kernel_type(b.context));
    LLVMSetLinkage(b.function, LLVMInternalLinkage);
    LLVMSetUnnamedAddress(b.function, LLVMGlobalUnnamedAddr); /* equal ones may be one */
    add_attributes(&b);
    b.builder = LLVMCreateBuilderInContext(b.context);
    LLVMPositionBuilderAtEnd(b.builder, new_block(&b, "entry"));
    build_scopes(&b);
    llvm_build_locals(&b);
    build_parameters(&b);
    build_body(&b);
    LLVMDisposeBuilder(b.builder);
    return b.function;
}
