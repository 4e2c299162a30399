/* The kernels of a chain's members (chain.c) become one: an item does what the same item of each of them does, in their order. What
   only they need of its rows is a local array. */
#include "build.h"
#include "expr_index.h"
#include "ops.h"

#include <assert.h>
#include <string.h>

/* A buffer of the chain's kernel. */
typedef struct Shared {
    int id; /* in program->buffer */
    ComputeBuffer use;
    bool made;   /* its first user only writes it */
    int64_t row; /* elements of a row, if it is an array of the item's own; else 0 */
    int local;
} Shared;

typedef struct Joint {
    Compilation *c;
    int first, end; /* computes */
    Kernel *kernel;
    Expr *item;
    int64_t rows; /* of an item */
    LIST(Shared) buffer;
    LIST(int64_t) argument;
} Joint;

/* ---- buffers and arguments ------------------------------------------------------------------------------- */

static int buffer_of(const Joint *j, int id)
{
    for (int i = 0; i < j->buffer.count; i++)
        if (j->buffer.at[i].id == id)
            return i;
    return -1;
}

static int argument_of(Joint *j, int64_t value)
{
    for (int i = 0; i < j->argument.count; i++)
        if (j->argument.at[i] == value)
            return i;
    list_add(j->c->arena, &j->argument, value);
    return j->argument.count - 1;
}

static void collect(Joint *j)
{
    for (int i = j->first; i < j->end; i++) {
        const Compute *c = j->c->compute.at[i];
        for (int k = 0; k < c->buffer.count; k++) {
            const ComputeBuffer *use = &c->buffer.at[k];
            int at = buffer_of(j, use->id);
            if (at < 0) {
                list_add(
                    j->c->arena, &j->buffer,
                    ((Shared){.id = use->id, .use = *use, .made = use->written && !use->read, .local = -1}));
                continue;
            }
            j->buffer.at[at].use.read |= use->read;
            j->buffer.at[at].use.written |= use->written;
        }
        for (int k = 0; k < c->argument.count; k++)
            argument_of(j, c->argument.at[k]);
    }
}

/* ---- arrays of the item's own ---------------------------------------------------------------------------- */

typedef struct Scan {
    const Compute *compute;
    int buffer; /* in compute->buffer */
    int64_t row;
    bool suits;
} Scan;

static Visit argument_visitor(Expr *e, void *context)
{
    (void)context;
    return e->kind == EXPR_ARGUMENT ? VISIT_STOP : VISIT_DEEPER;
}

/* Rows follow each other from the buffer's begin on: of a stack, or of what else holds more than them, there is no array. */
static void check_address(Scan *s, Expr *at)
{
    int64_t stride;
    bool known = expr_stride(at, s->compute->rows - 1, &stride) && stride > 0 &&
                 expr_visit(s->compute->pool, at, argument_visitor, NULL);
    s->suits &= known && (!s->row || s->row == stride);
    s->row = stride;
}

/* An array has no elements but its own: a read that is not always one is not of it. */
static Visit array_visitor(Expr *e, void *context)
{
    Scan *s = context;
    if (e->kind == EXPR_LOAD && e->index == s->buffer) {
        s->suits &= e->count == 1;
        check_address(s, e->arg[0]);
    }
    return s->suits ? VISIT_DEEPER : VISIT_STOP;
}

/* Elements of a row; 0: the buffer must be one, for others use it, it is read before it is written, or it is too large; or its
   elements are small, of which no backend has arrays. */
static int64_t own_array(const Joint *j, int id)
{
    const Compilation *c = j->c;
    const Buffer *buffer = &c->program->buffer.at[id];
    Scan s = {.suits = buffer->kind == BUFFER_TRANSIENT && dtype_info[buffer->type.dtype].bytes >= 4};
    for (int q = 0; q < PHASE_COUNT; q++)
        for (int r = 0; r < c->program->phase[q].result.count; r++)
            s.suits &= c->program->phase[q].result.at[r].buffer != id;
    bool written = false;
    for (int i = 0; i < c->compute.count && s.suits; i++) {
        s.compute = c->compute.at[i];
        s.buffer = compute_find_buffer(s.compute, id);
        if (s.buffer < 0)
            continue;
        const ComputeBuffer *use = &s.compute->buffer.at[s.buffer];
        s.suits = i >= j->first && i < j->end && (written || (use->written && !use->read));
        written = true;
        for (int k = 0; k < s.compute->store.count && s.suits; k++) {
            if (s.compute->store.at[k].buffer == s.buffer)
                check_address(&s, s.compute->store.at[k].at);
            expr_visit(s.compute->pool, s.compute->store.at[k].value, array_visitor, &s);
        }
    }
    return s.suits && s.row * j->rows <= MOST_BLOCK ? s.row : 0;
}

static void find_arrays(Joint *j)
{
    for (int i = 0; i < j->buffer.count; i++) {
        Shared *s = &j->buffer.at[i];
        s->row = own_array(j, s->id);
        if (!s->row)
            continue;
        s->local = j->kernel->local.count;
        const char *name = arena_printf(j->c->arena, "row%d", s->local);
        list_add(j->c->arena, &j->kernel->local, ((Local){s->use.dtype, s->row * j->rows, 1, name}));
    }
}

/* What is no array, numbered as the kernel's buffers. */
static int kernel_buffer(const Joint *j, int shared)
{
    int number = 0;
    for (int i = 0; i < shared; i++)
        number += !j->buffer.at[i].row;
    return number;
}

/* ---- a member's loops ------------------------------------------------------------------------------------ */

typedef struct Import {
    Joint *joint;
    const Compute *compute;
    const Kernel *from;
    int axis, temp, local; /* its first ones are these in the chain's kernel */
    Expr **memo;
} Import;

static Shared *shared_of(const Import *m, int buffer)
{
    return &m->joint->buffer.at[buffer_of(m->joint, m->compute->buffer.at[buffer].id)];
}

/* An address in the item's own array. */
static Expr *in_array(const Import *m, const Shared *s, Expr *at)
{
    Exprs *pool = m->joint->kernel->pool;
    Expr *rows = expr_int(pool, DTYPE_I64, m->joint->rows * s->row);
    return expr_sub(pool, at, expr_mul(pool, m->joint->item, rows));
}

static Expr *import_load(Import *m, const Expr *e, Expr *const *arg)
{
    const Shared *s = shared_of(m, e->index);
    Exprs *pool = m->joint->kernel->pool;
    if (s->row)
        return expr_local(pool, e->dtype, s->local, in_array(m, s, arg[0]));
    Expr copy = *e;
    copy.index = kernel_buffer(m->joint, (int)(s - m->joint->buffer.at));
    return expr_copy_with(pool, &copy, arg);
}

static Expr *import(Import *m, const Expr *e)
{
    if (!e || m->memo[e->id])
        return e ? m->memo[e->id] : NULL;
    Exprs *pool = m->joint->kernel->pool;
    Expr *arg[3] = {0}, copy = *e, *made;
    for (int i = 0; i < e->count; i++)
        arg[i] = import(m, e->arg[i]);
    if (e->kind == EXPR_LOAD) {
        made = import_load(m, e, arg);
    } else if (e->kind == EXPR_AXIS) {
        made = e->index == m->from->item_axis ? m->joint->item : expr_axis(pool, e->index + m->axis);
    } else {
        copy.index += e->kind == EXPR_TEMP ? m->temp : e->kind == EXPR_LOCAL ? m->local : 0;
        if (e->kind == EXPR_ARGUMENT && e->index)
            copy.index = argument_of(m->joint, m->compute->argument.at[e->index - 1]) + 1;
        made = e->dtype == DTYPE_I64 && e->kind == EXPR_APPLY ? expr_rebuild(pool, e, arg)
                                                              : expr_copy_with(pool, &copy, arg);
    }
    return m->memo[e->id] = made;
}

static void place_store(Import *m, Stmt *s)
{
    const Shared *shared = shared_of(m, s->index);
    if (shared->row) {
        s->kind = STMT_SET;
        s->index = shared->local;
        s->at = in_array(m, shared, s->at);
    } else {
        s->index = kernel_buffer(m->joint, (int)(shared - m->joint->buffer.at));
    }
}

static Stmt *import_list(Import *m, const Stmt *list)
{
    Stmt *all = NULL, **end = &all;
    for (; list; list = list->next) {
        Stmt *s = arena_copy(m->joint->c->arena, list, sizeof *s);
        s->next = NULL;
        s->extent = import(m, list->extent);
        s->at = import(m, list->at);
        s->value = import(m, list->value);
        s->body = import_list(m, list->body);
        if (s->kind == STMT_PREFETCH && shared_of(m, s->index)->row)
            continue;
        if (s->kind == STMT_STORE || s->kind == STMT_PREFETCH)
            place_store(m, s);
        else
            s->index += s->kind == STMT_FOR ? m->axis : s->kind == STMT_LET ? m->temp : m->local;
        *end = s;
        end = &s->next;
    }
    return all;
}

/* What one member stores the next one loads, and within one list of statements loads may go before stores. */
static Stmt *in_a_list_of_its_own(Joint *j, Stmt *list)
{
    for (const Stmt *s = list; s; s = s->next)
        if (s->kind == STMT_SET || s->kind == STMT_STORE) {
            Kernel *k = j->kernel;
            int turn = k->axes++;
            expr_set_extent(k->pool, turn, size_of(1));
            Stmt loop = {
                .kind = STMT_FOR, .index = turn, .extent = expr_int(k->pool, DTYPE_I64, 1), .body = list};
            return arena_copy(j->c->arena, &loop, sizeof loop);
        }
    return list;
}

static void append_kernel(Joint *j, const Compute *compute, const Kernel *from)
{
    Kernel *k = j->kernel;
    Arena *arena = j->c->arena;
    Import m = {j, compute, from, k->axes, k->temp.count, k->local.count, NULL};
    for (int a = 0; a < from->axes; a++)
        expr_set_extent(k->pool, k->axes + a, expr_extent(from->pool, a));
    k->axes += from->axes;
    for (int i = 0; i < from->temp.count; i++) {
        list_add(arena, &k->temp, from->temp.at[i]);
        list_add(arena, &k->temp_lanes, from->temp_lanes.at[i]);
    }
    for (int i = 0; i < from->local.count; i++) {
        Local local = from->local.at[i];
        local.name = arena_printf(arena, "%s_%d", local.name, k->local.count);
        list_add(arena, &k->local, local);
    }
    m.memo = arena_alloc(arena, ((size_t)exprs_count(from->pool) + 1) * sizeof *m.memo);
    build_append(&k->body, in_a_list_of_its_own(j, import_list(&m, from->body)));
    k->flops += from->flops;
}

/* ---- the chain ------------------------------------------------------------------------------------------- */

/* So that equal numbers of items look equal. */
static Items plain_items(Items items)
{
    if (items.size.count % items.divisor == 0) {
        items.outer *= items.size.count / items.divisor;
        items.size.count = items.divisor = 1;
    }
    return items;
}

/* "norm sum + sub + sum + add": names that begin as the one before do are shortened. */
static const char *name_of(const Joint *j)
{
    Text text = {0};
    for (int i = j->first; i < j->end; i++) {
        const char *name = j->c->compute.at[i]->name,
                   *before = i > j->first ? j->c->compute.at[i - 1]->name : "";
        const char *space = strrchr(name, ' ');
        size_t path = space ? (size_t)(space - name) + 1 : 0;
        bool same = path && !strncmp(name, before, path);
        text_printf(&text, "%s%s", i > j->first ? " + " : "", same ? name + path : name);
    }
    const char *copy = arena_string(j->c->arena, text_string(&text));
    text_free(&text);
    return copy;
}

/* What the members move, without the arrays. */
static double bytes_of(const Joint *j)
{
    double bytes = 0;
    for (int i = j->first; i < j->end; i++) {
        const Compute *c = j->c->compute.at[i];
        bytes += c->bytes;
        for (int k = 0; k < c->buffer.count; k++) {
            int id = c->buffer.at[k].id;
            if (j->buffer.at[buffer_of(j, id)].row)
                bytes -= (double)type_bytes(&j->c->program->buffer.at[id].type, j->c->model->batch);
        }
    }
    return bytes;
}

static int64_t rows_of_item(const Joint *j)
{
    const Compute *c = j->c->compute.at[j->first];
    const Schedule *s = &j->c->schedule.at[j->first];
    return s->tile[c->rows - 1] * (s->grain ? s->grain : 1);
}

/* All that the kernel depends on but for names. */
static const char *key_of(const Joint *j)
{
    Text text = {0};
    for (int i = j->first; i < j->end; i++) {
        const Compute *c = j->c->compute.at[i];
        text_printf(&text, "%d", j->c->same[i]);
        for (int k = 0; k < c->buffer.count; k++)
            text_printf(&text, " %d", buffer_of(j, c->buffer.at[k].id));
        text_add(&text, ":");
        for (int k = 0; k < c->argument.count; k++)
            text_printf(&text, " %d", argument_of((Joint *)j, c->argument.at[k]));
        text_add(&text, "\n");
        schedule_print(&text, c, &j->c->schedule.at[i]);
    }
    for (int i = 0; i < j->buffer.count; i++)
        text_printf(&text, "%lld ", (long long)j->buffer.at[i].row);
    const char *copy = arena_string(j->c->arena, text_string(&text));
    text_free(&text);
    return copy;
}

static void build(Joint *j, int number)
{
    Kernel *k = j->kernel;
    Text comment = {0};
    k->name = build_name(j->c, j->c->compute.at[j->first]->name, number);
    k->pool = exprs_new(j->c->arena);
    k->item_axis = k->axes++;
    k->arguments = j->argument.count + 1;
    k->bytes = bytes_of(j);
    expr_set_extent(k->pool, k->item_axis, (Size){-1, 0});
    j->item = expr_axis(k->pool, k->item_axis);
    for (int i = 0; i < j->buffer.count; i++) {
        const ComputeBuffer *use = &j->buffer.at[i].use;
        if (!j->buffer.at[i].row)
            list_add(j->c->arena, &k->buffer,
                     ((KernelBuffer){use->dtype, use->read, use->written, j->buffer.at[i].made}));
    }
    for (int i = j->first; i < j->end; i++) {
        const Compute *copy = compute_copy(j->c->compute.at[i]);
        const Kernel *member = build_kernel(j->c, copy, &j->c->schedule.at[i], number);
        Items items = plain_items(member->items);
        assert(i == j->first || (items.outer == k->items.outer && size_equal(items.size, k->items.size) &&
                                 items.divisor == k->items.divisor));
        k->items = items;
        text_printf(&comment, "%s%s", i > j->first ? " + " : "", member->comment);
        append_kernel(j, copy, member);
    }
    k->comment = arena_string(j->c->arena, text_string(&comment));
    text_free(&comment);
}

static void fill_call(const Joint *j, Call *call)
{
    Arena *arena = j->c->arena;
    int buffers = 0;
    call->name = name_of(j);
    call->buffer = arena_alloc(arena, ((size_t)j->buffer.count + 1) * sizeof *call->buffer);
    for (int i = 0; i < j->buffer.count; i++)
        if (!j->buffer.at[i].row)
            call->buffer[buffers++] = j->buffer.at[i].id;
    build_arguments(j->c, j->argument.at, j->argument.count, call);
}

Kernel *build_chain(Compilation *c, int first, int end, ChainKernels *built, Call *call)
{
    Joint j = {.c = c, .first = first, .end = end, .kernel = arena_alloc(c->arena, sizeof *j.kernel)};
    j.rows = rows_of_item(&j);
    collect(&j);
    find_arrays(&j);
    fill_call(&j, call);
    const char *key = key_of(&j);
    for (int i = 0; i < built->count; i++)
        if (!strcmp(built->at[i].key, key)) {
            call->kernel = built->at[i].kernel;
            return NULL;
        }
    call->kernel = c->program->kernel.count;
    list_add(c->arena, built, ((ChainKernel){key, call->kernel}));
    build(&j, call->kernel);
    return j.kernel;
}
