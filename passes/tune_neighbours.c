/* Schedules that may be faster than a given one. In doubt a schedule is in: what is slow is soon dropped by measuring. */
#include "tune.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPARE_REGISTERS = 1, /* a tile may take all but so many: one operand can come from memory */
    MOST_ROWS = 16,
    MOST_VECTORS = 8,
    MOST_CODE = 12000,
    MOST_WRITTEN = 16, /* vectors of a tile without products: more of them only make code */
    ENOUGH_ITEMS = 16,
    MOST_ORDERS = 3 /* axes whose orders are all tried */
};

typedef struct Found {
    Schedule schedule;
    double cost; /* of equals the first found is first */
    int number;
} Found;

typedef struct Search {
    Arena *arena;
    const Target *target;
    const Compute *compute;
    int64_t batch;
    const Schedule *base;
    Found *found;
    int count, capacity;
} Search;

static bool same_schedule(const Schedule *a, const Schedule *b)
{
    bool same = a->items == b->items && a->inner == b->inner && a->blocked == b->blocked &&
                a->vector == b->vector && a->lanes == b->lanes && a->strip == b->strip &&
                a->stage == b->stage && a->stage_rows == b->stage_rows && a->prefetch == b->prefetch &&
                a->chunk == b->chunk && (!a->chunk || a->chunk_axis == b->chunk_axis);
    for (int i = 0; i < a->outputs && same; i++)
        same = a->tile[i] == b->tile[i] && a->order[i] == b->order[i];
    return same;
}

/* Leaves of a tile along an axis: rows, or vectors and what is less than one. */
static int64_t leaves_of(const Schedule *schedule, int axis, int64_t extent)
{
    if (axis != schedule->vector)
        return extent;
    return extent / schedule->lanes + __builtin_popcountll((uint64_t)(extent % schedule->lanes));
}

/* What is written out, last tiles included, times what each leaf computes: about how long compiling takes. */
static double code_size(const Search *s, const Schedule *schedule)
{
    double code = exprs_count(s->compute->pool);
    for (int a = 0; a < schedule->outputs; a++) {
        Size extent = s->compute->axis.at[a].extent;
        int64_t rest = extent.power ? schedule->tile[a] > 1 : extent.count % schedule->tile[a];
        code *= (double)(leaves_of(schedule, a, schedule->tile[a]) + leaves_of(schedule, a, rest));
    }
    return code;
}

static void add(Search *s, const Schedule *schedule, double cost)
{
    double most = code_size(s, s->base);
    if (schedule_fault(s->compute, schedule) || same_schedule(schedule, s->base) ||
        code_size(s, schedule) > (most > MOST_CODE ? most : MOST_CODE))
        return;
    for (int i = 0; i < s->count; i++)
        if (same_schedule(schedule, &s->found[i].schedule))
            return;
    if (s->count == s->capacity)
        s->found = list_grow(s->arena, s->found, &s->capacity, sizeof *s->found);
    Found *found = &s->found[s->count];
    *found = (Found){*schedule, cost, s->count};
    found->schedule.tuned = true;
    s->count++;
}

static int64_t extent_of(const Search *s, int axis)
{
    return size_at(s->compute->axis.at[axis].extent, s->batch);
}

static int64_t tiles_of(const Search *s, const Schedule *schedule, int axis)
{
    return (extent_of(s, axis) + schedule->tile[axis] - 1) / schedule->tile[axis];
}

/* ---- tiles ----------------------------------------------------------------------------------------------- */

/* Work of all tiles beside that of the elements, times the loads beside the products; small tiles wait for their own sums. */
static double tile_cost(int64_t height, int64_t rows, int64_t width, int64_t vectors, int lanes)
{
    int64_t across = (width + lanes - 1) / lanes;
    int64_t down = (height + rows - 1) / rows * rows, over = (across + vectors - 1) / vectors * vectors;
    double waste = (double)down / (double)height * (double)over / (double)across;
    double loads = 1 + 0.5 * (1 / (double)rows + 1 / (double)vectors);
    double waits = rows * vectors < 8 ? 8 / (double)(rows * vectors) : 1;
    return waste * loads * waits;
}

static int64_t vectors_of(const Schedule *schedule)
{
    int64_t vectors = 1;
    for (int a = 0; a < schedule->outputs; a++)
        vectors *= leaves_of(schedule, a, schedule->tile[a]);
    return vectors;
}

static void try_tiles(Search *s, Schedule schedule, int row, double factor)
{
    int64_t height = row >= 0 ? extent_of(s, row) : 1, width = extent_of(s, schedule.vector);
    int most = s->target->vector_registers - SPARE_REGISTERS;
    for (int64_t vectors = 1; vectors <= MOST_VECTORS && (vectors - 1) * schedule.lanes < width; vectors++)
        for (int64_t rows = 1; rows <= MOST_ROWS && rows <= height; rows++) {
            schedule.tile[schedule.vector] =
                vectors * schedule.lanes < width ? vectors * schedule.lanes : width;
            if (row >= 0)
                schedule.tile[row] = rows;
            if (vectors_of(&schedule) < most)
                add(s, &schedule, factor * tile_cost(height, rows, width, vectors, schedule.lanes));
        }
}

/* Rows along every axis, at first the axis that has them now; vectors of half the lanes; rows of two axes. */
static void find_contraction_tiles(Search *s)
{
    const Compute *c = s->compute;
    int now = -1;
    for (int a = 0; a < c->outputs; a++)
        if (a != s->base->vector && (now < 0 || s->base->tile[a] > s->base->tile[now]))
            now = a;
    for (int row = 0; row < c->outputs; row++) {
        if (row == s->base->vector || (extent_of(s, row) < 2 && row != now))
            continue;
        Schedule schedule = *s->base;
        if (now >= 0)
            schedule.tile[now] = 1;
        try_tiles(s, schedule, row, row == now ? 1 : 1.15);
        for (int other = 0; other < c->outputs; other++) {
            if (other == row || other == s->base->vector || extent_of(s, other) < 2)
                continue;
            schedule.tile[other] = 2;
            try_tiles(s, schedule, row, 1.1);
            schedule.tile[other] = 1;
        }
    }
    Schedule narrow = *s->base;
    if (narrow.lanes > 4) {
        narrow.lanes /= 2;
        try_tiles(s, narrow, now, 1.1);
    }
}

static void find_plain_tiles(Search *s)
{
    static const int counts[] = {1, 2, 3, 4, 6, 8};
    const Compute *c = s->compute;
    int vector = s->base->vector;
    for (size_t n = 0; vector >= 0 && n < sizeof counts / sizeof *counts; n++)
        for (int row = -1; row < c->outputs; row++)
            for (int rows = row < 0 ? 1 : 2; rows <= (row < 0 ? 1 : 4) && row != vector; rows *= 2) {
                Schedule schedule = *s->base;
                int64_t width = extent_of(s, vector), tile = counts[n] * schedule.lanes;
                schedule.tile[vector] = tile < width ? tile : width;
                if (row >= 0)
                    schedule.tile[row] *= rows;
                if (vectors_of(&schedule) <= MOST_WRITTEN)
                    add(s, &schedule, counts[n] * (row < 0 ? 1 : 2 * rows));
            }
    for (int a = 0; a < c->outputs; a++) {
        int64_t extent = extent_of(s, a);
        int lanes = s->target->vector_lanes;
        while (lanes > extent)
            lanes /= 2;
        Schedule schedule = *s->base;
        if (lanes < 2 || (vector >= 0 && schedule.tile[a] > 1 && a != vector))
            continue;
        if (vector >= 0)
            schedule.tile[vector] = 1;
        schedule.vector = a;
        schedule.lanes = a == vector && lanes > 2 ? lanes / 2 : lanes;
        for (int n = 1; n <= 2; n++) {
            schedule.tile[a] = n * schedule.lanes < extent ? n * schedule.lanes : extent;
            add(s, &schedule, a == vector ? 3 : 5);
        }
    }
}

/* ---- loops ----------------------------------------------------------------------------------------------- */

/* As many leading loops as make enough items for the threads. */
static void take_items(const Search *s, Schedule *schedule, int most)
{
    int64_t items = 1;
    schedule->items = 0;
    while (items < ENOUGH_ITEMS && schedule->items < most &&
           (schedule->items == 0 || !s->compute->axis.at[schedule->order[schedule->items]].extent.power))
        items *= tiles_of(s, schedule, schedule->order[schedule->items++]);
}

/* The order of `schedule`, without blocks and with each number of items and blocks. */
static void try_loops(Search *s, Schedule schedule, double cost)
{
    int outputs = schedule.outputs;
    schedule.inner = schedule.blocked = 0;
    schedule.strip = schedule.chunk = 0;
    schedule.stage = schedule.stage_rows = schedule.prefetch = false;
    take_items(s, &schedule, outputs);
    add(s, &schedule, cost);
    int items = schedule.items;
    for (schedule.items = 1; schedule.items <= outputs; schedule.items++)
        if (schedule.items != items)
            add(s, &schedule, cost + 1);
    const Reduction *r = s->compute->reduce ? s->compute->reduce->reduction : NULL;
    int chain = r ? r->axes - (r->tree == TREE_LEAVES ? r->leaf : 0) : 0;
    for (schedule.inner = 1; schedule.inner < outputs; schedule.inner++)
        for (schedule.blocked = 0; schedule.blocked < chain; schedule.blocked++) {
            take_items(s, &schedule, outputs - schedule.inner);
            add(s, &schedule,
                cost + 0.5 + (schedule.inner != s->base->inner) + (schedule.blocked != s->base->blocked));
        }
}

static void move(Schedule *s, int from, int to)
{
    int axis = s->order[from];
    if (from < to)
        memmove(&s->order[from], &s->order[from + 1], sizeof *s->order * (size_t)(to - from));
    else
        memmove(&s->order[to + 1], &s->order[to], sizeof *s->order * (size_t)(from - to));
    s->order[to] = axis;
}

/* All orders of the loops from `at` on. */
static void try_orders(Search *s, Schedule schedule, int at)
{
    if (at == schedule.outputs) {
        try_loops(s, schedule, memcmp(schedule.order, s->base->order, sizeof schedule.order) ? 1 : 0);
        return;
    }
    for (int i = at; i < schedule.outputs; i++) {
        Schedule next = schedule;
        move(&next, i, at);
        try_orders(s, next, at + 1);
    }
}

/* Strips and chunks half and twice as long, with a copy, two, and none. */
static void try_strips(Search *s)
{
    for (int strip = -1; s->base->strip && strip <= 1; strip++)
        for (int chunk = -1; chunk <= 1; chunk++)
            for (int stage = 0; stage <= 2; stage++) {
                Schedule schedule = *s->base;
                schedule.strip = strip < 0 ? schedule.strip / 2 : schedule.strip << strip;
                schedule.chunk = chunk < 0 ? schedule.chunk / 2 : schedule.chunk << chunk;
                schedule.stage = stage > 0;
                schedule.stage_rows = stage > 1;
                if (schedule.strip)
                    add(s, &schedule, (strip != 0) + 0.5 * (chunk != 0));
            }
}

static void find_loops(Search *s)
{
    int outputs = s->base->outputs;
    Schedule other = *s->base;
    other.prefetch = !other.prefetch;
    add(s, &other, 0.5);
    try_strips(s);
    if (outputs <= MOST_ORDERS) {
        try_orders(s, *s->base, 0);
        return;
    }
    try_loops(s, *s->base, 0);
    for (int from = 0; from < outputs; from++)
        for (int to = 0; to < outputs; to += outputs - 1) {
            Schedule schedule = *s->base;
            move(&schedule, from, to);
            try_loops(s, schedule, 1);
        }
    for (int i = 1; i + 2 < outputs; i++) {
        Schedule schedule = *s->base;
        move(&schedule, i, i + 1);
        try_loops(s, schedule, 1.2);
    }
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int compare_found(const void *x, const void *y)
{
    const Found *a = x, *b = y;
    if (a->cost != b->cost)
        return a->cost < b->cost ? -1 : 1;
    return a->number - b->number;
}

TuneSchedules tune_neighbours(Arena *arena, const Target *target, const Compute *compute, int64_t batch,
                              const Schedule *base, TuneStage stage, int most)
{
    Search s = {.arena = arena, .target = target, .compute = compute, .batch = batch, .base = base};
    const Reduction *r = compute->reduce ? compute->reduce->reduction : NULL;
    bool lanes = r && (r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES));
    if (stage == TUNE_LOOPS)
        find_loops(&s);
    else if (r && r->fma && base->vector >= 0)
        find_contraction_tiles(&s);
    else if (!lanes)
        find_plain_tiles(&s);
    TuneSchedules best = {{NULL, 0, 0}};
    if (s.count)
        qsort(s.found, (size_t)s.count, sizeof *s.found, compare_found);
    for (int i = 0; i < s.count && i < most; i++)
        list_add(arena, &best.at, s.found[i].schedule);
    return best;
}
