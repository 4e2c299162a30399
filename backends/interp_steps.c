#include "interp_code.h"

#include <math.h>
#include <string.h>
#include <tgmath.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* ---- scalar functions ------------------------------------------------------------------------------ */

__extension__ typedef __int128 Wide; /* holds any product of two i64 */

#define FLOATING
#define T float
#define W float
#define TYPE f32
#include "interp_scalar.h"
#undef T
#undef W
#undef TYPE
#define T double
#define W double
#define TYPE f64
#include "interp_scalar.h"
#undef T
#undef W
#undef TYPE
#undef FLOATING
#define W Wide
#define T int64_t
#define TYPE i64
#include "interp_scalar.h"
#undef T
#undef TYPE
#define T uint32_t
#define TYPE u32
#include "interp_scalar.h"
#undef T
#undef TYPE
#undef W
#define W int64_t
#define T int32_t
#define TYPE i32
#include "interp_scalar.h"
#undef T
#undef TYPE
#define T uint8_t
#define TYPE u8
#include "interp_scalar.h"
#undef T
#undef TYPE
#define T int8_t
#define TYPE i8
#include "interp_scalar.h"
#undef T
#undef TYPE
#undef W

/* The function that contractions are made of, by the CPU's own instruction where there is one: same bits. */
#ifdef __x86_64__
#define FMA_STEP(name, T, fma, ROW, load, fma_row, store)                                                    \
    __attribute__((target("avx2,fma"))) static const Step *name(const Step *step, Frame *frame)              \
    {                                                                                                        \
        typedef T __attribute__((may_alias)) Element;                                                        \
        const Element *a = (const Element *)(frame->memory + step->a);                                       \
        const Element *b = (const Element *)(frame->memory + step->b);                                       \
        const Element *c = (const Element *)(frame->memory + step->c);                                       \
        Element *to = (Element *)(frame->memory + step->to);                                                 \
        int i = 0;                                                                                           \
        for (; i + ROW <= step->lanes; i += ROW)                                                             \
            store((T *)to + i,                                                                               \
                  fma_row(load((const T *)a + i), load((const T *)b + i), load((const T *)c + i)));          \
        for (; i < step->lanes; i++)                                                                         \
            to[i] = fma(a[i], b[i], c[i]);                                                                   \
        return step + 1;                                                                                     \
    }
FMA_STEP(step_fma_f32, float, __builtin_fmaf, 8, _mm256_loadu_ps, _mm256_fmadd_ps, _mm256_storeu_ps)
FMA_STEP(step_fma_f64, double, __builtin_fma, 4, _mm256_loadu_pd, _mm256_fmadd_pd, _mm256_storeu_pd)
#undef FMA_STEP

static Run *step_fma(DType dtype)
{
    if (!__builtin_cpu_supports("fma") || !__builtin_cpu_supports("avx2"))
        return NULL;
    return dtype == DTYPE_F32 ? step_fma_f32 : dtype == DTYPE_F64 ? step_fma_f64 : NULL;
}
#else
static Run *step_fma(DType dtype) { return (void)dtype, NULL; }
#endif

/* Bool shares u8's row: of the functions that it has, none leaves 0 and 1. */
Run *step_scalar(ScalarOp op, DType operands)
{
    static Run *const *const table[DTYPE_COUNT] = {
        [DTYPE_BOOL] = step_u8_table, [DTYPE_I8] = step_i8_table,   [DTYPE_U8] = step_u8_table,
        [DTYPE_I32] = step_i32_table, [DTYPE_U32] = step_u32_table, [DTYPE_I64] = step_i64_table,
        [DTYPE_F32] = step_f32_table, [DTYPE_F64] = step_f64_table,
    };
    Run *fma = op == SCALAR_FMA ? step_fma(operands) : NULL;
    return fma ? fma : table[operands][op];
}

/* ---- conversions ----------------------------------------------------------------------------------- */

/* As cell_convert() does it: what is out of range by contract saturates. */
static int64_t integer_of(double value)
{
    if (!(value > -0x1p63))
        return value != value ? 0 : INT64_MIN;
    return value < 0x1p63 ? (int64_t)value : INT64_MAX;
}

#define AS_IS(x) (x)
#define NOT_ZERO(x) ((x) != 0)
#define CAST_STEP(from, From, to_name, To, convert)                                                          \
    static const Step *cast_##from##_##to_name(const Step *step, Frame *frame)                               \
    {                                                                                                        \
        typedef From __attribute__((may_alias)) Source;                                                      \
        typedef To __attribute__((may_alias)) Target;                                                        \
        const Source *a = (const Source *)(frame->memory + step->a);                                         \
        Target *to = (Target *)(frame->memory + step->to);                                                   \
        for (int i = 0; i < step->lanes; i++)                                                                \
            to[i] = (Target)convert(a[i]);                                                                   \
        return step + 1;                                                                                     \
    }
#define CAST_STEPS(from, From, integer)                                                                      \
    CAST_STEP(from, From, bool, uint8_t, NOT_ZERO)                                                           \
    CAST_STEP(from, From, i8, int8_t, integer)                                                               \
    CAST_STEP(from, From, u8, uint8_t, integer)                                                              \
    CAST_STEP(from, From, i32, int32_t, integer)                                                             \
    CAST_STEP(from, From, u32, uint32_t, integer)                                                            \
    CAST_STEP(from, From, i64, int64_t, integer)                                                             \
    CAST_STEP(from, From, f32, float, AS_IS)                                                                 \
    CAST_STEP(from, From, f64, double, AS_IS)                                                                \
    static Run *const cast_##from##_table[DTYPE_COUNT] = {                                                   \
        [DTYPE_BOOL] = cast_##from##_bool, [DTYPE_I8] = cast_##from##_i8,   [DTYPE_U8] = cast_##from##_u8,   \
        [DTYPE_I32] = cast_##from##_i32,   [DTYPE_U32] = cast_##from##_u32, [DTYPE_I64] = cast_##from##_i64, \
        [DTYPE_F32] = cast_##from##_f32,   [DTYPE_F64] = cast_##from##_f64,                                  \
    };
CAST_STEPS(i8, int8_t, AS_IS)
CAST_STEPS(u8, uint8_t, AS_IS)
CAST_STEPS(i32, int32_t, AS_IS)
CAST_STEPS(u32, uint32_t, AS_IS)
CAST_STEPS(i64, int64_t, AS_IS)
CAST_STEPS(f32, float, integer_of)
CAST_STEPS(f64, double, integer_of)

Run *step_cast(DType from, DType to)
{
    static Run *const *const table[DTYPE_COUNT] = {
        [DTYPE_BOOL] = cast_u8_table, [DTYPE_I8] = cast_i8_table,   [DTYPE_U8] = cast_u8_table,
        [DTYPE_I32] = cast_i32_table, [DTYPE_U32] = cast_u32_table, [DTYPE_I64] = cast_i64_table,
        [DTYPE_F32] = cast_f32_table, [DTYPE_F64] = cast_f64_table,
    };
    return table[from][to];
}

/* ---- memory ---------------------------------------------------------------------------------------- */

typedef int64_t __attribute__((may_alias)) Index;

static const Index *indices(const Step *step, const Frame *frame)
{
    return (const Index *)(frame->memory + step->a);
}

static void check_element(const Step *step, const Frame *frame, int64_t element)
{
    if ((uint64_t)element < (uint64_t)frame->count[step->index])
        return;
    int buffers = frame->code->kernel->buffer.count;
    bool local = step->index >= buffers;
    interp_fault(frame, step, "element %lld of %c%d, which has %lld", (long long)element, local ? 'l' : 'x',
                 local ? step->index - buffers : step->index, (long long)frame->count[step->index]);
}

/* The first and the last element of a row; the others lie between. */
static int64_t check_row(const Step *step, const Frame *frame)
{
    int64_t first = indices(step, frame)[0], last, span = 0;
    if (__builtin_mul_overflow(step->number, (int64_t)(step->lanes - 1), &span) ||
        __builtin_add_overflow(first, span, &last))
        last = -1;
    check_element(step, frame, first);
    check_element(step, frame, last);
    return first;
}

#define EACH_LANE for (int i = 0; i < step->lanes; i++)
#define MEMORY_STEPS(T)                                                                                      \
    static const Step *load_any_##T(const Step *step, Frame *frame)                                          \
    {                                                                                                        \
        const T *from = frame->buffer[step->index];                                                          \
        T *to = (T *)(frame->memory + step->to);                                                             \
        const Index *at = indices(step, frame);                                                              \
        EACH_LANE                                                                                            \
        {                                                                                                    \
            check_element(step, frame, at[i]);                                                               \
            to[i] = from[at[i]];                                                                             \
        }                                                                                                    \
        return step + 1;                                                                                     \
    }                                                                                                        \
    static const Step *load_row_##T(const Step *step, Frame *frame)                                          \
    {                                                                                                        \
        const T *from = (const T *)frame->buffer[step->index] + check_row(step, frame);                      \
        T *to = (T *)(frame->memory + step->to);                                                             \
        if (step->number == 1)                                                                               \
            memcpy(to, from, (size_t)step->lanes * sizeof *to);                                              \
        else                                                                                                 \
            EACH_LANE to[i] = from[i * step->number];                                                        \
        return step + 1;                                                                                     \
    }                                                                                                        \
    static const Step *load_any_where_##T(const Step *step, Frame *frame)                                    \
    {                                                                                                        \
        const T *from = frame->buffer[step->index], *otherwise = (const T *)(frame->memory + step->c);       \
        const uint8_t *where = (const uint8_t *)(frame->memory + step->b);                                   \
        T *to = (T *)(frame->memory + step->to);                                                             \
        const Index *at = indices(step, frame);                                                              \
        EACH_LANE                                                                                            \
        {                                                                                                    \
            if (where[i])                                                                                    \
                check_element(step, frame, at[i]);                                                           \
            to[i] = where[i] ? from[at[i]] : otherwise[i];                                                   \
        }                                                                                                    \
        return step + 1;                                                                                     \
    }                                                                                                        \
    static const Step *load_row_where_##T(const Step *step, Frame *frame)                                    \
    {                                                                                                        \
        const T *from = frame->buffer[step->index], *otherwise = (const T *)(frame->memory + step->c);       \
        const uint8_t *where = (const uint8_t *)(frame->memory + step->b);                                   \
        T *to = (T *)(frame->memory + step->to);                                                             \
        int64_t first = indices(step, frame)[0];                                                             \
        EACH_LANE                                                                                            \
        {                                                                                                    \
            int64_t at = (int64_t)((uint64_t)first + (uint64_t)step->number * (uint64_t)i);                  \
            if (where[i])                                                                                    \
                check_element(step, frame, at);                                                              \
            to[i] = where[i] ? from[at] : otherwise[i];                                                      \
        }                                                                                                    \
        return step + 1;                                                                                     \
    }                                                                                                        \
    static const Step *store_any_##T(const Step *step, Frame *frame)                                         \
    {                                                                                                        \
        T *to = frame->buffer[step->index];                                                                  \
        const T *value = (const T *)(frame->memory + step->b);                                               \
        const Index *at = indices(step, frame);                                                              \
        EACH_LANE                                                                                            \
        {                                                                                                    \
            check_element(step, frame, at[i]);                                                               \
            to[at[i]] = value[i];                                                                            \
        }                                                                                                    \
        return step + 1;                                                                                     \
    }                                                                                                        \
    static const Step *store_row_##T(const Step *step, Frame *frame)                                         \
    {                                                                                                        \
        T *to = (T *)frame->buffer[step->index] + check_row(step, frame);                                    \
        const T *value = (const T *)(frame->memory + step->b);                                               \
        if (step->number == 1)                                                                               \
            memmove(to, value, (size_t)step->lanes * sizeof *to);                                            \
        else                                                                                                 \
            EACH_LANE to[i * step->number] = value[i];                                                       \
        return step + 1;                                                                                     \
    }

typedef uint8_t Bytes1;
typedef uint32_t __attribute__((may_alias)) Bytes4;
typedef uint64_t __attribute__((may_alias)) Bytes8;
MEMORY_STEPS(Bytes1)
MEMORY_STEPS(Bytes4)
MEMORY_STEPS(Bytes8)

#define BY_SIZE(name, bytes) ((bytes) == 1 ? name##_Bytes1 : (bytes) == 4 ? name##_Bytes4 : name##_Bytes8)

Run *step_load(Access access, int bytes)
{
    switch (access) {
    case ACCESS_ROW:
        return BY_SIZE(load_row, bytes);
    case ACCESS_ANY_WHERE:
        return BY_SIZE(load_any_where, bytes);
    case ACCESS_ROW_WHERE:
        return BY_SIZE(load_row_where, bytes);
    default:
        return BY_SIZE(load_any, bytes);
    }
}

Run *step_store(Access access, int bytes)
{
    return access == ACCESS_ROW ? BY_SIZE(store_row, bytes) : BY_SIZE(store_any, bytes);
}

/* Locals of vectors: element a is `number` bytes. */
const Step *step_load_vector(const Step *step, Frame *frame)
{
    int64_t at = indices(step, frame)[0];
    check_element(step, frame, at);
    memcpy(frame->memory + step->to, (const char *)frame->buffer[step->index] + at * step->number,
           (size_t)step->number);
    return step + 1;
}

const Step *step_store_vector(const Step *step, Frame *frame)
{
    int64_t at = indices(step, frame)[0];
    check_element(step, frame, at);
    memmove((char *)frame->buffer[step->index] + at * step->number, frame->memory + step->b,
            (size_t)step->number);
    return step + 1;
}

/* ---- which elements of locals were set ------------------------------------------------------------- */

static int64_t element_of(const Step *step, const Frame *frame, bool row, int lane)
{
    const Index *at = indices(step, frame);
    return row ? at[0] + lane * step->number : at[lane];
}

/* After the store, which has checked the places. */
static const Step *mark(const Step *step, Frame *frame, bool row)
{
    EACH_LANE frame->memory[step->to + element_of(step, frame, row, i)] = 1;
    return step + 1;
}

static const Step *check(const Step *step, Frame *frame, bool row)
{
    EACH_LANE
    {
        int64_t element = element_of(step, frame, row, i);
        check_element(step, frame, element);
        if (!frame->memory[step->to + element])
            interp_fault(frame, step, "element %lld of l%d, which was not set", (long long)element,
                         step->index - frame->code->kernel->buffer.count);
    }
    return step + 1;
}

const Step *step_mark_any(const Step *step, Frame *frame) { return mark(step, frame, false); }
const Step *step_mark_row(const Step *step, Frame *frame) { return mark(step, frame, true); }
const Step *step_check_any(const Step *step, Frame *frame) { return check(step, frame, false); }
const Step *step_check_row(const Step *step, Frame *frame) { return check(step, frame, true); }

/* ---- the rest -------------------------------------------------------------------------------------- */

const Step *step_copy(const Step *step, Frame *frame)
{
    memmove(frame->memory + step->to, frame->memory + step->a, (size_t)step->number);
    return step + 1;
}

#define SPLAT_STEP(T)                                                                                        \
    static const Step *splat_##T(const Step *step, Frame *frame)                                             \
    {                                                                                                        \
        T value = *(const T *)(frame->memory + step->a), *to = (T *)(frame->memory + step->to);              \
        EACH_LANE to[i] = value;                                                                             \
        return step + 1;                                                                                     \
    }
SPLAT_STEP(Bytes1)
SPLAT_STEP(Bytes4)
SPLAT_STEP(Bytes8)

Run *step_splat(int bytes) { return BY_SIZE(splat, bytes); }

const Step *step_ramp(const Step *step, Frame *frame)
{
    Index *to = (Index *)(frame->memory + step->to);
    uint64_t first = (uint64_t)indices(step, frame)[0];
    EACH_LANE to[i] = (int64_t)(first + (uint64_t)step->number * (uint64_t)i);
    return step + 1;
}

const Step *step_jump_unless(const Step *step, Frame *frame)
{
    return frame->memory[step->a] ? step + 1 : step + step->index;
}

const Step *step_loop_begin(const Step *step, Frame *frame)
{
    *(Index *)(frame->memory + step->to) = 0;
    return indices(step, frame)[0] > 0 ? step + 1 : step + step->index;
}

const Step *step_loop_next(const Step *step, Frame *frame)
{
    Index *axis = (Index *)(frame->memory + step->to);
    return ++*axis < indices(step, frame)[0] ? step + step->index : step + 1;
}
