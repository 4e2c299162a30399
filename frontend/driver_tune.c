/* `netc tune`: measures schedules of a program's kernels where they are used, and writes those that are faster into a tune
   file. The program runs in this process, phase by phase; each call is timed, and any kernel can be exchanged for a variant
   of the same bits between two runs: so one run measures a variant of every kernel at once. */
#include "driver.h"

#include "driver_measure.h"
#include "driver_tune_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum {
    MOST_VARIANTS = 24, /* of a kernel in a stage */
    MOST_SAMPLES = 64,
    FIRST_RUNS = 5,
    ROUND_RUNS = 3,
    LAST_RUNS = 15,
    DEFAULT_SECONDS = 60
};
static const double least_share = 0.002; /* of all time: kernels below are left as they are */
static const double clear_margin = 0.97; /* of the usual time */
static const double least_gain = 5e-8;   /* seconds; about what reading the clock takes */
static const double compile_share = 0.6; /* of a stage's time */
static const TuneStage stage_order[] = {TUNE_TILES, TUNE_LOOPS, TUNE_TILES};
enum { STAGES = sizeof stage_order / sizeof *stage_order };

typedef struct Code { /* a kernel that the engine can run */
    void *state;
    int index;
    Items items;
} Code;

typedef struct Variant {
    Schedule schedule;
    Code code;
    int samples;
    double seconds[MOST_SAMPLES];
} Variant;

typedef struct Subject { /* a kernel of the program */
    const TuneKernel *kernel;
    Variant *usual, *best;
    LIST(Variant *) variant; /* of this stage, those still in; the best so far apart */
    bool tried;
} Subject;

typedef struct Tuner {
    Driver *driver;
    Arena *arena;
    const Engine *engine;
    Program *program;
    TuneKernels kernels;
    Subject *subject;
    const Code **current; /* by kernel */
    Measure *measure;
    double *seconds; /* of the last run, by kernel */
    double deadline;
    LIST(void *) state; /* of the engine, to be stopped */
    Arena *own;         /* of the program with its usual schedules */
} Tuner;

static void tuner_call(void *context, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                       int64_t end)
{
    const Tuner *t = context;
    const Code *code = t->current[kernel];
    t->engine->call(code->state, code->index, buffer, argument, begin, end);
}

static void use(Tuner *t, int kernel, const Code *code)
{
    t->current[kernel] = code;
    measure_set_items(t->measure, kernel, code->items.outer, code->items.size.count, code->items.size.power,
                      code->items.divisor);
}

/* ---- samples --------------------------------------------------------------------------------------------- */

static int compare_seconds(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* The sample that a share of the others is below. Other programs only add to a time, sometimes to most of its samples: so
   the lower quartile says more than the median. */
static double sample_at(const Variant *v, int quarter)
{
    double sorted[MOST_SAMPLES];
    memcpy(sorted, v->seconds, sizeof sorted);
    qsort(sorted, (size_t)v->samples, sizeof *sorted, compare_seconds);
    return v->samples ? sorted[v->samples * quarter / 4] : 0;
}

static double typical(const Variant *v) { return sample_at(v, 1); }

static int compare_variants(const void *x, const void *y)
{
    double a = typical(*(Variant *const *)x), b = typical(*(Variant *const *)y);
    return (a > b) - (a < b);
}

static void note(Variant *v, double seconds)
{
    if (v->samples < MOST_SAMPLES)
        v->seconds[v->samples++] = seconds;
}

/* Every kernel's variant of that place, -1: its best so far, where it has none: too, but unmeasured. */
static void run_place(Tuner *t, int place)
{
    int count = t->kernels.at.count;
    for (int k = 0; k < count; k++) {
        const Subject *s = &t->subject[k];
        use(t, k, place >= 0 && place < s->variant.count ? &s->variant.at[place]->code : &s->best->code);
    }
    measure_run(t->measure, t->seconds);
    for (int k = 0; k < count; k++) {
        Subject *s = &t->subject[k];
        if (place < 0)
            note(s->best, t->seconds[k]);
        else if (place < s->variant.count)
            note(s->variant.at[place], t->seconds[k]);
    }
}

static bool is_faster(const Variant *v, const Variant *than)
{
    double fast = typical(v), slow = typical(than);
    bool at_best = sample_at(v, 0) < clear_margin * sample_at(than, 0);
    return at_best && fast < clear_margin * slow && slow - fast > least_gain;
}

/* In every round the slower half is dropped. */
static void halve(Tuner *t, double until)
{
    for (int k = 0; k < t->kernels.at.count; k++)
        t->subject[k].best->samples = 0;
    for (int left = 1; left > 0;) {
        left = 0;
        for (int k = 0; k < t->kernels.at.count; k++)
            left = t->subject[k].variant.count > left ? t->subject[k].variant.count : left;
        for (int run = 0; run < ROUND_RUNS; run++)
            for (int place = -1; place < left; place++) {
                if (measure_clock() > until)
                    return;
                run_place(t, place);
            }
        for (int k = 0; k < t->kernels.at.count; k++) {
            Subject *s = &t->subject[k];
            if (s->variant.count)
                qsort(s->variant.at, (size_t)s->variant.count, sizeof *s->variant.at, compare_variants);
            s->variant.count = left == 1 ? s->variant.count : (s->variant.count + 1) / 2;
        }
        left = left == 1 ? 0 : left;
    }
}

static void take_best(Tuner *t)
{
    for (int k = 0; k < t->kernels.at.count; k++) {
        Subject *s = &t->subject[k];
        Variant *best = NULL;
        for (int i = 0; i < s->variant.count; i++)
            if (s->variant.at[i]->samples >= ROUND_RUNS &&
                (!best || typical(s->variant.at[i]) < typical(best)))
                best = s->variant.at[i];
        if (best && is_faster(best, s->best))
            s->best = best;
    }
}

/* ---- variants -------------------------------------------------------------------------------------------- */

/* The program, in memory of its own: with the schedules of a section, or (NULL) its usual ones. */
static Program *build(Tuner *t, Arena *arena, const TuneSection *section, TuneKernels *kernels)
{
    Driver own = *t->driver;
    own.arena = arena;
    own.tune = section;
    own.kernels = kernels;
    Model *model = driver_load(&own);
    return model ? driver_build(&own, model, false) : NULL;
}

static void *compile(Tuner *t, const Program *program)
{
    BackendOptions options = driver_backend_options(t->driver, NULL);
    void *state = t->engine->start(program, &options);
    if (state)
        list_add(t->arena, &t->state, state);
    return state;
}

static Variant *new_variant(Tuner *t, const Schedule *schedule)
{
    Variant *v = arena_alloc(t->arena, sizeof *v);
    v->schedule = *schedule;
    return v;
}

/* The kernels that differ, as code of new variants. */
static bool compile_variants(Tuner *t, const Program *program, const TuneSchedules *list, int number)
{
    Program only = *program;
    memset(&only.kernel, 0, sizeof only.kernel);
    LIST(Variant *) made = {NULL, 0, 0};
    for (int k = 0; k < t->kernels.at.count; k++) {
        if (number >= list[k].at.count)
            continue;
        Variant *v = new_variant(t, &list[k].at.at[number]);
        v->code = (Code){NULL, only.kernel.count, program->kernel.at[k]->items};
        list_add(program->arena, &only.kernel, program->kernel.at[k]);
        list_add(t->arena, &t->subject[k].variant, v);
        list_add(program->arena, &made, v);
    }
    void *state = compile(t, &only);
    for (int i = 0; i < made.count; i++)
        made.at[i]->code.state = state;
    return state != NULL;
}

/* One more variant for every kernel that has one in its list; false: failed, reported. */
static bool add_variants(Tuner *t, const TuneSchedules *list, int number)
{
    Arena *arena = arena_new();
    TuneSection section = {.target = t->driver->target->name};
    for (int k = 0; k < t->kernels.at.count; k++)
        if (number < list[k].at.count)
            list_add(arena, &section.entry,
                     ((TuneEntry){.key = t->kernels.at.at[k].key, .schedule = list[k].at.at[number]}));
    const Program *program = build(t, arena, &section, NULL);
    bool made = program && compile_variants(t, program, list, number);
    arena_free(arena);
#ifdef __GLIBC__
    malloc_trim(0); /* what is freed lies between what stays, and would add up to gigabytes */
#endif
    return made;
}

static bool run_stage(Tuner *t, TuneStage stage, double until)
{
    int count = t->kernels.at.count, most = 0;
    TuneSchedules *list = arena_alloc(t->arena, ((size_t)count + 1) * sizeof *list);
    for (int k = 0; k < count; k++) {
        Subject *s = &t->subject[k];
        s->variant.count = 0;
        if (s->tried)
            list[k] = tune_neighbours(t->arena, t->driver->target, s->kernel->compute,
                                      measure_batch(t->measure), &s->best->schedule, stage, MOST_VARIANTS);
        most = list[k].at.count > most ? list[k].at.count : most;
    }
    double now = measure_clock(), compile_until = now + compile_share * (until - now);
    for (int number = 0; number < most && measure_clock() < compile_until; number++)
        if (!add_variants(t, list, number))
            return false;
    halve(t, until);
    take_best(t);
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static bool start(Tuner *t, int *status)
{
    const Options *options = t->driver->options;
    *status = STATUS_INPUT;
    t->own = arena_new();
    t->program = build(t, t->own, NULL, &t->kernels);
    if (!t->program)
        return false;
    int count = t->kernels.at.count;
    t->subject = arena_alloc(t->arena, ((size_t)count + 1) * sizeof *t->subject);
    t->current = arena_alloc(t->arena, ((size_t)count + 1) * sizeof *t->current);
    t->seconds = arena_alloc(t->arena, ((size_t)count + 1) * sizeof *t->seconds);
    *status = STATUS_INTERNAL;
    void *state = compile(t, t->program);
    if (!state)
        return false;
    for (int k = 0; k < count; k++) {
        Subject *s = &t->subject[k];
        s->kernel = &t->kernels.at.at[k];
        s->usual = s->best = new_variant(t, &s->kernel->schedule);
        s->usual->code = (Code){state, k, t->program->kernel.at[k]->items};
        t->current[k] = &s->usual->code;
    }
    Text descriptor = {0};
    static NetcEngine engine;
    char why[1000];
    engine = (NetcEngine){tuner_call, t};
    program_descriptor(&descriptor, t->program);
    t->measure = measure_start(text_string(&descriptor), &engine, options->phases, options->batch,
                               options->threads, why, status);
    text_free(&descriptor);
    if (!t->measure)
        diag_report(&t->driver->diag, DIAG_ERROR, (Span){0}, "%s", why);
    return t->measure;
}

/* What takes no time is not tried. */
static void choose_subjects(Tuner *t)
{
    double all = 0;
    for (int run = 0; run < FIRST_RUNS && (run == 0 || measure_clock() < t->deadline); run++)
        run_place(t, -1);
    for (int k = 0; k < t->kernels.at.count; k++)
        all += typical(t->subject[k].usual);
    for (int k = 0; k < t->kernels.at.count; k++)
        t->subject[k].tried =
            !t->kernels.at.at[k].chained && typical(t->subject[k].usual) > least_share * all;
}

/* The best beside the usual ones once more, in turns: who won a race of many may only have been lucky. */
static void confirm(Tuner *t)
{
    for (int k = 0; k < t->kernels.at.count; k++) {
        Subject *s = &t->subject[k];
        s->usual->samples = s->best->samples = s->variant.count = 0;
        if (s->best != s->usual)
            list_add(t->arena, &s->variant, s->usual);
    }
    for (int run = 0; run < LAST_RUNS && (run < ROUND_RUNS || measure_clock() < t->deadline); run++) {
        run_place(t, -1);
        run_place(t, 0);
    }
    for (int k = 0; k < t->kernels.at.count; k++) {
        Subject *s = &t->subject[k];
        if (s->best != s->usual && !is_faster(s->best, s->usual))
            s->best = s->usual;
    }
}

/* A call by both: they must leave the same bytes. */
static bool check_call(void *context, Measure *measure, int call, int kernel)
{
    Tuner *t = context;
    Subject *s = &t->subject[kernel];
    char *before = NULL, *after = NULL;
    use(t, kernel, &s->usual->code);
    if (s->best != s->usual && !(before = measure_save(measure, call)))
        return false;
    measure_call(measure, call);
    if (!before)
        return true;
    after = measure_save(measure, call);
    measure_restore(measure, call, before);
    use(t, kernel, &s->best->code);
    measure_call(measure, call);
    if (after && !measure_equals(measure, call, after)) {
        Text other = {0};
        schedule_print(&other, s->kernel->compute, &s->best->schedule);
        int length = (int)strcspn(text_string(&other), "\n");
        diag_report(&t->driver->diag, DIAG_WARNING, (Span){0},
                    "'%s' has other results by another schedule: this is an error of netc; it is left as it "
                    "was: %.*s",
                    s->kernel->compute->name, length > 4 ? length - 4 : 0, text_string(&other) + 4);
        text_free(&other);
        measure_restore(measure, call, after);
        s->best = s->usual;
    }
    free(before);
    free(after);
    return after != NULL;
}

static void add_entries(const Tuner *t, TuneSection *section)
{
    for (int k = 0; k < t->kernels.at.count; k++) {
        const Subject *s = &t->subject[k];
        if (s->best == s->usual)
            continue;
        TuneEntry e = {
            .key = s->kernel->key, .name = s->kernel->compute->name, .schedule = s->best->schedule};
        e.usual = typical(s->usual);
        e.tuned = typical(s->best);
        list_add(t->arena, &section->entry, e);
    }
}

static int compare_gains(const void *x, const void *y)
{
    const Subject *a = *(Subject *const *)x, *b = *(Subject *const *)y;
    double gain = typical(b->usual) - typical(b->best) - (typical(a->usual) - typical(a->best));
    return (gain > 0) - (gain < 0);
}

static void print_report(const Tuner *t, const char *output, FILE *out)
{
    int count = t->kernels.at.count, faster = 0;
    double usual = 0, best = 0;
    Subject **sorted = arena_alloc(t->arena, ((size_t)count + 1) * sizeof *sorted);
    for (int k = 0; k < count; k++)
        sorted[k] = &t->subject[k];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_gains);
    fprintf(out, "%12s %12s %8s  %s\n", "default us", "tuned us", "faster", "kernel");
    for (int k = 0; k < count; k++) {
        const Subject *s = sorted[k];
        double slow = typical(s->usual), fast = typical(s->best);
        usual += slow;
        best += fast;
        if (s->best == s->usual)
            continue;
        faster++;
        fprintf(out, "%12.1f %12.1f %7.2fx  %s\n", 1e6 * slow, 1e6 * fast, slow / fast,
                s->kernel->compute->name);
        if (t->driver->options->verbose) {
            Text text = {0};
            schedule_print(&text, s->kernel->compute, &s->usual->schedule);
            schedule_print(&text, s->kernel->compute, &s->best->schedule);
            fputs(text_string(&text), out);
            text_free(&text);
        }
    }
    fprintf(out, "%12.1f %12.1f %7.2fx  all: batch %lld, %d threads; %d of %d kernels are faster, see %s\n",
            1e6 * usual, 1e6 * best, best > 0 ? usual / best : 1, (long long)measure_batch(t->measure),
            measure_threads(t->measure), faster, count, output);
}

static int tune(Tuner *t, TuneFile *file, const char *output)
{
    int status = STATUS_INPUT;
    if (!start(t, &status))
        return status;
    if (!measure_phases(t->measure)) {
        diag_report(&t->driver->diag, DIAG_ERROR, (Span){0}, "the program has none of the phases to tune");
        return STATUS_INPUT;
    }
    choose_subjects(t);
    for (int i = 0; i < STAGES; i++) {
        double now = measure_clock(), until = now + (t->deadline - now) * 0.9 / (STAGES - i);
        if (!run_stage(t, stage_order[i], until))
            return STATUS_INTERNAL;
    }
    confirm(t);
    if (!measure_each_call(t->measure, check_call, t)) {
        diag_report(&t->driver->diag, DIAG_ERROR, (Span){0}, "out of memory");
        return STATUS_INPUT;
    }
    TuneSection section = {.target = t->driver->target->name,
                           .cpu = tune_cpu_name(t->arena, t->driver->target)};
    add_entries(t, &section);
    tune_replace(t->arena, file, &section);
    Text text = {0};
    tune_print(&text, file);
    BackendOptions options = driver_backend_options(t->driver, output);
    status = backend_write(&options, text_string(&text), text.length);
    text_free(&text);
    if (status == STATUS_OK)
        print_report(t, output, strcmp(output, "-") ? stdout : stderr);
    return status;
}

int driver_tune(Driver *driver)
{
    const Options *options = driver->options;
    const char *output = options->output ? options->output : tune_path(driver->arena, options->input);
    if (!output || !strcmp(options->input, "-")) {
        fputs("netc: tune wants a .net or .graph file, or -o FILE\n", stderr);
        return STATUS_USAGE;
    }
    if (!target_runs_here(driver->target)) {
        diag_report(&driver->diag, DIAG_ERROR, (Span){0}, "this machine cannot run code for --cpu=%s",
                    driver->target->name);
        return STATUS_MISSING;
    }
    TuneFile file = {{NULL, 0, 0}};
    if (!tune_load_existing(driver, output, &file))
        return STATUS_INPUT;
    Tuner t = {.driver = driver, .arena = driver->arena, .engine = engine_find("llvm")};
    assert(t.engine && t.engine->compiled);
    t.deadline = measure_clock() + (options->seconds ? options->seconds : DEFAULT_SECONDS);
    int status = tune(&t, &file, output);
    if (t.measure)
        measure_stop(t.measure);
    for (int i = 0; i < t.state.count; i++)
        t.engine->stop(t.state.at[i]);
    if (t.own)
        arena_free(t.own);
    return status;
}
