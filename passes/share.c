/* Equal kernels are one function: Computes that differ only in the buffers they touch, and in the constants of their calls,
   are built once. So compile time and code size follow the number of different layers, not the depth. Of one form they are
   known to be equal; forms are compared by what they print. */
#include "form.h"
#include "ops.h"

#include <stdlib.h>
#include <string.h>

typedef struct Spelling {
    uint64_t hash;
    const char *text;
    int compute;
} Spelling;

const char *compute_key(Arena *arena, const Compute *compute)
{
    Compute plain = *compute;
    ComputeBuffer *buffer = arena_copy(arena, plain.buffer.at, (size_t)plain.buffer.count * sizeof *buffer);
    for (int b = 0; b < plain.buffer.count; b++)
        buffer[b].id = 2 * buffer[b].read + buffer[b].written;
    plain.buffer.at = buffer;
    plain.name = "";
    Text text = {0};
    compute_print(&text, &plain);
    text_printf(&text, "arguments %d\n", plain.argument.count);
    for (int a = 0; a < plain.argument.count; a++)
        text_add(&text, plain.argument.at[a] == ARGUMENT_STEP ? "step\n" : "constant\n");
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static Spelling spelling_of(Compilation *c, int i)
{
    const char *text = compute_key(c->arena, c->compute.at[i]);
    return (Spelling){text_hash(text, strlen(text)), text, i};
}

static int compare(const void *x, const void *y)
{
    const Spelling *a = x, *b = y;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = strcmp(a->text, b->text);
    return order ? order : a->compute - b->compute;
}

bool pass_share(Compilation *c)
{
    LIST(Spelling) form = {0};
    const int *first = form_firsts(c);
    for (int i = 0; i < c->compute.count; i++)
        if (first[i] == i)
            list_add(c->arena, &form, spelling_of(c, i));
    if (form.count)
        qsort(form.at, (size_t)form.count, sizeof *form.at, compare);
    c->same = arena_alloc(c->arena, ((size_t)c->compute.count + 1) * sizeof *c->same);
    for (int i = 0; i < form.count; i++) {
        const Spelling *s = &form.at[i];
        bool equal = i > 0 && s->hash == s[-1].hash && !strcmp(s->text, s[-1].text);
        c->same[s->compute] = equal ? c->same[s[-1].compute] : s->compute;
    }
    for (int i = 0; i < c->compute.count; i++)
        c->same[i] = c->same[first[i]];
    return true;
}
