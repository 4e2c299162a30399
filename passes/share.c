/* Equal kernels are one function: Computes that differ only in the buffers they touch, and in the constants of their calls,
   are built once. So compile time and code size follow the number of different layers, not the depth. */
#include "ops.h"
#include "passes.h"

#include <stdlib.h>
#include <string.h>

typedef struct Key {
    uint64_t hash;
    char *text;
    int compute;
} Key;

static Key key_of(Compilation *c, int i)
{
    Compute plain = *c->compute.at[i];
    ComputeBuffer *buffer =
        arena_copy(c->arena, plain.buffer.at, (size_t)plain.buffer.count * sizeof *buffer);
    for (int b = 0; b < plain.buffer.count; b++)
        buffer[b].id = 2 * buffer[b].read + buffer[b].written;
    plain.buffer.at = buffer;
    plain.name = "";
    Text text = {0};
    compute_print(&text, &plain);
    text_printf(&text, "arguments %d\n", plain.argument.count);
    for (int a = 0; a < plain.argument.count; a++)
        text_add(&text, plain.argument.at[a] == ARGUMENT_STEP ? "step\n" : "constant\n");
    Key key = {text_hash(text_string(&text), text.length), arena_string(c->arena, text_string(&text)), i};
    text_free(&text);
    return key;
}

static int compare_keys(const void *x, const void *y)
{
    const Key *a = x, *b = y;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    int order = strcmp(a->text, b->text);
    return order ? order : a->compute - b->compute;
}

bool pass_share(Compilation *c)
{
    size_t count = (size_t)c->compute.count;
    Key *key = arena_alloc(c->arena, (count + 1) * sizeof *key);
    c->same = arena_alloc(c->arena, (count + 1) * sizeof *c->same);
    for (int i = 0; i < c->compute.count; i++)
        key[i] = key_of(c, i);
    qsort(key, count, sizeof *key, compare_keys);
    for (size_t i = 0; i < count; i++) {
        bool equal = i > 0 && key[i].hash == key[i - 1].hash && !strcmp(key[i].text, key[i - 1].text);
        c->same[key[i].compute] = equal ? c->same[key[i - 1].compute] : key[i].compute;
    }
    return true;
}
