/* How a Kernel becomes an LLVM function; shared by llvm_kernel.c (statements), llvm_memory.c (loads and
   stores) and llvm_expr.c (values). A bool is i1 as a value and i8 in memory; a vector is LLVM's vector. */
#ifndef NETC_LLVM_KERNEL_H
#define NETC_LLVM_KERNEL_H

#include "kernel.h"
#include "target.h"

#include <llvm-c/Core.h>

/* An expression that has been built and may be used again until its block ends, unless it reads memory. */
typedef struct BuiltExpr {
    LLVMValueRef value;
    bool reads;
} BuiltExpr;

typedef struct KernelBuilder {
    Arena *arena;
    const Target *target;
    const Kernel *kernel;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMValueRef function;

    LLVMValueRef *buffer, *argument, *local, *temp, *axis; /* by index */
    const Expr **let;                                      /* by temp: what it is bound to */
    bool *natural;                      /* by temp: whether it is an index that cannot be negative */
    LLVMValueRef *scope, *other_scopes; /* a buffer's own alias scope, and all others; or NULL */
    unsigned scope_kind, noalias_kind;  /* of metadata */

    BuiltExpr *built; /* by Expr.id */
    int built_size;
    LIST(int) built_order; /* ids in the order of building */
} KernelBuilder;

/* Adds the function of a kernel to the module; see kernel.h for its parameters. */
LLVMValueRef llvm_build_kernel(Arena *arena, LLVMModuleRef module, const Target *target,
                               const Kernel *kernel);

/* Of the function; a dot keeps it apart from every name of C. */
const char *llvm_kernel_name(Arena *arena, const Kernel *kernel);

/* Whether parts of it that are in other kernels, too, may become functions: it had better be small than fast. */
bool llvm_kernel_shares_parts(const Kernel *kernel);

/* void(ptr buffers, ptr arguments, i64 begin, i64 end) */
LLVMTypeRef llvm_kernel_type(LLVMContextRef context);

/* A buffer's address, as it stands among the parameters. */
LLVMValueRef llvm_load_buffer(KernelBuilder *b, int index);

/* ---- llvm_expr.c */
LLVMValueRef llvm_build_expr(KernelBuilder *b, const Expr *e);
LLVMTypeRef llvm_value_type(KernelBuilder *b, DType dtype, int lanes);
LLVMValueRef llvm_build_intrinsic(KernelBuilder *b, const char *name, LLVMTypeRef *overload,
                                  unsigned overloads, LLVMValueRef *operand);
LLVMValueRef llvm_const_index(KernelBuilder *b, int64_t value);
LLVMValueRef llvm_build_splat(KernelBuilder *b, LLVMValueRef scalar, int lanes);
int llvm_lanes(LLVMValueRef value);
bool llvm_is_natural(const KernelBuilder *b, const Expr *e);
bool llvm_reads_memory(const KernelBuilder *b, const Expr *e);

/* Forgets what was built after the first `count` entries of built_order. */
void llvm_forget(KernelBuilder *b, int count);

/* ---- llvm_memory.c */
LLVMTypeRef llvm_memory_type(KernelBuilder *b, DType dtype, int lanes);
LLVMValueRef llvm_build_load(KernelBuilder *b, const Expr *load);
LLVMValueRef llvm_build_local(KernelBuilder *b, const Expr *local);
void llvm_build_store(KernelBuilder *b, const Stmt *store);
void llvm_build_prefetch(KernelBuilder *b, const Stmt *prefetch);
void llvm_build_set(KernelBuilder *b, const Stmt *set);
void llvm_build_locals(KernelBuilder *b);

#endif
