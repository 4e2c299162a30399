#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sweep goes from birth to birth with the live buffers in a list by offset. As long as those are apart, a
   newborn can only meet its two neighbours there. */
typedef struct Sweep {
    const PlanBuffer **birth, **death, **live; /* by first kernel; by last; by offset */
    int buried, count;                         /* of death; of live */
} Sweep;

static int64_t end_of(const PlanBuffer *buffer) { return buffer->offset + buffer->bytes; }

static int by_birth(const void *x, const void *y)
{
    const PlanBuffer *a = *(const PlanBuffer *const *)x, *b = *(const PlanBuffer *const *)y;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first) : (a > b) - (a < b);
}

static int by_death(const void *x, const void *y)
{
    const PlanBuffer *a = *(const PlanBuffer *const *)x, *b = *(const PlanBuffer *const *)y;
    return a->last != b->last ? (a->last > b->last) - (a->last < b->last) : (a > b) - (a < b);
}

/* The first live buffer that does not lie below this offset. */
static int place_of(const Sweep *sweep, int64_t offset)
{
    int low = 0, high = sweep->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (sweep->live[middle]->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void bury_dead(Sweep *sweep, int kernel)
{
    for (; sweep->death[sweep->buried]->last < kernel; sweep->buried++) {
        int place = place_of(sweep, sweep->death[sweep->buried]->offset);
        sweep->count--;
        memmove(sweep->live + place, sweep->live + place + 1,
                (size_t)(sweep->count - place) * sizeof *sweep->live);
    }
}

/* Adds a newborn; returns the live buffer whose bytes it shares, else NULL. */
static const PlanBuffer *add_live(Sweep *sweep, const PlanBuffer *newborn)
{
    int low = place_of(sweep, newborn->offset);
    if (low > 0 && end_of(sweep->live[low - 1]) > newborn->offset)
        return sweep->live[low - 1];
    if (low < sweep->count && sweep->live[low]->offset < end_of(newborn))
        return sweep->live[low];
    memmove(sweep->live + low + 1, sweep->live + low, (size_t)(sweep->count - low) * sizeof *sweep->live);
    sweep->live[low] = newborn;
    sweep->count++;
    return NULL;
}

static const char *find_meeting(const Plan *plan, Sweep *sweep, char *text, size_t size)
{
    int count = 0;
    for (int i = 0; i < plan->count; i++)
        if (plan->buffer[i].bytes > 0)
            sweep->birth[count] = sweep->death[count] = &plan->buffer[i], count++;
    qsort(sweep->birth, (size_t)count, sizeof *sweep->birth, by_birth);
    qsort(sweep->death, (size_t)count, sizeof *sweep->death, by_death);

    for (int i = 0; i < count; i++) {
        const PlanBuffer *a = sweep->birth[i];
        if (i == 0 || a->first != sweep->birth[i - 1]->first)
            bury_dead(sweep, a->first);
        const PlanBuffer *b = add_live(sweep, a);
        if (b) {
            snprintf(text, size,
                     "'%s' at %" PRId64 "+%" PRId64 " meets '%s' at %" PRId64 "+%" PRId64 " in kernel %d",
                     a->name, a->offset, a->bytes, b->name, b->offset, b->bytes, a->first);
            return text;
        }
    }
    return NULL;
}

static bool lies_inside(const PlanBuffer *b, int64_t arena_bytes)
{
    return b->bytes >= 0 && b->bytes <= arena_bytes && b->offset >= 0 && b->offset % PLAN_ALIGNMENT == 0 &&
           b->offset <= arena_bytes - b->bytes;
}

const char *plan_fault(const Plan *plan, char *text, size_t size)
{
    for (int i = 0; i < plan->count; i++) {
        const PlanBuffer *b = &plan->buffer[i];
        if (b->first > b->last) {
            snprintf(text, size, "'%s' dies in kernel %d, before its birth in %d", b->name, b->last,
                     b->first);
            return text;
        }
        if (!lies_inside(b, plan->arena_bytes)) {
            snprintf(text, size,
                     "'%s' at %" PRId64 "+%" PRId64 " is misaligned or outside the arena of %" PRId64,
                     b->name, b->offset, b->bytes, plan->arena_bytes);
            return text;
        }
    }

    size_t count = (size_t)plan->count + 1;
    Sweep sweep = {.birth = calloc(count, sizeof *sweep.birth),
                   .death = calloc(count, sizeof *sweep.death),
                   .live = calloc(count, sizeof *sweep.live)};
    const char *fault = text;
    if (sweep.birth && sweep.death && sweep.live)
        fault = find_meeting(plan, &sweep, text, size);
    else
        snprintf(text, size, "not enough memory to check a plan of %d buffers", plan->count);
    free(sweep.live);
    free(sweep.death);
    free(sweep.birth);
    return fault;
}
