/* What build.c (loops and tiles) and build_reduce.c (the trees) share. */
#ifndef NETC_BUILD_H
#define NETC_BUILD_H

#include "passes.h"

/* A tile's extent along the vector axis: `count` vectors of `lanes`, from `offset` on; accumulators are those from vector
   `first` on of the `of` that the tile has with as many lanes. */
typedef struct Piece {
    int64_t offset, count;
    int lanes;
    int64_t first, of;
    int64_t most; /* no vector starts later in the whole extent; 0: none would */
} Piece;

enum { MAX_PIECES = 8 };

typedef struct Tile {
    int rows, axis[MAX_OUTPUT_AXES]; /* tiled axes other than the vector axis */
    int64_t size[MAX_OUTPUT_AXES];
    Expr *base[MAX_OUTPUT_AXES];
    int vector; /* -1: one element */
    Expr *vector_base;
    Expr *
        lone; /* one of the last rows or columns of an axis that grows: its number within a full tile; or NULL */
    int lone_row; /* which of the rows' axes that is; -1: the vector axis */
    int pieces;
    Piece piece[MAX_PIECES];
} Tile;

typedef struct Builder Builder;
typedef Stmt *TileBody(Builder *b, const Tile *tile, void *context);

struct Builder {
    Arena *arena;
    Exprs *pool;
    const Compute *compute;
    const Schedule *schedule;
    Kernel *kernel;
    Expr *outer[MAX_OUTPUT_AXES]; /* by output axis: which tile */
    Expr *chunk;                  /* of the loop that is cut: which chunk of tiles, */
    Expr *chunk_tile;             /* and which tile of that */
    int grain_axis;               /* the loop over an item's tiles along the last of the items' loops, */
    Expr *grain_count;            /* and its extent */
    Expr *column;                 /* of the leaf that is built: its place within the piece, rows left out */
    Expr **with;                  /* by the compute's axis: what stands for it in the loops being built */
    TileBody *body;               /* what build_tiles makes of each tile */
    TileBody *copy;               /* what comes before the last `shared` loops */
    int shared;
    void *context;
    Expr **inner;  /* by the compute's axis: the place of a tile's row within the tile */
    Expr *place;   /* in memory, of the element whose leaf is being built: row after row of its tile */
    bool overlap;  /* vectors may overlap at the end of their axis */
    bool in_place; /* if they do, what a row of the tile loads is loaded before any of it is stored */
    bool only_columns;
    bool rolled; /* the tile's loops stay loops: what is done once a block need not be written out */
};

typedef Stmt *TileLeaf(Builder *b, const Tile *tile, int piece, Expr *slot, void *context);

Stmt *build_stmt(Builder *b, Stmt stmt);
void build_append(Stmt **list, Stmt *stmt);
int build_axis(Builder *b, Size extent);
Stmt *build_for(Builder *b, LoopKind loop, int axis, Expr *extent, Stmt *body);
int build_local(Builder *b, const char *name, DType dtype,
                int64_t count); /* the one of that name, enlarged */
Expr *build_int(Builder *b, int64_t value);
Expr *build_min(Builder *b, Expr *x, Expr *y);
Expr *build_substitute(Builder *b, Expr *e);
Stmt *build_tile(Builder *b, const Tile *tile, TileLeaf *leaf, void *context);
int64_t tile_slots(const Tile *tile, int piece); /* accumulators of as many lanes as the piece has */

/* The inner outer loops, around each of their tiles, in full and last variants, as `body` makes it. */
Stmt *build_tiles(Builder *b, TileBody *body, void *context);

/* As build_tiles; and before the last `shared` of the loops `copy` of a tile of one row: all variants of the vector axis alone. */
Stmt *build_copied_tiles(Builder *b, int shared, TileBody *copy, TileBody *body, void *context);

/* The number of a tile within the inner outer loops, and the most elements that a tile has in memory. */
Expr *build_tile_number(Builder *b);
int64_t build_tile_elements(const Builder *b);
int64_t build_tile_count(const Builder *b);

Kernel *build_kernel(Compilation *c, const Compute *compute, const Schedule *schedule, int number);
const char *build_name(Compilation *c, const char *name, int number);

/* The call's arguments; that of the loop's step is set at run time. */
void build_arguments(Compilation *c, const int64_t *argument, int count, Call *call);

/* Chains that are kernels already, by what they do. */
typedef struct ChainKernel {
    const char *key;
    int kernel; /* in program->kernel */
} ChainKernel;
typedef LIST(ChainKernel) ChainKernels;

/* Fills the call of the chain that the computes [first, end) are; returns the kernel, the next of the program, or NULL if it
   was built before. */
Kernel *build_chain(Compilation *c, int first, int end, ChainKernels *built, Call *call);

/* Accumulators cleared, reduced loops by the Compute's tree, stores: for all tiles of the inner outer loops. */
Stmt *build_reduction(Builder *b);

#endif
