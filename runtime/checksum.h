/* A checksum of a byte stream: any change to a single word changes it for certain, for every step can be
 * undone. */
#ifndef NETC_CHECKSUM_H
#define NETC_CHECKSUM_H

#include "system.h"

typedef struct Checksum {
    uint64_t state, word;
    int64_t bytes;
} Checksum;

void checksum_add(Checksum *sum, const void *bytes, int64_t count); /* begins with {0} */
uint64_t checksum_value(const Checksum *sum);

#endif
