/* For tests: what operands are filled with (reliability 3.3). */
#ifndef NETC_TESTS_FILL_H
#define NETC_TESTS_FILL_H

#include "op_cases.h"

typedef enum Fill {
    FILL_SMALL,  /* integers of ±32: sums stay below 2^24, so that any order of additions is exact */
    FILL_WIDE,   /* odd integers of ±4095 in operand 0, −1, 0, 1 in the others: lost bits show */
    FILL_REAL,   /* evenly in the range, by default −2 … 2 */
    FILL_SPREAD, /* in the range, all different and none near 0: away from kinks and ties */
    FILL_COUNT
} Fill;

typedef struct Random {
    uint64_t state;
} Random;
uint64_t random_next(Random *random);
int64_t random_integer(Random *random, int64_t low, int64_t high); /* both may occur */
double random_real(Random *random, double low, double high);

/* Values that `dtype` holds; bool is true where a draw from the range (0 … 1 by default) is at least ½. */
void fill_values(Random *random, Fill fill, DType dtype, int operand, Range range, double *value,
                 int64_t count);

#endif
