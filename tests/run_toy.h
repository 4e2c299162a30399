/* Runs the toy program (toy_program.h) as a process of its own, in a folder of its own, and keeps what it
   says. */
#ifndef NETC_RUN_TOY_H
#define NETC_RUN_TOY_H

#include "toy_program.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUN_TEXT = 20000, RUN_WORDS = 30 };

typedef struct Run {
    int status; /* exit status; a signal that ended it is negative */
    char out[RUN_TEXT], error[RUN_TEXT];
} Run;

static char run_folder[] = "/tmp/netc-run-XXXXXX";

static void run_make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(run_folder));
    ck_assert_int_eq(chdir(run_folder), 0);
}

static void run_remove_folder(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", run_folder);
    ck_assert_int_eq(system(command), 0);
}

static inline void run_read(const char *path, char *text)
{
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(text, 1, RUN_TEXT - 1, file) : 0;
    text[length] = '\0';
    if (file)
        fclose(file);
}

/* `command` is split at blanks. */
static inline Run run_program(const char *descriptor, NetcKernel *const *kernel, const char *command)
{
    static Run run; /* large */
    char words[2000], *argv[RUN_WORDS + 1] = {NULL};
    int argc = 0;
    snprintf(words, sizeof words, "./toy %s", command);
    for (char *word = strtok(words, " "); word && argc < RUN_WORDS; word = strtok(NULL, " "))
        argv[argc++] = word;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(open("out.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDOUT_FILENO);
        dup2(open("error.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
        exit(netc_main(descriptor, kernel, argc, argv));
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    run_read("out.txt", run.out);
    run_read("error.txt", run.error);
    return run;
}

static inline Run run_toy(const char *command)
{
    return run_program(TOY_DESCRIPTOR("", ""), toy_kernel, command);
}

static inline void run_well(const char *command)
{
    Run run = run_toy(command);
    ck_assert_msg(run.status == 0, "%s: status %d: %s", command, run.status, run.error);
}

static inline void run_badly(const char *command, int status, const char *says)
{
    Run run = run_toy(command);
    ck_assert_msg(run.status == status, "%s: status %d instead of %d: %s", command, run.status, status,
                  run.error);
    ck_assert_msg(strstr(run.error, says) != NULL, "%s: expected '%s', got '%s'", command, says, run.error);
}

static inline bool same_files(const char *a, const char *b)
{
    static char x[RUN_TEXT], y[RUN_TEXT];
    memset(x, 0, sizeof x);
    memset(y, 0, sizeof y);
    run_read(a, x);
    run_read(b, y);
    return *x && memcmp(x, y, sizeof x) == 0;
}

#endif
