/* The rules of a Graph and a Model, one item at a time, so that the reader of graph text can report each
   fault at its place. graph_fault() and model_fault() try them all. Each function returns the first fault in
   words, in the model's arena, or NULL. */
#ifndef NETC_GRAPH_VERIFY_H
#define NETC_GRAPH_VERIFY_H

#include "graph.h"

const char *variable_fault(const Model *model, int place);
const char *node_fault(const Graph *graph, int place);
const char *result_fault(const Graph *graph, int place);
const char *assign_fault(const Graph *graph, int place);
const char *carry_fault(const Graph *graph, int place);
const char *loops_fault(const Graph *graph); /* graph_verify_loops.c */
const char *training_fault(const Model *model);

/* Whether a phase may change variables of a kind; PHASE_COUNT, a graph that is no phase, may change all. */
bool phase_sets(int phase, VariableKind kind);

bool name_is_word(const char *name); /* letters, digits and _, not first a digit */

#endif
