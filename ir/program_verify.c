#include "graph_verify.h"
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* Whether two buffers share bytes is plan_fault's question. */

static void *scratch(int count, size_t size)
{
    void *at = calloc((size_t)count + 1, size);
    if (!at)
        abort();
    return at;
}

/* ---- kernels ------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *kernels_fault(const Program *program)
{
    int count = program->kernel.count;
    for (int i = 0; i < count; i++) {
        const char *fault = kernel_fault(program->kernel.at[i]);
        if (fault)
            return fault;
    }
    const char **name = scratch(count, sizeof *name), *twice = NULL;
    for (int i = 0; i < count; i++)
        name[i] = program->kernel.at[i]->name;
    qsort(name, (size_t)count, sizeof *name, compare_names);
    for (int i = 1; i < count && !twice; i++)
        twice = strcmp(name[i - 1], name[i]) ? NULL : name[i];
    free(name);
    return twice ? arena_printf(program->arena, "two kernels are named '%s'", twice) : NULL;
}

/* ---- buffers ------------------------------------------------------------------------------------------- */

static bool is_permutation(const int *axes, int rank)
{
    unsigned seen = 0;
    for (int d = 0; d < rank; d++)
        if (axes[d] >= 0 && axes[d] < rank)
            seen |= 1u << axes[d];
    return seen == (1u << rank) - 1;
}

static const char *place_fault(const Program *program, const Buffer *b)
{
    int last = program->call.count ? program->call.count - 1 : 0;
    int64_t bytes = program_buffer_bytes(program, b);
    if (b->first < 0 || b->first > b->last || b->last > last)
        return arena_printf(program->arena, "buffer '%s' lives from call %d to %d, but the calls are 0 to %d",
                            b->name, b->first, b->last, last);
    const ProgramPhase *predict = &program->phase[PHASE_PREDICT];
    if (b->kind == BUFFER_PREPARED &&
        (b->first >= predict->first || b->last < predict->first + predict->count - 1))
        return arena_printf(program->arena, "'%s' lives from call %d to %d, not through all predictions",
                            b->name, b->first, b->last);
    if (b->kind == BUFFER_VARIABLE && (b->first != 0 || b->last != last))
        return arena_printf(program->arena, "variable '%s' lives from call %d to %d only", b->name, b->first,
                            b->last);
    if (b->offset < 0 || bytes > program->arena_bytes || b->offset > program->arena_bytes - bytes)
        return arena_printf(program->arena, "buffer '%s' at %lld+%lld is outside the arena of %lld", b->name,
                            (long long)b->offset, (long long)bytes, (long long)program->arena_bytes);
    return NULL;
}

static const char *buffer_fault(const Program *program, int place)
{
    Arena *arena = program->arena;
    const Buffer *b = &program->buffer.at[place];
    const Variable *v = b->variable;
    Size elements;
    if (!b->name || !*b->name)
        return arena_printf(arena, "buffer %d has no name", place);
    if ((unsigned)b->kind > BUFFER_TRANSIENT)
        return arena_printf(arena, "buffer '%s' has no kind", b->name);
    if (b->type.rank < 0 || b->type.rank > MAX_RANK || (unsigned)b->type.dtype >= DTYPE_COUNT ||
        !type_elements(&b->type, &elements))
        return arena_printf(arena, "buffer '%s' has no type, or one that is too large", b->name);
    if (!is_permutation(b->axes, b->type.rank))
        return arena_printf(arena, "buffer '%s': its layout is no permutation of %d axes", b->name,
                            b->type.rank);
    if (b->panel &&
        (b->panel < 0 || b->panel > b->type.rank || b->type.dim[b->axes[b->type.rank - 1]].power ||
         b->type.dim[b->axes[b->type.rank - 1]].count % PANEL || b->kind == BUFFER_VARIABLE ||
         b->kind == BUFFER_RESULT))
        return arena_printf(arena, "buffer '%s' has panels that do not fit", b->name);
    if (b->kind != BUFFER_VARIABLE && b->kind != BUFFER_PREPARED)
        return v ? arena_printf(arena, "buffer '%s' is no variable's, but has one", b->name) : NULL;
    if (!v || v->id < 0 || v->id >= program->model->variable.count || program->model->variable.at[v->id] != v)
        return arena_printf(arena, "buffer '%s' belongs to no variable of the model", b->name);
    if ((b->kind == BUFFER_PREPARED) != (v->kind == VARIABLE_PREPARED))
        return arena_printf(arena, "buffer '%s' is not of its variable's kind", b->name);
    if (!type_same_shape(&b->type, &v->type))
        return arena_printf(arena, "buffer '%s' has not its variable's shape", b->name);
    return NULL;
}

/* Whether the runtime needs a variable's buffer even if no kernel does. */
static bool is_needed(const Variable *variable)
{
    if (variable->kind == VARIABLE_PREPARED)
        return false;
    return variable->kind != VARIABLE_SCALAR || !strncmp(variable->name, "option.", 7);
}

static const char *variables_fault(const Program *program)
{
    const Model *model = program->model;
    int *buffers = scratch(model->variable.count, sizeof *buffers);
    const char *fault = NULL;
    for (int i = 0; i < program->buffer.count; i++)
        if (program->buffer.at[i].kind == BUFFER_VARIABLE)
            buffers[program->buffer.at[i].variable->id]++;
    for (int i = 0; i < model->variable.count && !fault; i++)
        if (buffers[i] > 1 || (!buffers[i] && is_needed(model->variable.at[i])))
            fault = arena_printf(program->arena, "variable '%s' has %d buffers", model->variable.at[i]->name,
                                 buffers[i]);
    free(buffers);
    return fault;
}

static const char *buffers_fault(const Program *program)
{
    const char *fault = NULL;
    for (int i = 0; i < program->buffer.count && !fault; i++) {
        fault = buffer_fault(program, i);
        if (!fault)
            fault = place_fault(program, &program->buffer.at[i]);
    }
    return fault ? fault : variables_fault(program);
}

/* ---- calls --------------------------------------------------------------------------------------------- */

static const char *call_fault(const Program *program, int place)
{
    Arena *arena = program->arena;
    const Call *call = &program->call.at[place];
    if (call->kernel < 0 || call->kernel >= program->kernel.count)
        return arena_printf(arena, "call %d: there is no kernel %d", place, call->kernel);
    const Kernel *kernel = program->kernel.at[call->kernel];
    if ((kernel->buffer.count && !call->buffer) || (kernel->arguments > 1 && !call->argument))
        return arena_printf(arena, "call %d of %s lacks its buffers or arguments", place, kernel->name);
    if (call->step < 0 || call->step >= kernel->arguments)
        return arena_printf(arena, "call %d of %s: there is no argument %d for the step", place, kernel->name,
                            call->step);
    for (int i = 0; i < kernel->buffer.count; i++) {
        int id = call->buffer[i];
        if (id < 0 || id >= program->buffer.count)
            return arena_printf(arena, "call %d of %s: there is no buffer %d", place, kernel->name, id);
        const Buffer *b = &program->buffer.at[id];
        DType want = kernel->buffer.at[i].dtype;
        if (b->type.dtype != want)
            return arena_printf(arena, "call %d of %s: buffer '%s' is %s, but x%d is %s", place, kernel->name,
                                b->name, dtype_info[b->type.dtype].name, i, dtype_info[want].name);
        if (place < b->first || place > b->last)
            return arena_printf(arena, "call %d of %s uses '%s', which lives from call %d to %d", place,
                                kernel->name, b->name, b->first, b->last);
    }
    return NULL;
}

/* What a kernel changes in place is one buffer of its own, read and written. */
static const char *alias_fault(const Program *program, int place)
{
    const Call *call = &program->call.at[place];
    const Kernel *kernel = program->kernel.at[call->kernel];
    for (int i = 0; i < kernel->buffer.count; i++)
        for (int k = 0; k < i; k++)
            if (call->buffer[i] == call->buffer[k] &&
                (kernel->buffer.at[i].written || kernel->buffer.at[k].written))
                return arena_printf(program->arena, "call %d of %s writes '%s', which is both x%d and x%d",
                                    place, kernel->name, program->buffer.at[call->buffer[i]].name, k, i);
    return NULL;
}

/* What one phase does to the buffers: `written` says what has a value at this point. */
static const char *order_fault(const Program *program, int phase, int place, bool *written)
{
    const Call *call = &program->call.at[place];
    const Kernel *kernel = program->kernel.at[call->kernel];
    for (int i = 0; i < kernel->buffer.count; i++) {
        const Buffer *b = &program->buffer.at[call->buffer[i]];
        bool kept = b->kind == BUFFER_VARIABLE || (b->kind == BUFFER_PREPARED && phase == PHASE_PREDICT);
        if (kernel->buffer.at[i].read && !kernel->buffer.at[i].made && !kept && !written[call->buffer[i]])
            return arena_printf(program->arena, "call %d of %s reads '%s' before it is written", place,
                                kernel->name, b->name);
        if (kernel->buffer.at[i].written && b->variable && !phase_sets(phase, b->variable->kind))
            return arena_printf(program->arena, "call %d of %s writes '%s', which phase %s may not", place,
                                kernel->name, b->name, phase_name[phase]);
    }
    for (int i = 0; i < kernel->buffer.count; i++)
        if (kernel->buffer.at[i].written)
            written[call->buffer[i]] = true;
    return NULL;
}

static const char *result_place_fault(const Program *program, int phase, int place, const bool *written)
{
    Arena *arena = program->arena;
    const ProgramPhase *p = &program->phase[phase];
    const ProgramResult *result = &p->result.at[place];
    if (!result->name || (unsigned)result->kind > RESULT_METRIC)
        return arena_printf(arena, "phase %s: result %d has no name or kind", phase_name[phase], place);
    if (result->buffer < 0 || result->buffer >= program->buffer.count)
        return arena_printf(arena, "phase %s: result '%s' has no buffer", phase_name[phase], result->name);
    const Buffer *b = &program->buffer.at[result->buffer];
    if (b->kind == BUFFER_TRANSIENT)
        return arena_printf(arena, "phase %s: result '%s' is in '%s', which is transient", phase_name[phase],
                            result->name, b->name);
    if (b->kind == BUFFER_RESULT && !written[result->buffer])
        return arena_printf(arena, "phase %s: result '%s' is never written", phase_name[phase], result->name);
    if (phase == PHASE_PREDICT && program->slice && b->first > p->first)
        return arena_printf(arena, "phase %s: result '%s' does not live through all slices",
                            phase_name[phase], result->name);
    if (p->count && b->last < p->first + p->count - 1)
        return arena_printf(arena, "phase %s: result '%s' is gone after call %d", phase_name[phase],
                            result->name, b->last);
    return NULL;
}

static const char *phase_fault(const Program *program, int phase)
{
    const ProgramPhase *p = &program->phase[phase];
    bool *written = scratch(program->buffer.count, sizeof *written);
    const char *fault = NULL;
    for (int i = p->first; i < p->first + p->count && !fault; i++)
        fault = order_fault(program, phase, i, written);
    for (int i = 0; i < p->result.count && !fault; i++)
        fault = result_place_fault(program, phase, i, written);
    free(written);
    return fault;
}

/* What lives beyond a loop in which it is used lives throughout it: its place may not serve another in a later step. */
static const char *loop_lives_fault(const Program *program, const ProgramLoop *l)
{
    int last = l->first + l->count - 1;
    for (int i = l->first; i <= last; i++) {
        const Call *call = &program->call.at[i];
        for (int k = 0; k < program->kernel.at[call->kernel]->buffer.count; k++) {
            const Buffer *b = &program->buffer.at[call->buffer[k]];
            bool beyond = b->first < l->first || b->last > last;
            if (beyond && (b->first > l->first || b->last < last))
                return arena_printf(
                    program->arena,
                    "buffer '%s' lives from call %d to %d, which cuts the loop of calls %d to %d", b->name,
                    b->first, b->last, l->first, last);
        }
    }
    return NULL;
}

/* Loops are runs of calls, in order, each within a phase. */
static const char *call_loops_fault(const Program *program)
{
    int end = 0;
    for (int i = 0; i < program->loop.count; i++) {
        const ProgramLoop *l = &program->loop.at[i];
        bool inside = false;
        for (int p = 0; p < PHASE_COUNT; p++)
            inside |= l->first >= program->phase[p].first &&
                      l->first + l->count <= program->phase[p].first + program->phase[p].count;
        if (!inside || l->first < end || l->count < 1 || l->length < 1)
            return arena_printf(program->arena, "loop %d, of calls %d to %d, is no run within a phase", i,
                                l->first, l->first + l->count - 1);
        end = l->first + l->count;
        const char *fault = loop_lives_fault(program, l);
        if (fault)
            return fault;
    }
    return NULL;
}

const char *program_fault(const Program *program)
{
    Arena *arena = program->arena;
    if (!program->model || !program->target)
        return "the program has no model or no target";
    if (program->batch < 1 || program->arena_bytes < program->bound_bytes)
        return arena_printf(
            arena, "an arena of %lld bytes for batches up to %lld is less than the bound of %lld",
            (long long)program->arena_bytes, (long long)program->batch, (long long)program->bound_bytes);
    if (program->slice < 0)
        return "predictions are made of fewer than no samples at a time";
    int calls = 0;
    for (int p = 0; p < PHASE_COUNT; p++) {
        if (program->phase[p].first != calls || program->phase[p].count < 0)
            return arena_printf(arena, "phase %s begins at call %d, not %d", phase_name[p],
                                program->phase[p].first, calls);
        calls += program->phase[p].count;
    }
    if (calls != program->call.count)
        return arena_printf(arena, "the phases have %d calls, the program %d", calls, program->call.count);

    const char *fault = kernels_fault(program);
    if (!fault)
        fault = buffers_fault(program);
    for (int i = 0; i < program->call.count && !fault; i++) {
        fault = call_fault(program, i);
        if (!fault)
            fault = alias_fault(program, i);
    }
    if (!fault)
        fault = call_loops_fault(program);
    for (int p = 0; p < PHASE_COUNT && !fault; p++)
        fault = phase_fault(program, p);
    return fault;
}
