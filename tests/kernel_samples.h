/* A kernel made by hand that has every kind of statement, for the tests of printers and verifiers. */
#ifndef NETC_KERNEL_SAMPLES_H
#define NETC_KERNEL_SAMPLES_H

#include "kernel.h"

static inline Stmt *stmt_new(Arena *arena, Stmt stmt) { return arena_copy(arena, &stmt, sizeof stmt); }

/* Statements one after the other; returns the first. */
static inline Stmt *stmt_chain(int count, Stmt *const *stmt)
{
    for (int i = 0; i + 1 < count; i++)
        stmt[i]->next = stmt[i + 1];
    return stmt[0];
}
#define CHAIN(...)                                                                                           \
    stmt_chain((int)(sizeof((Stmt *[]){__VA_ARGS__}) / sizeof(Stmt *)), (Stmt *[]){__VA_ARGS__})

/* x2[i0, 0 … 7] = sum(k < 3) x0[i0, k] · x1[k, 0 … 7], if i0 < a1; the parts by which the tests change it. */
typedef struct SampleKernel {
    Kernel *kernel;
    Exprs *pool;
    Arena *arena;
    Stmt *clear, *loop, *row, *add, *when, *store;
} SampleKernel;

static inline SampleKernel sample_kernel(Arena *arena)
{
    Exprs *pool = exprs_new(arena);
    Kernel *k = arena_alloc(arena, sizeof *k);
    *k = (Kernel){.name = "matmul_1",
                  .comment = "head: 1x8 tiles",
                  .pool = pool,
                  .axes = 2,
                  .arguments = 2,
                  .items = {1, {1, 1}, 1},
                  .item_axis = 0,
                  .flops = 48,
                  .bytes = 140};
    list_add(arena, &k->buffer, ((KernelBuffer){DTYPE_F32, true, false, false}));
    list_add(arena, &k->buffer, ((KernelBuffer){DTYPE_F32, true, false, false}));
    list_add(arena, &k->buffer, ((KernelBuffer){DTYPE_F32, false, true, false}));
    list_add(arena, &k->local, ((Local){DTYPE_F32, 8, 1, "sum"}));
    list_add(arena, &k->temp, DTYPE_F32);
    list_add(arena, &k->temp_lanes, 8);

    Expr *item = expr_axis(pool, 0), *inner = expr_axis(pool, 1), *zero = expr_int(pool, DTYPE_I64, 0);
    Expr *eight = expr_int(pool, DTYPE_I64, 8), *all = expr_ramp(pool, zero, 1, 8);
    Expr *x_at = expr_add(pool, expr_mul(pool, item, expr_int(pool, DTYPE_I64, 3)), inner);
    Expr *x = expr_splat(pool, expr_load(pool, DTYPE_F32, 0, x_at, NULL, NULL), 8);
    Expr *w = expr_load(pool, DTYPE_F32, 1, expr_ramp(pool, expr_mul(pool, inner, eight), 1, 8), NULL, NULL);
    Expr *sum = expr_local(pool, DTYPE_F32, 0, all);

    SampleKernel s = {.kernel = k, .pool = pool, .arena = arena};
    s.clear = stmt_new(arena, (Stmt){.kind = STMT_SET,
                                     .index = 0,
                                     .at = all,
                                     .value = expr_splat(pool, expr_real(pool, DTYPE_F32, 0), 8)});
    s.row = stmt_new(arena, (Stmt){.kind = STMT_LET, .index = 0, .value = x});
    s.add = stmt_new(arena,
                     (Stmt){.kind = STMT_SET,
                            .index = 0,
                            .at = zero,
                            .value = expr_apply(pool, SCALAR_FMA, expr_temp(pool, DTYPE_F32, 8, 0), w, sum)});
    s.loop = stmt_new(arena, (Stmt){.kind = STMT_FOR,
                                    .loop = LOOP_UNROLL,
                                    .index = 1,
                                    .extent = expr_int(pool, DTYPE_I64, 3),
                                    .body = CHAIN(s.row, s.add)});
    s.store = stmt_new(arena, (Stmt){.kind = STMT_STORE,
                                     .index = 2,
                                     .at = expr_ramp(pool, expr_mul(pool, item, eight), 1, 8),
                                     .value = sum});
    s.when = stmt_new(
        arena,
        (Stmt){.kind = STMT_IF, .value = expr_less(pool, item, expr_argument(pool, 1)), .body = s.store});
    k->body = CHAIN(s.clear, s.loop, s.when);
    return s;
}

#endif
