/* What nodes cost, roughly. */
#ifndef NETC_COST_H
#define NETC_COST_H

#include "graph.h"

/* Additions that one element costs where its operands are at hand. */
double node_cost(const Node *node);

double node_elements(const Model *model, const Node *node);

#endif
