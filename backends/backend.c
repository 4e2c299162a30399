#include "backend.h"
#include "c.h"
#include "interp.h"
#include "llvm_emit.h"
#include "output.h"

#include <errno.h>
#include <string.h>

const Backend backend_list[] = {
    {"exe", "", "a program, linked with the runtime (the default)", llvm_emit_program, true},
    {"obj", ".o", "an object file, to be linked with libnetrt.a", llvm_emit_object, true},
    {"asm", ".s", "assembly", llvm_emit_assembly, false},
    {"llvm", ".ll", "LLVM IR, optimised", llvm_emit_text, false},
    {"c", ".c", "C, with the runtime's source beside it; its first lines have the command that builds it",
     c_emit, false},
};
const int backend_count = sizeof backend_list / sizeof *backend_list;

const Engine engine_list[] = {
    {"llvm", "compiled in memory by LLVM (the default)", llvm_engine_start, llvm_engine_call,
     llvm_engine_stop, false, true},
    {"interp", "interpreted, with every access checked", interp_start, interp_call, interp_stop, false,
     false},
    {"interp64", "interpreted in f64: the reference", interp_start, interp_call, interp_stop, true, false},
};
const int engine_count = sizeof engine_list / sizeof *engine_list;

const Backend *backend_find(const char *name)
{
    for (int i = 0; i < backend_count; i++)
        if (!strcmp(backend_list[i].name, name))
            return &backend_list[i];
    return NULL;
}

const Engine *engine_find(const char *name)
{
    for (int i = 0; i < engine_count; i++)
        if (!strcmp(engine_list[i].name, name))
            return &engine_list[i];
    return NULL;
}

int backend_write(const BackendOptions *options, const void *bytes, size_t count)
{
    if (output_write_all(options->output, bytes, count))
        return STATUS_OK;
    diag_report(options->diag, DIAG_ERROR, (Span){NULL, 0, 0}, "cannot write %s: %s",
                strcmp(options->output, "-") ? options->output : "standard output", strerror(errno));
    return STATUS_INPUT;
}
