/* Text written into memory of a fixed size. What does not fit is counted and dropped, so that a first pass
   without memory tells how much is needed. */
#ifndef NETC_TEXT_OUT_H
#define NETC_TEXT_OUT_H

#include "system.h"

#include <stdarg.h>

typedef struct TextOut {
    char *to; /* no NUL at the end */
    size_t size, length;
} TextOut;

/* snprintf, as one function for all; the C library's has another for each kind of check. Returns its length, without cuts. */
int text_format(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int text_format_list(char *to, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* What follows the beginning of a text; NULL if it begins otherwise. */
const char *text_after(const char *text, const char *beginning);

void text_out_bytes(TextOut *out, const char *bytes, size_t count);
NETC_ENTRY void text_out(TextOut *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));                         /* pieces below 200 bytes */
NETC_ENTRY void text_out_quoted(TextOut *out, const char *string); /* as JSON */

/* The shortest decimal that reads back as the same double (or, if `single`, float); null for what is not
 * finite. */
void text_out_number(TextOut *out, double value, bool single);

#endif
