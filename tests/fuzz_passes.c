/* Any bytes given as graph text, through all passes: whatever the reader accepts compiles, with every verifier content
   after every pass, or is refused with a reason that is not an internal fault. */
#include "graph.h"
#include "passes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

enum { MOST_NODES = 200 };

static int count_nodes(const Model *model)
{
    int count = 0;
    for (int p = 0; p < PHASE_COUNT; p++)
        count += model->phase[p]->node.count;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *messages = NULL;
    size_t size = 0;
    Arena *arena = arena_new();
    Diagnostics diag = {.out = open_memstream(&messages, &size)};
    if (!diag.out)
        abort();
    char *text = arena_alloc(arena, count + 1);
    memcpy(text, bytes, count);
    Source source = {"fuzz.graph", text, count};
    Model *model = model_parse(arena, &diag, &source);
    if (model && count_nodes(model) <= MOST_NODES) {
        PipelineOptions options = {.target = target_find("x86-64-v3"), .verify = true, .dump_to = stderr};
        Program *program;
        bool done = pipeline_run(model, &diag, &options, &program);
        fflush(diag.out);
        if (done == (diag.errors > 0) || strstr(messages, "internal")) {
            fprintf(stderr, "%s%s", messages, text);
            abort();
        }
    }
    fclose(diag.out);
    free(messages);
    arena_free(arena);
    return 0;
}
