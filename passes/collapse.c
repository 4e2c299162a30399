/* Neighbouring axes that memory does not tell apart become one: a relu over [n, h, w, c] is one loop, a convolution's
   kernel column and channel are one reduced axis. The order of terms stays what it was. An axis of a copy whose addresses are
   made of quotients and rests of it is cut, before: a reshape of what lies in another order becomes loops in straight lines. */
#include "form.h"

#include <string.h>

/* Whether every address moves along axis a by what it moves along b times b's extent; other uses forbid it. */
static bool address_merges(Expr *at, int a, int b, int64_t extent)
{
    int64_t outer, inner;
    return expr_stride(at, a, &outer) && expr_stride(at, b, &inner) && outer == inner * extent;
}

typedef struct Pair {
    int a, b;
    int64_t extent;
} Pair;

static Visit pair_visitor(Expr *e, void *context)
{
    const Pair *p = context;
    if (e->kind == EXPR_AXIS && (e->index == p->a || e->index == p->b))
        return VISIT_STOP;
    if (e->dtype == DTYPE_I64 && e->kind == EXPR_APPLY && address_merges(e, p->a, p->b, p->extent))
        return VISIT_PAST; /* an index that counts along both, such as a random number's */
    if (e->kind != EXPR_LOAD)
        return VISIT_DEEPER;
    if (!address_merges(e->arg[0], p->a, p->b, p->extent))
        return VISIT_STOP;
    bool predicate_uses =
        e->count > 1 && (expr_uses_axis(e->arg[1], p->a) || expr_uses_axis(e->arg[1], p->b) ||
                         expr_uses_axis(e->arg[2], p->a) || expr_uses_axis(e->arg[2], p->b));
    return predicate_uses ? VISIT_STOP : VISIT_PAST;
}

static bool value_merges(const Compute *c, Expr *e, int a, int b, int64_t extent)
{
    Pair pair = {a, b, extent};
    return expr_visit(c->pool, e, pair_visitor, &pair);
}

static bool merges(const Compute *c, int a, int b)
{
    const ComputeAxis *outer = &c->axis.at[a], *inner = &c->axis.at[b];
    Size product;
    if (outer->dynamic || inner->dynamic || inner->extent.power ||
        !size_multiply(outer->extent, inner->extent, &product))
        return false;
    for (int i = 0; i < c->axis.count; i++)
        if (c->axis.at[i].dynamic &&
            (expr_uses_axis(c->axis.at[i].dynamic, a) || expr_uses_axis(c->axis.at[i].dynamic, b)))
            return false;
    for (int i = 0; i < c->store.count; i++)
        if (!address_merges(c->store.at[i].at, a, b, inner->extent.count) ||
            !value_merges(c, c->store.at[i].value, a, b, inner->extent.count))
            return false;
    return true;
}

/* ---- renaming axes -------------------------------------------------------------------------------------- */

typedef struct Renaming {
    Expr **with; /* by old axis */
    int *now;    /* by old axis: the new one, -1: gone */
} Renaming;

static Expr *rename_leaf(Exprs *pool, Expr *e, void *context)
{
    const Renaming *r = context;
    if (e->kind == EXPR_AXIS)
        return r->with[e->index];
    if (e->kind != EXPR_REDUCE)
        return e;
    Reduction now = *e->reduction;
    memset(now.axis, 0, sizeof now.axis);
    now.axes = now.leaf = 0;
    for (int i = 0; i < e->reduction->axes; i++) {
        int axis = r->now[e->reduction->axis[i]];
        if (axis < 0)
            continue;
        now.leaf += i < e->reduction->leaf;
        now.axis[now.axes++] = axis;
    }
    return expr_reduce(pool, e->arg[0], &now);
}

/* Axis a goes, b takes over its extent. */
static void merge(Compute *c, int a, int b)
{
    Arena *arena = exprs_arena(c->pool);
    int count = c->axis.count;
    Renaming r = {arena_alloc(arena, (size_t)count * sizeof(Expr *)),
                  arena_alloc(arena, (size_t)count * sizeof(int))};
    size_multiply(c->axis.at[a].extent, c->axis.at[b].extent, &c->axis.at[b].extent);
    for (int i = 0, next = 0; i < count; i++) {
        r.now[i] = i == a ? -1 : next++;
        r.with[i] = i == a ? expr_int(c->pool, DTYPE_I64, 0) : expr_axis(c->pool, r.now[i]);
    }
    memmove(&c->axis.at[a], &c->axis.at[a + 1], sizeof c->axis.at[0] * (size_t)(count - a - 1));
    c->axis.count--;
    c->outputs -= a < c->outputs;
    for (int i = 0; i < c->axis.count; i++)
        expr_set_extent(c->pool, i, c->axis.at[i].extent);
    for (int i = 0; i < c->axis.count; i++)
        if (c->axis.at[i].dynamic)
            c->axis.at[i].dynamic = expr_rewrite(c->pool, c->axis.at[i].dynamic, rename_leaf, &r);
    for (int i = 0; i < c->store.count; i++) {
        c->store.at[i].at = expr_rewrite(c->pool, c->store.at[i].at, rename_leaf, &r);
        c->store.at[i].value = expr_rewrite(c->pool, c->store.at[i].value, rename_leaf, &r);
    }
    c->reduce = compute_find_reduce(c);
}

/* ---- the pass ------------------------------------------------------------------------------------------- */

static bool merge_outputs(Compute *c)
{
    for (int a = 0; a + 1 < c->outputs; a++)
        if (merges(c, a, a + 1)) {
            merge(c, a, a + 1);
            return true;
        }
    return false;
}

/* Leaves are numbered by their axes, a chain runs along its own: neighbours on one side of that border may merge. */
static bool merge_reduced(Compute *c)
{
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    for (int i = 0; r && i + 1 < r->axes; i++) {
        bool border = r->tree == TREE_LEAVES && i + 1 == r->leaf;
        bool lanes =
            r->tree == TREE_LANES || (r->tree == TREE_LEAVES && r->inner == TREE_LANES && i + 1 > r->leaf);
        if (!border && !lanes && r->axis[i] + 1 == r->axis[i + 1] && merges(c, r->axis[i], r->axis[i + 1])) {
            merge(c, r->axis[i], r->axis[i + 1]);
            return true;
        }
    }
    return false;
}

/* ---- cutting axes ------------------------------------------------------------------------------------------ */

enum { MOST_CUTS = 8, SHORT_VECTOR = 8 };

typedef struct Cut {
    const Compute *compute;
    int axis;
    int64_t inner;
} Cut;

static bool may_cut(const Compute *c, int axis, int64_t inner)
{
    Size extent = c->axis.at[axis].extent;
    return inner > 1 && extent.count % inner == 0 && (extent.power || extent.count > inner) &&
           (inner >= SHORT_VECTOR || axis + 1 < c->outputs);
}

/* A quotient or rest by a number of steps along one axis. */
static Visit quotient_visitor(Expr *e, void *context)
{
    Cut *cut = context;
    int64_t by, stride;
    if (e->kind != EXPR_APPLY || (e->op != SCALAR_DIV && e->op != SCALAR_MOD) || !expr_is_int(e->arg[1], &by))
        return VISIT_DEEPER;
    for (int a = 0; a < cut->compute->outputs; a++)
        if (expr_stride(e->arg[0], a, &stride) && stride > 0 && by % stride == 0 &&
            may_cut(cut->compute, a, by / stride)) {
            cut->axis = a;
            cut->inner = by / stride;
            return VISIT_STOP;
        }
    return VISIT_DEEPER;
}

static Visit address_visitor(Expr *e, void *context)
{
    Cut *cut = context;
    if (e->kind != EXPR_LOAD)
        return VISIT_DEEPER;
    return expr_visit(cut->compute->pool, e->arg[0], quotient_visitor, cut) ? VISIT_PAST : VISIT_STOP;
}

void compute_cut_axis(Compute *c, int axis, int64_t inner)
{
    Arena *arena = exprs_arena(c->pool);
    int count = c->axis.count;
    Expr **with = arena_alloc(arena, (size_t)count * sizeof *with);
    LIST(ComputeAxis) now = {0};
    for (int i = 0; i < count; i++) {
        list_add(arena, &now, c->axis.at[i]);
        if (i != axis)
            continue;
        now.at[i].extent.count /= inner;
        list_add(arena, &now, ((ComputeAxis){size_of(inner), NULL}));
    }
    memcpy(&c->axis, &now, sizeof c->axis);
    c->outputs++;
    for (int i = 0; i < c->axis.count; i++)
        expr_set_extent(c->pool, i, c->axis.at[i].extent);
    for (int i = 0; i < count; i++)
        with[i] = expr_axis(c->pool, i > axis ? i + 1 : i);
    with[axis] = expr_add(c->pool, expr_mul(c->pool, with[axis], expr_int(c->pool, DTYPE_I64, inner)),
                          expr_axis(c->pool, axis + 1));
    for (int i = 0; i < c->store.count; i++) {
        c->store.at[i].at = expr_substitute(c->pool, c->store.at[i].at, with, count);
        c->store.at[i].value = expr_substitute(c->pool, c->store.at[i].value, with, count);
    }
}

/* Not where an index chooses what is computed: there are rests, too, and each has its own code. */
static void cut_axes(Compute *c)
{
    int64_t period[MAX_OUTPUT_AXES];
    if (c->reduce || c->axis.count != c->outputs || compute_choices(c, period))
        return;
    for (int cuts = 0; cuts < MOST_CUTS && c->outputs < MAX_OUTPUT_AXES; cuts++) {
        Cut cut = {.compute = c};
        bool found = false;
        for (int i = 0; i < c->store.count && !found; i++)
            found = !expr_visit(c->pool, c->store.at[i].value, address_visitor, &cut);
        if (!found)
            return;
        compute_cut_axis(c, cut.axis, cut.inner);
    }
}

/* ---- bounds along an axis ----------------------------------------------------------------------------------- */

/* Parts of a joined tensor: runs of an axis, all of a multiple of so many elements, which a comparison tells apart. */
typedef struct Bounds {
    const Compute *compute;
    int64_t run[MAX_OUTPUT_AXES]; /* 0: there is none */
} Bounds;

enum { SHORTEST_RUN = 16, MOST_RUNS = 8 };

/* axis < *bound, or axis ≥ *bound, is all that the comparison says. */
static bool bound_of(const Compute *c, const Expr *e, int *axis, int64_t *bound)
{
    int64_t value, stride;
    if (e->kind != EXPR_APPLY || e->op != SCALAR_LT || e->dtype != DTYPE_BOOL)
        return false;
    bool below = expr_is_int(e->arg[1], &value);
    if (!below && !expr_is_int(e->arg[0], &value))
        return false;
    Expr *index = e->arg[below ? 0 : 1], *base;
    for (*axis = 0; *axis < c->outputs; ++*axis) {
        if (!expr_uses_axis(index, *axis) || !expr_stride(index, *axis, &stride) || stride != 1)
            continue;
        int64_t offset;
        base = expr_sub(c->pool, index, expr_axis(c->pool, *axis));
        if (!expr_is_int(base, &offset))
            return false;
        *bound = value - offset + !below;
        return true;
    }
    return false;
}

static int64_t divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static Visit bound_visitor(Expr *e, void *context)
{
    Bounds *b = context;
    int axis;
    int64_t bound;
    if (bound_of(b->compute, e, &axis, &bound)) {
        Size extent = b->compute->axis.at[axis].extent;
        if (!extent.power && bound > 0 && bound < extent.count)
            b->run[axis] = divisor(b->run[axis] ? b->run[axis] : extent.count, bound);
    }
    return VISIT_DEEPER;
}

/* What the shorter axis decides. */
static Expr *decide_leaf(Exprs *pool, Expr *e, void *context)
{
    (void)context;
    bool compares = e->kind == EXPR_APPLY && e->op == SCALAR_LT && e->arg[0]->dtype == DTYPE_I64;
    return compares ? expr_less(pool, e->arg[0], e->arg[1]) : e;
}

/* Such an axis becomes as short as a run, with a store for each: in which the comparisons are decided. */
static void store_runs(Compute *c, int axis, int64_t run)
{
    Arena *arena = exprs_arena(c->pool);
    int64_t runs = c->axis.at[axis].extent.count / run;
    Expr **with = arena_alloc(arena, ((size_t)axis + 1) * sizeof *with);
    LIST(ComputeStore) now = {0};
    c->axis.at[axis].extent = size_of(run);
    expr_set_extent(c->pool, axis, c->axis.at[axis].extent);
    for (int i = 0; i < c->store.count; i++)
        for (int64_t k = 0; k < runs; k++) {
            ComputeStore s = c->store.at[i];
            with[axis] = expr_add(c->pool, expr_axis(c->pool, axis), expr_int(c->pool, DTYPE_I64, k * run));
            s.at = expr_substitute(c->pool, s.at, with, axis + 1);
            s.value = expr_substitute(c->pool, s.value, with, axis + 1);
            s.value = expr_rewrite(c->pool, s.value, decide_leaf, NULL);
            list_add(arena, &now, s);
        }
    memcpy(&c->store, &now, sizeof c->store);
}

static void cut_at_bounds(Compute *c)
{
    Bounds b = {.compute = c};
    if (c->reduce || c->axis.count != c->outputs)
        return;
    for (int i = 0; i < c->store.count; i++)
        expr_visit(c->pool, c->store.at[i].value, bound_visitor, &b);
    for (int a = 0; a < c->outputs; a++)
        if (b.run[a] >= SHORTEST_RUN && c->axis.at[a].extent.count / b.run[a] <= MOST_RUNS) {
            store_runs(c, a, b.run[a]);
            return;
        }
}

static void adopt(Compute *c, const Compute *first)
{
    memcpy(&c->axis, &first->axis, sizeof c->axis);
    memcpy(&c->store, &first->store, sizeof c->store);
    c->outputs = first->outputs;
    c->reduce = first->reduce;
}

bool pass_collapse(Compilation *c)
{
    const int *first = form_firsts(c);
    for (int i = 0; i < c->compute.count; i++)
        if (first[i] == i) {
            cut_axes(c->compute.at[i]);
            cut_at_bounds(c->compute.at[i]);
            while (merge_outputs(c->compute.at[i]) || merge_reduced(c->compute.at[i]))
                ;
        } else
            adopt(c->compute.at[i], c->compute.at[first[i]]);
    return true;
}
