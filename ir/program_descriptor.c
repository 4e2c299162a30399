#include "graph_text.h"
#include "program.h"
#include <string.h>

#include <stdlib.h>

/* The buffer of each variable by its id, -1 where it has none. */
static int *find_buffers(const Program *program)
{
    int count = program->model->variable.count;
    int *buffer = calloc((size_t)count + 1, sizeof *buffer);
    if (!buffer)
        abort();
    for (int i = 0; i < count; i++)
        buffer[i] = -1;
    for (int i = 0; i < program->buffer.count; i++)
        if (program->buffer.at[i].kind == BUFFER_VARIABLE)
            buffer[program->buffer.at[i].variable->id] = i;
    return buffer;
}

/* Of what is computed: not of how it is trained, which a command line may change. */
static uint64_t graph_hash(const Model *model)
{
    Model bare = *model;
    bare.training = NULL;
    Text text = {0};
    model_print(&text, &bare);
    uint64_t hash = text_hash(text_string(&text), text.length);
    text_free(&text);
    return hash;
}

static void write_model(Text *text, const Program *program)
{
    text_add(text, "netc-descriptor 1\nmodel ");
    text_quote(text, program->model->name);
    text_printf(text, " hash \"%016llx\" version ", (unsigned long long)graph_hash(program->model));
    text_quote(text, NETC_VERSION);
    text_add(text, " cpu ");
    text_quote(text, program->target->name);
    text_add(text, " needs ");
    text_quote(text, program->target->needs);
    text_printf(text, " batch %lld\n", (long long)program->batch);
}

static void write_source(Text *text, const DataSource *source)
{
    text_add(text, "source ");
    text_quote(text, source->split);
    text_add(text, " ");
    text_quote(text, source->source);
    text_add(text, "\n");
    for (int i = 0; i < source->argument.count; i++) {
        const Argument *argument = &source->argument.at[i];
        text_add(text, "argument ");
        text_quote(text, argument->name);
        if (argument->string) {
            text_add(text, " string ");
            text_quote(text, argument->string);
        } else {
            text_printf(text, " number %.17g", argument->number);
        }
        text_add(text, "\n");
    }
}

/* The scalar variable behind an option; program_fault has seen that there is one. */
static int option_buffer(const Program *program, const int *buffer, const char *option)
{
    char *name = arena_printf(program->arena, "option.%s", option);
    const Variable *variable = model_find(program->model, name);
    return variable ? buffer[variable->id] : -1;
}

static void write_training(Text *text, const Program *program, const int *buffer)
{
    const Training *t = program->model->training;
    text_add(text, "training ");
    text_quote(text, t->name);
    text_printf(text, " epochs %lld seed %lld patience %lld best ", (long long)t->epochs, (long long)t->seed,
                (long long)t->patience);
    text_quote(text, t->best ? t->best : "");
    text_add(text, "\n");
    for (int i = 0; i < t->source.count; i++)
        write_source(text, &t->source.at[i]);
    for (int i = 0; i < t->field.count; i++)
        text_printf(text, "field %d\n", buffer[t->field.at[i].input->id]);
    for (int i = 0; i < t->option.count; i++) {
        text_add(text, "option ");
        text_quote(text, t->option.at[i].name);
        text_printf(text, " %d\n", option_buffer(program, buffer, t->option.at[i].name));
    }
}

static void write_size(Text *text, Size size)
{
    text_printf(text, " %lld", (long long)size.count);
    if (size.power)
        text_printf(text, "^%d", size.power);
}

static void write_buffer(Text *text, const Buffer *b, const int *buffer)
{
    const char *kind = b->kind == BUFFER_VARIABLE ? variable_kind_name[b->variable->kind]
                       : b->kind == BUFFER_RESULT ? "result"
                                                  : "transient";
    text_printf(text, "buffer %s ", kind);
    text_quote(text, b->name);
    text_printf(text, " %s %d", dtype_info[b->type.dtype].name, b->type.rank);
    for (int d = 0; d < b->type.rank; d++)
        write_size(text, b->type.dim[d]);
    bool row_major = true;
    for (int d = 0; d < b->type.rank; d++)
        row_major = row_major && b->axes[d] == d;
    text_add(text, row_major ? "" : " axes");
    for (int d = 0; d < b->type.rank && !row_major; d++)
        text_printf(text, " %d", b->axes[d]);
    text_printf(text, " life %d %d at %lld", b->first, b->last, (long long)b->offset);
    if (b->kind == BUFFER_VARIABLE && b->variable->of)
        text_printf(text, " of %d", buffer[b->variable->of->id]);
    text_add(text, "\n");
}

static void write_kernel(Text *text, const Kernel *kernel)
{
    Items items = kernel->items;
    text_printf(text, "kernel \"%.*s\" items %lld", (int)strcspn(kernel->name, "_"), kernel->name,
                (long long)items.outer);
    write_size(text, items.size);
    text_printf(text, " %lld flops %.0f bytes %.0f\n", (long long)items.divisor, kernel->flops,
                kernel->bytes);
}

static void write_phase(Text *text, const ProgramPhase *phase, const char *name, int64_t slice)
{
    text_add(text, "phase ");
    text_quote(text, name);
    text_printf(text, " %d %d", phase->first, phase->count);
    text_printf(text, slice ? " slice %lld\n" : "\n", (long long)slice);
    for (int i = 0; i < phase->result.count; i++) {
        const ProgramResult *result = &phase->result.at[i];
        text_printf(text, "result %s ", result_kind_name[result->kind]);
        text_quote(text, result->name);
        text_printf(text, " %d\n", result->buffer);
    }
}

static void write_call(Text *text, const Program *program, int place)
{
    const Call *call = &program->call.at[place];
    const Kernel *kernel = program->kernel.at[call->kernel];
    text_printf(text, "call %d ", call->kernel);
    text_quote(text, call->name ? call->name : "");
    text_printf(text, " buffers %d", kernel->buffer.count);
    for (int i = 0; i < kernel->buffer.count; i++)
        text_printf(text, " %d", call->buffer[i]);
    if (kernel->arguments > 1)
        text_printf(text, " arguments %d", kernel->arguments - 1);
    for (int i = 0; i < kernel->arguments - 1; i++)
        text_printf(text, " %lld", (long long)call->argument[i]);
    if (call->step)
        text_printf(text, " step %d", call->step);
    for (int i = 0; i < program->loop.count; i++)
        if (program->loop.at[i].first == place)
            text_printf(text, " loop %d %lld", program->loop.at[i].count,
                        (long long)program->loop.at[i].length);
    text_add(text, "\n");
}

void program_descriptor(Text *text, const Program *program)
{
    int *buffer = find_buffers(program);
    write_model(text, program);
    if (program->model->training)
        write_training(text, program, buffer);
    for (int i = 0; i < program->buffer.count; i++)
        write_buffer(text, &program->buffer.at[i], buffer);
    for (int i = 0; i < program->kernel.count; i++)
        write_kernel(text, program->kernel.at[i]);
    for (int p = 0; p < PHASE_COUNT; p++)
        write_phase(text, &program->phase[p], phase_name[p], p == PHASE_PREDICT ? program->slice : 0);
    for (int i = 0; i < program->call.count; i++)
        write_call(text, program, i);
    text_add(text, "end\n");
    free(buffer);
}
