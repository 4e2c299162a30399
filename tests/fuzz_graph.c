/* Any bytes given as graph text: an error, or a model that prints and parses to itself.
   Seeds: the printed graphs of examples, `netc --emit=graph`. */
#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static Model *parse(Arena *arena, Diagnostics *diag, const char *text, size_t length)
{
    Source *source = arena_alloc(arena, sizeof *source);
    *source = (Source){"fuzz.graph", text, length};
    return model_parse(arena, diag, source);
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
    char *text = arena_alloc(arena, count + 1);
    memcpy(text, bytes, count);
    Model *model = parse(arena, &diag, text, count);
    check(diag.errors == !model, "a failed parse reports one error, another none", text);
    if (model) {
        Text first = {0}, second = {0};
        model_print(&first, model);
        Model *back = parse(arena, &diag, text_string(&first), first.length);
        check(back && !model_fault(back), "a printed graph does not parse", text_string(&first));
        model_print(&second, back);
        check(!strcmp(text_string(&first), text_string(&second)), "a graph prints to another",
              text_string(&first));
        text_free(&first);
        text_free(&second);
    }
    arena_free(arena);
    return 0;
}
