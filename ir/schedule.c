#include "schedule.h"

#include <stdio.h>

void schedule_print(Text *text, const Compute *c, const Schedule *s)
{
    text_add(text, "    schedule items");
    for (int i = 0; i < s->outputs; i++) {
        int a = s->order[i];
        text_printf(text, "%s%s i%d", i == s->items ? " |" : "",
                    s->inner && i == s->outputs - s->inner ? " block" : "", a);
        if (s->tile[a] > 1)
            text_printf(text, "/%lld", (long long)s->tile[a]);
    }
    if (c->reduce)
        text_add(text, " reduce");
    text_add(text, " tile");
    for (int a = 0; a < s->outputs; a++)
        if (s->tile[a] > 1)
            text_printf(text, a == s->vector ? " i%d:%lld(x%d)" : " i%d:%lld", a, (long long)s->tile[a],
                        s->lanes);
    text_add(text, s->lanes_reduce ? " lanes\n" : "\n");
}

const char *schedule_fault(const Compute *c, const Schedule *s)
{
    static _Thread_local char fault[200];
    unsigned seen = 0;
    const Reduction *r = c->reduce ? c->reduce->reduction : NULL;
    int chain = r ? r->axes - (r->tree == TREE_LEAVES ? r->leaf : 0) : 0;
    if (s->outputs != c->outputs || s->items > s->outputs || s->vector >= s->outputs) {
        snprintf(fault, sizeof fault, "schedule of '%s' is for %d output axes, it has %d", c->name,
                 s->outputs, c->outputs);
        return fault;
    }
    bool leaves = r && r->tree == TREE_LEAVES; /* tiles may take turns on a whole leaf */
    if ((s->blocked > 0 && !s->inner) || (s->inner > 0 && !s->blocked && !leaves) ||
        s->inner + s->items > s->outputs || s->blocked >= (chain > 0 ? chain : 1)) {
        snprintf(fault, sizeof fault, "schedule of '%s' blocks %d of %d reduced axes around %d loops",
                 c->name, s->blocked, chain, s->inner);
        return fault;
    }
    for (int i = 0; i < s->outputs; i++) {
        int a = s->order[i];
        if (a < 0 || a >= s->outputs || seen & 1u << a || s->tile[a] < 1) {
            snprintf(fault, sizeof fault, "schedule of '%s' has no proper loop for axis %d", c->name, a);
            return fault;
        }
        if (i > 0 && i < s->items && c->axis.at[a].extent.power) {
            snprintf(fault, sizeof fault,
                     "schedule of '%s': item loop %d grows with the batch and is not the first", c->name, i);
            return fault;
        }
        if (s->inner && s->tile[a] > 1 && c->axis.at[a].extent.power) {
            snprintf(
                fault, sizeof fault,
                "schedule of '%s': axis %d grows with the batch, so its last rows cannot wait in a block",
                c->name, a);
            return fault;
        }
        seen |= 1u << a;
    }
    return NULL;
}
