/* The trees of a reduction as loops over a tile of accumulators. The order of additions is the Compute's: here it is only
   spelled. */
#include "build.h"

#include <math.h>

enum { LEVELS = 40 }; /* of pairwise addition: leaves are fewer than 2^40 */

typedef struct Reducer {
    const Reduction *reduction;
    Expr *term;
    Expr *number; /* LEAVES: ctz(leaf + 1), or the level in the last additions */
    int accumulator[MAX_PIECES], stack[MAX_PIECES], lanes;
} Reducer;

static Expr *identity(Builder *b, const Reduction *r, DType dtype)
{
    if (r->op == SCALAR_ADD)
        return expr_int(b->pool, dtype, 0);
    bool max = r->op == SCALAR_MAX;
    if (dtype_is_float(dtype))
        return expr_real(b->pool, dtype, max ? -INFINITY : INFINITY);
    int64_t most = dtype_info[dtype].bytes == 8 ? INT64_MAX : INT32_MAX;
    return expr_int(b->pool, dtype, max ? -most - 1 : most);
}

static Expr *accumulate(Builder *b, const Reduction *r, Expr *sum, Expr *term)
{
    if (r->fma && term->kind == EXPR_APPLY && term->op == SCALAR_MUL)
        return expr_apply(b->pool, SCALAR_FMA, term->arg[0], term->arg[1], sum);
    return expr_apply(b->pool, r->op, sum, term, NULL);
}

static Stmt *set(Builder *b, int local, Expr *at, Expr *value)
{
    return build_stmt(b, (Stmt){.kind = STMT_SET, .index = local, .at = at, .value = value});
}

static Expr *get(Builder *b, int local, Expr *at)
{
    return expr_local(b->pool, b->kernel->local.at[local].dtype, local, at);
}

/* ---- leaves of the tile walk ---------------------------------------------------------------------------- */

static Stmt *clear_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    (void)tile;
    return set(b, x->accumulator[piece], slot, identity(b, x->reduction, x->term->dtype));
}

static Stmt *term_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    (void)tile;
    Expr *sum = get(b, x->accumulator[piece], slot);
    return set(b, x->accumulator[piece], slot,
               accumulate(b, x->reduction, sum, build_substitute(b, x->term)));
}

static Expr *reduced_to_local(Exprs *pool, Expr *e, void *context)
{
    (void)pool;
    return e->kind == EXPR_REDUCE ? context : e;
}

static Stmt *result_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    Stmt *all = NULL;
    (void)tile;
    Expr *result = get(b, x->accumulator[piece], slot);
    for (int i = 0; i < b->compute->store.count; i++) {
        const ComputeStore *s = &b->compute->store.at[i];
        Expr *value = build_substitute(b, expr_rewrite(b->pool, s->value, reduced_to_local, result));
        build_append(&all, build_stmt(b, (Stmt){.kind = STMT_STORE,
                                                .index = s->buffer,
                                                .at = build_substitute(b, s->at),
                                                .value = value}));
    }
    return all;
}

static Expr *stack_slot(Builder *b, const Tile *tile, int piece, Expr *slot, Expr *level)
{
    return expr_add(b->pool, expr_mul(b->pool, level, build_int(b, tile_slots(tile, piece))), slot);
}

static Stmt *merge_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    Expr *older = get(b, x->stack[piece], stack_slot(b, tile, piece, slot, x->number));
    Expr *sum = expr_apply(b->pool, x->reduction->op, older, get(b, x->accumulator[piece], slot), NULL);
    return set(b, x->accumulator[piece], slot, sum);
}

static Stmt *push_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    return set(b, x->stack[piece], stack_slot(b, tile, piece, slot, x->number),
               get(b, x->accumulator[piece], slot));
}

static Stmt *pop_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    return set(b, x->accumulator[piece], slot,
               get(b, x->stack[piece], stack_slot(b, tile, piece, slot, x->number)));
}

/* ---- loops ---------------------------------------------------------------------------------------------- */

static Expr *extent_of(Builder *b, int axis)
{
    const ComputeAxis *a = &b->compute->axis.at[axis];
    return a->dynamic ? build_substitute(b, a->dynamic) : expr_size(b->pool, a->extent);
}

static Stmt *around(Builder *b, const Reduction *r, int first, int last, Stmt *body)
{
    for (int i = last - 1; i >= first; i--)
        body = build_for(b, LOOP_SERIAL, r->axis[i], extent_of(b, r->axis[i]), body);
    return body;
}

static Stmt *chain(Builder *b, const Tile *tile, Reducer *x, int first)
{
    Stmt *all = build_tile(b, tile, clear_leaf, x);
    build_append(&all, around(b, x->reduction, first, x->reduction->axes, build_tile(b, tile, term_leaf, x)));
    return all;
}

/* Term i goes to lane i mod 16; `lane` is the place within the row of 16 that starts at `start`. */
static Stmt *lane_step(Builder *b, const Reducer *x, int axis, Expr *start, Expr *lane)
{
    Expr *kept = b->with[axis];
    b->with[axis] = expr_add(b->pool, start, lane);
    Stmt *step = set(b, x->lanes, lane,
                     accumulate(b, x->reduction, get(b, x->lanes, lane), build_substitute(b, x->term)));
    b->with[axis] = kept;
    return step;
}

/* The lanes [offset, offset + count) of one row, as vectors of powers of two. */
static Stmt *lane_row(Builder *b, const Reducer *x, int axis, Expr *start, int64_t count)
{
    Stmt *all = NULL;
    int64_t offset = 0;
    for (int lanes = TREE_LANE_COUNT; lanes > 0; lanes /= 2) {
        if (!(count & lanes))
            continue;
        Expr *lane = build_int(b, offset);
        int loop = lanes > 1 ? build_axis(b, size_of(lanes)) : -1;
        if (loop >= 0)
            lane = expr_add(b->pool, lane, expr_axis(b->pool, loop));
        Stmt *step = lane_step(b, x, axis, start, lane);
        build_append(&all, loop >= 0 ? build_for(b, LOOP_VECTOR, loop, build_int(b, lanes), step) : step);
        offset += lanes;
    }
    return all;
}

static Stmt *add_halves(Builder *b, const Reducer *x, int half)
{
    int loop = half > 1 ? build_axis(b, size_of(half)) : -1;
    Expr *low = loop >= 0 ? expr_axis(b->pool, loop) : build_int(b, 0);
    Expr *high = expr_add(b->pool, low, build_int(b, half));
    Expr *sum = expr_apply(b->pool, x->reduction->op, get(b, x->lanes, low), get(b, x->lanes, high), NULL);
    Stmt *step = set(b, x->lanes, low, sum);
    return loop >= 0 ? build_for(b, LOOP_VECTOR, loop, build_int(b, half), step) : step;
}

/* One output element, reduced along one axis by lanes; the sum goes to the accumulator. */
static Stmt *lanes(Builder *b, const Tile *tile, Reducer *x)
{
    const Reduction *r = x->reduction;
    int axis = r->axis[r->axes - 1];
    Size extent = b->compute->axis.at[axis].extent;
    Exprs *pool = b->pool;
    Stmt *all = NULL;
    Expr *row_length = build_int(b, TREE_LANE_COUNT), *nothing = identity(b, r, x->term->dtype);
    x->lanes = build_local(b, "lanes", x->term->dtype, TREE_LANE_COUNT);
    int clear = build_axis(b, size_of(TREE_LANE_COUNT));
    build_append(&all, build_for(b, LOOP_VECTOR, clear, row_length,
                                 set(b, x->lanes, expr_axis(pool, clear), nothing)));

    Size rows = {extent.power ? -1 : extent.count / TREE_LANE_COUNT, 0};
    Expr *whole = expr_div(pool, expr_size(pool, extent), row_length);
    if (rows.count) {
        int row = build_axis(b, rows);
        Stmt *step = lane_row(b, x, axis, expr_mul(pool, expr_axis(pool, row), row_length), TREE_LANE_COUNT);
        build_append(&all, build_for(b, LOOP_SERIAL, row, whole, step));
    }
    if (extent.power == 0) {
        build_append(&all,
                     lane_row(b, x, axis, build_int(b, extent.count / TREE_LANE_COUNT * TREE_LANE_COUNT),
                              extent.count % TREE_LANE_COUNT));
    } else {
        int rest = build_axis(b, size_of(TREE_LANE_COUNT));
        Stmt *step = lane_step(b, x, axis, expr_mul(pool, whole, row_length), expr_axis(pool, rest));
        build_append(
            &all, build_for(b, LOOP_SERIAL, rest, expr_mod(pool, expr_size(pool, extent), row_length), step));
    }
    for (int half = TREE_LANE_COUNT / 2; half > 0; half /= 2)
        build_append(&all, add_halves(b, x, half));
    (void)tile;
    build_append(&all, set(b, x->accumulator[0], build_int(b, 0), get(b, x->lanes, build_int(b, 0))));
    return all;
}

/* Pairwise over the leaves in the order of a binary counter: after leaf i, as many pairs are complete as i + 1 has trailing
   zeros; level l of the stack holds the sum of 2^l leaves. */
static Stmt *leaves(Builder *b, const Tile *tile, Reducer *x)
{
    const Reduction *r = x->reduction;
    Exprs *pool = b->pool;
    Expr *leaf = build_int(b, 0), *count = build_int(b, 1), *one = build_int(b, 1);
    for (int i = 0; i < r->leaf; i++) {
        Expr *extent = extent_of(b, r->axis[i]);
        leaf = expr_add(pool, expr_mul(pool, leaf, extent), expr_axis(pool, r->axis[i]));
        count = expr_mul(pool, count, extent);
    }
    for (int p = 0; p < tile->pieces; p++) {
        const char *name = arena_printf(b->arena, "stack%d", tile->piece[p].lanes);
        x->stack[p] = build_local(b, name, x->term->dtype, LEVELS * tile_slots(tile, p));
    }
    Stmt *body = r->inner == TREE_LANES ? lanes(b, tile, x) : chain(b, tile, x, r->leaf);
    Expr *complete = expr_apply(pool, SCALAR_CTZ, expr_add(pool, leaf, one), NULL, NULL);
    int level = build_axis(b, size_of(LEVELS));
    x->number = expr_axis(pool, level);
    build_append(&body, build_for(b, LOOP_SERIAL, level, complete, build_tile(b, tile, merge_leaf, x)));
    x->number = complete;
    build_append(&body, build_tile(b, tile, push_leaf, x));
    Stmt *all = around(b, r, 0, r->leaf, body);

    Expr *lowest = expr_apply(pool, SCALAR_CTZ, count, NULL, NULL);
    x->number = lowest;
    build_append(&all, build_tile(b, tile, pop_leaf, x));
    int high = build_axis(b, size_of(LEVELS));
    x->number = expr_axis(pool, high);
    Expr *bit = expr_apply(pool, SCALAR_AND, expr_apply(pool, SCALAR_SHR, count, x->number, NULL), one, NULL);
    Expr *set_bit = expr_apply(pool, SCALAR_AND, expr_apply(pool, SCALAR_EQ, bit, one, NULL),
                               expr_apply(pool, SCALAR_LT, lowest, x->number, NULL), NULL);
    Stmt *more =
        build_stmt(b, (Stmt){.kind = STMT_IF, .value = set_bit, .body = build_tile(b, tile, merge_leaf, x)});
    build_append(&all, build_for(b, LOOP_SERIAL, high, build_int(b, LEVELS), more));
    return all;
}

Stmt *build_reduction(Builder *b, const Tile *tile)
{
    Reducer x = {.reduction = b->compute->reduce->reduction, .term = b->compute->reduce->arg[0]};
    for (int p = 0; p < tile->pieces; p++) {
        const char *name = arena_printf(b->arena, "sum%d", tile->piece[p].lanes);
        x.accumulator[p] = build_local(b, name, x.term->dtype, tile_slots(tile, p));
    }
    Stmt *all = NULL;
    switch (x.reduction->tree) {
    case TREE_CHAIN:
        all = chain(b, tile, &x, 0);
        break;
    case TREE_LANES:
        all = lanes(b, tile, &x);
        break;
    case TREE_LEAVES:
        all = leaves(b, tile, &x);
        break;
    }
    build_append(&all, build_tile(b, tile, result_leaf, &x));
    return all;
}
