/* Tiles and vectors that suit a Compute on a CPU: what schedule_cpu.c and schedule_chain.c share. */
#ifndef NETC_SCHEDULE_TILES_H
#define NETC_SCHEDULE_TILES_H

#include "passes.h"

enum { FEW_ITEMS = 8 }; /* enough for the threads where an item should be large */

typedef struct Along { /* two axes, for visitors */
    int vector, row;
} Along;

bool axis_is_const(const Compute *c, int axis);

/* What grows with the batch is taken to be of some length: a program without training has no nominal batch. */
int64_t axis_extent(const Compilation *p, const Compute *c, int axis);

/* Single elements, in the order of the axes. */
Schedule schedule_plain(const Compute *c);

/* Vectors along the last axis, `most` of them in a tile; without, if what is stored is no vector there. */
void schedule_vectors(const Compilation *p, const Compute *c, Schedule *s, int most);

/* What is chosen by an index is written out for all that it can be, so that the choice is made here. */
void schedule_choices(const Compute *c, Schedule *s);

/* Operations above which one vector fills the pipelines. */
bool schedule_is_long(const Compute *c);

/* All loads of e step by 0 or 1 along the axis. */
bool schedule_loads_unit(const Compute *c, Expr *e, int axis);

enum { MOST_TILE_ROWS = 14 };

typedef struct TileWish {
    bool tall;        /* of equal tiles one of many rows */
    int rows;         /* the rows' axis is the last of so many leading ones; 0: a good one */
    int64_t multiple; /* of the tile's rows; 0: of none */
} TileWish;

/* The tile of a product: accumulators + one row of vectors + one broadcast fit the registers; of those tiles, the one that
   covers the output in the fewest cycles. */
void schedule_product_tile(const Compilation *p, const Compute *c, const TileWish *wish, Schedule *s);

/* A tile for a sum that reads the same along another axis, and only adds what an index chooses there: a gather's gradient. */
void schedule_chosen_sum(const Compilation *p, const Compute *c, Schedule *s);

/* The chain's first axis runs over the samples, or a shard of them. */
bool schedule_runs_over_samples(const Compute *c);

/* What a row's results are made of besides, or where they go, is far from the next row's. */
bool schedule_results_are_far(const Compute *c, int row);

/* Schedules of chains (chain.c) in place of those of their members alone; what suits no schedule is linked no more. */
void schedule_chains(Compilation *c);

#endif
