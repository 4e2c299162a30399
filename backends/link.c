#include "link.h"

#include "output.h"
#include "runtime_source.h"

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

typedef LIST(char *) Command;

typedef struct Link {
    Arena *arena;
    const BackendOptions *options;
    const Target *target;
    const char *compiler;
    Command object;   /* the names of the files */
    sigset_t signals; /* the mask of who called */
} Link;

static void add(Link *link, Command *command, const char *word)
{
    list_add(link->arena, command, word ? arena_string(link->arena, word) : NULL);
}

/* ---- running commands ---- */

static void show(FILE *out, const Command *command)
{
    for (int i = 0; i + 1 < command->count; i++)
        fprintf(out, "%s%s", i ? " " : "", command->at[i]);
    fputc('\n', out);
}

/* While temporary files exist, the signals that would end this process wait; the child gets them as ever.
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

/* Starts the command with `signals` as its mask and its output in the file `out`. Returns 0 or an errno. */
static int start(const Command *command, const sigset_t *signals, int out, pid_t *child)
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
        error = error ? error : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
        error =
            error ? error : posix_spawnp(child, command->at[0], &actions, &attributes, command->at, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return error;
}

static void help_with_compiler(const Link *link, const char *here)
{
    if (target_is_foreign(link->target))
        diag_report(link->options->diag, DIAG_HELP, nowhere,
                    "a program for %s takes a C compiler for it: install %s-gcc, or name another one by --cc",
                    link->target->name, link->target->tools);
    else
        diag_report(link->options->diag, DIAG_HELP, nowhere, "%s", here);
}

static int run(const Link *link, const Command *command, int out)
{
    const BackendOptions *options = link->options;
    if (options->show_commands)
        show(options->diag->out, command);
    pid_t child;
    int status, error = start(command, &link->signals, out, &child);
    if (error) {
        diag_report(options->diag, DIAG_ERROR, nowhere, "cannot start the C compiler '%s' to link: %s",
                    command->at[0], strerror(error));
        help_with_compiler(link, "install gcc or clang, or name one by --cc");
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
    help_with_compiler(link, "a program needs the development files of zlib and libpng");
    return STATUS_MISSING;
}

/* ---- the runtime ---- */

/* What a program is linked with: one file, and what the compiler is told of it. */
typedef struct Runtime {
    const char *file;
    bool is_own;           /* netc's library */
    Command before, after; /* arguments */
} Runtime;

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

/* Asks the compiler whether it links with a library: gcc and clang name its file by a path if they have it. */
static int ask_for(Link *link, const char *name, bool *found)
{
    FILE *answer = tmpfile();
    if (!answer) {
        diag_report(link->options->diag, DIAG_ERROR, nowhere, "cannot make a temporary file: %s",
                    strerror(errno));
        return STATUS_INPUT;
    }
    Command command = {NULL, 0, 0};
    add(link, &command, link->compiler);
    add(link, &command, arena_printf(link->arena, "-print-file-name=lib%s.so", name));
    add(link, &command, NULL);
    int status = run(link, &command, fileno(answer)), byte;
    *found = false;
    fseek(answer, 0, SEEK_SET);
    while ((byte = getc(answer)) != EOF)
        *found |= byte == '/';
    fclose(answer);
    return status;
}

/* The runtime's source, compiled as the program is linked, with those of its optional libraries that the compiler has. */
static int use_source(Link *link, Runtime *runtime)
{
    static const char *const flag[] = {
        "-Os", "-std=gnu11", "-fPIE", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections"};
    static const struct {
        const char *name, *macro;
    } library[] = {{"png", "NETC_HAVE_PNG"}, {"z", "NETC_HAVE_ZLIB"}};
    for (size_t i = 0; i < sizeof flag / sizeof *flag; i++)
        add(link, &runtime->before, flag[i]);
    for (size_t i = 0; i < sizeof library / sizeof *library; i++) {
        bool found;
        int status = ask_for(link, library[i].name, &found);
        if (status)
            return status;
        add(link, &runtime->before, arena_printf(link->arena, "-D%s=%d", library[i].macro, found));
        if (found)
            add(link, &runtime->after, arena_printf(link->arena, "-l%s", library[i].name));
    }
    return STATUS_OK;
}

static int use_library(Link *link, Runtime *runtime)
{
    runtime->is_own = !link->options->library;
    runtime->file = runtime->is_own ? find_library(link->arena) : link->options->library;
    if (!runtime->file) {
        diag_report(link->options->diag, DIAG_ERROR, nowhere,
                    "libnetrt.a is neither beside netc nor in ../lib/netc");
        return STATUS_MISSING;
    }
    for (const char *const *flag = link->options->link_flags; flag && *flag; flag++)
        add(link, &runtime->before, *flag);
    add(link, &runtime->after, "-lpng");
    add(link, &runtime->after, "-lz");
    return STATUS_OK;
}

/* ---- files ---- */

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
static bool write_file(const BackendOptions *options, char *path, const void *content, size_t bytes)
{
    int file = mkstemps(path, 2);
    bool opened = file >= 0, written = opened && write_all(file, content, bytes);
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

/* ---- linking ---- */

static void add_all(Link *link, Command *command, const Command *more)
{
    for (int i = 0; i < more->count; i++)
        add(link, command, more->at[i]);
}

/* Whether the program begins in runtime/netc_start.c, which is in netc's own library on such a machine; what sanitizers add
   needs the C library's way. */
static bool starts_itself(const Link *link, const Runtime *runtime)
{
#if defined __linux__ && defined __x86_64__ && defined __LP64__
    return runtime->is_own && !link->options->link_flags;
#else
    (void)link, (void)runtime;
    return false;
#endif
}

static Command link_command(Link *link, const Runtime *runtime, const char *program)
{
    static const char *const before[] = {"-pie",
                                         "-Wl,--gc-sections",
                                         "-Wl,--as-needed",
                                         "-Wl,-z,relro,-z,now",
                                         "-Wl,-z,noexecstack",
                                         "-Wl,-z,noseparate-code",
                                         "-Wl,--hash-style=gnu",
                                         "-Wl,--build-id=none",
                                         "-Wl,--no-eh-frame-hdr"};
    static const char *const start[] = {"-nostartfiles", "-Wl,-e,netc_start", "-Wl,-u,netc_start"};
    static const char *const after[] = {"-lm", "-lpthread"};
    Command command = {NULL, 0, 0};
    add(link, &command, link->compiler);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        add(link, &command, before[i]);
    for (size_t i = 0; starts_itself(link, runtime) && i < sizeof start / sizeof *start; i++)
        add(link, &command, start[i]);
    if (link->target->link_flag)
        add(link, &command, link->target->link_flag);
    add_all(link, &command, &runtime->before);
    add(link, &command, "-o");
    add(link, &command, program);
    add_all(link, &command, &link->object);
    add(link, &command, runtime->file);
    add_all(link, &command, &runtime->after);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        add(link, &command, after[i]);
    add(link, &command, NULL);
    return command;
}

/* Links into a file of another name, which becomes options->output when it is whole. */
static int link_objects(Link *link, const Runtime *runtime)
{
    const BackendOptions *options = link->options;
    Output output;
    if (output_start(&output, options->output)) {
        Command command = link_command(link, runtime, output.written);
        int status = run(link, &command, STDERR_FILENO);
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

static int link_with_library(Link *link)
{
    Runtime runtime = {0};
    int status = use_library(link, &runtime);
    return status ? status : link_objects(link, &runtime);
}

static int link_with_source(Link *link)
{
    char *source = arena_printf(link->arena, "%s.XXXXXX.c", link->options->output);
    Runtime runtime = {.file = source};
    int status = use_source(link, &runtime);
    if (status)
        return status;
    if (!write_file(link->options, source, netc_runtime_source, strlen(netc_runtime_source)))
        return STATUS_INPUT;
    status = link_objects(link, &runtime);
    unlink(source);
    return status;
}

static bool write_objects(Link *link, const Text *object, int count)
{
    for (int i = 0; i < count; i++) {
        char *path = arena_printf(link->arena, "%s.XXXXXX.o", link->options->output);
        if (!write_file(link->options, path, object[i].at, object[i].length))
            return false;
        list_add(link->arena, &link->object, path);
    }
    return true;
}

int link_program(const BackendOptions *options, const Target *target, const Text *object, int count)
{
    Arena *arena = arena_new();
    bool foreign = target_is_foreign(target);
    Link link = {.arena = arena, .options = options, .target = target, .compiler = options->compiler};
    if (!link.compiler)
        link.compiler = foreign ? arena_printf(arena, "%s-gcc", target->tools) : "cc";
    int status = STATUS_INPUT;
    hold_signals(&link.signals);
    if (write_objects(&link, object, count))
        status = foreign && !options->library ? link_with_source(&link) : link_with_library(&link);
    for (int i = 0; i < link.object.count; i++)
        unlink(link.object.at[i]);
    sigprocmask(SIG_SETMASK, &link.signals, NULL);
    arena_free(arena);
    return status;
}
