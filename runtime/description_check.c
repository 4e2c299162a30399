/* The rules of a descriptor that need the whole. The compiler asks for them once, so that a program need not. */
#include "system.h"

#include "checked.h"
#include "description.h"
#include "descriptor.h"

#include <stdio.h>

bool description_fault(Fault *fault, const char *what, const char *name)
{
    return fault_set(fault, STATUS_INTERNAL, "broken descriptor: %s: '%s'", what, name);
}

static bool check_buffer(const Description *d, const DescribedBuffer *b, Fault *fault)
{
    int64_t bytes, end;
    if (b->offset % 64 != 0)
        return description_fault(fault, "a misaligned buffer", b->name);
    if (!buffer_bytes(b, d->batch, &bytes) || !checked_add(b->offset, bytes, &end))
        return description_fault(fault, "a buffer too large to address", b->name);
    if ((b->role == ROLE_SLOT) != (b->of >= 0) || (b->of >= 0 && d->buffer[b->of].role != ROLE_PARAM))
        return description_fault(fault, "slots, and only they, belong to a parameter", b->name);
    if (b->role == ROLE_SCALAR && b->rank > 1)
        return description_fault(fault, "a scalar with more than one dimension", b->name);
    unsigned seen = 0;
    for (int i = 0; i < b->rank; i++)
        seen |= 1u << b->axis[i];
    if (seen != (1u << b->rank) - 1)
        return description_fault(fault, "the axes are no permutation", b->name);
    return true;
}

static bool check_training(const Description *d, Fault *fault)
{
    for (int i = 0; i < d->fields; i++) {
        const DescribedBuffer *b = &d->buffer[d->field[i]];
        if (b->role != ROLE_INPUT || b->rank < 1 || b->dim[0].count != 1 || b->dim[0].power != 1)
            return description_fault(fault, "a field is no input whose first dimension is the batch",
                                     b->name);
        for (int r = 1; r < b->rank; r++)
            if (b->dim[r].power != 0)
                return description_fault(fault, "a field's sample depends on the batch", b->name);
    }
    if (d->options > DESCRIPTION_OPTIONS)
        return description_fault(fault, "too many options", d->model);
    for (int i = 0; i < d->options; i++) {
        const DescribedBuffer *b = &d->buffer[d->option[i].buffer];
        if (b->role != ROLE_SCALAR || b->rank != 0 || !element_row[b->element].is_float)
            return description_fault(fault, "an option is no scalar number", d->option[i].name);
    }
    return true;
}

static bool persists(const DescribedBuffer *b) { return b->role < ROLE_RESULT; }

static bool check_call(const Description *d, int call, Fault *fault)
{
    const DescribedCall *c = &d->call[call];
    for (int i = 0; i < c->buffers; i++) {
        const DescribedBuffer *b = &d->buffer[c->buffer[i]];
        if (!persists(b) && (b->first > call || b->last < call))
            return description_fault(fault, "a call outside the life of its buffer", b->name);
    }
    return true;
}

/* Loops lie within the phase, side by side. */
static bool check_loops(const Description *d, const DescribedPhase *p, Fault *fault)
{
    int end = p->first + p->count;
    for (int c = p->first, last = c; c < end; c++) {
        const DescribedCall *call = &d->call[c];
        if (call->loop_calls > end - c)
            return description_fault(fault, "a loop beyond the end of its phase", call->name);
        if (call->loop_calls && c < last)
            return description_fault(fault, "a loop in a loop", call->name);
        last = call->loop_calls ? c + call->loop_calls : last;
    }
    return true;
}

static bool check_phases(const Description *d, Fault *fault)
{
    int next = 0;
    for (int i = 0; i < RUN_PHASES; i++) {
        const DescribedPhase *p = &d->phase[i];
        if (p->slice && i != RUN_PREDICT)
            return description_fault(fault, "only predictions are made in slices", run_phase_name[i]);
        if (p->count && p->first != next)
            return description_fault(fault, "the phases' calls are not one after another", run_phase_name[i]);
        if (!check_loops(d, p, fault))
            return false;
        next += p->count;
    }
    return next == d->calls || description_fault(fault, "calls outside the phases", d->model);
}

/* `finish` runs with batch = number of samples, for which nothing is planned. */
static bool check_finish(const Description *d, Fault *fault)
{
    const DescribedPhase *p = &d->phase[RUN_FINISH];
    for (int c = p->first; c < p->first + p->count; c++) {
        const DescribedCall *call = &d->call[c];
        if (d->kernel[call->kernel].extent.power != 0)
            return description_fault(fault, "a kernel of finish grows with the batch", call->name);
        for (int i = 0; i < call->buffers; i++)
            for (int r = 0; r < d->buffer[call->buffer[i]].rank; r++)
                if (d->buffer[call->buffer[i]].dim[r].power != 0)
                    return description_fault(fault, "a buffer of finish grows with the batch",
                                             d->buffer[call->buffer[i]].name);
    }
    return true;
}

static bool check_results(const Description *d, Fault *fault)
{
    for (int p = 0; p < RUN_PHASES; p++)
        for (int i = 0; i < d->phase[p].results; i++) {
            const DescribedResult *r = &d->phase[p].result[i];
            int64_t elements;
            if (r->role != RESULT_IS_OUTPUT &&
                (!buffer_elements(&d->buffer[r->buffer], d->batch, &elements) || elements != 1))
                return description_fault(fault, "a loss or metric is no single number", r->name);
        }
    return true;
}

/* What a slice reads or writes of the whole batch is a list of samples, in memory too, and is there for all slices. */
static bool check_slices(const Description *d, Fault *fault)
{
    const DescribedPhase *p = &d->phase[RUN_PREDICT];
    for (int c = p->first; p->slice && c < p->first + p->count; c++)
        for (int i = 0; i < d->call[c].buffers; i++) {
            const DescribedBuffer *b = &d->buffer[d->call[c].buffer[i]];
            for (int r = 0; b->role != ROLE_TRANSIENT && r < b->rank; r++)
                if (b->dim[r].power && (r || b->dim[r].power > 1 || b->axis[0] != 0))
                    return description_fault(fault, "a slice of what is no list of samples", b->name);
            if (b->role == ROLE_RESULT && (b->first > p->first || b->last < p->first + p->count - 1))
                return description_fault(fault, "a result that does not live through all slices", b->name);
        }
    return true;
}

bool description_check(const Description *d, Fault *fault)
{
    for (int i = 0; i < d->buffers; i++)
        if (!check_buffer(d, &d->buffer[i], fault))
            return false;
    for (int i = 0; i < d->kernels; i++) {
        int64_t items;
        if (!kernel_items(&d->kernel[i], d->batch, &items))
            return description_fault(fault, "a kernel with too many items", d->kernel[i].name);
    }
    for (int i = 0; i < d->calls; i++)
        if (!check_call(d, i, fault))
            return false;
    return check_phases(d, fault) && check_training(d, fault) && check_finish(d, fault) &&
           check_slices(d, fault) && check_results(d, fault);
}

bool netc_check(const char *descriptor, char *why, size_t size)
{
    Fault fault = {0};
    Description description;
    bool done =
        description_parse(&description, descriptor, &fault) && description_check(&description, &fault);
    description_free(&description);
    snprintf(why, size, "%s", fault.text);
    return done;
}
