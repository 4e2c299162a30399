#include "system.h"

#include "checked.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

bool json_fault(JsonReader *reader, const char *what)
{
    return fault_set(reader->fault, STATUS_INPUT, "%s: byte %" PRId64 ": %s", reader->path,
                     reader->origin + reader->at, what);
}

/* The length of the UTF-8 sequence at `at`, 0 if it is none: too long a form, a surrogate, or beyond
 * U+10FFFF. */
static int utf8_length(const unsigned char *at, int64_t left)
{
    if (at[0] < 0x80)
        return 1;
    int length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < length)
        return 0;
    for (int i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
               (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return bad ? 0 : length;
}

bool json_check_encoding(JsonReader *reader)
{
    int64_t at = reader->at;
    for (int length; reader->at < reader->size; reader->at += length) {
        length = utf8_length((unsigned char *)reader->text + reader->at, reader->size - reader->at);
        if (!length)
            return json_fault(reader, "not UTF-8");
    }
    reader->at = at;
    return true;
}

static void json_skip(JsonReader *reader)
{
    while (reader->at < reader->size &&
           (reader->text[reader->at] == ' ' || reader->text[reader->at] == '\t' ||
            reader->text[reader->at] == '\r' || reader->text[reader->at] == '\n'))
        reader->at++;
}

bool json_take(JsonReader *reader, char c)
{
    json_skip(reader);
    if (reader->at == reader->size || reader->text[reader->at] != c)
        return false;
    reader->at++;
    return true;
}

bool json_expect(JsonReader *reader, char c)
{
    char what[] = "expected ' '";
    what[10] = c;
    return json_take(reader, c) || json_fault(reader, what);
}

/* The four hexadecimal digits after \u; -1 if there are none. */
static int read_hex(JsonReader *reader)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = reader->at < reader->size ? reader->text[reader->at] : '\0';
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
        reader->at++;
    }
    return value;
}

static char *put_utf8(char *out, int c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800)
        *out++ = (char)(0xc0 | c >> 6);
    else {
        if (c < 0x10000)
            *out++ = (char)(0xe0 | c >> 12);
        else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* After \u. NULL after a fault. */
static char *read_unicode(JsonReader *reader, char *out)
{
    int c = read_hex(reader);
    if (c >= 0xd800 && c < 0xdc00 && reader->size - reader->at >= 2 && reader->text[reader->at] == '\\' &&
        reader->text[reader->at + 1] == 'u') {
        reader->at += 2;
        int low = read_hex(reader);
        c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : -1;
    }
    if (c <= 0 || (c >= 0xd800 && c < 0xe000)) {
        json_fault(reader, "bad \\u escape");
        return NULL;
    }
    return put_utf8(out, c);
}

static char *read_json_escape(JsonReader *reader, char *out)
{
    static const char letter[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char c = reader->at < reader->size ? reader->text[reader->at++] : '\0';
    if (c == 'u')
        return read_unicode(reader, out);
    const char *found = c ? strchr(letter, c) : NULL;
    if (!found) {
        json_fault(reader, "bad escape");
        return NULL;
    }
    *out++ = meaning[found - letter];
    return out;
}

bool json_string(JsonReader *reader, char **string)
{
    if (!json_expect(reader, '"'))
        return false;
    char *out = *string = reader->text + reader->at;
    while (reader->at < reader->size) {
        char c = reader->text[reader->at];
        if ((unsigned char)c < ' ')
            return json_fault(reader, "a control character in a string");
        reader->at++;
        if (c == '"') {
            *out = '\0'; /* at the latest in the place of the quote */
            return true;
        }
        if (c != '\\')
            *out++ = c;
        else if (!(out = read_json_escape(reader, out)))
            return false;
    }
    return json_fault(reader, "a string without its end");
}

bool json_count(JsonReader *reader, int64_t *count)
{
    json_skip(reader);
    int64_t begin = reader->at;
    *count = 0;
    for (; reader->at < reader->size; reader->at++) {
        char c = reader->text[reader->at];
        if (c < '0' || c > '9')
            break;
        if (!checked_multiply(*count, 10, count) || !checked_add(*count, c - '0', count))
            return json_fault(reader, "a number too large");
    }
    if (reader->at == begin || (reader->at > begin + 1 && reader->text[begin] == '0'))
        return json_fault(reader, "expected a count");
    return true;
}
