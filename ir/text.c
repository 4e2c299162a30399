#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(Text *text, size_t more)
{
    if (text->length + more + 1 <= text->capacity)
        return;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < text->length + more + 1)
        capacity *= 2;
    char *at = realloc(text->at, capacity);
    if (!at)
        abort();
    text->at = at;
    text->capacity = capacity;
}

void text_free(Text *text)
{
    free(text->at);
    *text = (Text){0};
}

void text_add_bytes(Text *text, const void *bytes, size_t count)
{
    reserve(text, count);
    if (count)
        memcpy(text->at + text->length, bytes, count);
    text->length += count;
    text->at[text->length] = 0;
}

void text_add(Text *text, const char *string) { text_add_bytes(text, string, strlen(string)); }

void text_printf(Text *text, const char *format, ...)
{
    enum { MOSTLY = 100 };
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    reserve(text, MOSTLY);
    size_t room = text->capacity - text->length;
    int length = vsnprintf(text->at + text->length, room, format, arguments);
    va_end(arguments);
    if ((size_t)length >= room) {
        reserve(text, (size_t)length);
        vsnprintf(text->at + text->length, (size_t)length + 1, format, again);
    }
    va_end(again);
    text->length += (size_t)length;
}

void text_indent(Text *text, int depth) { text_printf(text, "%*s", 4 * depth, ""); }

void text_quote(Text *text, const char *string)
{
    text_add(text, "\"");
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c == '"' || *c == '\\')
            text_printf(text, "\\%c", *c);
        else if (*c < 32 || *c >= 127 || *c == '?' || *c == '*' ||
                 *c == '/') /* no trigraph, no end of a comment */
            text_printf(text, "\\%03o", *c);
        else
            text_add_bytes(text, c, 1);
    }
    text_add(text, "\"");
}

const char *text_string(const Text *text) { return text->at ? text->at : ""; }

void text_real(Text *text, double value, int single)
{
    if (isnan(value)) {
        text_add(text, "nan");
        return;
    }
    if (isinf(value)) {
        text_add(text, value < 0 ? "-inf" : "inf");
        return;
    }
    char digits[40];
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        double back = strtod(digits, NULL);
        if (back == value || (single && (float)back == (float)value))
            break;
    }
    text_add(text, digits);
    if (!strpbrk(digits, ".e"))
        text_add(text, ".0");
}

uint64_t text_hash(const void *bytes, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}
