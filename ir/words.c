#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

Words words_of(Arena *arena, Diagnostics *diag, const Source *source)
{
    return (Words){arena, diag, source, source->text, source->text, source->text};
}

/* ---- errors -------------------------------------------------------------------------------------------- */

Span words_span(const Words *w, const char *begin)
{
    int first = (int)(begin - w->source->text), last = (int)(w->at - w->source->text);
    return (Span){w->source, first, last > first ? last : first + 1};
}

bool words_fail(const Words *w, const char *begin, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(w->arena, format, arguments);
    va_end(arguments);
    diag_report(w->diag, DIAG_ERROR, words_span(w, begin), "%s", message);
    return false;
}

/* ---- tokens -------------------------------------------------------------------------------------------- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void words_skip_blanks(Words *w)
{
    w->at += strspn(w->at, " \t\r");
    if (w->at[0] == '/' && w->at[1] == '/')
        w->at += strcspn(w->at, "\n");
    w->token = w->at;
}

size_t words_peek(Words *w)
{
    words_skip_blanks(w);
    size_t length = 0;
    while (is_word_byte(w->at[length]))
        length++;
    return length;
}

bool words_accept_bytes(Words *w, const char *word, size_t length)
{
    if (words_peek(w) != length || strncmp(w->at, word, length))
        return false;
    w->at += length;
    return true;
}

bool words_accept(Words *w, const char *word) { return words_accept_bytes(w, word, strlen(word)); }

bool words_accept_mark(Words *w, char mark)
{
    words_skip_blanks(w);
    if (*w->at != mark)
        return false;
    w->at++;
    return true;
}

bool words_expect(Words *w, const char *word)
{
    return words_accept(w, word) || words_fail(w, w->at, "expected '%s'", word);
}

bool words_expect_mark(Words *w, char mark)
{
    return words_accept_mark(w, mark) || words_fail(w, w->at, "expected '%c'", mark);
}

bool words_read_word(Words *w, const char *what, char word[MAX_WORD])
{
    size_t length = words_peek(w);
    if (!length || length >= MAX_WORD || (*w->at >= '0' && *w->at <= '9'))
        return words_fail(w, w->at, "expected %s", what);
    memcpy(word, w->at, length);
    word[length] = 0;
    w->at += length;
    return true;
}

bool words_read_integer(Words *w, int64_t low, int64_t high, int64_t *value)
{
    words_skip_blanks(w);
    char *end;
    size_t sign = *w->at == '-';
    if (w->at[sign] < '0' || w->at[sign] > '9')
        return words_fail(w, w->at, "expected an integer");
    errno = 0;
    *value = strtoll(w->at, &end, 10);
    const char *begin = w->at;
    w->at = end;
    if (errno || *value < low || *value > high)
        return words_fail(w, begin, "the integer is not in the range %lld to %lld", (long long)low,
                          (long long)high);
    return true;
}

/* The length of a decimal number as text_real prints it; 0 if none is here. Not what strtod takes besides. */
static size_t real_length(const char *at)
{
    size_t sign = *at == '-', length = sign + strspn(at + sign, "0123456789");
    if (!strncmp(at, "nan", 3) || !strncmp(at + sign, "inf", 3))
        return sign + 3;
    if (length == sign)
        return 0;
    if (at[length] == '.')
        length += 1 + strspn(at + length + 1, "0123456789");
    if (at[length] == 'e') {
        size_t begin = length + 1 + (at[length + 1] == '-' || at[length + 1] == '+');
        size_t digits = strspn(at + begin, "0123456789");
        length = digits ? begin + digits : length;
    }
    return length;
}

bool words_read_real(Words *w, double *value)
{
    words_skip_blanks(w);
    size_t length = real_length(w->at);
    if (!length || is_word_byte(w->at[length]))
        return words_fail(w, w->at, "expected a number");
    *value = strtod(w->at, NULL);
    w->at += length;
    return true;
}

/* One character of a string, escaped or not; -1 where the string is broken. */
static int read_character(Words *w)
{
    unsigned char c = (unsigned char)*w->at;
    if (c < ' ' || c == 127)
        return -1;
    w->at++;
    if (c != '\\')
        return c;
    if (*w->at == '"' || *w->at == '\\')
        return *w->at++;
    int code = 0;
    for (int i = 0; i < 3; i++, w->at++) {
        if (*w->at < '0' || *w->at > '7')
            return -1;
        code = 8 * code + *w->at - '0';
    }
    return code >= 1 && code <= 255 ? code : -1;
}

/* Bytes up to the quote that ends a string, or to the end of the line. */
static size_t string_length(const char *at)
{
    size_t length = 0;
    while (at[length] != '"' && at[length] != '\n' && at[length])
        length += at[length] == '\\' && at[length + 1] ? 2 : 1;
    return length;
}

bool words_read_string(Words *w, const char *what, const char **string)
{
    if (!words_accept_mark(w, '"'))
        return words_fail(w, w->at, "expected %s in quotes", what);
    const char *begin = w->token;
    char *copy = arena_alloc(w->arena, string_length(w->at) + 1), *end = copy;
    while (*w->at != '"') {
        int c = read_character(w);
        if (c < 0)
            return words_fail(w, begin, "the string does not end, or holds an unknown escape");
        *end++ = (char)c;
    }
    w->at++;
    *string = copy;
    return copy != end || words_fail(w, begin, "expected %s, not an empty string", what);
}

void words_next_line(Words *w)
{
    for (words_skip_blanks(w); *w->at == '\n'; words_skip_blanks(w))
        w->at++;
    w->line = w->at;
}

bool words_end_line(Words *w)
{
    words_skip_blanks(w);
    if (*w->at != '\n')
        return words_fail(w, w->at, "expected the end of the line");
    return true;
}
