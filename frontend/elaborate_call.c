#include "elaborate.h"

#include <string.h>

/* ---- types ---- */

static bool element_of(Elaborator *e, const TypeTerm *type, DType *dtype)
{
    *dtype = dtype_find(type->element.text);
    if (*dtype != DTYPE_COUNT)
        return true;
    Nearest nearest = nearest_of(type->element.text);
    for (int d = 0; d < DTYPE_COUNT; d++)
        nearest_try(&nearest, dtype_info[d].name);
    bool later = !strcmp(type->element.text, "f16") || !strcmp(type->element.text, "bf16");
    if (later)
        report(e, type->element.span, "%s is not supported yet: elements are f32 f64 i32 i64 u32 i8 u8 bool",
               type->element.text);
    else
        report(e, type->element.span, "'%s' is not an element type%s", type->element.text,
               nearest_text(e, &nearest));
    return false;
}

static bool dim_size(Elaborator *e, const Dim *dim, Size *size)
{
    if (!dim->size) {
        report(e, dim->span, "'...' stands for the sizes of an argument: here all sizes must be known");
        return false;
    }
    Value value = value_known(evaluate(e, dim->size));
    if (value.kind == VALUE_INT && value.integer.count >= 0) {
        *size = value.integer;
        return true;
    }
    if (value.kind != VALUE_POISON)
        report(e, dim->span, "a size must be an int of at least 0, but is %s", described_text(e, value));
    return false;
}

bool evaluate_type(Elaborator *e, const TypeTerm *type, Type *result)
{
    *result = (Type){0};
    if (!element_of(e, type, &result->dtype))
        return false;
    if (!type->tensor) {
        report(e, type->span, "a tensor type has its sizes in brackets: %s[] is a single number",
               type->element.text);
        return false;
    }
    if (type->dim.count > MAX_RANK) {
        report(e, type->span, "a tensor has at most %d axes", MAX_RANK);
        return false;
    }
    for (int d = 0; d < type->dim.count; d++)
        if (!dim_size(e, &type->dim.at[d], &result->dim[result->rank++]))
            return false;
    Size elements;
    if (!type_elements(result, &elements)) {
        report(e, type->span, "%s is too large: at most 2^40 along an axis and 2^48 elements",
               type_text(e, result));
        return false;
    }
    return true;
}

/* ---- arguments: matching ---- */

static int parameter_find(const Item *item, const char *name)
{
    for (int p = 0; p < item->params.count; p++)
        if (!strcmp(item->params.at[p].name.text, name))
            return p;
    return -1;
}

static bool refuse_unknown_argument(Elaborator *e, const Item *item, const Arg *arg)
{
    Nearest nearest = nearest_of(arg->name.text);
    for (int p = 0; p < item->params.count; p++)
        nearest_try(&nearest, item->params.at[p].name.text);
    report(e, arg->name.span, "%s has no argument '%s'%s", item->name.text, arg->name.text,
           nearest_text(e, &nearest));
    report_signature(e, item);
    return false;
}

/* Which parameter an argument is for; -1 after a report. */
static int match_one(Elaborator *e, const Item *item, const Arg *arg, int *position, const Given *given)
{
    int p = arg->name.text ? parameter_find(item, arg->name.text) : (*position)++;
    Span span = arg->name.text ? arg->name.span : arg->value->span;
    if (p < 0) {
        refuse_unknown_argument(e, item, arg);
    } else if (p >= item->params.count) {
        report(e, span, "%s takes %d argument%s, and here is one more", item->name.text, item->params.count,
               item->params.count == 1 ? "" : "s");
        report_signature(e, item);
        p = -1;
    } else if (given->given[p]) {
        report(e, span, "%s: the argument '%s' is given twice", item->name.text,
               item->params.at[p].name.text);
        report_signature(e, item);
        p = -1;
    }
    return p;
}

static bool check_complete(Elaborator *e, const Item *item, const Given *given, Span call)
{
    for (int p = 0; p < item->params.count; p++)
        if (!given->given[p] && !item->params.at[p].value) {
            report(e, call, "%s: the argument '%s' is missing", item->name.text,
                   item->params.at[p].name.text);
            report_signature(e, item);
            return false;
        }
    return true;
}

/* In an initialiser the shape is that of the parameter, and is not among the positions. */
static bool takes_shape(const Elaborator *e, const Item *item)
{
    return e->shape && item->params.count && !strcmp(item->params.at[0].name.text, "shape");
}

static Value shape_list(Elaborator *e, const Type *type)
{
    ValueList *list = arena_alloc(e->arena, sizeof *list);
    list->count = type->rank;
    list->at = arena_alloc(e->arena, (size_t)type->rank * sizeof *list->at);
    for (int d = 0; d < type->rank; d++)
        list->at[d] = value_size(type->dim[d]);
    return (Value){.kind = VALUE_LIST, .list = list};
}

bool arguments_match(Elaborator *e, const Item *item, const Term *term, const Value *piped, Given *given)
{
    size_t count = (size_t)item->params.count;
    given->value = arena_alloc(e->arena, count * sizeof *given->value);
    given->span = arena_alloc(e->arena, count * sizeof *given->span);
    given->given = arena_alloc(e->arena, count * sizeof *given->given);
    bool good = true, poison = false;
    int position = 0;
    if (takes_shape(e, item)) {
        given->value[0] = shape_list(e, e->shape);
        given->given[0] = true;
        position = 1;
    }
    if (piped) {
        Arg first = {.value = term->left};
        int p = match_one(e, item, &first, &position, given);
        good = p >= 0;
        poison = piped->kind == VALUE_POISON;
        if (good) {
            given->value[p] = *piped;
            given->span[p] = term->left->span;
            given->given[p] = true;
        }
    }
    for (int i = 0; i < term->args.count; i++) {
        const Arg *arg = &term->args.at[i];
        int p = good ? match_one(e, item, arg, &position, given) : -1;
        Value value =
            evaluate(e, arg->value); /* also where its place is wrong: it may hold a fault of its own */
        good = p >= 0;
        poison = poison || value.kind == VALUE_POISON;
        if (!good)
            continue;
        given->value[p] = value;
        given->span[p] = arg->value->span;
        given->given[p] = true;
    }
    return good && check_complete(e, item, given, term->span) && !poison;
}

/* ---- arguments: binding ---- */

static const char *type_term_text(Elaborator *e, const TypeTerm *type)
{
    Text text = {0};
    type_term_print(&text, type);
    const char *copy = arena_string(e->arena, text_string(&text));
    text_free(&text);
    return copy;
}

static bool refuse_argument(Elaborator *e, const Frame *frame, const Parameter *param, Value value,
                            const char *more, Span span)
{
    report(e, span, "%s: %s must be %s, but is %s%s", frame->item->name.text, param->name.text,
           type_term_text(e, param->type),
           value.kind == VALUE_TENSOR ? value_text(e, value) : described_text(e, value), more);
    report_origin(e, param->name.text, value);
    report_signature(e, frame->item);
    return false;
}

/* One size of an argument against its declaration: a new name is bound, else it must be equal. */
static bool bind_dim(Elaborator *e, Frame *frame, const Dim *dim, Size actual, const char **more)
{
    const Term *term = dim->size;
    bool name = term->kind == TERM_NAME && strcmp(term->text, "batch");
    if (name && frame->item->kind == ITEM_LAYER && !map_find(&frame->scope->binding, term->text)) {
        scope_bind(e, frame->scope, term->text, value_size(actual));
        return true;
    }
    Frame *caller = e->frame;
    e->frame = frame;
    Value wanted = value_known(evaluate(e, term));
    e->frame = caller;
    if (wanted.kind == VALUE_INT && size_equal(wanted.integer, actual))
        return true;
    if (term->kind == TERM_NAME && name)
        *more = format_text(e, ": %s is %s here", term->text, value_text(e, wanted));
    return false;
}

static bool bind_sizes(Elaborator *e, Frame *frame, const TypeTerm *type, const Type *actual,
                       const char **more)
{
    int rest = -1, count = type->dim.count;
    for (int d = 0; d < count; d++)
        if (!type->dim.at[d].size)
            rest = d;
    int skipped = actual->rank - (count - (rest >= 0));
    if (rest < 0 ? skipped != 0 : skipped < 0)
        return false;
    for (int d = 0, axis = 0; d < count; d++) {
        if (d == rest)
            axis += skipped;
        else if (!bind_dim(e, frame, &type->dim.at[d], actual->dim[axis++], more))
            return false;
    }
    return true;
}

static bool bind_tensor(Elaborator *e, Frame *frame, const Parameter *param, Value *value, Span span)
{
    const TypeTerm *type = param->type;
    DType dtype = DTYPE_F32;
    bool any = !strcmp(type->element.text, "any");
    if (!any && !element_of(e, type, &dtype))
        return false;
    const Origin *origin = value->origin;
    if (value_is_number(*value) || value->kind == VALUE_OPTION ||
        (value->kind == VALUE_BOOL && dtype == DTYPE_BOOL)) {
        Node *node = tensor_of(e, *value, dtype, span);
        if (!node)
            return false;
        *value = tensor_value(e, node);
    }
    value->origin = origin;
    const char *more = "";
    if (value->kind != VALUE_TENSOR || (!any && value->node->type.dtype != dtype) ||
        !bind_sizes(e, frame, type, &value->node->type, &more))
        return refuse_argument(e, frame, param, *value, more, span);
    return true;
}

/* int float bool string list */
static bool bind_known(Elaborator *e, Frame *frame, const Parameter *param, Value *value, Span span)
{
    static const struct {
        const char *name;
        ValueKind kind;
    } kinds[] = {{"int", VALUE_INT},
                 {"float", VALUE_FLOAT},
                 {"bool", VALUE_BOOL},
                 {"string", VALUE_STRING},
                 {"list", VALUE_LIST}};
    int k = 0;
    while (k < 5 && strcmp(kinds[k].name, param->type->element.text))
        k++;
    if (k == 5) {
        report(e, param->type->span,
               "'%s' is not a type: there are int float bool string list, and tensors as f32[n]",
               param->type->element.text);
        return false;
    }
    ValueKind kind = kinds[k].kind;
    if (kind == VALUE_FLOAT && value->kind == VALUE_OPTION)
        return true;
    if (kind != VALUE_FLOAT)
        *value = value_known(*value);
    if (kind == VALUE_FLOAT && value->kind == VALUE_INT && !value->integer.power)
        *value = value_float((double)value->integer.count);
    return value->kind == kind || refuse_argument(e, frame, param, *value, "", span);
}

static bool bind_one(Elaborator *e, Frame *frame, const Parameter *param, Value value, Span span)
{
    bool typed = param->type && !(value.kind == VALUE_NONE && param->value);
    if (typed && param->type->tensor && !bind_tensor(e, frame, param, &value, span))
        return false;
    if (typed && !param->type->tensor && !bind_known(e, frame, param, &value, span))
        return false;
    scope_bind(e, frame->scope, param->name.text, value);
    return true;
}

bool arguments_bind(Elaborator *e, Frame *frame, Given *given, Span call)
{
    const Item *item = frame->item;
    for (int p = 0; p < item->params.count; p++) {
        const Parameter *param = &item->params.at[p];
        if (!given->given[p]) {
            Frame *caller = e->frame;
            const Type *shape = e->shape;
            e->frame = frame;
            e->shape = NULL;
            given->value[p] = evaluate(e, param->value);
            e->frame = caller;
            e->shape = shape;
            given->span[p] = call;
            if (given->value[p].kind == VALUE_POISON)
                return false;
        }
        Span span = given->span[p].source ? given->span[p] : call;
        if (!bind_one(e, frame, param, given->value[p], span))
            return false;
        given->value[p] = scope_find(frame->scope, param->name.text)->value;
    }
    return true;
}

/* ---- expansion ---- */

Frame *frame_new(Elaborator *e, const Item *item, Span call)
{
    Frame *frame = arena_alloc(e->arena, sizeof *frame);
    *frame = (Frame){.caller = e->frame, .item = item, .call = call, .path = "", .round = "", .place = ""};
    frame->prelude = source_is_prelude(e->library, item->span.source);
    frame->shared = e->frame && e->frame->shared;
    frame->scope = arena_alloc(e->arena, sizeof *frame->scope);
    return frame;
}

Value frame_result(Elaborator *e, const Frame *frame)
{
    if (frame->results == 1)
        return frame->result[0];
    Record *record = arena_alloc(e->arena, sizeof *record);
    *record = (Record){frame->results, frame->result_name, frame->result};
    return (Value){.kind = VALUE_RECORD, .record = record};
}

static Instance *instance_find(const Scope *scope, const char *name)
{
    for (; scope; scope = scope->outer) {
        Instance *instance = map_find(&scope->instance, name);
        if (instance)
            return instance;
    }
    return NULL;
}

/* The instance's path. Two layers with parameters must not have one: their parameters would. */
static bool name_instance(Elaborator *e, Frame *frame, const Term *term)
{
    const Frame *caller = e->frame;
    const char *name = term->as.text ? term->as.text : caller->word ? caller->word : term->text;
    if (!term->as.text && caller->word && caller->several)
        name = format_text(e, "%s.%s", caller->word, term->text);
    frame->path = full_name(e, name);
    if (frame->item->owns != OWNS)
        return true;
    const Term *first = map_find(&e->path, frame->path);
    if (first && !frame->shared) {
        report(e, term->as.text ? term->as.span : term->span,
               "two layers with parameters would be named '%s'", frame->path);
        report_note(e, first->span, "here is the first");
        report_help(e, "`as NAME` after a call names its layer");
        return false;
    }
    map_set(e->arena, &e->path, frame->path, (void *)(uintptr_t)term);
    return true;
}

static bool calls_itself(Elaborator *e, const Item *item, Span span)
{
    for (const Frame *f = e->frame; f; f = f->caller)
        if (f->item == item) {
            report(e, span, "the layer '%s' calls itself", item->name.text);
            return true;
        }
    return false;
}

static Value expand(Elaborator *e, Frame *frame, const Term *term)
{
    Graph *g = e->graph;
    const char *scope = g->scope;
    Span span = g->span;
    const Type *shape = e->shape;
    int faults = e->faults;
    e->frame = frame;
    e->shape = NULL;
    if (!frame->caller->prelude)
        g->span = term->span;
    if (*frame->path)
        g->scope = frame->path;
    run_block(e, &frame->item->body);
    if (!frame->returned && e->faults == faults && !e->exhausted)
        report(e, frame->item->head, "the layer '%s' returns nothing", frame->item->name.text);
    e->frame = frame->caller;
    e->shape = shape;
    g->scope = scope;
    g->span = span;
    return frame->returned && e->faults == faults ? frame_result(e, frame) : value_poison;
}

static Value with_origin(Elaborator *e, Value value, const Term *term)
{
    if (in_prelude(e))
        return value;
    const Origin *origin = origin_new(e, NULL, term->text, NULL, term->span);
    if (value.kind == VALUE_TENSOR)
        value.origin = origin;
    for (int i = 0; value.kind == VALUE_RECORD && i < value.record->count; i++)
        value.record->value[i].origin = origin;
    return value;
}

static void remember_instance(Elaborator *e, const Frame *frame, const Term *term, const Given *given)
{
    Instance *instance = arena_alloc(e->arena, sizeof *instance);
    *instance = (Instance){frame->item, frame->path, given->value};
    map_set(e->arena, &e->frame->scope->instance, term->as.text, instance);
}

static Value call_layer(Elaborator *e, Item *item, const Term *term, const Value *piped)
{
    Given given;
    bool good = arguments_match(e, item, term, piped, &given);
    if (!e->frame && !item->core) {
        report(e, term->span, "a const cannot call the layer '%s'", item->name.text);
        return value_poison;
    }
    if (!good || calls_itself(e, item, term->span))
        return value_poison;
    Frame *frame = frame_new(e, item, term->span);
    if (!arguments_bind(e, frame, &given, term->span))
        return value_poison;
    if (item->core) {
        if (e->graph && !in_prelude(e))
            e->graph->span = term->span;
        return with_origin(e, builtin_find(item->name.text)(e, item, given.value, term->span), term);
    }
    bool owns = item_owns(e->library, item);
    if (owns || term->as.text) {
        if (!name_instance(e, frame, term))
            return value_poison;
        if (term->as.text)
            remember_instance(e, frame, term, &given);
    } else {
        frame->path = e->graph->scope ? e->graph->scope : "";
        frame->place = format_text(e, "%s/%s", e->frame->place, item->name.text);
    }
    return with_origin(e, expand(e, frame, term), term);
}

/* An instance again: the same parameters, and the numbers that it was first called with unless they are given. */
static Value call_instance(Elaborator *e, const Instance *instance, const Term *term, const Value *piped)
{
    const Item *item = instance->item;
    Item again = *item; /* with what is known as defaults, so that matching does not miss it */
    static const Term known = {.kind = TERM_NAME};
    again.params.at =
        arena_copy(e->arena, item->params.at, (size_t)item->params.count * sizeof *item->params.at);
    for (int p = 0; p < item->params.count; p++)
        if (instance->argument[p].kind != VALUE_TENSOR && !again.params.at[p].value)
            again.params.at[p].value = (Term *)(uintptr_t)&known;
    Given given;
    if (!arguments_match(e, &again, term, piped, &given) || calls_itself(e, item, term->span))
        return value_poison;
    for (int p = 0; p < item->params.count; p++)
        if (!given.given[p] && instance->argument[p].kind != VALUE_TENSOR) {
            given.value[p] = instance->argument[p];
            given.given[p] = true;
        }
    if (term->as.text) {
        report(e, term->as.span, "'%s' has its name already: a shared layer is not named again", term->text);
        return value_poison;
    }
    Frame *frame = frame_new(e, item, term->span);
    frame->path = instance->path;
    frame->shared = true;
    if (!arguments_bind(e, frame, &given, term->span))
        return value_poison;
    return with_origin(e, expand(e, frame, term), term);
}

static Value refuse_callee(Elaborator *e, const Term *term)
{
    for (int i = 0; i < term->args.count; i++)
        evaluate(e, term->args.at[i].value);
    if (e->frame && scope_find(e->frame->scope, term->text)) {
        report(e, term->span, "'%s' is a value, not a layer: it cannot be called", term->text);
        return value_poison;
    }
    if (library_optimizer(e->library, term->text)) {
        report(e, term->span, "'%s' is an optimizer: it stands in `train`", term->text);
        return value_poison;
    }
    Nearest nearest = nearest_of(term->text);
    nearest_try_map(&nearest, &e->library->layer[0]);
    nearest_try_map(&nearest, &e->library->layer[1]);
    for (const Scope *s = e->frame ? e->frame->scope : NULL; s; s = s->outer)
        nearest_try_map(&nearest, &s->instance);
    report(e, term->span, "there is no layer '%s'%s", term->text, nearest_text(e, &nearest));
    return value_poison;
}

Value evaluate_call(Elaborator *e, const Term *term, const Value *piped)
{
    Item *item = library_layer(e->library, term->text, in_prelude(e));
    if (item)
        return call_layer(e, item, term, piped);
    const Instance *instance = e->frame ? instance_find(e->frame->scope, term->text) : NULL;
    return instance ? call_instance(e, instance, term, piped) : refuse_callee(e, term);
}
