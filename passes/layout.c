/* Chooses how each node in memory lies there: an order of its logical axes. Convolutions want channels
   innermost (NHWC); what is elementwise beside them follows its operands; all else is row-major. A
   contraction whose operand cannot be read in straight lines gets a copy of it that can. Layouts depend on
   shapes only, never on the target. */
#include "embed.h"
#include "form.h"
#include "ops.h"
#include "passes.h"
#include "reader.h"

#include <assert.h>
#include <string.h>

typedef struct Layout {
    bool known; /* it says more than row-major by default */
    int axes[MAX_RANK];
    int panel; /* as in Buffer */
} Layout;

typedef struct Layouter {
    Compilation *c;
    int phase;
    NodePlace *place;
    Layout *layout; /* by node id: of inline nodes, what their operands suggest */
    Embedder embedder;
} Layouter;

static Layout row_major(void)
{
    Layout l = {0};
    for (int i = 0; i < MAX_RANK; i++)
        l.axes[i] = i;
    return l;
}

static Layout fixed(int a, int b, int c, int d, int e)
{
    return (Layout){.known = true, .axes = {a, b, c, d, e, 5, 6, 7}};
}

/* ---- through views ------------------------------------------------------------------------------------- */

static Layout through_transpose(const Node *n, const Layout *in)
{
    Layout l = *in;
    for (int i = 0; i < n->type.rank; i++)
        for (int j = 0; j < n->type.rank; j++)
            if (n->attr[0].at[j] == in->axes[i])
                l.axes[i] = j;
    return l;
}

/* Where x's axes stand in memory, for y's: cuts both shapes at their common boundaries; each group of y's
   axes must be one run of x's axes in order. Axes of size 1 lie anywhere. */
static Layout through_reshape(const Node *n, const Layout *in)
{
    const Type *x = &n->in[0]->type, *y = &n->type;
    int group_of_x[MAX_RANK], group_of_y[MAX_RANK], group = 0, i = 0, j = 0;
    Size left = size_of(1), right = size_of(1);
    while (i < x->rank || j < y->rank) { /* grow the smaller product until both agree */
        bool take_x =
            j == y->rank || (i < x->rank && (left.power < right.power ||
                                             (left.power == right.power && left.count <= right.count)));
        if (take_x) {
            if (!size_multiply(left, x->dim[i], &left))
                return row_major();
            group_of_x[i++] = group;
        } else {
            if (!size_multiply(right, y->dim[j], &right))
                return row_major();
            group_of_y[j++] = group;
        }
        if (size_equal(left, right)) {
            left = right = size_of(1);
            group++;
        }
    }
    Layout l = {.known = in->known};
    int filled = 0, last = -1, before = -1;
    bool placed[MAX_RANK] = {0};
    for (int k = 0; k < x->rank; k++) { /* groups in the order of memory */
        int axis = in->axes[k];
        if (size_is_one(x->dim[axis]))
            continue;
        bool ones = true; /* in x, before this axis within its group */
        for (int a = 0; a < axis; a++)
            ones &= group_of_x[a] != group_of_x[axis] || size_is_one(x->dim[a]);
        if (group_of_x[axis] != last ? !ones : axis < before)
            return row_major(); /* the group is torn apart or turned around */
        before = axis;
        if (group_of_x[axis] == last)
            continue;
        last = group_of_x[axis];
        for (int b = 0; b < y->rank; b++)
            if (group_of_y[b] == last && !size_is_one(y->dim[b])) {
                if (placed[b])
                    return row_major();
                l.axes[filled++] = b;
                placed[b] = true;
            }
    }
    Layout result = {.known = in->known};
    int ones = 0; /* axes of size 1 first, where they cost nothing */
    for (int b = 0; b < y->rank; b++)
        if (!placed[b])
            result.axes[ones++] = b;
    memcpy(result.axes + ones, l.axes, sizeof l.axes[0] * (size_t)filled);
    for (int b = y->rank; b < MAX_RANK; b++)
        result.axes[b] = b;
    return result;
}

static Layout through_reduce(const Node *n, const Layout *in)
{
    const Type *x = &n->in[0]->type;
    Layout l = row_major();
    l.known = in->known;
    int filled = 0;
    for (int k = 0; k < x->rank; k++) {
        int axis = in->axes[k], kept = axis;
        bool reduced = false;
        for (int i = 0; i < n->attr[0].count; i++) {
            reduced |= n->attr[0].at[i] == axis;
            kept -= n->attr[0].at[i] < axis;
        }
        if (!reduced)
            l.axes[filled++] = kept;
    }
    return l;
}

/* The first axes of in's, as many as n has (fold), or in's with appended axes innermost (window). */
static Layout through_window(const Node *n, const Layout *in)
{
    Layout l = row_major();
    l.known = in->known;
    int rank = n->op == OP_WINDOW ? n->in[0]->type.rank : n->type.rank, filled = 0;
    for (int k = 0; k < n->in[0]->type.rank; k++)
        if (in->axes[k] < rank)
            l.axes[filled++] = in->axes[k];
    return l;
}

/* Steps outermost. */
static Layout through_stack(const Node *n, const Layout *in)
{
    Layout l = {.known = in->known};
    for (int d = 1; d < n->type.rank; d++)
        l.axes[d] = in->axes[d - 1] + 1;
    for (int d = n->type.rank; d < MAX_RANK; d++)
        l.axes[d] = d;
    return l;
}

/* ---- what a node's operands suggest -------------------------------------------------------------------- */

/* What a contraction reads in vectors lies in panels of them, if these are whole. */
static Layout in_panels(Layout l, const Type *type, int place)
{
    Size width = type->dim[l.axes[type->rank - 1]];
    l.panel = width.power == 0 && width.count % PANEL == 0 ? place + 1 : 0;
    l.known = true;
    return l;
}

static Layout suggested_order(const Layouter *l, const Node *n)
{
    const Layout *in = op_info[n->op].inputs ? &l->layout[n->in[0]->id] : NULL;
    switch (n->op) {
    case OP_CONV:
    case OP_WINOGRAD_OUTPUT:
        return fixed(0, 3, 4, 1, 2);
    case OP_CONV_WEIGHT_GRADIENT:
    case OP_WINOGRAD_WEIGHT_GRADIENT:
        return fixed(0, 3, 4, 2, 1);
    case OP_RESHAPE:
        return through_reshape(n, in);
    case OP_TRANSPOSE:
        return through_transpose(n, in);
    case OP_SUM:
    case OP_REDUCE_MAX:
    case OP_REDUCE_MIN:
        return through_reduce(n, in);
    case OP_WINDOW:
    case OP_FOLD:
        return through_window(n, in);
    case OP_BROADCAST:
        return n->type.rank == n->in[0]->type.rank ? *in : row_major();
    case OP_PAD:
    case OP_SLICE:
    case OP_REVERSE:
    case OP_DILATE:
    case OP_SHIFT:
        return *in;
    case OP_STACK:
        return through_stack(n, in);
    default:
        break;
    }
    if (op_info[n->op].class == OP_CLASS_MAP || n->op == OP_CONCAT)
        for (int i = 0; i < op_info[n->op].inputs; i++)
            if (l->layout[n->in[i]->id].known)
                return l->layout[n->in[i]->id];
    return row_major();
}

static Layout suggested(const Layouter *l, const Node *n)
{
    Layout layout = suggested_order(l, n);
    layout.panel = 0;
    return n->op == OP_WINOGRAD_WEIGHT || n->op == OP_WINOGRAD_RESULT ? in_panels(layout, &n->type, 2)
                                                                      : layout;
}

/* ---- parameters ---------------------------------------------------------------------------------------- */

/* The variable that a convolution reads as weights, seen through one reshape; NULL if they are anything else. */
static const Variable *convolution_weight(const Node *n)
{
    const Node *w = n->op == OP_CONV ? n->in[1] : n->op == OP_WINOGRAD_WEIGHT ? n->in[0] : NULL;
    bool seen = w && w->op == OP_RESHAPE && w->in[0]->op == OP_VARIABLE && w->in[0]->type.rank == 4;
    return seen ? w->in[0]->variable : NULL;
}

/* What is prepared for one contraction lies as that reads it. */
static void place_prepared(const Model *model, Layout *of_variable)
{
    const Graph *predict = model->phase[PHASE_PREDICT];
    int *uses = arena_alloc(model->arena, ((size_t)model->variable.count + 1) * sizeof *uses);
    for (int i = 0; i < predict->node.count; i++)
        for (int k = 0; k < op_info[predict->node.at[i]->op].inputs; k++)
            if (predict->node.at[i]->in[k]->op == OP_VARIABLE)
                uses[predict->node.at[i]->in[k]->variable->id]++;
    for (int i = 0; i < predict->node.count; i++) {
        const Node *n = predict->node.at[i], *w = n->in[1];
        if (op_info[n->op].class != OP_CLASS_CONTRACT || w->op != OP_VARIABLE ||
            w->variable->kind != VARIABLE_PREPARED || uses[w->variable->id] != 1)
            continue;
        Layout *l = &of_variable[w->variable->id];
        if (n->op == OP_CONV)
            *l = in_panels(fixed(0, 3, 4, 2, 1), &w->type, 1);
        else if (n->op == OP_MATMUL)
            *l = in_panels(row_major(), &w->type, w->type.rank - 2);
    }
}

/* [o, c, kh, kw] lies as kh kw c o: the order in which a convolution's chain runs, output channels in
 * vectors. */
static void place_variables(const Model *model, Layout *of_variable)
{
    static const int order[4] = {2, 3, 1, 0};
    for (int i = 0; i < model->variable.count; i++)
        of_variable[i] = row_major();
    for (int p = 0; p < PHASE_COUNT; p++)
        for (int i = 0; i < model->phase[p]->node.count; i++) {
            const Variable *weight = convolution_weight(model->phase[p]->node.at[i]);
            if (!weight)
                continue;
            memcpy(of_variable[weight->id].axes, order, sizeof order);
            of_variable[weight->id].known = true;
        }
    place_prepared(model, of_variable);
    for (int i = 0; i < model->variable.count; i++)
        if (model->variable.at[i]->of && model->variable.at[i]->type.rank == 4)
            of_variable[i] = of_variable[model->variable.at[i]->of->id];
}

/* ---- operands of contractions -------------------------------------------------------------------------- */

typedef struct Straight {
    int axes, vector;
} Straight;

static Visit straight_visitor(Expr *e, void *context)
{
    const Straight *s = context;
    if (e->kind != EXPR_LOAD)
        return VISIT_DEEPER;
    for (int a = 0; a < s->axes; a++) {
        int64_t stride;
        bool straight = a == s->vector ? expr_stride(e->arg[0], a, &stride) && (stride == 0 || stride == 1)
                                       : expr_is_affine(e->arg[0], a);
        if (!straight)
            return VISIT_STOP;
    }
    return e->count == 1 ? VISIT_PAST : VISIT_STOP;
}

/* Whether `contract` reads its operands by addresses that are sums of axes, without predicates, and in steps
   of 0 or 1 along its innermost axis: tried, by making its expression. */
static bool try_operand(Layouter *l, const Node *contract, int operand, const Layout *layout)
{
    Compilation *c = l->c;
    Compute probe = {.pool = exprs_new(c->arena)};
    Reader reader = reader_new(c, l->phase, &probe);
    Expr *at[MAX_RANK];
    int vector = -1;
    for (int i = 0; i < contract->type.rank; i++) {
        int axis = layout->axes[i];
        Expr *index = reduce_axis(&reader.definer, contract->type.dim[axis]);
        at[axis] = index;
        if (index->kind == EXPR_AXIS)
            vector = index->index;
    }
    Expr *e = expr_find_reduce(reader_define(&reader, contract, contract, at));
    Expr *product = e ? e->arg[0] : NULL;
    if (!product || product->kind != EXPR_APPLY || product->op != SCALAR_MUL)
        return true;
    Straight straight = {probe.axis.count, vector};
    return expr_visit(probe.pool, product->arg[operand], straight_visitor, &straight);
}

static bool operand_is_straight(Layouter *l, const Node *contract, int operand, const Layout *layout)
{
    Key *key = key_new(l->c, KEY_STRAIGHT);
    key_add(key, operand);
    for (int i = 0; i < contract->type.rank; i++)
        key_add(key, layout->axes[i]);
    key_region(l->c, key, l->phase, contract, contract, NULL);
    void **made = made_of(l->c, key);
    if (!*made) {
        bool tried = try_operand(l, contract, operand, layout);
        *made = arena_copy(l->c->arena, &tried, sizeof tried);
    }
    bool straight = *(const bool *)*made;
    assert(!l->c->verify || straight == try_operand(l, contract, operand, layout));
    return straight;
}

static Layout copy_layout(const Node *contract, int operand)
{
    if (contract->op == OP_CONV && operand == 1)
        return fixed(0, 3, 4, 2, 1);
    return contract->op == OP_MATMUL ? row_major() : fixed(0, 3, 4, 1, 2);
}

static void put_in_memory(Layouter *l, Node *n, const Layout *layout, const char *reason)
{
    NodePlace *p = &l->place[n->id];
    *p = (NodePlace){.place = PLACE_MEMORY, .live = true, .root = n, .reason = reason};
    l->layout[n->id] = *layout;
    memcpy(p->axes, layout->axes, sizeof p->axes);
}

/* The padded image that a convolution reads through a reshape. */
static Node *padded_image(const Layouter *l, const Node *contract, int operand)
{
    Node *n = contract->in[operand];
    while (n->op == OP_RESHAPE && l->place[n->id].place == PLACE_INLINE)
        n = n->in[0];
    bool found = n->op == OP_PAD && n->type.rank == 4 && n != contract->in[operand] &&
                 l->place[n->id].place == PLACE_INLINE;
    return found ? n : NULL;
}

static void copy_operand(Layouter *l, const Node *contract, int operand, const Layout *layout)
{
    const char *reason = arena_printf(l->c->arena, "copied: %s would not read it in straight lines",
                                      op_info[contract->op].name);
    Node *padded = padded_image(l, contract, operand);
    if (padded) {
        Layout before = l->layout[padded->id], images = fixed(0, 2, 3, 1, 4);
        NodePlace inlined = l->place[padded->id];
        put_in_memory(l, padded, before.known ? &before : &images, reason);
        if (operand_is_straight(l, contract, operand, layout)) {
            if (embed_is_possible(&l->embedder, padded, l->layout[padded->id].axes))
                embed_parts(&l->embedder, padded);
            return;
        }
        l->place[padded->id] = inlined;
        l->layout[padded->id] = before;
    }
    Layout copied = copy_layout(contract, operand);
    put_in_memory(l, contract->in[operand], &copied, reason);
}

static void copy_operands(Layouter *l, const Node *n, const Layout *layout)
{
    for (int i = 0; i < 2; i++)
        if (l->place[n->in[i]->id].place == PLACE_INLINE && !operand_is_straight(l, n, i, layout))
            copy_operand(l, n, i, layout);
}

/* Tensors that are joined, and in memory anyway, are made within what they are joined to. */
static void join(Layouter *l, Node *n, const Layout *layout)
{
    if (n->op != OP_CONCAT || !embed_is_possible(&l->embedder, n, layout->axes))
        return;
    put_in_memory(l, n, layout, "joined: its parts are made within it");
    embed_parts(&l->embedder, n);
}

/* ---- the pass ------------------------------------------------------------------------------------------ */

static bool reduces(const Node *n)
{
    return op_info[n->op].class == OP_CLASS_REDUCE || op_info[n->op].class == OP_CLASS_CONTRACT;
}

static void layout_phase(Compilation *c, int phase, const Layout *of_variable)
{
    const Graph *graph = c->model->phase[phase];
    bool *is_fixed = arena_alloc(c->arena, (size_t)graph->node.count + 1);
    Layouter l = {c,
                  phase,
                  c->place[phase],
                  arena_alloc(c->arena, ((size_t)graph->node.count + 1) * sizeof(Layout)),
                  {c->place[phase], graph_loops(graph), is_fixed}};
    const Variable **assigned = arena_alloc(c->arena, ((size_t)graph->node.count + 1) * sizeof *assigned);
    for (int i = 0; i < graph->assign.count; i++)
        assigned[graph->assign.at[i].node->id] = graph->assign.at[i].variable;
    bool *result = arena_alloc(c->arena, (size_t)graph->node.count + 1);
    for (int i = 0; i < graph->result.count; i++)
        result[graph->result.at[i].node->id] = true;
    bool *carried = arena_alloc(c->arena, (size_t)graph->node.count + 1);
    for (int i = 0; i < graph->carry.count; i++)
        carried[graph->carry.at[i].next->id] = true;
    for (int i = 0; i < graph->node.count; i++)
        is_fixed[i] = assigned[i] || result[i] || carried[i];
    for (int i = 0; i < graph->node.count; i++) {
        Node *n = graph->node.at[i];
        if (!l.place[i].live)
            continue;
        l.layout[i] = n->op == OP_VARIABLE ? of_variable[n->variable->id] : suggested(&l, n);
        if (op_info[n->op].class == OP_CLASS_CONTRACT)
            copy_operands(&l, n, &l.layout[i]);
        join(&l, n, &l.layout[i]);
        if (assigned[i])
            l.layout[i] = of_variable[assigned[i]->id];
        if (result[i]) /* people read it */
            l.layout[i].panel = 0;
        if (carried[i]) /* as the state: row-major */
            l.layout[i] = row_major();
        if (l.place[i].place == PLACE_MEMORY || reduces(n)) { /* a reducer's kernel runs in its order */
            memcpy(l.place[i].axes, l.layout[i].axes, sizeof l.layout[i].axes);
            l.place[i].panel = l.layout[i].panel;
        }
    }
}

bool pass_layout(Compilation *c)
{
    Layout *of_variable = arena_alloc(c->arena, ((size_t)c->model->variable.count + 1) * sizeof *of_variable);
    place_variables(c->model, of_variable);
    for (int p = 0; p < PHASE_COUNT; p++)
        layout_phase(c, p, of_variable);
    return true;
}
