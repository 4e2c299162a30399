/* LLVM's backend on kernels made by hand: every kind of statement and expression, at -O0 and -O3, against
   plain C, bit for bit. */
#include "expr.h"
#include "kernel.h"
#include "llvm_jit.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- a few words to write kernels with ---- */

static Arena *arena;
static Kernel *kernel;
static Exprs *pool;

static void new_kernel(const char *name, int axes, int item_axis)
{
    kernel = arena_alloc(arena, sizeof *kernel);
    pool = exprs_new(arena);
    *kernel = (Kernel){
        .name = name, .comment = "", .pool = pool, .axes = axes, .arguments = 1, .item_axis = item_axis};
    kernel->items = (Items){1, {1, 0}, 1};
}

static int buffer(DType dtype, bool written)
{
    list_add(arena, &kernel->buffer, ((KernelBuffer){dtype, true, written, false}));
    return kernel->buffer.count - 1;
}

static int local(DType dtype, int64_t count, int lanes)
{
    list_add(arena, &kernel->local, ((Local){dtype, count, lanes, "l"}));
    return kernel->local.count - 1;
}

static int temp(DType dtype, int lanes)
{
    list_add(arena, &kernel->temp, dtype);
    list_add(arena, &kernel->temp_lanes, lanes);
    return kernel->temp.count - 1;
}

static Expr *integer(int64_t value) { return expr_int(pool, DTYPE_I64, value); }
static Expr *axis(int i) { return expr_axis(pool, i); }
static Expr *batch(void) { return expr_argument(pool, 0); }
static Expr *plus(Expr *a, Expr *b) { return expr_add(pool, a, b); }
static Expr *times(Expr *a, int64_t b) { return expr_mul(pool, a, integer(b)); }
static Expr *ramp(Expr *base, int64_t stride, int lanes) { return expr_ramp(pool, base, stride, lanes); }
static Expr *apply2(ScalarOp op, Expr *a, Expr *b) { return expr_apply(pool, op, a, b, NULL); }
static Expr *apply3(ScalarOp op, Expr *a, Expr *b, Expr *c) { return expr_apply(pool, op, a, b, c); }
static Expr *load(int buffer_index, Expr *at)
{
    return expr_load(pool, kernel->buffer.at[buffer_index].dtype, buffer_index, at, NULL, NULL);
}

static Stmt *stmt(Stmt s) { return arena_copy(arena, &s, sizeof s); }
static Stmt *loop(int index, Expr *extent, Stmt *body)
{
    return stmt((Stmt){.kind = STMT_FOR, .index = index, .extent = extent, .body = body});
}
static Stmt *when(Expr *condition, Stmt *body)
{
    return stmt((Stmt){.kind = STMT_IF, .value = condition, .body = body});
}
static Stmt *let(int index, Expr *value)
{
    return stmt((Stmt){.kind = STMT_LET, .index = index, .value = value});
}
/* The temp's value. */
static Expr *use(int index)
{
    return expr_temp(pool, kernel->temp.at[index], kernel->temp_lanes.at[index], index);
}
static Stmt *set(int index, Expr *at, Expr *value)
{
    return stmt((Stmt){.kind = STMT_SET, .index = index, .at = at, .value = value});
}
static Stmt *store(int index, Expr *at, Expr *value)
{
    return stmt((Stmt){.kind = STMT_STORE, .index = index, .at = at, .value = value});
}
static Stmt *sequence(int count, Stmt **s)
{
    for (int i = 0; i + 1 < count; i++)
        s[i]->next = s[i + 1];
    return s[0];
}
#define BLOCK(...) sequence(sizeof((Stmt *[]){__VA_ARGS__}) / sizeof(Stmt *), (Stmt *[]){__VA_ARGS__})

/* Value of vector `at` of a local of vectors. */
static Expr *vector(int index, int64_t at)
{
    const Local *l = &kernel->local.at[index];
    return expr_local(pool, l->dtype, index, expr_splat(pool, integer(at), l->lanes));
}

static Diagnostics diag;

static void run_kernel(int level, void *const *buffers, int64_t batch_size, int64_t begin, int64_t end)
{
    LlvmOptions options = {.target = target_native(), .level = level, .verify = true, .diag = &diag};
    const char *fault = kernel_fault(kernel);
    ck_assert_msg(!fault, "%s", fault);
    LlvmJit *jit = llvm_jit_new(&kernel, 1, options, 1);
    ck_assert_ptr_nonnull(jit);
    llvm_jit_function(jit, 0)(buffers, &batch_size, begin, end);
    llvm_jit_free(jit);
}

static const int levels[] = {0, 3}; /* tests loop over them */

static void setup(void)
{
    arena = arena_new();
    diag = (Diagnostics){.out = stderr};
}

static void teardown(void) { arena_free(arena); }

/* Floats whose sums round: small integers would hide a wrong order or a lost fma. */
static float noise(int i) { return (float)((i * 7919 + 31) % 1009 - 500) / 97.0f; }

static uint32_t bits(float value)
{
    uint32_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    return pattern;
}

#define assert_same(a, b, i)                                                                                 \
    ck_assert_msg(bits(a) == bits(b), "element %d: %a, not %a", (int)(i), (double)(a), (double)(b))

/* ---- tests ---- */

/* y[i] = x[i] + y[i], vectors of 8 and a tail, n = batch; y is read and written in place */
START_TEST(vector_add_with_tail)
{
    enum { N = 45 };
    new_kernel("add", 2, -1);
    int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true);
    Expr *eighths = expr_div(pool, batch(), integer(8));
    int base = temp(DTYPE_I64, 1), tail = temp(DTYPE_I64, 1);
    Expr *at = ramp(use(base), 1, 8);
    Stmt *vectors =
        BLOCK(let(base, times(axis(0), 8)), store(y, at, apply2(SCALAR_ADD, load(x, at), load(y, at))));
    Stmt *scalars = BLOCK(let(tail, plus(expr_mul(pool, eighths, integer(8)), axis(1))),
                          store(y, use(tail), apply2(SCALAR_ADD, load(x, use(tail)), load(y, use(tail)))));
    kernel->body = BLOCK(loop(0, eighths, vectors), loop(1, expr_mod(pool, batch(), integer(8)), scalars));
    float a[N], b[N + 1];
    for (int i = 0; i < N; i++)
        a[i] = noise(i), b[i] = noise(i + 100);
    b[N] = 17;
    run_kernel(levels[_i], (void *[]){a, b}, N, 0, 1);
    for (int i = 0; i < N; i++)
        assert_same(b[i], a[i] + noise(i + 100), i);
    ck_assert_float_eq(b[N], 17);
}
END_TEST

enum { ROWS = 4, WIDTH = 16, DEPTH = 37 };

/* c[4i+r, :] = sum(k) a[4i+r, k] * b[k, :]: a tile of vectors an item, accumulated by fma in the order of k
 */
static void make_matmul(int lanes)
{
    new_kernel("matmul", 2, 0);
    int a = buffer(DTYPE_F32, false), b = buffer(DTYPE_F32, false), c = buffer(DTYPE_F32, true);
    int columns = WIDTH / lanes;
    int tile = local(DTYPE_F32, (int64_t)ROWS * columns, lanes);
    Stmt *first[64], *inner[64], *last[64];
    int firsts = 0, inners = 0, lasts = 0;
    for (int j = 0; j < columns; j++) {
        int t = temp(DTYPE_F32, lanes);
        inner[inners++] = let(t, load(b, ramp(plus(times(axis(1), WIDTH), integer(j * lanes)), 1, lanes)));
    }
    for (int r = 0; r < ROWS; r++) {
        int t = temp(DTYPE_F32, lanes);
        Expr *row = plus(times(axis(0), ROWS), integer(r));
        inner[inners++] = let(t, expr_splat(pool, load(a, plus(times(row, DEPTH), axis(1))), lanes));
        for (int j = 0; j < columns; j++) {
            Expr *at = integer(r * columns + j), *to = plus(times(row, WIDTH), integer(j * lanes));
            first[firsts++] = set(tile, at, expr_splat(pool, expr_real(pool, DTYPE_F32, 0), lanes));
            Expr *product = apply3(SCALAR_FMA, use(t), use(j), vector(tile, r * columns + j));
            inner[inners++] = set(tile, at, product);
            last[lasts++] = store(c, ramp(to, 1, lanes), vector(tile, r * columns + j));
        }
    }
    Stmt *k = loop(1, integer(DEPTH), sequence(inners, inner));
    Stmt *start = sequence(firsts, first), *end = sequence(lasts, last);
    first[firsts - 1]->next = k;
    k->next = end;
    kernel->body = start;
}

START_TEST(matmul_tile_adds_in_order)
{
    enum { ITEMS = 3, M = ITEMS * ROWS };
    static const int widths[] = {4, 8, 16};
    for (int w = 0; w < 3; w++) {
        make_matmul(widths[w]);
        float a[M * DEPTH], b[DEPTH * WIDTH], c[M * WIDTH];
        for (int i = 0; i < M * DEPTH; i++)
            a[i] = noise(i);
        for (int i = 0; i < DEPTH * WIDTH; i++)
            b[i] = noise(i + 7);
        memset(c, 0xff, sizeof c);
        run_kernel(levels[_i], (void *[]){a, b, c}, 1, 1, ITEMS); /* not the first item */
        for (int i = 0; i < M * WIDTH; i++) {
            float sum = 0;
            for (int k = 0; k < DEPTH; k++)
                sum = fmaf(a[i / WIDTH * DEPTH + k], b[k * WIDTH + i % WIDTH], sum);
            if (i < ROWS * WIDTH)
                ck_assert_msg(isnan(c[i]), "item 0 was not asked for");
            else
                assert_same(c[i], sum, i);
        }
    }
}
END_TEST

/* Memory whose last byte is the last, or whose first is the first, that may be touched. */
static void *fenced(size_t bytes, bool at_end)
{
    enum { PAGE = 4096 };
    char *pages = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(pages != MAP_FAILED && bytes <= PAGE);
    ck_assert_int_eq(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
    return pages + PAGE + (at_end ? PAGE - bytes : 0);
}

/* y[i] = 0 <= at < n ? x[at] : 5 with at = step·(i / lanes) + first + stride·(i mod lanes) */
typedef struct Padding {
    int lanes, step, first, stride;
    bool bound_ramp; /* the vector of places itself is bound to a temp */
} Padding;

static void make_padding(Padding p, int n, int count)
{
    new_kernel("pad", 1, -1);
    int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true);
    Expr *start = plus(times(axis(0), p.step), integer(p.first)), *from;
    Stmt *bind;
    if (p.bound_ramp) {
        int t = temp(DTYPE_I64, p.lanes);
        bind = let(t, ramp(start, p.stride, p.lanes));
        from = use(t);
    } else {
        int t = temp(DTYPE_I64, 1);
        bind = let(t, start);
        from = p.lanes > 1 ? ramp(use(t), p.stride, p.lanes) : use(t);
    }
    Expr *inside = apply2(SCALAR_AND, apply2(SCALAR_LE, expr_splat(pool, integer(0), p.lanes), from),
                          apply2(SCALAR_LT, from, expr_splat(pool, integer(n), p.lanes)));
    Expr *value = expr_load(pool, DTYPE_F32, x, from, inside, expr_real(pool, DTYPE_F32, 5));
    Expr *to = p.lanes > 1 ? ramp(times(axis(0), p.lanes), 1, p.lanes) : axis(0);
    kernel->body = loop(0, integer(count / p.lanes), BLOCK(bind, store(y, to, value)));
}

START_TEST(predicated_loads_fill)
{
    enum { N = 19, COUNT = 24 };
    static const Padding paddings[] = {
        {1, 1, -2, 0, false}, {8, 8, -2, 1, false}, {8, 8, -2, 1, true},   {8, -8, 20, -1, false},
        {8, 2, -3, 2, false}, {8, 2, -3, 3, false}, {8, -2, 22, -2, true},
    };
    for (size_t test = 0; test < 2 * sizeof paddings / sizeof *paddings; test++) {
        Padding p = paddings[test / 2];
        make_padding(p, N, COUNT);
        float *in = fenced(N * sizeof *in, test % 2), out[COUNT];
        for (int i = 0; i < N; i++)
            in[i] = noise(i);
        run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 1);
        for (int i = 0; i < COUNT; i++) {
            int at = i / p.lanes * p.step + p.first + i % p.lanes * p.stride;
            assert_same(out[i], at >= 0 && at < N ? in[at] : 5, i);
        }
    }
}
END_TEST

/* One predicate for a whole vector, that may not touch memory where it fails: the buffer is shorter than a
 * vector. */
START_TEST(predicate_of_a_whole_vector)
{
    new_kernel("whole", 1, 0);
    int x = buffer(DTYPE_U8, false), y = buffer(DTYPE_F32, true);
    Expr *inside = apply2(SCALAR_EQ, axis(0), integer(1));
    Expr *bytes = expr_load(pool, DTYPE_U8, x, ramp(plus(times(axis(0), 8), integer(-8)), 1, 8), inside,
                            expr_int(pool, DTYPE_U8, 200));
    kernel->body = store(y, ramp(times(axis(0), 8), 1, 8), expr_cast(pool, bytes, DTYPE_F32));
    uint8_t in[8] = {0, 1, 2, 127, 128, 254, 255, 3};
    float out[24];
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 3);
    for (int i = 0; i < 24; i++)
        assert_same(out[i], i / 8 == 1 ? (float)in[i - 8] : 200, i);
}
END_TEST

/* y[i] = x[stride·i] and z[stride·i] = x[i], as vectors that touch nothing before, behind or beyond theirs */
START_TEST(strided_vectors)
{
    enum { LANES = 8, COUNT = 24, MOST = 3 * (COUNT - 1) + 1 };
    for (int stride = -3; stride <= 3; stride++) {
        int span = abs(stride) * (COUNT - 1) + 1, first = stride < 0 ? span - 1 : 0;
        if (stride == 0)
            continue;
        new_kernel("strided", 1, -1);
        int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true), z = buffer(DTYPE_F32, true);
        Expr *dense = ramp(times(axis(0), LANES), 1, LANES);
        Expr *sparse = ramp(plus(times(axis(0), LANES * stride), integer(first)), stride, LANES);
        kernel->body = loop(0, integer(COUNT / LANES),
                            BLOCK(store(y, dense, load(x, sparse)), store(z, sparse, load(x, dense))));
        for (int at_end = 0; at_end < 2; at_end++) {
            float *in = fenced((size_t)span * sizeof *in, at_end),
                  *out = fenced((size_t)span * sizeof *out, at_end), gathered[COUNT];
            float expected[MOST] = {0};
            for (int i = 0; i < span; i++)
                in[i] = noise(i);
            for (int i = 0; i < COUNT; i++)
                expected[first + i * stride] = in[i];
            run_kernel(levels[_i], (void *[]){in, gathered, out}, 1, 0, 1);
            for (int i = 0; i < COUNT; i++)
                assert_same(gathered[i], in[first + i * stride], i);
            for (int i = 0; i < span; i++)
                assert_same(out[i], expected[i], i);
        }
    }
}
END_TEST

/* y[i] = x[index[i]] and y[index[i]] = x[i] */
START_TEST(indirect_vectors)
{
    enum { N = 64, LANES = 8 };
    float in[N], out[N];
    int32_t index[N];
    for (int i = 0; i < N; i++) {
        index[i] = i * 37 % N;
        in[i] = noise(i);
    }
    for (int scatter = 0; scatter < 2; scatter++) {
        new_kernel("gather", 1, -1);
        int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true), n = buffer(DTYPE_I32, false);
        Expr *dense = ramp(times(axis(0), LANES), 1, LANES);
        Expr *sparse = expr_cast(pool, load(n, dense), DTYPE_I64);
        kernel->body = loop(0, integer(N / LANES),
                            store(y, scatter ? sparse : dense, load(x, scatter ? dense : sparse)));
        run_kernel(levels[_i], (void *[]){in, out, index}, 1, 0, 1);
        for (int i = 0; i < N; i++)
            assert_same(out[scatter ? index[i] : i], in[scatter ? i : index[i]], i);
    }
}
END_TEST

/* y = f32(u8) / 255, vectors of 16 */
START_TEST(bytes_become_floats)
{
    new_kernel("bytes", 1, 0);
    int x = buffer(DTYPE_U8, false), y = buffer(DTYPE_F32, true);
    Expr *at = ramp(times(axis(0), 16), 1, 16);
    Expr *value =
        apply2(SCALAR_DIV, expr_cast(pool, load(x, at), DTYPE_F32), expr_real(pool, DTYPE_F32, 255));
    kernel->body = store(y, at, value);
    uint8_t in[256];
    float out[256];
    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 16);
    for (int i = 0; i < 256; i++)
        assert_same(out[i], (float)i / 255.0f, i);
}
END_TEST

/* Every primitive row of the table on every type that has it, scalar and vector, against scalar_value():
   operands come from memory, so nothing is folded. */
typedef struct Sample {
    DType dtype;
    int count;
    Cell cell[16];
} Sample;

#define I(value) {.i64 = (value)}
#define S(value) {.f32 = (value)}
#define D(value) {.f64 = (value)}
static const Sample samples[] = {
    {DTYPE_BOOL, 2, {I(0), I(1)}},
    {DTYPE_I8, 8, {I(0), I(1), I(-1), I(127), I(-128), I(7), I(-13), I(64)}},
    {DTYPE_U8, 8, {I(0), I(1), I(255), I(128), I(127), I(7), I(13), I(64)}},
    {DTYPE_I32, 8, {I(0), I(1), I(-1), I(INT32_MAX), I(INT32_MIN), I(12345), I(-70000), I(31)}},
    {DTYPE_U32,
     8,
     {I(0), I(1), I(UINT32_MAX), I(0x80000000), I(0xD2511F53), I(0x9E3779B9), I(33), I(0x10000)}},
    {DTYPE_I64, 8, {I(0), I(1), I(-1), I(INT64_MAX), I(INT64_MIN), I(1234567890123), I(-70000), I(63)}},
    {DTYPE_F32,
     12,
     {S(0.0f), S(-0.0f), S(1.0f), S(-1.5f), S(3.14159274f), S(1e-40f), S(3e38f), S(INFINITY), S(-INFINITY),
      S(NAN), S(-7.25f), S(0.1f)}},
    {DTYPE_F64,
     12,
     {D(0.0), D(-0.0), D(1.0), D(-1.5), D(3.14159), D(1e-310), D(1e308), D(INFINITY), D(-INFINITY), D(NAN),
      D(-7.25), D(0.1)}},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static bool has_row(ScalarOp op, DType dtype)
{
    if (scalar_info[op].expand) /* f32 is spelled by other rows */
        return dtype == DTYPE_F64;
    switch (op) {
    case SCALAR_AND:
    case SCALAR_OR:
    case SCALAR_XOR:
        return !dtype_is_float(dtype);
    case SCALAR_MOD:
    case SCALAR_SHL:
    case SCALAR_SHR:
    case SCALAR_MULHI:
    case SCALAR_CTZ:
        return !dtype_is_float(dtype) && dtype != DTYPE_BOOL;
    case SCALAR_FMA:
    case SCALAR_ABS:
    case SCALAR_SQRT:
    case SCALAR_FLOOR:
        return dtype_is_float(dtype);
    case SCALAR_LT:
    case SCALAR_LE:
    case SCALAR_EQ:
    case SCALAR_NE:
    case SCALAR_SELECT:
        return true;
    default:
        return dtype != DTYPE_BOOL;
    }
}

static void put_cell(void *memory, DType dtype, int i, Cell cell)
{
    size_t bytes = (size_t)dtype_info[dtype].bytes; /* little-endian: the low bytes are the narrow integer */
    memcpy((char *)memory + (size_t)i * bytes, &cell, bytes);
}

/* All pairs, the third operand going round. */
static int fill_operands(const Sample *s, void *const *in, Cell (*operand)[3])
{
    int count = 0;
    for (int i = 0; i < s->count; i++)
        for (int j = 0; j < s->count; j++, count++)
            for (int k = 0; k < 3; k++) {
                Cell cell = s->cell[k == 0 ? i : k == 1 ? j : (i + 2 * j + 1) % s->count];
                operand[count][k] = cell;
                put_cell(in[k], s->dtype, count, cell);
            }
    return count;
}

static void make_row(ScalarOp op, DType dtype, int count, int lanes)
{
    new_kernel("row", 1, -1);
    int in[3], base = temp(DTYPE_I64, 1), first = temp(dtype, lanes), second = temp(dtype, lanes);
    Expr *at = lanes > 1 ? ramp(use(base), 1, lanes) : use(base);
    for (int k = 0; k < 3; k++)
        in[k] = buffer(dtype, false);
    Expr *a = op == SCALAR_SELECT ? apply2(SCALAR_LE, use(first), use(second)) : use(first);
    Expr *value = expr_expand(pool, apply3(op, a, use(second), load(in[2], at)));
    int out = buffer(value->dtype, true);
    kernel->body = loop(0, integer(count / lanes),
                        BLOCK(let(base, times(axis(0), lanes)), let(first, load(in[0], at)),
                              let(second, load(in[1], at)), store(out, at, value)));
}

static void check_row(ScalarOp op, const Sample *s, int level, int lanes)
{
    static double memory[4][256];
    void *const buffers[] = {memory[0], memory[1], memory[2], memory[3]};
    Cell operand[256][3];
    int count = fill_operands(s, buffers, operand) / lanes * lanes;
    make_row(op, s->dtype, count, lanes);
    DType result = scalar_info[op].boolean ? DTYPE_BOOL : s->dtype;
    run_kernel(level, buffers, 1, 0, 1);
    for (int i = 0; i < count; i++) {
        Cell x = operand[i][0];
        if (op == SCALAR_SELECT)
            x = scalar_value(SCALAR_LE, s->dtype, operand[i][0], operand[i][1], x);
        Cell expected = scalar_value(op, s->dtype, x, operand[i][1], operand[i][2]);
        char want[8];
        put_cell(want, result, 0, expected);
        size_t bytes = (size_t)dtype_info[result].bytes;
        const char *got = (const char *)memory[3] + (size_t)i * bytes;
        bool nan = (result == DTYPE_F32 && isnan(expected.f32) && isnan(((float *)memory[3])[i])) ||
                   (result == DTYPE_F64 && isnan(expected.f64) && isnan(memory[3][i]));
        ck_assert_msg(nan || !memcmp(got, want, bytes), "%s of %s, -O%d, %d lanes, pair %d",
                      scalar_info[op].name, dtype_info[s->dtype].name, level, lanes, i);
    }
}

START_TEST(every_row_of_the_scalar_table)
{
    ScalarOp op = (ScalarOp)_i;
    for (int s = 0; s < SAMPLES; s++)
        for (int level = 0; level <= 3 && has_row(op, samples[s].dtype); level += 3) {
            check_row(op, &samples[s], level, 1);
            check_row(op, &samples[s], level, 4);
        }
}
END_TEST

/* Conversions between all types, where the value is in range. */
START_TEST(every_conversion)
{
    static double memory[2][16];
    const Sample *s = &samples[_i];
    for (int to = 0; to < DTYPE_COUNT; to++) {
        Cell cell[16];
        int count = 0;
        for (int i = 0; i < s->count; i++) {
            double value = s->dtype == DTYPE_F32 ? (double)s->cell[i].f32 : s->cell[i].f64;
            if (!dtype_is_float(s->dtype) || dtype_is_float((DType)to) || fabs(value) < 100)
                cell[count++] = s->cell[i];
            if (dtype_is_float(s->dtype) && !dtype_is_float((DType)to) && value < 0 && count &&
                dtype_info[to].class == CLASS_UNSIGNED)
                count--;
        }
        for (int i = 0; i < count; i++)
            put_cell(memory[0], s->dtype, i, cell[i]);
        for (int run = 0; run < 4; run++) {
            int lanes = run % 2 ? 2 : 1;
            new_kernel("cast", 1, -1);
            int x = buffer(s->dtype, false), y = buffer((DType)to, true);
            Expr *at = lanes > 1 ? ramp(times(axis(0), lanes), 1, lanes) : axis(0);
            kernel->body =
                loop(0, integer(count / lanes), store(y, at, expr_cast(pool, load(x, at), (DType)to)));
            run_kernel(run / 2 * 3, (void *[]){memory[0], memory[1]}, 1, 0, 1);
            for (int i = 0; i < count / lanes * lanes; i++) {
                char want[8];
                put_cell(want, (DType)to, 0, cell_convert(cell[i], s->dtype, (DType)to));
                size_t bytes = (size_t)dtype_info[to].bytes;
                ck_assert_msg(!memcmp((char *)memory[1] + (size_t)i * bytes, want, bytes),
                              "%s to %s, value %d", dtype_info[s->dtype].name, dtype_info[to].name, i);
            }
        }
    }
}
END_TEST

/* a·b + c without FMA rounds twice: never contracted, at any level */
START_TEST(products_are_not_contracted)
{
    new_kernel("plain", 1, -1);
    int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true);
    int a = temp(DTYPE_F32, 8);
    Expr *square = apply2(SCALAR_MUL, use(a), use(a)), *c = load(x, ramp(integer(8), 1, 8));
    kernel->body = BLOCK(let(a, load(x, ramp(integer(0), 1, 8))),
                         store(y, ramp(integer(0), 1, 8), apply2(SCALAR_ADD, square, c)));
    float in[16], out[8];
    int contracted = 0;
    for (int i = 0; i < 8; i++) {
        in[i] = (float)(i + 4) / 3;
        in[8 + i] = -in[i] * in[i];
    }
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 1);
    for (int i = 0; i < 8; i++) {
        volatile float product = in[i] * in[i];
        assert_same(out[i], product + in[8 + i], i);
        contracted += bits(fmaf(in[i], in[i], in[8 + i])) != bits(out[i]);
    }
    ck_assert_int_ge(contracted, 4); /* else the numbers could not tell */
}
END_TEST

/* y = sum of x, term i in lane i mod 16, then 8-4-2-1 */
START_TEST(lanes_reduction)
{
    enum { N = 160 };
    new_kernel("lanes", 1, -1);
    int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_F32, true);
    int sums = local(DTYPE_F32, 16, 1);
    Expr *all = ramp(integer(0), 1, 16), *zero = expr_splat(pool, expr_real(pool, DTYPE_F32, 0), 16);
    Stmt *body = set(sums, integer(0), zero), *last = body; /* a vector at a scalar place */
    Stmt *step = set(
        sums, all,
        apply2(SCALAR_ADD, expr_local(pool, DTYPE_F32, sums, all), load(x, ramp(times(axis(0), 16), 1, 16))));
    last = last->next = loop(0, integer(N / 16), step);
    for (int width = 8; width; width /= 2) {
        Expr *low = width > 1 ? ramp(integer(0), 1, width) : integer(0);
        Expr *high = width > 1 ? ramp(integer(width), 1, width) : integer(1);
        last = last->next = set(sums, low,
                                apply2(SCALAR_ADD, expr_local(pool, DTYPE_F32, sums, low),
                                       expr_local(pool, DTYPE_F32, sums, high)));
    }
    last->next = store(y, integer(0), expr_local(pool, DTYPE_F32, sums, integer(0)));
    kernel->body = body;

    float in[N], out, lane[16] = {0};
    for (int i = 0; i < N; i++)
        lane[i % 16] += in[i] = noise(i);
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    run_kernel(levels[_i], (void *[]){in, &out}, 1, 0, 1);
    assert_same(out, lane[0], 0);
}
END_TEST

/* Conditions in conditions, a loop that runs no round, a local that changes under a condition read before it.
 */
START_TEST(conditions_nest)
{
    new_kernel("nested", 2, 0);
    int x = buffer(DTYPE_I32, false), y = buffer(DTYPE_I32, true), l = local(DTYPE_I32, 1, 1);
    Expr *v = expr_local(pool, DTYPE_I32, l, integer(0)), *one = expr_int(pool, DTYPE_I32, 1);
    Expr *positive = apply2(SCALAR_LT, expr_int(pool, DTYPE_I32, 0), v);
    Expr *small = apply2(SCALAR_LT, v, expr_int(pool, DTYPE_I32, 10));
    Stmt *add = set(l, integer(0), apply2(SCALAR_ADD, v, one));
    Stmt *grow = loop(1, expr_cast(pool, v, DTYPE_I64), add);
    kernel->body = BLOCK(set(l, integer(0), load(x, axis(0))),
                         when(positive, BLOCK(set(l, integer(0), apply2(SCALAR_SUB, v, one)),
                                              when(positive, when(small, grow)))),
                         store(y, axis(0), v));
    int32_t in[] = {-3, 0, 1, 2, 5, 11, 12}, out[7];
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 7);
    for (int i = 0; i < 7; i++) {
        int32_t want = in[i];
        if (want > 0 && --want > 0 && want < 10)
            want += want;
        ck_assert_int_eq(out[i], want);
    }
}
END_TEST

/* Booleans live in memory as bytes, in locals and vectors, too. */
START_TEST(booleans_in_memory)
{
    new_kernel("booleans", 1, -1);
    int x = buffer(DTYPE_F32, false), y = buffer(DTYPE_BOOL, true), l = local(DTYPE_BOOL, 2, 8);
    Expr *at = ramp(integer(0), 1, 8),
         *positive = apply2(SCALAR_LT, expr_splat(pool, expr_real(pool, DTYPE_F32, 0), 8), load(x, at));
    kernel->body = BLOCK(set(l, integer(1), positive), store(y, at, vector(l, 1)),
                         store(y, integer(8), expr_bitcast(pool, load(y, integer(0)), DTYPE_BOOL)));
    float in[8] = {1, -1, 0, -0.0f, NAN, INFINITY, 1e-45f, -2};
    uint8_t out[9];
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 1);
    for (int i = 0; i < 9; i++)
        ck_assert_uint_eq(out[i], in[i % 8] > 0);
}
END_TEST

/* u32 random bits as a float of [1, 2): a bit cast of a vector */
START_TEST(bits_become_floats)
{
    new_kernel("bitcast", 1, -1);
    int x = buffer(DTYPE_U32, false), y = buffer(DTYPE_F32, true);
    Expr *at = ramp(integer(0), 1, 8);
    Expr *mantissa = apply2(SCALAR_SHR, load(x, at), expr_int(pool, DTYPE_U32, 9));
    kernel->body = store(
        y, at,
        expr_bitcast(pool, apply2(SCALAR_OR, mantissa, expr_int(pool, DTYPE_U32, 0x3f800000)), DTYPE_F32));
    uint32_t in[8];
    float out[8];
    for (uint32_t i = 0; i < 8; i++)
        in[i] = i * 0x9E3779B9u;
    run_kernel(levels[_i], (void *[]){in, out}, 1, 0, 1);
    for (int i = 0; i < 8; i++)
        ck_assert_uint_eq(bits(out[i]), in[i] >> 9 | 0x3f800000);
}
END_TEST

/* Statements that share an expression read memory again: it has changed. */
START_TEST(a_read_is_not_remembered_across_a_store)
{
    new_kernel("again", 1, -1);
    int x = buffer(DTYPE_F32, true);
    Expr *more = apply2(SCALAR_ADD, load(x, integer(0)), expr_real(pool, DTYPE_F32, 1));
    kernel->body = BLOCK(store(x, integer(0), more), store(x, integer(0), more),
                         loop(0, integer(2), store(x, integer(0), more)));
    float value = 1.5f;
    run_kernel(levels[_i], (void *[]){&value}, 1, 0, 1);
    ck_assert_float_eq(value, 5.5f);
}
END_TEST

/* Quotients round to zero, whether the dividend is known not to be negative or not. */
START_TEST(indices_divide)
{
    enum { N = 40 };
    new_kernel("divide", 1, 0);
    int x = buffer(DTYPE_I64, true), t = temp(DTYPE_I64, 1);
    Expr *n = load(x, integer(0)), *i = axis(0); /* not folded: what is loaded is not known */
    Expr *at = times(i, 4);
    kernel->body = BLOCK(let(t, plus(n, times(i, -3))),
                         store(x, plus(at, integer(1)), expr_div(pool, use(t), integer(7))),
                         store(x, plus(at, integer(2)), expr_mod(pool, use(t), integer(7))),
                         store(x, plus(at, integer(3)), expr_div(pool, i, batch())),
                         store(x, plus(at, integer(4)), expr_mod(pool, i, batch())));
    int64_t memory[4 * N + 1] = {50};
    run_kernel(levels[_i], (void *[]){memory}, 3, 0, N);
    for (int k = 0; k < N; k++) {
        int64_t first = 50 - 3 * k, *got = memory + 4 * k + 1;
        ck_assert_int_eq(got[0], first / 7);
        ck_assert_int_eq(got[1], first % 7);
        ck_assert_int_eq(got[2], k / 3);
        ck_assert_int_eq(got[3], k % 3);
    }
}
END_TEST

START_TEST(a_call_of_no_items_does_nothing)
{
    new_kernel("nothing", 1, -1);
    int x = buffer(DTYPE_F32, true);
    kernel->body = store(x, integer(0), expr_real(pool, DTYPE_F32, 3));
    float value = 1;
    run_kernel(levels[_i], (void *[]){&value}, 1, 0, 0);
    ck_assert_float_eq(value, 1);
    run_kernel(levels[_i], (void *[]){&value}, 1, 0, 1);
    ck_assert_float_eq(value, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llvm");
    TCase *cases = tcase_create("kernels");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, vector_add_with_tail, 0, 2);
    tcase_add_loop_test(cases, matmul_tile_adds_in_order, 0, 2);
    tcase_add_loop_test(cases, predicated_loads_fill, 0, 2);
    tcase_add_loop_test(cases, predicate_of_a_whole_vector, 0, 2);
    tcase_add_loop_test(cases, strided_vectors, 0, 2);
    tcase_add_loop_test(cases, indirect_vectors, 0, 2);
    tcase_add_loop_test(cases, bytes_become_floats, 0, 2);
    tcase_add_loop_test(cases, every_row_of_the_scalar_table, 0, SCALAR_COUNT);
    tcase_add_loop_test(cases, every_conversion, 0, SAMPLES);
    tcase_add_loop_test(cases, products_are_not_contracted, 0, 2);
    tcase_add_loop_test(cases, lanes_reduction, 0, 2);
    tcase_add_loop_test(cases, conditions_nest, 0, 2);
    tcase_add_loop_test(cases, booleans_in_memory, 0, 2);
    tcase_add_loop_test(cases, bits_become_floats, 0, 2);
    tcase_add_loop_test(cases, a_read_is_not_remembered_across_a_store, 0, 2);
    tcase_add_loop_test(cases, indices_divide, 0, 2);
    tcase_add_loop_test(cases, a_call_of_no_items_does_nothing, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
