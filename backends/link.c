#include "link.h"

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const Span nowhere = {NULL, 0, 0};

/* ---- the runtime ---- */

/* libnetrt.a lies beside netc where netc was built, in ../lib/netc where it was installed. NULL: neither. */
static const char *find_library(Arena *arena)
{
    char program[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return NULL;
    program[length] = '\0';
    *strrchr(program, '/') = '\0';
    static const char *const place[] = {"libnetrt.a", "../lib/netc/libnetrt.a"};
    for (size_t i = 0; i < sizeof place / sizeof *place; i++) {
        const char *path = arena_printf(arena, "%s/%s", program, place[i]);
        if (!access(path, R_OK))
            return path;
    }
    return NULL;
}

/* ---- the command ---- */

typedef LIST(char *) Command;

static void add(Arena *arena, Command *command, const char *word)
{
    list_add(arena, command, word ? arena_string(arena, word) : NULL);
}

static Command link_command(Arena *arena, const BackendOptions *options, const char *object,
                            const char *library, const char *program)
{
    static const char *const before[] = {"-pie",
                                         "-Wl,--gc-sections",
                                         "-Wl,--as-needed",
                                         "-Wl,-z,relro,-z,now",
                                         "-Wl,-z,noexecstack",
                                         "-Wl,-z,noseparate-code",
                                         "-Wl,--hash-style=gnu",
                                         "-Wl,--build-id=none",
                                         "-Wl,-z,pack-relative-relocs"};
    static const char *const after[] = {"-lpng", "-lz", "-lm", "-lpthread"};
    Command command = {NULL, 0, 0};
    add(arena, &command, options->compiler ? options->compiler : "cc");
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        add(arena, &command, before[i]);
    for (const char *const *flag = options->link_flags; flag && *flag; flag++)
        add(arena, &command, *flag);
    add(arena, &command, "-o");
    add(arena, &command, program);
    add(arena, &command, object);
    add(arena, &command, library);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        add(arena, &command, after[i]);
    add(arena, &command, NULL);
    return command;
}

static void show(FILE *out, const Command *command)
{
    for (int i = 0; i + 1 < command->count; i++)
        fprintf(out, "%s%s", i ? " " : "", command->at[i]);
    fputc('\n', out);
}

/* ---- running it ---- */

/* While the temporary file exists, the signals that would end this process wait; the child gets them as ever.
 */
static void hold_signals(sigset_t *before)
{
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, before);
}

/* Starts the command with `signals` as its mask and standard output on standard error. Returns 0 or an errno.
 */
static int start(const Command *command, const sigset_t *signals, pid_t *child)
{
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    int error = posix_spawnattr_init(&attributes);
    if (error)
        return error;
    error = posix_spawn_file_actions_init(&actions);
    if (!error) {
        error = posix_spawnattr_setsigmask(&attributes, signals);
        error = error ? error : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        error = error ? error : posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        error =
            error ? error : posix_spawnp(child, command->at[0], &actions, &attributes, command->at, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return error;
}

static int run(const BackendOptions *options, const Command *command, const sigset_t *signals)
{
    pid_t child;
    int status, error = start(command, signals, &child);
    if (error) {
        diag_report(options->diag, DIAG_ERROR, nowhere, "cannot start the C compiler '%s' to link: %s",
                    command->at[0], strerror(error));
        diag_report(options->diag, DIAG_HELP, nowhere, "install gcc or clang, or name one by --cc");
        return STATUS_MISSING;
    }
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) {
            diag_report(options->diag, DIAG_ERROR, nowhere, "waiting for '%s': %s", command->at[0],
                        strerror(errno));
            return STATUS_INTERNAL;
        }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return STATUS_OK;
    if (WIFSIGNALED(status))
        diag_report(options->diag, DIAG_ERROR, nowhere, "'%s' was ended by signal %d while linking %s",
                    command->at[0], WTERMSIG(status), options->output);
    else
        diag_report(options->diag, DIAG_ERROR, nowhere, "'%s' failed with status %d while linking %s",
                    command->at[0], WEXITSTATUS(status), options->output);
    diag_report(options->diag, DIAG_HELP, nowhere,
                "a program needs the development files of zlib and libpng");
    return STATUS_MISSING;
}

/* ---- the object ---- */

static bool write_all(int file, const char *bytes, size_t count)
{
    while (count) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

/* Beside the output, which must be writable anyway; its name is filled in. False: reported, nothing left. */
static bool write_object(const BackendOptions *options, char *path, const void *object, size_t bytes)
{
    int file = mkstemps(path, 2);
    bool opened = file >= 0, written = opened && write_all(file, object, bytes);
    int error = errno;
    if (opened && close(file) && written) {
        error = errno;
        written = false;
    }
    if (written)
        return true;
    diag_report(options->diag, DIAG_ERROR, nowhere, "cannot write %s: %s", opened ? path : options->output,
                strerror(error));
    if (opened)
        unlink(path);
    return false;
}

/* Links into a file of another name, which becomes options->output when it is whole. */
static int link_object(Arena *arena, const BackendOptions *options, const char *object, const char *library,
                       const sigset_t *signals)
{
    Output output;
    if (output_start(&output, options->output)) {
        Command command = link_command(arena, options, object, library, output.written);
        if (options->show_commands)
            show(options->diag->out, &command);
        int status = run(options, &command, signals);
        if (status) {
            output_drop(&output);
            return status;
        }
        if (output_end(&output))
            return STATUS_OK;
    }
    diag_report(options->diag, DIAG_ERROR, nowhere, "cannot write %s: %s", options->output, strerror(errno));
    return STATUS_INPUT;
}

int link_program(const BackendOptions *options, const void *object, size_t bytes)
{
    Arena *arena = arena_new();
    const char *library = options->library ? options->library : find_library(arena);
    int status = STATUS_INPUT;
    char *path = arena_printf(arena, "%s.XXXXXX.o", options->output);
    sigset_t signals;
    hold_signals(&signals);
    if (!library) {
        diag_report(options->diag, DIAG_ERROR, nowhere,
                    "libnetrt.a is neither beside netc nor in ../lib/netc");
        status = STATUS_MISSING;
    } else if (write_object(options, path, object, bytes)) {
        status = link_object(arena, options, path, library, &signals);
        unlink(path);
    }
    sigprocmask(SIG_SETMASK, &signals, NULL);
    arena_free(arena);
    return status;
}
