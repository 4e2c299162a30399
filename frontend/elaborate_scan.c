/* `scan`: a recurrence. Its body is elaborated once, and becomes a loop of the graph. */
#include "elaborate.h"

#include <string.h>

/* ---- the sequence ---------------------------------------------------------------------------------------- */

static void report_sequence(Elaborator *e, Span span)
{
    report(e, span,
           "a scan runs along an axis of a tensor: scan t in time(x, axis = 1) from (state = …) { … }");
}

/* x and the axis of `time(x, axis = 1)`. */
static bool find_sequence(Elaborator *e, const Term *call, Value *x, int64_t *axis)
{
    const Term *sequence = NULL, *along = NULL;
    bool good = !strcmp(call->text, "time");
    for (int i = 0; i < call->args.count; i++) {
        const Arg *arg = &call->args.at[i];
        const char *name = arg->name.text ? arg->name.text : i == 0 ? "x" : i == 1 ? "axis" : "";
        const Term **term = !strcmp(name, "x") ? &sequence : !strcmp(name, "axis") ? &along : NULL;
        good = good && term && !*term;
        if (term)
            *term = arg->value;
    }
    if (!good || !sequence) {
        report_sequence(e, call->span);
        return false;
    }
    *x = evaluate(e, sequence);
    *axis = 1;
    if (x->kind == VALUE_POISON || (along && !evaluate_int(e, along, "the axis of a scan", axis)))
        return false;
    if (x->kind != VALUE_TENSOR) {
        report_sequence(e, call->span);
        return false;
    }
    const Type *type = &x->node->type;
    int64_t given = *axis;
    *axis += given < 0 ? type->rank : 0;
    bool there = *axis >= 0 && *axis < type->rank;
    if (there && !type->dim[*axis].power && type->dim[*axis].count > 0)
        return true;
    report(e, call->span,
           there ? "a scan cannot run along axis %lld of %s, whose length is known at run time only"
                 : "there is no axis %lld of %s to scan along",
           (long long)given, type_text(e, type));
    report_origin(e, NULL, *x);
    return false;
}

/* Axis `from` goes to the place `to`, the others keep their order. */
static Node *move_axis(Graph *graph, Node *x, int64_t from, int64_t to)
{
    Ints axes = {.count = x->type.rank};
    for (int d = 0, other = 0; d < axes.count; d++) {
        other += d != to && other == from;
        axes.at[d] = d == to ? from : other++;
    }
    return from == to ? x : graph_transpose(graph, x, axes);
}

/* ---- states ---------------------------------------------------------------------------------------------- */

static bool bind_states(Elaborator *e, Scan *scan, const Statement *s)
{
    bool good = true;
    scan->state = arena_alloc(e->arena, ((size_t)s->from.count + 1) * sizeof *scan->state);
    for (int i = 0; i < s->from.count; i++) {
        const Arg *arg = &s->from.at[i];
        if (!arg->name.text) {
            report(e, arg->value->span, "a state of a scan has a name: from (h = …)");
            good = false;
            continue;
        }
        for (int j = 0; j < i; j++)
            if (s->from.at[j].name.text && !strcmp(s->from.at[j].name.text, arg->name.text)) {
                report(e, arg->name.span, "two states are named '%s'", arg->name.text);
                good = false;
            }
        Value value = evaluate(e, arg->value);
        Node *first = value.kind == VALUE_POISON ? NULL : tensor_of(e, value, DTYPE_F32, arg->value->span);
        good = good && first;
        if (!first)
            continue;
        scan->state[i] = graph_carry(e->graph, first, scan->loop, scan->length, i);
        Value state = tensor_value(e, scan->state[i]);
        if (!in_prelude(e))
            state.origin = origin_new(e, arg->name.text, NULL, "a state of the scan", arg->name.span);
        scope_bind(e, scan->scope, arg->name.text, state);
    }
    return good;
}

static bool carry_states(Elaborator *e, const Scan *scan, const Statement *s)
{
    bool good = true;
    for (int i = 0; i < s->from.count; i++) {
        const char *name = s->from.at[i].name.text;
        Value next = name_value(e, name, s->from.at[i].name.span);
        next = tensor_fit(e, next, &scan->state[i]->type, format_text(e, "the next value of '%s'", name),
                          s->from.at[i].name.span);
        good = good && next.kind == VALUE_TENSOR;
        if (next.kind == VALUE_TENSOR)
            list_add(e->arena, &e->graph->carry, ((Carry){scan->state[i], next.node}));
    }
    return good;
}

/* ---- results --------------------------------------------------------------------------------------------- */

void run_yield(Elaborator *e, const Statement *s)
{
    Scan *scan = e->scan;
    if (!scan || scan->frame != e->frame) {
        report(e, s->span, "`yield` belongs into the block of a scan");
        return;
    }
    for (int i = 0; i < s->args.count; i++) {
        const Arg *arg = &s->args.at[i];
        const char *name = arg->name.text                  ? arg->name.text
                           : arg->value->kind == TERM_NAME ? arg->value->text
                                                           : NULL;
        bool taken = name && !strcmp(name, "last");
        for (int j = 0; name && j < scan->yield.count; j++)
            taken |= !strcmp(scan->yield.at[j].name, name);
        if (!name || taken) {
            report(e, arg->value->span,
                   name ? "the name '%s' of what is yielded is taken"
                        : "what is yielded has a name: yield %s = …",
                   name ? name : "y");
            continue;
        }
        Value value = evaluate_named(e, name, arg->value, arg->value->span);
        Node *node = value.kind == VALUE_POISON ? NULL : tensor_of(e, value, DTYPE_F32, arg->value->span);
        if (node && node->type.rank == MAX_RANK) {
            report(e, arg->value->span,
                   "what is yielded has %d axes already, and the steps would be one more", MAX_RANK);
            node = NULL;
        }
        list_add(e->arena, &scan->yield, ((Yield){name, node}));
    }
}

static Value record_of(Elaborator *e, int count, const char **name, Value *value)
{
    Record *record = arena_alloc(e->arena, sizeof *record);
    *record = (Record){count, name, value};
    return (Value){.kind = VALUE_RECORD, .record = record};
}

/* What was yielded, the steps along the axis that was scanned; and `last`, the states after the last step. */
static Value scan_result(Elaborator *e, const Scan *scan, const Statement *s, int64_t axis)
{
    int yields = scan->yield.count, states = s->from.count;
    const char **name = arena_alloc(e->arena, ((size_t)yields + 1) * sizeof *name);
    Value *value = arena_alloc(e->arena, ((size_t)yields + 1) * sizeof *value);
    for (int i = 0; i < yields; i++) {
        const Yield *y = &scan->yield.at[i];
        name[i] = y->name;
        value[i] = value_poison;
        if (!y->node)
            continue;
        Node *all = graph_stack(e->graph, y->node, scan->loop, scan->length, false);
        int64_t place = axis < all->type.rank ? axis : all->type.rank - 1;
        value[i] = tensor_value(e, move_axis(e->graph, all, 0, place));
    }
    const char **state_name = arena_alloc(e->arena, ((size_t)states + 1) * sizeof *state_name);
    Value *last = arena_alloc(e->arena, ((size_t)states + 1) * sizeof *last);
    for (int i = 0; i < states; i++) {
        state_name[i] = s->from.at[i].name.text;
        last[i] = tensor_value(e, graph_last(e->graph, scan->state[i]));
    }
    name[yields] = "last";
    value[yields] = record_of(e, states, state_name, last);
    return record_of(e, yields + 1, name, value);
}

/* ---- the statement --------------------------------------------------------------------------------------- */

static Value scan_value(Elaborator *e, const Statement *s)
{
    Frame *f = e->frame;
    Value x;
    int64_t axis;
    set_scope(e, s->name.text, s->span);
    if (!find_sequence(e, s->value, &x, &axis))
        return value_poison;
    Scan scan = {.frame = f, .length = x.node->type.dim[axis].count};
    scan.scope = arena_alloc(e->arena, sizeof *scan.scope);
    scan.scope->outer = f->scope;
    scan.scope->is_scan = true;
    scan.loop = ++e->graph->loops;
    if (!bind_states(e, &scan, s))
        return value_poison;
    Node *sequence = move_axis(e->graph, x.node, axis, 0);
    Value element = tensor_value(e, graph_step(e->graph, sequence, scan.loop, false));
    if (!in_prelude(e))
        element.origin = origin_new(e, s->step.text, NULL, "an element of the scan's sequence", s->step.span);
    scope_bind(e, scan.scope, s->step.text, element);
    e->scan = &scan;
    f->scope = scan.scope;
    int faults = e->faults;
    run_block(e, &s->body);
    bool good = e->faults == faults && !e->exhausted && carry_states(e, &scan, s);
    if (f->returned)
        report(e, s->span, "a scan cannot return: it yields");
    e->scan = NULL;
    f->scope = scan.scope->outer;
    return good && !f->returned ? scan_result(e, &scan, s, axis) : value_poison;
}

void run_scan(Elaborator *e, const Statement *s)
{
    Value value = value_poison;
    if (e->scan)
        report(e, s->span, "a scan inside a scan is not supported yet");
    else
        value = scan_value(e, s);
    assign_name(e, s->name.text, value);
}
