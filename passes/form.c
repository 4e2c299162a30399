#include "form.h"
#include "ops.h"

#include <assert.h>
#include <string.h>

typedef struct Entry {
    uint64_t hash;
    int count;
    void *made;
    int64_t word[];
} Entry;

struct Forms {
    int count; /* of forms, which are numbered from 1 */
    Key key;
    Entry **table; /* open addressing; a power of two */
    int table_size, entries;
};

static Forms *forms_of(Compilation *c)
{
    if (!c->forms) {
        c->forms = arena_alloc(c->arena, sizeof *c->forms);
        c->forms->key.arena = c->arena;
        c->forms->table_size = 1024;
        c->forms->table = arena_alloc(c->arena, (size_t)c->forms->table_size * sizeof(Entry *));
    }
    return c->forms;
}

/* ---- keys ----------------------------------------------------------------------------------------------- */

Key *key_new(Compilation *c, KeyKind kind)
{
    Key *key = &forms_of(c)->key;
    key->word.count = key->buffer.count = key->argument.count = 0;
    key_add(key, kind);
    list_add(key->arena, &key->argument, ARGUMENT_STEP); /* is none of the constants, and always number 0 */
    return key;
}

void key_add(Key *key, int64_t word) { list_add(key->arena, &key->word, word); }

static int buffer_number(Key *key, int id)
{
    int i = 0;
    while (i < key->buffer.count && key->buffer.at[i] != id)
        i++;
    if (i == key->buffer.count)
        list_add(key->arena, &key->buffer, id);
    return i;
}

static int argument_number(Key *key, int64_t value)
{
    int i = 0;
    while (i < key->argument.count && key->argument.at[i] != value)
        i++;
    if (i == key->argument.count)
        list_add(key->arena, &key->argument, value);
    return i;
}

void key_buffer(Key *key, int id) { key_add(key, buffer_number(key, id)); }

void key_argument(Key *key, int64_t value) { key_add(key, argument_number(key, value)); }

void key_type(Key *key, const Type *type)
{
    key_add(key, type->dtype);
    key_add(key, type->rank);
    for (int i = 0; i < type->rank; i++) {
        key_add(key, type->dim[i].count);
        key_add(key, type->dim[i].power);
    }
}

void key_compute(Key *key, const Compute *compute)
{
    assert(compute->form);
    key_add(key, compute->form);
    for (int i = 0; i < compute->buffer.count; i++)
        key_buffer(key, compute->buffer.at[i].id);
    for (int i = 0; i < compute->argument.count; i++)
        key_argument(key, compute->argument.at[i]);
}

/* ---- what was made of them ------------------------------------------------------------------------------ */

static uint64_t key_hash(const Key *key)
{
    uint64_t hash = (uint64_t)key->word.count;
    for (int i = 0; i < key->word.count; i++) {
        hash = (hash ^ (uint64_t)key->word.at[i]) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static void insert(Forms *f, Entry *entry)
{
    uint64_t at = entry->hash;
    while (f->table[at & (uint64_t)(f->table_size - 1)])
        at++;
    f->table[at & (uint64_t)(f->table_size - 1)] = entry;
}

static void table_grow(Forms *f, Arena *arena)
{
    Entry **old = f->table;
    int size = f->table_size;
    f->table_size = 2 * size;
    f->table = arena_alloc(arena, (size_t)f->table_size * sizeof *f->table);
    for (int i = 0; i < size; i++)
        if (old[i])
            insert(f, old[i]);
}

void **made_of(Compilation *c, const Key *key)
{
    Forms *f = forms_of(c);
    uint64_t hash = key_hash(key);
    size_t bytes = (size_t)key->word.count * sizeof *key->word.at;
    for (uint64_t at = hash; f->table[at & (uint64_t)(f->table_size - 1)]; at++) {
        Entry *e = f->table[at & (uint64_t)(f->table_size - 1)];
        if (e->hash == hash && e->count == key->word.count && !memcmp(e->word, key->word.at, bytes))
            return &e->made;
    }
    if (2 * ++f->entries > f->table_size)
        table_grow(f, c->arena);
    Entry *e = arena_alloc(c->arena, sizeof *e + bytes);
    e->hash = hash;
    e->count = key->word.count;
    memcpy(e->word, key->word.at, bytes);
    insert(f, e);
    return &e->made;
}

/* ---- forms ---------------------------------------------------------------------------------------------- */

Form *form_new(Compilation *c, const Key *key, Compute *compute)
{
    Form *form = arena_alloc(c->arena, sizeof *form);
    form->compute = compute;
    if (!compute)
        return form;
    Key numbered = *key; /* everything has a number already: nothing is added */
    form->buffer = arena_alloc(c->arena, ((size_t)compute->buffer.count + 1) * sizeof *form->buffer);
    form->argument = arena_alloc(c->arena, ((size_t)compute->argument.count + 1) * sizeof *form->argument);
    for (int i = 0; i < compute->buffer.count; i++)
        form->buffer[i] = buffer_number(&numbered, compute->buffer.at[i].id);
    for (int i = 0; i < compute->argument.count; i++)
        form->argument[i] = argument_number(&numbered, compute->argument.at[i]);
    assert(numbered.buffer.count == key->buffer.count && numbered.argument.count == key->argument.count);
    compute->axis.capacity = compute->axis.count; /* who adds to a shared list gets one of its own */
    compute->store.capacity = compute->store.count;
    compute->form = ++forms_of(c)->count;
    return form;
}

Compute *form_instance(Compilation *c, const Form *form, const Key *key, const char *name, int loop)
{
    Compute *made = arena_copy(c->arena, form->compute, sizeof *made);
    made->name = name;
    made->loop = loop;
    made->buffer.at =
        arena_copy(c->arena, made->buffer.at, (size_t)made->buffer.count * sizeof *made->buffer.at);
    made->buffer.capacity = made->buffer.count;
    made->argument.at =
        arena_copy(c->arena, made->argument.at, (size_t)made->argument.count * sizeof *made->argument.at);
    made->argument.capacity = made->argument.count;
    for (int i = 0; i < made->buffer.count; i++)
        made->buffer.at[i].id = key->buffer.at[form->buffer[i]];
    for (int i = 0; i < made->argument.count; i++)
        made->argument.at[i] = key->argument.at[form->argument[i]];
    return made;
}

static void print_nameless(Text *text, Compute compute)
{
    compute.name = "";
    compute_print(text, &compute);
    for (int i = 0; i < compute.buffer.count; i++)
        text_printf(text, "%d %d\n", compute.buffer.at[i].read, compute.buffer.at[i].written);
    for (int i = 0; i < compute.argument.count; i++)
        text_printf(text, "%lld\n", (long long)compute.argument.at[i]);
    text_printf(text, "%d %d %a %a\n", compute.phase, compute.loop, compute.flops, compute.bytes);
}

bool compute_equal(const Compute *a, const Compute *b)
{
    Text one = {0}, other = {0};
    print_nameless(&one, *a);
    print_nameless(&other, *b);
    bool equal = !strcmp(text_string(&one), text_string(&other));
    text_free(&one);
    text_free(&other);
    return equal;
}

int form_count(const Compilation *c) { return c->forms ? c->forms->count : 0; }

int *form_firsts(const Compilation *c)
{
    int *first = arena_alloc(c->arena, ((size_t)c->compute.count + 1) * sizeof *first);
    int *of_form = arena_alloc(c->arena, ((size_t)form_count(c) + 1) * sizeof *of_form);
    for (int i = 0; i < c->compute.count; i++) {
        int *seen = &of_form[c->compute.at[i]->form]; /* a compute's number, + 1 */
        if (!*seen || !c->compute.at[i]->form)
            *seen = i + 1;
        first[i] = *seen - 1;
    }
    return first;
}
