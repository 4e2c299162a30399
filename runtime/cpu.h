/* Can this CPU run the program? Asked before all else, so it is compiled for the oldest CPU of its kind. */
#ifndef NETC_CPU_H
#define NETC_CPU_H

#include "system.h"

/* `needs` is a list such as "avx2,fma", `length` bytes. Returns the first name in it that this CPU lacks or
   that is not known, and its length; NULL if there is none. */
const char *cpu_lacks(const char *needs, size_t length, size_t *name_length);

/* For functions that run before the answer is known. */
#if defined(__x86_64__) || defined(__i386__)
#define CPU_BASELINE __attribute__((target("no-avx,no-bmi,no-bmi2,no-lzcnt,no-popcnt,no-movbe,no-sse3")))
#else
#define CPU_BASELINE
#endif

#endif
