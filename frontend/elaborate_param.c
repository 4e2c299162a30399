#include "elaborate.h"

#include <string.h>

/* ---- initialisers ---- */

/* Evaluates an initialiser into the init phase's graph. */
static void initialise(Elaborator *e, Variable *variable, const Term *term, Span span)
{
    Graph *graph = e->graph;
    Phase phase = e->phase;
    const Type *shape = e->shape;
    e->graph = e->model->phase[PHASE_INIT];
    e->phase = PHASE_INIT;
    e->shape = &variable->type;
    e->graph->scope = variable->name;
    e->graph->span = span;
    Value value = evaluate(e, term);
    value = tensor_fit(e, value, &variable->type, format_text(e, "the initialiser of '%s'", variable->name),
                       term->span);
    if (value.kind == VALUE_TENSOR)
        list_add(e->arena, &e->graph->assign, ((Assign){variable, value.node}));
    e->graph = graph;
    e->phase = phase;
    e->shape = shape;
}

/* ---- declarations ---- */

static bool set_option(Elaborator *e, Variable *variable, const Arg *arg)
{
    const char *name = arg->name.text;
    const char *what = format_text(e, "'%s'", name);
    if (!strcmp(name, "trainable"))
        return evaluate_bool(e, arg->value, what, &variable->trainable);
    if (!strcmp(name, "decay"))
        return evaluate_bool(e, arg->value, what, &variable->decay);
    if (!strcmp(name, "lr_scale"))
        return evaluate_real(e, arg->value, what, &variable->lr_scale);
    Nearest nearest = nearest_of(name);
    nearest_try(&nearest, "trainable");
    nearest_try(&nearest, "decay");
    nearest_try(&nearest, "lr_scale");
    report(e, arg->name.span, "a param has no option '%s'%s", name, nearest_text(e, &nearest));
    report_help(e, "param name: type = initialiser, trainable = true, decay = true, lr_scale = 1");
    return false;
}

static bool may_declare(Elaborator *e, const Statement *s, const char *word)
{
    if (e->frame->item->kind == ITEM_OPTIMIZER) {
        report(e, s->span, "an optimizer has states, not parameters");
        return false;
    }
    if (!s->type) {
        report(e, s->name.span, "the %s '%s' needs a type, as in `%s %s: f32[n]`", word, s->name.text, word,
               s->name.text);
        return false;
    }
    return true;
}

static bool check_type(Elaborator *e, const Statement *s, const char *word, const Type *type)
{
    for (int d = 0; d < type->rank; d++)
        if (type->dim[d].power) {
            report(e, s->type->span, "a %s cannot grow with the batch, as %s does", word, type_text(e, type));
            return false;
        }
    if (s->kind != STATEMENT_PARAM || type->dtype == DTYPE_F32)
        return true;
    report(e, s->type->span, "a param's elements are f32, not %s", dtype_info[type->dtype].name);
    return false;
}

/* A declaration met again: in another pass, by a shared instance, or by mistake. */
static bool declare_again(Elaborator *e, const Statement *s, Declared *d, const char *word, const Type *type)
{
    bool this_pass = d->pass == e->pass;
    if (this_pass && d->frame == e->frame) {
        report(e, s->name.span, "the %s '%s' is declared twice", word, s->name.text);
        report_note(e, d->span, "here is the first");
        return false;
    }
    if (this_pass && !e->frame->shared) {
        report(e, s->name.span, "two tensors would be named '%s'", d->variable->name);
        report_note(e, d->span, "here is the first");
        report_help(e, "`as NAME` after a call names its layer");
        return false;
    }
    if (!type_equal(&d->variable->type, type)) {
        report(e, s->type->span, "'%s' is %s here, and %s %s", d->variable->name, type_text(e, type),
               type_text(e, &d->variable->type), this_pass ? "at its first use" : "in training");
        return false;
    }
    d->frame = e->frame;
    d->pass = e->pass;
    return true;
}

static bool declare_new(Elaborator *e, const Statement *s, const char *name, VariableKind kind,
                        const Type *type, Declared **declared)
{
    if (e->pass > 1 && !e->faults) { /* a fault may have kept an earlier pass from it */
        report(e, s->name.span, "'%s' exists only where `training` is false: a checkpoint would miss it",
               name);
        return false;
    }
    if (model_find(e->model, name)) {
        report(e, s->name.span, "two tensors would be named '%s'", name);
        return false;
    }
    static const char *const taken[] = {"optim.", "metric.", "option."};
    for (int i = 0; i < 3; i++)
        if (!strncmp(name, taken[i], strlen(taken[i]))) {
            report(e, s->name.span, "a tensor cannot be named '%s': what training keeps is named %s…", name,
                   taken[i]);
            return false;
        }
    Variable *variable = model_variable(e->model, kind, name, *type);
    Declared *d = arena_alloc(e->arena, sizeof *d);
    *d = (Declared){variable, e->frame, e->pass, s->name.span};
    variable->span = e->graph->span.source ? e->graph->span : s->name.span;
    for (int i = 0; i < s->args.count; i++)
        if (!set_option(e, variable, &s->args.at[i]))
            return false;
    map_set(e->arena, &e->declared, variable->name, d);
    if (kind == VARIABLE_PARAM)
        list_add(e->arena, &e->parameter, variable);
    initialise(e, variable, s->value, s->span);
    *declared = d;
    return true;
}

static Variable *declare(Elaborator *e, const Statement *s, VariableKind kind, const char *word)
{
    Type type;
    if (!may_declare(e, s, word) || !evaluate_type(e, s->type, &type) || !check_type(e, s, word, &type))
        return NULL;
    const char *name = full_name(e, s->name.text);
    Declared *d = map_find(&e->declared, name);
    bool good = d ? declare_again(e, s, d, word, &type) : declare_new(e, s, name, kind, &type, &d);
    return good ? d->variable : NULL;
}

/* What a state holds at this point: a shared layer sees what the call before it has made of it. */
static Node *current(Elaborator *e, Variable *variable)
{
    for (int i = 0; i < e->update.count; i++)
        if (e->update.at[i].variable == variable)
            return e->update.at[i].node;
    return graph_variable(e->graph, variable);
}

/* A state of an optimizer is a slot: one tensor a parameter, of its type unless another is given. */
static Variable *declare_slot(Elaborator *e, const Statement *s)
{
    Type type = e->updated->type;
    if (s->type && (!evaluate_type(e, s->type, &type) || !check_type(e, s, "state", &type)))
        return NULL;
    const char *name = format_text(e, "optim.%s.%s", s->name.text, e->updated->name);
    if (model_find(e->model, name)) {
        report(e, s->name.span, "the state '%s' is declared twice", s->name.text);
        return NULL;
    }
    Variable *slot = model_variable(e->model, VARIABLE_SLOT, name, type);
    slot->of = e->updated;
    slot->span = s->name.span;
    list_add(e->arena, &e->slot, slot);
    initialise(e, slot, s->value, s->span);
    return slot;
}

static Binding *bind_variable(Elaborator *e, const Statement *s, Variable *variable)
{
    Value value = variable ? tensor_value(e, current(e, variable)) : value_poison;
    if (variable && !in_prelude(e))
        value.origin = origin_new(e, s->name.text, NULL, s->kind == STATEMENT_PARAM ? "a param" : "a state",
                                  s->name.span);
    return scope_bind(e, e->frame->scope, s->name.text, value);
}

void declare_parameter(Elaborator *e, const Statement *s)
{
    set_scope(e, NULL, s->span);
    bind_variable(e, s, declare(e, s, VARIABLE_PARAM, "param"));
}

void declare_state(Elaborator *e, const Statement *s)
{
    if (s->args.count) {
        report(e, s->args.at[0].name.span, "a state has no options");
        return;
    }
    set_scope(e, NULL, s->span);
    bool slot = e->frame->item->kind == ITEM_OPTIMIZER;
    Variable *variable = slot ? declare_slot(e, s) : declare(e, s, VARIABLE_STATE, "state");
    bind_variable(e, s, variable)->state = variable;
}

void update_state(Elaborator *e, const Statement *s)
{
    const Binding *binding = scope_find(e->frame->scope, s->name.text);
    if (binding && binding->value.kind == VALUE_POISON)
        return;
    if (!binding || !binding->state) {
        report(e, s->name.span, "'%s' is not a state: `update` gives a state's next value", s->name.text);
        return;
    }
    if (e->scan) {
        report(e, s->name.span, "a state cannot be updated inside a scan: its own states are in from (…)");
        return;
    }
    if (!e->training)
        return;
    Variable *variable = binding->state;
    set_scope(e, s->name.text, s->span);
    Value value = tensor_fit(e, evaluate(e, s->value), &variable->type,
                             format_text(e, "the next '%s'", s->name.text), s->value->span);
    if (value.kind != VALUE_TENSOR)
        return;
    for (int i = 0; i < e->update.count; i++)
        if (e->update.at[i].variable == variable) {
            e->update.at[i].node = value.node;
            return;
        }
    list_add(e->arena, &e->update, ((Update){variable, value.node}));
}
