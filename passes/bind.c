/* Shared values are bound once: within each run of straight-line statements, what is used more than once gets a LET before
   its first use. After this every expression is a tree. Where a run has several stores, their values are bound before the
   first of them, so that a kernel that updates in place reads only old values. */
#include "passes.h"

#include <string.h>

typedef struct Binder {
    Kernel *kernel;
    Arena *arena;
    int size;
    int *uses;       /* by expression id, within the run; 0 outside */
    Expr **bound;    /* by expression id: its temp */
    LIST(int) marks; /* ids to reset after the run */
    Stmt **end;      /* where the next statement goes */
} Binder;

static bool is_leaf(const Expr *e)
{
    return e->kind == EXPR_CONST || e->kind == EXPR_AXIS || e->kind == EXPR_ARGUMENT || e->kind == EXPR_TEMP;
}

/* A splat of a leaf costs nothing to repeat; a ramp stays in sight of the loads and stores that it addresses, which are
   contiguous by it, and its first lane is bound instead. */
static bool is_cheap(const Expr *e)
{
    return is_leaf(e) || e->kind == EXPR_RAMP || (e->kind == EXPR_SPLAT && e->arg[0]->kind == EXPR_CONST);
}

static void count_uses(Binder *b, const Expr *e)
{
    if (is_leaf(e))
        return;
    if (b->uses[e->id]++ == 0) {
        list_add(b->arena, &b->marks, e->id);
        for (int i = 0; i < e->count; i++)
            count_uses(b, e->arg[i]);
    } else if (e->kind == EXPR_RAMP) {
        count_uses(b, e->arg[0]);
    }
}

static void emit(Binder *b, Stmt stmt)
{
    stmt.next = NULL;
    *b->end = arena_copy(b->arena, &stmt, sizeof stmt);
    b->end = &(*b->end)->next;
}

static Expr *bind(Binder *b, Expr *e)
{
    Kernel *k = b->kernel;
    int temp = k->temp.count;
    list_add(b->arena, &k->temp, e->dtype);
    list_add(b->arena, &k->temp_lanes, e->lanes);
    emit(b, (Stmt){.kind = STMT_LET, .index = temp, .value = e});
    return expr_temp(k->pool, e->dtype, e->lanes, temp);
}

/* e as a tree; parts used more than once become temps. Ids of rebuilt expressions lie beyond `size`: they are new. */
static Expr *tree(Binder *b, Expr *e, bool always)
{
    if (is_leaf(e))
        return e;
    if (b->bound[e->id])
        return b->bound[e->id];
    Expr *arg[3] = {0};
    for (int i = 0; i < e->count; i++)
        arg[i] = tree(b, e->arg[i], false);
    Expr *made = memcmp(arg, e->arg, sizeof arg) ? expr_copy_with(b->kernel->pool, e, arg) : e;
    if (always || (b->uses[e->id] > 1 && !is_cheap(e)))
        return b->bound[e->id] = bind(b, made);
    return made;
}

static void reset(Binder *b)
{
    for (int i = 0; i < b->marks.count; i++) {
        b->uses[b->marks.at[i]] = 0;
        b->bound[b->marks.at[i]] = NULL;
    }
    b->marks.count = 0;
}

static bool is_straight(const Stmt *s)
{
    return s->kind == STMT_SET || s->kind == STMT_STORE || s->kind == STMT_LET || s->kind == STMT_PREFETCH;
}

/* Statements [s, end) of one kind: what they share is bound together, if it does not read locals that they set. */
static void bind_run(Binder *b, Stmt *s, const Stmt *end)
{
    int stores = 0;
    for (Stmt *t = s; t != end; t = t->next) {
        if (t->at)
            count_uses(b, t->at);
        if (t->value)
            count_uses(b, t->value);
        stores += t->kind == STMT_STORE;
    }
    if (stores > 1)
        for (Stmt *t = s; t != end; t = t->next) {
            t->at = tree(b, t->at, false);
            t->value = tree(b, t->value, !is_cheap(t->value));
        }
    for (Stmt *t = s; t != end; t = t->next) {
        Stmt copy = *t;
        if (stores <= 1) {
            copy.at = t->at ? tree(b, t->at, false) : NULL;
            copy.value = t->value ? tree(b, t->value, false) : NULL;
        }
        emit(b, copy);
    }
    reset(b);
}

/* The only local that e reads is the element `at` of `local`. */
static bool reads_only(const Expr *e, int local, const Expr *at)
{
    if (e->kind == EXPR_LOCAL && (e->index != local || e->arg[0] != at))
        return false;
    for (int i = 0; i < e->count; i++)
        if (!reads_only(e->arg[i], local, at))
            return false;
    return true;
}

static bool is_accumulation(const Stmt *s)
{
    return s->kind == STMT_SET && reads_only(s->value, s->index, s->at);
}

/* Whether s may share with the run from `first` up to it: stores with stores, bindings with bindings, accumulations of
   different elements with each other, since none reads what another sets. Any other SET stands for itself. */
static bool may_share(const Stmt *first, const Stmt *s)
{
    if (first->kind != s->kind)
        return false;
    if (s->kind != STMT_SET)
        return true;
    if (!is_accumulation(first) || !is_accumulation(s))
        return false;
    for (const Stmt *t = first; t != s; t = t->next)
        if (t->index == s->index && t->at == s->at)
            return false;
    return true;
}

static Stmt *bind_list(Binder *b, Stmt *list)
{
    Stmt *out = NULL, **outer = b->end;
    b->end = &out;
    for (Stmt *s = list; s;) {
        if (is_straight(s)) {
            Stmt *end = s->next;
            while (end && is_straight(end) && may_share(s, end))
                end = end->next;
            bind_run(b, s, end);
            s = end;
            continue;
        }
        Stmt copy = *s;
        Expr *head = s->extent ? s->extent : s->value;
        count_uses(b, head);
        Expr *bound = tree(b, head, false);
        *(s->extent ? &copy.extent : &copy.value) = bound;
        reset(b);
        copy.body = bind_list(b, s->body);
        emit(b, copy);
        s = s->next;
    }
    b->end = outer;
    return out;
}

bool pass_bind(Compilation *c)
{
    for (int i = 0; i < c->program->kernel.count; i++) {
        Kernel *k = c->program->kernel.at[i];
        Binder b = {.kernel = k, .arena = c->arena, .size = exprs_count(k->pool)};
        b.uses = arena_alloc(c->arena, (size_t)b.size * sizeof *b.uses);
        b.bound = arena_alloc(c->arena, (size_t)b.size * sizeof *b.bound);
        k->body = bind_list(&b, k->body);
    }
    return true;
}
