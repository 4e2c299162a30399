#include "expr.h"
#include "scalar_expand.h"

#include <math.h>
#include <string.h>
#include <tgmath.h>

#define BOOLEAN_SAME false
#define BOOLEAN_BOOL true
const ScalarInfo scalar_info[SCALAR_COUNT] = {
#define SCALAR(kind, name, arity, result, c, llvm, value)                                                    \
    [SCALAR_##kind] = {name, c, arity, BOOLEAN_##result, NULL},
#define EXPAND(kind, name, arity, expand, value) [SCALAR_##kind] = {name, NULL, arity, false, expand},
#include "scalar.def"
#undef SCALAR
#undef EXPAND
};

__extension__ typedef __int128 Wide; /* holds any product of two i64 */

/* One function a type: the whole table, in that type's arithmetic. The condition of `select` is a bool. */
#define SELECTED(a, b, c) (x.i64 ? (b) : (c))
#define SCALAR(kind, name, arity, result, c, llvm, value)                                                    \
    case SCALAR_##kind:                                                                                      \
        return CELL_##result(value);
#define EXPAND(kind, name, arity, expand, value)                                                             \
    case SCALAR_##kind:                                                                                      \
        return CELL_SAME(value);
#define CELL_BOOL(value) ((Cell){.i64 = (value)})

#define VALUE_FUNCTION_BEGIN(name, field)                                                                    \
    static Cell name(ScalarOp op, Cell x, Cell y, Cell z)                                                    \
    {                                                                                                        \
        const W a = (T)x.field, b = (T)y.field, c = (T)z.field;                                              \
        switch (op) {
#define VALUE_FUNCTION_END                                                                                   \
    case SCALAR_COUNT:                                                                                       \
        break;                                                                                               \
        }                                                                                                    \
        (void)b, (void)c;                                                                                    \
        return (Cell){.i64 = 0};                                                                             \
        }

#define FLOATING
#define T float
#define W float
#define CELL_SAME(value) ((Cell){.f32 = (T)(value)})
#include "scalar_arithmetic.h"
VALUE_FUNCTION_BEGIN(value_f32, f32)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T
#undef W
#undef CELL_SAME

#define T double
#define W double
#define CELL_SAME(value) ((Cell){.f64 = (T)(value)})
#include "scalar_arithmetic.h"
VALUE_FUNCTION_BEGIN(value_f64, f64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T
#undef W
#undef CELL_SAME
#undef FLOATING

#define W Wide
#define CELL_SAME(value) ((Cell){.i64 = (T)(value)})
#define T int64_t
#include "scalar_arithmetic.h"
VALUE_FUNCTION_BEGIN(value_i64, i64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T

#define T uint32_t
VALUE_FUNCTION_BEGIN(value_u32, i64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T
#undef W

#define W int64_t
#define T int32_t
VALUE_FUNCTION_BEGIN(value_i32, i64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T

#define T uint8_t
VALUE_FUNCTION_BEGIN(value_u8, i64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T

#define T int8_t
VALUE_FUNCTION_BEGIN(value_i8, i64)
#include "scalar.def"
VALUE_FUNCTION_END
#undef T
#undef W
#undef SCALAR
#undef EXPAND

/* Bool shares u8's row: of the functions that it has, none leaves 0 and 1. */
Cell scalar_value(ScalarOp op, DType operands, Cell a, Cell b, Cell c)
{
    static Cell (*const value[DTYPE_COUNT])(ScalarOp, Cell, Cell, Cell) = {
        [DTYPE_BOOL] = value_u8, [DTYPE_I8] = value_i8,   [DTYPE_U8] = value_u8,   [DTYPE_I32] = value_i32,
        [DTYPE_U32] = value_u32, [DTYPE_I64] = value_i64, [DTYPE_F32] = value_f32, [DTYPE_F64] = value_f64,
    };
    return value[operands](op, a, b, c);
}

static int64_t integer_wrap(int64_t value, DType to)
{
    switch (to) {
    case DTYPE_BOOL:
        return value != 0;
    case DTYPE_I8:
        return (int8_t)value;
    case DTYPE_U8:
        return (uint8_t)value;
    case DTYPE_I32:
        return (int32_t)value;
    case DTYPE_U32:
        return (uint32_t)value;
    default:
        return value;
    }
}

/* The contract says that the argument is in range; what is not saturates here, and NaN gives 0. */
static int64_t integer_of_real(double value)
{
    if (!(value > -0x1p63))
        return value != value ? 0 : INT64_MIN;
    return value < 0x1p63 ? (int64_t)value : INT64_MAX;
}

Cell cell_convert(Cell a, DType from, DType to)
{
    bool real = dtype_is_float(from);
    double value = from == DTYPE_F32 ? (double)a.f32 : a.f64;
    if (to == DTYPE_F32)
        return (Cell){.f32 = real ? (float)value : (float)a.i64};
    if (to == DTYPE_F64)
        return (Cell){.f64 = real ? value : (double)a.i64};
    if (to == DTYPE_BOOL)
        return (Cell){.i64 = real ? value != 0 : a.i64 != 0};
    return (Cell){.i64 = integer_wrap(real ? integer_of_real(value) : a.i64, to)};
}

static uint64_t cell_pattern(Cell a, DType dtype)
{
    uint32_t single;
    uint64_t pattern;
    if (dtype == DTYPE_F32) {
        memcpy(&single, &a.f32, sizeof single);
        return single;
    }
    memcpy(&pattern, &a, sizeof pattern);
    return pattern;
}

Cell cell_bits(Cell a, DType from, DType to)
{
    uint64_t pattern = cell_pattern(a, from);
    uint32_t single = (uint32_t)pattern;
    Cell result = {.i64 = 0};
    if (to == DTYPE_F32)
        memcpy(&result.f32, &single, sizeof single);
    else if (to == DTYPE_F64)
        memcpy(&result.f64, &pattern, sizeof pattern);
    else
        result.i64 = integer_wrap((int64_t)pattern, to);
    return result;
}
