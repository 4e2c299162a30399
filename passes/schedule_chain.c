/* How many rows an item makes of a chain's members, and how each member makes them. */
#include "schedule_tiles.h"

enum {
    MOST_ROWS = 16,
    NEAR_SHARE = 2,      /* an item's rows may take this part of the first cache, */
    FAR_SHARE = 4,       /* and if there is a product among them, of the second one; */
    MOST_BYTES = 1 << 18 /* what only they need is on the stack */
};

typedef struct Link { /* the computes [first, end) of a chain */
    int first, end;
    int64_t rows; /* an item's */
    bool products;
} Link;

static bool is_product(const Compute *c) { return c->reduce && c->reduce->reduction->fma; }

/* The axis along which an item has several rows. */
static int row_axis(const Compute *c) { return c->rows - 1; }

/* ---- rows of an item ------------------------------------------------------------------------------------- */

static int64_t all_rows(const Compilation *p, const Link *l)
{
    int64_t rows = 1;
    for (int a = 0; a < p->compute.at[l->first]->rows; a++)
        rows *= axis_extent(p, p->compute.at[l->first], a);
    return rows;
}

/* Bytes that a row has of what the chain writes. */
static int64_t row_bytes(const Compilation *p, const Link *l)
{
    int64_t bytes = 0;
    for (int i = l->first; i < l->end; i++) {
        const Compute *c = p->compute.at[i];
        for (int k = 0; k < c->store.count; k++) {
            int64_t stored = dtype_info[c->store.at[k].value->dtype].bytes;
            for (int a = c->rows; a < c->outputs; a++)
                stored *= axis_extent(p, c, a);
            bytes += stored;
        }
    }
    return bytes;
}

/* The largest power of two, at most `most`, of rows that no item of any member shares with the next sample or head. */
static int64_t even_rows(const Compilation *p, const Link *l, int64_t most)
{
    int64_t rows = 1;
    for (; 2 * rows <= most; rows *= 2)
        for (int i = l->first; i < l->end; i++) {
            const Compute *c = p->compute.at[i];
            if (c->rows > 1 && c->axis.at[row_axis(c)].extent.count % (2 * rows))
                return rows;
        }
    return rows;
}

/* Tiles of a product as high as it likes, if all members have the same axis of rows. */
static int64_t product_rows(const Compilation *p, const Link *l)
{
    int64_t rows = 0;
    for (int i = l->first; i < l->end; i++) {
        const Compute *c = p->compute.at[i];
        if (c->rows > 1)
            return 0;
        if (!is_product(c) || rows)
            continue;
        Schedule s = schedule_plain(c);
        schedule_product_tile(p, c, &(TileWish){.rows = 1}, &s);
        rows = s.tile[0] < MOST_ROWS ? MOST_ROWS / s.tile[0] * s.tile[0] : s.tile[0];
    }
    return rows;
}

/* False: an item would be too large. */
static bool choose_rows(const Compilation *p, Link *l)
{
    int64_t all = all_rows(p, l), bytes = row_bytes(p, l);
    for (int i = l->first; i < l->end; i++)
        l->products |= is_product(p->compute.at[i]);
    int64_t near = p->target->l1_bytes / NEAR_SHARE, far = p->target->l2_bytes / FAR_SHARE, most = MOST_ROWS;
    if (!l->products)
        while (most > 1 && (most * FEW_ITEMS > all || most * bytes > near))
            most /= 2;
    l->rows = l->products ? product_rows(p, l) : 0;
    if (!l->rows)
        l->rows = even_rows(p, l, most);
    return l->rows * bytes <= (far < MOST_BYTES ? far : MOST_BYTES);
}

/* ---- members --------------------------------------------------------------------------------------------- */

/* The rows' loops first, in their order. */
static void order_rows(const Compute *c, Schedule *s)
{
    int count = c->rows, order[MAX_OUTPUT_AXES];
    for (int i = 0; i < s->outputs; i++)
        if (s->order[i] >= c->rows)
            order[count++] = s->order[i];
    for (int i = 0; i < s->outputs; i++)
        s->order[i] = i < c->rows ? i : order[i];
}

static bool schedule_member(const Compilation *p, const Compute *c, const Link *l, Schedule *s)
{
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    *s = schedule_plain(c);
    if (r && r->tree == TREE_LANES) {
        s->lanes_reduce = schedule_loads_unit(c, c->reduce->arg[0], r->axis[r->axes - 1]);
    } else if (r && r->fma) {
        schedule_product_tile(p, c, &(TileWish){.rows = c->rows, .multiple = l->rows}, s);
        if (s->vector < c->rows)
            return false;
        s->prefetch =
            c->phase == PHASE_STEP && r->tree == TREE_CHAIN && schedule_results_are_far(c, row_axis(c));
    } else if (c->outputs > c->rows) {
        schedule_vectors(p, c, s, !r && schedule_is_long(c) ? 1 : 2);
        if (!r)
            schedule_choices(c, s);
    }
    order_rows(c, s);
    s->items = c->rows;
    if (l->rows % s->tile[row_axis(c)])
        return false;
    s->grain = l->rows / s->tile[row_axis(c)];
    s->grain = s->grain > 1 ? s->grain : 0;
    for (int a = 0; a < row_axis(c); a++)
        if (s->tile[a] > 1)
            return false;
    return !schedule_fault(c, s);
}

static bool schedule_members(const Compilation *p, Link *l, Schedule *s)
{
    if (!choose_rows(p, l))
        return false;
    for (int i = l->first; i < l->end; i++)
        if (!schedule_member(p, p->compute.at[i], l, &s[i - l->first]))
            return false;
    return true;
}

void schedule_chains(Compilation *c)
{
    Schedule *s = arena_alloc(c->arena, ((size_t)c->compute.count + 1) * sizeof *s);
    for (int i = 0; i < c->compute.count;) {
        Link l = {.first = i, .end = i + 1};
        while (c->compute.at[i]->chain && l.end < c->compute.count &&
               c->compute.at[l.end]->chain == c->compute.at[i]->chain)
            l.end++;
        bool suits = c->compute.at[i]->chain && schedule_members(c, &l, s);
        for (; i < l.end; i++) {
            if (suits)
                c->schedule.at[i] = s[i - l.first];
            else
                c->compute.at[i]->chain = 0;
        }
    }
}
