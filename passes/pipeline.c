#include "clock.h"
#include "form.h"
#include "tune.h"

#include <string.h>

const PassInfo pass_list[] = {
#define PASS(letter, name, level, function, help) {letter, name, help, level, function},
#include "passes.def"
#undef PASS
};
const int pass_count = sizeof pass_list / sizeof pass_list[0];

const PassInfo *pass_find(const char *name)
{
    for (int i = 0; i < pass_count; i++)
        if (!strcmp(pass_list[i].name, name))
            return &pass_list[i];
    return NULL;
}

static void print_places(Text *text, const Compilation *c, int phase)
{
    const Graph *graph = c->model->phase[phase];
    text_printf(text, "places %s\n", graph->name);
    for (int i = 0; i < graph->node.count; i++) {
        const NodePlace *p = &c->place[phase][i];
        if (p->live && p->reason)
            text_printf(text, "    %%%d %s %s: %s\n", i, op_info[graph->node.at[i]->op].name,
                        p->place == PLACE_MEMORY ? "in memory" : "inline", p->reason);
    }
}

static void dump(const Compilation *c, const PassInfo *pass, FILE *out)
{
    Text text = {0};
    text_printf(&text, "// after %s\n", pass->name);
    if (pass->level == LEVEL_GRAPH) {
        model_print(&text, c->model);
        for (int p = 0; p < PHASE_COUNT; p++)
            if (c->place[p])
                print_places(&text, c, p);
    }
    for (int i = 0; pass->level == LEVEL_COMPUTE && i < c->compute.count; i++) {
        compute_print(&text, c->compute.at[i]);
        if (i >= c->schedule.count)
            continue;
        schedule_print(&text, c->compute.at[i], &c->schedule.at[i]);
        text_printf(&text, "    key %016llx\n",
                    (unsigned long long)tune_key(c->arena, c->target, c->compute.at[i]));
    }
    if (pass->level == LEVEL_PROGRAM)
        program_print(&text, c->program);
    fwrite(text_string(&text), 1, text.length, out);
    text_free(&text);
}

/* What the IR at this level says of itself. Kernels hold their full set of rules only once shared values are
 * bound. */
static const char *fault(const Compilation *c, const PassInfo *pass)
{
    const char *found = pass->level == LEVEL_GRAPH ? model_fault(c->model) : NULL;
    for (int i = 0; !found && pass->level == LEVEL_COMPUTE && i < c->compute.count; i++) {
        found = compute_fault(c->compute.at[i]);
        if (!found && i < c->schedule.count)
            found = schedule_fault(c->compute.at[i], &c->schedule.at[i]);
    }
    bool bound = pass >= pass_find("bind");
    for (int i = 0; !found && bound && i < c->program->kernel.count; i++)
        found = kernel_fault(c->program->kernel.at[i]);
    if (!found && pass >= pass_find("plan"))
        found = program_fault(c->program);
    return found;
}

bool pipeline_run(Model *model, Diagnostics *diag, const PipelineOptions *options, Program **program)
{
    Compilation c = {.arena = model->arena, .diag = diag, .model = model, .target = options->target};
    c.reference = options->reference;
    c.verify = options->verify;
    c.winograd = options->winograd;
    c.chains = options->chains;
    c.tune = options->tune;
    c.kernels = options->kernels;
    *program = NULL;
    double total = 0;
    for (int i = 0; i < pass_count; i++) {
        const PassInfo *pass = &pass_list[i];
        double start = clock_seconds();
        if (!pass->run(&c))
            return false;
        double took = clock_seconds() - start;
        total += took;
        if (options->time)
            fprintf(options->dump_to, "%-12s %9.3f ms\n", pass->name, 1e3 * took);
        if (options->dump && (strchr(options->dump, pass->letter) || strchr(options->dump, '*')))
            dump(&c, pass, options->dump_to);
        const char *broken = options->verify ? fault(&c, pass) : NULL;
        if (broken) {
            diag_report(diag, DIAG_ERROR, (Span){0}, "internal: after pass %s: %s", pass->name, broken);
            return false;
        }
        if (options->stop_after && !strcmp(options->stop_after, pass->name))
            break;
    }
    if (options->time)
        fprintf(options->dump_to, "%-12s %9.3f ms\n%d forms of %d kernels\n", "passes", 1e3 * total,
                form_count(&c), c.compute.count);
    *program = c.program;
    return true;
}
