#include "elaborate.h"

#include <string.h>

bool in_prelude(const Elaborator *e) { return e->frame && e->frame->prelude; }

const Origin *origin_new(Elaborator *e, const char *name, const char *maker, const char *word, Span span)
{
    Origin *origin = arena_alloc(e->arena, sizeof *origin);
    *origin = (Origin){name, maker, word, span};
    return origin;
}

/* Bytes since the elaboration began: where the stack is small, MAX_DEPTH may be more than it holds. */
static size_t stack_used(const Elaborator *e)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return e->stack > here ? e->stack - here : here - e->stack;
}

bool budget_spend(Elaborator *e, Span span)
{
    if (e->exhausted)
        return false;
    e->evaluations++;
    const char *what = NULL;
    int most = 0;
    if (e->evaluations > MAX_EVALUATIONS) {
        what = "expressions evaluated";
        most = MAX_EVALUATIONS;
    } else if (e->graph && e->graph->node.count > MAX_NODES) {
        what = "operations in a phase";
        most = MAX_NODES;
    } else if (e->depth > MAX_DEPTH) {
        what = "layers and expressions within each other";
        most = MAX_DEPTH;
    } else if (stack_used(e) > e->most_stack) {
        what = "KiB of stack";
        most = (int)(e->most_stack >> 10);
    }
    if (!what)
        return true;
    e->exhausted = true;
    report(e, span, "the program grows too large here: more than %d %s", most, what);
    return false;
}

void budget_charge(Elaborator *e, size_t evaluations)
{
    size_t left = e->evaluations < MAX_EVALUATIONS ? (size_t)(MAX_EVALUATIONS - e->evaluations) : 0;
    e->evaluations += (int)(evaluations < left ? evaluations : left);
}

/* ---- names ---- */

Binding *scope_find(const Scope *scope, const char *name)
{
    for (; scope; scope = scope->outer) {
        Binding *binding = map_find(&scope->binding, name);
        if (binding)
            return binding;
    }
    return NULL;
}

Binding *scope_bind(Elaborator *e, Scope *scope, const char *name, Value value)
{
    Binding *binding = arena_alloc(e->arena, sizeof *binding);
    binding->value = value;
    map_set(e->arena, &scope->binding, name, binding);
    return binding;
}

Value constant_value(Elaborator *e, Constant *constant, Span span)
{
    if (constant->progress == CONSTANT_BUSY) {
        report(e, span, "the const '%s' depends on itself", constant->item->name.text);
        return value_poison;
    }
    if (constant->progress == CONSTANT_NEW) {
        Frame *frame = e->frame;
        constant->progress = CONSTANT_BUSY;
        e->frame = NULL;
        constant->value = evaluate(e, constant->term);
        if (constant->value.kind >= VALUE_TENSOR || constant->value.kind == VALUE_NONE) {
            report(e, constant->term->span, "a const is known at compile time, and is not %s",
                   described_text(e, constant->value));
            constant->value = value_poison;
        }
        e->frame = frame;
        constant->progress = CONSTANT_DONE;
    }
    return constant->value;
}

static bool sees_training(const Elaborator *e)
{
    return e->frame && e->frame->item &&
           (e->frame->item->kind == ITEM_TRAIN || e->frame->item->kind == ITEM_OPTIMIZER);
}

static const char *const scalars[] = {"step", "epoch", "epochs", "progress", NULL};

/* `parameters` in a train block: those that a decay is for. */
static Value parameters_value(Elaborator *e)
{
    ValueList *list = arena_alloc(e->arena, sizeof *list);
    list->at = arena_alloc(e->arena, (size_t)e->parameter.count * sizeof *list->at);
    budget_charge(e, (size_t)e->parameter.count);
    for (int i = 0; i < e->parameter.count; i++)
        if (e->parameter.at[i]->trainable && e->parameter.at[i]->decay)
            list->at[list->count++] = tensor_value(e, graph_variable(e->graph, e->parameter.at[i]));
    return (Value){.kind = VALUE_LIST, .list = list};
}

/* What the language itself names; NONE with *found false if it does not. */
static Value special_value(Elaborator *e, const char *name, bool *found)
{
    *found = true;
    if (!strcmp(name, "none"))
        return value_none;
    if (!strcmp(name, "batch"))
        return value_size((Size){1, 1});
    if (!strcmp(name, "training"))
        return value_bool(e->training);
    for (int i = 0; scalars[i] && sees_training(e); i++)
        if (!strcmp(scalars[i], name))
            return tensor_value(e, graph_variable(e->graph, model_find(e->model, name)));
    if (!strcmp(name, "parameters") && e->frame && e->frame->item->kind == ITEM_TRAIN)
        return parameters_value(e);
    *found = false;
    return value_none;
}

static void report_unknown_name(Elaborator *e, const char *name, Span span)
{
    if (library_layer(e->library, name, in_prelude(e))) {
        report(e, span, "'%s' is a layer, not a value: call it, as in %s(x) or x |> %s", name, name, name);
        return;
    }
    Nearest nearest = nearest_of(name);
    for (const Scope *s = e->frame ? e->frame->scope : NULL; s; s = s->outer)
        nearest_try_map(&nearest, &s->binding);
    nearest_try_map(&nearest, &e->library->constant[0]);
    nearest_try(&nearest, "batch");
    nearest_try(&nearest, "training");
    for (int i = 0; scalars[i] && sees_training(e); i++)
        nearest_try(&nearest, scalars[i]);
    report(e, span, "nothing is named '%s' here%s", name, nearest_text(e, &nearest));
}

Value name_value(Elaborator *e, const char *name, Span span)
{
    Binding *binding = e->frame ? scope_find(e->frame->scope, name) : NULL;
    if (binding && binding->field) {
        const Origin *origin = binding->value.origin;
        *binding = (Binding){.value = tensor_value(e, graph_variable(e->graph, binding->field))};
        binding->value.origin = origin;
    }
    if (binding && binding->value.kind == VALUE_TENSOR && binding->value.phase != e->phase) {
        report(e, span, "an initialiser cannot use '%s': tensors come later", name);
        return value_poison;
    }
    if (binding)
        return binding->value;
    Constant *constant = library_constant(e->library, name, in_prelude(e));
    if (constant)
        return constant_value(e, constant, span);
    bool found;
    Value value = special_value(e, name, &found);
    if (found)
        return value;
    report_unknown_name(e, name, span);
    if (e->frame) /* once is enough */
        scope_bind(e, e->frame->scope, name, value_poison);
    return value_poison;
}

/* ---- operators ---- */

static bool is_comparison(Operator op) { return op >= OPERATOR_EQ && op <= OPERATOR_GE; }

static Value refuse_operands(Elaborator *e, Operator op, Value a, Value b, Span span)
{
    report(e, span, "'%s' does not take %s and %s", operator_text(op), described_text(e, a),
           described_text(e, b));
    report_pair(e, a, b);
    return value_poison;
}

static Value list_concatenate(Elaborator *e, const ValueList *a, const ValueList *b, Span span)
{
    if (a->count + b->count > MAX_LIST) {
        report(e, span, "the list grows too long: at most %d elements", MAX_LIST);
        return value_poison;
    }
    ValueList *sum = arena_alloc(e->arena, sizeof *sum);
    sum->count = a->count + b->count;
    budget_charge(e, (size_t)sum->count);
    sum->at = arena_alloc(e->arena, (size_t)sum->count * sizeof *sum->at);
    for (int i = 0; i < sum->count; i++)
        sum->at[i] = i < a->count ? a->at[i] : b->at[i - a->count];
    return (Value){.kind = VALUE_LIST, .list = sum};
}

static bool lists_equal(const ValueList *a, const ValueList *b)
{
    bool equal = a->count == b->count;
    for (int i = 0; equal && i < a->count; i++) {
        Value x = a->at[i], y = b->at[i];
        equal = x.kind == y.kind && (x.kind == VALUE_INT      ? size_equal(x.integer, y.integer)
                                     : x.kind == VALUE_FLOAT  ? x.real == y.real
                                     : x.kind == VALUE_BOOL   ? x.boolean == y.boolean
                                     : x.kind == VALUE_STRING ? !strcmp(x.string, y.string)
                                                              : x.node == y.node);
    }
    return equal;
}

static bool is_tensor(Value value) { return value.kind == VALUE_TENSOR || value.kind == VALUE_OPTION; }

static bool is_scalar(Value value)
{
    return value_is_number(value) || value.kind == VALUE_BOOL || is_tensor(value);
}

/* A number times a size with batch is a number of the run. */
static bool mixes_batch(Value a, Value b)
{
    bool grows_a = a.kind == VALUE_INT && a.integer.power, grows_b = b.kind == VALUE_INT && b.integer.power;
    return (grows_a && b.kind == VALUE_FLOAT) || (grows_b && a.kind == VALUE_FLOAT);
}

Value evaluate_binary(Elaborator *e, Operator op, Value a, Value b, Span span)
{
    if (a.kind == VALUE_POISON || b.kind == VALUE_POISON)
        return value_poison;
    if (is_comparison(op)) {
        a = value_known(a);
        b = value_known(b);
    }
    bool equality = op == OPERATOR_EQ || op == OPERATOR_NE;
    if (equality && (a.kind == VALUE_NONE || b.kind == VALUE_NONE))
        return value_bool((a.kind == b.kind) == (op == OPERATOR_EQ));
    if (equality && a.kind == VALUE_STRING && b.kind == VALUE_STRING)
        return value_bool(!strcmp(a.string, b.string) == (op == OPERATOR_EQ));
    if (equality && a.kind == VALUE_LIST && b.kind == VALUE_LIST)
        return value_bool(lists_equal(a.list, b.list) == (op == OPERATOR_EQ));
    if (op == OPERATOR_ADD && a.kind == VALUE_LIST && b.kind == VALUE_LIST)
        return list_concatenate(e, a.list, b.list, span);
    if (!is_scalar(a) || !is_scalar(b))
        return refuse_operands(e, op, a, b, span);
    if (is_tensor(a) || is_tensor(b) || op == OPERATOR_MATMUL || mixes_batch(a, b))
        return tensor_operator(e, op, a, b, span);
    bool logical = op == OPERATOR_AND || op == OPERATOR_OR;
    bool bools = a.kind == VALUE_BOOL && b.kind == VALUE_BOOL;
    if (logical ? !bools : bools ? !equality : a.kind == VALUE_BOOL || b.kind == VALUE_BOOL)
        return refuse_operands(e, op, a, b, span);
    const char *why = NULL;
    Value value = value_binary(op, a, b, &why);
    if (why)
        report(e, span, "%s %s %s: %s", value_text(e, a), operator_text(op), value_text(e, b), why);
    return value;
}

static Value binary(Elaborator *e, const Term *term, Value left)
{
    if (left.kind == VALUE_BOOL && (term->op == OPERATOR_AND || term->op == OPERATOR_OR) &&
        left.boolean == (term->op == OPERATOR_OR))
        return left; /* decided: the right side need not make sense */
    Value right = evaluate(e, term->right);
    if (!in_prelude(e) && e->graph)
        e->graph->span = term->span;
    Value value = evaluate_binary(e, term->op, left, right, term->span);
    if (value.kind == VALUE_TENSOR && !in_prelude(e))
        value.origin = origin_new(e, NULL, NULL, NULL, term->span);
    return value;
}

static bool holds_numbers(Value value)
{
    return value.kind == VALUE_OPTION || value.node->type.dtype != DTYPE_BOOL;
}

static Value unary(Elaborator *e, const Term *term)
{
    Value a = evaluate(e, term->left);
    if (a.kind == VALUE_POISON)
        return a;
    bool not = term->op == OPERATOR_NOT;
    if (is_tensor(a) && !(not && holds_numbers(a))) {
        if (!in_prelude(e))
            e->graph->span = term->span;
        if (not)
            return tensor_operator(e, OPERATOR_EQ, a, value_bool(false), term->span);
        return tensor_unary(e, OP_NEG, a, term->span);
    }
    if (not ? a.kind != VALUE_BOOL : !value_is_number(a)) {
        report(e, term->span, "'%s' does not take %s", operator_text(term->op), described_text(e, a));
        report_origin(e, NULL, a);
        return value_poison;
    }
    const char *why = NULL;
    Value value = value_unary(term->op, a, &why);
    if (why)
        report(e, term->span, "-(%s): %s", value_text(e, a), why);
    return value;
}

/* ---- parts ---- */

static Value list(Elaborator *e, const Term *term)
{
    ValueList *list = arena_alloc(e->arena, sizeof *list);
    list->at = arena_alloc(e->arena, (size_t)term->args.count * sizeof *list->at);
    bool poison = false;
    for (int i = 0; i < term->args.count; i++) {
        Value value = evaluate(e, term->args.at[i].value);
        if (value.kind == VALUE_LIST || value.kind == VALUE_RECORD || value.kind == VALUE_NONE) {
            report(e, term->args.at[i].value->span, "a list does not hold %s", described_text(e, value));
            value = value_poison;
        }
        poison = poison || value.kind == VALUE_POISON;
        list->at[list->count++] = value;
    }
    return poison ? value_poison : (Value){.kind = VALUE_LIST, .list = list};
}

/* x[i, j] of a tensor: the elements at these places of its first axes, which vanish. Negative places count from the end. */
static Value tensor_index(Elaborator *e, const Term *term, Value x)
{
    const Type *type = &x.node->type;
    if (term->args.count > type->rank) {
        report(e, term->span, "[ ] with %d places is too many for %s", term->args.count, type_text(e, type));
        report_origin(e, NULL, x);
        return value_poison;
    }
    Node part = {.op = OP_SLICE, .in = {x.node}, .type = *type};
    Type rest = type_scalar(type->dtype);
    part.attr[0].count = part.attr[1].count = type->rank;
    for (int d = 0; d < type->rank; d++) {
        part.attr[1].at[d] = 1;
        if (d >= term->args.count) {
            rest.dim[rest.rank++] = type->dim[d];
            continue;
        }
        const Term *place = term->args.at[d].value;
        if (!evaluate_int(e, place, "a place in [ ]", &part.attr[0].at[d]))
            return value_poison;
        int64_t given = part.attr[0].at[d], extent = type->dim[d].count;
        if (type->dim[d].power || given < -extent || given >= extent) {
            report(e, place->span,
                   type->dim[d].power ? "[ ] cannot pick one sample of the batch: axis %d of %s"
                                      : "there is no such place along axis %d of %s",
                   d, type_text(e, type));
            report_origin(e, NULL, x);
            return value_poison;
        }
        part.attr[0].at[d] += given < 0 ? extent : 0;
        part.type.dim[d] = size_of(1);
    }
    Value picked = tensor_add(e, part, term->span, &x, 1);
    return picked.kind == VALUE_TENSOR ? tensor_value(e, graph_reshape(e->graph, picked.node, rest)) : picked;
}

static Value index_of(Elaborator *e, const Term *term)
{
    Value left = evaluate(e, term->left);
    if (left.kind == VALUE_TENSOR) {
        if (!in_prelude(e))
            e->graph->span = term->span;
        return tensor_index(e, term, left);
    }
    Value at = evaluate(e, term->args.at[0].value);
    if (left.kind == VALUE_POISON || at.kind == VALUE_POISON)
        return value_poison;
    if (left.kind != VALUE_LIST || at.kind != VALUE_INT || at.integer.power || term->args.count != 1) {
        report(e, term->span, "[ ] takes a list and an int, not %s and %s", described_text(e, left),
               described_text(e, at));
        return value_poison;
    }
    if (at.integer.count < 0 || at.integer.count >= left.list->count) {
        report(e, term->span, "there is no element %lld in a list of %d", (long long)at.integer.count,
               left.list->count);
        return value_poison;
    }
    return left.list->at[at.integer.count];
}

/* In an optimizer: what the declaration of `parameter` says. */
static Value parameter_member(Elaborator *e, const Term *term)
{
    if (!strcmp(term->text, "decay"))
        return value_bool(e->updated->decay);
    if (!strcmp(term->text, "rank"))
        return value_int(e->updated->type.rank);
    report(e, term->span, "a parameter has no '.%s': there are .decay and .rank", term->text);
    return value_poison;
}

static Value member(Elaborator *e, const Term *term)
{
    if (e->updated && term->left->kind == TERM_NAME && !strcmp(term->left->text, "parameter"))
        return parameter_member(e, term);
    Value left = evaluate(e, term->left);
    if (left.kind == VALUE_POISON)
        return left;
    if (left.kind != VALUE_RECORD) {
        report(e, term->span, "only a layer with several results has members: this is %s",
               described_text(e, left));
        return value_poison;
    }
    Nearest nearest = nearest_of(term->text);
    for (int i = 0; i < left.record->count; i++) {
        if (!strcmp(left.record->name[i], term->text))
            return left.record->value[i];
        nearest_try(&nearest, left.record->name[i]);
    }
    report(e, term->span, "there is no result '%s' in %s%s", term->text, value_text(e, left),
           nearest_text(e, &nearest));
    return value_poison;
}

static Value part(Elaborator *e, const Term *term)
{
    switch (term->kind) {
    case TERM_NAME:
        return name_value(e, term->text, term->span);
    case TERM_INT:
        return value_int(term->integer);
    case TERM_FLOAT:
        return value_float(term->real);
    case TERM_BOOL:
        return value_bool(term->integer);
    case TERM_STRING:
        return value_string(term->text);
    case TERM_LIST:
        return list(e, term);
    case TERM_INDEX:
        return index_of(e, term);
    case TERM_MEMBER:
        return member(e, term);
    case TERM_UNARY:
        return unary(e, term);
    case TERM_IF: {
        bool condition;
        if (!evaluate_bool(e, term->left, "the condition of an if", &condition))
            return value_poison;
        return evaluate(e, condition ? term->right : term->third);
    }
    case TERM_CALL:
        return evaluate_call(e, term, NULL);
    case TERM_BINARY: /* never the first of a chain */
        break;
    }
    return value_poison;
}

Value evaluate(Elaborator *e, const Term *term)
{
    Value value = value_poison;
    e->depth++;
    for (const Term *t = term->first;; t = t->up) {
        if (!budget_spend(e, t->span))
            value = value_poison;
        else if (t == term->first)
            value = part(e, t);
        else if (t->kind == TERM_BINARY)
            value = binary(e, t, value);
        else
            value = evaluate_call(e, t, &value);
        if (t == term)
            break;
    }
    e->depth--;
    return value;
}

/* ---- known at compile time ---- */

static bool known(Elaborator *e, const Term *term, const char *what, const char *kind, Value *value)
{
    *value = value_known(evaluate(e, term));
    if (value->kind == VALUE_POISON)
        return false;
    bool right = *kind == 'b' ? value->kind == VALUE_BOOL
                 : *kind == 'i'
                     ? value->kind == VALUE_INT && !value->integer.power
                     : value_is_number(*value) && !(value->kind == VALUE_INT && value->integer.power);
    if (!right)
        report(e, term->span, "%s must be %s known at compile time, but is %s", what,
               *kind == 'i'   ? "an int"
               : *kind == 'b' ? "a bool"
                              : "a number",
               described_text(e, *value));
    return right;
}

bool evaluate_bool(Elaborator *e, const Term *term, const char *what, bool *result)
{
    Value value;
    bool good = known(e, term, what, "bool", &value);
    *result = good && value.boolean;
    return good;
}

bool evaluate_int(Elaborator *e, const Term *term, const char *what, int64_t *result)
{
    Value value;
    bool good = known(e, term, what, "int", &value);
    *result = good ? value.integer.count : 0;
    return good;
}

bool evaluate_real(Elaborator *e, const Term *term, const char *what, double *result)
{
    Value value;
    bool good = known(e, term, what, "float", &value);
    *result = good ? value_real(value) : 0;
    return good;
}
