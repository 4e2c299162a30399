#include "graph_text.h"
#include "graph_verify.h"
#include "words.h"

#include <string.h>

/* A strict reader of what model_print writes: one statement a line, one error, then NULL. */

enum { MAX_GRAPH_BYTES = 1 << 28 };

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
    Words words;
    Model *model;
    Graph *graph;
    Names variables, results;
    bool *assigned; /* variables that this phase has set */
} Reader;

static bool check(Reader *r, const char *fault)
{
    return fault ? words_fail(&r->words, r->words.line, "%s", fault) : true;
}

static bool read_type(Reader *r, Type *type)
{
    words_skip_blanks(&r->words);
    const char *end = type_parse(r->words.at, type);
    if (!end)
        return words_fail(&r->words, r->words.at, "expected a type such as f32[batch, 10]");
    Size elements;
    const char *begin = r->words.at;
    r->words.at = end;
    return type_elements(type, &elements) ||
           words_fail(&r->words, begin, "no size may exceed 2^40, no tensor 2^48 elements");
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
    if (!words_read_string(&r->words, "a variable's name", &name))
        return false;
    int place = names_find(&r->variables, name);
    if (place < 0)
        return words_fail(&r->words, r->words.token, "no variable is named '%s'", name);
    *variable = r->model->variable.at[place];
    return true;
}

/* A kind's word; reports what it expected where none fits. */
static bool read_kind(Reader *r, const char *what, const char *const *name, int count, int *kind)
{
    for (*kind = 0; *kind < count; ++*kind)
        if (words_accept(&r->words, name[*kind]))
            return true;
    return words_fail(&r->words, r->words.at, "expected %s", what);
}

/* ---- variables ----------------------------------------------------------------------------------------- */

static bool read_flag(Reader *r, bool *flag)
{
    if (!words_expect_mark(&r->words, '='))
        return false;
    *flag = words_accept(&r->words, "true");
    return *flag || words_expect(&r->words, "false");
}

static bool read_param_options(Reader *r, Variable *v)
{
    if (words_accept(&r->words, "trainable") && !read_flag(r, &v->trainable))
        return false;
    if (words_accept(&r->words, "decay") && !read_flag(r, &v->decay))
        return false;
    return !words_accept(&r->words, "lr_scale") ||
           (words_expect_mark(&r->words, '=') && words_read_real(&r->words, &v->lr_scale));
}

static bool read_variable(Reader *r)
{
    int kind;
    const char *name;
    Type type;
    if (!read_kind(r, "the kind of a variable", variable_kind_name, VARIABLE_KINDS, &kind) ||
        !words_read_string(&r->words, "a variable's name", &name) || !read_type(r, &type))
        return false;
    if (!names_add(r->words.arena, &r->variables, name, r->model->variable.count))
        return words_fail(&r->words, r->words.line, "two variables are named '%s'", name);
    Variable *v = model_variable(r->model, (VariableKind)kind, name, type);
    if (kind == VARIABLE_SLOT && !(words_expect(&r->words, "of") && read_variable_name(r, &v->of)))
        return false;
    if (kind == VARIABLE_PARAM && !read_param_options(r, v))
        return false;
    v->span = words_span(&r->words, r->words.line);
    return check(r, variable_fault(r->model, v->id));
}

/* ---- training ------------------------------------------------------------------------------------------ */

static bool read_source(Reader *r)
{
    DataSource source = {0};
    char split[MAX_WORD], name[MAX_WORD], word[MAX_WORD];
    if (!words_read_word(&r->words, "a split", split) || !words_read_word(&r->words, "a source", name))
        return false;
    source.split = arena_string(r->words.arena, split);
    source.source = arena_string(r->words.arena, name);
    while (words_peek(&r->words)) {
        Argument argument = {0};
        if (!words_read_word(&r->words, "an argument's name", word) || !words_expect_mark(&r->words, '='))
            return false;
        argument.name = arena_string(r->words.arena, word);
        words_skip_blanks(&r->words);
        if (*r->words.at == '"' ? !words_read_string(&r->words, "an argument", &argument.string)
                                : !words_read_real(&r->words, &argument.number))
            return false;
        list_add(r->words.arena, &source.argument, argument);
    }
    list_add(r->words.arena, &r->model->training->source, source);
    return true;
}

static bool read_numbers(Reader *r, Training *t)
{
    return words_expect(&r->words, "batch") && words_read_integer(&r->words, 1, INT32_MAX, &t->batch) &&
           words_expect(&r->words, "epochs") && words_read_integer(&r->words, 1, INT32_MAX, &t->epochs) &&
           words_expect(&r->words, "seed") && words_read_integer(&r->words, 0, INT64_MAX, &t->seed) &&
           words_expect(&r->words, "patience") && words_read_integer(&r->words, 0, INT32_MAX, &t->patience) &&
           (!words_accept(&r->words, "best") || words_read_string(&r->words, "a metric's name", &t->best));
}

static bool read_training(Reader *r)
{
    Training *t = r->model->training = arena_alloc(r->words.arena, sizeof *t);
    if (!words_read_string(&r->words, "a name", &t->name) || !read_numbers(r, t))
        return false;
    for (;;) {
        char word[MAX_WORD];
        if (!words_end_line(&r->words))
            return false;
        words_next_line(&r->words);
        if (words_accept(&r->words, "source")) {
            if (!read_source(r))
                return false;
        } else if (words_accept(&r->words, "field")) {
            Field field;
            if (!read_variable_name(r, &field.input))
                return false;
            list_add(r->words.arena, &t->field, field);
        } else if (words_accept(&r->words, "option")) {
            if (!words_read_word(&r->words, "an option's name", word))
                return false;
            list_add(r->words.arena, &t->option, (Option){arena_string(r->words.arena, word)});
        } else {
            return true;
        }
    }
}

/* ---- phases -------------------------------------------------------------------------------------------- */

static bool read_node_name(Reader *r, Node **node)
{
    int64_t place;
    if (!words_expect_mark(&r->words, '%'))
        return false;
    const char *begin = r->words.token;
    if (!words_read_integer(&r->words, 0, INT64_MAX, &place))
        return false;
    if (place >= r->graph->node.count)
        return words_fail(&r->words, begin, "%%%lld is no node before this one", (long long)place);
    *node = r->graph->node.at[place];
    return true;
}

static bool read_inputs(Reader *r, Node *node)
{
    int inputs = op_info[node->op].inputs;
    for (int i = 0; i < inputs; i++)
        if (!words_expect_mark(&r->words, i ? ',' : '(') || !read_node_name(r, &node->in[i]))
            return false;
    return !inputs || words_expect_mark(&r->words, ')');
}

static bool read_ints(Reader *r, Ints *ints)
{
    if (!words_expect_mark(&r->words, '='))
        return false;
    if (!words_expect_mark(&r->words, '['))
        return false;
    for (ints->count = 0; !words_accept_mark(&r->words, ']'); ints->count++) {
        if (ints->count == MAX_RANK)
            return words_fail(&r->words, r->words.at, "more than %d values", MAX_RANK);
        if ((ints->count && !words_expect_mark(&r->words, ',')) ||
            !words_read_integer(&r->words, INT64_MIN, INT64_MAX, &ints->at[ints->count]))
            return false;
    }
    return true;
}

static bool read_attributes(Reader *r, Node *node)
{
    for (int i = 0; i < op_attrs(node->op); i++) {
        int length;
        const char *name = op_attr_name(node->op, i, &length);
        if (!words_accept_bytes(&r->words, name, (size_t)length))
            return words_fail(&r->words, r->words.at, "expected '%.*s'", length, name);
        if (!read_ints(r, &node->attr[i]))
            return false;
    }
    if (node->op == OP_CONST)
        return words_read_real(&r->words, &node->value);
    if (node->op == OP_PAD || node->op == OP_WINDOW)
        return words_expect(&r->words, "value") && words_expect_mark(&r->words, '=') &&
               words_read_real(&r->words, &node->value);
    return true;
}

/* The path after the type; neighbours that have the same one share the string. */
static bool read_path(Reader *r)
{
    const char *path = NULL, *last = r->graph->scope;
    words_skip_blanks(&r->words);
    if (*r->words.at == '"' && !words_read_string(&r->words, "a path", &path))
        return false;
    r->graph->scope = path && last && !strcmp(path, last) ? last : path;
    return true;
}

static bool add_node(Reader *r, const Node *node, const char *type_begin)
{
    Text text = {0};
    int place = r->graph->node.count;
    r->graph->span = words_span(&r->words, r->words.line);
    Node *made = graph_add(r->graph, *node);
    if (!made)
        return words_fail(&r->words, r->words.line, "%s", graph_why());
    if (made->id != place)
        return words_fail(&r->words, r->words.line, "%%%d and %%%d are equal, but two nodes", made->id,
                          place);
    if (!type_equal(&made->type, &node->type)) {
        type_print(&text, &made->type);
        const char *type = arena_string(r->words.arena, text_string(&text));
        text_free(&text);
        return words_fail(&r->words, type_begin, "%s gives %s", op_info[node->op].name, type);
    }
    return check(r, node_fault(r->graph, place));
}

/* After its %: 12 = pad(%3) low=[0, 2] high=[0, 2] value=0.0 : f32[batch, 32] "stem" */
static bool read_node(Reader *r)
{
    int64_t place;
    char word[MAX_WORD];
    Node node = {0};
    if (!words_read_integer(&r->words, 0, INT64_MAX, &place))
        return false;
    if (place != r->graph->node.count)
        return words_fail(&r->words, r->words.line, "the next node is %%%d", r->graph->node.count);
    if (!words_expect_mark(&r->words, '=') || !words_read_word(&r->words, "an op", word))
        return false;
    node.op = op_find(word);
    if (node.op == OP_COUNT)
        return words_fail(&r->words, r->words.token, "no op is named '%s'", word);
    if (!read_inputs(r, &node))
        return false;
    words_skip_blanks(&r->words);
    bool has_variable = node.op == OP_VARIABLE || (node.op == OP_GRADIENT && *r->words.at == '"');
    if (has_variable && !read_variable_name(r, &node.variable))
        return false;
    if (!read_attributes(r, &node) || !words_expect_mark(&r->words, ':'))
        return false;
    words_skip_blanks(&r->words);
    const char *type_begin = r->words.at;
    return read_type(r, &node.type) && read_path(r) && add_node(r, &node, type_begin);
}

static bool read_carry(Reader *r)
{
    Carry carry;
    if (!read_node_name(r, &carry.state) || !words_expect_mark(&r->words, '=') ||
        !read_node_name(r, &carry.next))
        return false;
    list_add(r->words.arena, &r->graph->carry, carry);
    return check(r, carry_fault(r->graph, r->graph->carry.count - 1));
}

static bool read_result(Reader *r)
{
    int kind;
    Result result;
    if (!read_kind(r, "the kind of a result", result_kind_name, RESULT_KINDS, &kind) ||
        !words_read_string(&r->words, "a result's name", &result.name) ||
        !words_expect_mark(&r->words, '=') || !read_node_name(r, &result.node))
        return false;
    result.kind = (ResultKind)kind;
    if (!names_add(r->words.arena, &r->results, result.name, r->graph->result.count))
        return words_fail(&r->words, r->words.line, "two results are named '%s'", result.name);
    list_add(r->words.arena, &r->graph->result, result);
    return check(r, result_fault(r->graph, r->graph->result.count - 1));
}

static bool read_assign(Reader *r)
{
    Assign assign;
    if (!read_variable_name(r, &assign.variable) || !words_expect_mark(&r->words, '=') ||
        !read_node_name(r, &assign.node))
        return false;
    if (r->assigned[assign.variable->id])
        return words_fail(&r->words, r->words.line, "'%s' is set twice", assign.variable->name);
    r->assigned[assign.variable->id] = true;
    list_add(r->words.arena, &r->graph->assign, assign);
    return check(r, assign_fault(r->graph, r->graph->assign.count - 1));
}

static bool read_phase(Reader *r, int *last)
{
    int phase;
    if (!read_kind(r, "the name of a phase", phase_name, PHASE_COUNT, &phase))
        return false;
    if (phase <= *last)
        return words_fail(&r->words, r->words.line, "phase %s comes after phase %s", phase_name[*last],
                          phase_name[phase]);
    *last = phase;
    r->graph = r->model->phase[phase];
    r->results = (Names){.seed = r->variables.seed};
    r->assigned = arena_alloc(r->words.arena, (size_t)r->model->variable.count * sizeof *r->assigned);
    for (bool read = true; read;) {
        if (!words_end_line(&r->words))
            return false;
        words_next_line(&r->words);
        if (words_accept_mark(&r->words, '%'))
            read = read_node(r);
        else if (words_accept(&r->words, "carry"))
            read = read_carry(r);
        else if (words_accept(&r->words, "result"))
            read = read_result(r);
        else if (words_accept(&r->words, "assign"))
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
    if (strncmp(r->words.at, magic, sizeof magic - 1))
        return words_fail(&r->words, r->words.at, "a graph's text begins with the line 'netc-graph 1'");
    r->words.at += sizeof magic - 1;
    words_next_line(&r->words);
    if (!words_expect(&r->words, "model") || !words_read_string(&r->words, "a name", &name) ||
        !words_expect(&r->words, "batch"))
        return false;
    r->model = model_new(r->words.arena, name);
    return words_read_integer(&r->words, 1, INT32_MAX, &r->model->batch) && words_end_line(&r->words);
}

static bool read_model(Reader *r)
{
    int phase = -1;
    if (!read_header(r))
        return false;
    for (words_next_line(&r->words); words_accept(&r->words, "variable"); words_next_line(&r->words))
        if (!read_variable(r) || !words_end_line(&r->words))
            return false;
    const char *training = r->words.line;
    if (words_accept(&r->words, "training") && !read_training(r))
        return false;
    while (words_accept(&r->words, "phase"))
        if (!read_phase(r, &phase))
            return false;
    if (!words_accept(&r->words, "end"))
        return words_fail(&r->words, r->words.at,
                          phase < 0 ? "expected 'variable', 'training', 'phase' or 'end'"
                                    : "expected a node, 'carry', 'result', 'assign', 'phase' or 'end'");
    if (!words_end_line(&r->words))
        return false;
    words_next_line(&r->words);
    if (r->words.at != r->words.source->text + r->words.source->length)
        return words_fail(&r->words, r->words.at, "expected nothing after 'end'");
    const char *fault = r->model->training ? training_fault(r->model) : NULL;
    if (fault)
        return words_fail(&r->words, training, "%s", fault);
    fault = model_fault(r->model);
    return fault ? words_fail(&r->words, r->words.source->text, "%s", fault) : true;
}

Model *model_parse(Arena *arena, Diagnostics *diag, const Source *source)
{
    Reader r = {.words = words_of(arena, diag, source)};
    r.variables.seed = (uintptr_t)arena;
    if (source->length > MAX_GRAPH_BYTES) {
        words_fail(&r.words, r.words.at, "a graph's text may have at most 2^28 bytes");
        return NULL;
    }
    return read_model(&r) ? r.model : NULL;
}
