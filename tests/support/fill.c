#include "fill.h"

#include <math.h>

/* Steele, Lea and Flood 2014: splitmix64. */
uint64_t random_next(Random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int64_t random_integer(Random *random, int64_t low, int64_t high)
{
    return low + (int64_t)(random_next(random) % (uint64_t)(high - low + 1));
}

double random_real(Random *random, double low, double high)
{
    return low + (high - low) * (double)(random_next(random) >> 11) * 0x1p-53;
}

static Range or_default(Range range, double low, double high)
{
    return range.low == 0 && range.high == 0 ? (Range){low, high} : range;
}

static double draw_integer(Random *random, DType dtype, Range range)
{
    bool is_unsigned = dtype_info[dtype].class == CLASS_UNSIGNED;
    range = or_default(range, is_unsigned ? 0 : -32, 32);
    return (double)random_integer(random, (int64_t)ceil(range.low), (int64_t)floor(range.high));
}

static double draw(Random *random, Fill fill, int operand, Range range)
{
    Range small = or_default(range, -32, 32), real = or_default(range, -2, 2);
    switch (fill) {
    case FILL_SMALL:
        return (double)random_integer(random, (int64_t)ceil(small.low), (int64_t)floor(small.high));
    case FILL_WIDE:
        return operand ? (double)random_integer(random, -1, 1)
                       : (double)(2 * random_integer(random, -2048, 2047) + 1);
    default:
        return random_real(random, real.low, real.high);
    }
}

/* Cells of equal width, shuffled; the middle of each but for a small offset that differs from operand to operand. */
static void fill_spread(Random *random, int operand, Range range, double *value, int64_t count)
{
    range = or_default(range, -2, 2);
    double width = (range.high - range.low) / (double)count;
    for (int64_t i = 0; i < count; i++) {
        int64_t other = random_integer(random, 0, i);
        value[i] = value[other];
        value[other] = range.low + ((double)i + 0.35 + 0.1 * operand) * width;
    }
}

void fill_values(Random *random, Fill fill, DType dtype, int operand, Range range, double *value,
                 int64_t count)
{
    if (dtype_is_float(dtype) && fill == FILL_SPREAD) {
        fill_spread(random, operand, range, value, count);
        return;
    }
    range = dtype == DTYPE_BOOL ? or_default(range, 0, 1) : range;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == DTYPE_BOOL)
            value[i] = random_real(random, range.low, range.high) >= 0.5;
        else
            value[i] = dtype_is_float(dtype) ? draw(random, fill, operand, range)
                                             : draw_integer(random, dtype, range);
    }
}
