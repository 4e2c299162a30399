/* "Did you mean": the name nearest to a mistyped one. */
#ifndef NETC_NEAREST_H
#define NETC_NEAREST_H

typedef struct Nearest {
    const char *word, *best; /* best: NULL while no name is near enough to suggest */
    int distance;
} Nearest;

Nearest nearest_of(const char *word);
void nearest_try(Nearest *nearest, const char *name);

#endif
