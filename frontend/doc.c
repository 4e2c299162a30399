/* `netc doc`: what the prelude says of itself. */
#include "elaborate.h"
#include "frontend.h"
#include "sources.h"

#include <string.h>

/* The lines of comment right above an item, without the slashes. */
static void comment_print(Text *out, const Item *item, bool first_sentence)
{
    const char *text = item->span.source->text, *begin = text + item->span.begin, *end = begin;
    while (begin > text) { /* up to the first line that is no comment */
        const char *line = begin - 1;
        while (line > text && line[-1] != '\n')
            line--;
        if (strncmp(line, "//", 2))
            break;
        begin = line;
    }
    while (begin < end) {
        const char *stop = memchr(begin, '\n', (size_t)(end - begin));
        stop = stop ? stop : end;
        begin += 2 + (begin[2] == ' ');
        const char *period = first_sentence ? memchr(begin, '.', (size_t)(stop - begin)) : NULL;
        text_add_bytes(out, begin, (size_t)((period ? period + 1 : stop) - begin));
        if (period)
            return;
        text_add(out, first_sentence ? " " : "\n");
        begin = stop + 1;
    }
}

static void item_doc(Arena *arena, Text *out, const Item *item)
{
    text_printf(out, "%s %s\n\n", item->core ? "op" : item_word(item->kind), signature_text(arena, item));
    comment_print(out, item, false);
    bool types = false;
    for (int i = 0; i < item->params.count; i++) {
        const Parameter *param = &item->params.at[i];
        if (!param->type)
            continue;
        text_add(out, types ? "" : "\n");
        types = true;
        text_printf(out, "  %s: ", param->name.text);
        type_term_print(out, param->type);
        text_add(out, "\n");
    }
}

static void source_doc(Text *out, const SourceInfo *source)
{
    text_printf(out, "data %s(path, split, limit%s%s)\n\n%s\n\n", source->name, source->window ? ", " : "",
                source->window ? source->window : "", source->comment);
    for (int c = 0; c < source->columns; c++) {
        const SourceColumn *column = &source->column[c];
        text_printf(out, "  %s: %s[batch", column->what, dtype_info[column->dtype].name);
        static const char *const free_size[] = {"batch", "channels", "height", "width"};
        for (int d = 1; d < column->rank; d++) {
            if (column->dim[d] == SIZE_ANY)
                text_printf(out, ", %s", source->window ? source->window : free_size[d]);
            else
                text_printf(out, ", %lld", (long long)column->dim[d]);
        }
        text_add(out, "]\n");
    }
}

static bool load_prelude(Arena *arena, Library *library)
{
    Diagnostics diag = {.out = stderr};
    return library_load_prelude(library, arena, &diag);
}

bool frontend_doc(Text *out, const char *name, const char **nearest)
{
    Arena *arena = arena_new();
    Library library = {0};
    load_prelude(arena, &library);
    const Item *layer = library_layer(&library, name, true), *optimizer = library_optimizer(&library, name);
    const SourceInfo *source = source_find(name);
    if (layer)
        item_doc(arena, out, layer);
    if (optimizer)
        item_doc(arena, out, optimizer);
    if (source)
        source_doc(out, source);
    bool found = layer || optimizer || source;
    *nearest = NULL;
    if (!found) {
        Nearest best = nearest_of(name);
        nearest_try_map(&best, &library.layer[1]);
        nearest_try_map(&best, &library.optimizer[1]);
        for (const SourceInfo *s = source_info; s->name; s++)
            nearest_try(&best, s->name);
        static _Thread_local char kept[64]; /* the arena goes */
        if (best.best) {
            snprintf(kept, sizeof kept, "%s", best.best);
            *nearest = kept;
        }
    }
    arena_free(arena);
    return found;
}

void frontend_doc_list(Text *out)
{
    enum { WIDTH = 18 };
    Arena *arena = arena_new();
    Library library = {0};
    load_prelude(arena, &library);
    for (int i = 0; i < library.item.count; i++) {
        const Item *item = library.item.at[i];
        text_printf(out, "%-*s ", WIDTH, item->name.text);
        comment_print(out, item, true);
        text_add(out, "\n");
    }
    for (const SourceInfo *s = source_info; s->name; s++) {
        const char *period = strchr(s->comment, '.');
        text_printf(out, "%-*s data: ", WIDTH, s->name);
        text_add_bytes(out, s->comment, period ? (size_t)(period - s->comment) + 1 : strlen(s->comment));
        text_add(out, "\n");
    }
    arena_free(arena);
}
