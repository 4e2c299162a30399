#include "graph_text.h"
#include "graph_verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A strict reader of what model_print writes: one statement a line, one error, then NULL. Besides, blanks may
   stand between tokens, // begins a comment, and empty lines are nothing. */

enum { MAX_GRAPH_BYTES = 1 << 28, MAX_WORD = 64 };

/* Names to places, by hash; the seed keeps a hostile file from making all names collide. */
typedef struct Names {
    struct {
        const char *name;
        int place;
    } *at;
    int count, size;
    uint64_t seed;
} Names;

typedef struct Reader {
    Arena *arena;
    Diagnostics *diag;
    const Source *source;
    const char *at;    /* next byte */
    const char *token; /* where the last token began */
    const char *line;  /* where the statement began */
    Model *model;
    Graph *graph;
    Names variables, results;
    bool *assigned; /* variables that this phase has set */
} Reader;

/* ---- errors -------------------------------------------------------------------------------------------- */

static Span span_from(const Reader *r, const char *begin)
{
    int first = (int)(begin - r->source->text), last = (int)(r->at - r->source->text);
    return (Span){r->source, first, last > first ? last : first + 1};
}

/* Reports at the bytes from `begin` to the next one; false, so that readers can return it. */
static bool fail_at(Reader *r, const char *begin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail_at(Reader *r, const char *begin, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(r->arena, format, arguments);
    va_end(arguments);
    diag_report(r->diag, DIAG_ERROR, span_from(r, begin), "%s", message);
    return false;
}

static bool check(Reader *r, const char *fault) { return fault ? fail_at(r, r->line, "%s", fault) : true; }

/* ---- tokens -------------------------------------------------------------------------------------------- */

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_blanks(Reader *r)
{
    r->at += strspn(r->at, " \t\r");
    if (r->at[0] == '/' && r->at[1] == '/')
        r->at += strcspn(r->at, "\n");
    r->token = r->at;
}

/* The length of the word that comes next; 0 if none does. */
static size_t peek_word(Reader *r)
{
    skip_blanks(r);
    size_t length = 0;
    while (is_word_byte(r->at[length]))
        length++;
    return length;
}

static bool accept_bytes(Reader *r, const char *word, size_t length)
{
    if (peek_word(r) != length || strncmp(r->at, word, length))
        return false;
    r->at += length;
    return true;
}

static bool accept(Reader *r, const char *word) { return accept_bytes(r, word, strlen(word)); }

static bool accept_mark(Reader *r, char mark)
{
    skip_blanks(r);
    if (*r->at != mark)
        return false;
    r->at++;
    return true;
}

static bool expect(Reader *r, const char *word)
{
    return accept(r, word) || fail_at(r, r->at, "expected '%s'", word);
}

static bool expect_mark(Reader *r, char mark)
{
    return accept_mark(r, mark) || fail_at(r, r->at, "expected '%c'", mark);
}

static bool read_word(Reader *r, const char *what, char word[MAX_WORD])
{
    size_t length = peek_word(r);
    if (!length || length >= MAX_WORD || (*r->at >= '0' && *r->at <= '9'))
        return fail_at(r, r->at, "expected %s", what);
    memcpy(word, r->at, length);
    word[length] = 0;
    r->at += length;
    return true;
}

static bool read_integer(Reader *r, int64_t low, int64_t high, int64_t *value)
{
    skip_blanks(r);
    char *end;
    size_t sign = *r->at == '-';
    if (r->at[sign] < '0' || r->at[sign] > '9')
        return fail_at(r, r->at, "expected an integer");
    errno = 0;
    *value = strtoll(r->at, &end, 10);
    const char *begin = r->at;
    r->at = end;
    if (errno || *value < low || *value > high)
        return fail_at(r, begin, "the integer is not in the range %lld to %lld", (long long)low,
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

static bool read_real(Reader *r, double *value)
{
    skip_blanks(r);
    size_t length = real_length(r->at);
    if (!length || is_word_byte(r->at[length]))
        return fail_at(r, r->at, "expected a number");
    *value = strtod(r->at, NULL);
    r->at += length;
    return true;
}

/* One character of a string, escaped or not; -1 where the string is broken. */
static int read_character(Reader *r)
{
    unsigned char c = (unsigned char)*r->at;
    if (c < ' ' || c == 127)
        return -1;
    r->at++;
    if (c != '\\')
        return c;
    if (*r->at == '"' || *r->at == '\\')
        return *r->at++;
    int code = 0;
    for (int i = 0; i < 3; i++, r->at++) {
        if (*r->at < '0' || *r->at > '7')
            return -1;
        code = 8 * code + *r->at - '0';
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

static bool read_string(Reader *r, const char *what, const char **string)
{
    if (!accept_mark(r, '"'))
        return fail_at(r, r->at, "expected %s in quotes", what);
    const char *begin = r->token;
    char *copy = arena_alloc(r->arena, string_length(r->at) + 1), *end = copy;
    while (*r->at != '"') {
        int c = read_character(r);
        if (c < 0)
            return fail_at(r, begin, "the string does not end, or holds an unknown escape");
        *end++ = (char)c;
    }
    r->at++;
    *string = copy;
    return copy != end || fail_at(r, begin, "expected %s, not an empty string", what);
}

static bool read_type(Reader *r, Type *type)
{
    skip_blanks(r);
    const char *end = type_parse(r->at, type);
    if (!end)
        return fail_at(r, r->at, "expected a type such as f32[batch, 10]");
    Size elements;
    const char *begin = r->at;
    r->at = end;
    return type_elements(type, &elements) ||
           fail_at(r, begin, "no size may exceed 2^40, no tensor 2^48 elements");
}

/* Begins a statement: skips empty lines and marks where it stands. */
static void next_line(Reader *r)
{
    for (skip_blanks(r); *r->at == '\n'; skip_blanks(r))
        r->at++;
    r->line = r->at;
}

static bool end_line(Reader *r)
{
    skip_blanks(r);
    if (*r->at != '\n')
        return fail_at(r, r->at, "expected the end of the line");
    return true;
}

/* ---- names --------------------------------------------------------------------------------------------- */

static int *names_slot(Names *names, const char *name, const char ***key)
{
    uint64_t at = (text_hash(name, strlen(name)) ^ names->seed) * 0x9e3779b97f4a7c15u >> 20;
    for (;; at++) {
        size_t place = at & (uint64_t)(names->size - 1);
        if (!names->at[place].name || !strcmp(names->at[place].name, name)) {
            *key = &names->at[place].name;
            return &names->at[place].place;
        }
    }
}

static void names_grow(Arena *arena, Names *names)
{
    Names larger = *names;
    larger.size = names->size ? 2 * names->size : 64;
    larger.at = arena_alloc(arena, (size_t)larger.size * sizeof *larger.at);
    for (int i = 0; i < names->size; i++)
        if (names->at[i].name) {
            const char **key;
            int *place = names_slot(&larger, names->at[i].name, &key);
            *key = names->at[i].name;
            *place = names->at[i].place;
        }
    *names = larger;
}

/* Adds a name that must be new. */
static bool names_add(Arena *arena, Names *names, const char *name, int place)
{
    if (2 * names->count >= names->size)
        names_grow(arena, names);
    const char **key;
    int *slot = names_slot(names, name, &key);
    if (*key)
        return false;
    *key = name;
    *slot = place;
    names->count++;
    return true;
}

/* -1 if there is none. */
static int names_find(Names *names, const char *name)
{
    const char **key;
    if (!names->size)
        return -1;
    int *place = names_slot(names, name, &key);
    return *key ? *place : -1;
}

static bool read_variable_name(Reader *r, Variable **variable)
{
    const char *name;
    if (!read_string(r, "a variable's name", &name))
        return false;
    int place = names_find(&r->variables, name);
    if (place < 0)
        return fail_at(r, r->token, "no variable is named '%s'", name);
    *variable = r->model->variable.at[place];
    return true;
}

/* A kind's word; reports what it expected where none fits. */
static bool read_kind(Reader *r, const char *what, const char *const *name, int count, int *kind)
{
    for (*kind = 0; *kind < count; ++*kind)
        if (accept(r, name[*kind]))
            return true;
    return fail_at(r, r->at, "expected %s", what);
}

/* ---- variables ----------------------------------------------------------------------------------------- */

static bool read_flag(Reader *r, bool *flag)
{
    if (!expect_mark(r, '='))
        return false;
    *flag = accept(r, "true");
    return *flag || expect(r, "false");
}

static bool read_param_options(Reader *r, Variable *v)
{
    if (accept(r, "trainable") && !read_flag(r, &v->trainable))
        return false;
    if (accept(r, "decay") && !read_flag(r, &v->decay))
        return false;
    return !accept(r, "lr_scale") || (expect_mark(r, '=') && read_real(r, &v->lr_scale));
}

static bool read_variable(Reader *r)
{
    int kind;
    const char *name;
    Type type;
    if (!read_kind(r, "the kind of a variable", variable_kind_name, VARIABLE_KINDS, &kind) ||
        !read_string(r, "a variable's name", &name) || !read_type(r, &type))
        return false;
    if (!names_add(r->arena, &r->variables, name, r->model->variable.count))
        return fail_at(r, r->line, "two variables are named '%s'", name);
    Variable *v = model_variable(r->model, (VariableKind)kind, name, type);
    if (kind == VARIABLE_SLOT && !(expect(r, "of") && read_variable_name(r, &v->of)))
        return false;
    if (kind == VARIABLE_PARAM && !read_param_options(r, v))
        return false;
    v->span = span_from(r, r->line);
    return check(r, variable_fault(r->model, v->id));
}

/* ---- training ------------------------------------------------------------------------------------------ */

static bool read_source(Reader *r)
{
    DataSource source = {0};
    char split[MAX_WORD], name[MAX_WORD], word[MAX_WORD];
    if (!read_word(r, "a split", split) || !read_word(r, "a source", name))
        return false;
    source.split = arena_string(r->arena, split);
    source.source = arena_string(r->arena, name);
    while (peek_word(r)) {
        Argument argument = {0};
        if (!read_word(r, "an argument's name", word) || !expect_mark(r, '='))
            return false;
        argument.name = arena_string(r->arena, word);
        skip_blanks(r);
        if (*r->at == '"' ? !read_string(r, "an argument", &argument.string)
                          : !read_real(r, &argument.number))
            return false;
        list_add(r->arena, &source.argument, argument);
    }
    list_add(r->arena, &r->model->training->source, source);
    return true;
}

static bool read_numbers(Reader *r, Training *t)
{
    return expect(r, "batch") && read_integer(r, 1, INT32_MAX, &t->batch) && expect(r, "epochs") &&
           read_integer(r, 1, INT32_MAX, &t->epochs) && expect(r, "seed") &&
           read_integer(r, 0, INT64_MAX, &t->seed) && expect(r, "patience") &&
           read_integer(r, 0, INT32_MAX, &t->patience) &&
           (!accept(r, "best") || read_string(r, "a metric's name", &t->best));
}

static bool read_training(Reader *r)
{
    Training *t = r->model->training = arena_alloc(r->arena, sizeof *t);
    if (!read_string(r, "a name", &t->name) || !read_numbers(r, t))
        return false;
    for (;;) {
        char word[MAX_WORD];
        if (!end_line(r))
            return false;
        next_line(r);
        if (accept(r, "source")) {
            if (!read_source(r))
                return false;
        } else if (accept(r, "field")) {
            Field field;
            if (!read_variable_name(r, &field.input))
                return false;
            list_add(r->arena, &t->field, field);
        } else if (accept(r, "option")) {
            if (!read_word(r, "an option's name", word))
                return false;
            list_add(r->arena, &t->option, (Option){arena_string(r->arena, word)});
        } else {
            return true;
        }
    }
}

/* ---- phases -------------------------------------------------------------------------------------------- */

static bool read_node_name(Reader *r, Node **node)
{
    int64_t place;
    if (!expect_mark(r, '%'))
        return false;
    const char *begin = r->token;
    if (!read_integer(r, 0, INT64_MAX, &place))
        return false;
    if (place >= r->graph->node.count)
        return fail_at(r, begin, "%%%lld is no node before this one", (long long)place);
    *node = r->graph->node.at[place];
    return true;
}

static bool read_inputs(Reader *r, Node *node)
{
    int inputs = op_info[node->op].inputs;
    for (int i = 0; i < inputs; i++)
        if (!expect_mark(r, i ? ',' : '(') || !read_node_name(r, &node->in[i]))
            return false;
    return !inputs || expect_mark(r, ')');
}

static bool read_ints(Reader *r, Ints *ints)
{
    if (!expect_mark(r, '='))
        return false;
    if (!expect_mark(r, '['))
        return false;
    for (ints->count = 0; !accept_mark(r, ']'); ints->count++) {
        if (ints->count == MAX_RANK)
            return fail_at(r, r->at, "more than %d values", MAX_RANK);
        if ((ints->count && !expect_mark(r, ',')) ||
            !read_integer(r, INT64_MIN, INT64_MAX, &ints->at[ints->count]))
            return false;
    }
    return true;
}

static bool read_attributes(Reader *r, Node *node)
{
    for (int i = 0; i < op_attrs(node->op); i++) {
        int length;
        const char *name = op_attr_name(node->op, i, &length);
        if (!accept_bytes(r, name, (size_t)length))
            return fail_at(r, r->at, "expected '%.*s'", length, name);
        if (!read_ints(r, &node->attr[i]))
            return false;
    }
    if (node->op == OP_CONST)
        return read_real(r, &node->value);
    if (node->op == OP_PAD || node->op == OP_WINDOW)
        return expect(r, "value") && expect_mark(r, '=') && read_real(r, &node->value);
    return true;
}

/* The path after the type; neighbours that have the same one share the string. */
static bool read_path(Reader *r)
{
    const char *path = NULL, *last = r->graph->scope;
    skip_blanks(r);
    if (*r->at == '"' && !read_string(r, "a path", &path))
        return false;
    r->graph->scope = path && last && !strcmp(path, last) ? last : path;
    return true;
}

static bool add_node(Reader *r, const Node *node, const char *type_begin)
{
    Text text = {0};
    int place = r->graph->node.count;
    r->graph->span = span_from(r, r->line);
    Node *made = graph_add(r->graph, *node);
    if (!made)
        return fail_at(r, r->line, "%s", graph_why());
    if (made->id != place)
        return fail_at(r, r->line, "%%%d and %%%d are equal, but two nodes", made->id, place);
    if (!type_equal(&made->type, &node->type)) {
        type_print(&text, &made->type);
        const char *type = arena_string(r->arena, text_string(&text));
        text_free(&text);
        return fail_at(r, type_begin, "%s gives %s", op_info[node->op].name, type);
    }
    return check(r, node_fault(r->graph, place));
}

/* After its %: 12 = pad(%3) low=[0, 2] high=[0, 2] value=0.0 : f32[batch, 32] "stem" */
static bool read_node(Reader *r)
{
    int64_t place;
    char word[MAX_WORD];
    Node node = {0};
    if (!read_integer(r, 0, INT64_MAX, &place))
        return false;
    if (place != r->graph->node.count)
        return fail_at(r, r->line, "the next node is %%%d", r->graph->node.count);
    if (!expect_mark(r, '=') || !read_word(r, "an op", word))
        return false;
    node.op = op_find(word);
    if (node.op == OP_COUNT)
        return fail_at(r, r->token, "no op is named '%s'", word);
    if (!read_inputs(r, &node))
        return false;
    skip_blanks(r);
    bool has_variable = node.op == OP_VARIABLE || (node.op == OP_GRADIENT && *r->at == '"');
    if (has_variable && !read_variable_name(r, &node.variable))
        return false;
    if (!read_attributes(r, &node) || !expect_mark(r, ':'))
        return false;
    skip_blanks(r);
    const char *type_begin = r->at;
    return read_type(r, &node.type) && read_path(r) && add_node(r, &node, type_begin);
}

static bool read_carry(Reader *r)
{
    Carry carry;
    if (!read_node_name(r, &carry.state) || !expect_mark(r, '=') || !read_node_name(r, &carry.next))
        return false;
    list_add(r->arena, &r->graph->carry, carry);
    return check(r, carry_fault(r->graph, r->graph->carry.count - 1));
}

static bool read_result(Reader *r)
{
    int kind;
    Result result;
    if (!read_kind(r, "the kind of a result", result_kind_name, RESULT_KINDS, &kind) ||
        !read_string(r, "a result's name", &result.name) || !expect_mark(r, '=') ||
        !read_node_name(r, &result.node))
        return false;
    result.kind = (ResultKind)kind;
    if (!names_add(r->arena, &r->results, result.name, r->graph->result.count))
        return fail_at(r, r->line, "two results are named '%s'", result.name);
    list_add(r->arena, &r->graph->result, result);
    return check(r, result_fault(r->graph, r->graph->result.count - 1));
}

static bool read_assign(Reader *r)
{
    Assign assign;
    if (!read_variable_name(r, &assign.variable) || !expect_mark(r, '=') || !read_node_name(r, &assign.node))
        return false;
    if (r->assigned[assign.variable->id])
        return fail_at(r, r->line, "'%s' is set twice", assign.variable->name);
    r->assigned[assign.variable->id] = true;
    list_add(r->arena, &r->graph->assign, assign);
    return check(r, assign_fault(r->graph, r->graph->assign.count - 1));
}

static bool read_phase(Reader *r, int *last)
{
    int phase;
    if (!read_kind(r, "the name of a phase", phase_name, PHASE_COUNT, &phase))
        return false;
    if (phase <= *last)
        return fail_at(r, r->line, "phase %s comes after phase %s", phase_name[*last], phase_name[phase]);
    *last = phase;
    r->graph = r->model->phase[phase];
    r->results = (Names){.seed = r->variables.seed};
    r->assigned = arena_alloc(r->arena, (size_t)r->model->variable.count * sizeof *r->assigned);
    for (bool read = true; read;) {
        if (!end_line(r))
            return false;
        next_line(r);
        if (accept_mark(r, '%'))
            read = read_node(r);
        else if (accept(r, "carry"))
            read = read_carry(r);
        else if (accept(r, "result"))
            read = read_result(r);
        else if (accept(r, "assign"))
            read = read_assign(r);
        else
            break;
        if (!read)
            return false;
    }
    r->graph->scope = NULL;
    r->graph->span = (Span){0};
    return true;
}

/* ---- the whole text ------------------------------------------------------------------------------------ */

static bool read_header(Reader *r)
{
    static const char magic[] = "netc-graph 1\n";
    const char *name;
    if (strncmp(r->at, magic, sizeof magic - 1))
        return fail_at(r, r->at, "a graph's text begins with the line 'netc-graph 1'");
    r->at += sizeof magic - 1;
    next_line(r);
    if (!expect(r, "model") || !read_string(r, "a name", &name) || !expect(r, "batch"))
        return false;
    r->model = model_new(r->arena, name);
    return read_integer(r, 1, INT32_MAX, &r->model->batch) && end_line(r);
}

static bool read_model(Reader *r)
{
    int phase = -1;
    if (!read_header(r))
        return false;
    for (next_line(r); accept(r, "variable"); next_line(r))
        if (!read_variable(r) || !end_line(r))
            return false;
    const char *training = r->line;
    if (accept(r, "training") && !read_training(r))
        return false;
    while (accept(r, "phase"))
        if (!read_phase(r, &phase))
            return false;
    if (!accept(r, "end"))
        return fail_at(r, r->at,
                       phase < 0 ? "expected 'variable', 'training', 'phase' or 'end'"
                                 : "expected a node, 'carry', 'result', 'assign', 'phase' or 'end'");
    if (!end_line(r))
        return false;
    next_line(r);
    if (r->at != r->source->text + r->source->length)
        return fail_at(r, r->at, "expected nothing after 'end'");
    const char *fault = r->model->training ? training_fault(r->model) : NULL;
    if (fault)
        return fail_at(r, training, "%s", fault);
    fault = model_fault(r->model);
    return fault ? fail_at(r, r->source->text, "%s", fault) : true;
}

Model *model_parse(Arena *arena, Diagnostics *diag, const Source *source)
{
    Reader r = {.arena = arena, .diag = diag, .source = source, .at = source->text};
    r.token = r.line = r.at;
    r.variables.seed = (uintptr_t)arena;
    if (source->length > MAX_GRAPH_BYTES) {
        fail_at(&r, r.at, "a graph's text may have at most 2^28 bytes");
        return NULL;
    }
    return read_model(&r) ? r.model : NULL;
}
