/* A Graph made again, node by node, with some nodes replaced. */
#ifndef NETC_REWRITE_H
#define NETC_REWRITE_H

#include "graph.h"

typedef struct Rewrite {
    const Graph *old;
    Graph *graph; /* the new one */
    Node **copy;  /* by the old node's id; NULL: not made yet, or dead */
    void *context;
} Rewrite;

/* Gives the new node for `old`; `node` is old with its inputs replaced by their copies. */
typedef Node *Maker(Rewrite *r, const Node *old, Node node);

/* live_only: nodes that no result or assign needs are left out. */
Graph *graph_rewrite(const Graph *old, bool live_only, Maker *make, void *context);

/* Puts `graph` into the model, in the place of one that nobody needs any more. */
void graph_replace(Model *model, int phase, Graph *graph);

/* Which nodes results and assigns need. */
bool *graph_live(const Graph *graph);

#endif
