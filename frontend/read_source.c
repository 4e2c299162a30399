#include "read_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

Source *source_text(Arena *arena, const char *name, const char *text, size_t length)
{
    Source *source = arena_alloc(arena, sizeof *source);
    char *copy = arena_alloc(arena, length + 1);
    if (length)
        memcpy(copy, text, length);
    *source = (Source){.name = arena_string(arena, name), .text = copy, .length = length};
    return source;
}

bool source_exists(const char *path)
{
    struct stat stat_of;
    return !stat(path, &stat_of) && S_ISREG(stat_of.st_mode);
}

/* Reads to the end, at most `most` bytes and one more; -1 with errno. */
static ssize_t read_all(int file, char *at, size_t most)
{
    size_t length = 0;
    while (length <= most) {
        ssize_t count = read(file, at + length, most + 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        length += (size_t)count;
    }
    return (ssize_t)length;
}

static Source *read_open(Arena *arena, Diagnostics *diag, int file, const char *name, Span from)
{
    struct stat stat_of;
    if (fstat(file, &stat_of)) {
        diag_report(diag, DIAG_ERROR, from, "cannot read '%s': %s", name, strerror(errno));
        return NULL;
    }
    bool input = file == STDIN_FILENO;
    if (!input && !S_ISREG(stat_of.st_mode)) {
        diag_report(diag, DIAG_ERROR, from, "cannot read '%s': it is not a regular file", name);
        return NULL;
    }
    size_t most = input ? MAX_SOURCE_BYTES : (size_t)stat_of.st_size;
    if (most > MAX_SOURCE_BYTES)
        most = MAX_SOURCE_BYTES;
    char *text = arena_alloc(arena, most + 2);
    ssize_t length = stat_of.st_size > MAX_SOURCE_BYTES ? MAX_SOURCE_BYTES + 1 : read_all(file, text, most);
    if (length < 0) {
        diag_report(diag, DIAG_ERROR, from, "cannot read '%s': %s", name, strerror(errno));
        return NULL;
    }
    if (length > MAX_SOURCE_BYTES) {
        diag_report(diag, DIAG_ERROR, from, "cannot read '%s': it is larger than %d MiB", name,
                    MAX_SOURCE_BYTES >> 20);
        return NULL;
    }
    if ((size_t)length > most) /* it grew meanwhile */
        length = (ssize_t)most;
    text[length] = 0;
    Source *source = arena_alloc(arena, sizeof *source);
    *source = (Source){.name = arena_string(arena, name), .text = text, .length = (size_t)length};
    return source;
}

Source *source_read(Arena *arena, Diagnostics *diag, const char *path, Span from)
{
    if (!strcmp(path, "-"))
        return read_open(arena, diag, STDIN_FILENO, "<stdin>", from);
    /* not blocking: opening a pipe must not wait for a writer */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        diag_report(diag, DIAG_ERROR, from, "cannot open '%s': %s", path, strerror(errno));
        return NULL;
    }
    Source *source = read_open(arena, diag, file, path, from);
    close(file);
    return source;
}

/* The length of the UTF-8 character at `at`, and its code point; 0 if it is none. */
static int decode(const unsigned char *at, const unsigned char *end, unsigned *code)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = *at < 0x80 ? 1 : *at >= 0xF0 && *at < 0xF5 ? 4 : *at >= 0xE0 ? 3 : *at >= 0xC2 ? 2 : 0;
    if (length == 0 || *at >= 0xF5 || end - at < length)
        return 0;
    *code = length == 1 ? *at : *at & (0xFFu >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        *code = *code << 6 | (at[i] & 0x3F);
    }
    bool surrogate = *code >= 0xD800 && *code < 0xE000;
    return *code < least[length] || *code > 0x10FFFF || surrogate ? 0 : length;
}

bool source_check(Diagnostics *diag, const Source *source)
{
    const unsigned char *text = (const unsigned char *)source->text, *end = text + source->length;
    for (const unsigned char *at = text; at < end;) {
        unsigned code;
        int length = decode(at, end, &code);
        Span span = {source, (int)(at - text), (int)(at - text) + (length ? length : 1)};
        if (length == 0) {
            diag_report(diag, DIAG_ERROR, span, "the byte 0x%02X is not UTF-8", *at);
            return false;
        }
        if ((code < 32 && code != '\n' && code != '\t' && code != '\r') || (code >= 0x7F && code < 0xA0)) {
            diag_report(diag, DIAG_ERROR, span, "the character U+%04X%s is not allowed in a program", code,
                        code == 0 ? " (NUL)" : "");
            return false;
        }
        at += length;
    }
    return true;
}
