/* Index arithmetic: whatever the builders simplify has the value of what was written, for all axes and batches. */
#include "expr.h"
#include "ops.h"

#include <check.h>
#include <stdlib.h>

enum { AXES = 4 };

typedef struct World {
    Exprs *pool;
    Size extent[AXES];
    int64_t axis[AXES], batch;
} World;

static unsigned state;

static int draw(int below)
{
    state = state * 1664525u + 1013904223u;
    return (int)(state >> 8) % below;
}

/* The value by the definition of each node. */
static int64_t value(const World *w, const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST:
        return e->integer;
    case EXPR_AXIS:
        return w->axis[e->index];
    case EXPR_ARGUMENT:
        return w->batch;
    default:
        break;
    }
    int64_t a = value(w, e->arg[0]), b = value(w, e->arg[1]);
    switch (e->op) {
    case SCALAR_ADD:
        return a + b;
    case SCALAR_SUB:
        return a - b;
    case SCALAR_MUL:
        return a * b;
    case SCALAR_DIV:
        return a / b;
    case SCALAR_MOD:
        return a % b;
    case SCALAR_LT:
        return a < b;
    default:
        ck_abort_msg("unexpected %s", scalar_info[e->op].name);
    }
    return 0;
}

typedef struct Written { /* an expression, and its value at every world tried, by plain arithmetic */
    Expr *e;
    int64_t value;
} Written;

static Size random_extent(void) { return (Size){1 + draw(9), draw(4) == 0}; }

/* Made of axes by what views do: sums, products by sizes, quotients and remainders. Never negative. */
static Written random_index(World *w, int depth)
{
    if (depth == 0 || draw(5) == 0) {
        if (draw(4) == 0) {
            int64_t c = draw(20);
            return (Written){expr_int(w->pool, DTYPE_I64, c), c};
        }
        int a = draw(AXES);
        return (Written){expr_axis(w->pool, a), w->axis[a]};
    }
    Written a = random_index(w, depth - 1), b = random_index(w, depth - 1);
    Size by = random_extent();
    Expr *size = expr_size(w->pool, by);
    int64_t factor = size_at(by, w->batch);
    switch (draw(4)) {
    case 0:
        return (Written){expr_add(w->pool, a.e, b.e), a.value + b.value};
    case 1:
        return (Written){expr_mul(w->pool, a.e, size), a.value * factor};
    case 2:
        return (Written){expr_div(w->pool, a.e, size), a.value / factor};
    default:
        return (Written){expr_mod(w->pool, a.e, size), a.value % factor};
    }
}

static World random_world(Arena *arena, unsigned seed)
{
    state = seed;
    World w = {.pool = exprs_new(arena), .batch = 1 + draw(7)};
    for (int a = 0; a < AXES; a++) {
        w.extent[a] = random_extent();
        expr_set_extent(w.pool, a, w.extent[a]);
        w.axis[a] = draw((int)size_at(w.extent[a], w.batch));
    }
    return w;
}

START_TEST(simplified_is_equal)
{
    for (unsigned seed = 1; seed <= 40000; seed++) {
        Arena *arena = arena_new();
        World w = random_world(arena, seed);
        Written a = random_index(&w, 5), b = random_index(&w, 5);
        ck_assert_msg(value(&w, a.e) == a.value, "seed %u", seed);
        Expr *less = expr_less(w.pool, a.e, b.e);
        ck_assert_msg(value(&w, less) == (a.value < b.value), "seed %u: less", seed);
        Expr *difference = expr_sub(w.pool, a.e, b.e);
        ck_assert_msg(value(&w, difference) == a.value - b.value, "seed %u: difference", seed);
        ck_assert_ptr_eq(expr_add(w.pool, a.e, b.e), expr_add(w.pool, b.e, a.e));
        arena_free(arena);
    }
}
END_TEST

START_TEST(strides_are_true)
{
    int proven = 0;
    for (unsigned seed = 1; seed <= 20000; seed++) {
        Arena *arena = arena_new();
        World w = random_world(arena, seed);
        Expr *e = random_index(&w, 4).e;
        int axis = draw(AXES);
        int64_t stride, last = size_at(w.extent[axis], w.batch) - 1;
        if (last > 0 && expr_uses_axis(e, axis) && expr_stride(e, axis, &stride)) {
            w.axis[axis] = draw((int)last);
            int64_t here = value(&w, e);
            w.axis[axis]++;
            ck_assert_msg(value(&w, e) - here == stride, "seed %u", seed);
            proven++;
        }
        arena_free(arena);
    }
    ck_assert_int_gt(proven, 1000);
}
END_TEST

/* What a reshape there and back leaves: the axes themselves. */
START_TEST(reshape_cancels)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        Arena *arena = arena_new();
        state = seed;
        Exprs *pool = exprs_new(arena);
        int64_t a = 1 + draw(6), b = 1 + draw(6), c = 1 + draw(6);
        Type split = {DTYPE_F32, 4, {{1, 1}, {a, 0}, {b, 0}, {c, 0}}};
        Type joined = {DTYPE_F32, 2, {{a, 1}, {b * c, 0}}};
        Expr *at[MAX_RANK], *there[MAX_RANK], *back[MAX_RANK];
        for (int i = 0; i < 4; i++) {
            expr_set_extent(pool, i, split.dim[i]);
            at[i] = size_is_one(split.dim[i]) ? expr_int(pool, DTYPE_I64, 0) : expr_axis(pool, i);
        }
        reshape_index(pool, &split, at, &joined, there);
        reshape_index(pool, &joined, there, &split, back);
        for (int i = 0; i < 4; i++)
            ck_assert_msg(back[i] == at[i], "seed %u axis %d", seed, i);
        arena_free(arena);
    }
}
END_TEST

START_TEST(equal_is_one_and_shared_is_small)
{
    Arena *arena = arena_new();
    Exprs *pool = exprs_new(arena);
    Expr *x = expr_load(pool, DTYPE_F32, 0, expr_axis(pool, 0), NULL, NULL);
    ck_assert_ptr_eq(x, expr_load(pool, DTYPE_F32, 0, expr_axis(pool, 0), NULL, NULL));
    int before = exprs_count(pool);
    for (int i = 0; i < 30; i++) /* x := x · x is thirty nodes, not 2^30 */
        x = expr_apply(pool, SCALAR_MUL, x, x, NULL);
    ck_assert_int_eq(exprs_count(pool), before + 30);
    Expr *zero = expr_int(pool, DTYPE_I64, 0);
    ck_assert(!expr_uses_axis(expr_substitute(pool, x, &zero, 1), 0));
    arena_free(arena);
}
END_TEST

/* A sum of the two halves of a division is the number; and an axis put in where a sum collapses is put in once. */
START_TEST(halves_join_and_substitution_is_simultaneous)
{
    Arena *arena = arena_new();
    Exprs *pool = exprs_new(arena);
    Expr *i = expr_axis(pool, 0), *j = expr_axis(pool, 1), *seven = expr_int(pool, DTYPE_I64, 7);
    Expr *halves = expr_add(pool, expr_mul(pool, expr_div(pool, i, seven), seven), expr_mod(pool, i, seven));
    ck_assert_ptr_eq(halves, i);
    Expr *with[2] = {expr_int(pool, DTYPE_I64, 0), i};
    ck_assert_ptr_eq(expr_substitute(pool, expr_add(pool, expr_mul(pool, i, seven), j), with, 2), i);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("expr");
    TCase *cases = tcase_create("index");
    tcase_add_test(cases, simplified_is_equal);
    tcase_add_test(cases, strides_are_true);
    tcase_add_test(cases, reshape_cancels);
    tcase_add_test(cases, equal_is_one_and_shared_is_small);
    tcase_add_test(cases, halves_join_and_substitution_is_simultaneous);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
