#include "system.h"

#include "cpu.h"
#include "packed.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>

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

int netc_main_engine(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    Fault fault = {0};
    Description description;
    if (description_parse(&description, descriptor, &fault))
        run_command(&description, engine, argc, argv, &fault);
    const char *name = description.model ? description.model : "netc";
    if (fflush(stdout) != 0 || ferror(stdout))
        fault_errno(&fault, "cannot write to", "standard output");
    if (*fault.text)
        fprintf(stderr, "%s: %s%s\n", name, fault.status > STATUS_INTERRUPTED ? "" : "error: ", fault.text);
    description_free(&description);
    return fault.status;
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
CPU_BASELINE static int start(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv)
{
    size_t length = 0, name_length;
    const char *needs = description_needs(descriptor, &length);
    const char *lacks = cpu_lacks(needs, length, &name_length);
    if (lacks) {
        /* fprintf is an inline function in some C libraries, for this CPU */
        fputs("error: this program was compiled for a CPU with ", stderr);
        fwrite(lacks, 1, name_length, stderr);
        fputs(", which this CPU lacks (all it needs: ", stderr);
        fwrite(needs, 1, length, stderr);
        fputs(")\n", stderr);
        return STATUS_MISSING;
    }
    NativeKernels native = {kernel};
    NetcEngine engine = {call_native, &native};
    return netc_main_engine(descriptor, &engine, argc, argv);
}

CPU_BASELINE int netc_main(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv)
{
    if (!descriptor_is_packed(descriptor))
        return start(descriptor, kernel, argc, argv);
    Fault fault = {0};
    char *text = descriptor_unpack(descriptor, &fault);
    if (!text) {
        fprintf(stderr, "netc: error: %s\n", fault.text);
        return fault.status;
    }
    int status = start(text, kernel, argc, argv);
    free(text);
    return status;
}
