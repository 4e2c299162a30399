/* `netc run`: a program in this process, by an engine and the runtime, without leaving files behind. */
#include "descriptor.h"
#include "driver.h"
#include "driver_tune_file.h"

#include <string.h>

/* The program's command line: a name for its messages, its own arguments, and netc's --threads. */
static char **program_arguments(Driver *driver, int *count)
{
    const Options *options = driver->options;
    LIST(char *) argument = {NULL, 0, 0};
    list_add(driver->arena, &argument, arena_printf(driver->arena, "netc run %s", options->input));
    for (int i = 0; i < options->run_count; i++) {
        list_add(driver->arena, &argument, options->run_argument[i]);
        if (i == 0 && options->threads) {
            list_add(driver->arena, &argument, arena_string(driver->arena, "--threads"));
            list_add(driver->arena, &argument, arena_printf(driver->arena, "%d", options->threads));
        }
    }
    *count = argument.count;
    list_add(driver->arena, &argument, NULL);
    return argument.at;
}

int driver_run(Driver *driver)
{
    const Options *options = driver->options;
    if (!target_runs_here(driver->target)) {
        diag_report(&driver->diag, DIAG_ERROR, (Span){0}, "this machine cannot run code for --cpu=%s",
                    driver->target->name);
        return STATUS_MISSING;
    }
    Model *model = driver_load(driver);
    Program *program =
        model && tune_load(driver) ? driver_build(driver, model, options->engine->reference) : NULL;
    if (!program)
        return STATUS_INPUT;
    BackendOptions backend = driver_backend_options(driver, NULL);
    void *context = options->engine->start(program, &backend);
    if (!context)
        return STATUS_INTERNAL;
    Text descriptor = {0};
    program_descriptor(&descriptor, program);
    NetcEngine engine = {options->engine->call, context};
    int count;
    char **argument = program_arguments(driver, &count);
    int status = netc_main_engine(text_string(&descriptor), &engine, count, argument);
    options->engine->stop(context);
    text_free(&descriptor);
    return status;
}
