#include "schedule_tiles.h"

#include <string.h>

enum { FEW_SAMPLES = 32, LONG_EXPRESSION = 60 };

bool axis_is_const(const Compute *c, int axis) { return c->axis.at[axis].extent.power == 0; }

int64_t axis_extent(const Compilation *p, const Compute *c, int axis)
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

static Visit unit_visitor(Expr *e, void *context)
{
    const Along *along = context;
    int64_t stride;
    bool unit = e->kind != EXPR_LOAD ||
                (expr_stride(e->arg[0], along->vector, &stride) && (stride == 0 || stride == 1));
    return unit ? VISIT_DEEPER : VISIT_STOP;
}

bool schedule_loads_unit(const Compute *c, Expr *e, int axis)
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

Schedule schedule_plain(const Compute *c)
{
    Schedule s = {.outputs = c->outputs, .vector = -1, .lanes = 1};
    for (int a = 0; a < c->outputs; a++) {
        s.tile[a] = 1;
        s.order[a] = a;
    }
    return s;
}

void schedule_vectors(const Compilation *p, const Compute *c, Schedule *s, int most)
{
    int last = c->outputs - 1;
    if (last < 0 || !stores_unit(c, last) || compute_bounds_terms(c, last))
        return;
    int64_t extent = axis_is_const(c, last) ? c->axis.at[last].extent.count : INT64_MAX;
    int lanes = lanes_for(p->target, c->store.at[0].value->dtype, extent);
    if (lanes < 2)
        return;
    s->vector = last;
    s->lanes = lanes;
    s->tile[last] = extent < (int64_t)most * lanes ? extent : (int64_t)most * lanes;
}

/* Cycles that one step of a reduced loop takes on a tile: two fma and two loads a cycle, and no accumulator sooner again
   than LATENCY, a little more than the fma's own, since nothing is perfect. */
enum { LATENCY = 5, MOST_VECTORS = 4 };
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

/* Of all tiles of rows by `extent` columns. The last rows are one more tile, or single ones where they grow with the batch. */
static double cover_cycles(int64_t rows_extent, int64_t rows, bool grows, int64_t extent, int64_t vectors,
                           int lanes)
{
    int64_t wide = vectors * lanes, full = extent / wide, rest = vectors_of(extent % wide, lanes);
    int64_t tiles = rows_extent / rows, last = rows_extent % rows;
    double cycles =
        (double)tiles * ((double)full * tile_cycles(rows, vectors) + (rest ? tile_cycles(rows, rest) : 0));
    double turns = last && grows ? (double)last : last ? 1 : 0;
    last = grows ? 1 : last;
    return cycles +
           turns * ((double)full * tile_cycles(last, vectors) + (rest ? tile_cycles(last, rest) : 0));
}

static int row_axis(const Compilation *p, const Compute *c, const Schedule *s)
{
    for (int a = c->outputs - 1; a >= 0; a--)
        if (a != s->vector && axis_extent(p, c, a) > 1 && !compute_bounds_terms(c, a) &&
            rows_share(c, c->reduce->arg[0], s->vector, a))
            return a;
    return -1;
}

/* The chain's first axis: the samples, or a shard's. */
static int first_of_chain(const Compute *c)
{
    const Reduction *r = c->reduce->reduction;
    return r->axis[r->tree == TREE_LEAVES ? r->leaf : 0];
}

bool schedule_runs_over_samples(const Compute *c)
{
    int axis = first_of_chain(c);
    return !axis_is_const(c, axis) || compute_is_shard(c, axis);
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

void schedule_product_tile(const Compilation *p, const Compute *c, const TileWish *wish, Schedule *s)
{
    schedule_vectors(p, c, s, MOST_VECTORS);
    if (s->vector < 0)
        return;
    int row = wish->rows ? wish->rows - 1 : row_axis(p, c, s);
    int64_t columns = axis_extent(p, c, s->vector), height = row >= 0 ? axis_extent(p, c, row) : 1;
    bool grows = row >= 0 && !axis_is_const(c, row);
    double best = 0;
    int64_t best_rows = 0, step = reads_panels(c, s->vector) ? PANEL / s->lanes : 1;
    for (int64_t vectors = step;
         vectors <= MOST_VECTORS && (vectors == step || (vectors - step) * s->lanes < columns);
         vectors += step) {
        int64_t most = (p->target->vector_registers - vectors - 2) / vectors;
        most = most > MOST_TILE_ROWS ? MOST_TILE_ROWS : most;
        for (int64_t rows = row >= 0 && most < height ? most : row >= 0 ? height : 1; rows >= 1; rows--) {
            if (wish->multiple && wish->multiple % rows)
                continue;
            double cycles = cover_cycles(height, rows, grows, columns, vectors, s->lanes);
            if (row >= 0 &&
                c->axis.at[row].extent.count % rows) /* of one sample, if they grow with the batch */
                cycles *= UNEVEN;
            if (best && (cycles > best || (wish->tall && cycles == best && rows < best_rows)))
                continue;
            best = cycles;
            best_rows = rows;
            s->tile[s->vector] = vectors * s->lanes < columns ? vectors * s->lanes : columns;
            if (row >= 0)
                s->tile[row] = rows;
        }
    }
}

bool schedule_is_long(const Compute *c) { return exprs_count(c->pool) > LONG_EXPRESSION; }

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

void schedule_choices(const Compute *c, Schedule *s)
{
    int64_t period[MAX_OUTPUT_AXES];
    if (!compute_choices(c, period))
        return;
    for (int a = 0; a < c->outputs; a++)
        if (a != s->vector)
            s->tile[a] = period[a];
    move_single_tiles_inside(c, s);
}

enum { CHOSEN_ROWS = 4, CHOSEN_VECTORS = 4 };

void schedule_chosen_sum(const Compilation *p, const Compute *c, Schedule *s)
{
    int row = s->vector < 0 ? -1 : row_axis(p, c, s);
    if (row < 0 || c->axis.at[row].extent.count < CHOSEN_ROWS)
        return;
    schedule_vectors(p, c, s, CHOSEN_VECTORS);
    s->tile[row] = CHOSEN_ROWS;
}
