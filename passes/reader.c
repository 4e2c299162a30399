#include "reader.h"

#include <assert.h>
#include <string.h>

typedef struct ReaderMemo ReaderMemo;
struct ReaderMemo {
    ReaderMemo *next;
    Expr *at[MAX_RANK], *where, *value;
};

/* One table a phase serves all its readers, of which there are as many as kernels. */
struct ReaderMemos {
    int generation;
    struct {
        int generation;
        ReaderMemo *first;
    } *of; /* by node id */
};

Expr *layout_address(Exprs *pool, const Type *type, const int *axes, int panel, Expr *const *at)
{
    Expr *address = expr_int(pool, DTYPE_I64, 0), *width = expr_int(pool, DTYPE_I64, PANEL);
    int last = type->rank - 1;
    for (int i = 0; i < type->rank; i++) {
        Expr *index = at[axes[i]], *extent = expr_size(pool, type->dim[axes[i]]);
        if (panel == i + 1) {
            address = expr_mul(pool, address, expr_div(pool, expr_size(pool, type->dim[axes[last]]), width));
            address = expr_add(pool, address, expr_div(pool, at[axes[last]], width));
        }
        if (panel && i == last) {
            index = expr_mod(pool, index, width);
            extent = width;
        }
        address = expr_mul(pool, address, extent);
        address = expr_add(pool, address, index);
    }
    return address;
}

static Expr *output_axis(Arena *arena, Compute *compute, Size extent)
{
    if (size_is_one(extent))
        return expr_int(compute->pool, DTYPE_I64, 0);
    int axis = compute->axis.count;
    list_add(arena, &compute->axis, ((ComputeAxis){extent, NULL}));
    expr_set_extent(compute->pool, axis, extent);
    compute->outputs = axis + 1;
    return expr_axis(compute->pool, axis);
}

void layout_loops(Arena *arena, Compute *compute, const Type *type, const int *axes, int panel, Expr **at)
{
    Exprs *pool = compute->pool;
    Expr *first = NULL; /* of the panel */
    for (int i = 0; i < type->rank; i++) {
        Size extent = type->dim[axes[i]], all = type->dim[axes[type->rank - 1]];
        if (panel == i + 1)
            first = expr_mul(pool, output_axis(arena, compute, size_of(all.count / PANEL)),
                             expr_int(pool, DTYPE_I64, PANEL));
        bool within = first && i == type->rank - 1;
        if (!at[axes[i]])
            at[axes[i]] = output_axis(arena, compute, within ? size_of(PANEL) : extent);
        if (within)
            at[axes[i]] = expr_add(pool, first, at[axes[i]]);
    }
}

Expr *place_address(Definer *d, const NodePlace *places, const Node *node, Expr *const *at)
{
    Exprs *pool = d->pool;
    const NodePlace *place = &places[node->id];
    Expr *within[MAX_RANK];
    for (; place->inside; at = within, node = place->inside, place = &places[node->id])
        for (int i = 0; i < node->type.rank; i++)
            within[i] = expr_add(pool, at[i], expr_int(pool, DTYPE_I64, place->begin[i]));
    Expr *address = layout_address(pool, &node->type, place->axes, place->panel, at);
    if (!place->stack)
        return address;
    Size elements;
    type_elements(&node->type, &elements); /* holds for every node */
    return expr_add(pool, expr_mul(pool, step_index(d, place->stack), expr_size(pool, elements)), address);
}

int compute_buffer(const Compilation *c, Compute *compute, int id, DType dtype)
{
    int i = 0;
    while (i < compute->buffer.count && compute->buffer.at[i].id != id)
        i++;
    if (i == compute->buffer.count)
        list_add(c->arena, &compute->buffer, ((ComputeBuffer){.id = id, .dtype = dtype}));
    return i;
}

static Expr *load(Reader *r, const Node *node, Expr *const *at)
{
    const NodePlace *place = &r->c->place[r->phase][node->id];
    Exprs *pool = r->definer.pool;
    int buffer = compute_buffer(r->c, r->compute, place->buffer, node->type.dtype);
    r->compute->buffer.at[buffer].read = true;
    Expr *address = place_address(&r->definer, r->c->place[r->phase], node, at);
    return expr_load(pool, node->type.dtype, buffer, address, r->definer.where,
                     expr_int(pool, node->type.dtype, 0));
}

static Expr *reader_read(Definer *d, const Node *node, Expr *const *at)
{
    Reader *r = (Reader *)d;
    size_t bytes = sizeof *at * (size_t)node->type.rank;
    ReaderMemo **first = &r->memos->of[node->id].first;
    if (r->memos->of[node->id].generation != r->generation) {
        r->memos->of[node->id].generation = r->generation;
        *first = NULL;
    }
    for (const ReaderMemo *m = *first; m; m = m->next)
        if (m->where == d->where && (!bytes || !memcmp(m->at, at, bytes)))
            return m->value;
    bool in_memory = r->c->place[r->phase][node->id].place == PLACE_MEMORY && node != r->root;
    Expr *value = in_memory ? load(r, node, at) : op_rule[node->op].define(d, node, at);
    ReaderMemo *memo = arena_alloc(r->c->arena, sizeof *memo);
    memo->next = *first;
    if (bytes)
        memcpy(memo->at, at, bytes);
    memo->where = d->where;
    memo->value = value;
    *first = memo;
    return value;
}

static int reader_axis(Definer *d, Size extent, Expr *dynamic)
{
    Reader *r = (Reader *)d;
    int axis = r->compute->axis.count;
    list_add(r->c->arena, &r->compute->axis, ((ComputeAxis){extent, dynamic}));
    expr_set_extent(d->pool, axis, extent);
    return axis;
}

static Expr *reader_argument(Definer *d, int64_t value)
{
    Reader *r = (Reader *)d;
    int i = 0;
    while (i < r->compute->argument.count && r->compute->argument.at[i] != value)
        i++;
    if (i == r->compute->argument.count)
        list_add(r->c->arena, &r->compute->argument, value);
    return expr_argument(d->pool, i + 1);
}

static ReaderMemos *memos_of(Compilation *c, int phase)
{
    ReaderMemos **memos = &c->memos[phase];
    if (!*memos) {
        *memos = arena_alloc(c->arena, sizeof **memos);
        (*memos)->of =
            arena_alloc(c->arena, ((size_t)c->model->phase[phase]->node.count + 1) * sizeof *(*memos)->of);
    }
    return *memos;
}

/* One reader of a phase at a time. */
Reader reader_new(Compilation *c, int phase, Compute *compute)
{
    Reader r = {.c = c, .phase = phase, .compute = compute};
    r.definer = (Definer){compute->pool, c->model, reader_read, reader_axis, reader_argument, NULL};
    r.memos = memos_of(c, phase);
    r.generation = ++r.memos->generation;
    return r;
}

Expr *reader_define(Reader *r, const Node *root, const Node *node, Expr *const *at)
{
    r->root = root;
    return reader_read(&r->definer, node, at);
}

/* ---- from a reducer up to its root --------------------------------------------------------------------- */

bool is_transparent(const Node *node)
{
    return op_info[node->op].class == OP_CLASS_MAP || node->op == OP_RESHAPE || node->op == OP_TRANSPOSE;
}

/* The chain root = path[0], …, reducer through inline transparent nodes; its length, 0 if there is none. */
static int find_path(const NodePlace *place, const Node *node, const Node *reducer, const Node **path,
                     int length, int most)
{
    if (length == most)
        return 0;
    path[length++] = node;
    if (node == reducer)
        return length;
    if (node->id < reducer->id || !is_transparent(node))
        return 0;
    for (int i = 0; i < op_info[node->op].inputs; i++) {
        const Node *in = node->in[i];
        if (in != reducer && place[in->id].place == PLACE_MEMORY)
            continue;
        int found = find_path(place, in, reducer, path, length, most);
        if (found)
            return found;
    }
    return 0;
}

void index_upwards(Exprs *pool, const Compilation *c, int phase, const Node *root, const Node *reducer,
                   Expr *const *at, Expr **index)
{
    enum { LONGEST = 256 };
    const Node *path[LONGEST];
    int length = find_path(c->place[phase], root, reducer, path, 0, LONGEST);
    assert(length > 0);
    memcpy(index, at, sizeof *at * (size_t)reducer->type.rank);
    for (int i = length - 2; i >= 0; i--) {
        const Node *n = path[i];
        Expr *below[MAX_RANK];
        memcpy(below, index, sizeof below);
        if (n->op == OP_RESHAPE)
            reshape_index(pool, &n->in[0]->type, below, &n->type, index);
        for (int d = 0; n->op == OP_TRANSPOSE && d < n->type.rank; d++)
            index[d] = below[n->attr[0].at[d]];
    }
}
