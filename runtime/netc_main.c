#include "system.h"

#include "cpu.h"
#include "netc_main.h"
#include "packed.h"
#include "said.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef bool CommandFunction(const Session *session, Fault *fault);

static bool command_info(const Session *session, Fault *fault)
{
    (void)fault;
    said_print(stdout, session->description, session->line->json ? SAID_INFO_JSON : SAID_INFO, "");
    return true;
}

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

int netc_run(Description *description, const NetcEngine *engine, int argc, char **argv, Fault *fault)
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

typedef struct NativeKernels {
    NetcKernel *const *kernel;
} NativeKernels;

static void call_native(void *context, int kernel, void *const *buffer, const int64_t *argument,
                        int64_t begin, int64_t end)
{
    const NativeKernels *native = context;
    native->kernel[kernel](buffer, argument, begin, end);
}

/* Only in programs that are linked with the library, which is for any CPU. */
static int run_packed(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    Fault fault = {0};
    Description description;
    if (!descriptor_unpack(&description, descriptor, &fault) ||
        cpu_suffices(description.needs, strlen(description.needs)))
        return netc_run(&description, engine, argc, argv, &fault);
    description_free(&description);
    return STATUS_MISSING;
}

CPU_BASELINE int netc_main(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv)
{
    int (*main_text)(const char *, const NetcEngine *, int, char **) =
        netc_main_text; /* NULL: not linked, as the program did not ask for it */
    NativeKernels native = {kernel};
    NetcEngine engine = {call_native, &native};
    if (descriptor_is_packed(descriptor))
        return run_packed(descriptor, &engine, argc, argv);
    return main_text ? main_text(descriptor, &engine, argc, argv) : STATUS_INTERNAL;
}
