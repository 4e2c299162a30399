#include "system.h"

#include "text_out.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not inlined, or what is known of `to` would call for a function of its own. */
__attribute__((noinline)) int text_format_list(char *to, size_t size, const char *format, va_list arguments)
{
    return vsnprintf(to, size, format, arguments);
}

int text_format(char *to, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = text_format_list(to, size, format, arguments);
    va_end(arguments);
    return length;
}

const char *text_after(const char *text, const char *beginning)
{
    while (*beginning)
        if (*text++ != *beginning++)
            return NULL;
    return text;
}

void text_out_bytes(TextOut *out, const char *bytes, size_t count)
{
    size_t room = out->size > out->length ? out->size - out->length : 0;
    if (room)
        memcpy(out->to + out->length, bytes, count < room ? count : room);
    out->length += count;
}

void text_out(TextOut *out, const char *format, ...)
{
    char piece[200];
    va_list arguments;
    va_start(arguments, format);
    int length = text_format_list(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (length > 0)
        text_out_bytes(out, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
}

void text_out_quoted(TextOut *out, const char *string)
{
    text_out_bytes(out, "\"", 1);
    for (const char *c = string; *c; c++)
        if (*c == '"' || *c == '\\')
            text_out(out, "\\%c", *c);
        else if ((unsigned char)*c < ' ')
            text_out(out, "\\u%04x", *c);
        else
            text_out_bytes(out, c, 1);
    text_out_bytes(out, "\"", 1);
}

void text_out_number(TextOut *out, double value, bool single)
{
    char digits[40] = "null";
    for (int precision = 1; precision <= 17 && isfinite(value); precision++) {
        text_format(digits, sizeof digits, "%.*g", precision, value);
        double back = strtod(digits, NULL);
        if (back == value || (single && (float)back == (float)value))
            break;
    }
    text_out_bytes(out, digits, strlen(digits));
}
