#include "system.h"

#include "checked.h"
#include "said.h"
#include "text_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct ProgramSums {
    int64_t parameters, parameter_bytes, arena_bytes;
    double predict_flops, step_flops; /* of a batch */
} ProgramSums;

static double phase_flops(const Description *d, RunPhase phase)
{
    double flops = 0;
    for (int i = d->phase[phase].first; i < d->phase[phase].first + d->phase[phase].count; i++)
        flops += (double)d->call[i].steps * d->kernel[d->call[i].kernel].flops;
    return flops;
}

static ProgramSums sum_program(const Description *d)
{
    ProgramSums sums = {.predict_flops = phase_flops(d, RUN_PREDICT), .step_flops = phase_flops(d, RUN_STEP)};
    for (int i = 0; i < d->buffers; i++) {
        int64_t elements = 0, bytes = 0;
        buffer_elements(&d->buffer[i], d->batch, &elements);
        buffer_bytes(&d->buffer[i], d->batch, &bytes);
        if (d->buffer[i].role == ROLE_PARAM) {
            sums.parameters += elements;
            sums.parameter_bytes += bytes;
        }
        if (d->buffer[i].offset + bytes > sums.arena_bytes)
            sums.arena_bytes = d->buffer[i].offset + bytes;
    }
    return sums;
}

/* {"name":"image","type":"u8","shape":["batch",1,28,28]} */
static void print_tensor_json(FILE *out, const DescribedBuffer *b, const char *name)
{
    char text[1000];
    TextOut line = {text, sizeof text, 0};
    text_out(&line, "{\"name\":");
    text_out_quoted(&line, name);
    text_out(&line, ",\"type\":\"%s\",\"shape\":[", element_row[b->element].name);
    for (int i = 0; i < b->rank; i++) {
        text_out(&line, i ? "," : "");
        if (b->dim[i].power == 0)
            text_out(&line, "%" PRId64, b->dim[i].count);
        else if (b->dim[i].count == 1 && b->dim[i].power == 1)
            text_out(&line, "\"batch\"");
        else
            text_out(&line, "\"%" PRId64 "*batch^%d\"", b->dim[i].count, b->dim[i].power);
    }
    text_out(&line, "]}");
    fwrite(text, 1, line.length < sizeof text ? line.length : sizeof text, out);
}

/* A line that begins with the label, or, after `label` as a comma, an element of a JSON list. */
static void print_described(FILE *out, const Description *d, const char *label, const char *name, int buffer,
                            bool json)
{
    fputs(label, out);
    if (json) {
        print_tensor_json(out, &d->buffer[buffer], name);
        return;
    }
    fprintf(out, "%*s %s ", 10 - (int)strlen(label), "", name);
    buffer_print_type(out, &d->buffer[buffer]);
    fputc('\n', out);
}

static void print_inputs(FILE *out, const Description *d, bool json)
{
    const char *label = json ? "" : "input";
    for (int i = 0; i < d->buffers; i++)
        if (d->buffer[i].role == ROLE_INPUT && phase_touches(d, RUN_PREDICT, i)) {
            print_described(out, d, label, d->buffer[i].name, i, json);
            label = json ? "," : label;
        }
}

static void print_results(FILE *out, const Description *d, RunPhase phase, const char *label, bool json)
{
    for (int i = 0; i < d->phase[phase].results; i++) {
        const DescribedResult *result = &d->phase[phase].result[i];
        print_described(out, d, json ? i ? "," : "" : label, result->name, result->buffer, json);
    }
}

static void print_parameters(FILE *out, const Description *d, bool json)
{
    const char *label = json ? "" : "parameter";
    for (int i = 0; i < d->buffers; i++)
        if (d->buffer[i].role == ROLE_PARAM) {
            print_described(out, d, label, d->buffer[i].name, i, json);
            label = json ? "," : label;
        }
}

static void print_info_json(FILE *out, const Description *d, const ProgramSums *sums)
{
    fprintf(out,
            "{\"model\":\"%s\",\"graph_hash\":\"%s\",\"version\":\"%s\",\"cpu\":\"%s\",\"batch\":%" PRId64
            ",\"parameters\":%" PRId64 ",\"parameter_bytes\":%" PRId64 ",\"arena_bytes\":%" PRId64
            ",\"kernels\":%d,\"calls\":%d,\"predict_flops\":%.17g,\"step_flops\":%.17g,\"inputs\":[",
            d->model, d->hash, d->version, d->cpu, d->batch, sums->parameters, sums->parameter_bytes,
            sums->arena_bytes, d->kernels, d->calls, sums->predict_flops, sums->step_flops);
    print_inputs(out, d, true);
    fprintf(out, "],\"outputs\":[");
    print_results(out, d, RUN_PREDICT, "", true);
    fprintf(out, "],\"metrics\":[");
    print_results(out, d, RUN_FINISH, "", true);
    fprintf(out, "],\"tensors\":[");
    print_parameters(out, d, true);
    fprintf(out, "]}\n");
}

static void print_info_text(FILE *out, const Description *d, const ProgramSums *sums)
{
    fprintf(out, "%-10s %s, graph %s\n", "model", d->model, d->hash);
    fprintf(out, "%-10s netc %s for %s (%s)\n", "compiled", d->version, d->cpu, *d->needs ? d->needs : "any");
    if (d->training)
        fprintf(out, "%-10s %" PRId64 " epochs, seed %" PRIu64 "\n", "training", d->epochs, d->seed);
    for (int i = 0; i < d->sources; i++)
        fprintf(out, "%-10s %s: %s\n", "data", d->source[i].split, d->source[i].source);
    print_inputs(out, d, false);
    print_results(out, d, RUN_PREDICT, "output", false);
    print_results(out, d, RUN_FINISH, "result", false);
    print_parameters(out, d, false);
    fprintf(out, "%-10s %" PRId64 " parameters, %" PRId64 " bytes\n", "in all", sums->parameters,
            sums->parameter_bytes);
    fprintf(out, "%-10s %" PRId64 " bytes at batch %" PRId64 "\n", "memory", sums->arena_bytes, d->batch);
    fprintf(out, "%-10s %d kernels, %d calls; predict %.6g FLOP a sample, step %.6g\n", "code", d->kernels,
            d->calls, sums->predict_flops / (double)d->batch, sums->step_flops / (double)d->batch);
}

void info_print(FILE *out, const Description *d, bool json)
{
    ProgramSums sums = sum_program(d);
    if (json)
        print_info_json(out, d, &sums);
    else
        print_info_text(out, d, &sums);
}
