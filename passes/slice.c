/* A prediction of many samples is made a few at a time, so that what one kernel leaves for the next is still in a near cache,
   and takes less memory. That is possible where no sample sees another; how many at a time is a balance: activations that stay
   near against weights that are fetched again for each slice. It changes no bit. */
#include "ops.h"
#include "passes.h"

#include <string.h>

/* ---- whether samples see each other ------------------------------------------------------------------------ */

enum { MIXED = -2, NO_AXIS = -1 };

/* The axis that counts samples; MIXED if that is not clear. */
static int growing_axis(const Type *type)
{
    int found = NO_AXIS;
    for (int d = 0; d < type->rank; d++)
        if (type->dim[d].power)
            found = found == NO_AXIS && type->dim[d].power == 1 ? d : MIXED;
    return found;
}

/* Elements before axis d, in the order of the axes. */
static int64_t elements_before(const Type *type, int d)
{
    int64_t elements = 1;
    for (int i = 0; i < d; i++)
        elements *= type->dim[i].count;
    return elements;
}

/* How often the samples follow each other along their axis, as the steps of a sequence that begins with all first ones. By
   node id; from that of operand `in`. */
static int64_t rounds_of(const Node *n, const Node *in, const int64_t *rounds)
{
    int x = growing_axis(&in->type), y = growing_axis(&n->type);
    if (n->op != OP_RESHAPE || x < 0 || y < 0)
        return rounds[in->id];
    int64_t before = elements_before(&in->type, x) * rounds[in->id], now = elements_before(&n->type, y);
    bool whole = now && before % now == 0 && n->type.dim[y].count % (before / now) == 0;
    return whole ? before / now : 0;
}

/* Whether the samples of operand `k`, along its axis x, become those of the node, along y. */
static bool keeps_samples(const Node *n, int k, int x, int y)
{
    const Type *in = &n->in[k]->type;
    switch (n->op) {
    case OP_RESHAPE:
        return y >= 0;
    case OP_BROADCAST:
        return y == x + n->type.rank - in->rank;
    case OP_TRANSPOSE:
        return y >= 0 && n->attr[0].at[y] == x;
    case OP_SLICE:
        return y == x && n->attr[0].at[x] == 0 && n->attr[1].at[x] == 1 &&
               size_equal(in->dim[x], n->type.dim[y]);
    case OP_PAD:
        return y == x && n->attr[0].at[x] == 0 && n->attr[1].at[x] == 0;
    case OP_DILATE:
        return y == x && n->attr[0].at[x] == 1;
    case OP_REVERSE:
    case OP_WINDOW:
    case OP_FOLD:
        return y == x && !ints_have(&n->attr[0], x);
    case OP_CONCAT:
    case OP_SHIFT:
        return y == x && n->attr[0].at[0] != x;
    case OP_GATHER:
        return k == 1 && y == x;
    case OP_SUM:
    case OP_REDUCE_MAX:
    case OP_REDUCE_MIN:
        return y >= 0 && !ints_have(&n->attr[0], x);
    case OP_MATMUL:
        return y == x && (x < in->rank - 2 || (k == 0 && x == in->rank - 2));
    case OP_CONV:
        return y == 0 && x == 0 && k == 0;
    case OP_WINOGRAD_INPUT:
        return x == 0 && y == 2;
    case OP_WINOGRAD_OUTPUT:
        return x == 2 && y == 0;
    case OP_STEP:
        return x > 0 && y == x - 1;
    case OP_STACK:
        return y == x + 1;
    case OP_CARRY:
    case OP_LAST:
        return y == x;
    default:
        return op_info[n->op].class == OP_CLASS_MAP && y == x;
    }
}

/* Sets the node's rounds. */
static bool sees_one_sample(const Node *n, int64_t *rounds)
{
    int y = growing_axis(&n->type);
    int64_t *own = &rounds[n->id];
    bool sees = y != MIXED && n->op != OP_RANDOM && (n->op != OP_IOTA || n->attr[0].at[0] != y) &&
                !(n->op == OP_SIZE && n->attr[1].at[0] > 0);
    for (int k = 0; k < op_info[n->op].inputs && sees; k++) {
        int x = growing_axis(&n->in[k]->type);
        sees = x != MIXED && (x == NO_AXIS || keeps_samples(n, k, x, y));
        if (x < 0 || !sees)
            continue;
        int64_t of_operand = rounds_of(n, n->in[k], rounds);
        sees = of_operand > 0 && (!*own || *own == of_operand);
        *own = of_operand;
    }
    *own = *own ? *own : 1;
    return sees;
}

/* Inputs and outputs are lists of samples, in memory too. */
static bool lists_samples(const Compilation *c, int buffer, const Type *type)
{
    int axis = growing_axis(type);
    return axis == NO_AXIS || (axis == 0 && c->program->buffer.at[buffer].axes[0] == 0);
}

static bool samples_are_apart(const Compilation *c)
{
    const Graph *g = c->model->phase[PHASE_PREDICT];
    const NodePlace *place = c->place[PHASE_PREDICT];
    int64_t *rounds = arena_alloc(c->arena, ((size_t)g->node.count + 1) * sizeof *rounds);
    for (int i = 0; i < g->node.count; i++) {
        const Node *n = g->node.at[i];
        if (!place[i].live)
            continue;
        rounds[i] = n->op == OP_VARIABLE;
        if (n->op == OP_VARIABLE ? !lists_samples(c, c->buffer_of_variable[n->variable->id], &n->type)
                                 : !sees_one_sample(n, rounds))
            return false;
    }
    for (int i = 0; i < g->result.count; i++)
        if (rounds[g->result.at[i].node->id] != 1 ||
            !lists_samples(c, c->program->phase[PHASE_PREDICT].result.at[i].buffer,
                           &g->result.at[i].node->type))
            return false;
    return true;
}

/* ---- how many at a time ------------------------------------------------------------------------------------ */

enum {
    MOST_SAMPLES = 256,
    CALL_BYTES = 8192, /* starting a kernel takes as long as fetching so many */
    FLOPS_A_BYTE = 10, /* done while a byte is fetched from memory */
    ROWS = 14,         /* of a tile of a product; fewer take as long */
    NEAR_SHARE = 4,    /* bytes from a near cache count so much less, */
    SHARED_SHARE = 2,  /* and those from the cache of all cores, */
    SHARED_CACHE = 32  /* which is so many times the near one */
};

/* Of costs that differ by less the one of fewer samples is taken, for more threads find a slice. */
#define MUCH_ALIKE 1.04

/* Of one sample: what calls leave each other, and what comes from outside or goes there; and what does not grow with the batch. */
typedef struct Bytes {
    double between, outside, weights;
} Bytes;

static Bytes count_bytes(const Compilation *c, const Compute *compute)
{
    Bytes all = {0, 0, 0};
    for (int i = 0; i < compute->buffer.count; i++) {
        const Buffer *buffer = &c->program->buffer.at[compute->buffer.at[i].id];
        double bytes = (double)type_bytes(&buffer->type, 1);
        if (growing_axis(&buffer->type) == NO_AXIS)
            all.weights += bytes;
        else
            *(buffer->kind == BUFFER_TRANSIENT ? &all.between : &all.outside) += bytes;
    }
    return all;
}

/* Rows that a product has for a sample, if they grow with the batch; else enough. */
static double rows_of(const Compute *compute)
{
    if (!compute->reduce || !compute->reduce->reduction->fma)
        return ROWS;
    for (int a = 0; a < compute->outputs; a++)
        if (compute->axis.at[a].extent.power)
            for (int b = a + 1; b < compute->outputs - 1; b++)
                if (compute->axis.at[b].extent.count >= ROWS / 2)
                    return ROWS; /* an image's rows */
    for (int a = 0; a < compute->outputs; a++)
        if (compute->axis.at[a].extent.power)
            return (double)compute->axis.at[a].extent.count;
    return ROWS;
}

/* How much less than a byte from memory one counts that lies among so many. */
static double share_of(const Compilation *c, double bytes)
{
    double l2 = (double)c->target->l2_bytes;
    return bytes < l2 ? NEAR_SHARE : bytes < SHARED_CACHE * l2 ? SHARED_SHARE : 1;
}

/* For one sample, in bytes from memory. */
static double cost_of(const Compilation *c, const Compute *compute, int samples, double all_weights)
{
    double rows = rows_of(compute) * samples;
    Bytes all = count_bytes(c, compute);
    double flops = compute->flops / (double)c->model->batch;
    double wasted = rows < ROWS ? ROWS / rows - 1 : 0;
    double near = share_of(c, (all.between + all.outside) * samples + all.weights);
    return all.between / near + all.outside +
           (CALL_BYTES + all.weights / share_of(c, all_weights)) / samples + flops / FLOPS_A_BYTE * wasted;
}

bool pass_slice(Compilation *c)
{
    const ProgramPhase *p = &c->program->phase[PHASE_PREDICT];
    if (!p->count || !samples_are_apart(c))
        return true;
    double all_weights = 0, least = 0;
    for (int i = p->first; i < p->first + p->count; i++)
        all_weights += count_bytes(c, c->compute.at[i]).weights;
    for (int samples = 2 * MOST_SAMPLES; samples >= 1; samples /= 2) {
        double cost = 0;
        for (int i = p->first; i < p->first + p->count; i++)
            cost += cost_of(c, c->compute.at[i], samples, all_weights);
        bool alike = c->program->slice && samples >= ROWS && cost < MUCH_ALIKE * least;
        if (least && cost >= least && !alike)
            continue;
        least = !least || cost < least ? cost : least;
        c->program->slice = samples > MOST_SAMPLES ? 0 : samples;
    }
    return true;
}
