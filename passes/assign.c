/* State changes at a phase's end: variable := value. Where the old value is no longer needed, the kernel that
   makes the new one writes it in place; else it is copied at the end. Kernels are ordered so that old values
   are read before they are overwritten, and a parameter is updated as soon as its gradient is whole. */
#include "passes.h"
#include "reader.h"

#include <assert.h>
#include <string.h>

typedef LIST(int) Indices;

typedef struct Order {
    Compilation *c;
    int first, count; /* the phase's computes */
    int *producer;    /* by buffer: the compute that makes it, or -1 */
    Indices *readers; /* by buffer */
    Indices *next;    /* by compute: which must come later */
    int *waits;       /* by compute: for so many earlier ones */
    bool *early;      /* by compute: an update, or a number: done as soon as it can be */
} Order;

static Compute *compute_at(const Order *o, int i) { return o->c->compute.at[o->first + i]; }

static void must_precede(Order *o, int before, int after)
{
    list_add(o->c->arena, &o->next[before], after);
    o->waits[after]++;
}

/* Who makes and who reads each buffer; makers come before readers. */
static Order order_new(Compilation *c, int phase)
{
    Order o = {.c = c, .first = c->program->phase[phase].first, .count = c->program->phase[phase].count};
    size_t buffers = (size_t)c->program->buffer.count + 1, computes = (size_t)o.count + 1;
    o.producer = arena_alloc(c->arena, buffers * sizeof *o.producer);
    o.readers = arena_alloc(c->arena, buffers * sizeof *o.readers);
    o.next = arena_alloc(c->arena, computes * sizeof *o.next);
    o.waits = arena_alloc(c->arena, computes * sizeof *o.waits);
    o.early = arena_alloc(c->arena, computes * sizeof *o.early);
    memset(o.producer, -1, buffers * sizeof *o.producer);
    for (int i = 0; i < o.count; i++) {
        const Compute *compute = compute_at(&o, i);
        o.early[i] = compute->axis.count == 0; /* a number: what updates wait for */
        for (int b = 0; b < compute->buffer.count; b++) {
            int id = compute->buffer.at[b].id;
            if (compute->buffer.at[b].written)
                o.producer[id] = i;
            if (compute->buffer.at[b].read) {
                list_add(c->arena, &o.readers[id], i);
                if (o.producer[id] >= 0 && o.producer[id] != i)
                    must_precede(&o, o.producer[id], i);
            }
        }
    }
    return o;
}

/* Which computes must come after `from`. */
static void mark_after(const Order *o, int from, bool *after, int *pending)
{
    int count = 0;
    memset(after, 0, (size_t)o->count);
    after[from] = true;
    pending[count++] = from;
    while (count) {
        const Indices *next = &o->next[pending[--count]];
        for (int k = 0; k < next->count; k++)
            if (!after[next->at[k]]) {
                after[next->at[k]] = true;
                pending[count++] = next->at[k];
            }
    }
}

typedef struct ReadPlace {
    int buffer;
    const Expr *at;
} ReadPlace;

static Visit place_visitor(Expr *e, void *context)
{
    const ReadPlace *r = context;
    return e->kind == EXPR_LOAD && e->index == r->buffer && e->arg[0] != r->at ? VISIT_STOP : VISIT_DEEPER;
}

/* Every read of `buffer` in the compute's value is where it stores. */
static bool reads_only_at(const Compute *c, int buffer)
{
    ReadPlace r = {buffer, c->store.at[0].at};
    return expr_visit(c->pool, c->store.at[0].value, place_visitor, &r);
}

/* Whether the producer of `buffer` may write to `variable` itself: it reads the old value only where it
   writes, and whoever else reads the old value does not need the new one. */
static bool in_place(const Order *o, int buffer, int variable, bool *after, int *pending)
{
    int producer = o->producer[buffer];
    const Compute *p = compute_at(o, producer);
    for (int i = 0; i < p->buffer.count; i++)
        if (p->buffer.at[i].id == variable && (p->reduce || !reads_only_at(p, i)))
            return false;
    if (!o->next[producer].count)
        return true;
    mark_after(o, producer, after, pending);
    for (int i = 0; i < o->readers[variable].count; i++) {
        int reader = o->readers[variable].at[i];
        if (reader != producer && after[reader])
            return false;
    }
    return true;
}

/* The kernels of the phase use `variable` where they used `buffer`. */
static void rename_buffer(const Order *o, int buffer, int variable, ProgramPhase *phase)
{
    Indices users = o->readers[buffer];
    list_add(o->c->arena, &users, o->producer[buffer]);
    for (int i = 0; i < users.count; i++) {
        Compute *compute = compute_at(o, users.at[i]);
        int from = -1, to = -1;
        for (int b = 0; b < compute->buffer.count; b++) {
            from = compute->buffer.at[b].id == buffer ? b : from;
            to = compute->buffer.at[b].id == variable ? b : to;
        }
        if (from < 0)
            continue;
        if (to < 0) {
            compute->buffer.at[from].id = variable;
            continue;
        }
        compute->buffer.at[to].written |= compute->buffer.at[from].written;
        for (int s = 0; s < compute->store.count; s++)
            if (compute->store.at[s].buffer == from)
                compute->store.at[s].buffer = to;
        compute->buffer.at[from].read = compute->buffer.at[from].written =
            false; /* compute_drop_buffers removes it */
    }
    for (int r = 0; r < phase->result.count; r++)
        if (phase->result.at[r].buffer == buffer)
            phase->result.at[r].buffer = variable;
}

static Compute *copy_compute(Compilation *c, int phase, const Variable *variable, int from, int to)
{
    Compute *copy = arena_alloc(c->arena, sizeof *copy);
    *copy = (Compute){.name = arena_printf(c->arena, "%s copy", variable->name),
                      .pool = exprs_new(c->arena),
                      .phase = phase};
    const Type *type = &variable->type;
    const Buffer *target = &c->program->buffer.at[to], *source = &c->program->buffer.at[from];
    Expr *at[MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        list_add(c->arena, &copy->axis, ((ComputeAxis){type->dim[target->axes[i]], NULL}));
        expr_set_extent(copy->pool, i, type->dim[target->axes[i]]);
        at[target->axes[i]] = expr_axis(copy->pool, i);
    }
    copy->outputs = type->rank;
    int read = compute_buffer(c, copy, from, type->dtype), write = compute_buffer(c, copy, to, type->dtype);
    copy->buffer.at[read].read = copy->buffer.at[write].written = true;
    Expr *value = expr_load(copy->pool, type->dtype, read, layout_address(copy->pool, type, source->axes, at),
                            NULL, NULL);
    list_add(c->arena, &copy->store,
             ((ComputeStore){write, layout_address(copy->pool, type, target->axes, at), value}));
    copy->bytes = 2.0 * (double)type_bytes(type, c->model->batch);
    return copy;
}

/* ---- order --------------------------------------------------------------------------------------------- */

/* A heap of computes that wait for nothing: updates first, else in the order of the graph. */
typedef struct Ready {
    int *at, count;
    const bool *early;
} Ready;

static bool before(const Ready *r, int a, int b) { return r->early[a] != r->early[b] ? r->early[a] : a < b; }

static void swap(int *a, int *b)
{
    int t = *a;
    *a = *b;
    *b = t;
}

static void ready_push(Ready *r, int compute)
{
    int i = r->count++;
    r->at[i] = compute;
    for (; i > 0 && before(r, r->at[i], r->at[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&r->at[i], &r->at[(i - 1) / 2]);
}

static int ready_pop(Ready *r)
{
    int top = r->at[0];
    r->at[0] = r->at[--r->count];
    for (int i = 0, child; (child = 2 * i + 1) < r->count; i = child) {
        child += child + 1 < r->count && before(r, r->at[child + 1], r->at[child]);
        if (!before(r, r->at[child], r->at[i]))
            break;
        swap(&r->at[i], &r->at[child]);
    }
    return top;
}

static void sort(Order *o)
{
    Compute **sorted = arena_alloc(o->c->arena, ((size_t)o->count + 1) * sizeof *sorted);
    Ready ready = {arena_alloc(o->c->arena, ((size_t)o->count + 1) * sizeof(int)), 0, o->early};
    int done = 0;
    for (int i = 0; i < o->count; i++)
        if (!o->waits[i])
            ready_push(&ready, i);
    while (ready.count) {
        int i = ready_pop(&ready);
        sorted[done++] = compute_at(o, i);
        for (int k = 0; k < o->next[i].count; k++)
            if (--o->waits[o->next[i].at[k]] == 0)
                ready_push(&ready, o->next[i].at[k]);
    }
    assert(done == o->count);
    if (done)
        memcpy(&o->c->compute.at[o->first], sorted, (size_t)done * sizeof *sorted);
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

typedef LIST(Compute *) Computes;

typedef struct Copies {
    Computes before, after; /* the phase's own computes */
} Copies;

/* A variable's old value, if this phase overwrites it, is kept aside. */
static int saved(Compilation *c, int phase, int from, const Variable *variable, Copies *copies)
{
    const Graph *graph = c->model->phase[phase];
    const Buffer source = c->program->buffer.at[from];
    bool overwritten = false;
    for (int i = 0; i < graph->assign.count; i++)
        overwritten |= c->buffer_of_variable[graph->assign.at[i].variable->id] == from;
    if (!overwritten)
        return from;
    Buffer kept = source;
    kept.kind = BUFFER_TRANSIENT;
    kept.variable = NULL;
    kept.name = arena_printf(c->arena, "%s before", source.name);
    list_add(c->arena, &c->program->buffer, kept);
    int to = c->program->buffer.count - 1;
    list_add(c->arena, &copies->before, copy_compute(c, phase, variable, from, to));
    return to;
}

/* A result that is a variable's old value. */
static void keep_results(Compilation *c, int phase, Copies *copies)
{
    const Graph *graph = c->model->phase[phase];
    for (int i = 0; i < graph->result.count; i++) {
        const Node *n = graph->result.at[i].node;
        if (n->op != OP_VARIABLE)
            continue;
        int from = c->buffer_of_variable[n->variable->id], to = saved(c, phase, from, n->variable, copies);
        if (to == from)
            continue;
        c->program->buffer.at[to].kind = BUFFER_RESULT;
        c->program->phase[phase].result.at[i].buffer = to;
    }
}

/* A value that is assigned twice, that a variable holds already, or whose old value is still needed, is copied. */
static void place_assigns(Order *o, int phase, Copies *copies)
{
    Compilation *c = o->c;
    const Graph *graph = c->model->phase[phase];
    int buffers = c->program->buffer.count;
    bool *after = arena_alloc(c->arena, (size_t)o->count + 1);
    int *pending = arena_alloc(c->arena, ((size_t)o->count + 1) * sizeof *pending);
    int *now =
        arena_alloc(c->arena, ((size_t)buffers + 1) * sizeof *now); /* by buffer: what it became, + 1 */
    bool *done = arena_alloc(c->arena, (size_t)graph->assign.count + 1);
    for (int i = 0; i < graph->assign.count; i++) {
        const Assign *a = &graph->assign.at[i];
        int from = c->place[phase][a->node->id].buffer, to = c->buffer_of_variable[a->variable->id];
        if (o->producer[from] < 0 || now[from] || !in_place(o, from, to, after, pending))
            continue;
        done[i] = true;
        now[from] = to + 1;
        int producer = o->producer[from];
        o->early[producer] = true;
        for (int k = 0; k < o->readers[to].count; k++)
            if (o->readers[to].at[k] != producer)
                must_precede(o, o->readers[to].at[k], producer);
    }
    for (int i = 0; i < graph->assign.count; i++) {
        const Assign *a = &graph->assign.at[i];
        int from = c->place[phase][a->node->id].buffer, to = c->buffer_of_variable[a->variable->id];
        if (done[i]) {
            rename_buffer(o, from, to, &c->program->phase[phase]);
            continue;
        }
        from = now[from] ? now[from] - 1 : from;
        if (o->producer[c->place[phase][a->node->id].buffer] < 0)
            from = saved(c, phase, from, a->variable, copies);
        list_add(c->arena, &copies->after, copy_compute(c, phase, a->variable, from, to));
    }
}

static void append(Compilation *c, Computes *all, Compute *const *at, int count)
{
    for (int i = 0; i < count; i++)
        list_add(c->arena, all, at[i]);
}

bool pass_assign(Compilation *c)
{
    Computes all = {0};
    for (int p = 0; p < PHASE_COUNT; p++) {
        Order o = order_new(c, p);
        Copies copies = {0};
        place_assigns(&o, p, &copies);
        keep_results(c, p, &copies);
        sort(&o);
        c->program->phase[p].first = all.count;
        append(c, &all, copies.before.at, copies.before.count);
        append(c, &all, c->compute.at + o.first, o.count);
        append(c, &all, copies.after.at, copies.after.count);
        c->program->phase[p].count = all.count - c->program->phase[p].first;
    }
    c->compute.at = all.at;
    c->compute.count = all.count;
    c->compute.capacity = all.capacity;
    for (int i = 0; i < c->compute.count; i++)
        compute_drop_buffers(c->compute.at[i]);
    return true;
}
