/* Decides which nodes get memory. A node without memory is computed where it is read, so every node in memory
   is the root of one kernel, and fusion is nothing but this choice. Each choice carries its reason in words.
 */
#include "cost.h"
#include "ops.h"
#include "passes.h"
#include "reader.h"
#include "rewrite.h"

#include <math.h>

enum {
    MOST_NODES = 100,     /* inlined into one kernel */
    MEMORY_ROUND_TRIP = 8 /* storing and loading an element costs as much as so many additions */
};

/* Where an inline node would be computed: by one root's kernel or several, how often an element at most, and
   whether only through maps and bijective views, at one index. */
typedef struct Home {
    Node *root;
    const Node *view; /* the nearest view on the way from the root, or the root: says which index is read */
    bool several, transparent;
    double times;
} Home;

typedef struct Fuser {
    Compilation *c;
    const Graph *graph;
    NodePlace *place;
    Home *home;
    int *nodes;           /* inlined, by root id */
    int *users;           /* by id */
    bool *tail;           /* by id: of a contraction */
    const int *loop;      /* by id: the loop it is in */
    const int64_t *steps; /* of each loop */
} Fuser;

static double elements(const Fuser *f, const Node *n) { return node_elements(f->c->model, n); }

/* How often user's kernel reads one element of its operand. */
static double reads_of(const Fuser *f, const Node *user, const Node *operand)
{
    double have = elements(f, operand), made = elements(f, user);
    const Type *a = &user->in[0]->type;
    switch (user->op) {
    case OP_BROADCAST:
    case OP_WINDOW:
    case OP_WINOGRAD_INPUT:
    case OP_WINOGRAD_WEIGHT:
    case OP_WINOGRAD_RESULT:
    case OP_WINOGRAD_WEIGHT_GRADIENT:
    case OP_WINOGRAD_OUTPUT:
        return made / have;
    case OP_MATMUL:
        return made * (double)size_at(a->dim[a->rank - 1], f->c->model->batch) / have;
    case OP_CONV: {
        const Type *w = &user->in[1]->type;
        return made * (double)(w->dim[2].count * w->dim[3].count * w->dim[4].count) / have;
    }
    case OP_CONV_WEIGHT_GRADIENT:
        return made * elements(f, user->in[1]) / (double)user->in[1]->type.dim[2].count / have;
    default:
        return 1;
    }
}

static void add_user(Fuser *f, Node *user, Node *operand)
{
    const NodePlace *p = &f->place[user->id];
    Home via = f->home[user->id];
    if (p->place == PLACE_MEMORY)
        via = (Home){user, user, false, true, 1};
    via.times *= reads_of(f, user, operand);
    bool once = user->op == OP_CARRY; /* reads its first value before the loop */
    if (f->loop[user->id] && !f->loop[operand->id] && !once)
        via.times *= (double)f->steps[f->loop[user->id]];
    via.transparent &= is_transparent(user);
    if (op_info[user->op].class != OP_CLASS_MAP)
        via.view = user;
    Home *home = &f->home[operand->id];
    if (!home->root) {
        *home = via;
        return;
    }
    home->several |= via.several || via.root != home->root;
    home->transparent &= via.transparent && home->view == via.view;
    home->times = fmax(home->times, via.times);
}

static const char *label(const Node *n) { return n->name ? n->name : op_info[n->op].name; }

static void in_memory(Fuser *f, Node *n, const char *reason)
{
    NodePlace *p = &f->place[n->id];
    p->place = PLACE_MEMORY;
    p->root = n;
    p->reason = reason;
    OpClass class = op_info[n->op].class;
    if (class == OP_CLASS_REDUCE || class == OP_CLASS_CONTRACT)
        p->reducer = n;
}

static void inlined(Fuser *f, Node *n, const char *reason)
{
    f->place[n->id].reason = reason;
    f->nodes[f->home[n->id].root->id]++;
}

static void place_reducer(Fuser *f, Node *n)
{
    Home *home = &f->home[n->id];
    NodePlace *root = &f->place[home->root->id];
    const char *name = op_info[n->op].name, *into = label(home->root);
    Arena *arena = f->c->arena;
    if (home->several)
        in_memory(f, n, arena_printf(arena, "%s has users in several kernels", name));
    else if (!home->transparent || home->times > 1)
        in_memory(f, n,
                  arena_printf(arena,
                               "%s not fused into %s: it reads elements in another order, or more than once",
                               name, into));
    else if (root->reducer)
        in_memory(f, n,
                  arena_printf(arena, "%s not fused into %s: a kernel has one reduction, there it is %s",
                               name, into, op_info[root->reducer->op].name));
    else {
        root->reducer = n;
        inlined(f, n, arena_printf(arena, "%s fused with its tail %s", name, into));
    }
}

static int inputs_to_load(const Node *n)
{
    int count = 0;
    for (int i = 0; i < op_info[n->op].inputs; i++) {
        const Node *in = n->in[i];
        while (op_info[in->op].class == OP_CLASS_VIEW)
            in = in->in[0];
        count += op_info[in->op].class != OP_CLASS_LEAF || in->op == OP_VARIABLE;
    }
    return count;
}

/* Which nodes could be the tail of a contraction: they use one through nodes of which nobody else is a user. */
static void mark_tails(Fuser *f)
{
    for (int i = 0; i < f->graph->node.count; i++) {
        const Node *n = f->graph->node.at[i];
        for (int j = 0; j < op_info[n->op].inputs; j++) {
            const Node *in = n->in[j];
            bool contraction = op_info[in->op].class == OP_CLASS_CONTRACT || in->op == OP_WINOGRAD_OUTPUT;
            f->tail[i] |= f->users[in->id] == 1 && (contraction || (is_transparent(in) && f->tail[in->id]));
        }
    }
}

static void place_map(Fuser *f, Node *n)
{
    Home *home = &f->home[n->id];
    const char *name = op_info[n->op].name, *into = label(home->root);
    double cost = node_cost(n);
    Arena *arena = f->c->arena;
    if (cost * (home->times - 1) > MEMORY_ROUND_TRIP)
        in_memory(f, n,
                  arena_printf(arena, "%s not fused into %s: it would be computed %.0f times", name, into,
                               home->times));
    else if (home->several && (cost > 1 || inputs_to_load(n) > 1))
        in_memory(f, n, arena_printf(arena, "%s has users in several kernels", name));
    else if (!home->several && f->place[home->root->id].reducer && f->tail[n->id])
        in_memory(f, n,
                  arena_printf(arena, "%s not fused into %s: it is the tail of a contraction", name, into));
    else if (f->nodes[home->root->id] >= MOST_NODES)
        in_memory(f, n, arena_printf(arena, "%s not fused into %s: that kernel is full", name, into));
    else
        inlined(f, n, arena_printf(arena, "%s fused into %s", name, into));
}

static void place_node(Fuser *f, Node *n)
{
    NodePlace *p = &f->place[n->id];
    if (n->op == OP_VARIABLE)
        in_memory(f, n, NULL);
    if (p->place == PLACE_MEMORY)
        return;
    switch (op_info[n->op].class) {
    case OP_CLASS_REDUCE:
    case OP_CLASS_CONTRACT:
        place_reducer(f, n);
        break;
    case OP_CLASS_MAP:
        place_map(f, n);
        break;
    case OP_CLASS_LEAF:
        if (n->op == OP_RANDOM)
            place_map(f, n);
        break;
    case OP_CLASS_LOOP:
        in_memory(f, n, "it is a loop's");
        break;
    case OP_CLASS_VIEW: /* costs nothing, but for the depth of the expression */
        if (n->op == OP_CONCAT && f->home[n->id].several)
            in_memory(f, n, "concat has users in several kernels");
        else if (f->nodes[f->home[n->id].root->id] >= MOST_NODES)
            in_memory(f, n,
                      arena_printf(f->c->arena, "%s not fused into %s: that kernel is full",
                                   op_info[n->op].name, label(f->home[n->id].root)));
        else
            f->nodes[f->home[n->id].root->id]++;
        break;
    }
}

/* What a loop keeps from step to step, or of all steps. The latter is written to its STACK at once, by the kernel that makes
   it; what has several is copied to the others, and so is a state, which changes. */
static void place_loops(Fuser *f)
{
    f->loop = graph_loops(f->graph);
    for (int i = 0; i < f->graph->node.count; i++) {
        Node *n = f->graph->node.at[i], *of = n->in[0];
        if (n->op != OP_STACK || !f->place[i].live || of->op == OP_CARRY || !f->loop[of->id])
            continue;
        in_memory(f, of, "it is kept of every step");
        if (!f->place[of->id].stack)
            f->place[of->id].stack = n;
    }
    for (int i = 0; i < f->graph->carry.count; i++)
        if (f->place[f->graph->carry.at[i].state->id].live)
            in_memory(f, f->graph->carry.at[i].next, "it is carried to the next step");
}

static void fuse_phase(Compilation *c, int phase)
{
    const Graph *graph = c->model->phase[phase];
    size_t count = (size_t)graph->node.count + 1;
    Fuser f = {.c = c, .graph = graph};
    f.place = arena_alloc(c->arena, count * sizeof *f.place);
    f.home = arena_alloc(c->arena, count * sizeof *f.home);
    f.nodes = arena_alloc(c->arena, count * sizeof *f.nodes);
    f.users = arena_alloc(c->arena, count * sizeof *f.users);
    f.tail = arena_alloc(c->arena, count * sizeof *f.tail);
    c->place[phase] = f.place;
    const bool *live = graph_live(graph);
    for (int i = 0; i < graph->node.count; i++) {
        f.place[i].live = live[i];
        for (int j = 0; live[i] && j < op_info[graph->node.at[i]->op].inputs; j++)
            f.users[graph->node.at[i]->in[j]->id]++;
    }
    mark_tails(&f);
    f.steps = c->steps[phase] = graph_loop_lengths(graph);
    place_loops(&f);
    for (int i = 0; i < graph->result.count; i++)
        in_memory(&f, graph->result.at[i].node, "it is a result");
    for (int i = 0; i < graph->assign.count; i++)
        in_memory(&f, graph->assign.at[i].node, "it is assigned");
    for (int i = graph->node.count - 1; i >= 0; i--) {
        Node *n = graph->node.at[i];
        if (!f.place[i].live)
            continue;
        place_node(&f, n);
        for (int j = 0; j < op_info[n->op].inputs; j++)
            add_user(&f, n, n->in[j]);
    }
}

bool pass_fuse(Compilation *c)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        fuse_phase(c, p);
    return true;
}
