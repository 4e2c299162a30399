/* The reference: every f32 is f64, so that any backend computes with 29 more bits. Data fields keep their
 * types. */
#include "passes.h"
#include "rewrite.h"

static void widen(Type *type)
{
    if (type->dtype == DTYPE_F32)
        type->dtype = DTYPE_F64;
}

static Node *make(Rewrite *r, const Node *old, Node node)
{
    (void)old;
    widen(&node.type);
    return node.op == OP_CAST && node.in[0]->type.dtype == node.type.dtype ? node.in[0]
                                                                           : graph_add(r->graph, node);
}

bool pass_reference(Compilation *c)
{
    if (!c->reference)
        return true;
    for (int i = 0; i < c->model->variable.count; i++)
        widen(&c->model->variable.at[i]->type);
    for (int p = 0; p < PHASE_COUNT; p++)
        graph_replace(c->model, p, graph_rewrite(c->model->phase[p], false, make, NULL));
    return true;
}
