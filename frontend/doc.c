/* `netc doc`: the prelude explains itself by its signatures and the comments above them. */
#include "elaborate.h"
#include "frontend.h"
#include "sources.h"

#include <string.h>

/* The block of // lines right above an item. */
static Span comment_above(const Item *item)
{
    const char *text = item->span.source->text;
    int begin = item->head.begin;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    int end = begin;
    while (begin > 0) {
        int line = begin - 1;
        while (line > 0 && text[line - 1] != '\n')
            line--;
        if (strncmp(text + line, "//", 2))
            break;
        begin = line;
    }
    return (Span){item->span.source, begin, end};
}

static void print_comment(Text *out, Span comment, bool first_sentence)
{
    const char *at = comment.source->text + comment.begin, *end = comment.source->text + comment.end;
    while (at < end) {
        at += 2;
        if (first_sentence && at < end && *at == ' ')
            at++;
        const char *line = memchr(at, '\n', (size_t)(end - at));
        const char *stop = line ? line : end;
        const char *sentence = first_sentence ? memmem(at, (size_t)(stop - at), ".", 1) : NULL;
        if (sentence) {
            text_add_bytes(out, at, (size_t)(sentence - at));
            return;
        }
        if (!first_sentence)
            text_add(out, "   ");
        text_add_bytes(out, at, (size_t)(stop - at));
        text_add(out, first_sentence ? " " : "\n");
        at = stop + 1;
    }
}

typedef struct Listing {
    Arena *arena;
    Library library;
} Listing;

static bool open_listing(Listing *listing)
{
    static Diagnostics silent;
    silent = (Diagnostics){.out = stderr};
    *listing = (Listing){.arena = arena_new()};
    return library_load_prelude(&listing->library, listing->arena, &silent);
}

/* The items of the prelude in the order of its files, which is the order in which a reader meets them. */
static Item *item_at(Listing *listing, int file, int index)
{
    static Diagnostics silent;
    silent = (Diagnostics){.out = stderr};
    File *parsed = parse_file(listing->arena, &silent, listing->library.prelude.at[file]);
    return index < parsed->item.count ? parsed->item.at[index] : NULL;
}

static bool is_documented(const Item *item)
{
    return item->kind == ITEM_LAYER || item->kind == ITEM_OPTIMIZER;
}

static void print_item(Text *out, Arena *arena, const Item *item)
{
    text_printf(out, "%s %s\n", item_word(item->kind), signature_text(arena, item));
    print_comment(out, comment_above(item), false);
}

bool frontend_doc(Text *out, const char *name, const char **nearest)
{
    Listing listing;
    static char best[64];
    bool found = false;
    *nearest = NULL;
    if (open_listing(&listing)) {
        Item *item = library_layer(&listing.library, name, true);
        item = item ? item : library_optimizer(&listing.library, name);
        const SourceInfo *source = item ? NULL : source_find(name);
        if (item)
            print_item(out, listing.arena, item);
        if (source)
            text_printf(out, "data source %s(path, split, limit)\n%s\n", source->name, source->comment);
        found = item || source;
        Nearest near = nearest_of(name);
        nearest_try_map(&near, &listing.library.layer[1]);
        nearest_try_map(&near, &listing.library.optimizer[1]);
        for (const SourceInfo *s = source_info; s->name; s++)
            nearest_try(&near, s->name);
        if (!found && near.best && strlen(near.best) < sizeof best)
            *nearest = memcpy(best, near.best, strlen(near.best) + 1);
    }
    arena_free(listing.arena);
    return found;
}

void frontend_doc_list(Text *out)
{
    Listing listing;
    if (open_listing(&listing))
        for (int f = 0; f < listing.library.prelude.count; f++) {
            const Item *item;
            for (int i = 0; (item = item_at(&listing, f, i)); i++) {
                if (!is_documented(item))
                    continue;
                text_printf(out, "%-18s ", item->name.text);
                print_comment(out, comment_above(item), true);
                text_add(out, "\n");
            }
        }
    for (const SourceInfo *s = source_info; s->name; s++)
        text_printf(out, "%-18s data source\n", s->name);
    arena_free(listing.arena);
}
