/* Targets: what the passes, the C compiler and LLVM must know of a CPU, one row each. Results do not depend
   on it: a target changes how a kernel loops, never what it adds to what. */
#ifndef NETC_TARGET_H
#define NETC_TARGET_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Target {
    const char *name; /* --cpu=NAME */
    const char *description;
    const char *triple;    /* LLVM's */
    const char *link_flag; /* for the C compiler that links, beside the usual ones; or NULL */
    const char *tools;     /* what the names of its GNU cross tools begin with */
    const char *cpu;       /* LLVM's: which instructions there are */
    const char *tune;      /* LLVM's: whose pipeline they are ordered for */
    const char *features;  /* LLVM's, beside those of `cpu`; may be empty */
    const char *flags;     /* of gcc and clang: the same instructions */
    const char *needs; /* CPU features that a program checks at its start, joined by commas, in the words of
                          __builtin_cpu_supports; may be empty */
    int vector_lanes;  /* f32 in a vector register */
    int vector_registers;
    bool fma;                   /* false: it is made of other instructions; same bits, many times slower */
    int64_t l1_bytes, l2_bytes; /* data caches of a core */
} Target;

extern const Target target_list[];
extern const int target_count;

/* By name; "native" is the row that suits the CPU this runs on. NULL if there is none. */
const Target *target_find(const char *name);
const Target *target_native(void);

/* Whether code for `target` runs on this machine. */
bool target_runs_here(const Target *target);

/* Whether it takes another C compiler than this machine's own to link for `target`. */
bool target_is_foreign(const Target *target);

/* One line a row: --list-targets. */
void target_print_list(Text *text);

#endif
