/* A kernel that reads what another makes, element by element, takes it over: one pass over memory, several stores. So an
   optimizer's slots and its parameter are updated together, and an activation is stored beside the convolution it is of. */
#include "form.h"

#include <string.h>

typedef struct Merger {
    Compilation *c;
    int *readers; /* by buffer: how many computes read it */
} Merger;

static bool touches(const Compute *c, int buffer, bool only_written)
{
    int i = compute_find_buffer(c, buffer);
    return i >= 0 && (!only_written || c->buffer.at[i].written);
}

static bool same_axes(const Compute *a, const Compute *b)
{
    if (a->outputs != b->outputs || b->axis.count != b->outputs)
        return false;
    for (int i = 0; i < a->outputs; i++)
        if (!size_equal(a->axis.at[i].extent, b->axis.at[i].extent))
            return false;
    return true;
}

/* No compute in between needs what a makes, or changes what a reads. */
static bool may_move(const Merger *m, int a, int b)
{
    const Compute *moved = m->c->compute.at[a];
    for (int i = a + 1; i < b; i++)
        for (int k = 0; m->c->compute.at[i] && k < moved->buffer.count; k++)
            if (touches(m->c->compute.at[i], moved->buffer.at[k].id, !moved->buffer.at[k].written))
                return false;
    return true;
}

/* ---- from one pool into another ------------------------------------------------------------------------- */

typedef struct Import {
    Exprs *pool;
    const int *buffer;   /* by a's buffer: b's */
    const int *argument; /* by a's argument: b's */
    int axes;            /* b's reduced axes are a's, behind the outputs */
    Expr **memo;
} Import;

static Expr *import(Import *m, const Expr *e)
{
    if (m->memo[e->id])
        return m->memo[e->id];
    Expr *arg[3] = {0}, copy = *e;
    for (int i = 0; i < e->count; i++)
        arg[i] = import(m, e->arg[i]);
    if (e->kind == EXPR_LOAD)
        copy.index = m->buffer[e->index];
    if (e->kind == EXPR_ARGUMENT)
        copy.index = m->argument[e->index];
    Expr *made = e->kind == EXPR_REDUCE ? expr_reduce(m->pool, arg[0], e->reduction)
                                        : expr_copy_with(m->pool, &copy, arg);
    return m->memo[e->id] = made;
}

typedef struct Replacement {
    const ComputeStore *store; /* what is read where one of these stores it is its value */
    int stores;
    bool elsewhere; /* such a buffer is read at another place, too */
} Replacement;

/* All stores at once: a value put in reads buffers as they were before any store. */
static Expr *replace_leaf(Exprs *pool, Expr *e, void *context)
{
    Replacement *r = context;
    (void)pool;
    for (int i = 0; e->kind == EXPR_LOAD && i < r->stores; i++)
        if (r->store[i].buffer == e->index) {
            if (r->store[i].at == e->arg[0] && e->count == 1)
                return r->store[i].value;
            r->elsewhere = true;
        }
    return e;
}

static Visit overlap_visitor(Expr *e, void *context)
{
    const Compute *c = context;
    for (int i = 0; e->kind == EXPR_LOAD && i < c->store.count; i++)
        if (c->store.at[i].buffer == e->index && c->store.at[i].at != e->arg[0])
            return VISIT_STOP;
    return VISIT_DEEPER;
}

/* What a kernel changes in place it reads only where it writes: other elements may be new already. */
static bool reads_what_it_overwrites(Compute *c)
{
    for (int i = 0; i < c->store.count; i++)
        if (!expr_visit(c->pool, c->store.at[i].value, overlap_visitor, c))
            return true;
    return false;
}

/* ---- the merge ------------------------------------------------------------------------------------------ */

static int buffer_of(Merger *m, Compute *b, const ComputeBuffer *from)
{
    int found = compute_find_buffer(b, from->id);
    if (found >= 0)
        return found;
    list_add(m->c->arena, &b->buffer, ((ComputeBuffer){.id = from->id, .dtype = from->dtype}));
    return b->buffer.count - 1;
}

static int argument_of(Merger *m, Compute *b, int64_t value)
{
    int i = 0;
    while (i < b->argument.count && b->argument.at[i] != value)
        i++;
    if (i == b->argument.count)
        list_add(m->c->arena, &b->argument, value);
    return i + 1;
}

/* A copy of `old` that computes a's stores, too; NULL if it reads what a makes in another order. */
static Compute *merged(Merger *m, const Compute *a, const Compute *old)
{
    Arena *arena = m->c->arena;
    Compute *b = compute_copy(old), own = *b;
    memset(&b->store, 0, sizeof b->store);
    memset(&b->axis, 0, sizeof b->axis);
    for (int i = 0; i < a->axis.count; i++) {
        list_add(arena, &b->axis, a->axis.at[i]);
        expr_set_extent(b->pool, i, a->axis.at[i].extent);
    }
    int *buffer = arena_alloc(arena, ((size_t)a->buffer.count + 1) * sizeof *buffer);
    int *argument = arena_alloc(arena, ((size_t)a->argument.count + 1) * sizeof *argument);
    for (int i = 0; i < a->buffer.count; i++)
        buffer[i] = buffer_of(m, b, &a->buffer.at[i]);
    for (int i = 0; i < a->argument.count; i++)
        argument[i + 1] = argument_of(m, b, a->argument.at[i]);
    Import from_a = {b->pool, buffer, argument, a->outputs,
                     arena_alloc(arena, (size_t)exprs_count(a->pool) * sizeof(Expr *))};
    for (int i = 0; i < b->axis.count; i++)
        if (b->axis.at[i].dynamic)
            b->axis.at[i].dynamic = import(&from_a, b->axis.at[i].dynamic);

    for (int i = 0; i < a->store.count; i++) {
        const ComputeStore *s = &a->store.at[i];
        Expr *at = import(&from_a, s->at), *value = import(&from_a, s->value);
        list_add(arena, &b->store, ((ComputeStore){buffer[s->buffer], at, value}));
    }
    Replacement r = {arena_copy(arena, b->store.at, (size_t)a->store.count * sizeof *b->store.at),
                     a->store.count, false};
    for (int k = 0; k < own.store.count; k++) {
        ComputeStore s = own.store.at[k];
        s.value = expr_rewrite(b->pool, s.value, replace_leaf, &r);
        list_add(arena, &b->store, s);
    }
    if (r.elsewhere)
        return NULL;
    b->reduce = compute_find_reduce(b);
    b->flops += a->flops;
    return b;
}

/* Which buffers a compute reads, from its expressions. */
static void note_reads(Compute *c, const Expr *e, bool *seen)
{
    if (seen[e->id])
        return;
    seen[e->id] = true;
    if (e->kind == EXPR_LOAD)
        c->buffer.at[e->index].read = true;
    for (int i = 0; i < e->count; i++)
        note_reads(c, e->arg[i], seen);
}

static void refresh_buffers(Merger *m, Compute *c)
{
    bool *seen = arena_alloc(m->c->arena, (size_t)exprs_count(c->pool));
    for (int i = 0; i < c->buffer.count; i++)
        c->buffer.at[i].read = c->buffer.at[i].written = false;
    for (int i = 0; i < c->store.count; i++) {
        c->buffer.at[c->store.at[i].buffer].written = true;
        note_reads(c, c->store.at[i].value, seen);
    }
}

/* A transient that nobody reads any more needs no store. */
static bool is_needed(const Merger *m, const Compute *c, const ComputeStore *store)
{
    int id = c->buffer.at[store->buffer].id;
    return m->c->program->buffer.at[id].kind != BUFFER_TRANSIENT || m->readers[id] > 0;
}

static Compute *without_stores(Merger *m, const Compute *old)
{
    Compute *c = compute_copy(old);
    int kept = 0;
    for (int i = 0; i < c->store.count; i++)
        if (is_needed(m, c, &c->store.at[i]))
            c->store.at[kept++] = c->store.at[i];
    c->store.count = kept;
    refresh_buffers(m, c);
    compute_drop_buffers(c);
    return c;
}

static Compute *drop_stores(Merger *m, Compute *c)
{
    Key *key = key_new(m->c, KEY_DROP_STORES);
    key_compute(key, c);
    for (int i = 0; i < c->store.count; i++)
        key_add(key, is_needed(m, c, &c->store.at[i]));
    void **form = made_of(m->c, key);
    if (!*form)
        *form = form_new(m->c, key, without_stores(m, c));
    return form_instance(m->c, *form, key, c->name, c->loop);
}

static bool all_reduce_the_same(const Compute *c)
{
    for (int i = 0; i < c->store.count; i++) {
        const Expr *reduce = expr_find_reduce(c->store.at[i].value);
        if (reduce && reduce != c->reduce)
            return false;
    }
    return true;
}

static void count_readers(Merger *m, const Compute *c, int by)
{
    for (int i = 0; i < c->buffer.count; i++)
        m->readers[c->buffer.at[i].id] += c->buffer.at[i].read ? by : 0;
}

/* What fuse has cut because it was long stays cut. */
enum { MOST_EXPRESSIONS = 250 };

static bool reads_from(const Compute *b, const Compute *a)
{
    for (int i = 0; i < a->store.count; i++)
        for (int k = 0; k < b->buffer.count; k++)
            if (b->buffer.at[k].id == a->buffer.at[a->store.at[i].buffer].id && b->buffer.at[k].read)
                return true;
    return false;
}

/* NULL if a and b cannot be one. */
static Compute *merged_form(Merger *m, const Compute *a, const Compute *b)
{
    Compute *both = merged(m, a, b);
    if (!both || !all_reduce_the_same(both) || reads_what_it_overwrites(both))
        return NULL;
    refresh_buffers(m, both);
    return both;
}

static bool try_merge(Merger *m, int at_a, int at_b)
{
    const Compute *a = m->c->compute.at[at_a], *b = m->c->compute.at[at_b];
    if (!a || a->phase != b->phase || a->loop != b->loop ||
        exprs_count(a->pool) + exprs_count(b->pool) > MOST_EXPRESSIONS || !same_axes(a, b) ||
        !reads_from(b, a) || !may_move(m, at_a, at_b))
        return false;
    Key *key = key_new(m->c, KEY_MERGE);
    key_compute(key, b);
    key_compute(key, a);
    void **made = made_of(m->c, key);
    if (!*made)
        *made = form_new(m->c, key, merged_form(m, a, b));
    const Form *form = *made;
    if (!form->compute)
        return false;
    Compute *both = form_instance(m->c, form, key, b->name, b->loop);
    count_readers(m, a, -1);
    count_readers(m, b, -1);
    count_readers(m, both, 1);
    m->c->compute.at[at_b] = drop_stores(m, both);
    m->c->compute.at[at_a] = NULL;
    return true;
}

/* ---- the pass ------------------------------------------------------------------------------------------- */

/* Makers lie near their readers; a look further back would cost more than it finds. */
enum { LOOK_BACK = 12 };

bool pass_merge(Compilation *c)
{
    Merger m = {c, arena_alloc(c->arena, ((size_t)c->program->buffer.count + 1) * sizeof(int))};
    for (int i = 0; i < c->compute.count; i++)
        count_readers(&m, c->compute.at[i], 1);
    for (int b = 0; b < c->compute.count; b++)
        for (int back = 1; back <= LOOK_BACK && back <= b && !c->compute.at[b]->reduce; back++)
            try_merge(&m, b - back, b);
    int kept = 0;
    for (int p = 0; p < PHASE_COUNT; p++) {
        ProgramPhase *phase = &c->program->phase[p];
        int end = phase->first + phase->count;
        int first = kept;
        for (int i = phase->first; i < end; i++)
            if (c->compute.at[i])
                c->compute.at[kept++] = c->compute.at[i];
        phase->first = first;
        phase->count = kept - first;
    }
    c->compute.count = kept;
    return true;
}
