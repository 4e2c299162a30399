/* From an input to a Model, a Program, and what --check, --summary and --emit make of them. */
#include "descriptor.h"
#include "dot.h"
#include "driver.h"
#include "driver_measure.h"
#include "driver_tune_file.h"
#include "frontend.h"
#include "read_source.h"
#include "summary.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

/* A .graph is known by its name or, as on standard input, by its first word. */
static bool is_graph(const Source *source)
{
    return ends_in(source->name, ".graph") || !strncmp(source->text, "netc-graph", strlen("netc-graph"));
}

Model *driver_load(Driver *driver)
{
    const Options *options = driver->options;
    const Source *source = source_read(driver->arena, &driver->diag, options->input, (Span){0});
    if (!source)
        return NULL;
    if (!is_graph(source))
        return frontend_text(driver->arena, &driver->diag, source->name, source->text, source->length,
                             options->define.at, options->define.count);
    if (options->define.count) {
        diag_report(&driver->diag, DIAG_ERROR, (Span){0}, "-D %s: a graph has no consts",
                    options->define.at[0]);
        return NULL;
    }
    return model_parse(driver->arena, &driver->diag, source);
}

/* The letters of the passes after which to print, "*" for all. */
static const char *dump_letters(const Driver *driver)
{
    const Options *options = driver->options;
    if (options->print_after_all)
        return "*";
    const char *letters = options->dump ? options->dump : "";
    const char *const name[] = {options->print_after, options->stop_after};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        if (name[i])
            letters = arena_printf(driver->arena, "%s%c", letters, pass_find(name[i])->letter);
    return letters;
}

static bool run_passes(Driver *driver, Model *model, bool reference, FILE *dump_to, Program **program)
{
    const Options *options = driver->options;
    PipelineOptions pipeline = {
        .target = driver->target,
        .dump = dump_letters(driver),
        .stop_after = options->stop_after,
        .dump_to = dump_to,
        .verify = options->verify,
        .time = options->time_passes,
        .reference = reference,
        .winograd = options->winograd,
        .chains = options->chains,
        .tune = driver->tune,
        .kernels = driver->kernels,
    };
    return pipeline_run(model, &driver->diag, &pipeline, program);
}

/* What the runtime does not check again. */
static bool check_descriptor(Driver *driver, const Program *program)
{
    char why[200];
    Text descriptor = {0};
    program_descriptor(&descriptor, program);
    bool good = netc_check(text_string(&descriptor), why, sizeof why);
    text_free(&descriptor);
    if (!good)
        diag_report(&driver->diag, DIAG_ERROR, (Span){0}, "internal: %s", why);
    return good;
}

Program *driver_build(Driver *driver, Model *model, bool reference)
{
    Program *program;
    bool good = run_passes(driver, model, reference, stderr, &program) && check_descriptor(driver, program);
    return good ? program : NULL;
}

BackendOptions driver_backend_options(Driver *driver, const char *output)
{
    static const char *const sanitize[] = {"-fsanitize=" NETC_SANITIZE, NULL};
    const Options *options = driver->options;
    return (BackendOptions){
        .level = options->level,
        .threads = options->jobs ? options->jobs : measure_cpus(),
        .verify = options->verify,
        .output = output,
        .compiler = options->cc,
        .link_flags = *NETC_SANITIZE ? sanitize : NULL,
        .show_commands = options->verbose,
        .pack = netc_pack,
        .time = options->time_passes,
        .diag = &driver->diag,
    };
}

static int write_text(Driver *driver, Text *text)
{
    const char *output = driver->options->output ? driver->options->output : "-";
    BackendOptions options = driver_backend_options(driver, output);
    int status = backend_write(&options, text_string(text), text->length);
    text_free(text);
    return status;
}

/* --stop-after: what the pass left is the output. */
static int emit_stopped(Driver *driver, Model *model)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&bytes, &size);
    if (!out) {
        diag_report(&driver->diag, DIAG_ERROR, (Span){0}, "out of memory");
        return STATUS_INTERNAL;
    }
    Program *program;
    bool good = run_passes(driver, model, false, out, &program);
    Text text = {0};
    fclose(out);
    text_add_bytes(&text, bytes, size);
    free(bytes);
    int status = write_text(driver, &text);
    return good ? status : STATUS_INPUT;
}

static int emit_syntax(Driver *driver)
{
    Text text = {0};
    if (frontend_syntax(driver->arena, &driver->diag, driver->options->input, &text))
        return write_text(driver, &text);
    text_free(&text);
    return STATUS_INPUT;
}

/* The input's name without folders and ending: what is made from it goes to the working folder. */
static const char *output_base(Arena *arena, const char *input)
{
    const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input, *dot = strrchr(name, '.');
    char *base = arena_string(arena, name);
    if (dot && dot != name)
        base[dot - name] = '\0';
    return base;
}

/* -o, else the input's name with the backend's suffix, in the working folder. */
static int choose_output(Driver *driver, const char **output)
{
    const Options *options = driver->options;
    const char *fault = NULL;
    *output = options->output;
    if (!*output && strcmp(options->input, "-"))
        *output = arena_printf(driver->arena, "%s%s", output_base(driver->arena, options->input),
                               options->backend->suffix);
    if (!*output)
        fault = "the input has no name";
    else if (!strcmp(*output, options->input) && strcmp(*output, "-"))
        fault = "the output would replace the input";
    else if (!strcmp(*output, "-") && !strcmp(options->backend->name, "exe"))
        fault = "a program is linked into a file";
    else if (!strcmp(*output, "-") && options->backend->binary && isatty(STDOUT_FILENO))
        fault = "a terminal cannot show machine code";
    if (!fault)
        return STATUS_OK;
    fprintf(stderr, "netc: %s; say where to write by -o FILE\n", fault);
    return STATUS_USAGE;
}

/* Whether the output is what a backend makes of the program. */
static bool is_backends(const Options *options)
{
    return !options->check && !options->summary && !options->stop_after && options->stage == STAGE_BACKEND;
}

int driver_compile(Driver *driver)
{
    const Options *options = driver->options;
    if (options->emit && options->stage == STAGE_SYNTAX)
        return emit_syntax(driver);
    const char *output = NULL;
    int status = is_backends(options) ? choose_output(driver, &output) : STATUS_OK;
    Model *model = status ? NULL : driver_load(driver);
    if (!model)
        return status ? status : STATUS_INPUT;
    if (!tune_load(driver))
        return STATUS_INPUT;
    if (options->stop_after)
        return emit_stopped(driver, model);
    Text text = {0};
    if (options->emit && options->stage == STAGE_GRAPH) {
        model_print(&text, model);
        return write_text(driver, &text);
    }
    if (options->emit && options->stage == STAGE_DOT) {
        model_dot(&text, model);
        return write_text(driver, &text);
    }
    Program *program = driver_build(driver, model, false);
    if (!program)
        return STATUS_INPUT;
    if (options->check)
        return STATUS_OK;
    if (is_backends(options)) {
        BackendOptions backend = driver_backend_options(driver, output);
        return options->backend->emit(program, &backend);
    }
    if (options->summary)
        summary_print(&text, program, driver->tune_path);
    else if (options->stage == STAGE_KERNELS)
        program_print(&text, program);
    else
        program_print_plan(&text, program);
    return write_text(driver, &text);
}
