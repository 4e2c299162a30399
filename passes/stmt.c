#include "stmt.h"

static Expr *change_if(Kernel *kernel, Expr *e, ExprChange *change, void *context)
{
    return e ? change(kernel, e, context) : NULL;
}

Stmt *stmt_change(Kernel *kernel, const Stmt *list, ExprChange *change, void *context)
{
    Stmt *out = NULL, **end = &out;
    for (const Stmt *s = list; s; s = s->next) {
        Stmt *copy = arena_copy(exprs_arena(kernel->pool), s, sizeof *s);
        copy->extent = change_if(kernel, s->extent, change, context);
        copy->at = change_if(kernel, s->at, change, context);
        copy->value = change_if(kernel, s->value, change, context);
        copy->body = stmt_change(kernel, s->body, change, context);
        copy->next = NULL;
        *end = copy;
        end = &copy->next;
    }
    return out;
}

typedef struct Substitution {
    Expr *const *with;
    int count;
} Substitution;

static Expr *substitute(Kernel *kernel, Expr *e, void *context)
{
    const Substitution *s = context;
    return expr_substitute(kernel->pool, e, s->with, s->count);
}

Stmt *stmt_substitute(Kernel *kernel, const Stmt *list, Expr *const *with, int count)
{
    Substitution s = {with, count};
    return stmt_change(kernel, list, substitute, &s);
}
