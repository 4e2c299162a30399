#include "c_words.h"

#include <assert.h>
#include <string.h>

/* NAME(%s, %s …) */
static const char *call(CVectors *v, const char *name, int operands)
{
    static const char *const list[] = {"", "%s", "%s, %s", "%s, %s, %s", "%s, %s, %s, %s"};
    return arena_printf(c_vectors_arena(v), "%s(%s)", name, list[operands]);
}

static int vector_bytes(DType dtype, int lanes)
{
    return lanes * (dtype == DTYPE_BOOL ? 4 : dtype_info[dtype].bytes);
}

/* ---- halves of what is wider than the instructions --------------------------------------------------- */

static void use_halves(CVectors *v, DType dtype, int lanes)
{
    CMade made = {.dtype = dtype, .lanes = lanes};
    c_vector_function(v, "low_$V",
                      "INLINE $H low_$V($V a)\n{\n"
                      "    return __builtin_shufflevector(a, a, $O);\n}\n",
                      made);
    c_vector_function(v, "high_$V",
                      "INLINE $H high_$V($V a)\n{\n"
                      "    return __builtin_shufflevector(a, a, $K);\n}\n",
                      made);
    c_vector_function(v, "join_$V",
                      "INLINE $V join_$V($H a, $H b)\n{\n"
                      "    return __builtin_shufflevector(a, b, $N);\n}\n",
                      made);
}

/* ---- functions that an instruction does --------------------------------------------------------------- */

/* A function whose intrinsic is _mm_STEM_ps and the like on x86, vSTEMq_f32 and the like on ARM. */
typedef struct Native {
    ScalarOp op;
    const char *stem;
    const char *condition[3]; /* of the 128, 256 and 512 bits wide one */
    const char *neon, *neon_operands;
} Native;

static const Native natives[] = {
    {SCALAR_FMA, "fmadd", {"__FMA__", "__FMA__", "__AVX512F__"}, "fma", "cab"},
    {SCALAR_SQRT, "sqrt", {"__SSE2__", "__AVX__", "__AVX512F__"}, "sqrt", "a"},
    {SCALAR_FLOOR, "floor", {"__SSE4_1__", "__AVX__", "__AVX512F__"}, "rndm", "a"},
};

/* The lines before the #else: by the instruction of 128 << width bits. */
static void print_native(Text *body, const Native *native, DType dtype, int width)
{
    static const char *const prefix[] = {"_mm", "_mm256", "_mm512"};
    bool single = dtype == DTYPE_F32;
    text_printf(body, "#ifdef %s\n    return ($V)%s_%s_%s(", native->condition[width], prefix[width],
                native->stem, single ? "ps" : "pd");
    for (int i = 0; i < scalar_info[native->op].arity; i++)
        text_printf(body, "%s(__m%d%s)%c", i ? ", " : "", 128 << width, single ? "" : "d", "abc"[i]);
    text_add(body, ");\n");
    if (width > 0)
        return;
    text_printf(body, "#elif defined __aarch64__\n    return ($V)v%sq_%s(", native->neon,
                single ? "f32" : "f64");
    for (const char *operand = native->neon_operands; *operand; operand++)
        text_printf(body, "%s(%s)%c", operand > native->neon_operands ? ", " : "",
                    single ? "float32x4_t" : "float64x2_t", *operand);
    text_add(body, ");\n");
}

static const char *native_function(CVectors *v, const Native *native, const char *scalar, DType dtype,
                                   int lanes)
{
    static const char *const parameter[] = {"", "$V a", "$V a, $V b", "$V a, $V b, $V c"};
    int arity = scalar_info[native->op].arity, bytes = vector_bytes(dtype, lanes);
    int width = bytes == 16 ? 0 : bytes == 32 ? 1 : bytes == 64 ? 2 : -1;
    const char *name = scalar_info[native->op].name;
    Arena *arena = c_vectors_arena(v);
    Text body = {0};
    text_printf(&body, "INLINE $V %s_$V(%s)\n{\n", name, parameter[arity]);
    if (width >= 0) {
        print_native(&body, native, dtype, width);
        text_add(&body, "#else\n");
    }
    if (bytes > 32) {
        use_halves(v, dtype, lanes);
        const char *half = native_function(v, native, scalar, dtype, lanes / 2);
        half = arena_printf(arena, "%.*s", (int)strcspn(half, "("), half);
        text_add(&body, "    return join_$V(");
        for (int part = 0; part < 2; part++) {
            text_printf(&body, "%s%s(", part ? ", " : "", half);
            for (int i = 0; i < arity; i++)
                text_printf(&body, "%s%s_$V(%c)", i ? ", " : "", part ? "high" : "low", "abc"[i]);
            text_add(&body, ")");
        }
        text_add(&body, ");\n");
    } else {
        text_add(&body,
                 "    $V y = {0};\n    for (int i = 0; i < $L; i++)\n        y[i] = $E;\n    return y;\n");
    }
    text_add(&body, width >= 0 ? "#endif\n}\n" : "}\n");
    CMade made = {.dtype = dtype, .lanes = lanes, .scalar = scalar};
    const char *made_name =
        c_vector_function(v, arena_printf(arena, "%s_$V", name), text_string(&body), made);
    text_free(&body);
    return call(v, made_name, arity);
}

/* ---- scalar functions --------------------------------------------------------------------------------- */

/* Integers that C has no word for, or whose word could trap: x / 0 and x % 0 are 0, the lowest / -1 wraps. */
static const char *integer_function(CVectors *v, ScalarOp op, DType dtype)
{
    CMade made = {.dtype = dtype};
    bool is_signed = dtype_info[dtype].class == CLASS_SIGNED;
    switch (op) {
    case SCALAR_MULHI:
        return call(v,
                    c_vector_function(v, "mulhi_$D",
                                      "INLINE $T mulhi_$D($T a, $T b)\n{\n"
                                      "    return ($T)((($W)a * b) >> $Z);\n}\n",
                                      made),
                    2);
    case SCALAR_CTZ:
        return call(
            v,
            c_vector_function(v, "ctz_$D",
                              "INLINE $T ctz_$D($T a)\n{\n"
                              "    return ($T)(a ? __builtin_ctzll((unsigned long long)a) : $Z);\n}\n",
                              made),
            1);
    case SCALAR_ABS:
        return call(v,
                    c_vector_function(v, "abs_$D",
                                      "INLINE $T abs_$D($T a)\n{\n    return ($T)(a < 0 ? -a : a);\n}\n",
                                      made),
                    1);
    case SCALAR_DIV:
        return call(v,
                    c_vector_function(v, "div_$D",
                                      is_signed
                                          ? "INLINE $T div_$D($T a, $T b)\n{\n"
                                            "    return ($T)(b == 0 ? 0 : b == -1 ? -a : a / b);\n}\n"
                                          : "INLINE $T div_$D($T a, $T b)\n{\n    return b ? a / b : 0;\n}\n",
                                      made),
                    2);
    default:
        return call(v,
                    c_vector_function(v, "mod_$D",
                                      is_signed
                                          ? "INLINE $T mod_$D($T a, $T b)\n{\n"
                                            "    return ($T)(b == 0 || b == -1 ? 0 : a % b);\n}\n"
                                          : "INLINE $T mod_$D($T a, $T b)\n{\n    return b ? a % b : 0;\n}\n",
                                      made),
                    2);
    }
}

/* The second operand as a constant, where it is one in all lanes. */
static bool constant_operand(const Expr *apply, int64_t *value)
{
    const Expr *b = apply->arg[1]->kind == EXPR_SPLAT ? apply->arg[1]->arg[0] : apply->arg[1];
    return expr_is_int(b, value);
}

static const char *shift_function(CVectors *v, Clike *w, const Expr *e)
{
    int64_t count, bits = 8 * dtype_info[e->dtype].bytes;
    if (constant_operand(e, &count) && count >= 0 && count < bits)
        return clike_function(w, e->op);
    return arena_printf(c_vectors_arena(v), "(%%s %s (%%s & %d))", e->op == SCALAR_SHL ? "<<" : ">>",
                        (int)bits - 1);
}

/* A function of scalars; `dtype` the operands'. */
static const char *scalar_function(CVectors *v, Clike *w, const Expr *e, DType dtype)
{
    bool real = dtype_is_float(dtype);
    int64_t divisor;
    switch (e->op) {
    case SCALAR_FMA:
        return real ? clike_function(w, e->op) : "(%s * %s + %s)";
    case SCALAR_FLOOR:
        return real ? clike_function(w, e->op) : "%s";
    case SCALAR_ABS:
        return real ? clike_function(w, e->op) : integer_function(v, e->op, dtype);
    case SCALAR_MULHI:
    case SCALAR_CTZ:
        return integer_function(v, e->op, dtype);
    case SCALAR_DIV:
    case SCALAR_MOD:
        if (real)
            return e->op == SCALAR_DIV ? clike_function(w, e->op) : "fmod%F(%s, %s)";
        if (e->lanes == 1 && constant_operand(e, &divisor) && divisor != 0 && divisor != -1)
            return clike_function(w, e->op);
        return integer_function(v, e->op, dtype);
    case SCALAR_SHL:
    case SCALAR_SHR:
        return shift_function(v, w, e);
    default:
        return clike_function(w, e->op);
    }
}

/* C computes with bytes in int. */
static const char *narrowed(CVectors *v, const char *format, DType dtype)
{
    bool narrow = dtype != DTYPE_BOOL && dtype_info[dtype].bytes == 1;
    return narrow ? arena_printf(c_vectors_arena(v), "(%s)%s", dtype_info[dtype].ctype, format) : format;
}

/* ---- functions of vectors ----------------------------------------------------------------------------- */

static const char *each_lane(CVectors *v, const char *scalar, ScalarOp op, CMade made)
{
    static const char *const parameter[] = {"", "$V a", "$V a, $V b", "$V a, $V b, $V c"};
    Arena *arena = c_vectors_arena(v);
    int arity = scalar_info[op].arity;
    made.scalar = scalar;
    const char *name = arena_printf(arena, "%s_$V", scalar_info[op].name);
    const char *body = arena_printf(arena,
                                    "INLINE $V %s(%s)\n{\n    $V y = {0};\n    for (int i = 0; i < $L; i++)\n"
                                    "        y[i] = $E;\n    return y;\n}\n",
                                    name, parameter[arity]);
    return call(v, c_vector_function(v, name, body, made), arity);
}

static const char *vector_comparison(CVectors *v, Clike *w, const Expr *e, DType dtype)
{
    if (dtype == DTYPE_BOOL && e->op == SCALAR_LT)
        return "(~%s & %s)";
    if (dtype == DTYPE_BOOL && e->op == SCALAR_LE)
        return "(~%s | %s)";
    const char *row = clike_function(w, e->op);
    if (dtype == DTYPE_BOOL || dtype_info[dtype].bytes == 4)
        return row;
    const char *type = c_vector_type(v, DTYPE_BOOL, e->lanes);
    return arena_printf(c_vectors_arena(v), "convert(%.*s, %s)", (int)strlen(row) - 2, row + 1, type);
}

static const char *select_function(CVectors *v, CMade made)
{
    const char *body = "INLINE $V select_$V($B where, $V yes, $V no)\n{\n"
                       "    const $I mask = convert(where, $I);\n"
                       "    return ($V)((mask & ($I)yes) | (~mask & ($I)no));\n}\n";
    return call(v, c_vector_function(v, "select_$V", body, made), 3);
}

static const char *vector_function(CVectors *v, Clike *w, const Expr *e, DType dtype)
{
    bool real = dtype_is_float(dtype);
    const char *scalar = narrowed(v, scalar_function(v, w, e, dtype), dtype);
    CMade made = {.dtype = dtype, .lanes = e->lanes};
    if (scalar_info[e->op].boolean)
        return vector_comparison(v, w, e, dtype);
    for (size_t i = 0; real && i < sizeof natives / sizeof *natives; i++)
        if (natives[i].op == e->op)
            return native_function(v, &natives[i], scalar, dtype, e->lanes);
    switch (e->op) {
    case SCALAR_SELECT:
        return select_function(v, made);
    case SCALAR_ABS:
        if (!real)
            return each_lane(v, scalar, e->op, made);
        return call(v,
                    c_vector_function(v, "abs_$V",
                                      "INLINE $V abs_$V($V a)\n{\n    return ($V)(($I)a & $M);\n}\n", made),
                    1);
    case SCALAR_MULHI:
        if (dtype_info[dtype].bytes != 4)
            return each_lane(v, scalar, e->op, made);
        return call(v,
                    c_vector_function(v, "mulhi_$V",
                                      "INLINE $V mulhi_$V($V a, $V b)\n{\n"
                                      "    return convert(convert(a, $X) * convert(b, $X) >> 32, $V);\n}\n",
                                      made),
                    2);
    case SCALAR_DIV:
    case SCALAR_MOD:
        return real && e->op == SCALAR_DIV ? scalar : each_lane(v, scalar, e->op, made);
    case SCALAR_CTZ:
        return each_lane(v, scalar, e->op, made);
    case SCALAR_SHL:
    case SCALAR_SHR:
        return shift_function(v, w, e);
    case SCALAR_FMA:
        return "(%s * %s + %s)";
    default:
        return scalar_info[e->op].expand ? each_lane(v, scalar, e->op, made) : clike_function(w, e->op);
    }
}

const char *c_function(CVectors *v, Clike *w, const Expr *apply)
{
    DType dtype = apply->arg[apply->op == SCALAR_SELECT ? 1 : 0]->dtype;
    if (apply->lanes > 1)
        return vector_function(v, w, apply, dtype);
    const char *format = scalar_function(v, w, apply, dtype);
    return scalar_info[apply->op].boolean ? format : narrowed(v, format, dtype);
}

/* ---- conversions -------------------------------------------------------------------------------------- */

const char *c_cast(CVectors *v, DType from, DType to, int lanes)
{
    Arena *arena = c_vectors_arena(v);
    if (lanes == 1)
        return to == DTYPE_BOOL ? "(%s != 0)" : arena_printf(arena, "(%s)%%s", dtype_info[to].ctype);
    const char *type = c_vector_type(v, to, lanes);
    const char *zero = from == DTYPE_F32 ? "0.0f" : from == DTYPE_F64 ? "0.0" : "0";
    if (to == DTYPE_BOOL)
        return arena_printf(arena, "convert(%%s != %s, %s)", zero, type);
    return arena_printf(arena, from == DTYPE_BOOL ? "convert(%%s & 1, %s)" : "convert(%%s, %s)", type);
}

const char *c_bits(CVectors *v, DType from, DType to, int lanes)
{
    Arena *arena = c_vectors_arena(v);
    if (lanes > 1)
        return arena_printf(arena, "(%s)%%s", c_vector_type(v, to, lanes));
    const char *name = arena_printf(arena, "%s_bits_to_$D", dtype_info[from].name);
    const char *body = arena_printf(arena,
                                    "INLINE $T %s($Q a)\n{\n    union {\n        $Q from;\n        $T to;\n"
                                    "    } bits = {a};\n    return bits.to;\n}\n",
                                    name);
    return call(v, c_vector_function(v, name, body, (CMade){.dtype = to, .from = from}), 1);
}

/* ---- memory ------------------------------------------------------------------------------------------- */

#define EACH_LANE(statement) "    for (int i = 0; i < $L; i++)\n        " statement "\n"

static const char *load_where(CVectors *v, DType dtype, int lanes)
{
    CMade made = {.dtype = dtype, .lanes = lanes};
    bool words = dtype != DTYPE_BOOL && dtype_info[dtype].bytes == 4;
    const char *one_by_one =
        "    $V y = {0};\n" EACH_LANE("y[i] = where[i] ? base[at + i]$G : otherwise[i];") "    return y;\n";
    const char *native = "", *rest = one_by_one, *end = "";
    if (words && (lanes == 4 || lanes == 8)) {
        select_function(v, made);
        native = lanes == 4 ? "#ifdef __AVX2__\n    const $V y = ($V)_mm_maskload_epi32((const int *)base + "
                              "at, (__m128i)where);\n"
                              "    return select_$V(where, y, otherwise);\n#else\n"
                            : "#ifdef __AVX2__\n    const $V y = ($V)_mm256_maskload_epi32((const int *)base "
                              "+ at, (__m256i)where);\n"
                              "    return select_$V(where, y, otherwise);\n#else\n";
        end = "#endif\n";
    } else if (words && lanes > 8) {
        load_where(v, dtype, lanes / 2);
        use_halves(v, dtype, lanes);
        use_halves(v, DTYPE_BOOL, lanes);
        rest = "    return join_$V(load_where_$H(base, at, low_$B(where), low_$V(otherwise)),\n"
               "        load_where_$H(base, at + $L / 2, high_$B(where), high_$V(otherwise)));\n";
        if (lanes == 16) {
            native = "#ifdef __AVX512F__\n"
                     "    const __mmask16 mask = _mm512_cmplt_epi32_mask((__m512i)where, "
                     "_mm512_setzero_si512());\n"
                     "    return ($V)_mm512_mask_loadu_epi32((__m512i)otherwise, mask, base + at);\n#else\n";
            end = "#endif\n";
        }
    }
    const char *body = arena_printf(
        c_vectors_arena(v),
        "INLINE $V load_where_$V(const $T *base, int64_t at, $B where, $V otherwise)\n{\n%s%s%s}\n", native,
        rest, end);
    return call(v, c_vector_function(v, "load_where_$V", body, made), 4);
}

typedef struct VectorText {
    int operands;
    const char *name, *body, *lane;
} VectorText;

static const VectorText vector_text[] = {
    [VECTOR_SPLAT] = {1, "splat_$V", "INLINE $V splat_$V($S a)\n{\n    return ($V){$A};\n}\n", NULL},
    [VECTOR_RAMP] =
        {2, "ramp_x$L",
         "INLINE $X ramp_x$L(int64_t first, int64_t stride)\n{\n    return first + stride * ($X){$N};\n}\n",
         NULL},
    [VECTOR_OFFSETS] = {1, "offsets_x$L",
                        "INLINE $J offsets_x$L(int32_t stride)\n{\n    return stride * ($J){$N};\n}\n", NULL},
    [VECTOR_BOUND] =
        {1, "bound_x$L",
         "INLINE $J bound_x$L(int64_t bound)\n{\n    const int32_t a =\n"
         "        bound < INT32_MIN ? INT32_MIN : bound > INT32_MAX ? INT32_MAX : (int32_t)bound;\n"
         "    return ($J){$A};\n}\n",
         NULL},
    [VECTOR_LOAD] = {1, "load_$V", "INLINE $V load_$V(const $T *at)\n{\n    return *(const $U *)at;\n}\n",
                     NULL},
    [VECTOR_LOAD_EVERY] =
        {2, "load_every_$V",
         "INLINE $V load_every_$V(const $T *at, int64_t stride)\n{\n    return ($V){$C};\n}\n",
         "at[@ * stride]"},
    [VECTOR_GATHER] = {2, "gather_$V",
                       "INLINE $V gather_$V(const $T *base, $X at)\n{\n    return ($V){$C};\n}\n",
                       "base[at[@]]"},
    [VECTOR_GATHER_WHERE] = {4, "gather_where_$V",
                             "INLINE $V gather_where_$V(const $T *base, $X at, $B where, $V otherwise)\n{\n"
                             "    return ($V){$C};\n}\n",
                             "where[@] ? base[at[@]] : otherwise[@]"},
    [VECTOR_STORE] = {2, "store_$V", "INLINE void store_$V($T *at, $V value)\n{\n    *($U *)at = value;\n}\n",
                      NULL},
    [VECTOR_STORE_EVERY] = {3, "store_every_$V",
                            "INLINE void store_every_$V($T *at, int64_t stride, $V value)\n{\n" EACH_LANE(
                                "at[i * stride] = ($T)(value[i]$P);") "}\n",
                            NULL},
    [VECTOR_SCATTER] = {3, "scatter_$V",
                        "INLINE void scatter_$V($T *base, $X at, $V value)\n{\n" EACH_LANE(
                            "base[at[i]] = ($T)(value[i]$P);") "}\n",
                        NULL},
};

/* Lanes of a bool are 0 and -1, a byte in memory 0 and 1. */
static const VectorText bool_text[] = {
    [VECTOR_SPLAT] = {1, "splat_$V", "INLINE $V splat_$V(bool a)\n{\n    return -($V){$A};\n}\n", NULL},
    [VECTOR_LOAD] = {1, "load_$V",
                     "INLINE $V load_$V(const $T *at)\n{\n    return convert(*(const $U *)at, $V) != 0;\n}\n",
                     NULL},
    [VECTOR_LOAD_EVERY] = {.lane = "at[@ * stride] ? -1 : 0"},
    [VECTOR_GATHER] = {.lane = "base[at[@]] ? -1 : 0"},
    [VECTOR_GATHER_WHERE] = {.lane = "where[@] ? (base[at[@]] ? -1 : 0) : otherwise[@]"},
    [VECTOR_STORE] =
        {2, "store_$V",
         "INLINE void store_$V($T *at, $V value)\n{\n    *($U *)at = convert(value & 1, $Y);\n}\n", NULL},
    [VECTOR_SCATTER] = {0},
};

const char *c_vector_word(CVectors *v, VectorWord word, DType dtype, int lanes)
{
    if (word == VECTOR_LOAD_WHERE)
        return load_where(v, dtype, lanes);
    VectorText text = vector_text[word];
    if (dtype == DTYPE_BOOL && bool_text[word].name)
        text = bool_text[word];
    else if (dtype == DTYPE_BOOL && bool_text[word].lane)
        text.lane = bool_text[word].lane;
    CMade made = {.dtype = dtype, .lanes = lanes, .scalar = text.lane};
    return call(v, c_vector_function(v, text.name, text.body, made), text.operands);
}
