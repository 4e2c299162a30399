#include "system.h"

#include "checked.h"
#include "description.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *const run_phase_name[RUN_PHASES] = {"init", "step", "test", "finish", "prepare", "predict"};

void description_free(Description *description)
{
    free(description->memory);
    description->memory = NULL;
}

bool extent_at(Extent extent, int64_t batch, int64_t *value)
{
    *value = extent.count;
    for (int i = 0; i < extent.power; i++)
        if (!checked_multiply(*value, batch, value))
            return false;
    return true;
}

bool buffer_elements(const DescribedBuffer *buffer, int64_t batch, int64_t *elements)
{
    *elements = 1;
    for (int i = 0; i < buffer->rank; i++) {
        int64_t size;
        if (!extent_at(buffer->dim[i], batch, &size) || !checked_multiply(*elements, size, elements))
            return false;
    }
    return true;
}

bool buffer_bytes(const DescribedBuffer *buffer, int64_t batch, int64_t *bytes)
{
    return buffer_elements(buffer, batch, bytes) &&
           checked_multiply(*bytes, element_row[buffer->element].bytes, bytes);
}

bool kernel_items(const DescribedKernel *kernel, int64_t batch, int64_t *items)
{
    int64_t size;
    return extent_at(kernel->extent, batch, &size) && checked_add(size, kernel->divisor - 1, &size) &&
           checked_multiply(size / kernel->divisor, kernel->outer, items);
}

double call_share(const Description *description, int call, int64_t batch)
{
    const DescribedCall *c = &description->call[call];
    for (int i = 0; i < c->buffers; i++)
        for (int r = 0; r < description->buffer[c->buffer[i]].rank; r++)
            if (description->buffer[c->buffer[i]].dim[r].power > 0)
                return (double)batch / (double)description->batch;
    return 1;
}

int description_find(const Description *description, BufferRole role, const char *name)
{
    for (int i = 0; i < description->buffers; i++)
        if (description->buffer[i].role == role && strcmp(description->buffer[i].name, name) == 0)
            return i;
    return -1;
}

void buffer_print_type(FILE *out, const DescribedBuffer *buffer)
{
    fprintf(out, "%s[", element_row[buffer->element].name);
    for (int i = 0; i < buffer->rank; i++) {
        Extent dim = buffer->dim[i];
        fputs(i ? ", " : "", out);
        if (dim.power == 0 || dim.count != 1)
            fprintf(out, dim.power ? "%" PRId64 "*" : "%" PRId64, dim.count);
        if (dim.power)
            fputs("batch", out);
        if (dim.power > 1)
            fprintf(out, "^%d", dim.power);
    }
    fputs("]", out);
}

bool phase_touches(const Description *description, RunPhase phase, int buffer)
{
    const DescribedPhase *p = &description->phase[phase];
    for (int c = p->first; c < p->first + p->count; c++)
        for (int i = 0; i < description->call[c].buffers; i++)
            if (description->call[c].buffer[i] == buffer)
                return true;
    return false;
}
