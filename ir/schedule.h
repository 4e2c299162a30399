/* The Schedule: HOW a Compute loops. It changes nothing of what is computed; the order of additions is the Compute's.

   Each output axis is cut into tiles: outer loops over tiles, then the reduced loops, then the tile itself, unrolled and,
   along one axis, in vectors. So output loops inside the first reduced loop index a tile of accumulators: a naive nest
   (all tiles 1), a CPU register tile and a GPU thread tile are all this rule. */
#ifndef NETC_SCHEDULE_H
#define NETC_SCHEDULE_H

#include "compute.h"
#include "words.h"

typedef struct Schedule {
    int outputs;
    int64_t tile[MAX_OUTPUT_AXES]; /* of each output axis, ≥ 1; at most its extent */
    int order[MAX_OUTPUT_AXES];    /* the outer loops, outermost first */
    int items; /* so many leading outer loops make the kernel's items; of those, only the first may
                                      grow with the batch */
    int64_t
        grain; /* an item makes so many tiles along the last of these loops, inside all others if it reduces; 0: one */
    int inner; /* so many trailing outer loops run inside the first `blocked` axes of the chain, or of a leaf: their */
    int blocked; /* accumulators wait in memory, and what a step of those axes, or a leaf, reads stays in cache */
    int chunk_axis; /* one of those trailing loops is cut: an item makes `chunk` tiles along this axis; items go along the */
    int64_t chunk; /* chunks first, and this axis, but no other, may grow with the batch; 0: none is cut */
    int64_t
        strip; /* the first reduced axis within the tiles is cut, too: the tiles take turns on so many terms; 0: on all */
    bool stage; /* what the tiles read in vectors of such a strip is copied first: then it is contiguous */
    bool stage_rows;   /* so is the other operand, for all rows of the tiles: each tile's are contiguous */
    int vector;        /* the output axis in vectors; -1: none */
    int lanes;         /* of a vector along it */
    bool prefetch;     /* while a tile sums, what its results are made of besides, and where they go */
    bool lanes_reduce; /* a reduction by lanes keeps them in one vector of TREE_LANE_COUNT */
    bool tuned;        /* it comes from a tune file; changes nothing */
} Schedule;

enum {
    MOST_BLOCK = 1 << 15, /* elements of a block that waits, or is staged: they are on the stack */
    STAGE_GAP = 16        /* between the staged rows of two tiles: they are not in the same sets of a cache */
};

/* One line; without the Compute, which may be NULL, it lacks the word for its reduction. */
void schedule_print(Text *text, const Compute *compute, const Schedule *schedule);
/* Reads what schedule_print wrote, to the line's end. Whether it fits a Compute schedule_fault says. */
bool schedule_read(Words *words, Schedule *schedule);
/* Of the product's operands the one that a schedule with `stage` copies: it is read in vectors, and is for all tiles of the
   last loop the same. NULL if there is none. */
Expr *schedule_staged(const Compute *compute, const Schedule *schedule);
/* The other operand, which a schedule with `stage_rows` copies: its elements are neighbours along the axis *row, that of the last
   loop, and the same along the other loops inside. NULL if it is not so. */
Expr *schedule_staged_rows(const Compute *compute, const Schedule *schedule, int *row);
/* How many of its rows an item needs. */
int64_t schedule_rows(const Compute *compute, const Schedule *schedule, int row);
/* In how many of the trailing loops it is the same: it is copied before them, within the others. */
int schedule_shared(const Schedule *schedule, Expr *staged);
/* The first rule that is broken, in words, or NULL. Every schedule without fault gives the same bits. */
const char *schedule_fault(const Compute *compute, const Schedule *schedule);

#endif
