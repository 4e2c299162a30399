#include "elaborate.h"

#include <string.h>

enum { LONGEST = 32 };

/* Edits that make b of a: insert, drop, change, swap neighbours (optimal string alignment). */
static int edit_distance(const char *a, const char *b)
{
    int m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST || n > LONGEST)
        return LONGEST;
    int row[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= m; i++)
        for (int j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                row[i][j] = i + j;
                continue;
            }
            int least = row[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            least = row[i - 1][j] + 1 < least ? row[i - 1][j] + 1 : least;
            least = row[i][j - 1] + 1 < least ? row[i][j - 1] + 1 : least;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                row[i - 2][j - 2] + 1 < least)
                least = row[i - 2][j - 2] + 1;
            row[i][j] = least;
        }
    return row[m][n];
}

/* A third of the letters may be wrong: more is another word. */
Nearest nearest_of(const char *word) { return (Nearest){word, NULL, (int)(strlen(word) + 2) / 3 + 1}; }

void nearest_try(Nearest *nearest, const char *name)
{
    int distance = edit_distance(nearest->word, name);
    if (distance < nearest->distance ||
        (distance == nearest->distance && nearest->best && strcmp(name, nearest->best) < 0)) {
        nearest->distance = distance;
        nearest->best = name;
    }
}

void nearest_try_map(Nearest *nearest, const Map *map)
{
    for (int i = 0; i < map->size; i++)
        if (map->at[i].key && map->at[i].value)
            nearest_try(nearest, map->at[i].key);
}

const char *nearest_text(Elaborator *e, const Nearest *nearest)
{
    return nearest->best ? arena_printf(e->arena, "; did you mean '%s'?", nearest->best) : "";
}
