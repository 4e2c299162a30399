#include "system.h"

#include "cpu.h"

#include <stdio.h>
#include <string.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#if defined(__x86_64__) || defined(__i386__)

enum { EXTENDED = 0x80 }; /* of a leaf: 0x80000001 is EXTENDED + 1 */
enum { REGISTER_A, REGISTER_B, REGISTER_C, REGISTER_D };
enum {
    STATE_NONE,
    STATE_AVX = 0x6,
    STATE_AVX512 = 0xe6
}; /* registers that the system must save: bits of XCR0 */

typedef struct CpuFeature {
    char name[12]; /* no pointers: they would need relocations */
    unsigned leaf : 8, reg : 2, bit : 5, state : 8;
} CpuFeature;

/* All that a target of the compiler needs (ir/target.c). */
static const CpuFeature feature_row[] = {
    {"fma", 1, REGISTER_C, 12, STATE_AVX},         {"movbe", 1, REGISTER_C, 22, STATE_NONE},
    {"f16c", 1, REGISTER_C, 29, STATE_AVX},        {"bmi", 7, REGISTER_B, 3, STATE_NONE},
    {"avx2", 7, REGISTER_B, 5, STATE_AVX},         {"bmi2", 7, REGISTER_B, 8, STATE_NONE},
    {"avx512f", 7, REGISTER_B, 16, STATE_AVX512},  {"avx512dq", 7, REGISTER_B, 17, STATE_AVX512},
    {"avx512cd", 7, REGISTER_B, 28, STATE_AVX512}, {"avx512bw", 7, REGISTER_B, 30, STATE_AVX512},
    {"avx512vl", 7, REGISTER_B, 31, STATE_AVX512}, {"lzcnt", EXTENDED + 1, REGISTER_C, 5, STATE_NONE},
};

CPU_BASELINE static uint32_t saved_state(void)
{
    enum { OSXSAVE = 27 };
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> OSXSAVE & 1))
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

CPU_BASELINE static bool has_feature(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof feature_row / sizeof *feature_row; i++) {
        const CpuFeature *f = &feature_row[i];
        uint32_t reg[4];
        if (strlen(f->name) != length || memcmp(f->name, name, length) != 0)
            continue;
        unsigned leaf = (f->leaf & ~(unsigned)EXTENDED) | (f->leaf & EXTENDED ? 0x80000000 : 0);
        if (!__get_cpuid_count(leaf, 0, &reg[REGISTER_A], &reg[REGISTER_B], &reg[REGISTER_C],
                               &reg[REGISTER_D]))
            return false;
        return (reg[f->reg] >> f->bit & 1) && (saved_state() & f->state) == f->state;
    }
    return false;
}

#else

static bool has_feature(const char *name, size_t length)
{
    return (length == 4 && memcmp(name, "neon", 4) == 0) || (length == 2 && memcmp(name, "fp", 2) == 0);
}

#endif

CPU_BASELINE const char *cpu_lacks(const char *needs, size_t length, size_t *name_length)
{
    for (size_t at = 0; at < length; at += *name_length + 1) {
        *name_length = 0;
        while (at + *name_length < length && needs[at + *name_length] != ',')
            ++*name_length;
        if (*name_length && !has_feature(needs + at, *name_length))
            return needs + at;
    }
    return NULL;
}

CPU_BASELINE bool cpu_suffices(const char *needs, size_t length)
{
    size_t name_length;
    const char *lacks = cpu_lacks(needs, length, &name_length);
    if (!lacks)
        return true;
    /* fprintf is an inline function in some C libraries, for this CPU */
    fputs("error: this program was compiled for a CPU with ", stderr);
    fwrite(lacks, 1, name_length, stderr);
    fputs(", which this CPU lacks (all it needs: ", stderr);
    fwrite(needs, 1, length, stderr);
    fputs(")\n", stderr);
    return false;
}
