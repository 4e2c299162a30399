#include "interp_code.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Interp {
    Arena *arena;
    bool owns_arena;
    Code **code;
    int count;
    Size **size; /* [kernel][buffer]; count -1: unknown */
    InterpFault *fault;
    void *context;
};

/* ---- making ---------------------------------------------------------------------------------------- */

Interp *interp_new(Arena *arena, Kernel *const *kernel, int count, InterpFault *fault, void *context)
{
    Interp *interp = arena_alloc(arena, sizeof *interp);
    *interp = (Interp){.arena = arena, .count = count, .fault = fault, .context = context};
    interp->code = arena_alloc(arena, (size_t)count * sizeof *interp->code);
    interp->size = arena_alloc(arena, (size_t)count * sizeof *interp->size);
    for (int k = 0; k < count; k++) {
        interp->code[k] = interp_compile(arena, kernel[k]);
        interp->size[k] = arena_alloc(arena, (size_t)kernel[k]->buffer.count * sizeof **interp->size);
        for (int i = 0; i < kernel[k]->buffer.count; i++)
            interp->size[k][i] = size_of(-1);
    }
    return interp;
}

void interp_set_size(Interp *interp, int kernel, int buffer, Size elements)
{
    Size *size = &interp->size[kernel][buffer];
    if (size->count < 0 || size->power < elements.power ||
        (size->power == elements.power && size->count < elements.count))
        *size = elements;
}

void *interp_start(const Program *program, const BackendOptions *options)
{
    (void)options;
    Arena *arena = arena_new();
    Interp *interp = interp_new(arena, program->kernel.at, program->kernel.count, NULL, NULL);
    interp->owns_arena = true;
    for (int i = 0; i < program->call.count; i++) {
        const Call *call = &program->call.at[i];
        for (int b = 0; b < program->kernel.at[call->kernel]->buffer.count; b++) {
            Size elements;
            if (type_elements(&program->buffer.at[call->buffer[b]].type, &elements))
                interp_set_size(interp, call->kernel, b, elements);
        }
    }
    return interp;
}

void interp_stop(void *interp)
{
    Interp *self = interp;
    if (self->owns_arena)
        arena_free(self->arena);
}

/* ---- running --------------------------------------------------------------------------------------- */

static void run(const Step *step, Frame *frame)
{
    while (step->run)
        step = step->run(step, frame);
}

static int64_t align_up(int64_t bytes) { return (bytes + 15) / 16 * 16; }

/* One allocation: the places, then the tables of buffers and of their sizes; locals follow the buffers. */
static void frame_open(Frame *frame, const Interp *interp, int kernel, void *const *buffer,
                       const int64_t *argument)
{
    const Code *code = interp->code[kernel];
    const Kernel *k = code->kernel;
    size_t tables = (size_t)(k->buffer.count + k->local.count), places = (size_t)align_up(code->frame_bytes);
    char *memory = malloc(places + tables * (sizeof *frame->buffer + sizeof *frame->count));
    if (!memory)
        abort();
    *frame = (Frame){.memory = memory, .code = code, .interp = interp};
    frame->buffer = (void **)(void *)(memory + places);
    frame->count = (int64_t *)(void *)(frame->buffer + tables);
    if (code->constant_bytes)
        memcpy(memory, code->constants, (size_t)code->constant_bytes);
    memcpy(memory + code->first_argument, argument, (size_t)k->arguments * sizeof *argument);
    for (int i = 0; i < k->buffer.count; i++) {
        Size size = interp->size[kernel][i];
        frame->buffer[i] = buffer[i];
        frame->count[i] = size.count < 0 ? INT64_MAX : size_at(size, argument[0]);
    }
    for (int i = 0; i < k->local.count; i++) {
        frame->buffer[k->buffer.count + i] = memory + code->local[i];
        frame->count[k->buffer.count + i] = k->local.at[i].count;
    }
}

void interp_call(void *interp, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                 int64_t end)
{
    Frame frame;
    frame_open(&frame, interp, kernel, buffer, argument);
    const Code *code = frame.code;
    run(code->once, &frame);
    for (int64_t item = begin; item < end; item++) {
        if (code->item_axis >= 0)
            memcpy(frame.memory + code->item_axis, &item, sizeof item);
        memset(frame.memory + code->marks, 0, (size_t)code->mark_bytes);
        run(code->item, &frame);
    }
    free(frame.memory);
}

/* ---- faults ---------------------------------------------------------------------------------------- */

static void print_statement(Text *text, const Stmt *s)
{
    static const char *const word[] = {[STMT_FOR] = "for i",     [STMT_IF] = "if",
                                       [STMT_LET] = "let t",     [STMT_SET] = "set l",
                                       [STMT_STORE] = "store x", [STMT_PREFETCH] = "prefetch x"};
    text_add(text, word[s->kind]);
    if (s->kind != STMT_IF)
        text_printf(text, "%d", s->index);
    if (s->at) {
        text_add(text, "[");
        expr_print(text, s->at);
        text_add(text, "]");
    }
    if (s->kind == STMT_FOR) {
        text_add(text, " < ");
        expr_print(text, s->extent);
    } else {
        text_add(text, s->kind == STMT_IF ? " " : " := ");
        expr_print(text, s->value);
    }
}

void interp_fault(const Frame *frame, const Step *step, const char *format, ...)
{
    Text text = {0};
    text_printf(&text, "kernel %s, ", frame->code->kernel->name);
    print_statement(&text, step->stmt);
    text_add(&text, ": ");
    va_list arguments;
    va_start(arguments, format);
    char *what = arena_vprintf(frame->interp->arena, format, arguments);
    va_end(arguments);
    text_add(&text, what);
    free(frame->memory);
    const char *sentence = arena_string(frame->interp->arena, text_string(&text));
    text_free(&text);
    if (frame->interp->fault)
        frame->interp->fault(frame->interp->context, sentence);
    fprintf(stderr, "netc: internal error: %s\n", sentence);
    abort();
}
