#include "system.h"

#include "tensor_view.h"

#include <string.h>

TensorView tensor_view(const Machine *machine, int buffer, int64_t batch)
{
    const DescribedBuffer *b = &machine->description->buffer[buffer];
    TensorView view = {machine_buffer(machine, buffer), b->element, b->rank, {0}, {0}, 1, true};
    for (int i = 0; i < b->rank; i++)
        extent_at(b->dim[i], batch, &view.dim[i]);
    for (int i = b->rank - 1, before = b->rank; i >= 0; i--) {
        int axis = b->axis[i];
        view.stride[axis] = view.elements;
        view.elements *= view.dim[axis];
        if (view.dim[axis] != 1) { /* an axis of one index may stand anywhere */
            view.plain = view.plain && axis < before;
            before = axis;
        }
    }
    return view;
}

/* Walks the elements by runs along the last axis: into the view from `from`, or, where that is NULL, out into
 * `to`. */
static void view_copy(const TensorView *view, int64_t first, int64_t count, char *to, const char *from)
{
    int64_t size = element_row[view->element].bytes, last = view->rank - 1;
    while (count > 0) {
        int64_t rest = first, at = 0;
        for (int64_t i = last; i >= 0; rest /= view->dim[i], i--)
            at += rest % view->dim[i] * view->stride[i];
        int64_t run = view->dim[last] - first % view->dim[last];
        run = run < count ? run : count;
        char *memory = view->at + at * size;
        for (int64_t i = 0; i < run; i++, memory += view->stride[last] * size)
            if (from) {
                memcpy(memory, from, (size_t)size);
                from += size;
            } else {
                memcpy(to, memory, (size_t)size);
                to += size;
            }
        first += run;
        count -= run;
    }
}

void view_read(const TensorView *view, int64_t first, int64_t count, void *to)
{
    int64_t size = element_row[view->element].bytes;
    if (view->plain)
        memcpy(to, view->at + first * size, (size_t)(count * size));
    else
        view_copy(view, first, count, to, NULL);
}

void view_write(const TensorView *view, int64_t first, int64_t count, const void *from)
{
    int64_t size = element_row[view->element].bytes;
    if (view->plain)
        memcpy(view->at + first * size, from, (size_t)(count * size));
    else
        view_copy(view, first, count, NULL, from);
}

bool view_write_from(const TensorView *view, int64_t first, int64_t count, const void *from, Element source)
{
    enum { BLOCK = 256 };
    double block[BLOCK]; /* of any element type */
    const char *in = from;
    if (source == view->element) {
        view_write(view, first, count, from);
        return true;
    }
    for (int64_t done = 0; done < count; done += BLOCK, in += BLOCK * element_row[source].bytes) {
        int64_t n = count - done < BLOCK ? count - done : BLOCK;
        if (!element_convert(block, view->element, in, source, n))
            return false;
        view_write(view, first + done, n, block);
    }
    return true;
}

void view_zero(const TensorView *view)
{
    memset(view->at, 0, (size_t)(view->elements * element_row[view->element].bytes));
}
