/* The front end as a whole: a text becomes a library of items, and its net, run once a phase, a Model. */
#include "elaborate.h"
#include "frontend.h"
#include "read_source.h"

#include <string.h>
#include <sys/resource.h>

/* ---- one pass over the net ---- */

static void begin_pass(Elaborator *e, Phase phase)
{
    e->phase = phase;
    e->graph = e->model->phase[phase];
    e->training = phase == PHASE_STEP;
    e->pass++;
    e->path = (Map){0};
    e->update.count = 0;
    e->frame = NULL;
}

/* The train block's own frame: the fields of the data are its names, in training as `augment` changes them. */
static Frame *enter_train(Elaborator *e)
{
    const Training *t = e->model->training;
    Frame *frame = frame_new(e, e->plan->train, e->plan->train->head);
    for (int i = 0; i < t->field.count; i++) {
        Variable *v = t->field.at[i].input;
        Binding *binding = scope_bind(e, frame->scope, v->name, value_none);
        binding->field = v;
        binding->value.origin = origin_new(e, v->name, NULL, "a field of the data", v->span);
    }
    e->frame = frame;
    return frame;
}

static void augment(Elaborator *e)
{
    for (int i = 0; i < e->plan->augment.count; i++)
        for (int k = 0; k < e->plan->augment.at[i]->entry.count; k++) {
            const Entry *entry = &e->plan->augment.at[i]->entry.at[k];
            if (!entry->name.text || entry->on.text || entry->declares) {
                report(
                    e, entry->span,
                    "`augment` gives a field a new value, as in augment pixels = pixels |> flip_left_right");
                continue;
            }
            const Variable *v = model_find(e->model, entry->name.text);
            if (!v || v->kind != VARIABLE_INPUT) {
                report(e, entry->name.span, "the data have no field '%s'", entry->name.text);
                continue;
            }
            Value value = evaluate_named(e, v->name, entry->value, entry->span);
            value = tensor_fit(e, value, &v->type, format_text(e, "the augmented '%s'", v->name),
                               entry->value->span);
            value.origin = origin_new(e, v->name, NULL, "a field of the data, augmented", entry->span);
            assign_name(e, v->name, value);
        }
}

static const TrainField *input_field(const Plan *plan, const char *name)
{
    for (int i = 0; i < plan->input.count; i++)
        if (!strcmp(plan->input.at[i]->name.text, name))
            return plan->input.at[i];
    return NULL;
}

/* The net's inputs from the data: by the block's own expression, or the field of that name. */
static bool bind_inputs(Elaborator *e, Frame *net)
{
    const Item *item = net->item;
    size_t count = (size_t)item->params.count;
    Given given = {.value = arena_alloc(e->arena, count * sizeof(Value)),
                   .span = arena_alloc(e->arena, count * sizeof(Span))};
    given.given = arena_alloc(e->arena, count * sizeof(bool));
    bool good = true;
    for (int p = 0; p < item->params.count; p++) {
        Name name = item->params.at[p].name;
        const TrainField *field = input_field(e->plan, name.text);
        Span head = e->plan->train->head;
        if (!field && !scope_find(e->frame->scope, name.text)) {
            report(e, head, "the input '%s' of the net is not given", name.text);
            report_note(e, name.span, "it is declared here");
            report_help(e, "%s = … in the train block makes it from the data's fields", name.text);
            good = false;
            continue;
        }
        given.given[p] = true;
        given.span[p] = field ? field->value->span : head;
        given.value[p] =
            field ? evaluate_named(e, name.text, field->value, field->span) : name_value(e, name.text, head);
        good = good && given.value[p].kind != VALUE_POISON;
    }
    return good && arguments_bind(e, net, &given, e->plan->train->head);
}

/* Without a train block: from the outside. */
static bool declare_inputs(Elaborator *e, Frame *net)
{
    const Parameters *params = &net->item->params;
    bool good = true;
    for (int p = 0; p < params->count; p++) {
        Type type;
        Name name = params->at[p].name;
        if (!evaluate_type(e, params->at[p].type, &type)) {
            good = false;
            continue;
        }
        if (model_find(e->model, name.text)) {
            report(e, name.span, "an input cannot be named '%s': the name is taken", name.text);
            good = false;
            continue;
        }
        Variable *v = model_variable(e->model, VARIABLE_INPUT, name.text, type);
        v->span = name.span;
        scope_bind(e, net->scope, name.text, tensor_value(e, graph_variable(e->graph, v)));
    }
    return good;
}

/* What is wrong with the net's signature in itself. */
static bool check_inputs(Elaborator *e, const Item *net)
{
    bool good = true;
    for (int p = 0; p < net->params.count; p++) {
        const Parameter *param = &net->params.at[p];
        if (!param->type || !param->type->tensor || param->value) {
            report(e, param->name.span,
                   "an input of a net is a tensor: it has a type, as in `%s: f32[batch, 10]`, and no default",
                   param->name.text);
            good = false;
        }
    }
    return good;
}

static void poison_inputs(Elaborator *e, Frame *net)
{
    for (int p = 0; p < net->item->params.count; p++)
        scope_bind(e, net->scope, net->item->params.at[p].name.text, value_poison);
}

static Frame *run_net(Elaborator *e, const Item *item)
{
    Frame *outer = e->frame, *net = frame_new(e, item, item->head);
    bool bound = e->plan ? bind_inputs(e, net) : declare_inputs(e, net);
    if (!bound)
        poison_inputs(e, net); /* its other faults are still found */
    for (int p = 0; p < item->params.count; p++) {
        Binding *binding = scope_find(net->scope, item->params.at[p].name.text);
        binding->value.origin = origin_new(e, item->params.at[p].name.text, NULL, "an input of the net",
                                           item->params.at[p].name.span);
    }
    int faults = e->faults;
    e->frame = net;
    run_block(e, &item->body);
    if (!net->returned && e->faults == faults && !e->exhausted)
        report(e, item->head, "the net '%s' returns nothing", item->name.text);
    e->frame = outer;
    return net;
}

/* The names of the net's body, for the loss and the metrics. */
static void see_net(Elaborator *e, const Frame *net)
{
    Scope *scope = arena_alloc(e->arena, sizeof *scope);
    scope->outer = e->frame->scope;
    e->frame->scope = scope;
    for (int i = 0; i < net->scope->binding.size; i++) {
        const struct MapEntry *entry = &net->scope->binding.at[i];
        if (!entry->key)
            continue;
        const Variable *field = model_find(e->model, entry->key);
        bool input = false;
        for (int p = 0; p < net->item->params.count; p++)
            input = input || !strcmp(net->item->params.at[p].name.text, entry->key);
        bool both = field && field->kind == VARIABLE_INPUT && !input;
        if (both)
            report(e, field->span,
                   "'%s' is a field of the data and a name in the net: the loss cannot tell them apart",
                   entry->key);
        const Binding *binding = entry->value;
        scope_bind(e, scope, entry->key, both ? value_poison : binding->value);
    }
    for (int i = 0; i < net->scope->instance.size; i++)
        if (net->scope->instance.at[i].key)
            map_set(e->arena, &scope->instance, net->scope->instance.at[i].key,
                    net->scope->instance.at[i].value);
}

static const char *result_name(const Frame *net, int index)
{
    const char *name = net->result_name[index];
    return name ? name : "output";
}

static void add_outputs(Elaborator *e, const Frame *net)
{
    for (int i = 0; i < net->results; i++) {
        Value value = net->result[i];
        if (value.kind == VALUE_POISON)
            continue;
        if (value.kind != VALUE_TENSOR) {
            report(e, net->item->head, "the result '%s' of the net must be a tensor, but is %s",
                   result_name(net, i), described_text(e, value));
            continue;
        }
        list_add(e->arena, &e->graph->result, ((Result){RESULT_OUTPUT, result_name(net, i), value.node}));
    }
}

/* ---- phases ---- */

static void check_labels(Elaborator *e)
{
    const Graph *g = e->graph;
    for (int i = 0; i < e->plan->labels; i++)
        for (int n = 0; n < g->node.count; n++)
            if (g->node.at[n]->op == OP_VARIABLE && g->node.at[n]->variable == e->plan->label[i]) {
                report(e, e->plan->label[i]->span, "to predict, the net would need the label '%s'",
                       e->plan->label[i]->name);
                report_note(e, g->node.at[n]->span, "it is used for an input here");
                return;
            }
}

static void elaborate_training(Elaborator *e, const Item *net)
{
    begin_pass(e, PHASE_STEP);
    enter_train(e);
    augment(e);
    see_net(e, run_net(e, net));
    elaborate_step(e);

    begin_pass(e, PHASE_TEST);
    enter_train(e);
    see_net(e, run_net(e, net));
    elaborate_measures(e);
    if (e->faults)
        return;

    begin_pass(e, PHASE_PREDICT);
    enter_train(e);
    add_outputs(e, run_net(e, net));
    check_labels(e);
}

static void elaborate_net(Elaborator *e, const Item *net)
{
    begin_pass(e, PHASE_PREDICT);
    add_outputs(e, run_net(e, net));
}

static void make_scalars(Model *model, bool training)
{
    static const char *const names[] = {"step", "epoch", "epochs", "progress"};
    model_variable(model, VARIABLE_SCALAR, "seed", (Type){DTYPE_U32, 1, {size_of(2)}});
    for (int i = 0; i < (training ? 4 : 1); i++)
        model_variable(model, VARIABLE_SCALAR, names[i], type_scalar(DTYPE_F32));
}

static void evaluate_constants(Elaborator *e)
{
    e->phase = PHASE_INIT;
    e->graph = e->model->phase[PHASE_INIT];
    const Map *constants = &e->library->constant[0];
    for (int i = 0; i < constants->size; i++) {
        Constant *constant = constants->at[i].value;
        if (constant)
            constant_value(e, constant, constant->item->name.span);
    }
}

/* ---- which net, which train ---- */

static const Item *find_net(Elaborator *e, const Source *source, const Item *train)
{
    const Library *l = e->library;
    if (!l->net.count) {
        report(e, (Span){source, 0, 0}, "the program has no net");
        report_help(e, "net name(x: f32[batch, 10]) { … return y; }");
        return NULL;
    }
    if (!train && l->net.count > 1) {
        report(e, l->net.at[1]->head, "the program has several nets, and no train block says which is meant");
        return NULL;
    }
    if (!train)
        return l->net.at[0];
    Nearest nearest = nearest_of(train->name.text);
    for (int i = 0; i < l->net.count; i++) {
        if (!strcmp(l->net.at[i]->name.text, train->name.text))
            return l->net.at[i];
        nearest_try(&nearest, l->net.at[i]->name.text);
    }
    report(e, train->name.span, "there is no net '%s'%s", train->name.text, nearest_text(e, &nearest));
    return NULL;
}

static const Item *find_train(Elaborator *e)
{
    const Library *l = e->library;
    if (l->train.count > 1) {
        report(e, l->train.at[1]->head, "several train blocks are not supported yet: a program has one");
        report_note(e, l->train.at[0]->head, "here is the first");
    }
    return l->train.count ? l->train.at[0] : NULL;
}

static void elaborate(Elaborator *e, const Source *source)
{
    const Item *train = find_train(e), *net = find_net(e, source, train);
    e->model = model_new(e->arena, net ? net->name.text : "none");
    make_scalars(e->model, train != NULL);
    evaluate_constants(e);
    if (!net || !check_inputs(e, net))
        return;
    Plan plan = {.train = train, .net = net};
    bool planned = true;
    if (train) {
        e->model->training = arena_alloc(e->arena, sizeof *e->model->training);
        e->model->training->name = train->as.text ? train->as.text : train->name.text;
        planned = plan_read(e, &plan);
    }
    if (!planned) /* the net's own faults are found all the same */
        e->model = model_new(e->arena, net->name.text);
    if (train && planned) {
        e->plan = &plan;
        elaborate_training(e, net);
    } else {
        elaborate_net(e, net);
    }
    e->plan = NULL;
}

/* ---- what the driver calls ---- */

/* What is left for one evaluation's own calls and for the environment, which lies on the stack too, is the other half. */
static size_t half_stack(void)
{
    enum { MOST = 64 << 20 };
    struct rlimit limit;
    bool bounded = !getrlimit(RLIMIT_STACK, &limit) && limit.rlim_cur < MOST;
    return (bounded ? (size_t)limit.rlim_cur : MOST) / 2;
}

static Model *load(Arena *arena, Diagnostics *diag, const Source *source, const char *const *define,
                   int defines)
{
    Library library = {0};
    Elaborator e = {.arena = arena, .diag = diag, .library = &library};
    e.stack = (uintptr_t)__builtin_frame_address(0);
    e.most_stack = half_stack();
    bool good = library_load_prelude(&library, arena, diag);
    good = library_load(&library, arena, diag, source) && good;
    for (int i = 0; good && i < defines; i++)
        good = library_define(&library, arena, diag, define[i]) && good;
    if (!good)
        return NULL;
    elaborate(&e, source);
    return e.faults ? NULL : e.model;
}

Model *frontend_load(Arena *arena, Diagnostics *diag, const char *path, const char *const *define,
                     int defines)
{
    const Source *source = source_read(arena, diag, path, (Span){0});
    return source ? load(arena, diag, source, define, defines) : NULL;
}

Model *frontend_text(Arena *arena, Diagnostics *diag, const char *name, const char *text, size_t length,
                     const char *const *define, int defines)
{
    return load(arena, diag, source_text(arena, name, text, length), define, defines);
}

bool frontend_syntax(Arena *arena, Diagnostics *diag, const char *path, Text *out)
{
    int errors = diag->errors;
    const Source *source = source_read(arena, diag, path, (Span){0});
    if (!source || !source_check(diag, source))
        return false;
    const File *file = parse_file(arena, diag, source);
    if (diag->errors == errors)
        file_print(out, file);
    return diag->errors == errors;
}
