/* Any bytes given as a tune file: an error, or sections that print, and are read again. */
#include "tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static bool parse(Arena *arena, Diagnostics *diag, const char *text, size_t length, TuneFile *file)
{
    Source *source = arena_alloc(arena, sizeof *source);
    *source = (Source){"fuzz.tune", text, length};
    return tune_read(arena, diag, source, file);
}

static void check(bool holds, const char *what, const char *text)
{
    if (holds)
        return;
    fprintf(stderr, "%s:\n%s", what, text);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static FILE *nowhere;
    if (!nowhere && !(nowhere = fopen("/dev/null", "w")))
        abort();
    Arena *arena = arena_new();
    Diagnostics diag = {.out = nowhere};
    TuneFile file, again;
    char *text = arena_alloc(arena, count + 1);
    memcpy(text, bytes, count);
    bool good = parse(arena, &diag, text, count, &file);
    check(diag.errors == !good, "a failed reading reports one error, another none", text);
    if (good) {
        Text first = {0};
        tune_print(&first, &file);
        check(parse(arena, &diag, text_string(&first), first.length, &again), "what is printed is not read",
              text_string(&first));
        check(again.section.count == file.section.count, "sections are lost", text_string(&first));
        for (int i = 0; i < file.section.count; i++)
            check(again.section.at[i].entry.count == file.section.at[i].entry.count, "entries are lost",
                  text_string(&first));
        text_free(&first);
    }
    arena_free(arena);
    return 0;
}
