/* A buffer seen in logical order, whatever its layout in memory: how data, checkpoints and results go in and
 * out. */
#ifndef NETC_TENSOR_VIEW_H
#define NETC_TENSOR_VIEW_H

#include "machine.h"

typedef struct TensorView {
    char *at;
    Element element;
    int rank;
    int64_t dim[DESCRIPTION_RANK];
    int64_t stride[DESCRIPTION_RANK]; /* elements */
    int64_t elements;
    bool plain; /* memory is in logical order */
} TensorView;

TensorView tensor_view(const Machine *machine, int buffer, int64_t batch);

/* The elements first … first+count-1, in logical order; all of them are in the view. */
void view_read(const TensorView *view, int64_t first, int64_t count, void *to);
void view_write(const TensorView *view, int64_t first, int64_t count, const void *from);

/* The same from another element type. False where a value does not fit (see element_convert). */
bool view_write_from(const TensorView *view, int64_t first, int64_t count, const void *from, Element source);

void view_zero(const TensorView *view);

#endif
