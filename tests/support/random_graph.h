/* For tests: a random phase of a model, whose numbers stay moderate: elementwise ops, views, reductions, contractions,
   results, and, in phase `step`, assigns. */
#ifndef NETC_TESTS_RANDOM_GRAPH_H
#define NETC_TESTS_RANDOM_GRAPH_H

#include "fill.h"

/* Only ops whose bits are known beforehand, if `exact`: no exp and its like. Variables of f32 are meant to hold integers of
   ±4 or reals of that range; of i32, offsets of ±2; "seed" and "step" anything. */
void random_graph(Model *model, Phase phase, uint64_t seed, bool exact);

#endif
