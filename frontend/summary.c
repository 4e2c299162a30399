#include "summary.h"

#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 7, ALIGNMENT = 64 };

typedef struct Layer {
    const char *path; /* "" for what has no name */
    const Type *output;
    int64_t parameters, weight_bytes, activation_bytes;
    double flops;
    const char *note;
} Layer;

typedef struct Summary {
    Text *text;
    Arena *arena;
    const Program *program;
    const Model *model;
    int phase; /* whose layers are listed */
    LIST(Layer) layer;
    int *layer_of; /* by variable: the layer that owns the parameter */
} Summary;

/* ---- numbers and tables -------------------------------------------------------------------------------- */

/* 12345678 → 12,345,678 */
static const char *grouped(Arena *arena, int64_t value)
{
    char digits[32];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)value), at = 0;
    char *text = arena_alloc(arena, (size_t)count + (size_t)count / 3 + 1);
    for (int i = 0; i < count; i++) {
        if (i && (count - i) % 3 == 0 && digits[i - 1] != '-')
            text[at++] = ',';
        text[at++] = digits[i];
    }
    return text;
}

static const char *grouped_real(Arena *arena, double value) { return grouped(arena, (int64_t)(value + 0.5)); }

typedef struct Row {
    const char *cell[COLUMNS];
} Row;

typedef struct Table {
    LIST(Row) row;
} Table;

/* The first two columns and the last are words, the others numbers; columns are as wide as their widest cell. */
static void table_print(Text *text, const Table *table)
{
    int width[COLUMNS] = {0};
    for (int i = 0; i < table->row.count; i++)
        for (int c = 0; c < COLUMNS; c++) {
            int length = (int)strlen(table->row.at[i].cell[c]);
            width[c] = length > width[c] ? length : width[c];
        }
    for (int i = 0; i < table->row.count; i++) {
        const char *const *cell = table->row.at[i].cell;
        text_printf(text, "%-*s  %-*s", width[0], cell[0], width[1], cell[1]);
        for (int c = 2; c < COLUMNS - 1; c++)
            text_printf(text, "  %*s", width[c], cell[c]);
        text_printf(text, "%s%s\n", *cell[COLUMNS - 1] ? "  " : "", cell[COLUMNS - 1]);
    }
}

/* ---- layers -------------------------------------------------------------------------------------------- */

static Layer *find_layer(Summary *s, const char *path)
{
    for (int i = s->layer.count; i-- > 0;) /* neighbours are most often of one layer */
        if (!strcmp(s->layer.at[i].path, path))
            return &s->layer.at[i];
    list_add(s->arena, &s->layer, ((Layer){.path = path, .note = ""}));
    return &s->layer.at[s->layer.count - 1];
}

/* The layer that owns a parameter: "stage2.conv1" owns "stage2.conv1.weight". */
static Layer *owner_of(Summary *s, const char *name)
{
    Layer *owner = NULL;
    for (int i = 0; i < s->layer.count; i++) {
        const char *path = s->layer.at[i].path;
        size_t length = strlen(path);
        if (length && !strncmp(path, name, length) && name[length] == '.' &&
            (!owner || strlen(owner->path) < length))
            owner = &s->layer.at[i];
    }
    if (owner)
        return owner;
    const char *dot = strrchr(name, '.');
    return find_layer(s, dot ? arena_printf(s->arena, "%.*s", (int)(dot - name), name) : name);
}

static void add_outputs(Summary *s)
{
    const Graph *graph = s->model->phase[s->phase];
    for (int i = 0; graph && i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if (op_info[node->op].class != OP_CLASS_LEAF)
            find_layer(s, node->name ? node->name : "")->output = &node->type;
    }
}

static bool is_frozen(const Variable *v) { return !v->trainable; }
static bool is_undecayed(const Variable *v) { return v->trainable && !v->decay; }
static bool has_own_rate(const Variable *v) { return v->trainable && v->lr_scale != 1; }

/* "no decay: b" for those parameters of a layer of which `holds` is true; all of them need no names. */
static void add_note(Summary *s, Layer *layer, const char *note, bool (*holds)(const Variable *))
{
    Text names = {0};
    int count = 0, all = 0;
    for (int i = 0; i < s->model->variable.count; i++) {
        const Variable *v = s->model->variable.at[i];
        if (v->kind != VARIABLE_PARAM || s->layer_of[i] != layer - s->layer.at)
            continue;
        all++;
        if (!holds(v))
            continue;
        const char *dot = strrchr(v->name, '.');
        text_printf(&names, "%s%s", count++ ? " " : ": ", dot ? dot + 1 : v->name);
        if (holds == has_own_rate)
            text_printf(&names, " x%g", v->lr_scale);
    }
    if (count)
        layer->note = arena_printf(s->arena, "%s%s%s%s", layer->note, *layer->note ? ", " : "", note,
                                   count == all && holds != has_own_rate ? "" : text_string(&names));
    text_free(&names);
}

static void add_parameters(Summary *s)
{
    s->layer_of = arena_alloc(s->arena, ((size_t)s->model->variable.count + 1) * sizeof *s->layer_of);
    for (int i = 0; i < s->model->variable.count; i++) {
        const Variable *v = s->model->variable.at[i];
        if (v->kind != VARIABLE_PARAM)
            continue;
        Size elements = {0, 0};
        type_elements(&v->type, &elements);
        Layer *layer = owner_of(s, v->name);
        layer->parameters += elements.count;
        layer->weight_bytes += type_bytes(&v->type, 1);
        s->layer_of[i] = (int)(layer - s->layer.at);
    }
    for (int i = 0; i < s->layer.count; i++) {
        add_note(s, &s->layer.at[i], "frozen", is_frozen);
        add_note(s, &s->layer.at[i], "no decay", is_undecayed);
        add_note(s, &s->layer.at[i], "learning rate", has_own_rate);
    }
}

/* What the phase keeps in memory: fused layers have nothing there. */
static void add_activations(Summary *s)
{
    const ProgramPhase *phase = &s->program->phase[s->phase];
    for (int i = 0; i < s->program->buffer.count; i++) {
        const Buffer *b = &s->program->buffer.at[i];
        if (b->kind != BUFFER_VARIABLE && b->first >= phase->first && b->first < phase->first + phase->count)
            find_layer(s, b->name)->activation_bytes += program_buffer_bytes(s->program, b);
    }
}

/* A call's name is the path of its layer, a blank and what it does. */
static void add_flops(Summary *s)
{
    const ProgramPhase *phase = &s->program->phase[s->phase];
    for (int i = phase->first; i < phase->first + phase->count; i++) {
        const Call *call = &s->program->call.at[i];
        const char *name = call->name ? call->name : "", *blank = strrchr(name, ' ');
        const char *path =
            arena_printf(s->arena, "%.*s", blank ? (int)(blank - name) : (int)strlen(name), name);
        find_layer(s, path)->flops +=
            (double)program_steps(s->program, i) * s->program->kernel.at[call->kernel]->flops;
    }
}

static double phase_flops(const Program *program, int phase)
{
    double flops = 0;
    const ProgramPhase *p = &program->phase[phase];
    for (int i = p->first; i < p->first + p->count; i++)
        flops += (double)program_steps(program, i) * program->kernel.at[program->call.at[i].kernel]->flops;
    return flops;
}

static const char *type_text(Arena *arena, const Type *type)
{
    Text text = {0};
    if (type)
        type_print(&text, type);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

static void print_layers(Summary *s)
{
    Table table = {0};
    Layer total = {.path = "total", .note = ""};
    list_add(s->arena, &table.row,
             ((Row){{"layer", "output", "parameters", "weight bytes", "activation bytes", "FLOPs", ""}}));
    for (int i = 0; i <= s->layer.count; i++) {
        const Layer *layer = i < s->layer.count ? &s->layer.at[i] : &total;
        Row row = {{*layer->path ? layer->path : "(unnamed)", type_text(s->arena, layer->output),
                    grouped(s->arena, layer->parameters), grouped(s->arena, layer->weight_bytes),
                    grouped(s->arena, layer->activation_bytes), grouped_real(s->arena, layer->flops),
                    layer->note}};
        list_add(s->arena, &table.row, row);
        total.parameters += layer->parameters;
        total.weight_bytes += layer->weight_bytes;
        total.activation_bytes += layer->activation_bytes;
        total.flops += layer->flops;
    }
    table_print(s->text, &table);
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void print_source(Text *text, const DataSource *source)
{
    text_printf(text, "    %s = %s(", source->split, source->source);
    for (int i = 0; i < source->argument.count; i++) {
        const Argument *a = &source->argument.at[i];
        text_printf(text, "%s%s = ", i ? ", " : "", a->name);
        if (a->string)
            text_printf(text, "\"%s\"", a->string);
        else
            text_printf(text, "%g", a->number);
    }
    text_add(text, ")\n");
}

static void print_training(Summary *s)
{
    const Training *t = s->model->training;
    if (!t) {
        text_printf(s->text, "no training: batch %lld by default\n", (long long)s->model->batch);
        return;
    }
    text_printf(s->text, "training %s: batch %lld, %lld epochs, seed %lld, ", t->name, (long long)t->batch,
                (long long)t->epochs, (long long)t->seed);
    if (t->patience)
        text_printf(s->text, "stops after %lld epochs without a better value, ", (long long)t->patience);
    else
        text_add(s->text, "never stops early, ");
    if (t->best)
        text_printf(s->text, "best by %s\n", t->best);
    else
        text_add(s->text, "best by the first metric on valid, else by the training loss\n");
    for (int i = 0; i < t->source.count; i++)
        print_source(s->text, &t->source.at[i]);
    for (int i = 0; i < t->option.count; i++)
        text_printf(s->text, "%s--%s", i ? ", " : "    options: ", t->option.at[i].name);
    text_add(s->text, t->option.count ? "\n" : "");
}

/* ---- memory -------------------------------------------------------------------------------------------- */

static int64_t kind_bytes(const Summary *s, VariableKind kind)
{
    int64_t bytes = 0;
    for (int i = 0; i < s->model->variable.count; i++)
        if (s->model->variable.at[i]->kind == kind)
            bytes += type_bytes(&s->model->variable.at[i]->type, s->program->batch);
    return bytes;
}

static int64_t padded(const Program *program, const Buffer *b)
{
    return (program_buffer_bytes(program, b) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The end of the last byte in use during the calls, and at which of them most bytes are alive. */
static void measure(const Program *program, int first, int count, int64_t *end, int64_t *most, int *worst)
{
    int64_t *change = calloc((size_t)program->call.count + 2, sizeof *change), live = 0;
    if (!change)
        abort();
    *end = *most = 0;
    *worst = first;
    for (int i = 0; i < program->buffer.count; i++) {
        const Buffer *b = &program->buffer.at[i];
        change[b->first] += padded(program, b);
        change[b->last + 1] -= padded(program, b);
        if (b->first < first + count && b->last >= first && b->offset + padded(program, b) > *end)
            *end = b->offset + padded(program, b);
    }
    for (int call = 0; call < first + count; call++) {
        live += change[call];
        if (call >= first && live > *most) {
            *most = live;
            *worst = call;
        }
    }
    free(change);
}

static void add_memory(Summary *s, Table *table, const char *what, int64_t bytes, int64_t bound, int worst)
{
    const Call *call = &s->program->call.at[worst];
    const char *excess =
        arena_printf(s->arena, "%.2f %%", bound ? (double)(bytes - bound) * 100 / (double)bound : 0);
    const char *name = call->name ? call->name : s->program->kernel.at[call->kernel]->name;
    Row row = {{what, "", grouped(s->arena, bytes), grouped(s->arena, bound), excess, "",
                arena_printf(s->arena, "call %d: %s", worst, name)}};
    list_add(s->arena, &table->row, row);
}

static void add_phase_memory(Summary *s, Table *table, const char *what, int phase)
{
    int64_t end, most;
    int worst;
    const ProgramPhase *p = &s->program->phase[phase];
    if (!p->count)
        return;
    measure(s->program, p->first, p->count, &end, &most, &worst);
    add_memory(s, table, what, end, most, worst);
}

static void print_memory(Summary *s)
{
    const Program *p = s->program;
    text_printf(s->text, "weights %s bytes, states %s, optimizer %s\n",
                grouped(s->arena, kind_bytes(s, VARIABLE_PARAM)),
                grouped(s->arena, kind_bytes(s, VARIABLE_STATE)),
                grouped(s->arena, kind_bytes(s, VARIABLE_SLOT)));
    Table table = {0};
    list_add(s->arena, &table.row,
             ((Row){{"peak memory", "", "bytes", "lower bound", "excess", "", "most alive at"}}));
    add_phase_memory(s, &table, "training step", PHASE_STEP);
    add_phase_memory(s, &table, "prediction", PHASE_PREDICT);
    if (p->call.count)
        add_memory(s, &table, "whole program", p->arena_bytes, p->bound_bytes, p->bound_call);
    table_print(s->text, &table);
}

void summary_print(Text *text, const Program *program)
{
    Summary s = {.text = text, .arena = program->arena, .program = program, .model = program->model};
    s.phase = program->phase[PHASE_PREDICT].count ? PHASE_PREDICT : PHASE_STEP;
    text_printf(text, "%s: %s at batch %lld, for %s\n\n", s.model->name,
                s.phase == PHASE_PREDICT ? "prediction" : "a training step", (long long)program->batch,
                program->target->name);
    add_outputs(&s);
    add_parameters(&s);
    add_activations(&s);
    add_flops(&s);
    print_layers(&s);
    text_add(text, "\n");
    print_training(&s);
    text_printf(text, "\nFLOPs of a training step %s, of a prediction %s\n",
                grouped_real(s.arena, phase_flops(program, PHASE_STEP)),
                grouped_real(s.arena, phase_flops(program, PHASE_PREDICT)));
    print_memory(&s);
}
