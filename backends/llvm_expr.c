/* Values: one LLVM value an expression. */
#include "llvm_kernel.h"

#include <assert.h>
#include <string.h>

/* ---- what has been built ---- */

void llvm_forget(KernelBuilder *b, int count)
{
    for (int i = count; i < b->built_order.count; i++)
        b->built[b->built_order.at[i]].value = NULL;
    b->built_order.count = count;
}

/* Of an expression whose operands have been built. */
bool llvm_reads_memory(const KernelBuilder *b, const Expr *e)
{
    if (e->kind == EXPR_LOAD || e->kind == EXPR_LOCAL)
        return true;
    for (int i = 0; i < e->count; i++)
        if (b->built[e->arg[i]->id].reads)
            return true;
    return false;
}

static void remember(KernelBuilder *b, const Expr *e, LLVMValueRef value)
{
    BuiltExpr *built = &b->built[e->id];
    built->reads = llvm_reads_memory(b, e);
    if (built->reads)
        return;
    built->value = value;
    list_add(b->arena, &b->built_order, e->id);
}

static void make_room(KernelBuilder *b, int id)
{
    if (id < b->built_size)
        return;
    int size = 2 * id + 64;
    BuiltExpr *grown = arena_alloc(b->arena, (size_t)size * sizeof *grown);
    if (b->built_size)
        memcpy(grown, b->built, (size_t)b->built_size * sizeof *grown);
    b->built = grown;
    b->built_size = size;
}

/* ---- types and small values ---- */

static LLVMTypeRef element_type(LLVMContextRef context, DType dtype)
{
    if (dtype == DTYPE_BOOL)
        return LLVMInt1TypeInContext(context);
    if (dtype == DTYPE_F32)
        return LLVMFloatTypeInContext(context);
    if (dtype == DTYPE_F64)
        return LLVMDoubleTypeInContext(context);
    return LLVMIntTypeInContext(context, 8 * (unsigned)dtype_info[dtype].bytes);
}

LLVMTypeRef llvm_value_type(KernelBuilder *b, DType dtype, int lanes)
{
    LLVMTypeRef element = element_type(b->context, dtype);
    return lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element;
}

int llvm_lanes(LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(type) : 1;
}

LLVMValueRef llvm_const_index(KernelBuilder *b, int64_t value)
{
    return LLVMConstInt(LLVMInt64TypeInContext(b->context), (unsigned long long)value, false);
}

LLVMValueRef llvm_build_splat(KernelBuilder *b, LLVMValueRef scalar, int lanes)
{
    if (lanes == 1 || llvm_lanes(scalar) > 1)
        return scalar;
    LLVMTypeRef vector = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    LLVMTypeRef mask = LLVMVectorType(LLVMInt32TypeInContext(b->context), (unsigned)lanes);
    LLVMValueRef first = LLVMConstInt(LLVMInt32TypeInContext(b->context), 0, false);
    LLVMValueRef one = LLVMBuildInsertElement(b->builder, LLVMGetPoison(vector), scalar, first, "");
    return LLVMBuildShuffleVector(b->builder, one, LLVMGetPoison(vector), LLVMConstNull(mask), "");
}

LLVMValueRef llvm_build_intrinsic(KernelBuilder *b, const char *name, LLVMTypeRef *overload,
                                  unsigned overloads, LLVMValueRef *operand)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef callee = LLVMGetIntrinsicDeclaration(b->module, id, overload, overloads);
    LLVMTypeRef type = LLVMGlobalGetValueType(callee);
    return LLVMBuildCall2(b->builder, type, callee, operand, LLVMCountParamTypes(type), "");
}

static LLVMValueRef const_integer(LLVMTypeRef type, DType dtype, int64_t value)
{
    int bits = dtype == DTYPE_BOOL ? 1 : 8 * dtype_info[dtype].bytes;
    uint64_t mask = bits < 64 ? ((uint64_t)1 << bits) - 1 : UINT64_MAX;
    return LLVMConstInt(type, (uint64_t)value & mask, false);
}

static LLVMValueRef const_like(KernelBuilder *b, LLVMValueRef value, DType dtype, int64_t integer)
{
    LLVMValueRef scalar = const_integer(element_type(b->context, dtype), dtype, integer);
    return llvm_build_splat(b, scalar, llvm_lanes(value));
}

static LLVMValueRef build_ramp(KernelBuilder *b, LLVMValueRef base, int64_t stride, int lanes)
{
    LLVMValueRef *offset = arena_alloc(b->arena, (size_t)lanes * sizeof *offset);
    for (int i = 0; i < lanes; i++)
        offset[i] = llvm_const_index(b, (int64_t)((uint64_t)stride * (uint64_t)i));
    return LLVMBuildAdd(b->builder, llvm_build_splat(b, base, lanes),
                        LLVMConstVector(offset, (unsigned)lanes), "");
}

/* ---- scalar functions ---- */

typedef enum { WAY_NONE, WAY_INSTRUCTION, WAY_COMPARISON, WAY_INTRINSIC, WAY_OWN } ScalarWay;

typedef struct ScalarBuild {
    ScalarWay way;
    int real, integer, unsigned_integer; /* LLVMOpcode; or LLVMRealPredicate and LLVMIntPredicate */
    const char *intrinsic;
} ScalarBuild;

#define INSTR(real, integer) {WAY_INSTRUCTION, LLVM##real, LLVM##integer, LLVM##integer, NULL}
#define PRED(real, integer, unsigned) {WAY_COMPARISON, LLVM##real, LLVM##integer, LLVM##unsigned, NULL}
#define CALL(intrinsic) {WAY_INTRINSIC, 0, 0, 0, intrinsic}
#define OWN(name) {WAY_OWN, 0, 0, 0, NULL}
static const ScalarBuild scalar_build[SCALAR_COUNT] = {
#define SCALAR(kind, name, arity, result, c, llvm, value) [SCALAR_##kind] = llvm,
#define EXPAND(kind, name, arity, expand, value) [SCALAR_##kind] = {WAY_NONE, 0, 0, 0, NULL},
#include "scalar.def"
#undef SCALAR
#undef EXPAND
};
#undef INSTR
#undef PRED
#undef CALL
#undef OWN

static bool is_signed(DType dtype) { return dtype_info[dtype].class == CLASS_SIGNED; }

/* Whether an index cannot be negative, as most: loop variables and the batch, added, multiplied, divided. */
bool llvm_is_natural(const KernelBuilder *b, const Expr *e)
{
    int64_t value;
    if (expr_is_int(e, &value))
        return value >= 0;
    switch (e->kind) {
    case EXPR_AXIS:
        return true;
    case EXPR_ARGUMENT:
        return e->index == 0;
    case EXPR_TEMP:
        return b->natural[e->index];
    case EXPR_APPLY:
        return e->dtype == DTYPE_I64 &&
               (e->op == SCALAR_ADD || e->op == SCALAR_MUL || e->op == SCALAR_DIV || e->op == SCALAR_MOD) &&
               llvm_is_natural(b, e->arg[0]) && llvm_is_natural(b, e->arg[1]);
    default:
        return false;
    }
}

/* Nothing traps: x / 0 and x % 0 are 0, the lowest / -1 wraps. For a constant divisor the builder folds the
   checks. */
static LLVMValueRef build_signed_division(KernelBuilder *b, DType dtype, LLVMValueRef x, LLVMValueRef y,
                                          bool remainder)
{
    LLVMBuilderRef builder = b->builder;
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(y)), one = const_like(b, y, dtype, 1);
    LLVMValueRef by_zero = LLVMBuildICmp(builder, LLVMIntEQ, y, zero, "");
    LLVMValueRef by_minus_one = LLVMBuildICmp(builder, LLVMIntEQ, y, const_like(b, y, dtype, -1), "");
    LLVMValueRef unsafe = LLVMBuildOr(builder, by_zero, by_minus_one, "");
    LLVMValueRef divisor = LLVMBuildSelect(builder, unsafe, one, y, "");
    LLVMValueRef result = LLVMBuildBinOp(builder, remainder ? LLVMSRem : LLVMSDiv, x, divisor, "");
    if (!remainder && !LLVMIsNull(by_minus_one))
        result = LLVMBuildSelect(builder, by_minus_one, LLVMBuildNeg(builder, x, ""), result, "");
    return LLVMBuildSelect(builder, by_zero, zero, result, "");
}

static LLVMValueRef build_unsigned_division(KernelBuilder *b, DType dtype, LLVMValueRef x, LLVMValueRef y,
                                            bool remainder)
{
    LLVMBuilderRef builder = b->builder;
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(y));
    LLVMValueRef by_zero = LLVMBuildICmp(builder, LLVMIntEQ, y, zero, "");
    LLVMValueRef divisor = LLVMBuildSelect(builder, by_zero, const_like(b, y, dtype, 1), y, "");
    LLVMValueRef result = LLVMBuildBinOp(builder, remainder ? LLVMURem : LLVMUDiv, x, divisor, "");
    return LLVMBuildSelect(builder, by_zero, zero, result, "");
}

static LLVMValueRef build_division(KernelBuilder *b, const Expr *e, LLVMValueRef x, LLVMValueRef y)
{
    bool remainder = e->op == SCALAR_MOD;
    if (dtype_is_float(e->dtype))
        return LLVMBuildBinOp(b->builder, remainder ? LLVMFRem : LLVMFDiv, x, y, "");
    return is_signed(e->dtype) && !llvm_is_natural(b, e)
               ? build_signed_division(b, e->dtype, x, y, remainder)
               : build_unsigned_division(b, e->dtype, x, y, remainder);
}

static LLVMValueRef build_shift(KernelBuilder *b, DType dtype, LLVMOpcode opcode, LLVMValueRef x,
                                LLVMValueRef y)
{
    LLVMValueRef last = const_like(b, y, dtype, 8 * dtype_info[dtype].bytes - 1);
    return LLVMBuildBinOp(b->builder, opcode, x, LLVMBuildAnd(b->builder, y, last, ""), "");
}

/* The upper half of the product in twice the width. */
static LLVMValueRef build_high_product(KernelBuilder *b, DType dtype, LLVMValueRef x, LLVMValueRef y)
{
    LLVMBuilderRef builder = b->builder;
    unsigned bits = 8 * (unsigned)dtype_info[dtype].bytes;
    LLVMTypeRef wide = LLVMIntTypeInContext(b->context, 2 * bits);
    LLVMValueRef shift = llvm_build_splat(b, LLVMConstInt(wide, bits, false), llvm_lanes(x));
    LLVMOpcode extend = is_signed(dtype) ? LLVMSExt : LLVMZExt;
    LLVMValueRef product = LLVMBuildMul(builder, LLVMBuildCast(builder, extend, x, LLVMTypeOf(shift), ""),
                                        LLVMBuildCast(builder, extend, y, LLVMTypeOf(shift), ""), "");
    return LLVMBuildTrunc(builder, LLVMBuildLShr(builder, product, shift, ""), LLVMTypeOf(x), "");
}

/* llvm.cttz and llvm.abs take a flag: whether zero, or the lowest integer, is undefined. It is not. */
static LLVMValueRef build_flagged(KernelBuilder *b, const char *intrinsic, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef operand[] = {x, LLVMConstNull(LLVMInt1TypeInContext(b->context))};
    return llvm_build_intrinsic(b, intrinsic, &type, 1, operand);
}

static LLVMValueRef build_own(KernelBuilder *b, const Expr *e, DType dtype, LLVMValueRef *x)
{
    switch (e->op) {
    case SCALAR_DIV:
    case SCALAR_MOD:
        return build_division(b, e, x[0], x[1]);
    case SCALAR_NEG:
        return dtype_is_float(dtype) ? LLVMBuildFNeg(b->builder, x[0], "")
                                     : LLVMBuildNeg(b->builder, x[0], "");
    case SCALAR_SHR:
        return build_shift(b, dtype, is_signed(dtype) ? LLVMAShr : LLVMLShr, x[0], x[1]);
    case SCALAR_MULHI:
        return build_high_product(b, dtype, x[0], x[1]);
    case SCALAR_CTZ:
        return build_flagged(b, "llvm.cttz", x[0]);
    case SCALAR_SELECT:
        return LLVMBuildSelect(b->builder, x[0], x[1], x[2], "");
    default:
        assert(!"a row of scalar.def says OWN and has no builder");
        return NULL;
    }
}

/* fma in f32 where the CPU has none, without a call. The product is exact in f64; its sum with c is not, and the sum's
   error, by Knuth's two-sum, says on which side the true value lies. Cut towards zero and made odd if anything was cut,
   the f64 rounds to f32 as the true value does (Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded
   sums: proved algorithms using rounding to odd"). The error of a sum that is no number is none: it stays as it is. */
static LLVMValueRef build_emulated_fma(KernelBuilder *b, LLVMValueRef *x)
{
    LLVMBuilderRef builder = b->builder;
    int lanes = llvm_lanes(x[0]);
    LLVMTypeRef wide = llvm_value_type(b, DTYPE_F64, lanes), bits = llvm_value_type(b, DTYPE_I64, lanes);
    LLVMValueRef a[3];
    for (int i = 0; i < 3; i++)
        a[i] = LLVMBuildFPExt(builder, x[i], wide, "");
    LLVMValueRef product = LLVMBuildFMul(builder, a[0], a[1], ""), c = a[2];
    LLVMValueRef sum = LLVMBuildFAdd(builder, product, c, "");
    LLVMValueRef part = LLVMBuildFSub(builder, sum, product, "");
    LLVMValueRef rest = LLVMBuildFSub(builder, product, LLVMBuildFSub(builder, sum, part, ""), "");
    LLVMValueRef error = LLVMBuildFAdd(builder, rest, LLVMBuildFSub(builder, c, part, ""), "");

    LLVMValueRef pattern = LLVMBuildBitCast(builder, sum, bits, "");
    LLVMValueRef signs = LLVMBuildXor(builder, pattern, LLVMBuildBitCast(builder, error, bits, ""), "");
    LLVMValueRef beyond = LLVMBuildAShr(builder, signs, const_like(b, sum, DTYPE_I64, 63), ""); /* -1: cut */
    LLVMValueRef size = llvm_build_intrinsic(b, "llvm.fabs", &wide, 1, &error);
    LLVMValueRef inexact = LLVMBuildFCmp(builder, LLVMRealOGT, size, LLVMConstNull(wide), "");
    LLVMValueRef mask = LLVMBuildSExt(builder, inexact, bits, "");
    LLVMValueRef cut = LLVMBuildAdd(builder, pattern, LLVMBuildAnd(builder, beyond, mask, ""), "");
    LLVMValueRef odd = LLVMBuildOr(builder, cut, LLVMBuildZExt(builder, inexact, bits, ""), "");
    return LLVMBuildFPTrunc(builder, LLVMBuildBitCast(builder, odd, wide, ""), LLVMTypeOf(x[0]), "");
}

/* In f64, for the reference, exp, log and their like are libm's, whose names the table has. */
static LLVMValueRef build_library_call(KernelBuilder *b, const Expr *e, LLVMValueRef *x)
{
    const char *name = scalar_info[e->op].name;
    LLVMTypeRef real = LLVMDoubleTypeInContext(b->context), parameter[] = {real, real};
    LLVMTypeRef type = LLVMFunctionType(real, parameter, (unsigned)e->count, false);
    LLVMValueRef function = LLVMGetNamedFunction(b->module, name);
    if (!function)
        function = LLVMAddFunction(b->module, name, type);
    if (e->lanes == 1)
        return LLVMBuildCall2(b->builder, type, function, x, (unsigned)e->count, "");

    LLVMValueRef result = LLVMGetPoison(LLVMTypeOf(x[0]));
    for (int i = 0; i < e->lanes; i++) {
        LLVMValueRef lane = LLVMConstInt(LLVMInt32TypeInContext(b->context), (unsigned)i, false), y[2];
        for (int k = 0; k < e->count; k++)
            y[k] = LLVMBuildExtractElement(b->builder, x[k], lane, "");
        LLVMValueRef value = LLVMBuildCall2(b->builder, type, function, y, (unsigned)e->count, "");
        result = LLVMBuildInsertElement(b->builder, result, value, lane, "");
    }
    return result;
}

static LLVMValueRef build_apply(KernelBuilder *b, const Expr *e)
{
    const ScalarBuild *row = &scalar_build[e->op];
    DType dtype = e->op == SCALAR_SELECT ? e->arg[1]->dtype : e->arg[0]->dtype;
    bool real = dtype_is_float(dtype);
    LLVMValueRef x[3] = {NULL};
    for (int i = 0; i < e->count; i++)
        x[i] = llvm_build_expr(b, e->arg[i]);

    switch (row->way) {
    case WAY_INSTRUCTION:
        if (e->op == SCALAR_SHL)
            return build_shift(b, dtype, LLVMShl, x[0], x[1]);
        return LLVMBuildBinOp(b->builder, (LLVMOpcode)(real ? row->real : row->integer), x[0], x[1], "");
    case WAY_COMPARISON:
        if (real)
            return LLVMBuildFCmp(b->builder, (LLVMRealPredicate)row->real, x[0], x[1], "");
        return LLVMBuildICmp(b->builder,
                             (LLVMIntPredicate)(is_signed(dtype) ? row->integer : row->unsigned_integer),
                             x[0], x[1], "");
    case WAY_INTRINSIC: {
        LLVMTypeRef type = LLVMTypeOf(x[0]);
        if (e->op == SCALAR_FMA && dtype == DTYPE_F32 && !b->target->fma)
            return build_emulated_fma(b, x);
        return llvm_build_intrinsic(b, row->intrinsic, &type, 1, x);
    }
    case WAY_OWN:
        return build_own(b, e, dtype, x);
    case WAY_NONE:
        break;
    }
    assert(dtype == DTYPE_F64 && e->count <= 2);
    return build_library_call(b, e, x);
}

/* ---- conversions ---- */

static LLVMValueRef build_not_zero(KernelBuilder *b, LLVMValueRef x, DType from)
{
    LLVMValueRef zero = LLVMConstNull(LLVMTypeOf(x));
    return dtype_is_float(from) ? LLVMBuildFCmp(b->builder, LLVMRealUNE, x, zero, "")
                                : LLVMBuildICmp(b->builder, LLVMIntNE, x, zero, "");
}

static LLVMValueRef build_cast(KernelBuilder *b, const Expr *e)
{
    LLVMValueRef x = llvm_build_expr(b, e->arg[0]);
    DType from = e->arg[0]->dtype, to = e->dtype;
    LLVMTypeRef type = llvm_value_type(b, to, llvm_lanes(x));
    bool real = dtype_is_float(from);
    if (to == DTYPE_BOOL)
        return build_not_zero(b, x, from);
    if (dtype_is_float(to)) {
        if (real)
            return LLVMBuildFPCast(b->builder, x, type, "");
        return is_signed(from) ? LLVMBuildSIToFP(b->builder, x, type, "")
                               : LLVMBuildUIToFP(b->builder, x, type, "");
    }
    if (real)
        return is_signed(to) ? LLVMBuildFPToSI(b->builder, x, type, "")
                             : LLVMBuildFPToUI(b->builder, x, type, "");
    return LLVMBuildIntCast2(b->builder, x, type, is_signed(from), "");
}

/* ---- expressions ---- */

static LLVMValueRef build_constant(KernelBuilder *b, const Expr *e)
{
    LLVMTypeRef type = element_type(b->context, e->dtype);
    LLVMValueRef scalar =
        dtype_is_float(e->dtype) ? LLVMConstReal(type, e->real) : const_integer(type, e->dtype, e->integer);
    return llvm_build_splat(b, scalar, e->lanes);
}

static LLVMValueRef build_node(KernelBuilder *b, const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST:
        return build_constant(b, e);
    case EXPR_AXIS:
        return b->axis[e->index];
    case EXPR_ARGUMENT:
        return b->argument[e->index];
    case EXPR_TEMP:
        return b->temp[e->index];
    case EXPR_APPLY:
        return build_apply(b, e);
    case EXPR_CAST:
        return build_cast(b, e);
    case EXPR_BITCAST: {
        LLVMValueRef x = llvm_build_expr(b, e->arg[0]);
        return LLVMBuildBitCast(b->builder, x, llvm_value_type(b, e->dtype, llvm_lanes(x)), "");
    }
    case EXPR_LOAD:
        return llvm_build_load(b, e);
    case EXPR_LOCAL:
        return llvm_build_local(b, e);
    case EXPR_RAMP:
        return build_ramp(b, llvm_build_expr(b, e->arg[0]), e->integer, e->lanes);
    case EXPR_SPLAT:
        return llvm_build_splat(b, llvm_build_expr(b, e->arg[0]), e->lanes);
    case EXPR_REDUCE:
        break;
    }
    assert(!"a reduction reached a backend");
    return NULL;
}

LLVMValueRef llvm_build_expr(KernelBuilder *b, const Expr *e)
{
    make_room(b, e->id);
    if (b->built[e->id].value)
        return b->built[e->id].value;
    LLVMValueRef value = build_node(b, e);
    assert(value);
    remember(b, e, value);
    return value;
}
