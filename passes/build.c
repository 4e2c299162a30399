/* Compute and Schedule become loops, by one rule: output loops inside the first reduced loop index a tile of accumulators.

   items and outer loops over tiles → for each tile: clear the accumulators, reduced loops, store. Where an extent is no
   multiple of its tile, the last tile has a last vector that overlaps the one before, or is a variant of its own with
   constant sizes; along the batch, single rows. */
#include "build.h"
#include "ops.h"
#include "tune.h"

#include <assert.h>
#include <string.h>

/* A whole vector instead of a short one, or of none, costs nothing that counts in the last of so many tiles. */
enum { MANY_TILES = 7 };

/* ---- statements ----------------------------------------------------------------------------------------- */

Stmt *build_stmt(Builder *b, Stmt stmt) { return arena_copy(b->arena, &stmt, sizeof stmt); }

void build_append(Stmt **list, Stmt *stmt)
{
    while (*list)
        list = &(*list)->next;
    *list = stmt;
}

int build_axis(Builder *b, Size extent)
{
    int axis = b->kernel->axes++;
    expr_set_extent(b->pool, axis, extent);
    return axis;
}

Stmt *build_for(Builder *b, LoopKind loop, int axis, Expr *extent, Stmt *body)
{
    return build_stmt(b,
                      (Stmt){.kind = STMT_FOR, .loop = loop, .index = axis, .extent = extent, .body = body});
}

int build_local(Builder *b, const char *name, DType dtype, int64_t count)
{
    for (int i = 0; i < b->kernel->local.count; i++) {
        Local *l = &b->kernel->local.at[i];
        if (l->dtype == dtype && !strcmp(l->name, name)) {
            l->count = l->count > count ? l->count : count;
            return i;
        }
    }
    list_add(b->arena, &b->kernel->local, ((Local){dtype, count, 1, name}));
    return b->kernel->local.count - 1;
}

Expr *build_int(Builder *b, int64_t value) { return expr_int(b->pool, DTYPE_I64, value); }

Expr *build_min(Builder *b, Expr *x, Expr *y)
{
    return expr_apply(b->pool, SCALAR_SELECT, expr_less(b->pool, x, y), x, y);
}

/* ---- a tile --------------------------------------------------------------------------------------------- */

/* An extent in vectors: so many of `lanes`, then powers of two for the rest. */
static void cut_pieces(Tile *tile, int64_t extent, int lanes)
{
    int64_t offset = 0;
    for (; extent > 0; lanes = lanes > 1 ? lanes / 2 : 1) {
        int64_t count = extent / lanes;
        if (count)
            tile->piece[tile->pieces++] = (Piece){offset, count, lanes, 0, count, 0};
        offset += count * lanes;
        extent -= count * lanes;
    }
}

/* In vectors of `lanes` alone: in the last tile, which has `rest` elements, those beyond its end are moved back to it. */
static void cut_overlapping(Tile *tile, int64_t size, int lanes, int64_t rest, int64_t extent)
{
    int64_t all = (size + lanes - 1) / lanes, within = rest / lanes;
    if (within)
        tile->piece[tile->pieces++] = (Piece){0, within, lanes, 0, all, 0};
    tile->piece[tile->pieces++] = (Piece){within * lanes, all - within, lanes, within, all, extent - lanes};
}

/* In a loop that is not written out the last vectors are as all others. */
static Piece piece_at(const Builder *b, const Tile *tile, int *place)
{
    Piece piece = tile->piece[*place];
    if (!b->rolled || *place + 2 != tile->pieces || !tile->piece[*place + 1].most)
        return piece;
    ++*place;
    piece.count += tile->piece[*place].count;
    piece.most = tile->piece[*place].most;
    return piece;
}

/* The index of a vector's first lane. */
static Expr *vector_start(Builder *b, const Tile *tile, const Piece *piece, Expr *number)
{
    Expr *offset = expr_mul(b->pool, number, build_int(b, piece->lanes));
    Expr *start = expr_add(b->pool, tile->vector_base, build_int(b, piece->offset));
    start = expr_add(b->pool, start, offset);
    if (!piece->most)
        return start;
    Expr *most = build_int(b, piece->most);
    return expr_apply(b->pool, SCALAR_SELECT, expr_less(b->pool, start, most), start, most);
}

/* Of a row in memory: whole vectors. */
static int64_t tile_width(const Schedule *s)
{
    return s->vector < 0 ? 1 : (s->tile[s->vector] + s->lanes - 1) / s->lanes * s->lanes;
}

/* Row after row; a lone one lies where the full tile has it. */
static Expr *place_in_tile(Builder *b, const Tile *tile, Expr *row, Expr *column, int64_t offset)
{
    int64_t width = tile_width(b->schedule), lone = tile->lone_row < 0 ? 1 : width;
    Expr *place = expr_add(b->pool, expr_mul(b->pool, row, build_int(b, width)), column);
    place = expr_add(b->pool, place, build_int(b, offset));
    if (!tile->lone)
        return place;
    for (int r = tile->lone_row + 1; tile->lone_row >= 0 && r < tile->rows; r++)
        lone *= tile->size[r];
    return expr_add(b->pool, place, expr_mul(b->pool, tile->lone, build_int(b, lone)));
}

typedef struct Loops {
    LoopKind kind[MAX_OUTPUT_AXES + 1];
    int axis[MAX_OUTPUT_AXES + 1], count;
    int64_t extent[MAX_OUTPUT_AXES + 1];
} Loops;

/* The axis of a new loop within the others, or zero where there is one turn. */
static Expr *add_loop(Builder *b, Loops *loops, LoopKind kind, int64_t extent)
{
    if (extent == 1)
        return build_int(b, 0);
    int i = loops->count++;
    loops->kind[i] = kind;
    loops->extent[i] = extent;
    loops->axis[i] = build_axis(b, size_of(extent));
    return expr_axis(b->pool, loops->axis[i]);
}

static Stmt *around_body(Builder *b, const Loops *loops, Stmt *body)
{
    for (int i = loops->count; i-- > 0;)
        body = build_for(b, loops->kind[i], loops->axis[i], build_int(b, loops->extent[i]), body);
    return body;
}

/* The number of the row. */
static Expr *add_rows(Builder *b, const Tile *tile, Loops *loops)
{
    Expr *row = build_int(b, 0);
    for (int r = 0; r < tile->rows; r++) {
        Expr *inner = add_loop(b, loops, b->rolled ? LOOP_SERIAL : LOOP_UNROLL, tile->size[r]);
        b->with[tile->axis[r]] = expr_add(b->pool, tile->base[r], inner);
        b->inner[tile->axis[r]] = inner;
        row = expr_add(b->pool, expr_mul(b->pool, row, build_int(b, tile->size[r])), inner);
    }
    return row;
}

/* The leaf for a piece of a row; its place in the accumulators of the piece is `slot`. */
static Stmt *build_piece(Builder *b, const Tile *tile, int p, const Piece *piece, Expr *row, LoopKind kind,
                         TileLeaf *leaf, void *context)
{
    Loops loops = {.count = 0};
    Expr *number = add_loop(b, &loops, kind, piece->count);
    Expr *lanes = build_int(b, piece->lanes), *lane = add_loop(b, &loops, LOOP_VECTOR, piece->lanes);
    b->place =
        place_in_tile(b, tile, row, expr_add(b->pool, expr_mul(b->pool, number, lanes), lane), piece->offset);
    Expr *vector = expr_add(b->pool, number, build_int(b, piece->first));
    Expr *slot = expr_add(b->pool, expr_mul(b->pool, row, build_int(b, piece->of)), vector);
    slot = expr_add(b->pool, expr_mul(b->pool, slot, lanes), lane);
    b->column = expr_add(b->pool, expr_mul(b->pool, vector, lanes), lane);
    if (tile->vector >= 0)
        b->with[tile->vector] = expr_add(b->pool, vector_start(b, tile, piece, number), lane);
    return around_body(b, &loops, leaf(b, tile, p, slot, context));
}

/* Whether the last vectors of rows reach back into what is updated in place. */
static bool reaches_back(const Builder *b, const Tile *tile)
{
    return b->in_place && tile->pieces && tile->piece[tile->pieces - 1].most;
}

/* The leaf for every element of the tile: rows and vectors written out, lanes as a vector loop. */
Stmt *build_tile(Builder *b, const Tile *tile, TileLeaf *leaf, void *context)
{
    Stmt *all = NULL;
    if (b->rolled && reaches_back(b, tile)) {
        Loops rows = {.count = 0};
        Expr *row = add_rows(b, tile, &rows);
        for (int p = 0; p < tile->pieces; p++)
            build_append(&all, build_piece(b, tile, p, &tile->piece[p], row, LOOP_UNROLL, leaf, context));
        return around_body(b, &rows, all);
    }
    for (int p = 0; p < tile->pieces; p++) {
        Piece piece = piece_at(b, tile, &p);
        Loops rows = {.count = 0};
        Expr *row = add_rows(b, tile, &rows);
        LoopKind kind = b->rolled ? LOOP_SERIAL : LOOP_UNROLL;
        build_append(&all, around_body(b, &rows, build_piece(b, tile, p, &piece, row, kind, leaf, context)));
    }
    return all;
}

int64_t tile_slots(const Tile *tile, int piece)
{
    int64_t slots = tile->piece[piece].of * tile->piece[piece].lanes;
    for (int r = 0; r < tile->rows; r++)
        slots *= tile->size[r];
    return slots;
}

static Stmt *store_leaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context)
{
    (void)tile;
    (void)piece;
    (void)slot;
    (void)context;
    Stmt *all = NULL;
    for (int i = 0; i < b->compute->store.count; i++) {
        const ComputeStore *s = &b->compute->store.at[i];
        build_append(&all, build_stmt(b, (Stmt){.kind = STMT_STORE,
                                                .index = s->buffer,
                                                .at = build_substitute(b, s->at),
                                                .value = build_substitute(b, s->value)}));
    }
    return all;
}

Expr *build_substitute(Builder *b, Expr *e)
{
    return expr_substitute(b->pool, e, b->with, b->compute->axis.count);
}

static Stmt *store_tile(Builder *b, const Tile *tile, void *context)
{
    return build_tile(b, tile, store_leaf, context);
}

/* ---- variants: full tiles and last tiles ---------------------------------------------------------------- */

static Stmt *build_variants(Builder *b, Tile *tile, int axis);

static Visit stride_visitor(Expr *e, void *context)
{
    int64_t stride;
    bool steps = e->kind != EXPR_LOAD || expr_stride(e->arg[0], *(int *)context, &stride);
    return steps ? VISIT_DEEPER : VISIT_STOP;
}

/* Whether elements may be computed and stored twice, by vectors that overlap: every one is a vector in memory wherever it
   begins. */
static bool may_overlap(const Builder *b)
{
    int axis = b->schedule->vector;
    int64_t stride;
    for (int i = 0; i < b->compute->store.count; i++) {
        const ComputeStore *s = &b->compute->store.at[i];
        if (!expr_stride(s->at, axis, &stride) || !expr_visit(b->pool, s->value, stride_visitor, &axis))
            return false;
    }
    return true;
}

/* Sums: a short vector may be faster than a whole one. */
static bool short_is_faster(const Compute *c)
{
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    return r && r->op == SCALAR_ADD && r->tree != TREE_LANES;
}

/* Whether one tile serves for all: the last one has a vector, so that none reaches back into another tile, which may be of
   another item. */
static bool tiles_overlap(const Builder *b, int axis, int64_t size, int64_t extent)
{
    int64_t lanes = b->schedule->lanes, rest = extent % size;
    if (axis != b->schedule->vector || !b->overlap || extent < lanes)
        return false;
    if (rest == 0)
        return extent % lanes && size == extent && !b->compute->reduce;
    if (size % lanes || rest < lanes)
        return false;
    bool more_vectors = rest <= size - lanes;
    return extent / size >= MANY_TILES || !(more_vectors || short_is_faster(b->compute));
}

static Stmt *variant(Builder *b, Tile tile, int axis, Expr *base, int64_t size)
{
    if (axis == b->schedule->vector) {
        tile.vector = axis;
        tile.vector_base = base;
        cut_pieces(&tile, size, b->schedule->lanes);
    } else {
        tile.axis[tile.rows] = axis;
        tile.base[tile.rows] = base;
        tile.size[tile.rows++] = size;
    }
    return build_variants(b, &tile, axis + 1);
}

static Stmt *build_if(Builder *b, Expr *condition, Stmt *body)
{
    return build_stmt(b, (Stmt){.kind = STMT_IF, .value = condition, .body = body});
}

static Stmt *one_variant(Builder *b, Tile tile, int axis, Expr *base, int64_t size)
{
    int64_t extent = b->compute->axis.at[axis].extent.count;
    tile.vector = axis;
    tile.vector_base = size == extent ? build_int(b, 0) : base;
    int64_t rest = extent % size ? extent % size : size;
    cut_overlapping(&tile, size, b->schedule->lanes, rest, extent);
    return build_variants(b, &tile, axis + 1);
}

/* The axes from `axis` on, each with its kinds of tiles. */
static Stmt *build_variants(Builder *b, Tile *tile, int axis)
{
    Exprs *pool = b->pool;
    if (axis == b->compute->outputs) {
        if (!tile->pieces)
            cut_pieces(tile, 1, 1);
        return b->body(b, tile, b->context);
    }
    int64_t size = b->schedule->tile[axis];
    Size extent = b->compute->axis.at[axis].extent;
    if (b->only_columns && axis != b->schedule->vector) {
        b->with[axis] = b->outer[axis]; /* not used if it is a loop inside */
        return build_variants(b, tile, axis + 1);
    }
    Expr *outer = b->outer[axis], *base = expr_mul(pool, outer, build_int(b, size));
    if (size == 1 && axis != b->schedule->vector) {
        b->with[axis] = outer;
        return build_variants(b, tile, axis + 1);
    }
    Expr *end = expr_size(pool, extent), *full, *last;
    if (extent.power == 0) {
        int64_t tiles = extent.count / size, rest = extent.count % size;
        if (tiles_overlap(b, axis, size, extent.count))
            return one_variant(b, *tile, axis, base, size);
        if (rest == 0)
            return variant(b, *tile, axis, base, size);
        full = expr_less(pool, outer, build_int(b, tiles));
        last = expr_less(pool, build_int(b, tiles - 1), outer);
        Stmt *both = build_if(b, full, variant(b, *tile, axis, base, size));
        build_append(&both, build_if(b, last, variant(b, *tile, axis, base, rest)));
        return both;
    }
    Expr *next = expr_add(pool, base, build_int(b, size));
    full = expr_less(pool, next, expr_add(pool, end, build_int(b, 1)));
    last = expr_less(pool, end, next);
    Stmt *both = build_if(b, full, variant(b, *tile, axis, base, size));
    int single = build_axis(b, size_of(size));
    tile->lone = expr_axis(pool, single);
    tile->lone_row = axis == b->schedule->vector ? -1 : tile->rows;
    Stmt *rows = variant(b, *tile, axis, expr_add(pool, base, tile->lone), 1);
    build_append(&both,
                 build_if(b, last, build_for(b, LOOP_SERIAL, single, expr_sub(pool, end, base), rows)));
    return both;
}

/* ---- outer loops and items ------------------------------------------------------------------------------ */

static Expr *tile_count(Builder *b, int axis)
{
    Size extent = b->compute->axis.at[axis].extent;
    int64_t size = b->schedule->tile[axis];
    return expr_div(b->pool, expr_add(b->pool, expr_size(b->pool, extent), build_int(b, size - 1)),
                    build_int(b, size));
}

static Expr *bind_temp(Builder *b, Stmt **list, Expr *value)
{
    if (value->kind == EXPR_AXIS || value->kind == EXPR_CONST)
        return value;
    list_add(b->arena, &b->kernel->temp, value->dtype);
    list_add(b->arena, &b->kernel->temp_lanes, 1);
    int temp = b->kernel->temp.count - 1;
    build_append(list, build_stmt(b, (Stmt){.kind = STMT_LET, .index = temp, .value = value}));
    return expr_temp(b->pool, value->dtype, 1, temp);
}

/* Of the last of the items' loops an item makes `grain` tiles: which they are, given its part. */
static Expr *tile_of_part(Builder *b, int axis, Expr *part)
{
    Expr *count = tile_count(b, axis), *grain = build_int(b, b->schedule->grain);
    Expr *first = expr_mul(b->pool, part, grain), *whole = expr_mod(b->pool, count, grain);
    int64_t rest;
    b->grain_axis = build_axis(b, size_of(b->schedule->grain));
    b->grain_count =
        expr_is_int(whole, &rest) && !rest ? grain : build_min(b, expr_sub(b->pool, count, first), grain);
    return expr_add(b->pool, first, expr_axis(b->pool, b->grain_axis));
}

/* The leading loops are one: item → their indices, the last one fastest. */
static Stmt *decode_items(Builder *b)
{
    const Schedule *s = b->schedule;
    Kernel *k = b->kernel;
    k->items = (Items){1, size_of(1), 1};
    k->item_axis = -1;
    if (!s->items && !s->chunk)
        return NULL;
    k->item_axis = build_axis(b, (Size){-1, 0});
    Expr *item = expr_axis(b->pool, k->item_axis);
    Stmt *lets = NULL;
    for (int i = s->items - 1; i >= 0; i--) {
        int axis = s->order[i];
        int64_t grain = s->grain && i == s->items - 1 ? s->grain : 1, constant;
        Expr *count = expr_add(b->pool, tile_count(b, axis), build_int(b, grain - 1));
        count = expr_div(b->pool, count, build_int(b, grain));
        bool first = i == 0 && !s->chunk, known = expr_is_int(count, &constant);
        Expr *part = bind_temp(b, &lets, first ? item : expr_mod(b->pool, item, count));
        b->outer[axis] = grain > 1 ? tile_of_part(b, axis, part) : part;
        if (first) {
            k->items.size = b->compute->axis.at[axis].extent;
            k->items.divisor = s->tile[axis] * grain;
            break;
        }
        assert(known);
        (void)known;
        item = expr_div(b->pool, item, count);
        k->items.outer *= constant;
    }
    if (s->chunk) {
        b->chunk = bind_temp(b, &lets, item);
        k->items.size = b->compute->axis.at[s->chunk_axis].extent;
        k->items.divisor = s->tile[s->chunk_axis] * s->chunk;
    }
    return lets;
}

static bool is_cut(const Schedule *s, int axis) { return s->chunk && axis == s->chunk_axis; }

/* The outer loops [loop, end) around what `inside` builds. */
static Stmt *build_outer(Builder *b, int loop, int end, Stmt *(*inside)(Builder *b))
{
    const Schedule *s = b->schedule;
    if (loop == end)
        return inside(b);
    int axis = s->order[loop];
    Size extent = b->compute->axis.at[axis].extent;
    Expr *count = tile_count(b, axis);
    bool cut = is_cut(s, axis);
    if (cut)
        extent = size_of(s->chunk);
    else if (extent.power == 0)
        extent.count = (extent.count + s->tile[axis] - 1) / s->tile[axis];
    int outer = build_axis(b, extent);
    b->outer[axis] = expr_axis(b->pool, outer);
    if (cut) {
        Expr *most = build_int(b, s->chunk), *before = expr_mul(b->pool, b->chunk, most);
        b->chunk_tile = b->outer[axis];
        b->outer[axis] = expr_add(b->pool, before, b->chunk_tile);
        count = build_min(b, expr_sub(b->pool, count, before), most);
    }
    Stmt *body = build_outer(b, loop + 1, end, inside);
    return build_for(b, LOOP_SERIAL, outer, count, body);
}

static Stmt *one_tile(Builder *b)
{
    Tile tile = {.vector = -1};
    return build_variants(b, &tile, 0);
}

Stmt *build_tiles(Builder *b, TileBody *body, void *context)
{
    b->body = body;
    b->context = context;
    return build_outer(b, b->schedule->outputs - b->schedule->inner, b->schedule->outputs, one_tile);
}

static Stmt *copy_and_tiles(Builder *b)
{
    TileBody *body = b->body;
    b->body = b->copy;
    b->only_columns = true;
    Stmt *all = one_tile(b);
    b->only_columns = false;
    b->body = body;
    int loops = b->schedule->outputs;
    build_append(&all, build_outer(b, loops - b->shared, loops, one_tile));
    return all;
}

Stmt *build_copied_tiles(Builder *b, int shared, TileBody *copy, TileBody *body, void *context)
{
    int loops = b->schedule->outputs;
    b->body = body;
    b->copy = copy;
    b->shared = shared;
    b->context = context;
    return build_outer(b, loops - b->schedule->inner, loops - shared, copy_and_tiles);
}

static Stmt *all_tiles(Builder *b)
{
    return b->compute->reduce ? build_reduction(b) : build_tiles(b, store_tile, NULL);
}

static Stmt *around_grain(Builder *b, Stmt *work)
{
    return b->schedule->grain ? build_for(b, LOOP_SERIAL, b->grain_axis, b->grain_count, work) : work;
}

static Stmt *all_of_grain(Builder *b) { return around_grain(b, all_tiles(b)); }

Expr *build_tile_number(Builder *b)
{
    const Schedule *s = b->schedule;
    Expr *number = build_int(b, 0);
    for (int i = s->outputs - s->inner; i < s->outputs; i++) {
        int axis = s->order[i];
        bool cut = is_cut(s, axis);
        Expr *count = cut ? build_int(b, s->chunk) : tile_count(b, axis);
        number = expr_add(b->pool, expr_mul(b->pool, number, count), cut ? b->chunk_tile : b->outer[axis]);
    }
    return number;
}

int64_t build_tile_elements(const Builder *b)
{
    int64_t elements = tile_width(b->schedule);
    for (int a = 0; a < b->schedule->outputs; a++)
        elements *= a == b->schedule->vector ? 1 : b->schedule->tile[a];
    return elements;
}

int64_t build_tile_count(const Builder *b)
{
    const Schedule *s = b->schedule;
    int64_t count = 1;
    for (int i = s->outputs - s->inner; i < s->outputs; i++) {
        int axis = s->order[i];
        int64_t extent = b->compute->axis.at[axis].extent.count;
        count *= is_cut(s, axis) ? s->chunk : (extent + s->tile[axis] - 1) / s->tile[axis];
    }
    return count;
}

const char *build_name(Compilation *c, const char *name, int number)
{
    char *text = arena_printf(c->arena, "k%d_%.40s", number, name);
    for (char *at = text; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9')))
            *at = '_';
    return text;
}

Kernel *build_kernel(Compilation *c, const Compute *compute, const Schedule *schedule, int number)
{
    Kernel *kernel = arena_alloc(c->arena, sizeof *kernel);
    Builder b = {
        .arena = c->arena, .pool = compute->pool, .compute = compute, .schedule = schedule, .kernel = kernel};
    kernel->name = build_name(c, compute->name, number);
    kernel->pool = compute->pool;
    kernel->axes = compute->axis.count;
    kernel->arguments = compute->argument.count + 1;
    kernel->once = compute->phase == PHASE_INIT;
    kernel->flops = compute->flops;
    kernel->bytes = compute->bytes;
    for (int i = 0; i < compute->buffer.count; i++)
        list_add(c->arena, &kernel->buffer,
                 ((KernelBuffer){compute->buffer.at[i].dtype, compute->buffer.at[i].read,
                                 compute->buffer.at[i].written, false}));
    Text text = {0};
    schedule_print(&text, compute, schedule);
    kernel->comment = arena_printf(c->arena, "%s:%.*s%s", compute->name, (int)text.length - 4,
                                   text_string(&text) + 3, schedule->tuned ? ", tuned" : "");
    kernel->tuned = schedule->tuned;
    text_free(&text);
    b.in_place = compute_updates(compute);
    b.overlap = schedule->vector >= 0 && may_overlap(&b);
    b.with = arena_alloc(c->arena, ((size_t)compute->axis.count + 1) * sizeof *b.with);
    b.inner = arena_alloc(c->arena, ((size_t)compute->axis.count + 1) * sizeof *b.inner);
    for (int a = compute->outputs; a < compute->axis.count; a++)
        b.with[a] = expr_axis(b.pool, a);
    kernel->body = decode_items(&b);
    bool inside = compute->reduce != NULL; /* where the tiles of a column share what they read */
    Stmt *work = build_outer(&b, schedule->items, schedule->outputs - schedule->inner,
                             inside ? all_of_grain : all_tiles);
    build_append(&kernel->body, inside ? work : around_grain(&b, work));
    return kernel;
}

void build_arguments(Compilation *c, const int64_t *argument, int count, Call *call)
{
    call->argument = arena_copy(c->arena, argument, (size_t)count * sizeof *argument);
    for (int i = 0; i < count; i++)
        if (argument[i] == ARGUMENT_STEP) {
            call->argument[i] = 0;
            call->step = i + 1;
        }
}

/* Computes of one loop lie side by side. `call`: by compute. */
static void find_loops(Compilation *c, const int *call)
{
    for (int i = 0; i < c->compute.count; i++) {
        const Compute *compute = c->compute.at[i], *before = i ? c->compute.at[i - 1] : NULL;
        if (!compute->loop)
            continue;
        if (before && before->loop == compute->loop && before->phase == compute->phase) {
            ProgramLoop *loop = &c->program->loop.at[c->program->loop.count - 1];
            loop->count = call[i] - loop->first + 1;
            continue;
        }
        ProgramLoop loop = {call[i], 1, c->steps[compute->phase][compute->loop]};
        list_add(c->arena, &c->program->loop, loop);
    }
}

/* Phases count calls from now on. */
static void count_calls(Compilation *c, const int *call)
{
    for (int p = 0; p < PHASE_COUNT; p++) {
        ProgramPhase *phase = &c->program->phase[p];
        int end = phase->first + phase->count;
        phase->first = phase->first < c->compute.count ? call[phase->first] : c->program->call.count;
        phase->count = (end < c->compute.count ? call[end] : c->program->call.count) - phase->first;
    }
}

static void add_kernel(Compilation *c, Kernel *kernel, int compute)
{
    const Compute *first = c->compute.at[compute];
    list_add(c->arena, &c->program->kernel, kernel);
    if (!c->kernels)
        return;
    TuneKernel tune = {.compute = first, .schedule = c->schedule.at[compute], .chained = first->chain};
    tune.key = first->chain ? 0 : tune_key(c->arena, c->target, first);
    list_add(c->arena, &c->kernels->at, tune);
}

/* A compute alone; `kernel`: of those that were built, by the first of equal ones, + 1. */
static void call_alone(Compilation *c, int i, int *kernel, Call *call)
{
    const Compute *compute = c->compute.at[i];
    int same = c->same[i];
    if (!kernel[same]) {
        Kernel *made = build_kernel(c, compute, &c->schedule.at[i], c->program->kernel.count);
        add_kernel(c, made, i);
        kernel[same] = c->program->kernel.count;
    }
    call->kernel = kernel[same] - 1;
    call->name = compute->name;
    call->buffer = arena_alloc(c->arena, ((size_t)compute->buffer.count + 1) * sizeof *call->buffer);
    for (int k = 0; k < compute->buffer.count; k++)
        call->buffer[k] = compute->buffer.at[k].id;
    build_arguments(c, compute->argument.at, compute->argument.count, call);
}

static int end_of_chain(const Compilation *c, int i)
{
    int chain = c->compute.at[i]->chain, end = i + 1;
    while (chain && end < c->compute.count && c->compute.at[end]->chain == chain)
        end++;
    return end;
}

bool pass_build(Compilation *c)
{
    size_t computes = (size_t)c->compute.count + 1;
    int *kernel = arena_alloc(c->arena, computes * sizeof *kernel),
        *place = arena_alloc(c->arena, computes * sizeof *place);
    ChainKernels chains = {NULL, 0, 0};
    for (int i = 0, end; i < c->compute.count; i = end) {
        Call call = {.kernel = 0};
        end = end_of_chain(c, i);
        for (int k = i; k < end; k++)
            place[k] = c->program->call.count;
        if (end == i + 1) {
            call_alone(c, i, kernel, &call);
        } else {
            Kernel *made = build_chain(c, i, end, &chains, &call);
            if (made)
                add_kernel(c, made, i);
        }
        list_add(c->arena, &c->program->call, call);
    }
    find_loops(c, place);
    count_calls(c, place);
    return true;
}
