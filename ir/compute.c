#include "compute.h"

#include <stdio.h>

Expr *expr_find_reduce(Expr *e)
{
    if (e->kind == EXPR_REDUCE)
        return e;
    for (int i = 0; i < e->count; i++) {
        Expr *found = e->arg[i] ? expr_find_reduce(e->arg[i]) : NULL;
        if (found)
            return found;
    }
    return NULL;
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

static const char *expr_fault(const Compute *c, const Expr *e, bool in_reduce)
{
    if (e->kind == EXPR_AXIS && (e->index < 0 || e->index >= c->axis.count))
        return snprintf(fault, sizeof fault, "'%s' uses axis %d, it has %d", c->name, e->index,
                        c->axis.count),
               fault;
    if (e->kind == EXPR_AXIS && e->index >= c->outputs && !in_reduce)
        return snprintf(fault, sizeof fault, "'%s' uses reduced axis %d outside its reduction", c->name,
                        e->index),
               fault;
    if (e->kind == EXPR_LOAD && (e->index < 0 || e->index >= c->buffer.count || !c->buffer.at[e->index].read))
        return snprintf(fault, sizeof fault, "'%s' reads buffer %d, which is not said to be read", c->name,
                        e->index),
               fault;
    if (e->kind == EXPR_LOCAL || e->kind == EXPR_TEMP || e->lanes != 1)
        return snprintf(fault, sizeof fault, "'%s' holds what only a kernel may", c->name), fault;
    if (e->kind == EXPR_REDUCE && (in_reduce || e != c->reduce))
        return snprintf(fault, sizeof fault, "'%s' has more than one reduction", c->name), fault;
    for (int i = 0; i < e->count; i++) {
        const char *found = expr_fault(c, e->arg[i], in_reduce || e->kind == EXPR_REDUCE);
        if (found)
            return found;
    }
    return NULL;
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
        const char *found = expr_fault(c, s->at, false);
        if (!found)
            found = expr_fault(c, s->value, false);
        if (found)
            return found;
    }
    return NULL;
}
