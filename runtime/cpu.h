/* Can this CPU run the program? Asked before all else, so it is compiled for the oldest CPU of its kind. */
#ifndef NETC_CPU_H
#define NETC_CPU_H

#include "system.h"

/* For functions that run before the answer is known. */
#if defined(__x86_64__) || defined(__i386__)
#define CPU_BASELINE __attribute__((target("no-avx,no-bmi,no-bmi2,no-lzcnt,no-popcnt,no-movbe,no-sse3")))
#else
#define CPU_BASELINE
#endif

/* `needs` is a list such as "avx2,fma", `length` bytes. Returns the first name in it that this CPU lacks or
   that is not known, and its length; NULL if there is none. */
CPU_BASELINE const char *cpu_lacks(const char *needs, size_t length, size_t *name_length);

/* False if it lacks something, which is said on standard error. */
NETC_ENTRY CPU_BASELINE bool cpu_suffices(const char *needs, size_t length);

#endif
