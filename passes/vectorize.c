/* Vector loops become vectors: what depends on the loop's axis gets as many lanes, the rest stays scalar and is spread where
   it meets a vector. Addresses that step by a constant become ramps. */
#include "passes.h"
#include "stmt.h"

#include <assert.h>

typedef struct Vectorizer {
    Exprs *pool;
    int axis, lanes;
    Expr **memo; /* by expression id */
    int size;
} Vectorizer;

static Expr *vector(Vectorizer *v, Expr *e);

static Expr *at_zero(Vectorizer *v, Expr *e)
{
    Expr **with = arena_alloc(exprs_arena(v->pool), (size_t)(v->axis + 1) * sizeof *with);
    with[v->axis] = expr_int(v->pool, DTYPE_I64, 0);
    return expr_substitute(v->pool, e, with, v->axis + 1);
}

static Expr *spread(Vectorizer *v, Expr *e)
{
    return e->lanes < v->lanes ? expr_splat(v->pool, e, v->lanes) : e;
}

/* An integer that steps by a constant is a ramp; else it is computed lane by lane. */
static Expr *vector_index(Vectorizer *v, Expr *e)
{
    int64_t stride;
    if (expr_stride(e, v->axis, &stride))
        return stride ? expr_ramp(v->pool, at_zero(v, e), stride, v->lanes) : e;
    Expr *arg[3] = {0};
    for (int i = 0; i < e->count; i++)
        arg[i] = vector(v, e->arg[i]);
    return expr_rebuild(v->pool, e, arg);
}

/* A predicate that is the same for all lanes chooses the address: elements from 0 on are there, and are not used. */
static Expr *uniform_load(Vectorizer *v, Expr *e)
{
    Expr *zero = expr_int(v->pool, DTYPE_I64, 0);
    Expr *base = expr_apply(v->pool, SCALAR_SELECT, e->arg[1], at_zero(v, e->arg[0]), zero);
    Expr *load = expr_load(v->pool, e->dtype, e->index, expr_ramp(v->pool, base, 1, v->lanes), NULL, NULL);
    return expr_apply(v->pool, SCALAR_SELECT, e->arg[1], load, vector(v, e->arg[2]));
}

static Expr *vector_new(Vectorizer *v, Expr *e)
{
    int64_t stride;
    if (!expr_uses_axis(e, v->axis))
        return e;
    if (e->dtype == DTYPE_I64 && (e->kind == EXPR_AXIS || e->kind == EXPR_APPLY))
        return vector_index(v, e);
    if (e->kind == EXPR_LOAD && e->count > 1 && !expr_uses_axis(e->arg[1], v->axis) &&
        expr_stride(e->arg[0], v->axis, &stride) && stride == 1)
        return uniform_load(v, e);
    Expr *arg[3] = {0};
    for (int i = 0; i < e->count; i++)
        arg[i] = vector(v, e->arg[i]);
    return expr_rebuild(v->pool, e, arg);
}

static Expr *vector(Vectorizer *v, Expr *e)
{
    if (e->id >= v->size)
        return vector_new(v, e);
    if (!v->memo[e->id])
        v->memo[e->id] = vector_new(v, e);
    return v->memo[e->id];
}

static int highest_id(const Stmt *s)
{
    int highest = 0;
    for (; s; s = s->next) {
        highest = s->at && s->at->id > highest ? s->at->id : highest;
        highest = s->value && s->value->id > highest ? s->value->id : highest;
    }
    return highest;
}

static Stmt *vector_body(Kernel *k, const Stmt *loop)
{
    Arena *arena = exprs_arena(k->pool);
    int64_t lanes;
    bool known = expr_is_int(loop->extent, &lanes);
    assert(known && lanes > 1);
    (void)known;
    Vectorizer v = {.pool = k->pool, .axis = loop->index, .lanes = (int)lanes};
    v.size = highest_id(loop->body) + 1;
    v.memo = arena_alloc(arena, (size_t)v.size * sizeof *v.memo);
    Stmt *out = NULL, **end = &out;
    for (const Stmt *s = loop->body; s; s = s->next) {
        assert(s->kind == STMT_SET || s->kind == STMT_STORE || s->kind == STMT_PREFETCH);
        Stmt *copy = arena_copy(arena, s, sizeof *s);
        copy->at = vector(&v, s->at);
        if (s->kind == STMT_PREFETCH) {
            copy->at = copy->at->kind == EXPR_RAMP ? copy->at->arg[0] : copy->at;
            if (copy->at->lanes > 1)
                continue;
        } else {
            copy->at = spread(&v, copy->at);
            copy->value = spread(&v, vector(&v, s->value));
        }
        copy->next = NULL;
        *end = copy;
        end = &copy->next;
    }
    return out;
}

static Stmt *vectorize(Kernel *k, Stmt *list)
{
    Stmt *out = NULL, **end = &out;
    for (Stmt *s = list, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        if (s->kind == STMT_FOR && s->loop == LOOP_VECTOR)
            s = vector_body(k, s);
        else if (s->body)
            s->body = vectorize(k, s->body);
        *end = s;
        while (*end)
            end = &(*end)->next;
    }
    return out;
}

/* ---- locals of vectors ---------------------------------------------------------------------------------- */

/* The width by which all accesses of a local agree to be whole, aligned vectors: -1 unknown yet, 1 none. */
static void note_access(int *width, const Expr *at)
{
    int64_t base;
    bool whole = at->kind == EXPR_RAMP && at->integer == 1;
    const Expr *start = whole ? at->arg[0] : NULL;
    if (whole && start->kind == EXPR_APPLY && start->op == SCALAR_ADD && expr_is_int(start->arg[1], &base))
        whole = base % at->lanes == 0, start = start->arg[0];
    if (whole && !expr_is_int(start, &base)) /* row · size */
        whole = start->kind == EXPR_APPLY && start->op == SCALAR_MUL && expr_is_int(start->arg[1], &base);
    whole = whole && base % at->lanes == 0;
    if (!whole || (*width > 0 && *width != at->lanes))
        *width = 1;
    else
        *width = at->lanes;
}

static void note_expr(int *width, const Expr *e)
{
    if (e->kind == EXPR_LOCAL)
        note_access(&width[e->index], e->arg[0]);
    for (int i = 0; i < e->count; i++)
        note_expr(width, e->arg[i]);
}

static void note_list(int *width, const Stmt *s)
{
    for (; s; s = s->next) {
        if (s->kind == STMT_SET)
            note_access(&width[s->index], s->at);
        if (s->value)
            note_expr(width, s->value);
        note_list(width, s->body);
    }
}

static Expr *vector_slot(Exprs *pool, Expr *at, int lanes)
{
    return expr_div(pool, at->arg[0], expr_int(pool, DTYPE_I64, lanes));
}

static Expr *whole_leaf(Exprs *pool, Expr *e, void *context)
{
    const int *width = context;
    if (e->kind != EXPR_LOCAL || width[e->index] <= 1)
        return e;
    return expr_local_vector(pool, e->dtype, e->lanes, e->index, vector_slot(pool, e->arg[0], e->lanes));
}

static Expr *whole_vectors(Kernel *k, Expr *e, void *context)
{
    return expr_rewrite(k->pool, e, whole_leaf, context);
}

static void whole_sets(Kernel *k, Stmt *s, const int *width)
{
    for (; s; s = s->next) {
        if (s->kind == STMT_SET && width[s->index] > 1)
            s->at = vector_slot(k->pool, s->at, width[s->index]);
        whole_sets(k, s->body, width);
    }
}

static void retype_locals(Kernel *k)
{
    int *width = arena_alloc(exprs_arena(k->pool), ((size_t)k->local.count + 1) * sizeof *width);
    note_list(width, k->body);
    k->body = stmt_change(k, k->body, whole_vectors, width);
    whole_sets(k, k->body, width);
    for (int i = 0; i < k->local.count; i++)
        if (width[i] > 1) {
            Local *l = &k->local.at[i];
            l->lanes = width[i];
            l->count = (l->count + width[i] - 1) / width[i];
        }
}

bool pass_vectorize(Compilation *c)
{
    for (int i = 0; i < c->program->kernel.count; i++) {
        Kernel *k = c->program->kernel.at[i];
        k->body = vectorize(k, k->body);
        retype_locals(k);
    }
    return true;
}
