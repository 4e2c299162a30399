/* Graphviz text of graphs, for people: `netc --emit=dot F.net -o - | dot -Tsvg`. Boxes are nodes, ellipses
   variables, dashed arrows assigns. */
#ifndef NETC_DOT_H
#define NETC_DOT_H

#include "graph.h"

void graph_dot(Text *text, const Graph *graph); /* one phase as a digraph */
void model_dot(Text *text, const Model *model); /* every phase that has nodes, each a cluster */

#endif
