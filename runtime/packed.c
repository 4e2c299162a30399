/* Unpacked, all numbers and texts lie one after another, column by column: of all buffers the kinds, then the names, and
   so on. Of a whole number there is the difference to the one before, a real one's bytes are turned round so that
   zeros lead; either takes as many bytes as it needs, of 7 bits each. */
#include "system.h"

#include "packed.h"
#include "said.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if NETC_HAVE_ZLIB
#include <zlib.h>
#endif

CPU_BASELINE bool descriptor_is_packed(const char *descriptor) { return *descriptor == *PACKED_MARK; }

#if NETC_HAVE_ZLIB

typedef enum PackedRecord {
    RECORD_NONE,
    RECORD_INT,
    RECORD_LONG,
    RECORD_EXTENT,
    RECORD_ARGUMENT,
    RECORD_SOURCE,
    RECORD_OPTION,
    RECORD_BUFFER,
    RECORD_KERNEL,
    RECORD_RESULT,
    RECORD_PHASE,
    RECORD_CALL,
    RECORD_DESCRIPTION,
    RECORDS
} PackedRecord;

typedef enum PackedKind {
    KIND_INT,   /* also an enum */
    KIND_LONG,  /* int64_t */
    KIND_REAL,  /* double */
    KIND_TEXT,  /* const char * */
    KIND_MAYBE, /* a text or NULL */
    KIND_LIST,  /* a pointer to records */
    KIND_INSIDE /* records that lie in this one */
} PackedKind;

/* No pointers: they would need relocations. */
typedef struct PackedField {
    unsigned record : 4, kind : 3;
    unsigned of : 4;     /* of a list: its record */
    unsigned count : 7;  /* the int of this record that says how many there are; 0: RUN_PHASES */
    unsigned place : 14; /* bytes */
} PackedField;

#define FIELD(record, type, kind, field) {RECORD_##record, KIND_##kind, RECORD_NONE, 0, offsetof(type, field)}
#define FIELDS(record, type, kind, field, of, count)                                                         \
    {RECORD_##record, KIND_##kind, RECORD_##of, (count) / sizeof(int), offsetof(type, field)}
#define COUNT(type, field) offsetof(type, field)

/* A count comes before what it counts. */
static const PackedField packed_field[] = {
    {RECORD_INT, KIND_INT, RECORD_NONE, 0, 0},
    {RECORD_LONG, KIND_LONG, RECORD_NONE, 0, 0},
    FIELD(EXTENT, Extent, LONG, count),
    FIELD(EXTENT, Extent, INT, power),
    FIELD(ARGUMENT, SourceArgument, TEXT, name),
    FIELD(ARGUMENT, SourceArgument, MAYBE, string),
    FIELD(ARGUMENT, SourceArgument, REAL, number),
    FIELD(SOURCE, DescribedSource, TEXT, split),
    FIELD(SOURCE, DescribedSource, TEXT, source),
    FIELD(SOURCE, DescribedSource, INT, arguments),
    FIELDS(SOURCE, DescribedSource, LIST, argument, ARGUMENT, COUNT(DescribedSource, arguments)),
    FIELD(OPTION, DescribedOption, TEXT, name),
    FIELD(OPTION, DescribedOption, INT, buffer),
    FIELD(BUFFER, DescribedBuffer, INT, role),
    FIELD(BUFFER, DescribedBuffer, TEXT, name),
    FIELD(BUFFER, DescribedBuffer, INT, element),
    FIELD(BUFFER, DescribedBuffer, INT, rank),
    FIELDS(BUFFER, DescribedBuffer, INSIDE, dim, EXTENT, COUNT(DescribedBuffer, rank)),
    FIELDS(BUFFER, DescribedBuffer, INSIDE, axis, INT, COUNT(DescribedBuffer, rank)),
    FIELD(BUFFER, DescribedBuffer, INT, first),
    FIELD(BUFFER, DescribedBuffer, INT, last),
    FIELD(BUFFER, DescribedBuffer, LONG, offset),
    FIELD(BUFFER, DescribedBuffer, INT, of),
    FIELD(KERNEL, DescribedKernel, TEXT, name),
    FIELD(KERNEL, DescribedKernel, LONG, outer),
    FIELD(KERNEL, DescribedKernel, LONG, divisor),
    FIELD(KERNEL, DescribedKernel, LONG, extent.count),
    FIELD(KERNEL, DescribedKernel, INT, extent.power),
    FIELD(KERNEL, DescribedKernel, REAL, flops),
    FIELD(KERNEL, DescribedKernel, REAL, bytes),
    FIELD(RESULT, DescribedResult, INT, role),
    FIELD(RESULT, DescribedResult, TEXT, name),
    FIELD(RESULT, DescribedResult, INT, buffer),
    FIELD(PHASE, DescribedPhase, INT, first),
    FIELD(PHASE, DescribedPhase, INT, count),
    FIELD(PHASE, DescribedPhase, LONG, slice),
    FIELD(PHASE, DescribedPhase, INT, results),
    FIELDS(PHASE, DescribedPhase, LIST, result, RESULT, COUNT(DescribedPhase, results)),
    FIELD(CALL, DescribedCall, INT, kernel),
    FIELD(CALL, DescribedCall, TEXT, name),
    FIELD(CALL, DescribedCall, INT, buffers),
    FIELD(CALL, DescribedCall, INT, arguments),
    FIELDS(CALL, DescribedCall, LIST, buffer, INT, COUNT(DescribedCall, buffers)),
    FIELDS(CALL, DescribedCall, LIST, argument, LONG, COUNT(DescribedCall, arguments)),
    FIELD(CALL, DescribedCall, INT, step),
    FIELD(CALL, DescribedCall, INT, loop_calls),
    FIELD(CALL, DescribedCall, LONG, steps),
    FIELD(DESCRIPTION, Description, TEXT, model),
    FIELD(DESCRIPTION, Description, TEXT, hash),
    FIELD(DESCRIPTION, Description, TEXT, version),
    FIELD(DESCRIPTION, Description, TEXT, cpu),
    FIELD(DESCRIPTION, Description, TEXT, needs),
    FIELD(DESCRIPTION, Description, TEXT, said),
    FIELD(DESCRIPTION, Description, LONG, batch),
    FIELD(DESCRIPTION, Description, MAYBE, training),
    FIELD(DESCRIPTION, Description, LONG, epochs),
    FIELD(DESCRIPTION, Description, LONG, patience),
    FIELD(DESCRIPTION, Description, LONG, seed),
    FIELD(DESCRIPTION, Description, MAYBE, best),
    FIELD(DESCRIPTION, Description, INT, sources),
    FIELD(DESCRIPTION, Description, INT, fields),
    FIELD(DESCRIPTION, Description, INT, options),
    FIELD(DESCRIPTION, Description, INT, buffers),
    FIELD(DESCRIPTION, Description, INT, kernels),
    FIELD(DESCRIPTION, Description, INT, calls),
    FIELDS(DESCRIPTION, Description, LIST, source, SOURCE, COUNT(Description, sources)),
    FIELDS(DESCRIPTION, Description, LIST, field, INT, COUNT(Description, fields)),
    FIELDS(DESCRIPTION, Description, LIST, option, OPTION, COUNT(Description, options)),
    FIELDS(DESCRIPTION, Description, LIST, buffer, BUFFER, COUNT(Description, buffers)),
    FIELDS(DESCRIPTION, Description, LIST, kernel, KERNEL, COUNT(Description, kernels)),
    FIELDS(DESCRIPTION, Description, INSIDE, phase, PHASE, 0),
    FIELDS(DESCRIPTION, Description, LIST, call, CALL, COUNT(Description, calls)),
    {RECORD_NONE, KIND_INT, RECORD_NONE, 0, 0}, /* the end */
};

static const uint16_t record_bytes[RECORDS] = {
    [RECORD_INT] = sizeof(int),
    [RECORD_LONG] = sizeof(int64_t),
    [RECORD_EXTENT] = sizeof(Extent),
    [RECORD_ARGUMENT] = sizeof(SourceArgument),
    [RECORD_SOURCE] = sizeof(DescribedSource),
    [RECORD_OPTION] = sizeof(DescribedOption),
    [RECORD_BUFFER] = sizeof(DescribedBuffer),
    [RECORD_KERNEL] = sizeof(DescribedKernel),
    [RECORD_RESULT] = sizeof(DescribedResult),
    [RECORD_PHASE] = sizeof(DescribedPhase),
    [RECORD_CALL] = sizeof(DescribedCall),
    [RECORD_DESCRIPTION] = sizeof(Description),
};

static size_t count_of(const PackedField *f, const char *record)
{
    return f->count ? (size_t)((const int *)(const void *)record)[f->count] : RUN_PHASES;
}

/* The next list begins where a pointer may lie. */
static size_t list_bytes(const PackedField *f, size_t count)
{
    return (count * record_bytes[f->of] + 7) & ~(size_t)7;
}

static const PackedField *first_field(unsigned record)
{
    const PackedField *f = packed_field;
    while (f->record != record)
        f++;
    return f;
}

/* -- unpacking ------------------------------------------------------------------------------------- */

/* Where numbers and texts come from, and where the next list goes. */
typedef struct Unpacker {
    char *at, *list;
} Unpacker;

static uint64_t take_bits(Unpacker *u)
{
    uint64_t bits = 0;
    do
        bits = bits << 7 | (*u->at & 127);
    while (*u->at++ & 128);
    return bits;
}

static void take_records(Unpacker *u, unsigned record, char *first, size_t count);

/* `number`: the column's last one. */
static void take_field(Unpacker *u, const PackedField *f, char *record, uint64_t *number)
{
    char *place = record + f->place, *pointer = u->at;
    uint64_t bits;
    switch ((PackedKind)f->kind) {
    case KIND_INT:
    case KIND_LONG:
        bits = take_bits(u);
        *number += bits >> 1 ^ -(bits & 1);
        memcpy(place, number, f->kind == KIND_INT ? sizeof(int) : sizeof(int64_t));
        return;
    case KIND_REAL:
        bits = __builtin_bswap64(take_bits(u));
        memcpy(place, &bits, sizeof bits);
        return;
    case KIND_TEXT:
    case KIND_MAYBE:
        u->at += strlen(pointer) + 1;
        if (f->kind == KIND_MAYBE)
            pointer = *pointer ? pointer + 1 : NULL;
        break;
    case KIND_LIST:
        pointer = u->list;
        u->list += list_bytes(f, count_of(f, record));
        break;
    case KIND_INSIDE:
        pointer = place;
        break;
    }
    if (f->kind >= KIND_LIST)
        take_records(u, f->of, pointer, count_of(f, record));
    if (f->kind == KIND_INSIDE)
        return;
    memcpy(place, &pointer, sizeof pointer);
}

static void take_records(Unpacker *u, unsigned record, char *first, size_t count)
{
    for (const PackedField *f = first_field(record); f->record == record; f++) {
        uint64_t number = 0;
        for (size_t i = 0; i < count; i++)
            take_field(u, f, first + i * record_bytes[record], &number);
    }
}

bool descriptor_unpack(Description *d, const char *descriptor, Fault *fault)
{
    PackedHead head;
    memcpy(&head, descriptor, sizeof head);
    *d = (Description){0};
    if (memcmp(head.mark, PACKED_MARK, sizeof head.mark) != 0)
        return fault_set(fault, STATUS_INTERNAL, "broken descriptor: another netc packed it");
    char *memory = d->memory = calloc(1, head.list_bytes + head.plain_bytes);
    if (!memory)
        return fault_memory(fault, (int64_t)(head.list_bytes + head.plain_bytes),
                            "the program's description");
    Unpacker u = {memory + head.list_bytes, memory};
    unsigned long bytes = head.plain_bytes;
    if (uncompress((Bytef *)u.at, &bytes, (const Bytef *)descriptor + sizeof head, head.stream_bytes) != Z_OK)
        return fault_set(fault, STATUS_INTERNAL, "broken descriptor: it cannot be unpacked");
    take_records(&u, RECORD_DESCRIPTION, (char *)d, 1);
    return true;
}

/* -- packing --------------------------------------------------------------------------------------- */

typedef struct Packer {
    FILE *out;
    size_t list_bytes; /* of all lists */
} Packer;

static void put_bits(Packer *p, uint64_t bits)
{
    int shift = 63;
    while (shift && !(bits >> shift))
        shift -= 7;
    for (; shift; shift -= 7)
        putc((int)(bits >> shift & 127) | 128, p->out);
    putc((int)(bits & 127), p->out);
}

static void put_text(Packer *p, const char *text) { fwrite(text, 1, strlen(text) + 1, p->out); }

static void put_records(Packer *p, unsigned record, const char *first, size_t count);

static void put_field(Packer *p, const PackedField *f, const char *record, int64_t *number)
{
    const char *place = record + f->place, *pointer;
    int64_t value = *number;
    uint64_t bits;
    switch ((PackedKind)f->kind) {
    case KIND_INT:
    case KIND_LONG:
        value =
            f->kind == KIND_INT ? *(const int *)(const void *)place : *(const int64_t *)(const void *)place;
        bits = (uint64_t)value - (uint64_t)*number;
        put_bits(p, bits << 1 ^ -(bits >> 63));
        *number = value;
        return;
    case KIND_REAL:
        memcpy(&bits, place, sizeof bits);
        put_bits(p, __builtin_bswap64(bits));
        return;
    case KIND_INSIDE:
        put_records(p, f->of, place, count_of(f, record));
        return;
    case KIND_TEXT:
    case KIND_MAYBE:
    case KIND_LIST:
        break;
    }
    memcpy(&pointer, place, sizeof pointer);
    if (f->kind == KIND_LIST) {
        p->list_bytes += list_bytes(f, count_of(f, record));
        put_records(p, f->of, pointer, count_of(f, record));
        return;
    }
    if (f->kind == KIND_MAYBE && pointer)
        putc('+', p->out);
    put_text(p, pointer ? pointer : ""); /* of none, too, there is one */
}

static void put_records(Packer *p, unsigned record, const char *first, size_t count)
{
    for (const PackedField *f = first_field(record); f->record == record; f++) {
        int64_t number = 0;
        for (size_t i = 0; i < count; i++)
            put_field(p, f, first + i * record_bytes[record], &number);
    }
}

enum { PACKING = 7 }; /* zlib's levels 8 and 9 take twice the time for 1 or 2 % of the bytes */

static char *compress_behind_head(const char *plain, size_t plain_bytes, size_t list_bytes, size_t *bytes)
{
    PackedHead head = {PACKED_MARK, list_bytes, plain_bytes, 0};
    unsigned long stream_bytes = compressBound(plain_bytes);
    char *packed = malloc(sizeof head + stream_bytes);
    if (!packed || compress2((Bytef *)packed + sizeof head, &stream_bytes, (const Bytef *)plain, plain_bytes,
                             PACKING) != Z_OK) {
        free(packed);
        return NULL;
    }
    head.stream_bytes = stream_bytes;
    memcpy(packed, &head, sizeof head);
    *bytes = sizeof head + stream_bytes;
    return packed;
}

char *descriptor_pack(const Description *d, size_t *bytes)
{
    char *plain = NULL, *packed = NULL;
    size_t plain_bytes = 0;
    Packer p = {open_memstream(&plain, &plain_bytes), 0};
    if (!p.out)
        return NULL;
    put_records(&p, RECORD_DESCRIPTION, (const char *)d, 1);
    bool whole = !ferror(p.out);
    if (fclose(p.out) == 0 && whole)
        packed = compress_behind_head(plain, plain_bytes, p.list_bytes, bytes);
    free(plain);
    return packed;
}

#else

bool descriptor_unpack(Description *d, const char *descriptor, Fault *fault)
{
    (void)descriptor;
    *d = (Description){0};
    return fault_set(fault, STATUS_INTERNAL, "broken descriptor: this program was built without zlib");
}

char *descriptor_pack(const Description *d, size_t *bytes)
{
    (void)d, (void)bytes;
    return NULL;
}

#endif

char *netc_pack(const char *descriptor, size_t *bytes)
{
    Fault fault = {0};
    Description description;
    char *packed = NULL, *said = NULL;
    if (description_parse(&description, descriptor, &fault))
        description.said = said = said_text(&description);
    if (said)
        packed = descriptor_pack(&description, bytes);
    free(said);
    description_free(&description);
    return packed;
}
