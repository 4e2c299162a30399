/* A tensor that is only padded or joined to others is made where it ends: within the padded or joined one, so that nothing is
   copied. NodePlace.inside says so; embed.c */
#ifndef NETC_EMBED_H
#define NETC_EMBED_H

#include "passes.h"

typedef struct Embedder {
    NodePlace *place; /* by node id, as are the others */
    const int *loop;  /* the loop it is in */
    const bool
        *fixed; /* people read it, or it is the next value of a variable or state: it has its own place */
} Embedder;

/* Whether the host, a PAD or CONCAT which is in memory or could be, could hold its parts: they are in memory, too, and
   would lie there in the same order of axes. */
bool embed_is_possible(const Embedder *e, const Node *host, const int *axes);

/* The parts live in the host from now on, which is in memory. */
void embed_parts(const Embedder *e, const Node *host);

/* Where the host's own kernels write: all but its parts, as boxes. Axis by axis, below and above. */
typedef struct Box {
    int64_t begin[MAX_RANK];
    Type type; /* of that size */
} Box;
int embed_gaps(const Node *host, Box gap[2 * MAX_RANK]);

#endif
