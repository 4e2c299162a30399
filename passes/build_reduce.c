/* The trees of a reduction as loops over a tile of accumulators. The order of additions is the Compute's: here it is only
   spelled. */
#include "build.h"

#include <math.h>

enum {
    MOST_LEVELS = 40,   /* of pairwise addition: leaves are fewer than 2^40 */
    LEAVES_WORK = 4,    /* vector operations that the leaves of a tree take, beside the chain */
    MOST_UNROLLED = 64, /* vector operations that a tile writes out for what it does once */
};

typedef struct Reducer {
    const Reduction *reduction;
    Expr *term;
    Expr *number; /* LEAVES: ctz(leaf + 1), or the level in the last additions */
    int first;    /* of the chain's axes; those before number the leaves */
    int levels;
    int lanes;
    Expr *start, *length; /* of a strip of terms along the axis `strip_axis`; NULL: there are no strips */
    Expr *within;         /* which of a strip's terms */
    Expr *turn, *turns;   /* of the tiles: which, of how many */
    Expr *complete;       /* LEAVES: how many levels of the stack are, after this leaf */
    int strip_axis;
    Expr *staged; /* the operand that is read from its copy; NULL: none */
    Expr *rows;   /* so is this one, whose rows lie along row_axis */
    int row_axis;
    Expr *row_tile;       /* which tile's rows are copied */
    Expr *place;          /* in the block, not of a tile; NULL: of a tile */
    bool in_memory;       /* leaves below work on the block's accumulators, not on the tile's; */
    bool stacks_in_block; /* if the tile's, its stacks are the block's nevertheless */
    bool rolled; /* what a tile does once, not for each term, are loops over accumulators in memory */
} Reducer;

/* An accumulator: of the tile, in registers; or of the block of tiles that the inner loops run over, in memory. */
typedef struct Slot {
    int local;
    Expr *at;
} Slot;

/* All tiles of the inner loops, one after another. */
static int64_t block_elements(const Builder *b) { return build_tile_elements(b) * build_tile_count(b); }

static Expr *place_in_block(Builder *b, const Reducer *x)
{
    if (x->place)
        return x->place;
    Expr *tile = expr_mul(b->pool, build_tile_number(b), build_int(b, build_tile_elements(b)));
    return expr_add(b->pool, tile, b->place);
}

static Slot accumulator(Builder *b, const Reducer *x, const Tile *tile, int piece, Expr *slot)
{
    DType dtype = x->term->dtype;
    if (x->in_memory && b->schedule->inner)
        return (Slot){build_local(b, "block", dtype, block_elements(b)), place_in_block(b, x)};
    const char *kind = x->in_memory ? "block" : "sum";
    const char *name = arena_printf(b->arena, "%s%d", kind, tile->piece[piece].lanes);
    return (Slot){build_local(b, name, dtype, tile_slots(tile, piece)), slot};
}

/* Level x->number of the stack of an accumulator. */
static Slot stack_of(Builder *b, const Reducer *x, const Tile *tile, int piece, Expr *slot)
{
    Slot sum = accumulator(b, x, tile, piece, slot);
    bool block = (x->in_memory && b->schedule->inner) || x->stacks_in_block;
    int64_t elements = block ? block_elements(b) : build_tile_elements(b);
    const char *name = block ? "stack" : arena_printf(b->arena, "stack%d", tile->piece[piece].lanes);
    if (block)
        sum.at = place_in_block(b, x);
    Expr *at = expr_add(b->pool, expr_mul(b->pool, x->number, build_int(b, elements)), sum.at);
    return (Slot){build_local(b, name, x->term->dtype, elements * x->levels), at};
}

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

static Stmt *set(Builder *b, Slot slot, Expr *value)
{
    return build_stmt(b, (Stmt){.kind = STMT_SET, .index = slot.local, .at = slot.at, .value = value});
}

static Expr *get(Builder *b, Slot slot)
{
    return expr_local(b->pool, b->kernel->local.at[slot.local].dtype, slot.local, slot.at);
}

/* ---- leaves of the tile walk ---------------------------------------------------------------------------- */

static Stmt *clear_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    return set(b, accumulator(b, x, tile, piece, slot), identity(b, x->reduction, x->term->dtype));
}

/* The number of a term in its strip, of so many. */
static Expr *term_in_strip(Builder *b, const Reducer *x, int64_t *terms)
{
    const Reduction *r = x->reduction;
    Expr *term = x->within;
    *terms = b->schedule->strip;
    for (int i = x->first + b->schedule->blocked + 1; i < r->axes; i++) {
        int64_t extent = b->compute->axis.at[r->axis[i]].extent.count;
        *terms *= extent;
        term =
            expr_add(b->pool, expr_mul(b->pool, term, build_int(b, extent)), expr_axis(b->pool, r->axis[i]));
    }
    return term;
}

/* Where the copy of a strip's terms has those of a piece: term by term, each a row of the tile's columns. */
static Slot stage_slot(Builder *b, const Reducer *x, const Tile *tile, int piece)
{
    int64_t terms, columns = tile->piece[piece].of * tile->piece[piece].lanes;
    Expr *term = term_in_strip(b, x, &terms);
    const char *name = arena_printf(b->arena, "stage%d", tile->piece[piece].lanes);
    Expr *at = expr_add(b->pool, expr_mul(b->pool, term, build_int(b, columns)), b->column);
    return (Slot){build_local(b, name, x->staged->dtype, terms * columns), at};
}

static Stmt *stage_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    (void)slot;
    return set(b, stage_slot(b, x, tile, piece), build_substitute(b, x->staged));
}

/* Where the copy of the rows has one of them: tile by tile, in each term by term. */
static Slot row_slot(Builder *b, const Reducer *x, Expr *number, Expr *row)
{
    int64_t terms, height = b->schedule->tile[x->row_axis];
    Expr *at = expr_mul(b->pool, term_in_strip(b, x, &terms), build_int(b, height));
    int64_t length = terms * height + STAGE_GAP;
    at = expr_add(b->pool, expr_mul(b->pool, number, build_int(b, length)), expr_add(b->pool, at, row));
    int64_t tiles = schedule_rows(b->compute, b->schedule, x->row_axis) / height;
    return (Slot){build_local(b, "rows", x->rows->dtype, tiles * length), at};
}

static Expr *row_of(Builder *b, const Reducer *x)
{
    const Schedule *s = b->schedule;
    Expr *number = s->chunk && s->chunk_axis == x->row_axis ? b->chunk_tile : b->outer[x->row_axis];
    Expr *row = s->tile[x->row_axis] > 1 ? b->inner[x->row_axis] : build_int(b, 0);
    return get(b, row_slot(b, x, number, row));
}

static Expr *term_of(Builder *b, const Reducer *x, const Tile *tile, int piece)
{
    if (!x->staged)
        return build_substitute(b, x->term);
    Expr *copy = get(b, stage_slot(b, x, tile, piece)), *arg[2];
    for (int i = 0; i < 2; i++) {
        Expr *operand = x->term->arg[i];
        arg[i] = operand == x->staged ? copy
                 : operand == x->rows ? row_of(b, x)
                                      : build_substitute(b, operand);
    }
    return expr_apply(b->pool, x->term->op, arg[0], arg[1], NULL);
}

static Stmt *term_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    Slot sum = accumulator(b, x, tile, piece, slot);
    return set(b, sum, accumulate(b, x->reduction, get(b, sum), term_of(b, x, tile, piece)));
}

/* Between the block in memory and the tile in registers. */
static Stmt *fetch_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    Reducer tile_sum = *(const Reducer *)context, block_sum = tile_sum;
    tile_sum.in_memory = false;
    block_sum.in_memory = true;
    return set(b, accumulator(b, &tile_sum, tile, piece, slot),
               get(b, accumulator(b, &block_sum, tile, piece, slot)));
}

static Stmt *put_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    Reducer tile_sum = *(const Reducer *)context, block_sum = tile_sum;
    tile_sum.in_memory = false;
    block_sum.in_memory = true;
    return set(b, accumulator(b, &block_sum, tile, piece, slot),
               get(b, accumulator(b, &tile_sum, tile, piece, slot)));
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
    Expr *result = get(b, accumulator(b, x, tile, piece, slot));
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

static Stmt *merge_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    Slot sum = accumulator(b, x, tile, piece, slot);
    Expr *older = get(b, stack_of(b, x, tile, piece, slot));
    return set(b, sum, expr_apply(b->pool, x->reduction->op, older, get(b, sum), NULL));
}

static Stmt *push_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    return set(b, stack_of(b, x, tile, piece, slot), get(b, accumulator(b, x, tile, piece, slot)));
}

static Stmt *pop_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    const Reducer *x = context;
    return set(b, accumulator(b, x, tile, piece, slot), get(b, stack_of(b, x, tile, piece, slot)));
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

/* A whole chain on one tile. */
static Stmt *chain(Builder *b, const Tile *tile, Reducer *x)
{
    Stmt *all = build_tile(b, tile, clear_leaf, x);
    build_append(&all,
                 around(b, x->reduction, x->first, x->reduction->axes, build_tile(b, tile, term_leaf, x)));
    if (x->rolled) {
        build_append(&all, build_tile(b, tile, put_leaf, x));
        x->in_memory = true;
    }
    return all;
}

static Visit count_visitor(Expr *e, void *context)
{
    if (e->kind == EXPR_REDUCE)
        return VISIT_PAST;
    *(int *)context += e->kind == EXPR_APPLY && dtype_is_float(e->dtype);
    return VISIT_DEEPER;
}

/* A loop costs a trip through memory, and saves code: an optimizer's update, sixteen times, is more than all else. */
static bool worth_rolling(Builder *b, const Tile *tile, const Reducer *x)
{
    int work = x->reduction->tree == TREE_LEAVES ? LEAVES_WORK : 0;
    int64_t vectors = 0;
    for (int i = 0; i < b->compute->store.count; i++)
        expr_visit(b->pool, b->compute->store.at[i].value, count_visitor, &work);
    for (int p = 0; p < tile->pieces; p++)
        vectors += tile_slots(tile, p) / tile->piece[p].of / tile->piece[p].lanes * tile->piece[p].count;
    return work * vectors > MOST_UNROLLED;
}

/* ---- a chain in blocks: its first axes run outside the tiles ----------------------------------------------- */

typedef struct Walk { /* one leaf for every tile */
    Reducer *reducer;
    TileLeaf *leaf;
} Walk;

static Stmt *walk_body(Builder *b, const Tile *tile, void *context)
{
    const Walk *w = context;
    return build_tile(b, tile, w->leaf, w->reducer);
}

static Stmt *walk(Builder *b, Reducer *x, TileLeaf *leaf)
{
    Walk w = {x, leaf};
    b->rolled = true;
    Stmt *all = build_tiles(b, walk_body, &w);
    b->rolled = false;
    return all;
}

/* The leaf for all that the block holds, without a look at tiles. */
static Stmt *everywhere_in_block(Builder *b, Reducer *x, TileLeaf *leaf)
{
    int lanes = b->schedule->vector < 0 ? 1 : b->schedule->lanes;
    int64_t vectors = block_elements(b) / lanes;
    int vector = build_axis(b, size_of(vectors)), lane = lanes > 1 ? build_axis(b, size_of(lanes)) : -1;
    x->place = expr_mul(b->pool, expr_axis(b->pool, vector), build_int(b, lanes));
    if (lane >= 0)
        x->place = expr_add(b->pool, x->place, expr_axis(b->pool, lane));
    Stmt *all = leaf(b, NULL, 0, NULL, x);
    x->place = NULL;
    if (lane >= 0)
        all = build_for(b, LOOP_VECTOR, lane, build_int(b, lanes), all);
    return build_for(b, LOOP_SERIAL, vector, build_int(b, vectors), all);
}

typedef struct Fetch {
    Builder *b;
    Stmt *all;
} Fetch;

static Visit fetch_visitor(Expr *e, void *context)
{
    Fetch *f = context;
    if (e->kind == EXPR_REDUCE)
        return VISIT_PAST;
    if (e->kind == EXPR_LOAD && e->count == 1 && expr_uses_axis(e->arg[0], f->b->schedule->vector)) {
        Expr *at = build_substitute(f->b, e->arg[0]);
        build_append(&f->all, build_stmt(f->b, (Stmt){.kind = STMT_PREFETCH, .index = e->index, .at = at}));
    }
    return VISIT_DEEPER;
}

/* What the tile's results are made of besides sums, and where they go. */
static Stmt *prefetch_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    Fetch f = {b, NULL};
    (void)tile, (void)piece, (void)slot, (void)context;
    for (int i = 0; i < b->compute->store.count; i++) {
        const ComputeStore *s = &b->compute->store.at[i];
        expr_visit(b->pool, s->value, fetch_visitor, &f);
        Expr *at = build_substitute(b, s->at);
        build_append(&f.all, build_stmt(b, (Stmt){.kind = STMT_PREFETCH, .index = s->buffer, .at = at}));
    }
    return f.all;
}

static Stmt *prefetch_results(Builder *b, const Tile *tile, Reducer *x)
{
    return build_tile(b, tile, prefetch_leaf, x);
}

typedef Stmt *TileStep(Builder *b, const Tile *tile, Reducer *x);

static Stmt *begin_sums(Builder *b, const Tile *tile, Reducer *x)
{
    return build_tile(b, tile, clear_leaf, x);
}

static Stmt *fetch_sums(Builder *b, const Tile *tile, Reducer *x)
{
    return build_tile(b, tile, fetch_leaf, x);
}

static Stmt *put_sums(Builder *b, const Tile *tile, Reducer *x) { return build_tile(b, tile, put_leaf, x); }

static Stmt *add_term(Builder *b, const Tile *tile, Reducer *x) { return build_tile(b, tile, term_leaf, x); }

static Stmt *copy_term(Builder *b, const Tile *tile, Reducer *x)
{
    return build_tile(b, tile, stage_leaf, x);
}

static Stmt *finish_sums(Builder *b, const Tile *tile, Reducer *x);

/* The chain's axes within a block or strip. */
static Stmt *around_terms(Builder *b, Reducer *x, TileStep *step, const Tile *tile)
{
    const Reduction *r = x->reduction;
    int first = x->first + b->schedule->blocked;
    if (!x->start)
        return around(b, r, first, r->axes, step(b, tile, x));
    int term = build_axis(b, size_of(b->schedule->strip));
    x->within = expr_axis(b->pool, term);
    b->with[x->strip_axis] = expr_add(b->pool, x->start, x->within);
    Stmt *all = around(b, r, first + 1, r->axes, step(b, tile, x));
    b->with[x->strip_axis] = expr_axis(b->pool, x->strip_axis);
    return build_for(b, LOOP_SERIAL, term, x->length, all);
}

/* What never happens is not built: it would ask for locals. */
static void append_when(Builder *b, Stmt **all, Expr *condition, TileStep *step, const Tile *tile, Reducer *x)
{
    int64_t holds;
    bool known = expr_is_int(condition, &holds);
    if (known && holds)
        build_append(all, step(b, tile, x));
    if (!known)
        build_append(all,
                     build_stmt(b, (Stmt){.kind = STMT_IF, .value = condition, .body = step(b, tile, x)}));
}

/* The tile's sums begin with the first turn and are done after the last; only between turns do they wait in the block. */
static Stmt *take_turn(Builder *b, const Tile *tile, void *context)
{
    Reducer x = *(Reducer *)context;
    Exprs *pool = b->pool;
    Expr *zero = build_int(b, 0), *one = build_int(b, 1), *next = expr_add(pool, x.turn, one);
    Stmt *all = NULL;
    x.in_memory = false;
    append_when(b, &all, expr_less(pool, x.turn, one), begin_sums, tile, &x);
    append_when(b, &all, expr_less(pool, zero, x.turn), fetch_sums, tile, &x);
    if (b->schedule->prefetch)
        append_when(b, &all, expr_less(pool, x.turns, expr_add(pool, next, one)), prefetch_results, tile, &x);
    build_append(&all, around_terms(b, &x, add_term, tile));
    append_when(b, &all, expr_less(pool, next, x.turns), put_sums, tile, &x);
    append_when(b, &all, expr_less(pool, x.turns, expr_add(pool, next, one)), finish_sums, tile, &x);
    return all;
}

static Stmt *copy_row(Builder *b, Reducer *x)
{
    const Schedule *s = b->schedule;
    int64_t height = s->tile[x->row_axis];
    int lane = height > 1 ? build_axis(b, size_of(height)) : -1;
    Expr *row = lane < 0 ? build_int(b, 0) : expr_axis(b->pool, lane);
    Expr *first = expr_mul(b->pool, x->row_tile, build_int(b, height));
    if (s->chunk && s->chunk_axis == x->row_axis)
        first = expr_add(b->pool, expr_mul(b->pool, b->chunk, build_int(b, s->chunk * height)), first);
    for (int a = 0; a < s->outputs; a++)
        b->with[a] = b->outer[a]; /* not used if it is a loop inside */
    b->with[x->row_axis] = expr_add(b->pool, first, row);
    Stmt *all = set(b, row_slot(b, x, x->row_tile, row), build_substitute(b, x->rows));
    return lane < 0 ? all : build_for(b, LOOP_VECTOR, lane, build_int(b, height), all);
}

static Stmt *copy_rows(Builder *b, const Tile *none, Reducer *x)
{
    (void)none;
    int64_t tiles = schedule_rows(b->compute, b->schedule, x->row_axis) / b->schedule->tile[x->row_axis];
    int tile = build_axis(b, size_of(tiles));
    x->row_tile = expr_axis(b->pool, tile);
    return build_for(b, LOOP_SERIAL, tile, build_int(b, tiles), copy_row(b, x));
}

static Stmt *copy_strip(Builder *b, const Tile *tile, void *context)
{
    return around_terms(b, context, copy_term, tile);
}

/* Each strip of the first axis that is not blocked is a turn, or all of its terms are one. An empty chain has a turn, too, for
   its sums begin and end. Within blocks all turns are in the midst: sums began before, and end behind them. */
static Stmt *strips(Builder *b, Reducer *x)
{
    Exprs *pool = b->pool;
    int64_t strip = b->schedule->strip, number = 1, all_terms = 0;
    Expr *one = build_int(b, 1), *turn = build_int(b, 0), *turns = one, *size = build_int(b, strip);
    int axis = -1;
    if (strip) {
        x->strip_axis = x->reduction->axis[x->first + b->schedule->blocked];
        x->staged = b->schedule->stage ? schedule_staged(b->compute, b->schedule) : NULL;
        x->rows =
            b->schedule->stage_rows ? schedule_staged_rows(b->compute, b->schedule, &x->row_axis) : NULL;
        Expr *extent = extent_of(b, x->strip_axis);
        turns = expr_div(pool, expr_add(pool, extent, build_int(b, strip - 1)), size);
        bool known = expr_is_int(turns, &number) && expr_is_int(extent, &all_terms);
        if (!known)
            turns = expr_apply(pool, SCALAR_SELECT, expr_less(pool, turns, one), one, turns);
        axis = known && number == 1 ? -1 : build_axis(b, known ? size_of(number) : (Size){-1, 0});
        turn = axis < 0 ? turn : expr_axis(pool, axis);
        x->start = expr_mul(pool, turn, size);
        bool whole = known && all_terms % strip == 0;
        x->length = whole ? size : build_min(b, size, expr_sub(pool, extent, x->start));
    }
    x->turn = b->schedule->blocked ? one : turn;
    x->turns = b->schedule->blocked ? build_int(b, 3) : turns;
    Stmt *all = x->rows ? around_terms(b, x, copy_rows, NULL) : NULL;
    int shared = x->staged ? schedule_shared(b->schedule, x->staged) : 0;
    build_append(&all, x->staged ? build_copied_tiles(b, shared, copy_strip, take_turn, x)
                                 : build_tiles(b, take_turn, x));
    x->start = NULL;
    return axis < 0 ? all : build_for(b, LOOP_SERIAL, axis, turns, all);
}

static Stmt *blocked_chain(Builder *b, Reducer *x)
{
    Stmt *all = everywhere_in_block(b, x, clear_leaf);
    int end = x->first + b->schedule->blocked;
    build_append(&all, around(b, x->reduction, x->first, end, strips(b, x)));
    return all;
}

/* ---- lanes ------------------------------------------------------------------------------------------------ */

static Slot lane_slot(const Reducer *x, Expr *lane) { return (Slot){x->lanes, lane}; }

/* Term i goes to lane i mod 16; `lane` is the place within the row of 16 that starts at `start`. */
static Stmt *lane_step(Builder *b, const Reducer *x, int axis, Expr *start, Expr *lane)
{
    Slot sum = lane_slot(x, lane);
    Expr *kept = b->with[axis];
    b->with[axis] = expr_add(b->pool, start, lane);
    Stmt *step = set(b, sum, accumulate(b, x->reduction, get(b, sum), build_substitute(b, x->term)));
    b->with[axis] = kept;
    return step;
}

/* The first `count` lanes of one row, as vectors of powers of two. */
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
    Expr *first = get(b, lane_slot(x, low)), *second = get(b, lane_slot(x, high));
    Stmt *step = set(b, lane_slot(x, low), expr_apply(b->pool, x->reduction->op, first, second, NULL));
    return loop >= 0 ? build_for(b, LOOP_VECTOR, loop, build_int(b, half), step) : step;
}

/* One output element, reduced along one axis by lanes; the sum goes to the accumulator. */
static Stmt *reduce_lanes(Builder *b, const Tile *tile, Reducer *x)
{
    const Reduction *r = x->reduction;
    int axis = r->axis[r->axes - 1];
    Size extent = b->compute->axis.at[axis].extent;
    Exprs *pool = b->pool;
    Stmt *all = NULL;
    Expr *row_length = build_int(b, TREE_LANE_COUNT), *nothing = identity(b, r, x->term->dtype);
    x->lanes = build_local(b, "lanes", x->term->dtype, TREE_LANE_COUNT);
    int clear = build_axis(b, size_of(TREE_LANE_COUNT));
    Stmt *cleared = set(b, lane_slot(x, expr_axis(pool, clear)), nothing);
    build_append(&all, build_for(b, LOOP_VECTOR, clear, row_length, cleared));

    Size rows = {extent.power ? -1 : extent.count / TREE_LANE_COUNT, 0};
    Expr *whole = expr_div(pool, expr_size(pool, extent), row_length);
    if (rows.count) {
        int row = build_axis(b, rows);
        Stmt *step = lane_row(b, x, axis, expr_mul(pool, expr_axis(pool, row), row_length), TREE_LANE_COUNT);
        build_append(&all, build_for(b, LOOP_SERIAL, row, whole, step));
    }
    Expr *rest_start = expr_mul(pool, whole, row_length);
    if (extent.power == 0) {
        build_append(&all, lane_row(b, x, axis, rest_start, extent.count % TREE_LANE_COUNT));
    } else {
        int rest = build_axis(b, size_of(TREE_LANE_COUNT));
        Stmt *step = lane_step(b, x, axis, rest_start, expr_axis(pool, rest));
        build_append(
            &all, build_for(b, LOOP_SERIAL, rest, expr_mod(pool, expr_size(pool, extent), row_length), step));
    }
    for (int half = TREE_LANE_COUNT / 2; half > 0; half /= 2)
        build_append(&all, add_halves(b, x, half));
    Expr *zero = build_int(b, 0);
    build_append(&all, set(b, accumulator(b, x, tile, 0, zero), get(b, lane_slot(x, zero))));
    return all;
}

/* ---- leaves, pairwise ------------------------------------------------------------------------------------- */

typedef Stmt *Everywhere(Builder *b, const Tile *tile, Reducer *x, TileLeaf *leaf);

static Stmt *on_tile(Builder *b, const Tile *tile, Reducer *x, TileLeaf *leaf)
{
    b->rolled = x->in_memory;
    Stmt *all = build_tile(b, tile, leaf, x);
    b->rolled = false;
    return all;
}

static Stmt *on_block(Builder *b, const Tile *tile, Reducer *x, TileLeaf *leaf)
{
    (void)tile;
    return b->schedule->blocked ? everywhere_in_block(b, x, leaf) : walk(b, x, leaf);
}

static int levels_for(const Expr *count)
{
    int64_t leaves;
    if (!expr_is_int(count, &leaves))
        return MOST_LEVELS;
    int levels = 1;
    for (; leaves > 1; leaves /= 2)
        levels++;
    return levels;
}

/* In the order of a binary counter: after leaf i, as many pairs are complete as i + 1 has trailing zeros; level l of the
   stack holds the sum of 2^l leaves. */
static Stmt *add_leaf(Builder *b, const Tile *tile, Reducer *x, Everywhere *everywhere)
{
    int level = build_axis(b, size_of(x->levels));
    x->number = expr_axis(b->pool, level);
    Stmt *all = build_for(b, LOOP_SERIAL, level, x->complete, everywhere(b, tile, x, merge_leaf));
    x->number = x->complete;
    build_append(&all, everywhere(b, tile, x, push_leaf));
    return all;
}

static Stmt *finish_sums(Builder *b, const Tile *tile, Reducer *x)
{
    if (x->reduction->tree == TREE_LEAVES) {
        x->stacks_in_block = true;
        return add_leaf(b, tile, x, on_tile);
    }
    Stmt *all = NULL;
    if (worth_rolling(b, tile, x)) {
        all = build_tile(b, tile, put_leaf, x);
        x->in_memory = true;
    }
    build_append(&all, on_tile(b, tile, x, result_leaf));
    return all;
}

/* A number with as many trailing zeros, which are fewer than levels even if there are no leaves at all. */
static Expr *within_levels(Builder *b, const Reducer *x, Expr *count)
{
    int64_t known;
    if (expr_is_int(count, &known))
        return count;
    return expr_apply(b->pool, SCALAR_OR, count, build_int(b, (int64_t)1 << (x->levels - 1)), NULL);
}

/* The sum of all leaves. tile is NULL if the tiles take turns on a leaf. */
static Stmt *reduce_leaves(Builder *b, const Tile *tile, Reducer *x)
{
    const Reduction *r = x->reduction;
    Everywhere *everywhere = tile ? on_tile : on_block;
    Exprs *pool = b->pool;
    Expr *leaf = build_int(b, 0), *count = build_int(b, 1), *one = build_int(b, 1);
    for (int i = 0; i < r->leaf; i++) {
        Expr *extent = extent_of(b, r->axis[i]);
        leaf = expr_add(pool, expr_mul(pool, leaf, extent), expr_axis(pool, r->axis[i]));
        count = expr_mul(pool, count, extent);
    }
    x->levels = levels_for(count);
    x->complete = expr_apply(pool, SCALAR_CTZ, expr_add(pool, leaf, one), NULL, NULL);
    Stmt *body = NULL;
    if (!tile && !b->schedule->blocked)
        body = strips(b, x);
    else if (!tile)
        body = blocked_chain(b, x);
    else
        body = r->inner == TREE_LANES ? reduce_lanes(b, tile, x) : chain(b, tile, x);
    if (tile || b->schedule->blocked)
        build_append(&body, add_leaf(b, tile, x, everywhere));
    Stmt *all = around(b, r, 0, r->leaf, body);

    Expr *lowest = expr_apply(pool, SCALAR_CTZ, within_levels(b, x, count), NULL, NULL);
    x->number = lowest;
    build_append(&all, everywhere(b, tile, x, pop_leaf));
    int high = build_axis(b, size_of(x->levels));
    x->number = expr_axis(pool, high);
    Expr *bit = expr_apply(pool, SCALAR_AND, expr_apply(pool, SCALAR_SHR, count, x->number, NULL), one, NULL);
    Expr *is_set = expr_apply(pool, SCALAR_EQ, bit, one, NULL), *above = expr_less(pool, lowest, x->number);
    Expr *pending = expr_apply(pool, SCALAR_AND, is_set, above, NULL);
    Stmt *more =
        build_stmt(b, (Stmt){.kind = STMT_IF, .value = pending, .body = everywhere(b, tile, x, merge_leaf)});
    build_append(&all, build_for(b, LOOP_SERIAL, high, build_int(b, x->levels), more));
    return all;
}

/* ---- the reduction ---------------------------------------------------------------------------------------- */

static Stmt *one_tile(Builder *b, const Tile *tile, void *context)
{
    Reducer own = *(Reducer *)context, *x = &own;
    const Reduction *r = x->reduction;
    bool lanes = r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES);
    x->rolled = !lanes && worth_rolling(b, tile, x);
    Stmt *all = NULL;
    switch (x->reduction->tree) {
    case TREE_CHAIN:
        if (b->schedule->prefetch)
            all = prefetch_results(b, tile, x);
        build_append(&all, chain(b, tile, x));
        break;
    case TREE_LANES:
        all = reduce_lanes(b, tile, x);
        break;
    case TREE_LEAVES:
        all = reduce_leaves(b, tile, x);
        break;
    }
    build_append(&all, on_tile(b, tile, x, result_leaf));
    return all;
}

Stmt *build_reduction(Builder *b)
{
    Reducer x = {.reduction = b->compute->reduce->reduction, .term = b->compute->reduce->arg[0]};
    x.first = x.reduction->tree == TREE_LEAVES ? x.reduction->leaf : 0;
    if (!b->schedule->inner)
        return build_tiles(b, one_tile, &x);
    x.in_memory = true;
    if (x.reduction->tree == TREE_CHAIN && !b->schedule->blocked)
        return strips(b, &x);
    Stmt *all = x.reduction->tree == TREE_LEAVES ? reduce_leaves(b, NULL, &x) : blocked_chain(b, &x);
    build_append(&all, walk(b, &x, result_leaf));
    return all;
}
