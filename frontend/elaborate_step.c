/* The training step: loss, gradients, clipping, and the optimizer once a parameter. */
#include "elaborate.h"

#include <string.h>

/* ---- loss ---- */

Value evaluate_measure(Elaborator *e, const char *name, const Term *term)
{
    Value value = evaluate_named(e, name, term, term->span);
    if (value.kind == VALUE_POISON)
        return value;
    if (value.kind == VALUE_TENSOR && value.node->type.rank == 0 && value.node->type.dtype == DTYPE_F32)
        return value;
    const char *what = strcmp(name, "loss") ? format_text(e, "metric '%s'", name) : "loss";
    report(e, term->span, "the %s must be a single number, f32[], but is %s", what, described_text(e, value));
    report_origin(e, NULL, value);
    if (value.kind == VALUE_TENSOR)
        report_help(e, "mean(x) makes one of a tensor");
    return value_poison;
}

static const Term *plain_entry(const TrainField *field) { return field->entry.at[0].value; }

static Value evaluate_loss(Elaborator *e)
{
    const TrainField *field = e->plan->field[PLAN_LOSS];
    const Entry *entry = &field->entry.at[0];
    if (field->entry.count != 1 || entry->name.text || entry->on.text || entry->declares) {
        report(e, field->span, "a training has one loss: an expression");
        return value_poison;
    }
    return evaluate_measure(e, "loss", plain_entry(field));
}

/* ---- freeze ---- */

static void freeze(Elaborator *e)
{
    const TrainField *field = e->plan->field[PLAN_FREEZE];
    for (int i = 0; field && i < field->entry.count; i++) {
        const Entry *entry = &field->entry.at[i];
        if (entry->value->kind != TERM_STRING || entry->name.text || entry->on.text || entry->declares) {
            report(e, entry->span,
                   "`freeze` takes the names of parameters as strings, as in freeze \"stem*\"");
            continue;
        }
        bool any = false;
        for (int p = 0; p < e->parameter.count; p++)
            if (glob_match(entry->value->text, e->parameter.at[p]->name)) {
                e->parameter.at[p]->trainable = false;
                any = true;
            }
        if (!any && e->faults == 0)
            report(e, entry->span, "no parameter's name is like \"%s\"", entry->value->text);
    }
}

/* ---- gradients ---- */

typedef struct Gradients {
    LIST(Variable *) parameter; /* the trainable ones */
    LIST(Node *) node;
} Gradients;

static void take_gradients(Elaborator *e, Node *loss, Gradients *gradients)
{
    Graph *g = e->graph;
    for (int i = 0; i < e->parameter.count; i++) {
        Variable *v = e->parameter.at[i];
        if (!v->trainable)
            continue;
        g->scope = v->name;
        list_add(e->arena, &gradients->parameter, v);
        list_add(e->arena, &gradients->node, graph_gradient(g, loss, graph_variable(g, v)));
    }
}

/* All gradients times c / max(norm, c), norm being that of all of them together: exactly themselves where it is at most c. */
static bool clip(Elaborator *e, Gradients *gradients)
{
    const TrainField *field = e->plan->field[PLAN_CLIP];
    if (!field)
        return true;
    const Entry *entry = &field->entry.at[0];
    if (field->entry.count != 1 || !entry->name.text || strcmp(entry->name.text, "norm") || entry->on.text ||
        entry->declares) {
        report(e, field->span,
               "`clip` takes the largest norm of all gradients together, as in clip norm = 1.0");
        return false;
    }
    Value limit = tensor_fit(e, evaluate_named(e, "clip", entry->value, entry->span),
                             &(Type){.dtype = DTYPE_F32}, "the largest norm", entry->value->span);
    if (limit.kind != VALUE_TENSOR)
        return false;
    Graph *g = e->graph;
    Node *square = NULL;
    for (int i = 0; i < gradients->node.count; i++) {
        Node *node = gradients->node.at[i], *part = graph_binary(g, OP_MUL, node, node);
        Ints axes = {.count = node->type.rank};
        for (int d = 0; d < axes.count; d++)
            axes.at[d] = d;
        part = graph_reduce(g, OP_SUM, part, axes);
        square = square ? graph_binary(g, OP_ADD, square, part) : part;
    }
    if (!square)
        return true;
    Node *norm = graph_unary(g, OP_SQRT, square);
    Node *scale = graph_binary(g, OP_DIV, limit.node, graph_binary(g, OP_MAX, norm, limit.node));
    for (int i = 0; i < gradients->node.count; i++) {
        Node **node = &gradients->node.at[i];
        g->scope = gradients->parameter.at[i]->name;
        *node = graph_binary(g, OP_MUL, *node, graph_broadcast(g, scale, (*node)->type));
    }
    return true;
}

/* ---- the optimizer ---- */

typedef struct Rule { /* an optimizer with its arguments */
    const Item *item;
    const Term *call;
    Given given; /* float parameters are options */
} Rule;

static bool is_float(const Parameter *param)
{
    return param->type && !param->type->tensor && !strcmp(param->type->element.text, "float");
}

/* A float parameter may be an expression of the run, such as a schedule, and the command line may override it. */
static bool make_option(Elaborator *e, const Parameter *param, Value *value, Span span)
{
    bool scalar =
        value->kind == VALUE_TENSOR && value->node->type.rank == 0 && value->node->type.dtype == DTYPE_F32;
    if (!scalar && !(value_is_number(*value) && !(value->kind == VALUE_INT && value->integer.power))) {
        report(e, span, "%s must be a number, f32[], but is %s", param->name.text, described_text(e, *value));
        return false;
    }
    OptionValue *option = arena_alloc(e->arena, sizeof *option);
    *option = (OptionValue){.name = param->name.text, .value = *value};
    *value = (Value){.kind = VALUE_OPTION, .option = option};
    return true;
}

static const Term *optimizer_call(Elaborator *e)
{
    const TrainField *field = e->plan->field[PLAN_OPTIMIZER];
    const Entry *entry = &field->entry.at[0];
    const Term *call = entry->value;
    bool plain = field->entry.count == 1 && !entry->name.text && !entry->on.text && !entry->declares;
    if (plain && call->kind == TERM_CALL && !call->left && !call->as.text)
        return call;
    report(e, field->span, "a training has one optimizer: a call, as in optimizer adam(lr = 1e-3)");
    return NULL;
}

static bool find_rule(Elaborator *e, Rule *rule)
{
    rule->call = optimizer_call(e);
    if (!rule->call)
        return false;
    rule->item = library_optimizer(e->library, rule->call->text);
    if (!rule->item) {
        Nearest nearest = nearest_of(rule->call->text);
        nearest_try_map(&nearest, &e->library->optimizer[0]);
        nearest_try_map(&nearest, &e->library->optimizer[1]);
        report(e, rule->call->span, "there is no optimizer '%s'%s", rule->call->text,
               nearest_text(e, &nearest));
        return false;
    }
    set_scope(e, "optimizer", rule->call->span);
    if (!arguments_match(e, rule->item, rule->call, NULL, &rule->given))
        return false;
    const Parameters *params = &rule->item->params;
    for (int p = 0; p < params->count; p++)
        if (rule->given.given[p] && is_float(&params->at[p]) &&
            !make_option(e, &params->at[p], &rule->given.value[p], rule->given.span[p]))
            return false;
    Frame *frame = frame_new(e, rule->item, rule->call->span);
    if (!arguments_bind(e, frame, &rule->given, rule->call->span))
        return false;
    for (int p = 0; p < params->count; p++)
        if (is_float(&params->at[p]) && rule->given.value[p].kind != VALUE_OPTION &&
            !make_option(e, &params->at[p], &rule->given.value[p], rule->call->span))
            return false;
    return true;
}

/* A parameter's lr_scale multiplies the argument `lr`. */
static Value scaled(Elaborator *e, const Rule *rule, int p, const Variable *v)
{
    Value value = rule->given.value[p];
    if (v->lr_scale == 1 || strcmp(rule->item->params.at[p].name.text, "lr"))
        return value;
    return evaluate_binary(e, OPERATOR_MUL, value, value_float(v->lr_scale), rule->call->span);
}

static void add_assign(Elaborator *e, Variable *v, const char *name, Span span)
{
    const Binding *binding = scope_find(e->frame->scope, name);
    Value value = tensor_fit(e, binding->value, &v->type, format_text(e, "the next '%s'", name), span);
    if (value.kind == VALUE_TENSOR)
        list_add(e->arena, &e->graph->assign, ((Assign){v, value.node}));
}

static const char *slot_short_name(const Variable *slot, char *name, size_t size)
{
    size_t length = strlen(slot->name) - strlen("optim.") - strlen(slot->of->name) - 1;
    length = length < size - 1 ? length : size - 1;
    memcpy(name, slot->name + strlen("optim."), length);
    name[length] = 0;
    return name;
}

/* The optimizer's body for one parameter. */
static void update_parameter(Elaborator *e, const Rule *rule, Variable *v, Node *gradient)
{
    Frame *frame = frame_new(e, rule->item, rule->call->span);
    Graph *g = e->graph;
    g->scope = v->name;
    g->span = rule->call->span;
    frame->path = v->name;
    for (int p = 0; p < rule->item->params.count; p++)
        scope_bind(e, frame->scope, rule->item->params.at[p].name.text, scaled(e, rule, p, v));
    scope_bind(e, frame->scope, "parameter", tensor_value(e, graph_variable(g, v)));
    scope_bind(e, frame->scope, "gradient", tensor_value(e, gradient));
    e->updated = v;
    e->slot.count = 0;
    e->frame = frame;
    run_block(e, &rule->item->body);
    add_assign(e, v, "parameter", rule->item->head);
    for (int i = 0; i < e->slot.count; i++) {
        char name[256];
        const char *short_name = slot_short_name(e->slot.at[i], name, sizeof name);
        if (scope_find(frame->scope, short_name))
            add_assign(e, e->slot.at[i], arena_string(e->arena, short_name), rule->item->head);
    }
    e->frame = frame->caller;
    e->updated = NULL;
}

static bool check_lr_scale(Elaborator *e, const Rule *rule, const Gradients *gradients)
{
    for (int p = 0; p < rule->item->params.count; p++)
        if (!strcmp(rule->item->params.at[p].name.text, "lr"))
            return true;
    for (int i = 0; i < gradients->parameter.count; i++)
        if (gradients->parameter.at[i]->lr_scale != 1) {
            report(e, rule->call->span,
                   "'%s' has an lr_scale, and the optimizer '%s' has no argument 'lr' to scale",
                   gradients->parameter.at[i]->name, rule->item->name.text);
            return false;
        }
    return true;
}

void elaborate_step(Elaborator *e)
{
    Graph *g = e->graph;
    freeze(e);
    Value loss = evaluate_loss(e);
    Rule rule = {0};
    bool ruled = find_rule(e, &rule);
    if (loss.kind != VALUE_TENSOR || !ruled || e->faults)
        return;
    list_add(e->arena, &g->result, ((Result){RESULT_LOSS, "loss", loss.node}));
    Gradients gradients = {0};
    take_gradients(e, loss.node, &gradients);
    if (!gradients.node.count) {
        report(e, e->plan->train->head, "there is nothing to train: no parameter is trainable");
        return;
    }
    if (!clip(e, &gradients) || !check_lr_scale(e, &rule, &gradients))
        return;
    for (int i = 0; i < gradients.node.count && !e->exhausted; i++)
        update_parameter(e, &rule, gradients.parameter.at[i], gradients.node.at[i]);
    for (int i = 0; i < e->update.count; i++)
        list_add(e->arena, &g->assign, ((Assign){e->update.at[i].variable, e->update.at[i].node}));
}
