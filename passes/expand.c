/* exp, log, tanh, … become expressions of primitive functions (ir/scalar_expand.c), the same for every backend. The f64
   reference keeps the library's. */
#include "passes.h"
#include "stmt.h"

static Expr *expand(Kernel *k, Expr *e, void *context)
{
    (void)context;
    return expr_expand(k->pool, e);
}

bool pass_expand(Compilation *c)
{
    for (int i = 0; i < c->program->kernel.count; i++) {
        Kernel *k = c->program->kernel.at[i];
        k->body = stmt_change(k, k->body, expand, NULL);
    }
    return true;
}
