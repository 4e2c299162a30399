/* Reading JSON, strictly: valid UTF-8, no NUL, no lone surrogates, numbers only as plain
   counts; there is no nesting here, so the caller's grammar bounds it. */
#ifndef NETC_JSON_H
#define NETC_JSON_H

#include "fault.h"

typedef struct JsonReader {
    char *text; /* strings are decoded in place */
    int64_t size, at;
    int64_t origin; /* of the text in its file, for messages */
    const char *path;
    Fault *fault;
} JsonReader;

/* False with "PATH: byte N: WHAT", status 1. */
bool json_fault(JsonReader *reader, const char *what);

/* Whether the text is valid UTF-8, a rule of its own before all others. */
bool json_check_encoding(JsonReader *reader);

/* Skips blanks; takes the character if it is next. */
bool json_take(JsonReader *reader, char c);
bool json_expect(JsonReader *reader, char c);

/* `*string` ends in NUL and begins where the string's first byte stood in the text. */
bool json_string(JsonReader *reader, char **string);
bool json_count(JsonReader *reader, int64_t *count);

#endif
