#include "llvm_emit.h"
#include "clock.h"
#include "link.h"
#include "llvm_jit.h"
#include "llvm_program.h"

#include <stdlib.h>
#include <string.h>

static LlvmOptions llvm_options(const Program *program, const BackendOptions *options)
{
    LlvmOptions own = {.target = program->target,
                       .level = options->level,
                       .verify = options->verify,
                       .time = options->time,
                       .diag = options->diag};
#ifndef NDEBUG
    own.verify = true;
#endif
    return own;
}

/* A third of the bytes or less, and nothing to read at start. What people read stays text, and so does what is linked
   with a runtime that may have no zlib. False: a text. */
static bool pack(Text *descriptor, const BackendOptions *options)
{
    size_t bytes;
    char *packed = options->pack ? options->pack(text_string(descriptor), &bytes) : NULL;
    if (!packed)
        return false;
    text_free(descriptor);
    text_add_bytes(descriptor, packed, bytes);
    free(packed);
    return true;
}

/* The runtime's data sources, what makes slices side by side and what reads text; the library keeps some apart. */
static void ask_for_parts(LlvmModule *frame, const Program *program, bool packed)
{
    const Training *training = program->model->training;
    int sources = training ? training->source.count : 0, count = 0;
    const char **symbol = arena_alloc(program->arena, ((size_t)sources + 2) * sizeof *symbol);
    for (int i = 0; i < sources; i++)
        symbol[count++] = arena_printf(program->arena, "source_%s", training->source.at[i].source);
    if (program->slice)
        symbol[count++] = "slices_start";
    if (!packed)
        symbol[count++] = "netc_main_text";
    if (count)
        llvm_module_ask_for(frame, symbol, count);
}

static LlvmProgram *prepare(const Program *program, const BackendOptions *options, bool packed, bool names)
{
    LlvmOptions own = llvm_options(program, options);
    own.names = names;
    LlvmProgram *p = llvm_program_new(program->kernel.at, program->kernel.count, own);
    if (!p)
        return NULL;
    Text descriptor = {NULL, 0, 0};
    program_descriptor(&descriptor, program);
    bool is_packed = packed && !target_is_foreign(program->target) && pack(&descriptor, options);
    LlvmModule *frame = llvm_program_frame(p);
    llvm_module_add_main(frame, text_string(&descriptor), descriptor.length);
    text_free(&descriptor);
    ask_for_parts(frame, program, is_packed);
    return p;
}

static int emit(const Program *program, const BackendOptions *options, LlvmMaker *maker)
{
    LlvmProgram *p = prepare(program, options, maker == llvm_module_object, maker == llvm_module_print);
    if (!p)
        return STATUS_MISSING;
    Text bytes = {NULL, 0, 0};
    int status = llvm_program_make(p, maker, &bytes) ? STATUS_OK : STATUS_INTERNAL;
    llvm_program_free(p);
    if (!status)
        status = backend_write(options, bytes.at, bytes.length);
    text_free(&bytes);
    return status;
}

int llvm_emit_object(const Program *program, const BackendOptions *options)
{
    return emit(program, options, llvm_module_object);
}

int llvm_emit_assembly(const Program *program, const BackendOptions *options)
{
    return emit(program, options, llvm_module_assembly);
}

int llvm_emit_text(const Program *program, const BackendOptions *options)
{
    return emit(program, options, llvm_module_print);
}

int llvm_emit_program(const Program *program, const BackendOptions *options)
{
    Span nowhere = {NULL, 0, 0};
    if (!strcmp(options->output, "-")) {
        diag_report(options->diag, DIAG_ERROR, nowhere, "a program cannot be written to standard output");
        return STATUS_USAGE;
    }
    LlvmProgram *p = prepare(program, options, true, false);
    if (!p)
        return STATUS_MISSING;
    LlvmObjects objects;
    int status = llvm_program_objects(p, options->threads, &objects) ? STATUS_OK : STATUS_INTERNAL;
    if (!status) {
        double start = clock_seconds();
        status = link_program(options, program->target, objects.at, objects.count);
        if (options->time)
            fprintf(options->diag->out, "%-12s %9.3f ms\n", "link", 1e3 * (clock_seconds() - start));
    }
    llvm_program_free(p);
    return status;
}

/* ---- running ---- */

void *llvm_engine_start(const Program *program, const BackendOptions *options)
{
    return llvm_jit_new(program->kernel.at, program->kernel.count, llvm_options(program, options),
                        options->threads);
}

void llvm_engine_call(void *engine, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                      int64_t end)
{
    llvm_jit_function(engine, kernel)(buffer, argument, begin, end);
}

void llvm_engine_stop(void *engine) { llvm_jit_free(engine); }
