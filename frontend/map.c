#include "elaborate.h"

#include <string.h>

static struct MapEntry *slot(const Map *map, const char *key)
{
    uint64_t at = text_hash(key, strlen(key));
    at ^= at >> 32;
    for (;; at++) {
        struct MapEntry *entry = &map->at[at & (uint64_t)(map->size - 1)];
        if (!entry->key || !strcmp(entry->key, key))
            return entry;
    }
}

void *map_find(const Map *map, const char *key) { return map->size ? slot(map, key)->value : NULL; }

static void grow(Arena *arena, Map *map)
{
    Map larger = {.size = map->size ? 2 * map->size : 8, .count = map->count};
    larger.at = arena_alloc(arena, (size_t)larger.size * sizeof *larger.at);
    for (int i = 0; i < map->size; i++)
        if (map->at[i].key)
            *slot(&larger, map->at[i].key) = map->at[i];
    *map = larger;
}

void map_set(Arena *arena, Map *map, const char *key, void *value)
{
    if (2 * map->count >= map->size)
        grow(arena, map);
    struct MapEntry *entry = slot(map, key);
    map->count += !entry->key;
    *entry = (struct MapEntry){key, value};
}
