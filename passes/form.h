/* Computes of one form differ only in their names, in the buffers they touch and in the constants of their calls. A deep
   net has few forms. So whoever makes or changes a Compute spells all that the result depends on as a key; the work is
   done for the first of equal keys, and the others take its result over, with buffers and arguments of their own. */
#ifndef NETC_FORM_H
#define NETC_FORM_H

#include "passes.h"

/* The first word of a key: what is made. */
typedef enum {
    KEY_STRAIGHT,
    KEY_LOWER,
    KEY_GAP,
    KEY_STEP_COPY,
    KEY_COPY,
    KEY_UNITE,
    KEY_DROP,
    KEY_MERGE,
    KEY_DROP_STORES
} KeyKind;

/* Words, in which buffers and arguments stand as numbers, in the order in which they come. */
typedef struct Key {
    Arena *arena;
    LIST(int64_t) word;
    LIST(int) buffer;       /* by number: in program->buffer */
    LIST(int64_t) argument; /* by number: its value */
} Key;

/* One key at a time. */
Key *key_new(Compilation *c, KeyKind kind);
void key_add(Key *key, int64_t word);
void key_buffer(Key *key, int id);
void key_argument(Key *key, int64_t value);
void key_type(Key *key, const Type *type);
void key_compute(Key *key, const Compute *compute);

/* All that reader_define(…, root, node, …) looks at, and node's place: `node`, what is inlined into it, and what that
   loads. region.c */
void key_region(Compilation *c, Key *key, int phase, const Node *root, const Node *node, const Node *reducer);

/* What was made of an equal key, NULL at first; the key may be used again. */
void **made_of(Compilation *c, const Key *key);

typedef struct Form {
    const Compute *compute; /* NULL: no such Compute can be made */
    int *buffer, *argument; /* of each of the Compute's, the key's number */
} Form;

/* The form of a Compute made of the key's buffers and arguments, which nobody changes from now on; or of NULL. */
Form *form_new(Compilation *c, const Key *key, Compute *compute);
Compute *form_instance(Compilation *c, const Form *form, const Key *key, const char *name, int loop);

/* Whether they print the same but for their names: does a key say all that matters? */
bool compute_equal(const Compute *a, const Compute *b);

/* How many there are: the work of the passes, whatever the number of kernels. */
int form_count(const Compilation *c);

/* By compute: the first of its form, to which a pass may do what it does. */
int *form_firsts(const Compilation *c);

#endif
