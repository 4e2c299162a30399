#include "tune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TUNE_BYTES = 1 << 24, KEY_DIGITS = 16, MICROSECONDS = 1000000 };

TuneSection *tune_find(const TuneFile *file, const char *target)
{
    for (int i = 0; i < file->section.count; i++)
        if (!strcmp(file->section.at[i].target, target))
            return &file->section.at[i];
    return NULL;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

void tune_print(Text *text, const TuneFile *file)
{
    text_add(
        text,
        "netc-tune 1\n"
        "// Schedules measured by `netc tune`, for netc to read. They change how long a program runs, and "
        "no result.\n");
    for (int i = 0; i < file->section.count; i++) {
        const TuneSection *s = &file->section.at[i];
        text_add(text, "\ntarget ");
        text_quote(text, s->target);
        text_add(text, " cpu ");
        text_quote(text, s->cpu);
        text_add(text, "\n");
        for (int k = 0; k < s->entry.count; k++) {
            const TuneEntry *e = &s->entry.at[k];
            text_printf(text, "kernel %016llx ", (unsigned long long)e->key);
            text_quote(text, e->name);
            text_printf(text, " from %.4g to %.4g us\n", e->usual * MICROSECONDS, e->tuned * MICROSECONDS);
            schedule_print(text, NULL, &e->schedule);
        }
    }
    text_add(text, "\nend\n");
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static bool read_key(Words *w, uint64_t *key)
{
    size_t length = words_peek(w);
    if (length != KEY_DIGITS || strspn(w->at, "0123456789abcdef") < length)
        return words_fail(w, w->at, "expected a kernel's key: %d hexadecimal digits", KEY_DIGITS);
    *key = strtoull(w->at, NULL, 16);
    w->at += length;
    return true;
}

static bool read_time(Words *w, const char *word, double *seconds)
{
    if (!words_expect(w, word) || !words_read_real(w, seconds))
        return false;
    *seconds /= MICROSECONDS;
    return (isfinite(*seconds) && *seconds >= 0) ||
           words_fail(w, w->token, "a time is a finite number of microseconds");
}

static bool read_entry(Words *w, TuneSection *section)
{
    TuneEntry e = {0};
    if (!read_key(w, &e.key) || !words_read_string(w, "the kernel's name", &e.name) ||
        !read_time(w, "from", &e.usual) || !read_time(w, "to", &e.tuned) || !words_expect(w, "us") ||
        !words_end_line(w))
        return false;
    words_next_line(w);
    if (!schedule_read(w, &e.schedule))
        return false;
    e.span = words_span(w, w->line);
    e.schedule.tuned = true;
    list_add(w->arena, &section->entry, e);
    return true;
}

static int compare_entries(const void *x, const void *y)
{
    const TuneEntry *const *a = x, *const *b = y;
    if ((*a)->key != (*b)->key)
        return (*a)->key < (*b)->key ? -1 : 1;
    return ((*a)->span.begin > (*b)->span.begin) - ((*a)->span.begin < (*b)->span.begin);
}

static bool check_keys(Words *w, const TuneSection *section)
{
    int count = section->entry.count;
    const TuneEntry **sorted = arena_alloc(w->arena, ((size_t)count + 1) * sizeof *sorted);
    for (int i = 0; i < count; i++)
        sorted[i] = &section->entry.at[i];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_entries);
    for (int i = 1; i < count; i++)
        if (sorted[i]->key == sorted[i - 1]->key) {
            diag_report(w->diag, DIAG_ERROR, sorted[i]->span, "kernel %016llx has a schedule already",
                        (unsigned long long)sorted[i]->key);
            return false;
        }
    return true;
}

static bool read_section(Words *w, TuneFile *file)
{
    TuneSection section = {0};
    if (!words_read_string(w, "a target's name", &section.target))
        return false;
    if (tune_find(file, section.target))
        return words_fail(w, w->line, "target '%s' has a section already", section.target);
    if (!words_expect(w, "cpu") || !words_read_string(w, "a CPU's name", &section.cpu) || !words_end_line(w))
        return false;
    for (words_next_line(w); words_accept(w, "kernel"); words_next_line(w))
        if (!read_entry(w, &section))
            return false;
    list_add(w->arena, &file->section, section);
    return check_keys(w, &section);
}

bool tune_read(Arena *arena, Diagnostics *diag, const Source *source, TuneFile *file)
{
    Words w = words_of(arena, diag, source);
    *file = (TuneFile){{NULL, 0, 0}};
    if (source->length > MAX_TUNE_BYTES)
        return words_fail(&w, w.at, "a tune file may have at most 2^24 bytes");
    if (!words_accept(&w, "netc") || !words_accept_mark(&w, '-') || !words_accept(&w, "tune") ||
        !words_accept(&w, "1"))
        return words_fail(&w, source->text, "this is no tune file: its first line is not 'netc-tune 1'");
    if (!words_end_line(&w))
        return false;
    for (words_next_line(&w); words_accept(&w, "target");)
        if (!read_section(&w, file))
            return false;
    if (!words_accept(&w, "end"))
        return words_fail(&w, w.at, "expected 'target', 'kernel' or 'end'");
    words_next_line(&w);
    return w.at == source->text + source->length || words_fail(&w, w.at, "nothing may follow the end");
}

/* ---- the end of pass schedule ------------------------------------------------------------------------------ */

uint64_t tune_key(Arena *arena, const Target *target, const Compute *compute)
{
    const char *text = arena_printf(arena, "%starget %s\n", compute_key(arena, compute), target->name);
    return text_hash(text, strlen(text));
}

static const TuneEntry *entry_of(const TuneSection *section, uint64_t key)
{
    for (int i = 0; section && i < section->entry.count; i++)
        if (section->entry.at[i].key == key)
            return &section->entry.at[i];
    return NULL;
}

bool tune_apply(Compilation *c)
{
    if (!c->tune)
        return true;
    for (int i = 0; i < c->compute.count; i++) {
        if (c->same[i] != i) {
            c->schedule.at[i] = c->schedule.at[c->same[i]];
            continue;
        }
        uint64_t key = tune_key(c->arena, c->target, c->compute.at[i]);
        const TuneEntry *entry = entry_of(c->tune, key);
        const char *fault = entry ? schedule_fault(c->compute.at[i], &entry->schedule) : NULL;
        if (fault) {
            diag_report(c->diag, DIAG_ERROR, entry->span, "%s", fault);
            return false;
        }
        if (entry)
            c->schedule.at[i] = entry->schedule;
    }
    return true;
}
