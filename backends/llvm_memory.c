/* Loads and stores of buffers and locals.
   A predicated load of one element reads element 0 where the predicate fails, a contiguous vector is masked,
   and other vectors go lane by lane: no branches. */
#include "llvm_kernel.h"

#include <llvm/Config/llvm-config.h>

/* Where elements lie: a buffer, or a local. */
typedef struct Place {
    LLVMValueRef base;
    DType dtype;
    int buffer; /* -1: a local */
} Place;

LLVMTypeRef llvm_memory_type(KernelBuilder *b, DType dtype, int lanes)
{
    return llvm_value_type(b, dtype == DTYPE_BOOL ? DTYPE_U8 : dtype, lanes);
}

static LLVMValueRef to_memory(KernelBuilder *b, LLVMValueRef value, DType dtype)
{
    if (dtype != DTYPE_BOOL)
        return value;
    return LLVMBuildZExt(b->builder, value, llvm_memory_type(b, dtype, llvm_lanes(value)), "");
}

static LLVMValueRef from_memory(KernelBuilder *b, LLVMValueRef value, DType dtype)
{
    if (dtype != DTYPE_BOOL)
        return value;
    return LLVMBuildICmp(b->builder, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

/* Buffers of one call do not overlap unless they are the same buffer. */
static LLVMValueRef note_alias(KernelBuilder *b, Place place, LLVMValueRef access)
{
    if (place.buffer >= 0 && b->scope) {
        LLVMSetMetadata(access, b->scope_kind, b->scope[place.buffer]);
        LLVMSetMetadata(access, b->noalias_kind, b->other_scopes[place.buffer]);
    }
    return access;
}

static LLVMValueRef load_at(KernelBuilder *b, Place place, LLVMValueRef address, int lanes)
{
    LLVMValueRef load = LLVMBuildLoad2(b->builder, llvm_memory_type(b, place.dtype, lanes), address, "");
    LLVMSetAlignment(load, (unsigned)dtype_info[place.dtype].bytes);
    return note_alias(b, place, load);
}

static void store_at(KernelBuilder *b, Place place, LLVMValueRef address, LLVMValueRef value)
{
    LLVMValueRef store = LLVMBuildStore(b->builder, value, address);
    LLVMSetAlignment(store, (unsigned)dtype_info[place.dtype].bytes);
    note_alias(b, place, store);
}

static LLVMValueRef address_of(KernelBuilder *b, Place place, LLVMValueRef base, LLVMValueRef index)
{
    return LLVMBuildGEP2(b->builder, llvm_memory_type(b, place.dtype, 1), base, &index, 1, "");
}

static LLVMValueRef address_offset(KernelBuilder *b, Place place, LLVMValueRef address, int64_t elements)
{
    return elements ? address_of(b, place, address, llvm_const_index(b, elements)) : address;
}

/* A constant part is added last, so that the rows of a tile share one address register. */
static LLVMValueRef element_address(KernelBuilder *b, Place place, const Expr *at)
{
    int64_t offset;
    if (at->kind == EXPR_APPLY && at->op == SCALAR_ADD && expr_is_int(at->arg[1], &offset))
        return address_offset(b, place, element_address(b, place, at->arg[0]), offset);
    if (expr_is_int(at, &offset))
        return address_offset(b, place, place.base, offset);
    return address_of(b, place, place.base, llvm_build_expr(b, at));
}

/* A vector of places that is bound to a temp is still known to be a ramp or a splat. */
static const Expr *shape_of(const KernelBuilder *b, const Expr *at)
{
    if (at->kind != EXPR_TEMP || at->lanes == 1)
        return at;
    const Expr *bound = b->let[at->index];
    bool known = bound->kind == EXPR_RAMP || bound->kind == EXPR_SPLAT;
    return known && !llvm_reads_memory(b, bound) ? bound : at;
}

/* ---- loads ---- */

static LLVMValueRef lane(KernelBuilder *b, int i)
{
    return LLVMConstInt(LLVMInt32TypeInContext(b->context), (unsigned long long)i, false);
}

static LLVMValueRef load_scalar(KernelBuilder *b, Place place, const Expr *at, LLVMValueRef where)
{
    if (!where)
        return load_at(b, place, element_address(b, place, at), 1);
    LLVMValueRef safe =
        LLVMBuildSelect(b->builder, where, llvm_build_expr(b, at), llvm_const_index(b, 0), "");
    return load_at(b, place, address_of(b, place, place.base, safe), 1);
}

static LLVMValueRef load_contiguous(KernelBuilder *b, Place place, const Expr *first, int lanes,
                                    LLVMValueRef where, LLVMValueRef otherwise)
{
    LLVMValueRef address = element_address(b, place, first);
    if (!where)
        return load_at(b, place, address, lanes);

    /* LLVM 22 takes the alignment as an attribute of the address, LLVM 19 as an operand. */
    LLVMTypeRef overload[] = {llvm_memory_type(b, place.dtype, lanes), LLVMTypeOf(address)};
    unsigned bytes = (unsigned)dtype_info[place.dtype].bytes;
    LLVMValueRef fill = to_memory(b, otherwise, place.dtype);
#if LLVM_VERSION_MAJOR >= 22
    LLVMValueRef operand[] = {address, where, fill};
#else
    LLVMValueRef operand[] = {address, lane(b, (int)bytes), where, fill};
#endif
    LLVMValueRef load = llvm_build_intrinsic(b, "llvm.masked.load", overload, 2, operand);
#if LLVM_VERSION_MAJOR >= 22
    unsigned align = LLVMGetEnumAttributeKindForName("align", 5);
    LLVMAddCallSiteAttribute(load, 1, LLVMCreateEnumAttribute(b->context, align, bytes));
#endif
    return note_alias(b, place, load);
}

/* Every second element: two vectors that stay between the first and the last one, and a shuffle. */
static LLVMValueRef load_pairs(KernelBuilder *b, Place place, const Expr *first, int lanes)
{
    LLVMValueRef address = element_address(b, place, first);
    LLVMValueRef low = load_at(b, place, address, lanes);
    LLVMValueRef high = load_at(b, place, address_offset(b, place, address, lanes - 1), lanes);
    LLVMValueRef *from = arena_alloc(b->arena, (size_t)lanes * sizeof *from);
    for (int i = 0; i < lanes; i++)
        from[i] = lane(b, 2 * i < lanes ? 2 * i : 2 * i + 1);
    return LLVMBuildShuffleVector(b->builder, low, high, LLVMConstVector(from, (unsigned)lanes), "");
}

static LLVMValueRef load_reversed(KernelBuilder *b, Place place, const Expr *last, int lanes)
{
    LLVMValueRef address = address_offset(b, place, element_address(b, place, last), 1 - lanes);
    LLVMValueRef forward = load_at(b, place, address, lanes);
    LLVMValueRef *from = arena_alloc(b->arena, (size_t)lanes * sizeof *from);
    for (int i = 0; i < lanes; i++)
        from[i] = lane(b, lanes - 1 - i);
    return LLVMBuildShuffleVector(b->builder, forward, LLVMGetPoison(LLVMTypeOf(forward)),
                                  LLVMConstVector(from, (unsigned)lanes), "");
}

/* The addresses of the lanes, one by one; those where `where` does not hold are the base. */
static LLVMValueRef lane_address(KernelBuilder *b, Place place, LLVMValueRef indices, int i)
{
    return address_of(b, place, place.base, LLVMBuildExtractElement(b->builder, indices, lane(b, i), ""));
}

static LLVMValueRef load_lanes(KernelBuilder *b, Place place, const Expr *at, LLVMValueRef where)
{
    LLVMValueRef vector = LLVMGetPoison(llvm_memory_type(b, place.dtype, at->lanes));
    LLVMValueRef first = NULL, indices = NULL;
    if (at->kind == EXPR_RAMP && !where)
        first = element_address(b, place, at->arg[0]);
    else
        indices = llvm_build_expr(b, at);
    if (where)
        indices = LLVMBuildSelect(b->builder, where, indices, LLVMConstNull(LLVMTypeOf(indices)), "");
    for (int i = 0; i < at->lanes; i++) {
        LLVMValueRef address =
            first ? address_offset(b, place, first, at->integer * i) : lane_address(b, place, indices, i);
        vector = LLVMBuildInsertElement(b->builder, vector, load_at(b, place, address, 1), lane(b, i), "");
    }
    return vector;
}

static LLVMValueRef load_place(KernelBuilder *b, Place place, const Expr *at, LLVMValueRef where,
                               LLVMValueRef otherwise)
{
    LLVMValueRef value;
    if (at->lanes > 1 && at->kind == EXPR_RAMP && at->integer == 1)
        return from_memory(b, load_contiguous(b, place, at->arg[0], at->lanes, where, otherwise),
                           place.dtype);
    if (at->lanes == 1)
        value = load_scalar(b, place, at, where);
    else if (at->kind == EXPR_RAMP && at->integer == 2 && !where)
        value = load_pairs(b, place, at->arg[0], at->lanes);
    else if (at->kind == EXPR_RAMP && at->integer == -1 && !where)
        value = load_reversed(b, place, at->arg[0], at->lanes);
    else if (at->kind == EXPR_SPLAT && !where)
        value = llvm_build_splat(b, load_scalar(b, place, at->arg[0], NULL), at->lanes);
    else
        value = load_lanes(b, place, at, where);
    value = from_memory(b, value, place.dtype);
    return where ? LLVMBuildSelect(b->builder, where, value, otherwise, "") : value;
}

/* ---- stores ---- */

static void store_lanes(KernelBuilder *b, Place place, const Expr *at, LLVMValueRef value)
{
    LLVMValueRef indices = llvm_build_expr(b, at);
    for (int i = 0; i < at->lanes; i++)
        store_at(b, place, lane_address(b, place, indices, i),
                 LLVMBuildExtractElement(b->builder, value, lane(b, i), ""));
}

static void store_place(KernelBuilder *b, Place place, const Expr *at, LLVMValueRef value)
{
    value = to_memory(b, value, place.dtype);
    if (at->lanes > 1 && at->kind == EXPR_RAMP && at->integer == 1)
        store_at(b, place, element_address(b, place, at->arg[0]), value);
    else if (at->lanes > 1)
        store_lanes(b, place, at, value);
    else
        store_at(b, place, element_address(b, place, at), value);
}

/* ---- buffers ---- */

static Place buffer_place(const KernelBuilder *b, int index)
{
    return (Place){b->buffer[index], b->kernel->buffer.at[index].dtype, index};
}

/* One number for all items of a parameter's update, a step size, say, which it needs once a tile. */
static bool is_setting(const KernelBuilder *b, int index, const Expr *at)
{
    int64_t element;
    const KernelBuffer *buffer = b->kernel->buffer.at;
    bool updates = false;
    for (int i = 0; i < b->kernel->buffer.count; i++)
        updates |= buffer[i].read && buffer[i].written;
    return updates && b->kernel->local.count && buffer[index].dtype == DTYPE_F32 && !buffer[index].written &&
           expr_is_int(at->kind == EXPR_SPLAT ? at->arg[0] : at, &element);
}

/* LLVM shall not know that stores leave it as it is: it would load all settings before the first item, more than there are
   registers, and then store them and load them again. */
static Place setting_place(KernelBuilder *b, int index)
{
    return (Place){llvm_load_buffer(b, index), b->kernel->buffer.at[index].dtype, -1};
}

LLVMValueRef llvm_build_load(KernelBuilder *b, const Expr *e)
{
    LLVMValueRef where = NULL, otherwise = NULL;
    if (e->count == 3) {
        where = llvm_build_expr(b, e->arg[1]);
        otherwise = llvm_build_expr(b, e->arg[2]);
    }
    const Expr *at = shape_of(b, e->arg[0]);
    return load_place(b, is_setting(b, e->index, at) ? setting_place(b, e->index) : buffer_place(b, e->index),
                      at, where, otherwise);
}

/* Nothing, but what lies before and behind it is not outlined as one. */
static void build_fence(KernelBuilder *b)
{
    unsigned effect = LLVMLookupIntrinsicID("llvm.sideeffect", 15);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(b->module, effect, NULL, 0);
    LLVMBuildCall2(b->builder, LLVMGlobalGetValueType(function), function, NULL, 0, "");
}

/* Kernels that run once and compute the same differ in how they address what they store. */
void llvm_build_store(KernelBuilder *b, const Stmt *s)
{
    LLVMValueRef value = llvm_build_expr(b, s->value);
    if (b->kernel->once)
        build_fence(b);
    store_place(b, buffer_place(b, s->index), shape_of(b, s->at), value);
}

void llvm_build_prefetch(KernelBuilder *b, const Stmt *s)
{
    LLVMValueRef address = element_address(b, buffer_place(b, s->index), s->at);
    LLVMTypeRef type = LLVMTypeOf(address), i32 = LLVMInt32TypeInContext(b->context);
    LLVMValueRef function =
        LLVMGetIntrinsicDeclaration(b->module, LLVMLookupIntrinsicID("llvm.prefetch", 13), &type, 1);
    LLVMValueRef is_written = LLVMConstInt(i32, 0, false), nearest = LLVMConstInt(i32, 3, false);
    LLVMValueRef operand[] = {address, is_written, nearest, LLVMConstInt(i32, 1, false) /* data */};
    LLVMBuildCall2(b->builder, LLVMGlobalGetValueType(function), function, operand, 4, "");
}

/* ---- locals ---- */

void llvm_build_locals(KernelBuilder *b)
{
    for (int i = 0; i < b->kernel->local.count; i++) {
        const Local *local = &b->kernel->local.at[i];
        LLVMTypeRef element = llvm_memory_type(b, local->dtype, local->lanes);
        b->local[i] =
            LLVMBuildAlloca(b->builder, LLVMArrayType2(element, (uint64_t)local->count), local->name);
        LLVMSetAlignment(b->local[i], 64);
    }
}

/* Address of vector `at` of a local of vectors. */
static LLVMValueRef vector_address(KernelBuilder *b, const Local *local, LLVMValueRef base, const Expr *at)
{
    const Expr *shape = shape_of(b, at);
    LLVMValueRef index = llvm_build_expr(b, shape->kind == EXPR_SPLAT ? shape->arg[0] : shape);
    return LLVMBuildInBoundsGEP2(b->builder, llvm_memory_type(b, local->dtype, local->lanes), base, &index, 1,
                                 "");
}

LLVMValueRef llvm_build_local(KernelBuilder *b, const Expr *e)
{
    const Local *local = &b->kernel->local.at[e->index];
    Place place = {b->local[e->index], local->dtype, -1};
    if (local->lanes == 1)
        return load_place(b, place, shape_of(b, e->arg[0]), NULL, NULL);
    LLVMValueRef address = vector_address(b, local, place.base, e->arg[0]);
    LLVMTypeRef type = llvm_memory_type(b, local->dtype, local->lanes);
    return from_memory(b, LLVMBuildLoad2(b->builder, type, address, ""), local->dtype);
}

/* A vector set at one place of a local of scalars fills the places after it, too. */
void llvm_build_set(KernelBuilder *b, const Stmt *s)
{
    const Local *local = &b->kernel->local.at[s->index];
    Place place = {b->local[s->index], local->dtype, -1};
    LLVMValueRef value = llvm_build_expr(b, s->value);
    if (local->lanes > 1) {
        LLVMValueRef address = vector_address(b, local, place.base, s->at);
        LLVMBuildStore(b->builder, to_memory(b, value, local->dtype), address);
    } else if (s->at->lanes == 1 && llvm_lanes(value) > 1) {
        store_at(b, place, element_address(b, place, s->at), to_memory(b, value, local->dtype));
    } else {
        store_place(b, place, shape_of(b, s->at), value);
    }
}
