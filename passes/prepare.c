/* What a prediction computes from parameters alone is computed once, by the phase `prepare`: weights as the kernels want them,
   what is left of a norm. A node is moved if somebody needs it who is not moved, and it is not much larger than the parameters
   that it is made of; views stay where they are read, for they cost nothing. */
#include "cost.h"
#include "passes.h"
#include "rewrite.h"

#include <assert.h>

enum {
    MOST_GROWTH = 8, /* elements for each of the parameters */
    LARGE = 1 << 15  /* elements: the size of a first cache */
};

typedef struct Preparer {
    const Graph *predict;
    bool *constant;      /* by id: made of parameters and numbers alone */
    double *source;      /* by id: elements of those parameters, counted once a use */
    bool *moved, *below; /* by id: it is moved; it is computed for what is moved */
    Variable **variable; /* by id: that stands for it */
} Preparer;

static bool grows(const Node *n)
{
    for (int d = 0; d < n->type.rank; d++)
        if (n->type.dim[d].power)
            return true;
    return false;
}

static bool is_constant(const Preparer *p, const Node *n)
{
    const OpInfo *info = &op_info[n->op];
    if (n->op == OP_VARIABLE)
        return n->variable->kind == VARIABLE_PARAM || n->variable->kind == VARIABLE_STATE;
    bool constant = !grows(n) && info->class != OP_CLASS_LOOP && n->op != OP_STEP && n->op != OP_RANDOM &&
                    !(n->op == OP_SIZE && n->attr[1].at[0] > 0);
    for (int i = 0; i < info->inputs && constant; i++)
        constant = p->constant[n->in[i]->id];
    return constant;
}

static void find_constants(Preparer *p)
{
    for (int i = 0; i < p->predict->node.count; i++) {
        const Node *n = p->predict->node.at[i];
        p->constant[i] = is_constant(p, n);
        p->source[i] = p->constant[i] && n->op == OP_VARIABLE ? node_elements(p->predict->model, n) : 0;
        for (int k = 0; k < op_info[n->op].inputs; k++)
            p->source[i] += p->source[n->in[k]->id];
    }
}

static bool is_worth_moving(const Preparer *p, const Node *n)
{
    OpClass class = op_info[n->op].class;
    return class != OP_CLASS_LEAF && class != OP_CLASS_VIEW && p->source[n->id] > 0 &&
           node_elements(p->predict->model, n) <= MOST_GROWTH * p->source[n->id];
}

/* Large weights, of which a product reads narrow columns: a copy that lies in panels of them is read in one stream. */
static bool is_better_in_panels(const Preparer *p, const Node *n)
{
    const Node *w = n->in[1];
    if ((n->op != OP_CONV && n->op != OP_MATMUL) || !p->constant[w->id] ||
        node_elements(p->predict->model, w) < LARGE)
        return false;
    Size width = n->op == OP_CONV ? w->type.dim[1] : w->type.dim[w->type.rank - 1];
    return (n->op == OP_MATMUL || size_is_one(w->type.dim[0])) && width.count % PANEL == 0 &&
           width.count > PANEL;
}

/* Backwards, so that all users of a node are known: needed[i] says that one of them is computed in `predict`. */
static bool choose(Preparer *p, Arena *arena)
{
    const Graph *g = p->predict;
    const bool *live = graph_live(g);
    bool *needed = arena_alloc(arena, (size_t)g->node.count + 1), any = false;
    bool *result = arena_alloc(arena, (size_t)g->node.count + 1);
    for (int i = 0; i < g->result.count; i++)
        needed[g->result.at[i].node->id] = result[g->result.at[i].node->id] = true;
    for (int i = 0; i < g->carry.count; i++)
        needed[g->carry.at[i].next->id] = true;
    for (int i = g->node.count - 1; i >= 0; i--) {
        const Node *n = g->node.at[i];
        if (!live[i])
            continue;
        p->moved[i] |= needed[i] && p->constant[i] && is_worth_moving(p, n);
        p->moved[i] &= !result[i]; /* people read it, in the order that they know */
        p->below[i] |= p->moved[i];
        any |= p->moved[i];
        if (needed[i] && !p->moved[i] && is_better_in_panels(p, n))
            p->moved[n->in[1]->id] = true;
        for (int k = 0; k < op_info[n->op].inputs; k++) {
            needed[n->in[k]->id] |= needed[i] && !p->moved[i];
            p->below[n->in[k]->id] |= p->below[i];
        }
    }
    return any;
}

static Variable *new_variable(Model *model, const Node *n, int number)
{
    const char *of = n->name ? n->name : op_info[n->op].name, *name;
    do
        name = arena_printf(model->arena, "prepared.%s.%d", of, number++);
    while (model_find(model, name));
    return model_variable(model, VARIABLE_PREPARED, name, n->type);
}

static Node *make_predict(Rewrite *r, const Node *old, Node node)
{
    const Preparer *p = r->context;
    return p->moved[old->id] ? graph_variable(r->graph, p->variable[old->id]) : graph_add(r->graph, node);
}

/* A graph that computes what is moved, and assigns it. */
static Graph *prepare_graph(Preparer *p, Arena *arena)
{
    Graph *prepare = graph_new(p->predict->model, phase_name[PHASE_PREPARE]);
    Node **copy = arena_alloc(arena, (size_t)p->predict->node.count * sizeof *copy);
    for (int i = 0; i < p->predict->node.count; i++) {
        Node node = *p->predict->node.at[i];
        if (!p->below[i])
            continue;
        for (int k = 0; k < op_info[node.op].inputs; k++)
            node.in[k] = copy[node.in[k]->id];
        prepare->scope = node.name;
        prepare->span = node.span;
        copy[i] = graph_add(prepare, node);
        assert(copy[i]);
        if (p->moved[i])
            list_add(prepare->arena, &prepare->assign, ((Assign){p->variable[i], copy[i]}));
    }
    return prepare;
}

bool pass_prepare(Compilation *c)
{
    Model *model = c->model;
    Preparer p = {.predict = model->phase[PHASE_PREDICT]};
    if (model->phase[PHASE_PREPARE]->assign.count) /* a graph that was read */
        return true;
    size_t count = (size_t)p.predict->node.count + 1;
    p.constant = arena_alloc(c->arena, count);
    p.moved = arena_alloc(c->arena, count);
    p.below = arena_alloc(c->arena, count);
    p.source = arena_alloc(c->arena, count * sizeof *p.source);
    p.variable = arena_alloc(c->arena, count * sizeof *p.variable);
    find_constants(&p);
    if (!choose(&p, c->arena))
        return true;
    for (int i = 0; i < p.predict->node.count; i++)
        if (p.moved[i])
            p.variable[i] = new_variable(model, p.predict->node.at[i], i);
    graph_replace(model, PHASE_PREPARE, prepare_graph(&p, c->arena));
    graph_replace(model, PHASE_PREDICT, graph_rewrite(p.predict, true, make_predict, &p));
    return true;
}
