/* Schedules for a CPU: a pure function of Compute and Target. A contraction gets a tile of vector accumulators as large as
   the registers hold; everything else runs along the innermost axis in vectors. */
#include "form.h"
#include "ops.h"
#include "schedule_tiles.h"
#include "tune.h"

#include <string.h>

enum {
    FEW_PANELS = 8,    /* fewer column panels than this do not feed the threads */
    ENOUGH_ITEMS = 16, /* beside the samples, for there may be only one */
    TRANSPOSED_ROWS = 4,
    MANY_TRANSPOSED = 1 << 17,
    NEAR_CACHES = 2,      /* so many times the first cache is still near */
    MOST_WAITING = 2,     /* so many times the first cache may hold of accumulators that wait */
    MOST_EVEN_VECTORS = 5 /* in a tile whose vectors divide the axis */
};

/* ---- the order of outer loops --------------------------------------------------------------------------- */

static int64_t tiles_of(const Compilation *p, const Compute *c, const Schedule *s, int axis)
{
    return (axis_extent(p, c, axis) + s->tile[axis] - 1) / s->tile[axis];
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

/* A short product that is added to a parameter: its items should be runs of memory, for the core that has changed some of it has
   it in its caches, and fetches on along its rows. */
static bool updates_rows(const Compilation *p, const Compute *c, const Schedule *s)
{
    const Reduction *r = c->reduce->reduction;
    return compute_updates(c) && r->axes == 1 && s->vector >= 0 &&
           4 * axis_extent(p, c, r->axis[0]) * axis_extent(p, c, s->vector) < p->target->l2_bytes / 2;
}

/* Column panels outside rows, so that a panel of the vector operand stays in a near cache; but what grows with the batch
   goes first if it is not the rows, or if there are few panels. */
static void order_contraction(const Compilation *p, const Compute *c, Schedule *s)
{
    int growing = -1;
    for (int a = 0; a < c->outputs; a++)
        growing = !axis_is_const(c, a) ? a : growing;
    if (s->vector >= 0 && !updates_rows(p, c, s))
        move_first(s, s->vector);
    if (growing >= 0 && (s->vector < 0 || s->tile[growing] == 1 || tiles_of(p, c, s, s->vector) < FEW_PANELS))
        move_first(s, growing);
    for (int a = c->outputs - 1; a >= 0; a--)
        if (a != growing && a != s->vector && !compute_bounds_terms(c, a) &&
            (growing < 0 || !is_stack(c, growing)) && is_stack(c, a))
            move_first(s, a);
}

static bool may_be_item(const Compute *c, const Schedule *s)
{
    return s->items < s->outputs && (s->items == 0 || axis_is_const(c, s->order[s->items]));
}

static void choose_items(const Compilation *p, const Compute *c, Schedule *s)
{
    int64_t items = 1;
    while ((items < ENOUGH_ITEMS || c->phase == PHASE_INIT) && may_be_item(c, s)) {
        int axis = s->order[s->items++];
        items *= axis_is_const(c, axis) ? tiles_of(p, c, s, axis) : 1;
    }
}

/* So many leading axes of the chain that what the tiles read of the vector operand in one step of them stays in a near
   cache. */
static int blocked_axes(const Compilation *p, const Compute *c, const Schedule *s, int first)
{
    const Reduction *r = c->reduce->reduction;
    int64_t columns = s->vector < 0 ? 1 : axis_extent(p, c, s->vector);
    for (int i = 0; s->vector >= 0 && i < s->items; i++)
        columns = s->order[i] == s->vector ? s->tile[s->vector] : columns;
    int blocked = 1;
    for (; first + blocked + 1 < r->axes; blocked++) {
        int64_t bytes = 4 * columns;
        for (int i = first + blocked; i < r->axes; i++)
            bytes *= axis_extent(p, c, r->axis[i]);
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
    if ((r->axes - first < 2 && !leaves) || !schedule_runs_over_samples(c))
        return false;
    int64_t items = 1, block = 1;
    for (int i = 0; i < s->outputs; i++) {
        if (!axis_is_const(c, s->order[i]))
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
    MANY_TILES = 12,
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
    if (m->row < 0 || r->axes - first != 1 || !axis_is_const(c, s->vector))
        return false;
    m->chain = r->axis[first];
    const ComputeAxis *chain = &c->axis.at[m->chain];
    m->terms = compute_is_shard(c, m->chain) ? SHARD_TERMS : chain->extent.count;
    m->tiles = tiles_of(p, c, s, m->row);
    m->is_prepared = predicts;
    m->any_batch = predicts && !axis_is_const(c, m->row) &&
                   c->axis.at[m->row].extent.count < FEW_TILES * s->tile[m->row];
    bool large = 4 * m->terms * axis_extent(p, c, s->vector) > p->target->l2_bytes;
    return (chain->dynamic || axis_is_const(c, m->chain)) && m->terms >= FEWEST_TERMS &&
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
        terms *= r->axis[i] == m->chain ? m->terms : axis_extent(p, c, r->axis[i]);
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
    if (most >= m->tiles && axis_is_const(c, m->row))
        return 0;
    int64_t rows = s->tile[m->row], panels = tiles_of(p, c, s, s->vector);
    if (m->any_batch)
        return panels < FEW_ITEMS ? FEW_TILES : most < MANY_TILES ? most : MANY_TILES;
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
    if (!axis_is_const(c, m->row))
        return;
    double of_rows = cut_both(p, c, m, m->row, &rows), of_columns = cut_both(p, c, m, s->vector, &columns);
    if (of_rows > 0 && (of_columns == 0 || of_rows < of_columns))
        *s = rows;
    else if (of_columns > 0)
        *s = columns;
}

bool schedule_results_are_far(const Compute *c, int row)
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
        4 * m->terms * axis_extent(p, c, s->vector) > p->target->l2_bytes)
        return false;
    now.stage = false;
    now.inner = 0;
    now.tile[m->row] = rows < MOST_TILE_ROWS ? rows : MOST_TILE_ROWS;
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
    if (now.stage ? m.is_prepared || axis_extent(p, c, m.row) < FEWEST_ROWS : m.terms <= fitting)
        return false;
    now.prefetch = c->reduce->reduction->tree == TREE_CHAIN && schedule_results_are_far(c, m.row);
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

/* ---- transposes -------------------------------------------------------------------------------------------- */

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
        elements *= axis_extent(p, c, a);
    for (int a = 0; s->vector >= 0 && a < c->outputs; a++) {
        Along along = {s->vector, a};
        bool found = false;
        for (int i = 0; i < c->store.count && a != s->vector && axis_is_const(c, a); i++)
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
    if (s->vector < 0 || !axis_is_const(c, s->vector))
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
    if (s->vector < 0 || !axis_is_const(c, s->vector) || !compute_updates(c) ||
        c->flops + c->bytes > SHORT_SUM)
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
    Schedule s = schedule_plain(c);
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    bool lanes = r && (r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES));
    if (!r) {
        if (c->phase != PHASE_INIT) /* what runs once should be small, and alike */
            schedule_vectors(p, c, &s, schedule_is_long(c) ? 1 : 2);
        schedule_choices(c, &s);
        if (c->phase != PHASE_INIT)
            tile_transpose(p, c, &s);
    } else if (lanes) {
        s.lanes_reduce = schedule_loads_unit(c, c->reduce->arg[0], r->axis[r->axes - 1]);
    } else if (r->fma) {
        Schedule strips = s;
        schedule_product_tile(p, c, &(TileWish){.tall = true}, &strips);
        order_contraction(p, c, &strips);
        if (strip_contraction(p, c, predicts, &strips))
            return strips;
        TileWish wish = {.tall = schedule_runs_over_samples(c)}; /* for its operands come from far away */
        schedule_product_tile(p, c, &wish, &s);
        order_contraction(p, c, &s);
        if (block_contraction(p, c, &s))
            return s;
        s.items = 0;
    } else if (!compute_updates(c) || c->flops + c->bytes >= TINY_SUM) {
        schedule_vectors(p, c, &s, 2);
        widen_to_all(c, &s);
        divide_evenly(c, &s);
        schedule_chosen_sum(p, c, &s);
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
    if (!tune_apply(c))
        return false;
    schedule_chains(c);
    return true;
}
