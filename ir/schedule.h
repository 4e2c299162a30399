/* The Schedule: HOW a Compute loops. It changes nothing of what is computed; the order of additions is the Compute's.

   Each output axis is cut into tiles: outer loops over tiles, then the reduced loops, then the tile itself, unrolled and,
   along one axis, in vectors. So output loops inside the first reduced loop index a tile of accumulators: a naive nest
   (all tiles 1), a CPU register tile and a GPU thread tile are all this rule. */
#ifndef NETC_SCHEDULE_H
#define NETC_SCHEDULE_H

#include "compute.h"

typedef struct Schedule {
    int outputs;
    int64_t tile[MAX_OUTPUT_AXES]; /* of each output axis, ≥ 1; at most its extent */
    int order[MAX_OUTPUT_AXES];    /* the outer loops, outermost first */
    int items;   /* so many leading outer loops make the kernel's items; of those, only the first may
                                      grow with the batch */
    int inner;   /* so many trailing outer loops run inside the first `blocked` axes of the chain, or of a leaf: their */
    int blocked; /* accumulators wait in memory, and what a step of those axes, or a leaf, reads stays in cache */
    int vector;  /* the output axis in vectors; -1: none */
    int lanes;   /* of a vector along it */
    bool lanes_reduce; /* a reduction by lanes keeps them in one vector of TREE_LANE_COUNT */
} Schedule;

void schedule_print(Text *text, const Compute *compute, const Schedule *schedule); /* one line */
const char *schedule_fault(const Compute *compute, const Schedule *schedule);

#endif
