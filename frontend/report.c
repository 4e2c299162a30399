#include "elaborate.h"

#include <stdarg.h>
#include <string.h>

/* The user's text that an error belongs to, and in *at the frame it is the text of. */
static Span user_span(const Elaborator *e, Span span, const Frame **at, const Frame **called)
{
    *at = e->frame;
    *called = NULL;
    while (*at && source_is_prelude(e->library, span.source)) {
        span = (*at)->call;
        *called = *at;
        *at = (*at)->caller;
    }
    return span;
}

static bool first_here(Elaborator *e, Span span)
{
    const char *key = arena_printf(e->arena, "%p:%d", (const void *)span.source, span.begin);
    if (map_find(&e->reported, key))
        return false;
    map_set(e->arena, &e->reported, key, e);
    return true;
}

static void report_frames(Elaborator *e, const Frame *frame)
{
    enum { MOST = 4 };
    for (int i = 0; frame && frame->item && frame->item->kind == ITEM_LAYER && i < MOST;
         frame = frame->caller, i++)
        diag_report(e->diag, DIAG_NOTE, frame->call, "in the layer '%s', called here",
                    frame->item->name.text);
}

bool report(Elaborator *e, Span span, const char *format, ...)
{
    const Frame *at, *called;
    Span place = user_span(e, span, &at, &called);
    e->faults++;
    e->muted = !first_here(e, place);
    if (e->muted)
        return false;
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(e->arena, format, arguments);
    va_end(arguments);
    const char *name = called && called->item ? called->item->name.text : NULL;
    size_t length = name ? strlen(name) : 0;
    bool named = !name || (!strncmp(text, name, length) && text[length] == ':');
    diag_report(e->diag, DIAG_ERROR, place, "%s%s%s", named ? "" : name, named ? "" : ": ", text);
    report_frames(e, at);
    return true;
}

void report_note(Elaborator *e, Span span, const char *format, ...)
{
    if (e->muted || source_is_prelude(e->library, span.source))
        return;
    va_list arguments;
    va_start(arguments, format);
    diag_report(e->diag, DIAG_NOTE, span, "%s", arena_vprintf(e->arena, format, arguments));
    va_end(arguments);
}

void report_help(Elaborator *e, const char *format, ...)
{
    if (e->muted)
        return;
    va_list arguments;
    va_start(arguments, format);
    diag_report(e->diag, DIAG_HELP, (Span){0}, "%s", arena_vprintf(e->arena, format, arguments));
    va_end(arguments);
}

void report_origin(Elaborator *e, const char *name, Value value)
{
    const Origin *origin = value.origin;
    if (!origin || value.kind != VALUE_TENSOR)
        return;
    const char *type = type_text(e, &value.node->type);
    const char *called = origin->name ? format_text(e, "'%s'", origin->name) : name ? name : "this";
    if (origin->word)
        report_note(e, origin->span, "%s is %s, %s", called, origin->word, type);
    else if (origin->maker)
        report_note(e, origin->span, "%s is %s's result, %s", called, origin->maker, type);
    else
        report_note(e, origin->span, "%s is %s", called, type);
}

void report_pair(Elaborator *e, Value a, Value b)
{
    report_origin(e, "the first", a);
    if (a.origin != b.origin)
        report_origin(e, "the second", b);
}

static void default_print(Text *text, const Parameter *param)
{
    if (!param->value)
        return;
    text_add(text, " = ");
    term_print(text, param->value);
}

const char *signature_text(Arena *arena, const Item *item)
{
    Text text = {0};
    text_printf(&text, "%s(", item->name.text);
    for (int i = 0; i < item->params.count; i++) {
        text_printf(&text, "%s%s", i ? ", " : "", item->params.at[i].name.text);
        default_print(&text, &item->params.at[i]);
    }
    text_add(&text, ")");
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

void report_signature(Elaborator *e, const Item *item)
{
    report_help(e, "%s", signature_text(e->arena, item));
}

static const char *take(Elaborator *e, Text *text)
{
    const char *copy = arena_string(e->arena, text_string(text));
    text_free(text);
    return copy;
}

const char *value_text(Elaborator *e, Value value)
{
    Text text = {0};
    value_print(&text, value);
    return take(e, &text);
}

const char *described_text(Elaborator *e, Value value)
{
    Text text = {0};
    value_describe(&text, value);
    return take(e, &text);
}

const char *type_text(Elaborator *e, const Type *type)
{
    Text text = {0};
    type_print(&text, type);
    return take(e, &text);
}

const char *format_text(Elaborator *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *text = arena_vprintf(e->arena, format, arguments);
    va_end(arguments);
    return text;
}
