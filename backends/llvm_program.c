#include "llvm_program.h"
#include "clock.h"
#include "llvm_kernel.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* Statements that take some 0.15 s. Modules cost next to nothing; more of them than cores share the work evenly. */
enum { MODULE_COST = 1500 };

enum { STACK_BYTES = 64 << 20 }; /* LLVM recurs deeply; what is not used costs nothing */

typedef struct Part {
    LIST(int) kernel;
    bool shares; /* its kernels are such as share parts */
    LlvmModule *module;
} Part;

struct LlvmProgram {
    Arena *arena;
    LlvmOptions options;
    Kernel *const *kernel;
    int count;
    LIST(Part *) part;
    LlvmModule *frame;
    LlvmObjects objects;
    double start;
};

/* ---- the partition ---- */

static int64_t statements(const Stmt *s)
{
    int64_t count = 0;
    for (; s; s = s->next)
        count += 1 + statements(s->body);
    return count;
}

static Part *part_add(LlvmProgram *p, bool shares)
{
    Part *part = arena_alloc(p->arena, sizeof *part);
    part->shares = shares;
    list_add(p->arena, &p->part, part);
    return part;
}

/* Kernels of one kind in their order, cut into parts of about equal cost. */
static void plan(LlvmProgram *p, const int64_t *cost, bool shares)
{
    int64_t total = 0, before = 0, last = -1;
    for (int i = 0; i < p->count; i++)
        total += llvm_kernel_shares_parts(p->kernel[i]) == shares ? cost[i] : 0;
    int64_t parts = (total + MODULE_COST - 1) / MODULE_COST;
    Part *part = NULL;
    for (int i = 0; i < p->count; i++) {
        if (llvm_kernel_shares_parts(p->kernel[i]) != shares)
            continue;
        int64_t place = before * parts / total;
        if (place != last)
            part = part_add(p, shares);
        last = place;
        list_add(p->arena, &part->kernel, i);
        before += cost[i];
    }
}

LlvmProgram *llvm_program_new(Kernel *const *kernel, int count, LlvmOptions options)
{
    if (!llvm_start(options))
        return NULL;
    Arena *arena = arena_new();
    LlvmProgram *p = arena_alloc(arena, sizeof *p);
    *p = (LlvmProgram){
        .arena = arena, .options = options, .kernel = kernel, .count = count, .start = clock_seconds()};
    int64_t *cost = arena_alloc(arena, ((size_t)count + 1) * sizeof *cost);
    for (int i = 0; i < count; i++)
        cost[i] = 1 + statements(kernel[i]->body);
    plan(p, cost, true); /* first, as it takes the longest */
    plan(p, cost, false);
    p->frame = llvm_module_new(options, NULL);
    llvm_module_add_table(p->frame, kernel, count);
    return p;
}

void llvm_program_free(LlvmProgram *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->part.count; i++)
        llvm_module_free(p->part.at[i]->module);
    llvm_module_free(p->frame);
    for (int i = 0; i < p->objects.count; i++)
        text_free(&p->objects.at[i]);
    arena_free(p->arena);
}

LlvmModule *llvm_program_frame(LlvmProgram *p) { return p->frame; }

/* Steps, summed over threads, and the whole, as it was waited for. */
static void print_times(const LlvmProgram *p, int threads)
{
    if (!p->options.time)
        return;
    LlvmTimes sum = llvm_module_times(p->frame);
    for (int i = 0; i < p->part.count; i++) {
        LlvmTimes more = p->part.at[i]->module ? llvm_module_times(p->part.at[i]->module) : (LlvmTimes){0};
        sum.build += more.build;
        sum.optimize += more.optimize;
        sum.emit += more.emit;
    }
    fprintf(p->options.diag->out,
            "%-12s %9.3f ms\n%-12s %9.3f ms\n%-12s %9.3f ms\n%-12s %9.3f ms\n%d modules by %d threads\n",
            "llvm-build", 1e3 * sum.build, "llvm-passes", 1e3 * sum.optimize, "llvm-code", 1e3 * sum.emit,
            "llvm", 1e3 * (clock_seconds() - p->start), p->part.count + 1, threads);
}

static bool build(LlvmProgram *p, Part *part, LlvmModule *beside)
{
    part->module = llvm_module_new(p->options, beside);
    for (int i = 0; i < part->kernel.count; i++)
        llvm_module_add_kernel(part->module, p->kernel[part->kernel.at[i]]);
    return llvm_module_optimize(part->module, part->shares);
}

/* ---- as one module ---- */

bool llvm_program_make(LlvmProgram *p, LlvmMaker *maker, Text *bytes)
{
    bool good = llvm_module_optimize(p->frame, false);
    for (int i = 0; good && i < p->part.count; i++) {
        Part *part = p->part.at[i];
        good = build(p, part, p->frame) && llvm_module_join(p->frame, part->module);
    }
    good = good && llvm_module_close(p->frame) && maker(p->frame, bytes);
    print_times(p, 1);
    return llvm_module_report(p->frame) && good;
}

/* ---- as several objects ---- */

/* What the threads take from: the parts, then the frame. */
typedef struct Work {
    LlvmProgram *program;
    atomic_int next;
} Work;

static void make_object(LlvmProgram *p, int i)
{
    Part *part = i < p->part.count ? p->part.at[i] : NULL;
    bool built = part ? build(p, part, NULL) : llvm_module_optimize(p->frame, false);
    LlvmModule *m = part ? part->module : p->frame;
    if (built)
        llvm_module_object(m, &p->objects.at[i]); /* a fault is told by llvm_module_report() */
    llvm_module_end(m);
}

static void *take_work(void *argument)
{
    Work *work = argument;
    for (int i; (i = atomic_fetch_add(&work->next, 1)) < work->program->objects.count;)
        make_object(work->program, i);
    return NULL;
}

/* This thread works, too; the others may be fewer than asked for, and signals stay with this one. */
static void make_objects(LlvmProgram *p, int threads)
{
    Work work = {.program = p};
    atomic_init(&work.next, 0);
    pthread_t *thread = arena_alloc(p->arena, (size_t)threads * sizeof *thread);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int started = 0;
    while (started < threads - 1 && !pthread_create(&thread[started], &attributes, take_work, &work))
        started++;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    take_work(&work);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
}

/* What is said does not depend on which thread was first: up to the first module that failed. */
static bool report(LlvmProgram *p)
{
    for (int i = 0; i < p->part.count; i++)
        if (!llvm_module_report(p->part.at[i]->module))
            return false;
    return llvm_module_report(p->frame);
}

bool llvm_program_objects(LlvmProgram *p, int threads, LlvmObjects *objects)
{
    p->objects.count = p->part.count + 1;
    p->objects.at = arena_alloc(p->arena, (size_t)p->objects.count * sizeof *p->objects.at);
    *objects = p->objects;
    if (threads > objects->count)
        threads = objects->count;
    make_objects(p, threads);
    print_times(p, threads);
    return report(p);
}
