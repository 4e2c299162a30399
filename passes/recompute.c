/* What the backward pass reads of the forward pass is kept for long. Where it is cheaply made of tensors that are kept anyway,
   the backward pass makes it again: a norm of a convolution's output, padding, what Winograd's products read. The nodes behind
   the loss then read copies of such a chain, which begin with `again`, so that they are not one with the originals. */
#include "cost.h"
#include "passes.h"
#include "rewrite.h"

#include <math.h>

enum {
    LARGE = 1 << 17,      /* bytes: less is not worth the kernels; */
    VERY_LARGE = 1 << 22, /* nor, for a contraction or a copy of what is kept, less than these */
    MUCH_SMALLER = 8,     /* what is smaller by that is read as if it were nothing */
    MOST_SOURCES = 4,     /* that a chain reads, */
    MOST_COST = 64,       /* and what an element of it costs, in additions */
    LITTLE_COST = 24,     /* of what may be made for each reader */
    MOST_PRODUCTS = 160,  /* of an element of a contraction that is made twice; */
    PRODUCTS_SHARE = 12,  /* of a step's products are made twice, at most, */
    SHARES_WON = 2        /* for so many times that share of the forward pass's bytes */
};

/* How a forward node can be made again. */
typedef struct Chain {
    int sources;
    const Node *source[MOST_SOURCES];
    double cost;
} Chain;

typedef struct Copy {
    Node *node;
    int number;
} Copy;

typedef struct Recomputer {
    const Graph *old;
    const int *loop;
    Chain *chain;  /* by id */
    bool *cheap;   /* by id: has a chain */
    bool *source;  /* by id: is its own source */
    bool *twice;   /* by id: a contraction that is made again */
    bool *kept;    /* by id: is there when the backward pass runs */
    bool *again;   /* by id: the backward pass makes it again */
    Copy *copy;    /* by id: the last one */
    Node **whole;  /* by id: of a contraction */
    Node **made;   /* by id: what stands for it behind the loss */
    int number;    /* of such nodes, so far */
    bool of_small; /* the present one is made of small tensors only: its copy begins with them */
    int loss;      /* what has a higher id is behind it */
} Recomputer;

static double bytes(const Recomputer *r, const Node *n)
{
    return (double)type_bytes(&n->type, r->old->model->batch);
}

/* ---- how a node can be made again ------------------------------------------------------------------------ */

static bool is_cheap(const Recomputer *r, const Node *n)
{
    OpClass class = op_info[n->op].class;
    return !r->loop[n->id] && !node_leaves_loop(n) &&
           (class == OP_CLASS_MAP || class == OP_CLASS_VIEW || n->op == OP_WINOGRAD_INPUT);
}

static bool chain_read(Chain *chain, const Node *source)
{
    for (int i = 0; i < chain->sources; i++)
        if (chain->source[i] == source)
            return true;
    if (chain->sources == MOST_SOURCES)
        return false;
    chain->source[chain->sources++] = source;
    return true;
}

static bool make_chain(const Recomputer *r, const Node *n, Chain *chain)
{
    if (!is_cheap(r, n))
        return false;
    chain->cost = node_cost(n);
    for (int i = 0; i < op_info[n->op].inputs; i++) {
        const Chain *in = &r->chain[n->in[i]->id];
        chain->cost += in->cost * fmin(1, bytes(r, n->in[i]) / bytes(r, n));
        for (int k = 0; k < in->sources; k++)
            if (bytes(r, in->source[k]) * MUCH_SMALLER > bytes(r, n) && !chain_read(chain, in->source[k]))
                return false;
    }
    return chain->cost <= MOST_COST;
}

static void becomes_source(Recomputer *r, const Node *n)
{
    r->source[n->id] = true;
    r->chain[n->id] = (Chain){1, {n}, 0};
}

/* ---- contractions that are made again --------------------------------------------------------------------- */

/* 0 for what is none. */
static double products(const Recomputer *r, const Node *n)
{
    const Type *w = n->in[1] ? &n->in[1]->type : NULL;
    double each = 0;
    if (n->op == OP_CONV)
        each = (double)(w->dim[2].count * w->dim[3].count * w->dim[4].count);
    if (n->op == OP_MATMUL)
        each = (double)size_at(w->dim[w->rank - 2], r->old->model->batch);
    if (n->op == OP_CONV_WEIGHT_GRADIENT)
        each = node_elements(r->old->model, n->in[1]) / (double)w->dim[2].count;
    return each * node_elements(r->old->model, n);
}

/* Some make much of few products: a net's first convolution of few channels. A small share of all products may be made twice,
   where that saves a share of the bytes that is several times as large. */
static void choose_contractions(Recomputer *r)
{
    double all_products = 0, all_bytes = 0, left;
    for (int i = 0; i < r->old->node.count; i++) {
        const Node *n = r->old->node.at[i];
        all_products += products(r, n);
        all_bytes += i <= r->loss && op_info[n->op].class == OP_CLASS_CONTRACT ? bytes(r, n) : 0;
    }
    left = all_products / PRODUCTS_SHARE;
    for (int i = 0; i <= r->loss; i++) {
        const Node *n = r->old->node.at[i];
        double more = products(r, n);
        if (!more || more > left || more > MOST_PRODUCTS * node_elements(r->old->model, n) || r->loop[i] ||
            bytes(r, n) < VERY_LARGE || bytes(r, n) / all_bytes < SHARES_WON * more / all_products)
            continue;
        r->twice[i] = true;
        left -= more;
    }
}

/* ---- what is kept ----------------------------------------------------------------------------------------- */

/* Of n and what it is made of, the smaller is kept. */
static void choose(Recomputer *r, const Node *n)
{
    const Chain chain = r->chain[n->id];
    if (r->twice[n->id]) {
        r->again[n->id] = true;
        return;
    }
    double missing = 0;
    for (int k = 0; k < chain.sources; k++)
        missing += r->kept[chain.source[k]->id] ? 0 : bytes(r, chain.source[k]);
    bool same = chain.cost == 0 && bytes(r, n) < VERY_LARGE; /* a view: at most a small copy is kept */
    r->again[n->id] = !r->source[n->id] && !same && missing < bytes(r, n);
    if (r->again[n->id]) {
        for (int k = 0; k < chain.sources; k++)
            r->kept[chain.source[k]->id] = true;
        return;
    }
    const Node *below = n;
    while (op_info[below->op].class == OP_CLASS_VIEW)
        below = below->in[0];
    becomes_source(r, below);
    r->kept[below->id] = true;
    r->chain[n->id] = r->chain[below->id];
}

/* By id: whether a node behind the loss reads it. */
static const bool *find_read(const Recomputer *r, Arena *arena)
{
    bool *read = arena_alloc(arena, (size_t)r->old->node.count + 1);
    const bool *live = graph_live(r->old);
    for (int i = r->loss + 1; i < r->old->node.count; i++)
        for (int k = 0; live[i] && k < op_info[r->old->node.at[i]->op].inputs; k++)
            read[r->old->node.at[i]->in[k]->id] = true;
    return read;
}

/* Each operand, or one tensor that it is next to, is there. */
static bool operands_are_kept(const Recomputer *r, const Node *n)
{
    for (int i = 0; i < op_info[n->op].inputs; i++) {
        const Chain *in = &r->chain[n->in[i]->id];
        if (in->sources > 1 || in->cost > LITTLE_COST || (in->sources && !r->kept[in->source[0]->id]))
            return false;
    }
    return true;
}

static void choose_all(Recomputer *r, Arena *arena)
{
    const bool *read = find_read(r, arena);
    for (int i = 0; i <= r->loss; i++) {
        const Node *n = r->old->node.at[i];
        Chain chain = {0};
        r->twice[i] &= operands_are_kept(r, n);
        r->kept[i] = n->op == OP_VARIABLE || r->twice[i];
        if (bytes(r, n) < LARGE || n->op == OP_CONST || n->op == OP_IOTA)
            continue;
        r->cheap[i] = make_chain(r, n, &chain);
        if (r->cheap[i])
            r->chain[i] = chain;
        else
            becomes_source(r, n);
        if (read[i])
            choose(r, n);
    }
}

/* ---- the copies ------------------------------------------------------------------------------------------- */

static Node *copy_chain(Rewrite *rewrite, const Node *old, int number);

static Node *contract_again(Rewrite *rewrite, const Node *old)
{
    Recomputer *r = rewrite->context;
    Node node = *old;
    bool of_small = r->of_small;
    int number = ++r->number;
    r->of_small = true;
    for (int k = 0; k < op_info[node.op].inputs; k++)
        node.in[k] = copy_chain(rewrite, old->in[k], number);
    r->of_small = of_small;
    return graph_add(rewrite->graph, node);
}

/* A copy of what `old` is made of, for one reader or, with number 0, for all. */
static Node *copy_chain(Rewrite *rewrite, const Node *old, int number)
{
    Recomputer *r = rewrite->context;
    Copy *copy = &r->copy[old->id];
    if (copy->node && copy->number == number)
        return copy->node;
    Node node = *old, *made = rewrite->copy[old->id];
    bool begins = r->source[old->id] || old->op == OP_VARIABLE ||
                  (!r->cheap[old->id] && op_info[old->op].class != OP_CLASS_LEAF && r->of_small);
    if (r->twice[old->id]) {
        Node **whole = &r->whole[old->id];
        *whole = *whole ? *whole : contract_again(rewrite, old);
        made = *whole;
    }
    if (begins)
        made = graph_add(rewrite->graph, (Node){.op = OP_AGAIN, .in = {made}, .attr = {{1, {number}}}});
    else if (r->cheap[old->id]) {
        for (int k = 0; k < op_info[node.op].inputs; k++)
            node.in[k] = copy_chain(rewrite, old->in[k], number);
        made = graph_add(rewrite->graph, node);
    }
    *copy = (Copy){made, number};
    return made;
}

/* What costs next to nothing is made for each node that is read, so that nobody waits for its last reader. */
static Node *make_again(Rewrite *rewrite, const Node *old)
{
    Recomputer *r = rewrite->context;
    Node **made = &r->made[old->id];
    if (*made)
        return *made;
    r->of_small = !r->chain[old->id].sources;
    return *made = copy_chain(rewrite, old, r->chain[old->id].cost <= LITTLE_COST ? ++r->number : 0);
}

static Node *make(Rewrite *rewrite, const Node *old, Node node)
{
    Recomputer *r = rewrite->context;
    bool behind = old->id > r->loss && !r->loop[old->id];
    for (int k = 0; behind && k < op_info[node.op].inputs; k++)
        if (r->again[old->in[k]->id])
            node.in[k] = make_again(rewrite, old->in[k]);
    return graph_add(rewrite->graph, node);
}

/* ---- the pass --------------------------------------------------------------------------------------------- */

static const Node *find_loss(const Graph *graph)
{
    for (int i = 0; i < graph->result.count; i++)
        if (graph->result.at[i].kind == RESULT_LOSS)
            return graph->result.at[i].node;
    return NULL;
}

bool pass_recompute(Compilation *c)
{
    Graph *graph = c->model->phase[PHASE_STEP];
    const Node *loss = find_loss(graph);
    if (!loss)
        return true;
    size_t count = (size_t)graph->node.count + 1;
    Recomputer r = {.old = graph, .loop = graph_loops(graph), .loss = loss->id};
    r.chain = arena_alloc(graph->arena, count * sizeof *r.chain);
    r.cheap = arena_alloc(graph->arena, count);
    r.source = arena_alloc(graph->arena, count);
    r.twice = arena_alloc(graph->arena, count);
    r.whole = arena_alloc(graph->arena, count * sizeof *r.whole);
    r.kept = arena_alloc(graph->arena, count);
    r.again = arena_alloc(graph->arena, count);
    r.copy = arena_alloc(graph->arena, count * sizeof *r.copy);
    r.made = arena_alloc(graph->arena, count * sizeof *r.made);
    choose_contractions(&r);
    choose_all(&r, graph->arena);
    graph_replace(c->model, PHASE_STEP, graph_rewrite(graph, true, make, &r));
    return true;
}
