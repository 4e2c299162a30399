/* Kernels built by hand, one a way in which kernels are made, for the tests of whatever runs or prints
   kernels. Each case has its buffers' sizes and one call; case_fill gives the buffers contents, equal at each
   time. */
#ifndef NETC_KERNEL_CASES_H
#define NETC_KERNEL_CASES_H

#include "kernel.h"

#include <stdlib.h>
#include <string.h>

enum { CASE_BUFFERS = 6, CASE_ARGUMENTS = 3, CASE_ROOM = 1 << 16 /* bytes a buffer */ };

typedef struct KernelCase {
    Kernel *kernel;
    int64_t elements[CASE_BUFFERS];
    int64_t argument[CASE_ARGUMENTS];
    int64_t items;
} KernelCase;

/* ---- statements ---- */

static Stmt *case_stmt(Kernel *k, Stmt stmt) { return arena_copy(exprs_arena(k->pool), &stmt, sizeof stmt); }

static Stmt *case_for(Kernel *k, int axis, Expr *extent, Stmt *body)
{
    return case_stmt(k, (Stmt){.kind = STMT_FOR, .index = axis, .extent = extent, .body = body});
}

static Stmt *case_if(Kernel *k, Expr *condition, Stmt *body)
{
    return case_stmt(k, (Stmt){.kind = STMT_IF, .value = condition, .body = body});
}

static Stmt *case_let(Kernel *k, int temp, Expr *value)
{
    return case_stmt(k, (Stmt){.kind = STMT_LET, .index = temp, .value = value});
}

static Stmt *case_set(Kernel *k, int local, Expr *at, Expr *value)
{
    return case_stmt(k, (Stmt){.kind = STMT_SET, .index = local, .at = at, .value = value});
}

static Stmt *case_store(Kernel *k, int buffer, Expr *at, Expr *value)
{
    return case_stmt(k, (Stmt){.kind = STMT_STORE, .index = buffer, .at = at, .value = value});
}

/* The statements in order, up to a NULL. */
static Stmt *case_block(Stmt *first, ...)
{
    va_list more;
    va_start(more, first);
    for (Stmt *last = first, *next; (next = va_arg(more, Stmt *)); last = next)
        last->next = next;
    va_end(more);
    return first;
}
#define BLOCK(...) case_block(__VA_ARGS__, (Stmt *)NULL)

/* ---- parts of kernels ---- */

static KernelCase *case_new(Arena *arena, const char *name, int axes, int64_t items)
{
    KernelCase *c = arena_alloc(arena, sizeof *c);
    c->kernel = arena_alloc(arena, sizeof *c->kernel);
    *c->kernel =
        (Kernel){.name = name, .pool = exprs_new(arena), .axes = axes, .arguments = 1, .item_axis = 0};
    c->kernel->comment = "a test; not a /* comment */ in \\ a ?\?/ comment";
    c->kernel->items = (Items){1, size_of(items), 1};
    c->items = items;
    c->argument[0] = items;
    return c;
}

static int case_buffer(KernelCase *c, DType dtype, int64_t elements, bool written)
{
    Kernel *k = c->kernel;
    c->elements[k->buffer.count] = elements;
    list_add(exprs_arena(k->pool), &k->buffer, ((KernelBuffer){dtype, !written, written, false}));
    return k->buffer.count - 1;
}

static int case_local(KernelCase *c, DType dtype, int64_t count, int lanes)
{
    Kernel *k = c->kernel;
    list_add(exprs_arena(k->pool), &k->local, ((Local){dtype, count, lanes, "acc*/"}));
    return k->local.count - 1;
}

static int case_temp(KernelCase *c, const Expr *value)
{
    Kernel *k = c->kernel;
    list_add(exprs_arena(k->pool), &k->temp, value->dtype);
    list_add(exprs_arena(k->pool), &k->temp_lanes, value->lanes);
    return k->temp.count - 1;
}

static Expr *case_int(Kernel *k, int64_t value) { return expr_int(k->pool, DTYPE_I64, value); }

static Expr *case_load(Kernel *k, int buffer, Expr *at)
{
    return expr_load(k->pool, k->buffer.at[buffer].dtype, buffer, at, NULL, NULL);
}

static Expr *case_apply(Kernel *k, ScalarOp op, Expr *a, Expr *b)
{
    return expr_apply(k->pool, op, a, b, NULL);
}

static Expr *case_vector(Kernel *k, Expr *at, int lanes) { return expr_ramp(k->pool, at, 1, lanes); }

/* e as a tree: its shared parts become temps, whose LETs are added at `tail`; `uses` and `made` go by id. A shared ramp or
   splat stays where it is used, and its operand becomes a temp. */
static void case_count_uses(const Expr *e, int *uses)
{
    bool spread = e->kind == EXPR_RAMP || e->kind == EXPR_SPLAT;
    if (uses[e->id]++ == 0 || spread)
        for (int i = 0; i < e->count; i++)
            case_count_uses(e->arg[i], uses);
}

static Expr *case_tree(KernelCase *c, Expr *e, const int *uses, Expr **made, Stmt ***tail)
{
    if (made[e->id])
        return made[e->id];
    Kernel *k = c->kernel;
    Expr *arg[3] = {NULL}, *tree = e;
    for (int i = 0; i < e->count; i++)
        arg[i] = case_tree(c, e->arg[i], uses, made, tail);
    if (memcmp(arg, e->arg, sizeof arg))
        tree = expr_rebuild(k->pool, e, arg);
    bool spread = e->kind == EXPR_RAMP || e->kind == EXPR_SPLAT;
    if (uses[e->id] > 1 && e->count && !spread) {
        int temp = case_temp(c, tree);
        **tail = case_let(k, temp, tree);
        *tail = &(**tail)->next;
        tree = expr_temp(k->pool, e->dtype, e->lanes, temp);
    }
    return made[e->id] = tree;
}

/* buffer[at] := value, after what its shared parts need. */
static Stmt *case_store_shared(KernelCase *c, int buffer, Expr *at, Expr *value)
{
    enum { IDS = 1 << 16 };
    int *uses = calloc(IDS, sizeof *uses);
    Expr **made = calloc(IDS, sizeof *made);
    if (!uses || !made || value->id >= IDS)
        abort();
    Stmt *first = NULL, **tail = &first;
    case_count_uses(value, uses);
    Expr *tree = case_tree(c, value, uses, made, &tail);
    *tail = case_store(c->kernel, buffer, at, tree);
    free(uses);
    free(made);
    return first;
}

static Stmt *case_append(Stmt *first, Stmt *more)
{
    Stmt **tail = &first;
    while (*tail)
        tail = &(*tail)->next;
    *tail = more;
    return first;
}

/* ---- the cases ---- */

/* z[i] = x[i] + y[i] for 37 elements: vectors of 16 where they fit, then a tail of scalars. */
static KernelCase *case_add(Arena *arena)
{
    enum { N = 37, LANES = 16 };
    KernelCase *c = case_new(arena, "add", 2, (N + LANES - 1) / LANES);
    Kernel *k = c->kernel;
    int x = case_buffer(c, DTYPE_F32, N, false), y = case_buffer(c, DTYPE_F32, N, false);
    int z = case_buffer(c, DTYPE_F32, N, true);
    Expr *first = expr_mul(k->pool, expr_axis(k->pool, 0), case_int(k, LANES));
    Expr *whole = expr_less(k->pool, expr_add(k->pool, first, case_int(k, LANES - 1)), case_int(k, N));
    Expr *row = case_vector(k, first, LANES), *one = expr_add(k->pool, first, expr_axis(k->pool, 1));
    Expr *sum = expr_apply(k->pool, SCALAR_ADD, case_load(k, x, row), case_load(k, y, row), NULL);
    Expr *tail = expr_apply(k->pool, SCALAR_ADD, case_load(k, x, one), case_load(k, y, one), NULL);
    Expr *partly = expr_less(k->pool, case_int(k, N - LANES), first);
    Expr *rest = expr_sub(k->pool, case_int(k, N), first);
    k->body = BLOCK(case_if(k, whole, case_store_shared(c, z, row, sum)),
                    case_if(k, partly, case_for(k, 1, rest, case_store_shared(c, z, one, tail))));
    return c;
}

/* A tile of 2 × 2 vectors of 8: c = a b, a 6×K, b K×16, items are pairs of rows. */
static KernelCase *case_matmul(Arena *arena)
{
    enum { M = 6, K = 19, N = 16 };
    KernelCase *c = case_new(arena, "matmul", 2, M / 2);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int a = case_buffer(c, DTYPE_F32, M * K, false), b = case_buffer(c, DTYPE_F32, K * N, false);
    int y = case_buffer(c, DTYPE_F32, M * N, true), tile = case_local(c, DTYPE_F32, 4, 8);
    Expr *row = expr_mul(p, expr_axis(p, 0), case_int(k, 2)), *i = expr_axis(p, 1);
    Expr *zero = expr_splat(p, expr_real(p, DTYPE_F32, 0), 8);
    Stmt *begin[4], *step[4], *end[4];
    for (int t = 0; t < 4; t++) {
        Expr *my_row = expr_add(p, row, case_int(k, t / 2)), *column = case_int(k, t % 2 * 8);
        Expr *at = expr_add(p, expr_mul(p, my_row, case_int(k, K)), i);
        Expr *left = expr_splat(p, case_load(k, a, at), 8);
        Expr *from = expr_add(p, expr_mul(p, i, case_int(k, N)), column);
        Expr *right = case_load(k, b, case_vector(k, from, 8));
        Expr *sum = expr_local(p, DTYPE_F32, tile, expr_splat(p, case_int(k, t), 8));
        Expr *to = expr_add(p, expr_mul(p, my_row, case_int(k, N)), column);
        begin[t] = case_set(k, tile, case_int(k, t), zero);
        step[t] = case_set(k, tile, case_int(k, t), expr_apply(p, SCALAR_FMA, left, right, sum));
        end[t] = case_store(k, y, case_vector(k, to, 8), sum);
    }
    Stmt *body = BLOCK(step[0], step[1], step[2], step[3]);
    k->body = BLOCK(begin[0], begin[1], begin[2], begin[3], case_for(k, 1, case_int(k, K), body), end[0],
                    end[1], end[2], end[3]);
    return c;
}

/* y[i] = x[i-2] + x[i-1] + … + x[i+2] with zeros outside, 8 lanes and a scalar form of it; 40 elements. */
static KernelCase *case_window(Arena *arena)
{
    enum { N = 40 };
    KernelCase *c = case_new(arena, "window", 2, N / 8);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int x = case_buffer(c, DTYPE_F32, N, false), y = case_buffer(c, DTYPE_F32, N, true);
    int z = case_buffer(c, DTYPE_F32, N, true);
    Expr *first = expr_mul(p, expr_axis(p, 0), case_int(k, 8)), *one = expr_add(p, first, expr_axis(p, 1));
    Expr *sum = NULL, *alone = NULL;
    for (int d = -2; d <= 2; d++) {
        Expr *at = case_vector(k, expr_add(p, first, case_int(k, d)), 8);
        Expr *inside = expr_apply(p, SCALAR_AND, expr_apply(p, SCALAR_LE, case_int(k, 0), at, NULL),
                                  expr_apply(p, SCALAR_LT, at, case_int(k, N), NULL), NULL);
        Expr *part = expr_load(p, DTYPE_F32, x, at, inside, expr_real(p, DTYPE_F32, 0.25));
        Expr *place = expr_add(p, one, case_int(k, d));
        Expr *in = expr_apply(p, SCALAR_AND, expr_apply(p, SCALAR_LE, case_int(k, 0), place, NULL),
                              expr_less(p, place, case_int(k, N)), NULL);
        Expr *single = expr_load(p, DTYPE_F32, x, place, in, expr_real(p, DTYPE_F32, 0.25));
        sum = sum ? expr_apply(p, SCALAR_ADD, sum, part, NULL) : part;
        alone = alone ? expr_apply(p, SCALAR_ADD, alone, single, NULL) : single;
    }
    k->body = case_append(case_store_shared(c, y, case_vector(k, first, 8), sum),
                          case_for(k, 1, case_int(k, 8), case_store_shared(c, z, one, alone)));
    return c;
}

/* y = x / 255 of bytes, in vectors of 16, and of signed bytes, one by one; and back. */
static KernelCase *case_bytes(Arena *arena)
{
    enum { N = 64 };
    KernelCase *c = case_new(arena, "bytes", 2, N / 16);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int x = case_buffer(c, DTYPE_U8, N, false), s = case_buffer(c, DTYPE_I8, N, false);
    int y = case_buffer(c, DTYPE_F32, N, true), z = case_buffer(c, DTYPE_F32, N, true);
    int back = case_buffer(c, DTYPE_U8, N, true), wrapped = case_buffer(c, DTYPE_U8, N, true);
    Expr *first = expr_mul(p, expr_axis(p, 0), case_int(k, 16)), *row = case_vector(k, first, 16);
    Expr *one = expr_add(p, first, expr_axis(p, 1));
    Expr *scaled = expr_apply(p, SCALAR_DIV, expr_cast(p, case_load(k, x, row), DTYPE_F32),
                              expr_real(p, DTYPE_F32, 255), NULL);
    int t = case_temp(c, scaled);
    Expr *temp = expr_temp(p, DTYPE_F32, 16, t);
    Expr *byte =
        expr_cast(p, expr_apply(p, SCALAR_MUL, temp, expr_real(p, DTYPE_F32, 200.5), NULL), DTYPE_U8);
    Expr *sum = expr_apply(p, SCALAR_ADD, case_load(k, x, row), expr_int(p, DTYPE_U8, 100), NULL);
    k->body = BLOCK(case_let(k, t, scaled), case_store(k, y, row, temp), case_store(k, back, row, byte),
                    case_store(k, wrapped, row, sum),
                    case_for(k, 1, case_int(k, 16),
                             case_store(k, z, one, expr_cast(p, case_load(k, s, one), DTYPE_F32))));
    return c;
}

/* One round of Philox's multiplications, shifts and rotations on u32, and the like of i32 and i64. */
static Expr *case_philox(Kernel *k, Expr *x)
{
    Expr *factor = expr_int(k->pool, DTYPE_U32, 0xD2511F53);
    Expr *mixed = case_apply(k, SCALAR_XOR, case_apply(k, SCALAR_MULHI, factor, x),
                             case_apply(k, SCALAR_MUL, x, factor));
    return case_apply(k, SCALAR_OR, case_apply(k, SCALAR_SHL, mixed, expr_int(k->pool, DTYPE_U32, 13)),
                      case_apply(k, SCALAR_SHR, mixed, expr_int(k->pool, DTYPE_U32, 19)));
}

static Expr *case_signed(Kernel *k, Expr *n)
{
    Expr *shifted = case_apply(k, SCALAR_SHR, n, expr_int(k->pool, DTYPE_I32, 7));
    Expr *turned =
        case_apply(k, SCALAR_SHL, n, case_apply(k, SCALAR_AND, n, expr_int(k->pool, DTYPE_I32, 15)));
    return case_apply(k, SCALAR_SUB, case_apply(k, SCALAR_MUL, shifted, n),
                      case_apply(k, SCALAR_ADD, case_apply(k, SCALAR_CTZ, n, NULL),
                                 case_apply(k, SCALAR_NEG, turned, NULL)));
}

/* Also by 0 and by -1. */
static Expr *case_divided(Kernel *k, Expr *l)
{
    Expr *divisor = case_apply(k, SCALAR_SHR, l, expr_int(k->pool, DTYPE_I64, 27));
    Expr *high =
        case_apply(k, SCALAR_MULHI, case_apply(k, SCALAR_SHL, l, expr_int(k->pool, DTYPE_I64, 31)), l);
    return case_apply(k, SCALAR_XOR, case_apply(k, SCALAR_DIV, high, divisor),
                      case_apply(k, SCALAR_MOD, l, divisor));
}

/* The first half in vectors of 8, the second one by one. */
static KernelCase *case_integers(Arena *arena)
{
    enum { N = 32 };
    KernelCase *c = case_new(arena, "integers", 2, N / 8);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int x = case_buffer(c, DTYPE_U32, N, false), y = case_buffer(c, DTYPE_U32, N, true);
    int z = case_buffer(c, DTYPE_I32, N, true), w = case_buffer(c, DTYPE_I64, N, true);
    Expr *first = expr_mul(p, expr_axis(p, 0), case_int(k, 8)), *one = expr_add(p, first, expr_axis(p, 1));
    Expr *at[2] = {case_vector(k, first, 8), one};
    Stmt *block[2];
    for (int i = 0; i < 2; i++) {
        Expr *u = case_load(k, x, at[i]), *n = expr_bitcast(p, u, DTYPE_I32);
        block[i] = case_store_shared(c, y, at[i], case_philox(k, u));
        case_append(block[i], case_store_shared(c, z, at[i], case_signed(k, n)));
        case_append(block[i], case_store_shared(c, w, at[i], case_divided(k, expr_cast(p, n, DTYPE_I64))));
    }
    Expr *item = expr_axis(p, 0);
    k->body = BLOCK(case_if(k, expr_less(p, item, case_int(k, 2)), block[0]),
                    case_if(k, expr_less(p, case_int(k, 1), item), case_for(k, 1, case_int(k, 8), block[1])));
    return c;
}

/* A sum of 53 elements a row by 16 lanes, added 8-4-2-1 through a local of scalars. */
static KernelCase *case_lanes(Arena *arena)
{
    enum { ROWS = 5, N = 53, LANES = 16 };
    KernelCase *c = case_new(arena, "lanes", 3, ROWS);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int x = case_buffer(c, DTYPE_F32, ROWS * N, false), y = case_buffer(c, DTYPE_F32, ROWS, true);
    int lane = case_local(c, DTYPE_F32, LANES, 1);
    Expr *row = expr_mul(p, expr_axis(p, 0), case_int(k, N)), *j = expr_axis(p, 1);
    Expr *all = case_vector(k, case_int(k, 0), LANES);
    Expr *from = case_vector(k, expr_add(p, row, expr_mul(p, j, case_int(k, LANES))), LANES);
    Expr *sum = expr_apply(p, SCALAR_ADD, expr_local(p, DTYPE_F32, lane, all), case_load(k, x, from), NULL);
    Expr *i = expr_axis(p, 2), *last = expr_add(p, row, expr_add(p, i, case_int(k, N / LANES * LANES)));
    Expr *tail = expr_apply(p, SCALAR_ADD, expr_local(p, DTYPE_F32, lane, i), case_load(k, x, last), NULL);
    Stmt *fold[4];
    for (int f = 0, half = LANES / 2; f < 4; f++, half /= 2) {
        Expr *low = half > 1 ? case_vector(k, case_int(k, 0), half) : case_int(k, 0);
        Expr *high = half > 1 ? case_vector(k, case_int(k, half), half) : case_int(k, 1);
        fold[f] = case_set(k, lane, half > 2 ? case_int(k, 0) : low, /* both spellings of a row */
                           expr_apply(p, SCALAR_ADD, expr_local(p, DTYPE_F32, lane, low),
                                      expr_local(p, DTYPE_F32, lane, high), NULL));
    }
    k->body =
        BLOCK(case_set(k, lane, all, expr_splat(p, expr_real(p, DTYPE_F32, 0), LANES)),
              case_for(k, 1, case_int(k, N / LANES), case_set(k, lane, case_int(k, 0), sum)),
              case_for(k, 2, case_int(k, N % LANES), case_set(k, lane, i, tail)), fold[0], fold[1], fold[2],
              fold[3], case_store(k, y, expr_axis(p, 0), expr_local(p, DTYPE_F32, lane, case_int(k, 0))));
    return c;
}

/* y[at[i]] = x[(i · stride) % N] where that is positive and i odd; stride is an argument. */
static Stmt *case_scatter_one(KernelCase *c, int x, int at, int y, Expr *i, int64_t elements)
{
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    Expr *n = case_int(k, elements), *from = expr_mod(p, expr_mul(p, i, expr_argument(p, 1)), n);
    Expr *place = case_apply(k, SCALAR_AND, case_load(k, at, i), expr_int(p, DTYPE_I32, 31));
    Expr *value = case_load(k, x, from);
    int t = case_temp(c, value);
    Expr *temp = expr_temp(p, DTYPE_F32, 1, t);
    Expr *positive = case_apply(k, SCALAR_LT, expr_real(p, DTYPE_F32, 0), temp);
    Expr *odd = case_apply(k, SCALAR_EQ, expr_mod(p, i, case_int(k, 2)), case_int(k, 1));
    Stmt *inner = case_if(k, odd, case_store(k, y, expr_cast(p, place, DTYPE_I64), temp));
    return BLOCK(case_let(k, t, value), case_if(k, positive, inner));
}

/* Gathered, compared, selected and stored in reverse, in vectors of 8. */
static Stmt *case_gather_row(KernelCase *c, int x, int at, int flags, int back, Expr *first, int64_t elements)
{
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    Expr *lanes = case_vector(k, first, 8);
    Expr *reversed = expr_ramp(p, expr_sub(p, case_int(k, elements - 1), first), -1, 8);
    Expr *index = case_apply(k, SCALAR_AND, case_load(k, at, lanes), expr_int(p, DTYPE_I32, 31));
    Expr *gathered = case_load(k, x, expr_cast(p, index, DTYPE_I64)), *other = case_load(k, x, lanes);
    int g = case_temp(c, gathered);
    Expr *got = expr_temp(p, DTYPE_F32, 8, g), *flag = case_apply(k, SCALAR_LE, got, other);
    int f = case_temp(c, flag);
    Expr *less = expr_temp(p, DTYPE_BOOL, 8, f), *bit = case_load(k, flags, lanes);
    Expr *chosen = expr_apply(p, SCALAR_SELECT, less, got, case_apply(k, SCALAR_NEG, other, NULL));
    Expr *counted = case_apply(k, SCALAR_ADD, chosen, expr_cast(p, less, DTYPE_F32));
    k->buffer.at[flags].read = true;
    return BLOCK(case_let(k, g, gathered), case_let(k, f, flag), case_store(k, flags, lanes, less),
                 case_store(k, flags, lanes, case_apply(k, SCALAR_XOR, bit, expr_int(p, DTYPE_BOOL, 1))),
                 case_store(k, back, reversed, counted));
}

static KernelCase *case_scatter(Arena *arena)
{
    enum { N = 48 };
    KernelCase *c = case_new(arena, "scatter", 2, N / 8);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    k->arguments = 2;
    c->argument[1] = 7;
    int x = case_buffer(c, DTYPE_F32, N, false), at = case_buffer(c, DTYPE_I32, N, false);
    int y = case_buffer(c, DTYPE_F32, N, true), flags = case_buffer(c, DTYPE_BOOL, N, true);
    int back = case_buffer(c, DTYPE_F32, N, true);
    Expr *first = expr_mul(p, expr_axis(p, 0), case_int(k, 8)), *one = expr_add(p, first, expr_axis(p, 1));
    Stmt *scalar = case_for(k, 1, case_int(k, 8), case_scatter_one(c, x, at, y, one, N));
    k->body = case_append(scalar, case_gather_row(c, x, at, flags, back, first, N));
    return c;
}

/* Every library function of f32, of vectors and one by one; and square roots of f64. */
static KernelCase *case_functions(Arena *arena)
{
    enum { N = 128, LANES = 8 };
    static const ScalarOp ops[] = {SCALAR_EXP, SCALAR_LOG, SCALAR_TANH, SCALAR_ERF,   SCALAR_SIN,
                                   SCALAR_COS, SCALAR_POW, SCALAR_SQRT, SCALAR_FLOOR, SCALAR_ABS,
                                   SCALAR_MAX, SCALAR_MIN, SCALAR_RELU};
    enum { OPS = sizeof ops / sizeof *ops };
    KernelCase *c = case_new(arena, "functions", 2, N / LANES);
    Kernel *k = c->kernel;
    Exprs *p = k->pool;
    int x = case_buffer(c, DTYPE_F32, N, false), y = case_buffer(c, DTYPE_F32, N * OPS, true);
    int z = case_buffer(c, DTYPE_F32, N * OPS, true), w = case_buffer(c, DTYPE_F64, N, true);
    Expr *first = expr_mul(p, expr_axis(p, 0), case_int(k, LANES)),
         *one = expr_add(p, first, expr_axis(p, 1));
    Stmt *vectors = NULL, *scalars = NULL;
    for (int op = 0; op < OPS; op++) {
        Expr *offset = case_int(k, N * op), *other = expr_real(p, DTYPE_F32, 1.75);
        Expr *row =
            expr_expand(p, case_apply(k, ops[op], case_load(k, x, case_vector(k, first, LANES)), other));
        Expr *single = expr_expand(p, case_apply(k, ops[op], case_load(k, x, one), other));
        Expr *to = case_vector(k, expr_add(p, first, offset), LANES);
        vectors = case_append(vectors, case_store_shared(c, y, to, row));
        scalars = case_append(scalars, case_store_shared(c, z, expr_add(p, one, offset), single));
    }
    Expr *wide = case_apply(k, SCALAR_ABS, expr_cast(p, case_load(k, x, one), DTYPE_F64), NULL);
    scalars = case_append(scalars, case_store(k, w, one, case_apply(k, SCALAR_SQRT, wide, NULL)));
    k->body = case_append(vectors, case_for(k, 1, case_int(k, LANES), scalars));
    return c;
}

typedef KernelCase *MakeCase(Arena *arena);
static MakeCase *const kernel_cases[] = {case_add,      case_matmul, case_window,  case_bytes,
                                         case_integers, case_lanes,  case_scatter, case_functions};
enum { CASE_COUNT = sizeof kernel_cases / sizeof *kernel_cases };

/* ---- buffers ---- */

typedef struct CaseMemory {
    void *buffer[CASE_BUFFERS];
} CaseMemory;

static float case_float(uint64_t random)
{
    static const float special[] = {0, -0.0f, 1, -1, 1e-40f, 1e30f, -1e30f, 88.8f, -103.5f, 0.5f};
    if (random % 16 == 0)
        return special[random / 16 % (sizeof special / sizeof *special)];
    return ((float)(random >> 40) * 0x1p-23f - 1) * (float)(1 << (random >> 8) % 8);
}

/* Read buffers hold numbers of all kinds, but no NaN; written ones the byte 0xAA. */
static inline void case_fill(const KernelCase *c, CaseMemory *memory)
{
    uint64_t random = 12345;
    for (int i = 0; i < c->kernel->buffer.count; i++) {
        DType dtype = c->kernel->buffer.at[i].dtype;
        memory->buffer[i] = aligned_alloc(64, CASE_ROOM);
        if (!memory->buffer[i])
            abort();
        memset(memory->buffer[i], 0xAA, CASE_ROOM);
        for (int64_t n = 0; c->kernel->buffer.at[i].read && n < c->elements[i]; n++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            uint64_t bits = random >> 11 & (n % 5 ? UINT64_MAX : 0xf);
            float number = case_float(random >> 11);
            char *at = (char *)memory->buffer[i] + n * dtype_info[dtype].bytes;
            memcpy(at, dtype == DTYPE_F32 ? (void *)&number : &bits, (size_t)dtype_info[dtype].bytes);
        }
    }
}

static inline void case_free(const KernelCase *c, CaseMemory *memory)
{
    for (int i = 0; i < c->kernel->buffer.count; i++)
        free(memory->buffer[i]);
}

#endif
