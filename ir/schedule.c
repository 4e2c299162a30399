#include "schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_LANES = 16,
    MOST_WRITTEN = 512,    /* vectors of a tile: they are written out */
    MOST_TILE = 1 << 12,   /* elements of a tile */
    LARGEST_TILE = 1 << 20 /* that is read */
};

void schedule_print(Text *text, const Compute *c, const Schedule *s)
{
    text_add(text, "    schedule items");
    if (s->chunk)
        text_printf(text, " i%d/%lld", s->chunk_axis, (long long)(s->chunk * s->tile[s->chunk_axis]));
    for (int i = 0; i < s->outputs; i++) {
        int a = s->order[i];
        if (s->grain && i == s->items)
            text_printf(text, " grain:%lld", (long long)s->grain);
        text_add(text, i == s->items ? " |" : "");
        if (s->inner && i == s->outputs - s->inner)
            text_printf(text, " block:%d", s->blocked);
        if (s->strip && i == s->outputs - s->inner)
            text_printf(text, " strip:%lld%s", (long long)s->strip, s->stage ? " stage" : "");
        if (s->stage_rows && i == s->outputs - s->inner)
            text_add(text, " rows");
        text_printf(text, " i%d", a);
        if (s->tile[a] > 1)
            text_printf(text, "/%lld", (long long)s->tile[a]);
    }
    if (s->grain && s->items == s->outputs)
        text_printf(text, " grain:%lld", (long long)s->grain);
    if (c && c->reduce)
        text_add(text, " reduce");
    text_add(text, " tile");
    for (int a = 0; a < s->outputs; a++)
        if (s->tile[a] > 1 || a == s->vector)
            text_printf(text, a == s->vector ? " i%d:%lld(x%d)" : " i%d:%lld", a, (long long)s->tile[a],
                        s->lanes);
    text_printf(text, "%s%s\n", s->lanes_reduce ? " lanes" : "", s->prefetch ? " prefetch" : "");
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static bool is_axis(Words *w)
{
    return words_peek(w) > 1 && *w->at == 'i' && w->at[1] >= '0' && w->at[1] <= '9';
}

static bool read_axis(Words *w, int *axis)
{
    int64_t number;
    w->at++;
    if (!words_read_integer(w, 0, MAX_OUTPUT_AXES - 1, &number))
        return false;
    *axis = (int)number;
    return true;
}

/* The first loop over an axis that has another one among the blocked ones is over its chunks; `chunk` becomes its elements. */
static bool take_chunk(Schedule *s, int axis, int64_t cut[MAX_OUTPUT_AXES])
{
    if (s->chunk || !s->inner || !s->items || s->order[0] != axis || cut[axis] < 2)
        return false;
    s->chunk_axis = axis;
    s->chunk = cut[axis];
    cut[axis] = 0;
    s->items--;
    memmove(&s->order[0], &s->order[1], sizeof s->order[0] * (size_t)--s->outputs);
    return true;
}

/* ":1 strip:128 stage rows" */
static bool read_block(Words *w, Schedule *s)
{
    int64_t number;
    if (!words_expect_mark(w, ':') || !words_read_integer(w, 0, MAX_OUTPUT_AXES, &number))
        return false;
    s->blocked = (int)number;
    if (!words_accept(w, "strip"))
        return true;
    if (!words_expect_mark(w, ':') || !words_read_integer(w, 1, LARGEST_TILE, &s->strip))
        return false;
    s->stage = words_accept(w, "stage");
    s->stage_rows = s->stage && words_accept(w, "rows");
    return true;
}

/* "i0 i1/6 | block:1 i2/32": the outer loops. cut[a]: what stands behind the stroke. */
static bool read_loops(Words *w, Schedule *s, int64_t cut[MAX_OUTPUT_AXES])
{
    bool bar = false, block = false;
    for (;;) {
        if (!bar && !block && words_accept_mark(w, '|')) {
            bar = true;
        } else if (!bar && !block && !s->grain && words_accept(w, "grain")) {
            if (!words_expect_mark(w, ':') || !words_read_integer(w, 2, LARGEST_TILE, &s->grain))
                return false;
        } else if (!block && words_accept(w, "block")) {
            block = true;
            if (!read_block(w, s))
                return false;
        } else if (is_axis(w)) {
            const char *begin = w->at;
            int axis;
            if (!read_axis(w, &axis))
                return false;
            s->inner += block;
            if (s->outputs == MAX_OUTPUT_AXES || (cut[axis] && !take_chunk(s, axis, cut)))
                return words_fail(w, begin, "axis i%d has two loops", axis);
            cut[axis] = 1;
            if (words_accept_mark(w, '/') && !words_read_integer(w, 2, LARGEST_TILE, &cut[axis]))
                return false;
            s->order[s->outputs++] = axis;
            s->items += !bar && !block;
        } else {
            return true;
        }
    }
}

/* "i1:6 i2:32(x16)" */
static bool read_tiles(Words *w, Schedule *s)
{
    while (is_axis(w)) {
        const char *begin = w->at;
        int axis;
        int64_t lanes;
        if (!read_axis(w, &axis))
            return false;
        if (s->tile[axis])
            return words_fail(w, begin, "axis i%d has two tiles", axis);
        if (!words_expect_mark(w, ':') || !words_read_integer(w, 1, LARGEST_TILE, &s->tile[axis]))
            return false;
        if (!words_accept_mark(w, '('))
            continue;
        begin = w->token;
        if (!words_expect_mark(w, 'x') || !words_read_integer(w, 1, MOST_LANES, &lanes) ||
            !words_expect_mark(w, ')'))
            return false;
        if (s->vector >= 0)
            return words_fail(w, begin, "only one axis can be in vectors");
        s->vector = axis;
        s->lanes = (int)lanes;
    }
    return true;
}

bool schedule_read(Words *w, Schedule *s)
{
    int64_t cut[MAX_OUTPUT_AXES] = {0};
    *s = (Schedule){.vector = -1, .lanes = 1};
    if (!words_expect(w, "schedule") || !words_expect(w, "items") || !read_loops(w, s, cut))
        return false;
    words_accept(w, "reduce");
    if (!words_expect(w, "tile") || !read_tiles(w, s))
        return false;
    s->lanes_reduce = words_accept(w, "lanes");
    s->prefetch = words_accept(w, "prefetch");
    if (!words_end_line(w))
        return false;
    for (int a = 0; a < MAX_OUTPUT_AXES; a++) {
        if (s->tile[a] && !cut[a])
            return words_fail(w, w->line, "axis i%d has a tile and no loop", a);
        if (cut[a] > 1 && s->tile[a] != cut[a])
            return words_fail(w, w->line, "the loop of axis i%d is not over its tiles", a);
        s->tile[a] = s->tile[a] ? s->tile[a] : 1;
        if (s->tile[a] > 1 && cut[a] == 1)
            return words_fail(w, w->line, "the loop of axis i%d is not over its tiles", a);
        if (a < s->outputs && !cut[a])
            return words_fail(w, w->line, "axis i%d has no loop", a);
    }
    if (s->chunk && s->chunk % s->tile[s->chunk_axis])
        return words_fail(w, w->line, "the chunks of axis i%d are not made of its tiles", s->chunk_axis);
    s->chunk /= s->tile[s->chunk_axis];
    return true;
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

static const char *fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *fault(const char *format, ...)
{
    static _Thread_local char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return text;
}

static const char *grain_fault(const Compute *c, const Schedule *s)
{
    if (s->grain && (s->grain < 2 || !s->items || s->chunk))
        return fault("schedule of '%s': items of %lld tiles along %d loops", c->name, (long long)s->grain,
                     s->items);
    return NULL;
}

static const char *chunk_fault(const Compute *c, const Schedule *s)
{
    bool found = s->chunk == 0;
    for (int i = s->outputs - s->inner; i < s->outputs; i++)
        found |= s->order[i] == s->chunk_axis;
    if (!found || s->chunk < 0)
        return fault("schedule of '%s' cuts the loop of axis %d, which does not run inside", c->name,
                     s->chunk_axis);
    for (int i = 0; s->chunk && i < s->items; i++)
        if (c->axis.at[s->order[i]].extent.power)
            return fault("schedule of '%s': axis %d grows with the batch beside a cut loop", c->name,
                         s->order[i]);
    return NULL;
}

int schedule_shared(const Schedule *s, Expr *staged)
{
    int shared = 0;
    while (shared < s->inner && !expr_uses_axis(staged, s->order[s->outputs - 1 - shared]))
        shared++;
    return shared;
}

Expr *schedule_staged(const Compute *c, const Schedule *s)
{
    Expr *term = c->reduce ? c->reduce->arg[0] : NULL, *found = NULL;
    if (!term || term->kind != EXPR_APPLY || term->op != SCALAR_MUL || s->vector < 0)
        return NULL;
    for (int k = 0; k < 2; k++)
        if (expr_uses_axis(term->arg[k], s->vector)) {
            if (found)
                return NULL;
            found = term->arg[k];
        }
    for (int a = 0; found && a < s->outputs; a++) /* the copy is of one row */
        if (a != s->vector && s->tile[a] > 1 && expr_uses_axis(found, a))
            return NULL;
    return found && schedule_shared(s, found) ? found : NULL;
}

Expr *schedule_staged_rows(const Compute *c, const Schedule *s, int *row)
{
    Expr *staged = schedule_staged(c, s), *found;
    int64_t stride;
    if (!staged)
        return NULL;
    found = c->reduce->arg[0]->arg[c->reduce->arg[0]->arg[0] == staged];
    *row = s->order[s->outputs - 1];
    if (found->kind != EXPR_LOAD || found->count > 1 || !expr_stride(found->arg[0], *row, &stride) ||
        stride != 1)
        return NULL;
    for (int a = 0; a < s->outputs; a++)
        if (a != *row && s->tile[a] > 1 && expr_uses_axis(found, a))
            return NULL;
    for (int i = s->outputs - s->inner; i < s->outputs - 1; i++)
        if (expr_uses_axis(found, s->order[i]))
            return NULL;
    return found;
}

int64_t schedule_rows(const Compute *c, const Schedule *s, int row)
{
    return s->chunk && s->chunk_axis == row ? s->chunk * s->tile[row] : c->axis.at[row].extent.count;
}

/* What of an operand is copied for a strip, of so many elements a term. */
static bool fits_block(const Compute *c, const Schedule *s, int64_t elements)
{
    const Reduction *r = c->reduce->reduction;
    elements *= s->strip;
    for (int i = (r->tree == TREE_LEAVES ? r->leaf : 0) + s->blocked + 1; i < r->axes; i++) {
        elements = elements < MOST_BLOCK ? elements : MOST_BLOCK + 1;
        elements *= c->axis.at[r->axis[i]].extent.count;
    }
    return elements <= MOST_BLOCK;
}

static const char *rows_fault(const Compute *c, const Schedule *s)
{
    int row;
    if (!schedule_staged_rows(c, s, &row))
        return fault("schedule of '%s' stages rows that are no neighbours, or differ between tiles", c->name);
    int64_t rows = schedule_rows(c, s, row), extent = c->axis.at[row].extent.count;
    if (c->axis.at[row].extent.power || extent % rows || rows % s->tile[row] || rows > MOST_BLOCK ||
        s->tile[row] & (s->tile[row] - 1) || s->tile[row] > MOST_LANES)
        return fault("schedule of '%s' stages %lld of %lld rows, tiles of %lld", c->name, (long long)rows,
                     (long long)extent, (long long)s->tile[row]);
    if (!fits_block(c, s, rows + (rows / s->tile[row] * STAGE_GAP + s->strip - 1) / s->strip))
        return fault("schedule of '%s' stages more than %d elements", c->name, MOST_BLOCK);
    return NULL;
}

static const char *strip_fault(const Compute *c, const Schedule *s)
{
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    if (s->strip < 0 || (s->strip && !s->inner) || (s->stage && !s->strip) || (s->stage_rows && !s->stage))
        return fault("schedule of '%s' has strips of %lld terms for %d loops", c->name, (long long)s->strip,
                     s->inner);
    if (!s->stage)
        return NULL;
    if (!schedule_staged(c, s) || c->axis.at[s->vector].extent.power)
        return fault("schedule of '%s' stages what differs between tiles", c->name);
    for (int i = (r->tree == TREE_LEAVES ? r->leaf : 0) + s->blocked + 1; i < r->axes; i++) {
        const ComputeAxis *a = &c->axis.at[r->axis[i]];
        if (a->extent.power || a->dynamic)
            return fault("schedule of '%s' stages an axis of unknown length", c->name);
    }
    if (!fits_block(c, s, s->tile[s->vector]))
        return fault("schedule of '%s' stages more than %d elements", c->name, MOST_BLOCK);
    return s->stage_rows ? rows_fault(c, s) : NULL;
}

static const char *blocks_fault(const Compute *c, const Schedule *s)
{
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    int chain = r ? r->axes - (r->tree == TREE_LEAVES ? r->leaf : 0) : 0;
    bool leaves = r && r->tree == TREE_LEAVES; /* tiles may take turns on a whole leaf */
    if ((s->blocked > 0 && !s->inner) || (s->inner > 0 && !s->blocked && !s->strip && !leaves) ||
        s->inner + s->items > s->outputs || s->blocked >= (chain > 0 ? chain : 1))
        return fault("schedule of '%s' blocks %d of %d reduced axes around %d loops", c->name, s->blocked,
                     chain, s->inner);
    int64_t elements = 1;
    for (int i = 0; s->inner && i < s->outputs; i++) {
        int a = s->order[i];
        Size extent = c->axis.at[a].extent;
        bool inner = i >= s->outputs - s->inner;
        if (inner && compute_bounds_terms(c, a))
            return fault("schedule of '%s': the terms depend on axis %d, which cannot run inside", c->name,
                         a);
        bool cut = s->chunk && a == s->chunk_axis;
        if (extent.power && !cut && (inner || s->tile[a] > 1))
            return fault("schedule of '%s': axis %d grows with the batch, so its last rows cannot wait in a "
                         "block",
                         c->name, a);
        int64_t tiles = inner ? (extent.count + s->tile[a] - 1) / s->tile[a] : 1;
        tiles = cut ? (s->chunk < MOST_BLOCK ? s->chunk : MOST_BLOCK + 1) : tiles;
        elements *= tiles * s->tile[a];
        if (elements > MOST_BLOCK)
            return fault("schedule of '%s': more than %d sums wait in a block", c->name, MOST_BLOCK);
    }
    return NULL;
}

static const char *tiles_fault(const Compute *c, const Schedule *s)
{
    int64_t written = 1, elements = 1;
    if (s->lanes < 1 || s->lanes > MOST_LANES || s->lanes & (s->lanes - 1))
        return fault("schedule of '%s': a vector has 1, 2, 4, 8 or %d lanes, not %d", c->name, MOST_LANES,
                     s->lanes);
    for (int a = 0; a < s->outputs; a++) {
        Size extent = c->axis.at[a].extent;
        int64_t tile = s->tile[a];
        if (tile < 1 || (!extent.power && tile > extent.count && tile > 1))
            return fault("schedule of '%s': axis %d has %lld elements, its tiles %lld", c->name, a,
                         (long long)extent.count, (long long)tile);
        if (compute_bounds_terms(c, a) && (tile > 1 || a == s->vector))
            return fault("schedule of '%s': the terms depend on axis %d, and so have no tile of it", c->name,
                         a);
        elements *= tile < MOST_TILE ? tile : MOST_TILE + 1;
        written *=
            a == s->vector ? tile / s->lanes + __builtin_popcountll((uint64_t)(tile % s->lanes)) : tile;
        if (written > MOST_WRITTEN || elements > MOST_TILE)
            return fault("schedule of '%s': a tile has more than %d vectors or %d elements", c->name,
                         MOST_WRITTEN, MOST_TILE);
    }
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    bool lanes = r && (r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES));
    if (lanes && (elements > 1 || s->vector >= 0 || s->inner))
        return fault("schedule of '%s': a reduction by lanes has neither tiles nor blocks", c->name);
    if (s->prefetch && (!r || r->tree != TREE_CHAIN || s->blocked || s->vector < 0))
        return fault("schedule of '%s' prefetches results that no chain of vectors brings forth", c->name);
    if (s->lanes_reduce && !lanes)
        return fault("schedule of '%s' keeps the lanes of a reduction that has none", c->name);
    return NULL;
}

const char *schedule_fault(const Compute *c, const Schedule *s)
{
    unsigned seen = 0;
    if (s->outputs != c->outputs || s->items > s->outputs || s->vector >= s->outputs)
        return fault("schedule of '%s' is for %d output axes, it has %d", c->name, s->outputs, c->outputs);
    for (int i = 0; i < s->outputs; i++) {
        int a = s->order[i];
        if (a < 0 || a >= s->outputs || seen & 1u << a)
            return fault("schedule of '%s' has no proper loop for axis %d", c->name, a);
        if (i > 0 && i < s->items && c->axis.at[a].extent.power)
            return fault("schedule of '%s': item loop %d grows with the batch and is not the first", c->name,
                         i);
        seen |= 1u << a;
    }
    const char *found = tiles_fault(c, s);
    found = found ? found : grain_fault(c, s);
    found = found ? found : chunk_fault(c, s);
    found = found ? found : strip_fault(c, s);
    return found ? found : blocks_fault(c, s);
}
