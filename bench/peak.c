/* The FMA peak of this machine, in f32 GFLOP/s, and what its memory gives, in GB/s: what no kernel can exceed, measured in
   the same run as the kernels. usage: peak THREADS
   prints "one G all G", the peak of one core and of THREADS together, and likewise the bandwidth of each row of `stream`.
   build: cc -O3 -march=native -ffp-contract=fast -pthread */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
enum {
    LANES = 16,
    CHAINS = 24
}; /* independent FMAs in flight: more than latency times ports, fewer than registers */
#else
enum { LANES = 8, CHAINS = 12 };
#endif
typedef float Vector __attribute__((vector_size(LANES * sizeof(float)), may_alias));

enum { ROUNDS = 10000000, TRIES = 5, MOST_THREADS = 256 };
/* Of f32, 128 MiB: caches that many cores share were seen to hold half of that. */
enum { STREAM_ELEMENTS = 1 << 25, STREAM_TRIES = 4, HUGE_PAGE = 1 << 21 };

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

/* Stores that pass by the caches need not read what they overwrite. */
static void store_past_caches(float *to, const Vector *from)
{
#if defined __AVX512F__
    _mm512_stream_ps(to, (__m512)*from);
#elif defined __AVX__
    _mm256_stream_ps(to, (__m256)*from);
#else
    *(Vector *)to = *from;
#endif
}

static void update(float *z, const float *x, const float *y)
{
    (void)y;
    for (int i = 0; i < STREAM_ELEMENTS; i++)
        z[i] = x[i] * 1.5f + z[i];
}

static void copy(float *z, const float *x, const float *y)
{
    (void)y;
    for (int i = 0; i < STREAM_ELEMENTS; i++)
        z[i] = x[i] * 1.5f;
}

static void copy_past_caches(float *z, const float *x, const float *y)
{
    (void)y;
    for (int i = 0; i < STREAM_ELEMENTS; i += LANES) {
        Vector scaled = *(const Vector *)(x + i) * 1.5f;
        store_past_caches(z + i, &scaled);
    }
}

static void add(float *z, const float *x, const float *y)
{
    for (int i = 0; i < STREAM_ELEMENTS; i++)
        z[i] = x[i] * 1.5f + y[i];
}

static void add_past_caches(float *z, const float *x, const float *y)
{
    for (int i = 0; i < STREAM_ELEMENTS; i += LANES) {
        Vector sum = *(const Vector *)(x + i) * 1.5f + *(const Vector *)(y + i);
        store_past_caches(z + i, &sum);
    }
}

/* What is read and written, in arrays: the better of two loops counts. */
static const struct Stream {
    const char *name;
    int reads, writes;
    void (*loop[2])(float *z, const float *x, const float *y);
} stream[] = {
    {"stream", 2, 1, {update, update}},
    {"copy", 1, 1, {copy, copy_past_caches}},
    {"add", 2, 1, {add, add_past_caches}},
};
enum { STREAMS = sizeof stream / sizeof *stream };
static const struct Stream *measured_stream;

/* On large pages, as the tensors of netc's programs. */
static float *new_array(void)
{
    float *array = aligned_alloc(HUGE_PAGE, STREAM_ELEMENTS * sizeof *array);
    if (!array) {
        fputs("peak: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    madvise(array, STREAM_ELEMENTS * sizeof *array, MADV_HUGEPAGE);
    for (int i = 0; i < STREAM_ELEMENTS; i++)
        array[i] = (float)i;
    return array;
}

static void *measure_stream(void *argument)
{
    Measure *measured = argument;
    const struct Stream *s = measured_stream;
    float *x = new_array(), *y = new_array(), *z = new_array();
    measured->rate = 0;
    for (int try = 0; try < 2 * STREAM_TRIES; try++) {
        double start = seconds();
        s->loop[try % 2](z, x, y);
        double bytes = (double)(s->reads + s->writes) * sizeof *x * STREAM_ELEMENTS;
        double rate = bytes / (seconds() - start) * 1e-9;
        measured->rate = rate > measured->rate ? rate : measured->rate;
        measured->result = z[try];
    }
    free(x);
    free(y);
    free(z);
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
    printf("one %.1f all %.1f", one, all);
    for (int i = 0; i < STREAMS; i++) {
        measured_stream = &stream[i];
        one = best_of(measure_stream, 1, 1);
        all = best_of(measure_stream, threads, 1);
        printf(" %s_one %.1f %s_all %.1f", stream[i].name, one, stream[i].name, all);
    }
    putchar('\n');
    return 0;
}
