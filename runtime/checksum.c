#include "system.h"

#include "checksum.h"

#include <string.h>

/* As in FNV-1a, but by words of eight bytes, little-endian; the shift lets high bits reach low ones. */
static uint64_t checksum_step(uint64_t state, uint64_t word)
{
    state = (state ^ word) * UINT64_C(0x100000001b3d7f25);
    return state ^ state >> 32;
}

void checksum_add(Checksum *sum, const void *bytes, int64_t count)
{
    const unsigned char *at = bytes;
    while (count > 0) {
        int filled = (int)(sum->bytes % 8);
        if (filled == 0 && count >= 8) {
            uint64_t word;
            memcpy(&word, at, 8);
            sum->state = checksum_step(sum->state, word);
            at += 8;
            count -= 8;
            sum->bytes += 8;
            continue;
        }
        sum->word |= (uint64_t)*at++ << (8 * filled);
        count--;
        sum->bytes++;
        if (filled == 7) {
            sum->state = checksum_step(sum->state, sum->word);
            sum->word = 0;
        }
    }
}

uint64_t checksum_value(const Checksum *sum)
{
    return checksum_step(checksum_step(sum->state, sum->word), (uint64_t)sum->bytes);
}
