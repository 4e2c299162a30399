/* Sizes: the one place where counts from a file, a descriptor or the command line are multiplied and added.
   Each function is false where the result would not fit; negative operands are refused. */
#ifndef NETC_CHECKED_H
#define NETC_CHECKED_H

#include "system.h"

static inline bool checked_multiply(int64_t a, int64_t b, int64_t *product)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, product);
}

static inline bool checked_add(int64_t a, int64_t b, int64_t *sum)
{
    return a >= 0 && b >= 0 && !__builtin_add_overflow(a, b, sum);
}

/* The next multiple of `alignment`, a power of two. */
static inline bool checked_align(int64_t size, int64_t alignment, int64_t *aligned)
{
    if (!checked_add(size, alignment - 1, aligned))
        return false;
    *aligned &= -alignment;
    return true;
}

#endif
