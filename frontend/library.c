#include "elaborate.h"
#include "prelude.h"
#include "read_source.h"

#include <string.h>
#include <sys/stat.h>

enum { USER, PRELUDE, MAX_FILES = 200 };

typedef struct Loader {
    Arena *arena;
    Diagnostics *diag;
    Library *library;
} Loader;

static void load_source(Loader *l, const Source *source, int whose);

bool source_is_prelude(const Library *library, const Source *source)
{
    for (int i = 0; i < library->prelude.count; i++)
        if (library->prelude.at[i] == source)
            return true;
    return false;
}

/* ---- imports ---- */

/* One file has one key, however its path is spelled. */
static const char *file_identity(Arena *arena, const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of))
        return path;
    return arena_printf(arena, "%llu:%llu", (unsigned long long)stat_of.st_dev,
                        (unsigned long long)stat_of.st_ino);
}

static bool stays_inside(const char *path)
{
    if (*path == '/' || !*path)
        return false;
    for (const char *part = path; part; part = strchr(part, '/'), part += part != NULL)
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2]))
            return false;
    return true;
}

static bool is_prelude_file(const char *name)
{
    for (const PreludeFile *file = prelude_file; file->name; file++)
        if (!strcmp(file->name, name))
            return true;
    return false;
}

static void import_file(Loader *l, const Item *item, const Source *from)
{
    const char *path = item->name.text, *slash = strrchr(from->name, '/');
    if (!stays_inside(path)) {
        diag_report(l->diag, DIAG_ERROR, item->name.span, "'%s' leaves the folder of this file", path);
        diag_report(l->diag, DIAG_HELP, (Span){0},
                    "an import is a path below the folder of the file that imports");
        return;
    }
    const char *beside =
        slash ? arena_printf(l->arena, "%.*s/%s", (int)(slash - from->name), from->name, path) : path;
    if (!source_exists(beside)) {
        if (!is_prelude_file(path))
            diag_report(l->diag, DIAG_ERROR, item->name.span,
                        "there is no file '%s', and none of that name in the prelude", beside);
        return;
    }
    const char *key = file_identity(l->arena, beside);
    if (map_find(&l->library->file, key))
        return;
    if (l->library->file.count == MAX_FILES) {
        diag_report(l->diag, DIAG_ERROR, item->name.span, "too many files: a program has at most %d",
                    MAX_FILES);
        return;
    }
    map_set(l->arena, &l->library->file, key, l);
    const Source *source = source_read(l->arena, l->diag, beside, item->name.span);
    if (source)
        load_source(l, source, USER);
}

/* ---- items ---- */

static void report_twice(Loader *l, const Item *item, const Item *first)
{
    diag_report(l->diag, DIAG_ERROR, item->name.span, "the %s '%s' is defined twice", item_word(item->kind),
                item->name.text);
    diag_report(l->diag, DIAG_NOTE, first->name.span, "here is the first");
}

static void add_item(Loader *l, Map *map, Item *item)
{
    const Item *first = map_find(map, item->name.text);
    if (first)
        report_twice(l, item, first);
    else
        map_set(l->arena, map, item->name.text, item);
}

static void add_constant(Loader *l, Map *map, Item *item)
{
    const Constant *first = map_find(map, item->name.text);
    if (first) {
        report_twice(l, item, first->item);
        return;
    }
    Constant *constant = arena_alloc(l->arena, sizeof *constant);
    *constant = (Constant){.item = item, .term = item->value};
    map_set(l->arena, map, item->name.text, constant);
}

static void add_net(Loader *l, Item *item)
{
    for (int i = 0; i < l->library->net.count; i++)
        if (!strcmp(l->library->net.at[i]->name.text, item->name.text)) {
            report_twice(l, item, l->library->net.at[i]);
            return;
        }
    list_add(l->arena, &l->library->net, item);
}

static void check_parameters(Loader *l, const Item *item)
{
    for (int i = 0; i < item->params.count; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(item->params.at[i].name.text, item->params.at[j].name.text)) {
                diag_report(l->diag, DIAG_ERROR, item->params.at[i].name.span,
                            "'%s' has two arguments named '%s'", item->name.text,
                            item->params.at[i].name.text);
                return;
            }
}

static void load_item(Loader *l, Item *item, const Source *source, int whose)
{
    Library *library = l->library;
    check_parameters(l, item);
    if (whose == PRELUDE && (item->kind == ITEM_LAYER || item->kind == ITEM_OPTIMIZER))
        list_add(l->arena, &library->item, item);
    switch (item->kind) {
    case ITEM_IMPORT:
        import_file(l, item, source);
        break;
    case ITEM_CONST:
        add_constant(l, &library->constant[whose], item);
        break;
    case ITEM_LAYER:
        if (item->core && whose == USER)
            diag_report(l->diag, DIAG_ERROR, item->head, "the layer '%s' has no body", item->name.text);
        add_item(l, &library->layer[whose], item);
        break;
    case ITEM_OPTIMIZER:
        add_item(l, &library->optimizer[whose], item);
        break;
    case ITEM_NET:
        add_net(l, item);
        break;
    case ITEM_TRAIN:
        list_add(l->arena, &library->train, item);
        break;
    }
}

static void load_source(Loader *l, const Source *source, int whose)
{
    if (!source_check(l->diag, source))
        return;
    const File *file = parse_file(l->arena, l->diag, source);
    for (int i = 0; i < file->item.count; i++)
        load_item(l, file->item.at[i], source, whose);
}

bool library_load_prelude(Library *library, Arena *arena, Diagnostics *diag)
{
    Loader loader = {arena, diag, library};
    int errors = diag->errors;
    for (const PreludeFile *file = prelude_file; file->name; file++) {
        const char *name = arena_printf(arena, "prelude/%s", file->name);
        const Source *source = source_text(arena, name, file->text, file->length);
        list_add(arena, &library->prelude, source);
        load_source(&loader, source, PRELUDE);
    }
    return diag->errors == errors;
}

bool library_load(Library *library, Arena *arena, Diagnostics *diag, const Source *source)
{
    Loader loader = {arena, diag, library};
    int errors = diag->errors;
    map_set(arena, &library->file, file_identity(arena, source->name), library);
    load_source(&loader, source, USER);
    return diag->errors == errors;
}

/* ---- -D ---- */

bool library_define(Library *library, Arena *arena, Diagnostics *diag, const char *define)
{
    const char *equals = strchr(define, '=');
    if (!equals || equals == define) {
        diag_report(diag, DIAG_ERROR, (Span){0}, "-D %s: expected NAME=VALUE", define);
        return false;
    }
    const char *name = arena_printf(arena, "%.*s", (int)(equals - define), define);
    Constant *constant = map_find(&library->constant[USER], name);
    if (!constant) {
        Nearest nearest = nearest_of(name);
        nearest_try_map(&nearest, &library->constant[USER]);
        diag_report(diag, DIAG_ERROR, (Span){0}, "-D %s: the program has no const '%s'%s%s%s", define, name,
                    nearest.best ? "; did you mean '" : "", nearest.best ? nearest.best : "",
                    nearest.best ? "'?" : "");
        return false;
    }
    const Source *source = source_text(arena, "-D", equals + 1, strlen(equals + 1));
    if (constant->item->value->kind == TERM_STRING && equals[1] != '"') { /* a text needs no quotes here */
        Term *text = arena_alloc(arena, sizeof *text);
        *text = (Term){.kind = TERM_STRING,
                       .depth = 1,
                       .first = text,
                       .text = source->text,
                       .span = {source, 0, (int)source->length}};
        constant->term = text;
        return source_check(diag, source);
    }
    constant->term = source_check(diag, source) ? parse_term(arena, diag, source) : NULL;
    return constant->term != NULL;
}

/* ---- look-up ---- */

static void *seen_from(const Map map[2], const char *name, bool prelude)
{
    void *found = prelude ? NULL : map_find(&map[USER], name);
    return found ? found : map_find(&map[PRELUDE], name);
}

Item *library_layer(const Library *library, const char *name, bool prelude)
{
    return seen_from(library->layer, name, prelude);
}

Item *library_optimizer(const Library *library, const char *name)
{
    return seen_from(library->optimizer, name, false);
}

Constant *library_constant(const Library *library, const char *name, bool prelude)
{
    return seen_from(library->constant, name, prelude);
}

/* ---- who owns parameters ---- */

static int args_owners(Library *library, const Args *args, bool prelude)
{
    int owners = 0;
    for (int i = 0; i < args->count; i++)
        owners += term_owners(library, args->at[i].value, prelude);
    return owners;
}

int term_owners(Library *library, const Term *term, bool prelude)
{
    int owners = 0;
    for (const Term *t = term->first;; t = t->up) {
        bool chain = t->kind == TERM_BINARY || t->kind == TERM_CALL;
        if (t->kind == TERM_CALL) {
            Item *item = library_layer(library, t->text, prelude);
            owners += item && item_owns(library, item);
        }
        if (t->left && !chain)
            owners += term_owners(library, t->left, prelude);
        if (t->right)
            owners += term_owners(library, t->right, prelude);
        if (t->third)
            owners += term_owners(library, t->third, prelude);
        owners += args_owners(library, &t->args, prelude);
        if (t == term)
            return owners;
    }
}

static bool block_owns(Library *library, const Block *block, bool prelude)
{
    for (int i = 0; i < block->count; i++) {
        const Statement *s = block->at[i];
        if (s->kind == STATEMENT_PARAM || s->kind == STATEMENT_STATE ||
            block_owns(library, &s->body, prelude) || block_owns(library, &s->otherwise, prelude) ||
            (s->value && term_owners(library, s->value, prelude)) || args_owners(library, &s->args, prelude))
            return true;
    }
    return false;
}

bool item_owns(Library *library, Item *item)
{
    if (library->depth == MAX_NESTING) /* too deep to be expanded: it is refused then */
        return true;
    if (item->owns == OWNS_UNKNOWN) {
        library->depth++;
        item->owns = OWNS_BUSY; /* a layer that calls itself is refused when it is expanded */
        bool prelude = source_is_prelude(library, item->span.source);
        item->owns = block_owns(library, &item->body, prelude) ? OWNS : OWNS_NOT;
        library->depth--;
    }
    return item->owns == OWNS;
}
