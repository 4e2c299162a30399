/* From the items of a program to its Model: the net is elaborated once for training, once for testing, once for
   prediction, each into its phase's graph; initialisers are met on the way. */
#include "elaborate.h"
#include "frontend.h"
#include "read_source.h"

#include <string.h>

/* ---- which net, which training ---- */

static const Item *find_net(Elaborator *e, const Item *train)
{
    const Library *library = e->library;
    Nearest nearest = nearest_of(train->name.text);
    for (int i = 0; i < library->net.count; i++) {
        if (!strcmp(library->net.at[i]->name.text, train->name.text))
            return library->net.at[i];
        nearest_try(&nearest, library->net.at[i]->name.text);
    }
    report(e, train->name.span, "there is no net '%s' to train%s", train->name.text,
           nearest_text(e, &nearest));
    return NULL;
}

static const Item *choose_net(Elaborator *e, const Item **train, const Source *source)
{
    const Library *library = e->library;
    if (library->train.count > 1) {
        report(e, library->train.at[1]->head,
               "a program has one train block: several, run in order, are not supported yet");
        report_note(e, library->train.at[0]->head, "here is the first");
        return NULL;
    }
    *train = library->train.count ? library->train.at[0] : NULL;
    if (*train)
        return find_net(e, *train);
    if (library->net.count == 1)
        return library->net.at[0];
    Span span = library->net.count ? library->net.at[1]->head : (Span){source, 0, 1};
    report(e, span,
           library->net.count ? "the program has several nets, and no train block says which is meant"
                              : "the program has no net");
    return NULL;
}

/* ---- one pass ---- */

static void begin_pass(Elaborator *e, Phase phase, bool training)
{
    e->pass++;
    e->phase = phase;
    e->graph = e->model->phase[phase];
    e->training = training;
    e->path = (Map){0};
    e->update.count = 0;
}

/* The frame of the train block: the fields of the data are bound, their nodes are made at the first use. */
static Frame *train_frame(Elaborator *e, const Plan *plan)
{
    Frame *frame = frame_new(e, plan->train, plan->train->head);
    for (int i = 0; i < e->model->training->field.count; i++) {
        Variable *v = e->model->training->field.at[i].input;
        Binding *binding = scope_bind(e, frame->scope, v->name, value_none);
        binding->field = v;
        binding->value.origin = origin_new(e, v->name, NULL, "a field of the data", v->span);
    }
    return frame;
}

static void augment(Elaborator *e, const Plan *plan)
{
    for (int i = 0; i < plan->augment.count; i++)
        for (int k = 0; k < plan->augment.at[i]->entry.count; k++) {
            const Entry *entry = &plan->augment.at[i]->entry.at[k];
            const Variable *field = entry->name.text ? model_find(e->model, entry->name.text) : NULL;
            if (!field || field->kind != VARIABLE_INPUT || entry->on.text || entry->declares) {
                report(e, entry->span,
                       "`augment` changes a field of the data, as in augment pixels = pixels |> "
                       "flip_left_right");
                continue;
            }
            Value value = evaluate_named(e, field->name, entry->value, entry->span);
            assign_name(e, field->name,
                        tensor_fit(e, value, &field->type, format_text(e, "the augmented '%s'", field->name),
                                   entry->value->span));
        }
}

static Variable *declare_input(Elaborator *e, const Parameter *param, const char *name)
{
    Type type;
    if (!param->type || !param->type->tensor) {
        report(e, param->name.span, "an input of a net has a tensor type, as in `%s: f32[batch, 784]`",
               param->name.text);
        return NULL;
    }
    if (!evaluate_type(e, param->type, &type))
        return NULL;
    Variable *v = model_variable(e->model, VARIABLE_INPUT, name, type);
    v->span = param->name.span;
    return v;
}

/* The value of the net's input p: by the train block's expression, or the data's field of that name. */
static bool input_value(Elaborator *e, const Plan *plan, int p, Value *value, Span *span)
{
    Name name = plan->net->params.at[p].name;
    for (int i = 0; i < plan->input.count; i++) {
        const TrainField *field = plan->input.at[i];
        if (strcmp(field->name.text, name.text))
            continue;
        *value = evaluate_named(e, name.text, field->value, field->span);
        *span = field->value->span;
        return value->kind != VALUE_POISON;
    }
    const Binding *binding = scope_find(e->frame->scope, name.text);
    if (binding) {
        *value = name_value(e, name.text, name.span);
        *span = plan->train->head;
        return value->kind != VALUE_POISON;
    }
    report(e, plan->train->head, "train '%s' does not say what the net's input '%s' is",
           plan->train->name.text, name.text);
    report_note(e, name.span, "the input '%s'", name.text);
    report_help(e, "%s = f32(pixels) / 255;", name.text);
    return false;
}

static Given given_new(Elaborator *e, const Item *net)
{
    size_t count = (size_t)net->params.count + 1;
    return (Given){arena_alloc(e->arena, count * sizeof(Value)), arena_alloc(e->arena, count * sizeof(Span)),
                   arena_alloc(e->arena, count * sizeof(bool))};
}

/* The net's body in a frame of its own; its names can be seen from the train block's then. */
static Frame *expand_net(Elaborator *e, const Item *net, Given *given, bool bound)
{
    Frame *frame = frame_new(e, net, net->head);
    if (!bound) /* its own faults are still worth finding */
        for (int p = 0; p < net->params.count; p++)
            scope_bind(e, frame->scope, net->params.at[p].name.text, value_poison);
    else if (!arguments_bind(e, frame, given, net->head))
        return NULL;
    Frame *caller = e->frame;
    e->frame = frame;
    run_block(e, &net->body);
    if (!frame->returned && !e->faults && !e->exhausted)
        report(e, net->head, "the net '%s' returns nothing", net->name.text);
    e->frame = caller;
    return frame;
}

static bool run_trained(Elaborator *e, const Plan *plan)
{
    Frame *train = train_frame(e, plan);
    e->frame = train;
    if (e->training)
        augment(e, plan);
    Given given = given_new(e, plan->net);
    bool bound = true;
    for (int p = 0; p < plan->net->params.count; p++) {
        given.given[p] = input_value(e, plan, p, &given.value[p], &given.span[p]);
        bound = bound && given.given[p];
    }
    Frame *net = expand_net(e, plan->net, &given, bound);
    train->scope->outer = net ? net->scope : NULL;
    if (e->phase == PHASE_PREDICT && net)
        train->results = net->results, train->result = net->result, train->result_name = net->result_name;
    return net != NULL;
}

/* ---- results ---- */

static void add_outputs(Elaborator *e, const Frame *frame, const Item *net)
{
    for (int i = 0; i < frame->results; i++) {
        if (!frame->result_name[i]) {
            report(e, net->head, "the results of a net have names, as in return class = softmax(logits)");
            return;
        }
        if (frame->result[i].kind == VALUE_POISON)
            continue;
        if (frame->result[i].kind != VALUE_TENSOR) {
            report(e, net->head, "the result '%s' of the net must be a tensor, but is %s",
                   frame->result_name[i], described_text(e, frame->result[i]));
            continue;
        }
        list_add(e->arena, &e->graph->result,
                 ((Result){RESULT_OUTPUT, frame->result_name[i], frame->result[i].node}));
    }
}

/* A prediction has no labels. */
static void check_labels(Elaborator *e, const Plan *plan)
{
    for (int i = 0; i < e->graph->node.count; i++)
        for (int l = 0; l < plan->labels; l++)
            if (e->graph->node.at[i]->variable == plan->label[l]) {
                report(e, plan->input.count ? plan->input.at[0]->span : plan->train->head,
                       "predict would need '%s', which is what it is to find out", plan->label[l]->name);
                return;
            }
}

/* ---- programs with and without training ---- */

static void declare_scalars(Model *model)
{
    static const char *const names[] = {"step", "epoch", "epochs", "progress"};
    for (int i = 0; i < 4; i++)
        model_variable(model, VARIABLE_SCALAR, names[i], type_scalar(DTYPE_F32));
    model_variable(model, VARIABLE_SCALAR, "seed", (Type){DTYPE_U32, 1, {{2, 0}}});
}

/* The net by itself, its inputs as they are declared. */
static Frame *run_alone(Elaborator *e, const Item *net)
{
    Given given = given_new(e, net);
    bool bound = true;
    for (int p = 0; p < net->params.count; p++) {
        Variable *v = declare_input(e, &net->params.at[p], net->params.at[p].name.text);
        given.given[p] = v != NULL;
        bound = bound && v;
        if (!v)
            continue;
        given.value[p] = tensor_value(e, graph_variable(e->graph, v));
        given.value[p].origin = origin_new(e, v->name, NULL, "an input of the net", v->span);
    }
    return expand_net(e, net, &given, bound);
}

static void elaborate_alone(Elaborator *e, const Item *net)
{
    begin_pass(e, PHASE_PREDICT, false);
    Frame *frame = run_alone(e, net);
    if (frame && !e->faults)
        add_outputs(e, frame, net);
}

static void elaborate_trained(Elaborator *e, Plan *plan)
{
    e->model->training = arena_alloc(e->arena, sizeof *e->model->training);
    e->model->training->name = plan->train->as.text ? plan->train->as.text : plan->train->name.text;
    begin_pass(e, PHASE_STEP, true);
    e->frame = frame_new(e, plan->train, plan->train->head);
    if (!plan_read(e, plan)) {
        expand_net(e, plan->net, NULL, false);
        return;
    }
    e->plan = plan;
    e->frame = NULL;
    if (!run_trained(e, plan))
        return;
    elaborate_step(e);
    if (e->faults)
        return;
    e->frame = NULL;
    begin_pass(e, PHASE_TEST, false);
    if (run_trained(e, plan))
        elaborate_measures(e);
    e->frame = NULL;
    begin_pass(e, PHASE_PREDICT, false);
    if (e->faults || !run_trained(e, plan))
        return;
    add_outputs(e, e->frame, plan->net);
    if (!e->faults)
        check_labels(e, plan);
}

static Model *elaborate(Arena *arena, Diagnostics *diag, Library *library, const Source *source)
{
    Elaborator e = {.arena = arena, .diag = diag, .library = library};
    const Item *train = NULL, *net = choose_net(&e, &train, source);
    if (!net)
        return NULL;
    e.model = model_new(arena, net->name.text);
    declare_scalars(e.model);
    if (train) {
        Plan plan = {.train = train, .net = net};
        elaborate_trained(&e, &plan);
    } else {
        elaborate_alone(&e, net);
    }
    return e.faults || e.exhausted ? NULL : e.model;
}

/* ---- the front end's doors ---- */

static Model *load(Arena *arena, Diagnostics *diag, const Source *source, const char *const *define,
                   int defines)
{
    Library library = {0};
    int errors = diag->errors;
    bool good = library_load_prelude(&library, arena, diag) && library_load(&library, arena, diag, source);
    for (int i = 0; good && i < defines; i++)
        good = library_define(&library, arena, diag, define[i]);
    Model *model = good ? elaborate(arena, diag, &library, source) : NULL;
    return diag->errors == errors ? model : NULL;
}

Model *frontend_text(Arena *arena, Diagnostics *diag, const char *name, const char *text, size_t length,
                     const char *const *define, int defines)
{
    return load(arena, diag, source_text(arena, name, text, length), define, defines);
}

Model *frontend_load(Arena *arena, Diagnostics *diag, const char *path, const char *const *define,
                     int defines)
{
    const Source *source = source_read(arena, diag, path, (Span){0});
    return source ? load(arena, diag, source, define, defines) : NULL;
}

bool frontend_syntax(Arena *arena, Diagnostics *diag, const char *path, Text *out)
{
    const Source *source = source_read(arena, diag, path, (Span){0});
    int errors = diag->errors;
    if (!source || !source_check(diag, source))
        return false;
    file_print(out, parse_file(arena, diag, source));
    return diag->errors == errors;
}
