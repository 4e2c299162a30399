#include "system.h"

#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BENCH_WARM_UP = 3, BENCH_LEAST = 10, BENCH_MOST = 1000, BENCH_LAYER_ROUNDS = 20 };
static const double bench_seconds = 2, bench_most_seconds = 10;

typedef struct Bench {
    const Session *session;
    Machine machine;
    RunPhase phase;
    int64_t batch, slice; /* slice: samples of one call */
    int count;
    double *seconds; /* of each iteration, ascending after the run */
} Bench;

static void set_step(Bench *bench, int64_t step)
{
    machine_set_scalar(&bench->machine, "step", 0, (double)step);
    machine_set_scalar(&bench->machine, "epoch", 0, 0);
    machine_set_scalar(&bench->machine, "progress", 0, 0);
}

static int compare_seconds(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static bool measure(Bench *bench, Fault *fault)
{
    int64_t wanted = bench->session->line->iterations, most = wanted ? wanted : BENCH_MOST;
    if (most > INT32_MAX)
        return fault_set(fault, STATUS_USAGE, "--iters: too many");
    bench->seconds = malloc((size_t)most * sizeof *bench->seconds);
    if (!bench->seconds)
        return fault_memory(fault, most * (int64_t)sizeof *bench->seconds, "the times");
    double began = seconds_now(), now = began;
    int warm_up = 0;
    while (warm_up < BENCH_WARM_UP && now - began < bench_seconds) {
        set_step(bench, ++warm_up);
        machine_run(&bench->machine, bench->phase, bench->batch);
        now = seconds_now();
    }
    began = now = seconds_now();
    while (bench->count < most &&
           (wanted || now - began < (bench->count < BENCH_LEAST ? bench_most_seconds : bench_seconds))) {
        double before = now;
        set_step(bench, warm_up + bench->count + 1);
        machine_run(&bench->machine, bench->phase, bench->batch);
        now = seconds_now();
        bench->seconds[bench->count++] = now - before;
    }
    qsort(bench->seconds, (size_t)bench->count, sizeof *bench->seconds, compare_seconds);
    return true;
}

/* Milliseconds below which a share of the iterations lies. */
static double percentile(const Bench *bench, int percent)
{
    return 1e3 * bench->seconds[(int64_t)(bench->count - 1) * percent / 100];
}

static double flops_of(const Bench *bench, int call)
{
    const Description *d = bench->session->description;
    return (double)d->call[call].steps * d->kernel[d->call[call].kernel].flops *
           call_share(d, call, bench->slice);
}

static double bytes_of(const Bench *bench, int call)
{
    const Description *d = bench->session->description;
    return (double)d->call[call].steps * d->kernel[d->call[call].kernel].bytes *
           call_share(d, call, bench->slice);
}

/* The best of some rounds for each call, for a slice, in seconds, times the steps that it is made for; calls run in order,
   so that each finds its inputs. */
static void measure_layers(Bench *bench, double *best)
{
    const DescribedPhase *p = &bench->session->description->phase[bench->phase];
    for (int round = 0; round < BENCH_LAYER_ROUNDS; round++)
        for (int i = 0; i < p->count; i++) {
            double before = seconds_now();
            machine_run_call(&bench->machine, p->first + i, bench->slice);
            double seconds =
                (seconds_now() - before) * (double)bench->session->description->call[p->first + i].steps;
            if (round == 0 || seconds < best[i])
                best[i] = seconds;
        }
}

static void print_layers_json(const Bench *bench, const double *best)
{
    const Description *d = bench->session->description;
    const DescribedPhase *p = &d->phase[bench->phase];
    printf(",\"layers\":[");
    for (int i = 0; i < p->count; i++) {
        int call = p->first + i;
        printf("%s{\"name\":\"%s\",\"kernel\":\"%s\",\"ms\":%.6g,\"gflops\":%.4g,\"bytes\":%.0f}",
               i ? "," : "", d->call[call].name, d->kernel[d->call[call].kernel].name, 1e3 * best[i],
               1e-9 * flops_of(bench, call) / best[i], bytes_of(bench, call));
    }
    fputc(']', stdout);
}

static void print_layers(const Bench *bench, const double *best)
{
    const Description *d = bench->session->description;
    const DescribedPhase *p = &d->phase[bench->phase];
    double all = 0;
    for (int i = 0; i < p->count; i++)
        all += best[i];
    if (bench->slice < bench->batch)
        printf("\n%" PRId64 " samples at a time:", bench->slice);
    printf("\n%-32s %-24s %10s %6s %9s %12s %8s\n", "call", "kernel", "ms", "%", "GFLOP/s", "bytes", "GB/s");
    for (int i = 0; i < p->count; i++) {
        int call = p->first + i;
        printf("%-32s %-24s %10.4f %6.1f %9.2f %12.0f %8.2f\n", d->call[call].name,
               d->kernel[d->call[call].kernel].name, 1e3 * best[i], 100 * best[i] / all,
               1e-9 * flops_of(bench, call) / best[i], bytes_of(bench, call),
               1e-9 * bytes_of(bench, call) / best[i]);
    }
}

static bool report_bench(Bench *bench, Fault *fault)
{
    const CommandLine *line = bench->session->line;
    const DescribedPhase *p = &bench->session->description->phase[bench->phase];
    double flops = 0, p50 = percentile(bench, 50), p90 = percentile(bench, 90), p99 = percentile(bench, 99);
    for (int i = 0; i < p->count; i++)
        flops += flops_of(bench, p->first + i);
    flops *= (double)bench->batch / (double)bench->slice;
    double *best = calloc((size_t)p->count + 1, sizeof *best), gflops = 1e-6 * flops / p50;
    if (!best)
        return fault_memory(fault, p->count * (int64_t)sizeof *best, "the times");
    if (line->layers)
        measure_layers(bench, best);
    const char *mode = line->train ? "train" : "predict";
    int threads = pool_threads(bench->machine.pool);
    if (line->json) {
        printf("{\"mode\":\"%s\",\"batch\":%" PRId64
               ",\"threads\":%d,\"ms\":{\"p50\":%.6g,\"p90\":%.6g,\"p99\":%.6g},"
               "\"gflops\":%.4g,\"peak_bytes\":%" PRId64,
               mode, bench->batch, threads, p50, p90, p99, gflops, bench->machine.arena_bytes);
        if (line->layers)
            print_layers_json(bench, best);
        printf("}\n");
    } else {
        printf("%s, batch %" PRId64 ", %d threads, %d iterations\n", mode, bench->batch, threads,
               bench->count);
        printf("p50 %.4f ms  p90 %.4f ms  p99 %.4f ms  %.0f samples/s  %.2f GFLOP/s  %.1f MB\n", p50, p90,
               p99, 1e3 * (double)bench->batch / p50, gflops, 1e-6 * (double)bench->machine.arena_bytes);
        if (line->layers)
            print_layers(bench, best);
    }
    free(best);
    return true;
}

bool command_bench(const Session *session, Fault *fault)
{
    const Description *d = session->description;
    const CommandLine *line = session->line;
    Bench bench = {.session = session,
                   .phase = line->train ? RUN_STEP : RUN_PREDICT,
                   .batch = line->batch ? line->batch : d->batch};
    if (!d->phase[bench.phase].count)
        return fault_set(fault, STATUS_USAGE, "this program has no %s phase to measure",
                         run_phase_name[bench.phase]);
    unsigned phases = 1u << RUN_INIT | (line->train ? 1u << RUN_STEP : PHASES_PREDICT);
    if (!session_start(session, &bench.machine, phases, bench.batch, fault))
        return false;
    bench.slice = machine_slice(&bench.machine, bench.phase, bench.batch);
    session_set_scalars(session, &bench.machine, 1, line->option, 1);
    machine_run(&bench.machine, RUN_INIT, bench.batch);
    if (!line->train)
        machine_run(&bench.machine, RUN_PREPARE, 1);
    session_fill_inputs(&bench.machine, bench.batch);
    bool done = measure(&bench, fault) && report_bench(&bench, fault);
    free(bench.seconds);
    machine_stop(&bench.machine);
    return done;
}
