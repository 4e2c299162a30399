#include "program.h"

#include <stdlib.h>

static const char *const buffer_kind_name[] = {[BUFFER_VARIABLE] = "variable",
                                               [BUFFER_PREPARED] = "prepared",
                                               [BUFFER_RESULT] = "result",
                                               [BUFFER_TRANSIENT] = "transient"};

/* ---- kernels and calls --------------------------------------------------------------------------------- */

static void print_call(Text *text, const Program *program, int place)
{
    const Call *call = &program->call.at[place];
    const Kernel *kernel = program->kernel.at[call->kernel];
    text_printf(text, "    %d %s(", place, kernel->name);
    for (int i = 0; i < kernel->buffer.count; i++)
        text_printf(text, "%s%s", i ? ", " : "", program->buffer.at[call->buffer[i]].name);
    text_add(text, ")");
    for (int i = 1; i < kernel->arguments; i++)
        if (call->step == i)
            text_printf(text, " a%d=step", i);
        else
            text_printf(text, " a%d=%lld", i, (long long)call->argument[i - 1]);
    if (call->name)
        text_printf(text, " // %s", call->name);
    text_add(text, "\n");
}

int64_t program_buffer_bytes(const Program *program, const Buffer *buffer)
{
    bool sliced = program->slice && program->slice < program->batch && buffer->kind == BUFFER_TRANSIENT &&
                  buffer->first >= program->phase[PHASE_PREDICT].first;
    return type_bytes(&buffer->type, sliced ? program->slice : program->batch);
}

int64_t program_steps(const Program *program, int call)
{
    for (int i = 0; i < program->loop.count; i++) {
        const ProgramLoop *l = &program->loop.at[i];
        if (call >= l->first && call < l->first + l->count)
            return l->length;
    }
    return 1;
}

static void print_phase(Text *text, const Program *program, int phase)
{
    const ProgramPhase *p = &program->phase[phase];
    text_printf(text, "\nphase %s", phase_name[phase]);
    if (phase == PHASE_PREDICT && program->slice)
        text_printf(text, ", %lld samples at a time", (long long)program->slice);
    text_add(text, "\n");
    for (int i = p->first, loop = 0; i < p->first + p->count; i++) {
        while (loop < program->loop.count && program->loop.at[loop].first + program->loop.at[loop].count <= i)
            loop++;
        bool inside = loop < program->loop.count && program->loop.at[loop].first <= i;
        if (inside && program->loop.at[loop].first == i)
            text_printf(text, "    for %lld steps\n", (long long)program->loop.at[loop].length);
        text_add(text, inside ? "    " : "");
        print_call(text, program, i);
    }
    for (int i = 0; i < p->result.count; i++)
        text_printf(text, "    result %s = %s\n", p->result.at[i].name,
                    program->buffer.at[p->result.at[i].buffer].name);
}

void program_print(Text *text, const Program *program)
{
    text_printf(text, "// %s: %d kernels, %d calls\n", program->model->name, program->kernel.count,
                program->call.count);
    for (int i = 0; i < program->kernel.count; i++) {
        text_add(text, "\n");
        kernel_print(text, program->kernel.at[i]);
    }
    for (int p = 0; p < PHASE_COUNT; p++)
        if (program->phase[p].count || program->phase[p].result.count)
            print_phase(text, program, p);
}

/* ---- the memory plan ----------------------------------------------------------------------------------- */

static int compare_offsets(const void *x, const void *y)
{
    const Buffer *a = *(const Buffer *const *)x, *b = *(const Buffer *const *)y;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    return (a > b) - (a < b);
}

static void print_layout(Text *text, const Buffer *buffer)
{
    bool rows = true;
    for (int d = 0; d < buffer->type.rank; d++)
        rows &= buffer->axes[d] == d;
    if (rows && !buffer->panel)
        return;
    text_add(text, " as");
    for (int d = 0; d < buffer->type.rank; d++)
        text_printf(text, "%s %d", buffer->panel == d + 1 ? " panel" : "", buffer->axes[d]);
}

static void print_buffer(Text *text, const Program *program, const Buffer *buffer)
{
    text_printf(text, "%12lld %12lld %6d %6d  %-9s  %-32s ", (long long)buffer->offset,
                (long long)program_buffer_bytes(program, buffer), buffer->first, buffer->last,
                buffer_kind_name[buffer->kind], buffer->name);
    type_print(text, &buffer->type);
    print_layout(text, buffer);
    text_add(text, "\n");
}

static const char *phase_of_call(const Program *program, int call)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        if (call >= program->phase[p].first && call < program->phase[p].first + program->phase[p].count)
            return phase_name[p];
    return "no phase";
}

static void print_bound(Text *text, const Program *program)
{
    text_printf(text, "\narena       %12lld bytes\nlower bound %12lld bytes", (long long)program->arena_bytes,
                (long long)program->bound_bytes);
    if (program->bound_call >= 0 && program->bound_call < program->call.count) {
        const Call *call = &program->call.at[program->bound_call];
        text_printf(text, ", alive at call %d of %s: %s", program->bound_call,
                    phase_of_call(program, program->bound_call), program->kernel.at[call->kernel]->name);
        if (call->name)
            text_printf(text, " for %s", call->name);
    }
    double excess = program->bound_bytes ? (double)(program->arena_bytes - program->bound_bytes) * 100 /
                                               (double)program->bound_bytes
                                         : 0;
    text_printf(text, "\nexcess      %12.2f %%\n", excess);
}

void program_print_plan(Text *text, const Program *program)
{
    int count = program->buffer.count;
    const Buffer **order = calloc((size_t)count + 1, sizeof *order);
    if (!order)
        abort();
    for (int i = 0; i < count; i++)
        order[i] = &program->buffer.at[i];
    qsort(order, (size_t)count, sizeof *order, compare_offsets);

    text_printf(text,
                "Memory of %s for batches up to %lld, calls 0 to %d; 'as' gives the axes from the outermost "
                "in memory.\n\n",
                program->model->name, (long long)program->batch, program->call.count - 1);
    text_printf(text, "%12s %12s %6s %6s  %-9s  %-32s %s\n", "offset", "bytes", "first", "last", "kind",
                "buffer", "type");
    for (int i = 0; i < count; i++)
        print_buffer(text, program, order[i]);
    print_bound(text, program);
    free(order);
}
