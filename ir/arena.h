/* Memory that lives as long as a compilation, or a part of it: allocate, never free one by one. */
#ifndef NETC_ARENA_H
#define NETC_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *arena);

/* For what may end before the whole does; arena_free(whole) frees it, too. */
Arena *arena_part(Arena *whole);

/* Zeroed bytes, aligned to 16. Never NULL: when memory is short, the handler below is called, and must not return. */
void *arena_alloc(Arena *arena, size_t bytes);
void *arena_copy(Arena *arena, const void *bytes, size_t count);
char *arena_string(Arena *arena, const char *text);
char *arena_printf(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Called when memory is short; by default abort(). The driver sets one that exits with status 3. */
void arena_set_handler(void (*handler)(void));

/* A growable array in an arena: LIST(Node *) nodes; list_add(arena, &nodes, node); nodes.at[i], nodes.count. */
#define LIST(T)                                                                                              \
    struct {                                                                                                 \
        T *at;                                                                                               \
        int count, capacity;                                                                                 \
    }
#define list_add(arena, list, value)                                                                         \
    ((list)->count == (list)->capacity                                                                       \
         ? (void)((list)->at = list_grow(arena, (list)->at, &(list)->capacity, sizeof *(list)->at))          \
         : (void)0,                                                                                          \
     (list)->at[(list)->count++] = (value))
void *list_grow(Arena *arena, void *at, int *capacity, size_t size);

#endif
