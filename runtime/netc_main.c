#include "system.h"

#include "cpu.h"
#include "packed.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool CommandFunction(const Session *session, Fault *fault);

static CommandFunction *command_function(Command command)
{
    switch (command) {
    case COMMAND_TRAIN:
        return command_train;
    case COMMAND_TEST:
        return command_test;
    case COMMAND_PREDICT:
        return command_predict;
    case COMMAND_INFO:
        return command_info;
    case COMMAND_BENCH:
        return command_bench;
    case COMMAND_NONE:
        break;
    }
    return NULL;
}

static bool run_command(const Description *description, const NetcEngine *engine, int argc, char **argv,
                        Fault *fault)
{
    CommandLine line;
    if (!commandline_parse(&line, description, argc, argv, fault))
        return false;
    CommandFunction *command = command_function(line.command);
    if (line.help || !command) {
        commandline_help(line.help ? stdout : stderr, &line, description);
        fault->status = line.help ? STATUS_OK : STATUS_USAGE; /* the help says all */
        return line.help;
    }
    Session session = {description, engine, &line};
    return command(&session, fault);
}

static int run_description(Description *description, const NetcEngine *engine, int argc, char **argv,
                           Fault *fault)
{
    if (fault->status == STATUS_OK)
        run_command(description, engine, argc, argv, fault);
    const char *name = description->model ? description->model : "netc";
    if (fflush(stdout) != 0 || ferror(stdout))
        fault_errno(fault, "cannot write to", "standard output");
    if (*fault->text)
        fprintf(stderr, "%s: %s%s\n", name, fault->status > STATUS_INTERRUPTED ? "" : "error: ", fault->text);
    description_free(description);
    return fault->status;
}

int netc_main_engine(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    Fault fault = {0};
    Description description = {0};
    bool (*parse)(Description *, const char *, Fault *) =
        description_parse; /* NULL: not linked, as the program did not ask for it */
    if (parse)
        parse(&description, descriptor, &fault);
    else
        fault_set(&fault, STATUS_MISSING, "this program's runtime reads no text");
    return run_description(&description, engine, argc, argv, &fault);
}

typedef struct NativeKernels {
    NetcKernel *const *kernel;
} NativeKernels;

static void call_native(void *context, int kernel, void *const *buffer, const int64_t *argument,
                        int64_t begin, int64_t end)
{
    const NativeKernels *native = context;
    native->kernel[kernel](buffer, argument, begin, end);
}

/* This and netc_main must run on any CPU. */
CPU_BASELINE static bool cpu_suffices(const char *needs, size_t length)
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

/* Only in programs that are linked with the library, which is for any CPU. */
static int run_packed(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    Fault fault = {0};
    Description description;
    if (!descriptor_unpack(&description, descriptor, &fault) ||
        cpu_suffices(description.needs, strlen(description.needs)))
        return run_description(&description, engine, argc, argv, &fault);
    description_free(&description);
    return STATUS_MISSING;
}

CPU_BASELINE int netc_main(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv)
{
    NativeKernels native = {kernel};
    NetcEngine engine = {call_native, &native};
    size_t length = 0;
    if (descriptor_is_packed(descriptor))
        return run_packed(descriptor, &engine, argc, argv);
    const char *needs = description_needs(descriptor, &length);
    return cpu_suffices(needs, length) ? netc_main_engine(descriptor, &engine, argc, argv) : STATUS_MISSING;
}
