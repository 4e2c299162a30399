/* For tests: C text made by the C backend, compiled to a library and loaded into the test. */
#ifndef NETC_TESTS_COMPILE_C_H
#define NETC_TESTS_COMPILE_C_H

#include "c.h"

#include <check.h>
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef void NetcKernel(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end);

typedef struct CompileRow {
    const char *compiler, *level, *target;
} CompileRow;

static char compile_folder[] = "/tmp/netc_c.XXXXXX";

static inline void compile_open(void) { ck_assert_ptr_nonnull(mkdtemp(compile_folder)); }

/* The status of a command, its words separated by blanks. */
static inline int compile_run(Arena *arena, const char *command)
{
    char *words = arena_string(arena, command), *argv[64];
    int count = 0;
    for (char *rest = NULL, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        ck_assert_int_lt(count, 63);
        argv[count++] = word;
    }
    argv[count] = NULL;
    pid_t child;
    int status;
    if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) || waitpid(child, &status, 0) != child)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void compile_close(void)
{
    Arena *arena = arena_new();
    compile_run(arena, arena_printf(arena, "rm -rf %s", compile_folder));
    arena_free(arena);
}

/* Whether the compiler is installed and what it makes can run here. */
static inline bool compile_can(const CompileRow *row)
{
    const Target *target = target_find(row->target);
    Arena *arena = arena_new();
    const char *command = arena_printf(arena, "%s -E -x c -o /dev/null /dev/null", row->compiler);
    bool can = target && target_runs_here(target) && compile_run(arena, command) == 0;
    arena_free(arena);
    return can;
}

/* The library's table of kernels. It stays loaded until the test's process ends. */
static inline NetcKernel *const *compile_load(Arena *arena, const CompileRow *row, const Text *text)
{
    const char *source = arena_printf(arena, "%s/kernels.c", compile_folder);
    static int libraries; /* the loader takes a name that it knows for the same library */
    const char *library = arena_printf(arena, "%s/kernels%d.so", compile_folder, libraries++);
    FILE *file = fopen(source, "w");
    ck_assert(file && fwrite(text_string(text), 1, text->length, file) == text->length && !fclose(file));
    const char *command =
        arena_printf(arena, "%s %s %s %s -Wall -Wextra -Werror -shared -fPIC -o %s %s -lm", row->compiler,
                     c_flags, row->level, target_find(row->target)->flags, library, source);
    ck_assert_msg(compile_run(arena, command) == 0, "failed: %s", command);
    void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    ck_assert_msg(loaded, "%s", dlerror());
    NetcKernel *const *table = dlsym(loaded, "netc_kernels");
    ck_assert_ptr_nonnull(table);
    return table;
}

#endif
