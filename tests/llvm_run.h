/* For the tests of the LLVM backend: kernels made by hand, compiled and run. */
#ifndef NETC_TESTS_LLVM_RUN_H
#define NETC_TESTS_LLVM_RUN_H

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
    list_add(arena, &kernel->buffer, ((KernelBuffer){dtype, true, written}));
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

static void run_on(const Target *target, int level, void *const *buffers, int64_t batch_size, int64_t begin,
                   int64_t end)
{
    LlvmOptions options = {.target = target, .level = level, .verify = true, .diag = &diag};
    const char *fault = kernel_fault(kernel);
    ck_assert_msg(!fault, "%s", fault);
    LlvmJit *jit = llvm_jit_new(&kernel, 1, options);
    ck_assert_ptr_nonnull(jit);
    llvm_jit_function(jit, 0)(buffers, &batch_size, begin, end);
    llvm_jit_free(jit);
}

static void run_kernel(int level, void *const *buffers, int64_t batch_size, int64_t begin, int64_t end)
{
    run_on(target_native(), level, buffers, batch_size, begin, end);
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

#endif
