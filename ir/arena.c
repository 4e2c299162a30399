#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Block {
    struct Block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
} Block;

struct Arena {
    Block *block;
    Arena *parts, *next; /* the first part; the next of the same whole */
    Arena **link;        /* what points to this part */
};

enum { BLOCK_BYTES = 1 << 16, ALIGNMENT = 16 };

static void (*out_of_memory)(void) = abort;

void arena_set_handler(void (*handler)(void)) { out_of_memory = handler; }

Arena *arena_new(void)
{
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        out_of_memory();
    return arena;
}

Arena *arena_part(Arena *whole)
{
    Arena *part = arena_new();
    part->next = whole->parts;
    part->link = &whole->parts;
    if (part->next)
        part->next->link = &part->next;
    return whole->parts = part;
}

void arena_free(Arena *arena)
{
    if (!arena)
        return;
    while (arena->parts)
        arena_free(arena->parts);
    if (arena->link)
        *arena->link = arena->next;
    if (arena->next)
        arena->next->link = arena->link;
    for (Block *b = arena->block, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(arena);
}

static Block *block_add(Arena *arena, size_t bytes)
{
    size_t size = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
    Block *b = size < SIZE_MAX - sizeof *b ? calloc(1, sizeof *b + size) : NULL;
    if (!b) {
        out_of_memory();
        return NULL;
    }
    b->size = size;
    if (arena->block && size == bytes) { /* a block of its own goes behind the one being filled */
        b->next = arena->block->next;
        arena->block->next = b;
    } else {
        b->next = arena->block;
        arena->block = b;
    }
    return b;
}

void *arena_alloc(Arena *arena, size_t bytes)
{
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    Block *b = arena->block;
    if (!b || b->size - b->used < bytes)
        b = block_add(arena, bytes);
    void *at = b->bytes + b->used;
    b->used += bytes;
    return at;
}

void *arena_copy(Arena *arena, const void *bytes, size_t count)
{
    void *copy = arena_alloc(arena, count);
    if (count)
        memcpy(copy, bytes, count);
    return copy;
}

char *arena_string(Arena *arena, const char *text) { return arena_copy(arena, text, strlen(text) + 1); }

char *arena_vprintf(Arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vprintf(arena, format, arguments);
    va_end(arguments);
    return text;
}

void *list_grow(Arena *arena, void *at, int *capacity, size_t size)
{
    int larger = *capacity ? 2 * *capacity : 8;
    void *copy = arena_alloc(arena, (size_t)larger * size);
    if (*capacity)
        memcpy(copy, at, (size_t)*capacity * size);
    *capacity = larger;
    return copy;
}
