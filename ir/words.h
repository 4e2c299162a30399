/* A text of lines and words, as graph text and tune files are: a strict reader that takes hostile bytes. Blanks may stand
   between tokens, // begins a comment, empty lines are nothing. What reads returns false after a report with its place. */
#ifndef NETC_WORDS_H
#define NETC_WORDS_H

#include "diag.h"

#include <stdint.h>

enum { MAX_WORD = 64 };

typedef struct Words {
    Arena *arena;
    Diagnostics *diag;
    const Source *source;
    const char *at;    /* next byte */
    const char *token; /* where the last token began */
    const char *line;  /* where the statement began */
} Words;

Words words_of(Arena *arena, Diagnostics *diag, const Source *source);

/* The bytes from `begin` to the next one, at least one. */
Span words_span(const Words *w, const char *begin);
/* Reports at that span; false, so that readers can return it. */
bool words_fail(const Words *w, const char *begin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void words_skip_blanks(Words *w);
size_t words_peek(Words *w); /* the length of the word that comes next; 0 if none does */

bool words_accept_bytes(Words *w, const char *word, size_t length);
bool words_accept(Words *w, const char *word); /* a whole word */
bool words_accept_mark(Words *w, char mark);
bool words_expect(Words *w, const char *word);
bool words_expect_mark(Words *w, char mark);

/* `what` is what a message says was expected. */
bool words_read_word(Words *w, const char *what, char word[MAX_WORD]);
bool words_read_integer(Words *w, int64_t low, int64_t high, int64_t *value);
bool words_read_real(Words *w, double *value);
bool words_read_string(Words *w, const char *what, const char **string);

/* Begins a statement: skips empty lines and marks where it stands. */
void words_next_line(Words *w);
bool words_end_line(Words *w);

#endif
