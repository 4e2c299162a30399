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

static void live_in(const Embedder *e, const Node *part, const Node *host, const Ints *begin)
{
    NodePlace *p = &e->place[part->id];
    p->inside = host;
    memcpy(p->begin, begin->at, sizeof p->begin);
    e->place[host->id].holds = true;
}

void embed_parts(const Embedder *e, const Node *host)
{
    Ints begin = {0};
    if (host->op == OP_PAD)
        begin = host->attr[0];
    live_in(e, host->in[0], host, &begin);
    if (host->op == OP_PAD)
        return;
    int64_t axis = host->attr[0].at[0];
    begin.at[axis] = host->in[0]->type.dim[axis].count;
    live_in(e, host->in[1], host, &begin);
}

int embed_gaps(const Node *host, Box gap[2 * MAX_RANK])
{
    int count = 0;
    Box rest = {.type = host->type};
    for (int d = 0; host->op == OP_PAD && d < host->type.rank; d++) {
        int64_t low = host->attr[0].at[d], high = host->attr[1].at[d], all = host->type.dim[d].count;
        Box below = rest, above = rest;
        below.type.dim[d].count = low;
        above.type.dim[d].count = high;
        above.begin[d] = all - high;
        if (low)
            gap[count++] = below;
        if (high)
            gap[count++] = above;
        rest.begin[d] = low;
        rest.type.dim[d].count = all - low - high;
    }
    return count;
}
