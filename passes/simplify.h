/* What simplify.c leaves to files of their own. */
#ifndef NETC_SIMPLIFY_H
#define NETC_SIMPLIFY_H

#include "graph.h"

/* `slice` with copied inputs; NULL if it is of no convolution, or not in height and width only. */
Node *simplify_slice_of_convolution(Graph *g, const Node *slice);

/* `sum`, with copied inputs, of tensors that were padded; NULL if they do not follow each other along one axis. */
Node *simplify_sum_of_pads(Graph *g, const Node *sum);

#endif
