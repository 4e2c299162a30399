#include "plan.h"

#include <stdlib.h>
#include <string.h>

/* A placed buffer, reduced to what the search for a gap reads. */
typedef struct Placed {
    int first, last;
    int64_t offset, end;
} Placed;

static int64_t align_up(int64_t bytes)
{
    return (bytes + PLAN_ALIGNMENT - 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
}

/* Largest first; then program order, so that equal programs get equal plans. */
static int compare_size(const void *x, const void *y)
{
    const PlanBuffer *a = *(PlanBuffer *const *)x, *b = *(PlanBuffer *const *)y;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return (a > b) - (a < b);
}

static int compare_first(const void *x, const void *y)
{
    const PlanBuffer *a = *(PlanBuffer *const *)x, *b = *(PlanBuffer *const *)y;
    return (a->first > b->first) - (a->first < b->first);
}

static int compare_last(const void *x, const void *y)
{
    const PlanBuffer *a = *(PlanBuffer *const *)x, *b = *(PlanBuffer *const *)y;
    return (a->last > b->last) - (a->last < b->last);
}

/* The lowest offset from `floor` at which `buffer` meets no placed buffer that is live with it. `placed`
   ascends by offset. */
static int64_t lowest_gap(const PlanBuffer *buffer, int64_t floor, const Placed *placed, int count)
{
    int64_t offset = floor, bytes = align_up(buffer->bytes);
    int first = buffer->first, last = buffer->last;
    for (const Placed *p = placed; p < placed + count; p++) {
        if (p->first > last || p->last < first || p->end <= offset)
            continue;
        if (offset + bytes <= p->offset)
            break;
        offset = p->end;
    }
    return offset;
}

static void insert_by_offset(const PlanBuffer *buffer, Placed *placed, int count)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (placed[middle].offset <= buffer->offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(placed + low + 1, placed + low, (size_t)(count - low) * sizeof *placed);
    placed[low] =
        (Placed){buffer->first, buffer->last, buffer->offset, buffer->offset + align_up(buffer->bytes)};
}

/* What lives throughout (the parameters) meets everything, so it lies at the bottom and no search need look
 * at it. */
static int64_t place_permanent(PlanBuffer **order, int count, int first, int last)
{
    int64_t floor = 0;
    for (int i = 0; i < count; i++) {
        order[i]->offset = PLAN_UNPLACED;
        if (order[i]->first == first && order[i]->last == last) {
            order[i]->offset = floor;
            floor += align_up(order[i]->bytes);
        }
    }
    return floor;
}

/* An era is a time that no other buffer's life leads out of, such as a phase: each has its own placed buffers. Those of a
   buffer's era begin at placed[era[buffer]]. */
static void find_eras(const Plan *plan, PlanBuffer **order, int first, int last, int *era)
{
    qsort(order, (size_t)plan->count, sizeof *order, compare_first);
    for (int i = 0, begin = 0, end = first - 1; i < plan->count; i++) {
        if (order[i]->first == first && order[i]->last == last) /* permanent */
            continue;
        begin = order[i]->first > end ? i : begin;
        end = order[i]->last > end ? order[i]->last : end;
        era[order[i] - plan->buffer] = begin;
    }
}

static void place_all(Plan *plan, PlanBuffer **order, Placed *placed, int *era, int *count)
{
    int first = plan->count ? order[0]->first : 0, last = plan->count ? order[0]->last : 0;
    for (int i = 1; i < plan->count; i++) {
        first = order[i]->first < first ? order[i]->first : first;
        last = order[i]->last > last ? order[i]->last : last;
    }
    find_eras(plan, order, first, last, era);
    qsort(order, (size_t)plan->count, sizeof *order, compare_size);

    int64_t floor = place_permanent(order, plan->count, first, last);
    plan->arena_bytes = floor;
    for (int i = 0; i < plan->count; i++) {
        PlanBuffer *buffer = order[i];
        if (buffer->offset != PLAN_UNPLACED)
            continue;
        int begin = era[buffer - plan->buffer];
        buffer->offset = lowest_gap(buffer, floor, placed + begin, count[begin]);
        insert_by_offset(buffer, placed + begin, count[begin]++);
        int64_t end = buffer->offset + align_up(buffer->bytes);
        plan->arena_bytes = end > plan->arena_bytes ? end : plan->arena_bytes;
    }
}

/* Only where some buffer is born can the sum reach its maximum. */
static void find_bound(Plan *plan, PlanBuffer **birth, PlanBuffer **death)
{
    qsort(birth, (size_t)plan->count, sizeof *birth, compare_first);
    qsort(death, (size_t)plan->count, sizeof *death, compare_last);

    int64_t live = 0;
    plan->bound_bytes = plan->bound_kernel = 0;
    for (int i = 0, dead = 0; i < plan->count; i++) {
        for (; death[dead]->last < birth[i]->first; dead++)
            live -= align_up(death[dead]->bytes);
        live += align_up(birth[i]->bytes);
        if (live > plan->bound_bytes) {
            plan->bound_bytes = live;
            plan->bound_kernel = birth[i]->first;
        }
    }
}

static bool bytes_in_range(const Plan *plan)
{
    int64_t sum = 0;
    for (int i = 0; i < plan->count; i++) {
        int64_t bytes = plan->buffer[i].bytes;
        if (bytes < 0 || bytes > PLAN_MOST_BYTES || align_up(bytes) > PLAN_MOST_BYTES - sum)
            return false;
        sum += align_up(bytes);
    }
    return true;
}

bool plan_memory(Plan *plan)
{
    size_t count = (size_t)plan->count;
    PlanBuffer **order = calloc(count + 1, sizeof *order), **death = calloc(count + 1, sizeof *death);
    Placed *placed = calloc(count + 1, sizeof *placed);
    int *era = calloc(count + 1, sizeof *era), *in_era = calloc(count + 1, sizeof *in_era);
    bool done = order && death && placed && era && in_era && bytes_in_range(plan);

    if (done) {
        for (int i = 0; i < plan->count; i++)
            order[i] = death[i] = &plan->buffer[i];
        place_all(plan, order, placed, era, in_era);
        find_bound(plan, order, death);
    }
    free(in_era);
    free(era);
    free(placed);
    free(death);
    free(order);
    return done;
}
