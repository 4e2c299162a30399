/* A kernel's region of the graph as words: equal words, equal kernels. */
#include "form.h"
#include "ops.h"

#include <string.h>

/* By node id: its number in the region of that generation. */
struct Visits {
    int generation, count;
    struct {
        int generation, number;
    } of[];
};

typedef struct Region {
    Key *key;
    const NodePlace *place;
    const Node *root, *reducer;
    Visits *visits;
} Region;

enum { NODE_SEEN = -1, NODE_LOADED = -2, NODE_INSIDE = -3 }; /* else a node's words begin with its op */

static Visits *visits_of(Compilation *c, int phase)
{
    Visits **visits = &c->visits[phase];
    size_t count = (size_t)c->model->phase[phase]->node.count + 1;
    if (!*visits)
        *visits = arena_alloc(c->arena, sizeof **visits + count * sizeof(*visits)->of[0]);
    (*visits)->generation++;
    (*visits)->count = 0;
    return *visits;
}

static void add_place(Key *key, const NodePlace *places, const Node *node)
{
    const NodePlace *place = &places[node->id];
    for (; place->inside; node = place->inside, place = &places[node->id]) {
        key_add(key, NODE_INSIDE);
        key_type(key, &place->inside->type);
        for (int i = 0; i < node->type.rank; i++)
            key_add(key, place->begin[i]);
    }
    key_buffer(key, place->buffer);
    for (int i = 0; i < node->type.rank; i++)
        key_add(key, place->axes[i]);
    key_add(key, place->panel);
    key_add(key, place->stack != NULL);
    if (place->stack) {
        key_add(key, place->stack->attr[0].at[1]);
        key_add(key, place->stack->attr[1].at[0]);
    }
}

static void add_attributes(Key *key, const Node *node)
{
    for (int a = 0; a < MAX_ATTRS; a++) {
        key_add(key, node->attr[a].count);
        for (int i = 0; i < node->attr[a].count; i++) {
            AttrUse use = op_attr_use(node->op, a, i);
            if (use == ATTR_ARGUMENT)
                key_argument(key, node->attr[a].at[i]);
            if (use == ATTR_COMPUTED)
                key_add(key, node->attr[a].at[i]);
        }
    }
    int64_t bits;
    memcpy(&bits, &node->value, sizeof bits);
    key_add(key, bits);
}

static void add_node(Region *r, const Node *node)
{
    Key *key = r->key;
    if (r->visits->of[node->id].generation == r->visits->generation) {
        key_add(key, NODE_SEEN);
        key_add(key, r->visits->of[node->id].number);
        return;
    }
    r->visits->of[node->id].generation = r->visits->generation;
    r->visits->of[node->id].number = r->visits->count++;
    const NodePlace *place = &r->place[node->id];
    bool loaded = place->place == PLACE_MEMORY && node != r->root;
    key_add(key, loaded ? NODE_LOADED : (int64_t)node->op);
    key_type(key, &node->type);
    if (loaded) {
        add_place(key, r->place, node);
        return;
    }
    int64_t low = 0, rows = 0;
    key_add(key, node == r->reducer);
    /* its definition looks at its operand, be that loaded */
    if (node->op == OP_CONV && conv_border(node, &low, &rows)) {
        key_add(key, low);
        key_add(key, rows);
    }
    add_attributes(key, node);
    for (int i = 0; i < op_info[node->op].inputs; i++)
        add_node(r, node->in[i]);
}

void key_region(Compilation *c, Key *key, int phase, const Node *root, const Node *node, const Node *reducer)
{
    Region r = {key, c->place[phase], root, reducer, visits_of(c, phase)};
    add_node(&r, node);
    add_place(key, c->place[phase], node);
}
