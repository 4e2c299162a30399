/* Any bytes given as a .net file: errors, or a model that its verifier accepts; and what parses prints to itself.
   Seeds: the examples, the prelude, the wrong programs of tests/errors. */
#include "frontend.h"
#include "graph.h"
#include "read_source.h"
#include "syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static FILE *nowhere;

static void check(bool holds, const char *what, const char *text)
{
    if (holds)
        return;
    fprintf(stderr, "%s:\n%s\n", what, text);
    abort();
}

static void check_syntax(Arena *arena, const char *text, size_t length)
{
    Diagnostics diag = {.out = nowhere, .limit = 20};
    const Source *source = source_text(arena, "fuzz.net", text, length);
    if (!source_check(&diag, source))
        return;
    const File *file = parse_file(arena, &diag, source);
    if (diag.errors)
        return;
    Text first = {0}, second = {0};
    file_print(&first, file);
    const char *printed = arena_string(arena, text_string(&first));
    source = source_text(arena, "printed.net", printed, first.length);
    file = parse_file(arena, &diag, source);
    check(diag.errors == 0, "a printed file does not parse", printed);
    file_print(&second, file);
    check(!strcmp(printed, text_string(&second)), "a file prints to another", printed);
    text_free(&first);
    text_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    if (!nowhere && !(nowhere = fopen("/dev/null", "w")))
        abort();
    Arena *arena = arena_new();
    const char *text = (const char *)bytes;
    check_syntax(arena, text, count);
    Diagnostics diag = {.out = nowhere, .limit = 20};
    const Model *model = frontend_text(arena, &diag, "fuzz.net", text, count, NULL, 0);
    check(!model == (diag.errors > 0), "errors and a model, or neither",
          arena_printf(arena, "%.*s", (int)count, text));
    const char *fault = model ? model_fault(model) : NULL;
    check(!fault, fault, arena_printf(arena, "%.*s", (int)count, text));
    arena_free(arena);
    return 0;
}
