/* Tile loops are written out, so that accumulators get constant places: backends then keep them in registers. */
#include "passes.h"
#include "stmt.h"

#include <assert.h>

static Stmt *unroll(Kernel *k, Stmt *list)
{
    Arena *arena = exprs_arena(k->pool);
    Stmt *out = NULL, **end = &out;
    Expr **with = arena_alloc(arena, (size_t)k->axes * sizeof *with);
    for (Stmt *s = list, *next; s; s = next) {
        next = s->next;
        s->next = NULL;
        s->body = s->body ? unroll(k, s->body) : NULL;
        int64_t extent;
        if (s->kind != STMT_FOR || s->loop != LOOP_UNROLL) {
            *end = s;
            end = &s->next;
            continue;
        }
        bool known = expr_is_int(s->extent, &extent);
        assert(known);
        (void)known;
        for (int64_t i = 0; i < extent; i++) {
            with[s->index] = expr_int(k->pool, DTYPE_I64, i);
            *end = stmt_substitute(k, s->body, with, k->axes);
            while (*end)
                end = &(*end)->next;
        }
        with[s->index] = NULL;
    }
    return out;
}

bool pass_unroll(Compilation *c)
{
    for (int i = 0; i < c->program->kernel.count; i++) {
        Kernel *k = c->program->kernel.at[i];
        k->body = unroll(k, k->body);
    }
    return true;
}
