/* Vectors in C, by the extensions of gcc and clang: types named f32x8, boolx8 (lanes of 0 and -1 in 32 bits), and small
   inline functions. Both are printed only where a kernel uses them. */
#ifndef NETC_C_VECTOR_H
#define NETC_C_VECTOR_H

#include "kernel.h"

typedef struct CVectors CVectors; /* the types and functions used so far */

CVectors *c_vectors_new(Arena *arena);
Arena *c_vectors_arena(const CVectors *v);

/* The name of a vector type. */
const char *c_vector_type(CVectors *v, DType dtype, int lanes);

/* What a function is made for. */
typedef struct CMade {
    DType dtype;
    int lanes;
    DType from; /* reinterpreted bits: their other side */
    const char *
        scalar; /* lane by lane: the format of the scalar function; or the text of a lane, @ being its number */
} CMade;

/* The name of a function, which is made if it is not there yet. In `name` and `body`, $ and a letter stand for
     V the vector   U it as it lies in memory   H half of it   I integers of its size   B conditions   X indices
     J 32-bit integers   Y bytes   T an element in memory   S a scalar value   Q `from`'s   W a type that holds a product
     D the element's name   L how many lanes   Z bits of one   M all of them but the sign
     A "a, a, …"   N "0, 1, …"   O the first half of these   K the second
     G what follows an element from memory, P one to it   E `scalar` of lane i of a, b, c   C `scalar` of all lanes
   Functions that `body` calls must be made before. */
const char *c_vector_function(CVectors *v, const char *name, const char *body, CMade made);

/* Prints the types, then the functions. */
void c_vectors_print(Text *text, const CVectors *v);

#endif
