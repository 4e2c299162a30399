#include "embed.h"
#include "ops.h"

#include <string.h>

static bool is_host(const Node *n) { return n->op == OP_PAD || n->op == OP_CONCAT; }

static bool could_live_in(const Embedder *e, const Node *part, const Node *host, const int *axes)
{
    const NodePlace *p = &e->place[part->id];
    OpClass class = op_info[part->op].class;
    return p->place == PLACE_MEMORY && class != OP_CLASS_LEAF && class != OP_CLASS_LOOP &&
           !e->fixed[part->id] && !p->inside && !p->stack && !p->panel &&
           e->loop[part->id] == e->loop[host->id] &&
           !memcmp(p->axes, axes, sizeof *axes * (size_t)part->type.rank);
}

bool embed_is_possible(const Embedder *e, const Node *host, const int *axes)
{
    const NodePlace *p = &e->place[host->id];
    bool joins = host->op == OP_CONCAT;
    return is_host(host) && !e->fixed[host->id] && !p->stack && !p->panel &&
           could_live_in(e, host->in[0], host, axes) &&
           (!joins || (host->in[0] != host->in[1] && could_live_in(e, host->in[1], host, axes)));
}

void embed_parts(const Embedder *e, const Node *host)
{
    for (int k = 0; k < op_info[host->op].inputs; k++) {
        NodePlace *p = &e->place[host->in[k]->id];
        Ints begin = part_begin(host, k);
        p->inside = host;
        memcpy(p->begin, begin.at, sizeof p->begin);
    }
    e->place[host->id].holds = true;
}

/* Joined parts leave no gap. */
int embed_gaps(const Node *host, Box gap[2 * MAX_RANK])
{
    int count = 0;
    Ints begin = part_begin(host, 0);
    Box rest = {.type = host->type};
    for (int d = 0; host->op == OP_PAD && d < host->type.rank; d++) {
        int64_t low = begin.at[d], part = host->in[0]->type.dim[d].count;
        Box below = rest, above = rest;
        below.type.dim[d].count = low;
        above.begin[d] = low + part;
        above.type.dim[d].count -= low + part;
        if (low)
            gap[count++] = below;
        if (above.type.dim[d].count)
            gap[count++] = above;
        rest.begin[d] = low;
        rest.type.dim[d].count = part;
    }
    return count;
}
