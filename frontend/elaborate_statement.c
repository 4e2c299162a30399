#include "elaborate.h"

#include <string.h>

static void run_statement(Elaborator *e, const Statement *s);

const char *full_name(Elaborator *e, const char *component)
{
    const Frame *f = e->frame;
    budget_charge(e, (strlen(f->path) + strlen(f->round)) / 256);
    return format_text(e, "%s%s%s%s", f->path, *f->path ? "." : "", component, f->round);
}

void set_scope(Elaborator *e, const char *component, Span span)
{
    if (!e->graph || in_prelude(e)) /* inside the prelude the names are the caller's */
        return;
    e->graph->scope = component ? full_name(e, component) : *e->frame->path ? e->frame->path : NULL;
    e->graph->span = span;
}

/* ---- binding ---- */

static bool is_reserved(const char *name)
{
    return !strcmp(name, "batch") || !strcmp(name, "training") || !strcmp(name, "none");
}

bool may_bind(Elaborator *e, Name name)
{
    if (is_reserved(name.text)) {
        report(e, name.span, "'%s' is a word of the language and cannot be bound", name.text);
        return false;
    }
    const Binding *binding = scope_find(e->frame->scope, name.text);
    if (binding && binding->state && e->frame->item->kind != ITEM_OPTIMIZER) {
        report(e, name.span, "'%s' is a state: `update %s = …` gives its next value", name.text, name.text);
        return false;
    }
    return true;
}

void assign_name(Elaborator *e, const char *name, Value value)
{
    for (const Scope *scope = e->frame->scope; scope; scope = scope->is_scan ? NULL : scope->outer) {
        Binding *binding = map_find(&scope->binding, name);
        if (binding) {
            *binding = (Binding){.value = value, .state = binding->state};
            return;
        }
    }
    scope_bind(e, e->frame->scope, name, value);
}

/* How unnamed layers of the statement are called. */
static void set_word(Elaborator *e, const char *word, const Term *term)
{
    e->frame->word = word;
    e->frame->several = term_owners(e->library, term, in_prelude(e)) > 1;
}

Value evaluate_named(Elaborator *e, const char *word, const Term *term, Span span)
{
    set_word(e, word, term);
    set_scope(e, word, span);
    return evaluate(e, term);
}

static Value named(Elaborator *e, Value value, Name name)
{
    if (value.kind != VALUE_TENSOR || in_prelude(e))
        return value;
    const Origin *old = value.origin;
    if (old && old->name && !old->maker)
        return value; /* another name of the same: the first tells more */
    value.origin =
        origin_new(e, name.text, old ? old->maker : NULL, NULL, old && old->maker ? old->span : name.span);
    return value;
}

static void run_bind(Elaborator *e, const Statement *s)
{
    Value value = evaluate_named(e, s->name.text, s->value, s->span);
    if (s->op != OPERATOR_NONE) {
        Value old = name_value(e, s->name.text, s->name.span);
        value = evaluate_binary(e, s->op, old, value, s->span);
    }
    if (!may_bind(e, s->name))
        return;
    if (value.kind == VALUE_NONE) {
        report(e, s->value->span, "none is not a value to bind");
        value = value_poison;
    }
    assign_name(e, s->name.text, named(e, value, s->name));
}

static void run_return(Elaborator *e, const Statement *s)
{
    Frame *f = e->frame;
    if (f->item->kind == ITEM_OPTIMIZER) {
        report(e, s->span, "an optimizer returns nothing: it changes `parameter`");
        return;
    }
    f->returned = true;
    f->results = s->args.count;
    f->result = arena_alloc(e->arena, (size_t)f->results * sizeof *f->result);
    f->result_name = arena_alloc(e->arena, (size_t)f->results * sizeof *f->result_name);
    for (int i = 0; i < f->results; i++) {
        const Arg *arg = &s->args.at[i];
        f->result_name[i] = arg->name.text;
        for (int j = 0; j < i; j++)
            if (!strcmp(arg->name.text, f->result_name[j]))
                report(e, arg->name.span, "two results are named '%s'", arg->name.text);
        f->result[i] = evaluate_named(e, arg->name.text, arg->value, arg->value->span);
    }
}

/* ---- assert ---- */

/* The text of a piece as written: its escapes are those of strings. */
static void add_piece(Text *text, const char *at)
{
    for (; *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        text_add_bytes(text, at, 1);
    }
}

static void run_assert(Elaborator *e, const Statement *s)
{
    bool holds;
    if (!evaluate_bool(e, s->value, "what is asserted", &holds) || holds)
        return;
    Text text = {0};
    for (int i = 0; i < s->piece.count; i++) {
        if (s->piece.at[i].text)
            add_piece(&text, s->piece.at[i].text);
        else
            value_print(&text, evaluate(e, s->piece.at[i].value));
    }
    Frame *f = e->frame;
    bool layer = f->item->kind == ITEM_LAYER;
    if (layer && !f->prelude)
        e->frame = f->caller;
    report(e, layer && !f->prelude ? f->call : s->span, "%s", text_string(&text));
    text_free(&text);
    e->frame = f;
    for (int p = 0; layer && p < f->item->params.count; p++) {
        const Binding *argument = scope_find(f->scope, f->item->params.at[p].name.text);
        if (argument)
            report_origin(e, f->item->params.at[p].name.text, argument->value);
    }
    if (layer)
        report_note(e, s->span, "asserted here");
    const Frame *called = f; /* where the error is reported */
    while (called->prelude && called->caller && called->caller->prelude)
        called = called->caller;
    if (layer && f->prelude)
        report_signature(e, called->item);
}

/* ---- control ---- */

static void run_if(Elaborator *e, const Statement *s)
{
    bool condition;
    if (evaluate_bool(e, s->value, "the condition of an if", &condition))
        run_block(e, condition ? &s->body : &s->otherwise);
}

static void run_repeat(Elaborator *e, const Statement *s)
{
    Frame *f = e->frame;
    Scope *scope = f->scope;
    const char *round = f->round;
    int64_t rounds;
    if (!evaluate_int(e, s->value, "the number of rounds", &rounds) || !may_bind(e, s->name))
        return;
    if (rounds < 0 || rounds > MAX_EVALUATIONS) {
        report(e, s->value->span, "the number of rounds must be from 0 to %d, but is %lld", MAX_EVALUATIONS,
               (long long)rounds);
        return;
    }
    for (int64_t i = 0; i < rounds && budget_spend(e, s->span) && !f->returned; i++) {
        f->scope = arena_alloc(e->arena, sizeof *f->scope);
        f->scope->outer = scope;
        f->round = format_text(e, "%s.%lld", round, (long long)i);
        scope_bind(e, f->scope, s->name.text, value_int(i));
        run_block(e, &s->body);
        if (f->returned)
            report(e, s->span, "a repeat cannot return");
    }
    f->scope = scope;
    f->round = round;
}

static void run_statement(Elaborator *e, const Statement *s)
{
    switch (s->kind) {
    case STATEMENT_BIND:
        run_bind(e, s);
        break;
    case STATEMENT_PARAM:
        declare_parameter(e, s);
        break;
    case STATEMENT_STATE:
        declare_state(e, s);
        break;
    case STATEMENT_UPDATE:
        update_state(e, s);
        break;
    case STATEMENT_RETURN:
        run_return(e, s);
        break;
    case STATEMENT_ASSERT:
        run_assert(e, s);
        break;
    case STATEMENT_IF:
        run_if(e, s);
        break;
    case STATEMENT_REPEAT:
        run_repeat(e, s);
        break;
    case STATEMENT_SCAN:
        if (may_bind(e, s->name) && may_bind(e, s->step))
            run_scan(e, s);
        break;
    case STATEMENT_YIELD:
        run_yield(e, s);
        break;
    case STATEMENT_CHECKPOINT:
        report(e, s->span, "`checkpoint` is not supported yet");
        break;
    }
}

void run_block(Elaborator *e, const Block *block)
{
    e->depth++;
    for (int i = 0; i < block->count && budget_spend(e, block->at[i]->span) && !e->frame->returned; i++) {
        run_statement(e, block->at[i]);
        if (block->at[i]->kind == STATEMENT_RETURN && i + 1 < block->count)
            report(e, block->at[i + 1]->span, "nothing runs after `return`");
    }
    e->depth--;
}
