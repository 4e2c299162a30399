/* Neighbouring computes that go row by row, and of each other only need the same row, become one kernel: an item makes some rows
   of all of them, one after the other, while they are in the first cache. So softmax, layer_norm, attention or a recurrent
   cell are one pass over memory, and what only they need of a row is no buffer at all. Here is found what may be linked; how
   many rows an item makes is a matter of schedules (schedule_chain.c). */
#include "form.h"

#include <string.h>

enum {
    MOST_MEMBERS = 12,
    MOST_ROW_AXES = 3,
    LOOK_AHEAD = 3,        /* computes that a member may overtake */
    LEAST_BYTES = 1 << 15, /* that members leave each other: less is not worth a kernel of its own */
    MOST_FLOPS_A_BYTE =
        128 /* of what the others leave it, or it leaves them: a product that does more is better alone */
};

/* A compute as its chain sees it: numbers of its rows, in a pool of its own. */
typedef struct View {
    Compute *compute;
    Compute *copy;
    int rows;  /* leading axes */
    Expr *row; /* the number of the row */
} View;

/* What of a buffer belongs to a row. */
typedef struct Share {
    int buffer; /* in program->buffer */
    int64_t elements;
    const char *offset; /* of all rows, where a buffer holds more than them */
} Share;

typedef struct Chain {
    Compilation *c;
    Size rows;
    View view[MOST_MEMBERS];
    int members;
    LIST(Share) share;
} Chain;

/* ---- rows ------------------------------------------------------------------------------------------------ */

static bool product_of(const Compute *c, int axes, Size *size)
{
    *size = size_of(1);
    for (int a = 0; a < axes; a++)
        if (c->axis.at[a].dynamic || (a && c->axis.at[a].extent.power) ||
            !size_multiply(*size, c->axis.at[a].extent, size))
            return false;
    return true;
}

/* Of leading axes so many that they number `rows`; 0: none do. */
static int row_axes(const Compute *c, Size rows)
{
    for (int axes = 1; axes <= c->outputs && axes <= MOST_ROW_AXES; axes++) {
        Size size;
        if (product_of(c, axes, &size) && size_equal(size, rows))
            return axes;
    }
    return 0;
}

/* With its only axis cut into rows and their elements; NULL if it has others. */
static Compute *with_rows(const Compute *compute, Size rows)
{
    Size extent = compute->outputs ? compute->axis.at[0].extent : size_of(0);
    if (compute->axis.count != 1 || extent.power != rows.power || extent.count % rows.count ||
        extent.count <= rows.count)
        return NULL;
    Compute *cut = compute_copy(compute);
    compute_cut_axis(cut, 0, extent.count / rows.count);
    return cut;
}

static bool view_of(Compute *compute, Size rows, View *view)
{
    int axes = row_axes(compute, rows);
    if (!axes) {
        compute = with_rows(compute, rows);
        axes = 1;
    }
    if (!compute)
        return false;
    *view = (View){compute, compute_copy(compute), axes, NULL};
    Exprs *pool = view->copy->pool;
    view->row = expr_int(pool, DTYPE_I64, 0);
    for (int a = 0; a < axes; a++) {
        Expr *extent = expr_size(pool, compute->axis.at[a].extent);
        view->row = expr_add(pool, a ? expr_mul(pool, view->row, extent) : view->row, expr_axis(pool, a));
    }
    return true;
}

/* ---- what a row reads and writes ------------------------------------------------------------------------- */

typedef struct Access {
    Chain *chain;
    const View *view;
    bool local; /* so far all stay within the row */
} Access;

static Share *share_of(const Chain *chain, int buffer)
{
    for (int i = 0; i < chain->share.count; i++)
        if (chain->share.at[i].buffer == buffer)
            return &chain->share.at[i];
    return NULL;
}

static Visit axis_visitor(Expr *e, void *context)
{
    (void)context;
    return e->kind == EXPR_AXIS ? VISIT_STOP : VISIT_DEEPER;
}

/* An offset of all rows as text: with its arguments' values. */
static const char *offset_text(Chain *chain, const View *v, Expr *offset)
{
    Text text = {0};
    expr_print(&text, offset);
    for (int i = 0; offset->kind != EXPR_CONST && i < v->compute->argument.count; i++)
        text_printf(&text, " %lld", (long long)v->compute->argument.at[i]);
    const char *copy = arena_string(chain->c->arena, text_string(&text));
    text_free(&text);
    return copy;
}

/* Whether address = (row + offset) · elements + something less than elements. */
static bool stays_in_row(Chain *chain, const View *v, Expr *at, int64_t elements, const char **offset)
{
    Exprs *pool = v->copy->pool;
    Expr *row = expr_div(pool, at, expr_int(pool, DTYPE_I64, elements));
    Expr *rest = expr_sub(pool, row, v->row);
    if (!expr_visit(pool, rest, axis_visitor, NULL))
        return false;
    *offset = offset_text(chain, v, rest);
    return true;
}

/* Elements that a row has of a buffer. */
static int64_t elements_of(const View *v, Expr *at)
{
    int64_t stride;
    return expr_stride(at, v->rows - 1, &stride) && stride > 0 ? stride : 0;
}

static void check_access(Access *a, int buffer, Expr *at)
{
    int id = a->view->compute->buffer.at[buffer].id;
    Share *share = share_of(a->chain, id);
    const char *offset;
    if (!share || !a->local)
        return;
    if (!share->elements)
        share->elements = elements_of(a->view, at);
    a->local = share->elements && stays_in_row(a->chain, a->view, at, share->elements, &offset) &&
               (!share->offset || !strcmp(share->offset, offset));
    if (a->local)
        share->offset = offset;
}

static Visit load_visitor(Expr *e, void *context)
{
    Access *a = context;
    if (e->kind == EXPR_LOAD)
        check_access(a, e->index, e->arg[0]);
    return a->local ? VISIT_DEEPER : VISIT_STOP;
}

/* Whether all that the compute does to buffers that the chain writes stays within a row. */
static bool goes_by_rows(Chain *chain, const View *v)
{
    Access access = {chain, v, true};
    for (int i = 0; i < v->copy->store.count && access.local; i++) {
        const ComputeStore *s = &v->copy->store.at[i];
        check_access(&access, s->buffer, s->at);
        if (access.local)
            expr_visit(v->copy->pool, s->value, load_visitor, &access);
    }
    return access.local;
}

/* ---- joining --------------------------------------------------------------------------------------------- */

static bool writes(const Compute *c, int buffer)
{
    int i = compute_find_buffer(c, buffer);
    return i >= 0 && c->buffer.at[i].written;
}

static bool touches(const Compute *c, int buffer) { return compute_find_buffer(c, buffer) >= 0; }

/* Whether one writes what the other reads or writes. */
static bool depends(const Compute *a, const Compute *b)
{
    for (int i = 0; i < a->buffer.count; i++)
        if (a->buffer.at[i].written ? touches(b, a->buffer.at[i].id) : writes(b, a->buffer.at[i].id))
            return true;
    return false;
}

/* Of a row: what the compute shares with others. */
static double shared_bytes(const Chain *chain, const View *v)
{
    double bytes = 0;
    for (int i = 0; i < v->compute->buffer.count; i++) {
        const ComputeBuffer *b = &v->compute->buffer.at[i];
        const Share *share = share_of(chain, b->id);
        bool others = false;
        for (int k = 0; k < chain->members; k++)
            others |= &chain->view[k] != v && touches(chain->view[k].compute, b->id);
        if (share && others)
            bytes += (double)share->elements * (double)dtype_info[b->dtype].bytes;
    }
    return bytes;
}

static double all_rows(const Chain *chain) { return (double)size_at(chain->rows, chain->c->model->batch); }

static bool is_worthwhile(const Chain *chain)
{
    double bytes = 0;
    if (chain->c->chains == USE_ALWAYS)
        return true;
    for (int i = 0; i < chain->members; i++)
        bytes += shared_bytes(chain, &chain->view[i]);
    return bytes * all_rows(chain) >= LEAST_BYTES;
}

/* A product is worth linking if what it shares with the others is not little beside its work. */
static bool is_light(const Chain *chain, const View *v)
{
    const Compute *c = v->compute;
    if (!c->reduce || !c->reduce->reduction->fma)
        return true;
    return c->flops / all_rows(chain) <= MOST_FLOPS_A_BYTE * shared_bytes(chain, v);
}

/* Adds what it writes to what the chain shares. */
static void note_writes(Chain *chain, const View *v)
{
    for (int i = 0; i < v->compute->buffer.count; i++) {
        const ComputeBuffer *b = &v->compute->buffer.at[i];
        if (b->written && !share_of(chain, b->id))
            list_add(chain->c->arena, &chain->share, ((Share){b->id, 0, NULL}));
    }
}

static bool may_be_member(const Compute *c)
{
    bool leaves = c->reduce && c->reduce->reduction->tree == TREE_LEAVES;
    return !c->chain && !leaves && c->phase != PHASE_INIT && c->phase != PHASE_PREPARE && c->store.count;
}

/* Whether the chain with this compute, too, goes by rows; then it has it, before the others or behind. */
static bool join(Chain *chain, Compute *c, bool before)
{
    View view;
    if (chain->members == MOST_MEMBERS || !may_be_member(c) || c->phase != chain->view[0].compute->phase ||
        c->loop != chain->view[0].compute->loop || !view_of(c, chain->rows, &view))
        return false;
    Chain longer = *chain;
    memset(&longer.share, 0, sizeof longer.share);
    for (int i = 0; i < chain->members; i++)
        note_writes(&longer, &chain->view[i]);
    note_writes(&longer, &view);
    int place = before ? 0 : longer.members;
    memmove(&longer.view[place + 1], &longer.view[place], sizeof view * (size_t)(longer.members - place));
    longer.view[place] = view;
    longer.members++;
    bool related = false;
    for (int i = 0; i < longer.members; i++) {
        if (!goes_by_rows(&longer, &longer.view[i]))
            return false;
        related |= i != place && depends(longer.view[i].compute, view.compute);
    }
    for (int i = 0; i < longer.members; i++)
        if (!is_light(&longer, &longer.view[i]))
            return false;
    if (!related)
        return false;
    *chain = longer;
    return true;
}

/* ---- the pass -------------------------------------------------------------------------------------------- */

static bool reduces_rows(const Compute *c) { return c->reduce && c->reduce->reduction->tree == TREE_LANES; }

/* A chain begins with a reduction of rows, or with a step of a loop. */
static bool is_anchor(const Compute *c, Size *rows)
{
    if (!may_be_member(c) || !c->outputs)
        return false;
    if (reduces_rows(c))
        return c->outputs <= MOST_ROW_AXES && product_of(c, c->outputs, rows) && rows->count > 0;
    return c->loop && c->outputs > 1 && c->axis.at[0].extent.power && product_of(c, 1, rows);
}

/* Whether the compute at `from` may come right behind the one at `to`. */
static bool may_overtake(const Compilation *c, int from, int to)
{
    for (int i = to + 1; i < from; i++)
        if (depends(c->compute.at[i], c->compute.at[from]))
            return false;
    return true;
}

static void overtake(Compilation *c, int from, int to)
{
    Compute *moved = c->compute.at[from];
    memmove(&c->compute.at[to + 2], &c->compute.at[to + 1], sizeof(Compute *) * (size_t)(from - to - 1));
    c->compute.at[to + 1] = moved;
}

/* The chain around the compute at `anchor`, within [begin, end). Returns the place behind it. */
static int grow(Compilation *c, int anchor, int begin, int end, int *chains)
{
    Chain chain = {.c = c, .members = 1};
    if (!is_anchor(c->compute.at[anchor], &chain.rows) ||
        !view_of(c->compute.at[anchor], chain.rows, &chain.view[0]))
        return anchor + 1;
    int first = anchor, last = anchor;
    for (int next = last + 1; next < end && next <= last + 1 + LOOK_AHEAD; next++)
        if (may_overtake(c, next, last) && join(&chain, c->compute.at[next], false)) {
            overtake(c, next, last++);
            next = last;
        }
    while (first > begin && join(&chain, c->compute.at[first - 1], true))
        first--;
    if (chain.members < 2 || !is_worthwhile(&chain))
        return last + 1;
    ++*chains;
    for (int i = first; i <= last; i++) {
        c->compute.at[i] = chain.view[i - first].compute;
        c->compute.at[i]->chain = *chains;
        c->compute.at[i]->rows = chain.view[i - first].rows;
    }
    return last + 1;
}

bool pass_chain(Compilation *c)
{
    int chains = 0;
    for (int p = 0; p < PHASE_COUNT && c->chains != USE_NEVER; p++) {
        int begin = c->program->phase[p].first, end = begin + c->program->phase[p].count;
        for (int i = begin; i < end;)
            i = grow(c, i, begin, end, &chains);
    }
    return true;
}
