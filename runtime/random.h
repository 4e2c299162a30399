/* Counter-based random numbers, and from them the order of samples: nothing is stored, so any place of any
   epoch can be asked for at once, by any thread, after any stop. Source: Salmon, Moraes, Dror, Shaw 2011,
   "Parallel random numbers: as easy as 1, 2, 3", Philox 4x32-10. */
#ifndef NETC_RANDOM_H
#define NETC_RANDOM_H

#include "system.h"

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A permutation of 0 … count-1, keyed by seed and epoch. */
typedef struct SampleOrder {
    uint32_t key[2], epoch;
    int64_t count, rows, columns; /* rows · columns ≥ count, hardly more */
} SampleOrder;

SampleOrder sample_order(uint64_t seed, int64_t epoch, int64_t count); /* 1 ≤ count ≤ 2^62 */
int64_t sample_at(const SampleOrder *order, int64_t place);            /* 0 ≤ place < count */

#endif
