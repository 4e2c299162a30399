#include "compute.h"

#include <stdio.h>
#include <string.h>

Expr *expr_find_reduce(Expr *e)
{
    if (e->kind == EXPR_REDUCE)
        return e;
    for (int i = 0; i < e->count; i++)
        if (e->arg[i] && e->arg[i]->reduces)
            return expr_find_reduce(e->arg[i]);
    return NULL;
}

Expr *compute_find_reduce(const Compute *compute)
{
    Expr *found = NULL;
    for (int i = 0; i < compute->store.count && !found; i++)
        found = expr_find_reduce(compute->store.at[i].value);
    return found;
}

int compute_find_buffer(const Compute *compute, int id)
{
    for (int i = 0; i < compute->buffer.count; i++)
        if (compute->buffer.at[i].id == id)
            return i;
    return -1;
}

Compute *compute_copy(const Compute *compute)
{
    Arena *arena = exprs_arena(compute->pool);
    Expr **now;
    Compute *copy = arena_copy(arena, compute, sizeof *compute);
    copy->form = 0;
    copy->pool = exprs_copy(compute->pool, &now);
    copy->axis.at = arena_copy(arena, copy->axis.at, (size_t)copy->axis.count * sizeof *copy->axis.at);
    copy->axis.capacity = copy->axis.count;
    for (int i = 0; i < copy->axis.count; i++)
        if (copy->axis.at[i].dynamic)
            copy->axis.at[i].dynamic = now[copy->axis.at[i].dynamic->id];
    copy->buffer.at =
        arena_copy(arena, copy->buffer.at, (size_t)copy->buffer.count * sizeof *copy->buffer.at);
    copy->buffer.capacity = copy->buffer.count;
    copy->argument.at =
        arena_copy(arena, copy->argument.at, (size_t)copy->argument.count * sizeof *copy->argument.at);
    copy->argument.capacity = copy->argument.count;
    copy->store.at = arena_copy(arena, copy->store.at, (size_t)copy->store.count * sizeof *copy->store.at);
    copy->store.capacity = copy->store.count;
    for (int i = 0; i < copy->store.count; i++) {
        copy->store.at[i].at = now[copy->store.at[i].at->id];
        copy->store.at[i].value = now[copy->store.at[i].value->id];
    }
    copy->reduce = copy->reduce ? now[copy->reduce->id] : NULL;
    return copy;
}

static Expr *renumber_leaf(Exprs *pool, Expr *e, void *context)
{
    const int *now = context;
    if (e->kind != EXPR_LOAD)
        return e;
    Expr copy = *e;
    copy.index = now[e->index];
    return expr_copy_with(pool, &copy, e->arg);
}

void compute_drop_buffers(Compute *compute)
{
    int *now = arena_alloc(exprs_arena(compute->pool), ((size_t)compute->buffer.count + 1) * sizeof *now),
        kept = 0;
    for (int i = 0; i < compute->buffer.count; i++) {
        now[i] = kept;
        if (compute->buffer.at[i].read || compute->buffer.at[i].written)
            compute->buffer.at[kept++] = compute->buffer.at[i];
    }
    if (kept == compute->buffer.count)
        return;
    compute->buffer.count = kept;
    for (int s = 0; s < compute->store.count; s++) {
        compute->store.at[s].buffer = now[compute->store.at[s].buffer];
        compute->store.at[s].value =
            expr_rewrite(compute->pool, compute->store.at[s].value, renumber_leaf, now);
    }
    compute->reduce = compute_find_reduce(compute);
}

static void print_axes(Text *text, const Compute *c, int begin, int end)
{
    for (int a = begin; a < end; a++) {
        text_printf(text, "%si%d < ", a == begin ? "" : ", ", a);
        if (c->axis.at[a].dynamic)
            expr_print(text, c->axis.at[a].dynamic);
        else
            size_print(text, c->axis.at[a].extent);
    }
}

static void print_tree(Text *text, const Reduction *r)
{
    static const char *const names[] = {
        [TREE_CHAIN] = "chain", [TREE_LANES] = "lanes", [TREE_LEAVES] = "leaves"};
    text_printf(text, "    %s %s%s over", scalar_info[r->op].name, names[r->tree], r->fma ? " by fma" : "");
    for (int i = 0; i < r->axes; i++)
        text_printf(text, "%s i%d", r->tree == TREE_LEAVES && i == r->leaf ? " |" : "", r->axis[i]);
    text_printf(text, "%s%s\n", r->tree == TREE_LEAVES ? " " : "",
                r->tree == TREE_LEAVES ? names[r->inner] : "");
}

void compute_print(Text *text, const Compute *c)
{
    text_printf(text, "compute \"%s\" [", c->name);
    print_axes(text, c, 0, c->outputs);
    text_add(text, "]");
    if (c->axis.count > c->outputs) {
        text_add(text, " reduced [");
        print_axes(text, c, c->outputs, c->axis.count);
        text_add(text, "]");
    }
    text_add(text, "\n");
    for (int i = 0; i < c->buffer.count; i++)
        text_printf(text, "    x%d: buffer %d, %s\n", i, c->buffer.at[i].id,
                    dtype_info[c->buffer.at[i].dtype].name);
    if (c->reduce)
        print_tree(text, c->reduce->reduction);
    for (int i = 0; i < c->store.count; i++) {
        text_printf(text, "    x%d[", c->store.at[i].buffer);
        expr_print(text, c->store.at[i].at);
        text_add(text, "] = ");
        expr_print(text, c->store.at[i].value);
        text_add(text, "\n");
    }
}

/* ---- the rules ----------------------------------------------------------------------------------------- */

static _Thread_local char fault[300];

typedef struct Check {
    const Compute *compute;
    bool in_reduce;
    const char *found;
} Check;

static const char *expr_fault(const Compute *c, const Expr *e, bool in_reduce)
{
    if (e->kind == EXPR_AXIS && (e->index < 0 || e->index >= c->axis.count))
        snprintf(fault, sizeof fault, "'%s' uses axis %d, it has %d", c->name, e->index, c->axis.count);
    else if (e->kind == EXPR_AXIS && e->index >= c->outputs && !in_reduce)
        snprintf(fault, sizeof fault, "'%s' uses reduced axis %d outside its reduction", c->name, e->index);
    else if (e->kind == EXPR_LOAD &&
             (e->index < 0 || e->index >= c->buffer.count || !c->buffer.at[e->index].read))
        snprintf(fault, sizeof fault, "'%s' reads buffer %d, which is not said to be read", c->name,
                 e->index);
    else if (e->kind == EXPR_LOCAL || e->kind == EXPR_TEMP || e->lanes != 1)
        snprintf(fault, sizeof fault, "'%s' holds what only a kernel may", c->name);
    else if (e->kind == EXPR_REDUCE && (in_reduce || e != c->reduce))
        snprintf(fault, sizeof fault, "'%s' has more than one reduction", c->name);
    else
        return NULL;
    return fault;
}

static Visit check_visitor(Expr *e, void *context)
{
    Check *check = context;
    check->found = expr_fault(check->compute, e, check->in_reduce);
    if (check->found)
        return VISIT_STOP;
    return e->kind == EXPR_REDUCE && !check->in_reduce ? VISIT_PAST : VISIT_DEEPER;
}

static const char *value_fault(const Compute *c, Expr *e, bool in_reduce)
{
    Check check = {c, in_reduce, NULL};
    expr_visit(c->pool, e, check_visitor, &check);
    return check.found;
}

const char *compute_fault(const Compute *c)
{
    if (!c->store.count)
        return snprintf(fault, sizeof fault, "'%s' stores nothing", c->name), fault;
    for (int i = 0; i < c->store.count; i++) {
        const ComputeStore *s = &c->store.at[i];
        if (s->buffer < 0 || s->buffer >= c->buffer.count || !c->buffer.at[s->buffer].written)
            return snprintf(fault, sizeof fault, "'%s' writes buffer %d, which is not said to be written",
                            c->name, s->buffer),
                   fault;
        if (s->value->dtype != c->buffer.at[s->buffer].dtype)
            return snprintf(fault, sizeof fault, "'%s' stores %s into a buffer of %s", c->name,
                            dtype_info[s->value->dtype].name, dtype_info[c->buffer.at[s->buffer].dtype].name),
                   fault;
        const char *found = value_fault(c, s->at, false);
        if (!found)
            found = value_fault(c, s->value, false);
        if (found)
            return found;
    }
    return c->reduce ? value_fault(c, c->reduce->arg[0], true) : NULL;
}

enum { MOST_CHOICES = 8 };

typedef struct Choices {
    const Compute *compute;
    int64_t *period;
    bool any;
} Choices;

static Visit choice_visitor(Expr *e, void *context)
{
    Choices *choices = context;
    if (e->kind != EXPR_APPLY || e->op != SCALAR_EQ || e->arg[1]->kind != EXPR_CONST)
        return VISIT_DEEPER;
    const Expr *axis = e->arg[0];
    int64_t period = 0;
    if (axis->kind == EXPR_APPLY && axis->op == SCALAR_MOD && expr_is_int(axis->arg[1], &period))
        axis = axis->arg[0];
    if (axis->kind != EXPR_AXIS || axis->index >= choices->compute->outputs)
        return VISIT_DEEPER;
    Size extent = choices->compute->axis.at[axis->index].extent;
    period = period && period < extent.count ? period : extent.count;
    if (!extent.power && period <= MOST_CHOICES) {
        choices->period[axis->index] = period;
        choices->any = true;
    }
    return VISIT_DEEPER;
}

bool compute_is_shard(const Compute *compute, int axis)
{
    const Expr *length = compute->axis.at[axis].dynamic;
    for (int a = 0; length && a < compute->outputs; a++)
        if (expr_uses_axis(length, a))
            return false;
    return length;
}

bool compute_bounds_terms(const Compute *compute, int axis)
{
    for (int a = compute->outputs; a < compute->axis.count; a++)
        if (compute->axis.at[a].dynamic && expr_uses_axis(compute->axis.at[a].dynamic, axis))
            return true;
    return false;
}

bool compute_updates(const Compute *compute)
{
    for (int i = 0; i < compute->store.count; i++)
        if (compute->buffer.at[compute->store.at[i].buffer].read)
            return true;
    return false;
}

bool compute_choices(const Compute *compute, int64_t period[MAX_OUTPUT_AXES])
{
    Choices choices = {compute, period, false};
    for (int a = 0; a < MAX_OUTPUT_AXES; a++)
        period[a] = 1;
    for (int i = 0; i < compute->store.count; i++)
        expr_visit(compute->pool, compute->store.at[i].value, choice_visitor, &choices);
    return choices.any;
}
