/* Text that grows: what every printer writes into. */
#ifndef NETC_TEXT_H
#define NETC_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct Text {
    char *at; /* ends in NUL; NULL while empty */
    size_t length, capacity;
} Text;

void text_free(Text *text);
void text_add(Text *text, const char *string);
void text_add_bytes(Text *text, const void *bytes, size_t count);
void text_printf(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_indent(Text *text, int depth);         /* 4 blanks a level */
void text_quote(Text *text, const char *string); /* "…" with C escapes: safe inside any C-like source */
const char *text_string(const Text *text);       /* never NULL */

/* The shortest decimal that reads back as the same double (or, if `single`, float); inf, -inf and nan by name. */
void text_real(Text *text, double value, int single);

uint64_t text_hash(const void *bytes, size_t count); /* FNV-1a, 64 bits */

#endif
