#include "system.h"

#include "random.h"

#include <math.h>

void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = UINT64_C(0xD2511F53) * c0, b = UINT64_C(0xCD9E8D57) * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

SampleOrder sample_order(uint64_t seed, int64_t epoch, int64_t count)
{
    int64_t rows = (int64_t)sqrt((double)count);
    rows = rows < 1 ? 1 : rows;
    return (SampleOrder){
        {(uint32_t)seed, (uint32_t)(seed >> 32)}, (uint32_t)epoch, count, rows, (count + rows - 1) / rows};
}

/* A number below `bound` that depends on all of its arguments. */
static int64_t round_value(const SampleOrder *order, int round, int64_t half, int64_t bound)
{
    uint32_t counter[4] = {(uint32_t)half, (uint32_t)(half >> 32), order->epoch,
                           0x6f726472u + (uint32_t)round};
    uint32_t word[4];
    random_philox(counter, order->key, word);
    return (int64_t)((word[0] | (uint64_t)word[1] << 32) % (uint64_t)bound);
}

/* A Feistel network whose halves are row and column: every round moves one by a function of the other, which
   can be undone, so the whole is a permutation of the rectangle; walking on from the few places outside the
   count makes it one of the count (Black and Rogaway 2002, "Ciphers with arbitrary finite domains"). */
int64_t sample_at(const SampleOrder *order, int64_t place)
{
    enum { ROUNDS = 8 };
    do {
        int64_t row = place / order->columns, column = place % order->columns;
        for (int round = 0; round < ROUNDS; round += 2) {
            row = (row + round_value(order, round, column, order->rows)) % order->rows;
            column = (column + round_value(order, round + 1, row, order->columns)) % order->columns;
        }
        place = row * order->columns + column;
    } while (place >= order->count);
    return place;
}
