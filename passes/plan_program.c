/* Every buffer gets its lifetime, from the call that makes it to the last that reads it, and its place in one arena. What a
   program keeps from phase to phase lives throughout. */
#include "passes.h"
#include "plan.h"

#include <string.h>

/* Buffers that renaming left without a use go; the others are numbered anew. */
static void drop_unused(Program *p)
{
    int *now = arena_alloc(p->arena, ((size_t)p->buffer.count + 1) * sizeof *now), kept = 0;
    for (int i = 0; i < p->buffer.count; i++) {
        now[i] = kept;
        if (p->buffer.at[i].first >= 0 || p->buffer.at[i].last >= 0)
            p->buffer.at[kept++] = p->buffer.at[i];
    }
    p->buffer.count = kept;
    for (int i = 0; i < p->call.count; i++)
        for (int b = 0; b < p->kernel.at[p->call.at[i].kernel]->buffer.count; b++)
            p->call.at[i].buffer[b] = now[p->call.at[i].buffer[b]];
    for (int q = 0; q < PHASE_COUNT; q++)
        for (int r = 0; r < p->phase[q].result.count; r++)
            p->phase[q].result.at[r].buffer = now[p->phase[q].result.at[r].buffer];
}

static void extend(Buffer *buffer, int first, int last)
{
    buffer->first = buffer->first < 0 || first < buffer->first ? first : buffer->first;
    buffer->last = last > buffer->last ? last : buffer->last;
}

/* What a loop's step does not make and use up itself lives throughout the loop. */
static void extend_over_loops(Program *p)
{
    for (int l = 0; l < p->loop.count; l++) {
        int first = p->loop.at[l].first, last = first + p->loop.at[l].count - 1;
        for (int i = first; i <= last; i++)
            for (int b = 0; b < p->kernel.at[p->call.at[i].kernel]->buffer.count; b++) {
                Buffer *buffer = &p->buffer.at[p->call.at[i].buffer[b]];
                if (buffer->first < first || buffer->last > last)
                    extend(buffer, first, last);
            }
    }
}

static void find_lives(Program *p)
{
    for (int i = 0; i < p->call.count; i++)
        for (int b = 0; b < p->kernel.at[p->call.at[i].kernel]->buffer.count; b++) {
            Buffer *buffer = &p->buffer.at[p->call.at[i].buffer[b]];
            extend(buffer, i, i);
        }
    extend_over_loops(p);
    for (int q = 0; q < PHASE_COUNT; q++)
        for (int r = 0; r < p->phase[q].result.count; r++)
            p->buffer.at[p->phase[q].result.at[r].buffer].last = p->phase[q].first + p->phase[q].count - 1;
    const ProgramPhase *predict = &p->phase[PHASE_PREDICT];
    for (int r = 0; p->slice && r < predict->result.count;
         r++) { /* the next slice leaves alone what the last one gave */
        Buffer *b = &p->buffer.at[predict->result.at[r].buffer];
        b->first = b->kind == BUFFER_RESULT ? predict->first : b->first;
    }
    for (int i = 0; i < p->buffer.count; i++) {
        Buffer *b = &p->buffer.at[i];
        if (b->kind == BUFFER_VARIABLE) {
            b->first = 0;
            b->last = p->call.count ? p->call.count - 1 : 0;
        } else if (b->kind == BUFFER_PREPARED && b->first >= 0) { /* for all predictions to come */
            b->last = predict->first + predict->count - 1;
        }
    }
}

bool pass_plan(Compilation *c)
{
    Program *p = c->program;
    p->batch = c->model->batch;
    find_lives(p);
    drop_unused(p);
    PlanBuffer *buffer = arena_alloc(c->arena, ((size_t)p->buffer.count + 1) * sizeof *buffer);
    for (int i = 0; i < p->buffer.count; i++) {
        const Buffer *b = &p->buffer.at[i];
        buffer[i] = (PlanBuffer){b->name, program_buffer_bytes(p, b), b->first, b->last, PLAN_UNPLACED};
    }
    Plan plan = {.buffer = buffer, .count = p->buffer.count};
    char text[300];
    if (!plan_memory(&plan)) {
        diag_report(c->diag, DIAG_ERROR, (Span){0},
                    "the program's memory is too large: more than 2^62 bytes at batch %lld",
                    (long long)p->batch);
        return false;
    }
    if (plan_fault(&plan, text, sizeof text)) {
        diag_report(c->diag, DIAG_ERROR, (Span){0}, "internal: memory plan: %s", text);
        return false;
    }
    for (int i = 0; i < p->buffer.count; i++)
        p->buffer.at[i].offset = buffer[i].offset;
    p->arena_bytes = plan.arena_bytes;
    p->bound_bytes = plan.bound_bytes;
    p->bound_call = plan.bound_kernel;
    return true;
}
