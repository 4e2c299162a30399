/* Schedules for a CPU: a pure function of Compute and Target. A contraction gets a tile of vector accumulators as large as
   the registers hold; everything else runs along the innermost axis in vectors. */
#include "form.h"
#include "ops.h"
#include "tune.h"

#include <string.h>

enum {
    FEW_PANELS = 8,    /* fewer column panels than this do not feed the threads */
    ENOUGH_ITEMS = 16, /* beside the samples, for there may be only one */
    FEW_SAMPLES = 32,
    TRANSPOSED_ROWS = 4,
    MANY_TRANSPOSED = 1 << 17,
    LONG_EXPRESSION = 60,  /* operations; one vector of such fills the pipelines */
    NEAR_CACHES = 2,       /* so many times the first cache is still near */
    MOST_WAITING = 2,      /* so many times the first cache may hold of accumulators that wait */
    MOST_EVEN_VECTORS = 5, /* in a tile whose vectors divide the axis */
    FEW_ITEMS = 8          /* enough for the threads where an item should be large */
};

static bool is_const(const Compute *c, int axis) { return c->axis.at[axis].extent.power == 0; }

/* What grows with the batch is taken to be of some length: a program without training has no nominal batch. */
static int64_t extent_at(const Compilation *p, const Compute *c, int axis)
{
    return size_at(c->axis.at[axis].extent, p->model->batch < FEW_SAMPLES ? FEW_SAMPLES : p->model->batch);
}

/* The largest power of two that is at most the vector and the axis. */
static int lanes_for(const Target *target, DType dtype, int64_t extent)
{
    int lanes = target->vector_lanes * 4 / (dtype_info[dtype].bytes < 4 ? 4 : dtype_info[dtype].bytes);
    while (lanes > 1 && lanes > extent)
        lanes /= 2;
    return lanes;
}

typedef struct Along {
    int vector, row;
} Along;

static Visit unit_visitor(Expr *e, void *context)
{
    const Along *along = context;
    int64_t stride;
    bool unit = e->kind != EXPR_LOAD ||
                (expr_stride(e->arg[0], along->vector, &stride) && (stride == 0 || stride == 1));
    return unit ? VISIT_DEEPER : VISIT_STOP;
}

/* All loads of e step by 0 or 1 along the axis. */
static bool loads_unit(const Compute *c, Expr *e, int axis)
{
    Along along = {axis, -1};
    return expr_visit(c->pool, e, unit_visitor, &along);
}

static bool stores_unit(const Compute *c, int axis)
{
    int64_t stride;
    for (int i = 0; i < c->store.count; i++)
        if (!expr_stride(c->store.at[i].at, axis, &stride) || stride != 1)
            return false;
    return true;
}

static Visit share_visitor(Expr *e, void *context)
{
    const Along *a = context;
    int64_t along, across;
    bool vector = e->kind == EXPR_LOAD && expr_stride(e->arg[0], a->vector, &along) && along == 1;
    return vector && (!expr_stride(e->arg[0], a->row, &across) || across != 0) ? VISIT_STOP : VISIT_DEEPER;
}

/* Loads that are vectors along `vector` stay the same along `row`: then a tile's rows share them. */
static bool rows_share(const Compute *c, Expr *e, int vector, int row)
{
    Along along = {vector, row};
    return expr_visit(c->pool, e, share_visitor, &along);
}

/* ---- tiles ---------------------------------------------------------------------------------------------- */

static Schedule plain(const Compute *c)
{
    Schedule s = {.outputs = c->outputs, .vector = -1, .lanes = 1};
    for (int a = 0; a < c->outputs; a++) {
        s.tile[a] = 1;
        s.order[a] = a;
    }
    return s;
}

/* Vectors along the last axis, `most` of them in a tile. */
static void vectorize_last(const Compilation *p, const Compute *c, Schedule *s, int most)
{
    int last = c->outputs - 1;
    if (last < 0 || !stores_unit(c, last))
        return;
    int64_t extent = is_const(c, last) ? c->axis.at[last].extent.count : INT64_MAX;
    int lanes = lanes_for(p->target, c->store.at[0].value->dtype, extent);
    if (lanes < 2)
        return;
    s->vector = last;
    s->lanes = lanes;
    s->tile[last] = extent < (int64_t)most * lanes ? extent : (int64_t)most * lanes;
}

/* Cycles that one step of a reduced loop takes on a tile: two fma and two loads a cycle, and no accumulator sooner again
   than LATENCY, a little more than the fma's own, since nothing is perfect. */
enum { LATENCY = 5, MOST_ROWS = 14, MOST_VECTORS = 4 };
#define UNEVEN 1.06 /* what a second variant for the last rows costs in code */

static double tile_cycles(int64_t rows, int64_t vectors)
{
    double fma = 0.5 * (double)(rows * vectors), loads = 0.5 * (double)(rows + vectors);
    double cycles = fma > loads ? fma : loads;
    return cycles > LATENCY ? cycles : LATENCY;
}

/* Vectors that a rest of fewer elements than a tile takes: whole ones, then powers of two. */
static int64_t vectors_of(int64_t extent, int lanes)
{
    return extent / lanes + __builtin_popcountll((uint64_t)(extent % lanes));
}

/* Of all tiles of rows by `extent` columns. */
static double cover_cycles(int64_t rows_extent, int64_t rows, int64_t extent, int64_t vectors, int lanes)
{
    int64_t wide = vectors * lanes, full = extent / wide, rest = vectors_of(extent % wide, lanes);
    int64_t tiles = rows_extent / rows, last = rows_extent % rows;
    double cycles =
        (double)tiles * ((double)full * tile_cycles(rows, vectors) + (rest ? tile_cycles(rows, rest) : 0));
    return cycles +
           (last ? (double)full * tile_cycles(last, vectors) + (rest ? tile_cycles(last, rest) : 0) : 0);
}

static int row_axis(const Compilation *p, const Compute *c, const Schedule *s)
{
    for (int a = c->outputs - 1; a >= 0; a--)
        if (a != s->vector && extent_at(p, c, a) > 1 && rows_share(c, c->reduce->arg[0], s->vector, a))
            return a;
    return -1;
}

/* The chain's first axis: the samples, or a shard's. */
static int first_of_chain(const Compute *c)
{
    const Reduction *r = c->reduce->reduction;
    return r->axis[r->tree == TREE_LEAVES ? r->leaf : 0];
}

static bool runs_over_samples(const Compute *c)
{
    int axis = first_of_chain(c);
    return !is_const(c, axis) || c->axis.at[axis].dynamic;
}

static Visit panel_visitor(Expr *e, void *context)
{
    bool panel = e->kind == EXPR_APPLY && e->op == SCALAR_MOD && e->arg[0]->kind == EXPR_AXIS &&
                 e->arg[0]->index == *(int *)context;
    return panel ? VISIT_STOP : VISIT_DEEPER;
}

/* Whether an operand lies in panels along the axis: then a tile takes whole ones. */
static bool reads_panels(const Compute *c, int axis)
{
    return !expr_visit(c->pool, c->reduce->arg[0], panel_visitor, &axis);
}

/* accumulators + one row of vectors + one broadcast fit the registers; of those tiles, the one that covers the output in
   the fewest cycles; if tall, of equal ones one of many rows. */
static void tile_contraction(const Compilation *p, const Compute *c, bool tall, Schedule *s)
{
    vectorize_last(p, c, s, MOST_VECTORS);
    if (s->vector < 0)
        return;
    int row = row_axis(p, c, s);
    int64_t columns = extent_at(p, c, s->vector), height = row >= 0 ? extent_at(p, c, row) : 1;
    double best = 0;
    int64_t step = reads_panels(c, s->vector) ? PANEL / s->lanes : 1;
    for (int64_t vectors = step;
         vectors <= MOST_VECTORS && (vectors == step || (vectors - step) * s->lanes < columns);
         vectors += step) {
        int64_t most = (p->target->vector_registers - vectors - 2) / vectors;
        most = most > MOST_ROWS ? MOST_ROWS : most;
        for (int64_t rows = row >= 0 && most < height ? most : row >= 0 ? height : 1; rows >= 1; rows--) {
            double cycles = cover_cycles(height, rows, columns, vectors, s->lanes);
            if (row >= 0 &&
                c->axis.at[row].extent.count % rows) /* of one sample, if they grow with the batch */
                cycles *= UNEVEN;
            if (best && (tall ? cycles >= best : cycles > best))
                continue;
            best = cycles;
            s->tile[s->vector] = vectors * s->lanes < columns ? vectors * s->lanes : columns;
            if (row >= 0)
                s->tile[row] = rows;
        }
    }
}

/* ---- the order of outer loops --------------------------------------------------------------------------- */

static int64_t tiles_of(const Compilation *p, const Compute *c, const Schedule *s, int axis)
{
    return (extent_at(p, c, axis) + s->tile[axis] - 1) / s->tile[axis];
}

static void move_first(Schedule *s, int axis)
{
    int at = 0;
    while (s->order[at] != axis)
        at++;
    memmove(&s->order[1], &s->order[0], sizeof s->order[0] * (size_t)at);
    s->order[0] = axis;
}

static Visit stack_visitor(Expr *e, void *context)
{
    int64_t stride;
    bool same = e->kind == EXPR_LOAD && expr_stride(e->arg[0], *(int *)context, &stride) && !stride;
    return same ? VISIT_STOP : VISIT_DEEPER;
}

/* Whether the axis numbers products that share no operand. */
static bool is_stack(const Compute *c, int axis)
{
    return expr_visit(c->pool, c->reduce->arg[0], stack_visitor, &axis);
}

/* Column panels outside rows, so that a panel of the vector operand stays in a near cache; but what grows with the batch
   goes first if it is not the rows, or if there are few panels. */
static void order_contraction(const Compilation *p, const Compute *c, Schedule *s)
{
    int growing = -1;
    for (int a = 0; a < c->outputs; a++)
        growing = !is_const(c, a) ? a : growing;
    if (s->vector >= 0)
        move_first(s, s->vector);
    if (growing >= 0 && (s->vector < 0 || s->tile[growing] == 1 || tiles_of(p, c, s, s->vector) < FEW_PANELS))
        move_first(s, growing);
    for (int a = c->outputs - 1; a >= 0; a--)
        if (a != growing && a != s->vector && (growing < 0 || !is_stack(c, growing)) && is_stack(c, a))
            move_first(s, a);
}

static bool may_be_item(const Compute *c, const Schedule *s)
{
    return s->items < s->outputs && (s->items == 0 || is_const(c, s->order[s->items]));
}

static void choose_items(const Compilation *p, const Compute *c, Schedule *s)
{
    int64_t items = 1;
    while ((items < ENOUGH_ITEMS || c->phase == PHASE_INIT) && may_be_item(c, s)) {
        int axis = s->order[s->items++];
        items *= is_const(c, axis) ? tiles_of(p, c, s, axis) : 1;
    }
}

/* So many leading axes of the chain that what the tiles read of the vector operand in one step of them stays in a near
   cache. */
static int blocked_axes(const Compilation *p, const Compute *c, const Schedule *s, int first)
{
    const Reduction *r = c->reduce->reduction;
    int64_t columns = s->vector < 0 ? 1 : extent_at(p, c, s->vector);
    for (int i = 0; s->vector >= 0 && i < s->items; i++)
        columns = s->order[i] == s->vector ? s->tile[s->vector] : columns;
    int blocked = 1;
    for (; first + blocked + 1 < r->axes; blocked++) {
        int64_t bytes = 4 * columns;
        for (int i = first + blocked; i < r->axes; i++)
            bytes *= extent_at(p, c, r->axis[i]);
        if (bytes <= NEAR_CACHES * p->target->l1_bytes)
            break;
    }
    return blocked;
}

/* A chain over the samples first: each tile would stream all of them through the cache. Instead the tiles of an item take
   turns on one sample, and their accumulators wait in the near cache. Returns whether that suits. */
static bool block_contraction(const Compilation *p, const Compute *c, Schedule *s)
{
    const Reduction *r = c->reduce->reduction;
    int first = r->tree == TREE_LEAVES ? r->leaf : 0;
    bool leaves = r->tree == TREE_LEAVES;
    if ((r->axes - first < 2 && !leaves) || !runs_over_samples(c))
        return false;
    int64_t items = 1, block = 1;
    for (int i = 0; i < s->outputs; i++) {
        if (!is_const(c, s->order[i]))
            return false;
        block *= tiles_of(p, c, s, s->order[i]) * s->tile[s->order[i]];
    }
    int64_t most = MOST_WAITING * p->target->l1_bytes / 4;
    most = most < MOST_BLOCK ? most : MOST_BLOCK;
    while ((items < FEW_ITEMS || block > most) && may_be_item(c, s)) {
        int64_t tiles = tiles_of(p, c, s, s->order[s->items++]);
        items *= tiles;
        block /= tiles;
    }
    if (s->items == s->outputs)
        return false;
    s->inner = s->outputs - s->items;
    s->blocked = r->axes - first < 2 ? 0 : blocked_axes(p, c, s, first);
    return true;
}

/* ---- strips ------------------------------------------------------------------------------------------------ */

enum {
    FEW_TILES = 4, /* fewer tiles of rows than this do not pay for a copy of what they share */
    NEAR_STRIDE =
        512, /* bytes; rows of vectors further apart fall into few sets of a cache, and many pages */
    FEWEST_TERMS = 128,
    FEWEST_ROWS = 128, /* that pay for a copy */
    PAGE_BYTES = 4096,
    FAR_RESULTS = 1024 /* bytes; rows of results further apart are prefetched */
};

/* Bytes from one term's vector to the next one's. */
typedef struct Step {
    int axis;
    int64_t most;
} Step;

static Visit step_visitor(Expr *e, void *context)
{
    Step *s = context;
    int64_t stride;
    if (e->kind != EXPR_LOAD)
        return VISIT_DEEPER;
    stride = expr_stride(e->arg[0], s->axis, &stride) ? stride * dtype_info[e->dtype].bytes : INT64_MAX;
    s->most = stride > s->most ? stride : s->most;
    return VISIT_PAST;
}

typedef struct Product {
    int row;          /* the axis of the tile's rows */
    int chain;        /* the one reduced axis of a chain, or of a leaf */
    int64_t terms;    /* along that: of a shard, about */
    int64_t tiles;    /* of rows, at the nominal batch */
    bool any_batch;   /* rows are samples of a prediction, of which there may be one */
    bool is_prepared; /* or could be: it is used by predictions */
} Product;

static bool find_product(const Compilation *p, const Compute *c, bool predicts, const Schedule *s, Product *m)
{
    const Reduction *r = c->reduce->reduction;
    int first = r->tree == TREE_LEAVES ? r->leaf : 0;
    m->row = -1;
    for (int a = 0; a < c->outputs; a++)
        m->row = a != s->vector && s->tile[a] > 1 ? a : m->row;
    if (m->row < 0 || r->axes - first != 1 || !is_const(c, s->vector))
        return false;
    m->chain = r->axis[first];
    const ComputeAxis *chain = &c->axis.at[m->chain];
    m->terms = chain->dynamic ? SHARD_TERMS : chain->extent.count;
    m->tiles = tiles_of(p, c, s, m->row);
    m->is_prepared = predicts;
    m->any_batch =
        predicts && !is_const(c, m->row) && c->axis.at[m->row].extent.count < FEW_TILES * s->tile[m->row];
    bool large = 4 * m->terms * extent_at(p, c, s->vector) > p->target->l2_bytes;
    return (chain->dynamic || is_const(c, m->chain)) && m->terms >= FEWEST_TERMS &&
           (m->any_batch ? large : m->tiles >= FEW_TILES);
}

static void move_last(Schedule *s, int axis)
{
    int at = 0;
    while (s->order[at] != axis)
        at++;
    memmove(&s->order[at], &s->order[at + 1], sizeof *s->order * (size_t)(s->outputs - 1 - at));
    s->order[s->outputs - 1] = axis;
}

static int64_t all_terms(const Compilation *p, const Compute *c, const Product *m)
{
    const Reduction *r = c->reduce->reduction;
    int64_t terms = 1;
    for (int i = 0; i < r->axes; i++)
        terms *= r->axis[i] == m->chain ? m->terms : extent_at(p, c, r->axis[i]);
    return terms;
}

/* Strips as even as may be, of at most `fitting` terms, and of eights if there are several. */
static int64_t strip_of(int64_t terms, int64_t fitting)
{
    int64_t strips = (terms + fitting - 1) / fitting;
    return strips == 1 ? terms : ((terms + strips - 1) / strips + 7) / 8 * 8;
}

/* Bytes. */
static int64_t step_of(const Compute *c, Expr *operand, int axis)
{
    Step step = {axis, 0};
    expr_visit(c->pool, operand, step_visitor, &step);
    return step.most;
}

/* As many tiles of rows as may wait, and as have their operand in the next cache. */
static int64_t most_tiles(const Compilation *p, const Compute *c, const Schedule *s, const Product *m)
{
    int64_t rows = s->tile[m->row];
    int64_t waiting = MOST_WAITING * p->target->l1_bytes / (4 * s->tile[s->vector] * rows);
    int64_t near = p->target->l2_bytes / 2 / (4 * all_terms(p, c, m) * rows);
    return waiting < near ? waiting : near;
}

/* Tiles of rows for one item, at most so many: chunks of equal size, or of a prediction so that the threads have enough of
   them of one sample; 0: all. */
static int64_t chunk_of(const Compilation *p, const Compute *c, const Schedule *s, const Product *m,
                        int64_t most)
{
    if (most >= m->tiles && is_const(c, m->row))
        return 0;
    if (m->any_batch)
        return FEW_TILES;
    int64_t rows = s->tile[m->row], panels = tiles_of(p, c, s, s->vector);
    int64_t sample = (c->axis.at[m->row].extent.count + rows - 1) / rows;
    int64_t share = sample / ((FEW_ITEMS + panels - 1) / panels);
    if (m->is_prepared && share < most)
        most = share > FEW_TILES ? share : FEW_TILES;
    int64_t chunks = (m->tiles + most - 1) / most;
    return (m->tiles + chunks - 1) / chunks;
}

/* Items of all columns by a chunk of rows, or of all rows by a chunk of columns; as many of those as may wait. Returns what is
   copied for a product, the rows in vectors of a tile's height; 0: it does not suit. */
static double cut_both(const Compilation *p, const Compute *c, const Product *m, int axis, Schedule *s)
{
    int64_t height = s->tile[m->row], width = s->tile[s->vector], tiles = tiles_of(p, c, s, axis);
    int64_t rows = m->tiles * height, columns = tiles_of(p, c, s, s->vector) * width;
    int64_t most = MOST_BLOCK / (axis == m->row ? columns * height : rows * width);
    most = most < tiles / FEW_ITEMS ? most : tiles / FEW_ITEMS;
    while (most > 1 && tiles % most)
        most--;
    if (most < 1)
        return 0;
    rows = axis == m->row ? most * height : rows;
    columns = axis == m->row ? columns : most * width;
    int64_t fitting = (MOST_BLOCK - rows / height * STAGE_GAP) / rows;
    if (fitting < 1)
        return 0;
    if (m->terms > fitting)
        s->strip = strip_of(m->terms, fitting);
    move_last(s, s->vector);
    move_last(s, m->row);
    s->inner = 2;
    s->items = s->outputs - 2;
    s->chunk_axis = axis;
    s->chunk = most;
    s->stage_rows = true;
    double of_rows = 1.0 / (double)columns, of_columns = 1.0 / (double)rows;
    return schedule_fault(c, s) ? 0 : of_rows * s->lanes / (double)height + of_columns;
}

/* Where the rows' operand, too, has its terms far apart, few sets of a cache would hold what a tile reads of it, and not until the
   next panel of columns. So that is copied as well. */
static void stage_both(const Compilation *p, const Compute *c, const Product *m, Schedule *s)
{
    Schedule rows = *s, columns = *s;
    if (!is_const(c, m->row))
        return;
    double of_rows = cut_both(p, c, m, m->row, &rows), of_columns = cut_both(p, c, m, s->vector, &columns);
    if (of_rows > 0 && (of_columns == 0 || of_rows < of_columns))
        *s = rows;
    else if (of_columns > 0)
        *s = columns;
}

static bool results_are_far(const Compute *c, int row)
{
    for (int i = 0; i < c->store.count; i++) {
        int64_t stride;
        const ComputeStore *s = &c->store.at[i];
        bool known = expr_stride(s->at, row, &stride);
        if (!known || stride * dtype_info[s->value->dtype].bytes >= FAR_RESULTS)
            return true;
    }
    return false;
}

/* The columns' operand is in the next cache, several terms on a page, and tall tiles ask little of it: then a copy of it costs more than
   reading it anew for each tile of rows, whose own operand stays near. */
static bool stream_columns(const Compilation *p, const Compute *c, const Product *m, Schedule *s)
{
    Schedule now = *s;
    int64_t vectors = s->tile[s->vector] / s->lanes;
    int64_t rows = (p->target->vector_registers - vectors - 2) / (vectors ? vectors : 1);
    if (c->reduce->reduction->tree != TREE_CHAIN ||
        4 * m->terms * extent_at(p, c, s->vector) > p->target->l2_bytes)
        return false;
    now.stage = false;
    now.inner = 0;
    now.tile[m->row] = rows < MOST_ROWS ? rows : MOST_ROWS;
    move_last(&now, m->row);
    move_last(&now, s->vector);
    now.items = 0;
    choose_items(p, c, &now);
    if (schedule_fault(c, &now))
        return false;
    *s = now;
    return true;
}

/* A product of matrices whose vector operand is too large for the near cache, or lies in rows far apart: its tiles take turns on
   strips of terms that fit there, as Goto and van de Geijn have it (Anatomy of High-Performance Matrix Multiplication, 2008),
   copied if that makes them contiguous. An item is a panel of columns by a chunk of rows. Returns whether that suits. */
static bool strip_contraction(const Compilation *p, const Compute *c, bool predicts, Schedule *s)
{
    Product m;
    if (!find_product(p, c, predicts, s, &m))
        return false;
    Schedule now = *s;
    move_last(&now, m.row);
    now.inner = 1;
    now.items = now.outputs - 1;
    Expr *staged = schedule_staged(c, &now);
    int64_t fitting = p->target->l1_bytes * 3 / 4 / (4 * s->tile[s->vector]) / 8 * 8;
    if (!staged || fitting < FEWEST_TERMS)
        return false;
    Expr *term = c->reduce->arg[0], *rows = term->arg[term->arg[0] == staged];
    int64_t step = step_of(c, staged, m.chain);
    now.stage = step >= NEAR_STRIDE;
    if (now.stage ? m.is_prepared || extent_at(p, c, m.row) < FEWEST_ROWS : m.terms <= fitting)
        return false;
    now.prefetch = c->reduce->reduction->tree == TREE_CHAIN && results_are_far(c, m.row);
    if (now.stage && step < PAGE_BYTES && step_of(c, rows, m.chain) < NEAR_STRIDE &&
        stream_columns(p, c, &m, &now)) {
        *s = now;
        return true;
    }
    int64_t most = most_tiles(p, c, s, &m);
    if (most < FEW_TILES)
        return false;
    now.strip = strip_of(m.terms, fitting);
    now.chunk_axis = m.row;
    now.chunk = chunk_of(p, c, s, &m, most);
    if (now.stage)
        stage_both(p, c, &m, &now);
    if (schedule_fault(c, &now))
        return false;
    *s = now;
    return true;
}

/* ---- choices by an index ---------------------------------------------------------------------------------- */

/* Loops of one tile only make no items: they go inside. */
static void move_single_tiles_inside(const Compute *c, Schedule *s)
{
    int order[MAX_OUTPUT_AXES], count = 0;
    for (int single = 0; single < 2; single++)
        for (int i = 0; i < s->outputs; i++) {
            const ComputeAxis *a = &c->axis.at[s->order[i]];
            if ((a->extent.power == 0 && a->extent.count <= s->tile[s->order[i]]) == single)
                order[count++] = s->order[i];
        }
    memcpy(s->order, order, sizeof *order * (size_t)count);
}

/* What is chosen by an index is written out for all that it can be, so that the choice is made here. */
static void tile_choices(const Compute *c, Schedule *s)
{
    int64_t period[MAX_OUTPUT_AXES];
    if (!compute_choices(c, period))
        return;
    for (int a = 0; a < c->outputs; a++)
        if (a != s->vector)
            s->tile[a] = period[a];
    move_single_tiles_inside(c, s);
}

static Visit neighbour_visitor(Expr *e, void *context)
{
    const Along *a = context;
    int64_t along, across;
    bool strided =
        e->kind == EXPR_LOAD && (!expr_stride(e->arg[0], a->vector, &along) || (along != 0 && along != 1));
    return strided && expr_stride(e->arg[0], a->row, &across) && across == 1 ? VISIT_STOP : VISIT_DEEPER;
}

/* What is read across the vectors has its neighbours along another axis: that goes inside, while they are in the first cache, a few of
   its rows in a tile if there is much to read. */
static void tile_transpose(const Compilation *p, const Compute *c, Schedule *s)
{
    int64_t elements = 1;
    for (int a = 0; a < c->outputs; a++)
        elements *= extent_at(p, c, a);
    for (int a = 0; s->vector >= 0 && a < c->outputs; a++) {
        Along along = {s->vector, a};
        bool found = false;
        for (int i = 0; i < c->store.count && a != s->vector && is_const(c, a); i++)
            found |= !expr_visit(c->pool, c->store.at[i].value, neighbour_visitor, &along);
        if (!found || s->tile[a] > 1)
            continue;
        move_last(s, a);
        if (elements < MANY_TRANSPOSED || c->axis.at[a].extent.count < TRANSPOSED_ROWS)
            return;
        s->tile[a] = TRANSPOSED_ROWS;
        return;
    }
}

/* One tile of all columns, where else there were two, of which the second is a rest. */
static void widen_to_all(const Compute *c, Schedule *s)
{
    if (s->vector < 0 || !is_const(c, s->vector))
        return;
    int64_t columns = c->axis.at[s->vector].extent.count, tile = s->tile[s->vector];
    if (columns % tile && columns < 2 * tile)
        s->tile[s->vector] = columns;
}

/* FLOPs and bytes of a parameter's update after a plain sum that may take short vectors, and of one that need take none. */
#define SHORT_SUM 1e7
#define TINY_SUM 1e4

/* A parameter's update after a plain sum, whose variants for the last vectors would be more code than all else. */
static void divide_evenly(const Compute *c, Schedule *s)
{
    if (s->vector < 0 || !is_const(c, s->vector) || !compute_updates(c) || c->flops + c->bytes > SHORT_SUM)
        return;
    int64_t extent = c->axis.at[s->vector].extent.count, vectors = MOST_EVEN_VECTORS;
    int lanes = s->lanes;
    while (extent % lanes)
        lanes /= 2;
    if (lanes == 1 || lanes == s->lanes || extent <= 2 * s->lanes)
        return;
    while (extent / lanes % vectors)
        vectors--;
    s->lanes = lanes;
    s->tile[s->vector] = vectors * lanes;
}

/* predicts: there, too, is it used, where the batch may be one sample and weights are prepared. */
static Schedule schedule(const Compilation *p, const Compute *c, bool predicts)
{
    Schedule s = plain(c);
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    bool lanes = r && (r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES));
    if (!r) {
        bool is_long = exprs_count(c->pool) > LONG_EXPRESSION;
        if (c->phase != PHASE_INIT) /* what runs once should be small, and alike */
            vectorize_last(p, c, &s, is_long ? 1 : 2);
        tile_choices(c, &s);
        if (c->phase != PHASE_INIT)
            tile_transpose(p, c, &s);
    } else if (lanes) {
        s.lanes_reduce = loads_unit(c, c->reduce->arg[0], r->axis[r->axes - 1]);
    } else if (r->fma) {
        Schedule strips = s;
        tile_contraction(p, c, true, &strips);
        order_contraction(p, c, &strips);
        if (strip_contraction(p, c, predicts, &strips))
            return strips;
        tile_contraction(p, c, runs_over_samples(c), &s); /* tall, for its operands come from far away */
        order_contraction(p, c, &s);
        if (block_contraction(p, c, &s))
            return s;
        s.items = 0;
    } else if (!compute_updates(c) || c->flops + c->bytes >= TINY_SUM) {
        vectorize_last(p, c, &s, 2);
        widen_to_all(c, &s);
        divide_evenly(c, &s);
    }
    choose_items(p, c, &s);
    return s;
}

bool pass_schedule_cpu(Compilation *c)
{
    const int *first = form_firsts(c);
    bool *predicts = arena_alloc(c->arena, (size_t)c->compute.count + 1);
    memset(predicts, 0, (size_t)c->compute.count + 1);
    for (int i = 0; i < c->compute.count; i++)
        if (c->compute.at[i]->phase == PHASE_PREDICT) /* what the same kernel does elsewhere, too */
            predicts[first[c->same[i]]] = predicts[c->same[i]] = predicts[i] = true;
    for (int i = 0; i < c->compute.count; i++)
        list_add(c->arena, &c->schedule,
                 first[i] == i ? schedule(c, c->compute.at[i], predicts[i]) : c->schedule.at[first[i]]);
    return tune_apply(c);
}
