/* State changes at a phase's end, variable := value, and at the end of a loop's step. Where the old value is no longer
   needed, the kernel that makes the new one writes it in place; else it is copied at the end. Kernels are ordered so that
   old values are read before they are overwritten, and a parameter is updated as soon as its gradient is whole. The kernels
   of a loop stay together, and are ordered among themselves first. */
#include "form.h"
#include "passes.h"
#include "reader.h"

#include <assert.h>
#include <string.h>

typedef LIST(int) Indices;

typedef LIST(Compute *) Computes;

typedef struct Order {
    Compilation *c;
    int count;
    Computes *unit;    /* what stays together: one compute, or a loop's */
    bool whole_loops;  /* units that are loops are not looked into */
    int *producer;     /* by buffer: the unit that makes it, or -1 */
    Indices *readers;  /* by buffer: units */
    Indices *next;     /* by unit: which must come later, */
    Indices *previous; /* or earlier */
    int *waits;        /* by unit: for so many earlier ones */
    bool *early;       /* by unit: an update, or a number: done as soon as it can be */
} Order;

/* At the end `to` gets the value of a node, which is in the buffer `from`. */
typedef struct Move {
    const Node *node;
    int from, to;
} Move;

typedef LIST(Move) Moves;

static void must_precede(Order *o, int before, int after)
{
    list_add(o->c->arena, &o->next[before], after);
    list_add(o->c->arena, &o->previous[after], before);
    o->waits[after]++;
}

static void note_buffer(Order *o, int unit, const ComputeBuffer *buffer)
{
    int *producer = &o->producer[buffer->id];
    if (buffer->read)
        list_add(o->c->arena, &o->readers[buffer->id], unit);
    if (*producer >= 0 && *producer != unit) /* made, or given its first value, there */
        must_precede(o, *producer, unit);
    if (buffer->written)
        *producer = unit;
}

/* Who makes and who reads each buffer; makers come before readers. */
static Order order_new(Compilation *c, Computes *unit, int count)
{
    Order o = {.c = c, .count = count, .unit = unit};
    size_t buffers = (size_t)c->program->buffer.count + 1, units = (size_t)count + 1;
    o.producer = arena_alloc(c->arena, buffers * sizeof *o.producer);
    o.readers = arena_alloc(c->arena, buffers * sizeof *o.readers);
    o.next = arena_alloc(c->arena, units * sizeof *o.next);
    o.previous = arena_alloc(c->arena, units * sizeof *o.previous);
    o.waits = arena_alloc(c->arena, units * sizeof *o.waits);
    o.early = arena_alloc(c->arena, units * sizeof *o.early);
    memset(o.producer, -1, buffers * sizeof *o.producer);
    for (int i = 0; i < count; i++) {
        o.early[i] =
            unit[i].count == 1 && unit[i].at[0]->axis.count == 0; /* a number: what updates wait for */
        for (int k = 0; k < unit[i].count; k++)
            for (int b = 0; b < unit[i].at[k]->buffer.count; b++)
                note_buffer(&o, i, &unit[i].at[k]->buffer.at[b]);
    }
    return o;
}

/* Which units must come after `from`. */
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
    const Compute *p = o->unit[producer].at[0];
    if (o->whole_loops && p->loop)
        return false;
    for (int i = 0; i < p->buffer.count; i++)
        if (p->buffer.at[i].id == variable && !reads_only_at(p, i))
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

/* One buffer where there were two. */
static void unite(Compute *compute, int from, int to)
{
    compute->buffer.at[to].written |= compute->buffer.at[from].written;
    for (int s = 0; s < compute->store.count; s++)
        if (compute->store.at[s].buffer == from)
            compute->store.at[s].buffer = to;
    /* compute_drop_buffers removes it */
    compute->buffer.at[from].read = compute->buffer.at[from].written = false;
}

static void rename_in(Compilation *c, Compute *compute, int buffer, int variable)
{
    int from = -1, to = -1;
    for (int b = 0; b < compute->buffer.count; b++) {
        from = compute->buffer.at[b].id == buffer ? b : from;
        to = compute->buffer.at[b].id == variable ? b : to;
    }
    if (from >= 0 && to < 0)
        compute->buffer.at[from].id = variable;
    if (from < 0 || to < 0)
        return;
    Key *key = key_new(c, KEY_UNITE);
    key_add(key, from);
    key_add(key, to);
    key_compute(key, compute);
    void **form = made_of(c, key);
    if (!*form) {
        Compute *copy = compute_copy(compute);
        unite(copy, from, to);
        *form = form_new(c, key, copy);
    }
    *compute = *form_instance(c, *form, key, compute->name, compute->loop);
}

static void drop_buffers(Compilation *c, Compute *compute)
{
    bool all = true;
    for (int b = 0; b < compute->buffer.count; b++)
        all &= compute->buffer.at[b].read || compute->buffer.at[b].written;
    if (all)
        return;
    Key *key = key_new(c, KEY_DROP);
    key_compute(key, compute);
    void **form = made_of(c, key);
    if (!*form) {
        Compute *copy = compute_copy(compute);
        compute_drop_buffers(copy);
        *form = form_new(c, key, copy);
    }
    *compute = *form_instance(c, *form, key, compute->name, compute->loop);
}

/* The kernels use `variable` where they used `buffer`. */
static void rename_buffer(const Order *o, int buffer, int variable, ProgramPhase *phase)
{
    Indices users = o->readers[buffer];
    list_add(o->c->arena, &users, o->producer[buffer]);
    for (int i = 0; i < users.count; i++)
        for (int k = 0; k < o->unit[users.at[i]].count; k++)
            rename_in(o->c, o->unit[users.at[i]].at[k], buffer, variable);
    for (int r = 0; r < phase->result.count; r++)
        if (phase->result.at[r].buffer == buffer)
            phase->result.at[r].buffer = variable;
}

static Compute *copy_form(Compilation *c, int phase, int from, int to)
{
    Compute *copy = arena_alloc(c->arena, sizeof *copy);
    const Buffer *target = &c->program->buffer.at[to], *source = &c->program->buffer.at[from];
    const Type *type = &target->type;
    *copy = (Compute){.pool = exprs_new(c->arena), .phase = phase};
    Expr *at[MAX_RANK] = {0};
    layout_loops(c->arena, copy, type, target->axes, target->panel, at);
    int read = compute_buffer(c, copy, from, type->dtype), write = compute_buffer(c, copy, to, type->dtype);
    copy->buffer.at[read].read = copy->buffer.at[write].written = true;
    Expr *value = expr_load(copy->pool, type->dtype, read,
                            layout_address(copy->pool, type, source->axes, source->panel, at), NULL, NULL);
    list_add(
        c->arena, &copy->store,
        ((ComputeStore){write, layout_address(copy->pool, type, target->axes, target->panel, at), value}));
    copy->bytes = 2.0 * (double)type_bytes(type, c->model->batch);
    return copy;
}

/* Element by element, each in its buffer's layout. */
static Compute *copy_compute(Compilation *c, int phase, int loop, int from, int to)
{
    const Buffer *target = &c->program->buffer.at[to], *source = &c->program->buffer.at[from];
    Key *key = key_new(c, KEY_COPY);
    key_add(key, phase);
    key_type(key, &target->type);
    for (int i = 0; i < target->type.rank; i++) {
        key_add(key, source->axes[i]);
        key_add(key, target->axes[i]);
    }
    key_add(key, source->panel);
    key_add(key, target->panel);
    key_buffer(key, from);
    key_buffer(key, to);
    void **form = made_of(c, key);
    if (!*form)
        *form = form_new(c, key, copy_form(c, phase, from, to));
    return form_instance(c, *form, key, arena_printf(c->arena, "%s copy", target->name), loop);
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

static void append(Compilation *c, Computes *all, const Computes *more)
{
    for (int i = 0; i < more->count; i++)
        list_add(c->arena, all, more->at[i]);
}

/* Whether a unit makes more than it needs, so that as long as it is not done there is less in memory. */
static bool grows(const Order *o, int unit)
{
    const Compute *compute = o->unit[unit].at[0];
    double made = 0, needed = 0;
    if (o->unit[unit].count > 1 || compute->loop)
        return false;
    for (int i = 0; i < compute->buffer.count; i++) {
        const ComputeBuffer *b = &compute->buffer.at[i];
        const Buffer *buffer = &o->c->program->buffer.at[b->id];
        if (b->written && (buffer->kind != BUFFER_TRANSIENT || !o->readers[b->id].count))
            return false;
        if (buffer->kind == BUFFER_TRANSIENT)
            *(b->written ? &made : &needed) += (double)type_bytes(&buffer->type, o->c->model->batch);
    }
    return made > needed;
}

typedef struct Sorting {
    Order *order;
    Ready ready;
    bool *grows, *done; /* by unit */
    Computes *all;
} Sorting;

/* What waited only for this one is ready; what grows is ready, too, but not done before somebody needs it. */
static void release(Sorting *s, int unit)
{
    if (!s->grows[unit]) {
        ready_push(&s->ready, unit);
        return;
    }
    for (int k = 0; k < s->order->next[unit].count; k++)
        if (--s->order->waits[s->order->next[unit].at[k]] == 0)
            release(s, s->order->next[unit].at[k]);
}

static void take(Sorting *s, int unit)
{
    if (s->done[unit])
        return;
    s->done[unit] = true;
    for (int k = 0; k < s->order->previous[unit].count; k++)
        take(s, s->order->previous[unit].at[k]);
    append(s->order->c, s->all, &s->order->unit[unit]);
}

/* All units in order. */
static void sort(Order *o, Computes *all)
{
    Arena *arena = o->c->arena;
    size_t units = (size_t)o->count + 1;
    Sorting s = {.order = o, .all = all, .ready = {arena_alloc(arena, units * sizeof(int)), 0, o->early}};
    s.grows = arena_alloc(arena, units);
    s.done = arena_alloc(arena, units);
    bool *first = arena_alloc(arena, units);
    for (int i = 0; i < o->count; i++) {
        s.grows[i] = grows(o, i);
        first[i] = !o->waits[i];
    }
    for (int i = 0; i < o->count; i++)
        if (first[i])
            release(&s, i);
    while (s.ready.count) {
        int unit = ready_pop(&s.ready);
        take(&s, unit);
        for (int k = 0; k < o->next[unit].count; k++)
            if (--o->waits[o->next[unit].at[k]] == 0)
                release(&s, o->next[unit].at[k]);
    }
    for (int i = 0; i < o->count; i++)
        assert(s.done[i]);
}

/* ---- moves ---------------------------------------------------------------------------------------------- */

typedef struct Copies {
    Computes before, after; /* the computes that are ordered */
} Copies;

typedef struct Site { /* where moves happen */
    int phase, loop;
    const Moves *moves;
    Copies *copies;
} Site;

/* The old value of a buffer, if a move overwrites it, is kept aside. */
static int saved(Compilation *c, const Site *p, int from)
{
    bool overwritten = false;
    for (int i = 0; i < p->moves->count; i++)
        overwritten |= p->moves->at[i].to == from;
    if (!overwritten)
        return from;
    Buffer kept = c->program->buffer.at[from];
    kept.kind = BUFFER_TRANSIENT;
    kept.variable = NULL;
    kept.name = arena_printf(c->arena, "%s before", kept.name);
    list_add(c->arena, &c->program->buffer, kept);
    int to = c->program->buffer.count - 1;
    list_add(c->arena, &p->copies->before, copy_compute(c, p->phase, p->loop, from, to));
    return to;
}

/* A result that is a variable's old value. */
static void keep_results(Compilation *c, const Site *p)
{
    const Graph *graph = c->model->phase[p->phase];
    for (int i = 0; i < graph->result.count; i++) {
        const Node *n = graph->result.at[i].node;
        if (n->op != OP_VARIABLE)
            continue;
        int from = c->buffer_of_variable[n->variable->id], to = saved(c, p, from);
        if (to == from)
            continue;
        c->program->buffer.at[to].kind = BUFFER_RESULT;
        c->program->phase[p->phase].result.at[i].buffer = to;
    }
}

/* A value that is assigned twice, that lies elsewhere already, or whose old value is still needed, is copied. */
static void place_moves(Order *o, const Site *p)
{
    Compilation *c = o->c;
    const Moves *moves = p->moves;
    int buffers = c->program->buffer.count;
    bool *after = arena_alloc(c->arena, (size_t)o->count + 1);
    int *pending = arena_alloc(c->arena, ((size_t)o->count + 1) * sizeof *pending);
    int *now =
        arena_alloc(c->arena, ((size_t)buffers + 1) * sizeof *now); /* by buffer: what it became, + 1 */
    bool *done = arena_alloc(c->arena, (size_t)moves->count + 1);
    for (int i = 0; i < moves->count; i++) {
        int from = moves->at[i].from, to = moves->at[i].to, producer = o->producer[from];
        if (producer < 0 || now[from] || c->place[p->phase][moves->at[i].node->id].stack ||
            !in_place(o, from, to, after, pending))
            continue;
        done[i] = true;
        now[from] = to + 1;
        o->early[producer] = true;
        for (int k = 0; k < o->readers[to].count; k++)
            if (o->readers[to].at[k] != producer)
                must_precede(o, o->readers[to].at[k], producer);
    }
    for (int i = 0; i < moves->count; i++) {
        int from = moves->at[i].from, to = moves->at[i].to;
        if (done[i]) {
            rename_buffer(o, from, to, &c->program->phase[p->phase]);
            continue;
        }
        if (c->place[p->phase][moves->at[i].node->id].stack) {
            list_add(c->arena, &p->copies->after,
                     lower_step_copy(c, p->phase, p->loop, moves->at[i].node, to));
            continue;
        }
        bool made = o->producer[from] >= 0;
        from = now[from] ? now[from] - 1 : from;
        from = made ? from : saved(c, p, from);
        list_add(c->arena, &p->copies->after, copy_compute(c, p->phase, p->loop, from, to));
    }
}

/* ---- the pass ------------------------------------------------------------------------------------------- */

/* One step of a loop: its computes in order, then its states' next values. */
static Computes order_step(Compilation *c, int phase, int loop, const Computes *computes)
{
    const Graph *graph = c->model->phase[phase];
    Computes *unit = arena_alloc(c->arena, ((size_t)computes->count + 1) * sizeof *unit), all = {0};
    for (int i = 0; i < computes->count; i++)
        list_add(c->arena, &unit[i], computes->at[i]);
    Moves moves = {0};
    for (int i = 0; i < graph->carry.count; i++) {
        const Node *state = graph->carry.at[i].state, *next = graph->carry.at[i].next;
        const NodePlace *place = c->place[phase];
        if (place[state->id].live && (int)state->attr[0].at[0] == loop)
            list_add(c->arena, &moves, ((Move){next, place[next->id].buffer, place[state->id].buffer}));
    }
    Copies copies = {0};
    Site p = {phase, loop, &moves, &copies};
    Order o = order_new(c, unit, computes->count);
    place_moves(&o, &p);
    append(c, &all, &copies.before);
    sort(&o, &all);
    append(c, &all, &copies.after);
    return all;
}

/* The phase's computes as units; a loop stands where its last compute stood. */
static int find_units(Compilation *c, int phase, Computes *unit)
{
    const ProgramPhase *p = &c->program->phase[phase];
    Computes *loop = arena_alloc(c->arena, ((size_t)c->model->phase[phase]->loops + 1) * sizeof *loop);
    int count = 0;
    for (int i = p->first; i < p->first + p->count; i++)
        if (c->compute.at[i]->loop)
            list_add(c->arena, &loop[c->compute.at[i]->loop], c->compute.at[i]);
    for (int i = p->first; i < p->first + p->count; i++) {
        Compute *compute = c->compute.at[i];
        Computes *of = &loop[compute->loop];
        if (compute->loop == 0) {
            list_add(c->arena, &unit[count], compute);
            count++;
        } else if (of->at[of->count - 1] == compute)
            unit[count++] = order_step(c, phase, compute->loop, of);
    }
    return count;
}

bool pass_assign(Compilation *c)
{
    Computes all = {0};
    for (int p = 0; p < PHASE_COUNT; p++) {
        const Graph *graph = c->model->phase[p];
        Computes *unit = arena_alloc(c->arena, ((size_t)c->program->phase[p].count + 1) * sizeof *unit);
        int count = find_units(c, p, unit);
        Moves moves = {0};
        for (int i = 0; i < graph->assign.count; i++) {
            const Assign *a = &graph->assign.at[i];
            list_add(
                c->arena, &moves,
                ((Move){a->node, c->place[p][a->node->id].buffer, c->buffer_of_variable[a->variable->id]}));
        }
        Copies copies = {0};
        Site place = {p, 0, &moves, &copies};
        Order o = order_new(c, unit, count);
        o.whole_loops = true;
        place_moves(&o, &place);
        keep_results(c, &place);
        c->program->phase[p].first = all.count;
        append(c, &all, &copies.before);
        sort(&o, &all);
        append(c, &all, &copies.after);
        c->program->phase[p].count = all.count - c->program->phase[p].first;
    }
    c->compute.at = all.at;
    c->compute.count = all.count;
    c->compute.capacity = all.capacity;
    for (int i = 0; i < c->compute.count; i++)
        drop_buffers(c, c->compute.at[i]);
    return true;
}
