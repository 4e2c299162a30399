#include "c_vector.h"
#include "clike.h"

#include <assert.h>
#include <string.h>

typedef struct VectorType {
    DType dtype;
    int lanes;
    bool unaligned; /* as it lies in memory */
    const char *name;
} VectorType;

typedef struct Function {
    const char *name, *text;
} Function;

struct CVectors {
    Arena *arena;
    LIST(VectorType) type;
    LIST(Function) function; /* each after those that it calls */
};

CVectors *c_vectors_new(Arena *arena)
{
    CVectors *v = arena_alloc(arena, sizeof *v);
    v->arena = arena;
    return v;
}

Arena *c_vectors_arena(const CVectors *v) { return v->arena; }

/* ---- types ----------------------------------------------------------------------------------------- */

/* In memory a bool is a byte, 0 or 1. */
static int lane_bytes(DType dtype) { return dtype == DTYPE_BOOL ? 4 : dtype_info[dtype].bytes; }

static const char *use_type(CVectors *v, DType dtype, int lanes, bool unaligned)
{
    assert(lanes > 1 && (lanes & (lanes - 1)) == 0);
    for (int i = 0; i < v->type.count; i++) {
        const VectorType *t = &v->type.at[i];
        if (t->dtype == dtype && t->lanes == lanes && t->unaligned == unaligned)
            return t->name;
    }
    const char *name =
        arena_printf(v->arena, "%sx%d%s", dtype_info[dtype].name, lanes, unaligned ? "_any" : "");
    list_add(v->arena, &v->type, ((VectorType){dtype, lanes, unaligned, name}));
    return name;
}

const char *c_vector_type(CVectors *v, DType dtype, int lanes) { return use_type(v, dtype, lanes, false); }

static void print_type(Text *text, const VectorType *t)
{
    int bytes = lane_bytes(t->dtype);
    const char *lane = t->dtype == DTYPE_BOOL ? "int32_t" : dtype_info[t->dtype].ctype;
    text_printf(text, "typedef %s %s __attribute__((vector_size(%d)", lane, t->name, t->lanes * bytes);
    if (t->unaligned)
        text_printf(text, ", aligned(%d), may_alias", bytes);
    text_add(text, "));\n");
}

/* ---- functions ------------------------------------------------------------------------------------- */

static void print_list(Text *text, int from, int count, const char *repeated)
{
    for (int i = 0; i < count; i++) {
        text_add(text, i ? ", " : "");
        if (repeated)
            text_add(text, repeated);
        else
            text_printf(text, "%d", from + i);
    }
}

static void print_lane(Text *text, const CMade *m)
{
    int next = 0;
    for (const char *at = m->scalar; *at; at++) {
        if (*at != '%')
            text_add_bytes(text, at, 1);
        else if (*++at == 's')
            text_printf(text, "%c[i]", "abc"[next++]);
        else if (*at == 'F')
            text_add(text, m->dtype == DTYPE_F32 ? "f" : "");
        else
            text_add_bytes(text, at, 1);
    }
}

static void print_lanes(Text *text, const CMade *m)
{
    for (int lane = 0; lane < m->lanes; lane++) {
        text_add(text, lane ? ", " : "");
        for (const char *at = m->scalar; *at; at++)
            if (*at == '@')
                text_printf(text, "%d", lane);
            else
                text_add_bytes(text, at, 1);
    }
}

static const char *type_word(CVectors *v, const CMade *m, char word)
{
    bool boolean = m->dtype == DTYPE_BOOL;
    int bytes = lane_bytes(m->dtype);
    switch (word) {
    case 'V':
        return use_type(v, m->dtype, m->lanes, false);
    case 'U':
        return use_type(v, boolean ? DTYPE_U8 : m->dtype, m->lanes, true);
    case 'H':
        return use_type(v, m->dtype, m->lanes / 2, false);
    case 'I':
        return use_type(v, bytes == 1 ? DTYPE_I8 : bytes == 4 ? DTYPE_I32 : DTYPE_I64, m->lanes, false);
    case 'B':
        return use_type(v, DTYPE_BOOL, m->lanes, false);
    case 'X':
        return use_type(v, DTYPE_I64, m->lanes, false);
    case 'J':
        return use_type(v, DTYPE_I32, m->lanes, false);
    case 'Y':
        return use_type(v, DTYPE_U8, m->lanes, false);
    case 'D':
        return dtype_info[m->dtype].name;
    case 'T':
        return dtype_info[m->dtype].ctype;
    case 'S':
        return boolean ? "bool" : dtype_info[m->dtype].ctype;
    case 'Q':
        return dtype_info[m->from].ctype;
    case 'W':
        return m->dtype == DTYPE_I64 ? "__int128" : m->dtype == DTYPE_U32 ? "uint64_t" : "int64_t";
    default:
        return NULL;
    }
}

static void print_word(CVectors *v, Text *text, const CMade *m, char word)
{
    const char *type = type_word(v, m, word);
    bool boolean = m->dtype == DTYPE_BOOL;
    int bytes = lane_bytes(m->dtype);
    if (type)
        text_add(text, type);
    else if (word == 'L')
        text_printf(text, "%d", m->lanes);
    else if (word == 'Z')
        text_printf(text, "%d", 8 * bytes);
    else if (word == 'M')
        text_add(text, bytes == 4 ? "INT32_MAX" : "INT64_MAX");
    else if (word == 'A')
        print_list(text, 0, m->lanes, "a");
    else if (word == 'N')
        print_list(text, 0, m->lanes, NULL);
    else if (word == 'O')
        print_list(text, 0, m->lanes / 2, NULL);
    else if (word == 'K')
        print_list(text, m->lanes / 2, m->lanes / 2, NULL);
    else if (word == 'G')
        text_add(text, boolean ? " ? -1 : 0" : "");
    else if (word == 'P')
        text_add(text, boolean ? " & 1" : "");
    else if (word == 'C')
        print_lanes(text, m);
    else if (word == 'E')
        print_lane(text, m);
    else
        assert(!"no such word");
}

static const char *fill(CVectors *v, const char *format, const CMade *m)
{
    Text text = {0};
    for (const char *at = format; *at; at++)
        if (*at == '$')
            print_word(v, &text, m, *++at);
        else
            text_add_bytes(&text, at, 1);
    const char *filled = arena_string(v->arena, text_string(&text));
    text_free(&text);
    return filled;
}

const char *c_vector_function(CVectors *v, const char *name, const char *body, CMade made)
{
    name = fill(v, name, &made);
    for (int i = 0; i < v->function.count; i++)
        if (!strcmp(v->function.at[i].name, name))
            return v->function.at[i].name;
    list_add(v->arena, &v->function, ((Function){name, fill(v, body, &made)}));
    return name;
}

static void print_lines(Text *text, const char *lines)
{
    for (size_t length; *lines; lines += length) {
        size_t begin = text->length;
        length = strcspn(lines, "\n");
        text_add_bytes(text, lines, length);
        clike_wrap(text, begin, 1);
        text_add(text, "\n");
        length += lines[length] == '\n';
    }
}

void c_vectors_print(Text *text, const CVectors *v)
{
    if (v->type.count)
        text_add(text, "\n");
    for (int i = 0; i < v->type.count; i++)
        print_type(text, &v->type.at[i]);
    if (v->function.count)
        text_add(text, "\n#define convert __builtin_convertvector\n"
                       "#define INLINE static inline __attribute__((always_inline, unused))\n");
    for (int i = 0; i < v->function.count; i++) {
        text_add(text, "\n");
        print_lines(text, v->function.at[i].text);
    }
}
