/* For tests: what graph_eval.c does for Winograd's transforms. */
#ifndef NETC_TESTS_GRAPH_EVAL_WINOGRAD_H
#define NETC_TESTS_GRAPH_EVAL_WINOGRAD_H

#include "graph_eval.h"

void eval_winograd(const Node *n, const Tensor *x, Tensor *y);

#endif
