/* The FMA peak of this machine, in f32 GFLOP/s, and what its memory gives, in GB/s: what no kernel can exceed, measured in
   the same run as the kernels. usage: peak THREADS
   prints "one G all G stream_one B stream_all B": of one core, and of THREADS together.
   build: cc -O3 -march=native -ffp-contract=fast -pthread */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __AVX512F__
enum {
    LANES = 16,
    CHAINS = 24
}; /* independent FMAs in flight: more than latency times ports, fewer than registers */
#else
enum { LANES = 8, CHAINS = 12 };
#endif
typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));

enum { ROUNDS = 10000000, TRIES = 5, MOST_THREADS = 256 };
enum { STREAM_ELEMENTS = 1 << 24, STREAM_TRIES = 8 }; /* of f32: far more than the caches hold */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

typedef struct Measure {
    double rate;  /* GFLOP/s or GB/s */
    float result; /* keeps the compiler from leaving the work out */
} Measure;

static void *measure(void *argument)
{
    Measure *measured = argument;
    Vector chain[CHAINS], factor = (Vector){0} + 0.999f, term = (Vector){0} + 1e-3f, sum = {0};
    for (int i = 0; i < CHAINS; i++)
        chain[i] = (Vector){0} + 0.1f * (float)i;
    double start = seconds();
    for (int round = 0; round < ROUNDS; round++)
#pragma GCC unroll 24
        for (int i = 0; i < CHAINS; i++)
            chain[i] = chain[i] * factor + term;
    double time = seconds() - start;
    for (int i = 0; i < CHAINS; i++)
        sum += chain[i];
    measured->result = sum[0];
    measured->rate = 2.0 * LANES * CHAINS * ROUNDS / time * 1e-9;
    return NULL;
}

/* y = x * 1.5 + y reads two arrays and writes one. */
static void *measure_stream(void *argument)
{
    Measure *measured = argument;
    float *x = malloc(STREAM_ELEMENTS * sizeof *x), *y = malloc(STREAM_ELEMENTS * sizeof *y);
    if (!x || !y) {
        fputs("peak: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    for (int i = 0; i < STREAM_ELEMENTS; i++)
        x[i] = y[i] = (float)i;
    measured->rate = 0;
    for (int try = 0; try < STREAM_TRIES; try++) {
        double start = seconds();
        for (int i = 0; i < STREAM_ELEMENTS; i++)
            y[i] = x[i] * 1.5f + y[i];
        double rate = 3.0 * sizeof *x * STREAM_ELEMENTS / (seconds() - start) * 1e-9;
        measured->rate = rate > measured->rate ? rate : measured->rate;
        measured->result = y[try];
    }
    free(x);
    free(y);
    return NULL;
}

/* The best of some tries of `threads` together. */
static double best_of(void *(*work)(void *), int threads, int tries)
{
    double best = 0;
    for (int i = 0; i < tries; i++) {
        pthread_t thread[MOST_THREADS];
        Measure measured[MOST_THREADS];
        double sum = 0;
        for (int t = 0; t < threads; t++)
            if (pthread_create(&thread[t], NULL, work, &measured[t])) {
                fputs("peak: cannot start a thread\n", stderr);
                exit(EXIT_FAILURE);
            }
        for (int t = 0; t < threads; t++) {
            pthread_join(thread[t], NULL);
            sum += measured[t].rate;
        }
        best = sum > best ? sum : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int threads = argc == 2 ? atoi(argv[1]) : 0;
    if (threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: peak THREADS (1 to %d)\n", MOST_THREADS);
        return 2;
    }
    double one = best_of(measure, 1, TRIES), all = best_of(measure, threads, TRIES);
    double stream_one = best_of(measure_stream, 1, 1), stream_all = best_of(measure_stream, threads, 1);
    printf("one %.1f all %.1f stream_one %.1f stream_all %.1f\n", one, all, stream_one, stream_all);
    return 0;
}
