#include "target.h"

#include <string.h>

enum { KIB = 1024 };

#define NEEDS_V3 "avx2,fma,f16c,bmi,bmi2,lzcnt,movbe"
#define NEEDS_V4 NEEDS_V3 ",avx512f,avx512bw,avx512cd,avx512dq,avx512vl"
#define FLAGS_V3 "-march=x86-64-v3"
/* gcc keeps to 256 bits by itself where it takes the CPU for one that slows down. */
#define FLAGS_V4 "-march=x86-64-v4 -mprefer-vector-width=512"
#define X86_64 "x86_64-pc-linux-gnu", "-Wl,-z,pack-relative-relocs", "x86_64-linux-gnu"
#define AARCH64 "aarch64-unknown-linux-gnu", NULL, "aarch64-linux-gnu"

const Target target_list[] = {
    {"x86-64", "any 64-bit x86: SSE2, and no fma, which makes it slow", X86_64, "x86-64", "generic", "",
     "-march=x86-64", "", 4, 16, false, 32 * KIB, 256 * KIB},
    {"x86-64-v3", "AVX2 and FMA: Intel since Haswell, AMD since Zen", X86_64, "x86-64-v3", "generic", "",
     FLAGS_V3, NEEDS_V3, 8, 16, true, 32 * KIB, 512 * KIB},
    {"x86-64-v4", "AVX-512: Intel servers since Skylake, AMD since Zen 4", X86_64, "x86-64-v4", "generic", "",
     FLAGS_V4, NEEDS_V4, 16, 32, true, 48 * KIB, 1024 * KIB},
    {"znver3", "x86-64-v3, ordered for AMD Zen 3", X86_64, "x86-64-v3", "znver3", "",
     FLAGS_V3 " -mtune=znver3", NEEDS_V3, 8, 16, true, 32 * KIB, 512 * KIB},
    {"znver5", "x86-64-v4, ordered for AMD Zen 5", X86_64, "x86-64-v4", "znver5", "", FLAGS_V4, NEEDS_V4, 16,
     32, true, 48 * KIB, 1024 * KIB},
    {"aarch64", "64-bit ARM with NEON", AARCH64, "generic", "generic", "+neon", "-march=armv8-a", "", 4, 32,
     true, 32 * KIB, 512 * KIB},
};
const int target_count = sizeof target_list / sizeof *target_list;

static const Target *row(const char *name)
{
    for (int i = 0; i < target_count; i++)
        if (!strcmp(target_list[i].name, name))
            return &target_list[i];
    return NULL;
}

const Target *target_find(const char *name) { return strcmp(name, "native") ? row(name) : target_native(); }

#if defined __x86_64__

static bool has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt") &&
           __builtin_cpu_supports("movbe");
}

static bool has_avx512(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

bool target_runs_here(const Target *target)
{
    if (target_is_foreign(target))
        return false;
    return target->vector_lanes < 8 || (has_avx2() && (target->vector_lanes < 16 || has_avx512()));
}

const Target *target_native(void)
{
    if (!has_avx2())
        return row("x86-64");
    return row(has_avx512() ? "x86-64-v4" : "x86-64-v3");
}

#elif defined __aarch64__

bool target_runs_here(const Target *target) { return !target_is_foreign(target); }

const Target *target_native(void) { return row("aarch64"); }

#else
#error "netc has no target row for this machine: add one"
#endif

bool target_is_foreign(const Target *target) { return strcmp(target->triple, target_native()->triple) != 0; }

void target_print_list(Text *text)
{
    const Target *native = target_native();
    for (int i = 0; i < target_count; i++)
        text_printf(text, "%-11s %s%s\n", target_list[i].name, target_list[i].description,
                    &target_list[i] == native ? " (native)" : "");
}
