#include "system.h"

#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__) && !defined(NETC_NO_FUTEX)
#include <linux/futex.h>
#include <sys/syscall.h>
#define POOL_FUTEX 1
#else
#define POOL_FUTEX 0
#endif

/* All agreement is in one word: the job's number, whether it still takes threads in, whether the caller
   sleeps until they are out, and how many are inside. A job's fields are written only while nobody is inside,
   so a thread that got in (by changing the word) reads them safely, and the caller never waits for a thread
   that did not. */
enum {
    POOL_INSIDE = 0x7ff, /* mask: threads inside, without the caller */
    POOL_SLEEPS = 0x800, /* the caller sleeps until nobody is inside */
    POOL_OPEN = 0x1000,
    POOL_JOB = 0x2000, /* one job further */
    POOL_CPU_SETS = 8, /* as many CPUs as these tell of */
    POOL_STOP = 0,     /* a word without a job's number */
    POOL_CHUNKS = 4,   /* a thread's share of a job, in chunks */
    POOL_SPINS = 1500,
    POOL_LINE = 64
};

/* A thread's share of the chunks: the job's number above, the next chunk below. The owner takes from it
   first; who has nothing left helps out. A share is on a cache line of its own. */
typedef struct PoolShare {
    _Alignas(POOL_LINE) _Atomic uint64_t next;
} PoolShare;

typedef struct PoolThread {
    Pool *pool;
    pthread_t thread;
    int share;
} PoolThread;

struct Pool {
    _Alignas(POOL_LINE) atomic_uint word;
    _Alignas(POOL_LINE) atomic_int asleep; /* threads that wait for a job in their sleep */
    _Alignas(POOL_LINE) uint64_t job;      /* its number, from 1; the rest is the job too */
    PoolWork *work;
    void *context;
    int64_t items, chunk; /* a chunk's items */
    int chunks;           /* of a share */

    int threads, spins;
    PoolThread *thread;
    PoolShare *share;
#if !POOL_FUTEX
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif
};

static void pool_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* `yield` takes no time where a core has one thread */
#endif
}

/* Sleeps while the word is `seen`; may wake for no reason. */
static void word_wait(Pool *pool, unsigned seen)
{
#if POOL_FUTEX
    syscall(SYS_futex, &pool->word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->word) == seen)
        pthread_cond_wait(&pool->changed, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
#endif
}

static void word_wake(Pool *pool)
{
#if POOL_FUTEX
    syscall(SYS_futex, &pool->word, FUTEX_WAKE_PRIVATE, POOL_MOST_THREADS, NULL, NULL, 0);
#else
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
#endif
}

static bool take_chunk(const Pool *pool, PoolShare *share, int *chunk)
{
    uint64_t tag = pool->job << 32, next = atomic_load_explicit(&share->next, memory_order_relaxed);
    do {
        bool of_this_job = next >> 32 == tag >> 32;
        *chunk = of_this_job ? (int)(next & UINT32_MAX) : 0;
        if (*chunk == pool->chunks)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&share->next, &next, tag | (uint64_t)(*chunk + 1),
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static void do_chunks(Pool *pool, int own)
{
    for (int i = 0; i < pool->threads; i++) {
        int share = (own + i) % pool->threads, chunk;
        while (take_chunk(pool, &pool->share[share], &chunk)) {
            int64_t begin = ((int64_t)share * pool->chunks + chunk) * pool->chunk, end = begin + pool->chunk;
            end = end < pool->items ? end : pool->items;
            if (begin < end)
                pool->work(pool->context, begin, end);
        }
    }
}

static bool job_enter(Pool *pool, unsigned word)
{
    while (word & POOL_OPEN)
        if (atomic_compare_exchange_weak_explicit(&pool->word, &word, word + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void job_leave(Pool *pool)
{
    unsigned before = atomic_fetch_sub_explicit(&pool->word, 1, memory_order_release);
    if ((before & POOL_SLEEPS) && (before & POOL_INSIDE) == 1)
        word_wake(pool);
}

/* The next word that brings a job or the end. `done` is a word of the last job. */
static unsigned await_job(Pool *pool, unsigned done)
{
    for (int i = 0;; i++) {
        unsigned word = atomic_load_explicit(&pool->word, memory_order_acquire);
        if (word == POOL_STOP || ((word & POOL_OPEN) && word / POOL_JOB != done / POOL_JOB))
            return word;
        if (i < pool->spins) {
            pool_pause();
            continue;
        }
        atomic_fetch_add(&pool->asleep, 1);
        word = atomic_load(&pool->word);
        if (word != POOL_STOP && (!(word & POOL_OPEN) || word / POOL_JOB == done / POOL_JOB))
            word_wait(pool, word);
        atomic_fetch_sub(&pool->asleep, 1);
    }
}

static void *pool_thread(void *argument)
{
    PoolThread *self = argument;
    Pool *pool = self->pool;
    unsigned word = 0;
    while ((word = await_job(pool, word)) != POOL_STOP)
        if (job_enter(pool, word)) {
            do_chunks(pool, self->share);
            job_leave(pool);
        }
    return NULL;
}

/* Lets nobody in any more, and waits until all are out. */
static void job_close(Pool *pool)
{
    unsigned word = atomic_fetch_and_explicit(&pool->word, ~(unsigned)POOL_OPEN, memory_order_acquire);
    for (int i = 0; i < pool->spins && (word & POOL_INSIDE); i++) {
        pool_pause();
        word = atomic_load_explicit(&pool->word, memory_order_acquire);
    }
    if (!(word & POOL_INSIDE))
        return;
    word = atomic_fetch_or_explicit(&pool->word, POOL_SLEEPS, memory_order_acquire) | POOL_SLEEPS;
    for (; word & POOL_INSIDE; word = atomic_load_explicit(&pool->word, memory_order_acquire))
        word_wait(pool, word);
}

void pool_run(Pool *pool, PoolWork *work, void *context, int64_t items)
{
    if (pool->threads == 1 || items < 2) {
        if (items > 0)
            work(context, 0, items);
        return;
    }
    int64_t threads = pool->threads, each = (items + threads - 1) / threads;
    pool->job++;
    pool->work = work;
    pool->context = context;
    pool->items = items;
    pool->chunk = (each + POOL_CHUNKS - 1) / POOL_CHUNKS;
    pool->chunks = (int)((each + pool->chunk - 1) / pool->chunk);

    unsigned word = atomic_load_explicit(&pool->word, memory_order_relaxed);
    word = (word / POOL_JOB + 1) * POOL_JOB;
    atomic_store(&pool->word, (word ? word : POOL_JOB) | POOL_OPEN);
    if (atomic_load(&pool->asleep))
        word_wake(pool);
    do_chunks(pool, 0);
    job_close(pool);
}

int pool_threads(const Pool *pool) { return pool->threads; }

int pool_online_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set[POOL_CPU_SETS];
    int online = 0;
    memset(set, 0, sizeof set);
    sched_getaffinity(0, sizeof set, set);
    for (int i = 0; i < POOL_CPU_SETS * CPU_SETSIZE; i++)
        online += CPU_ISSET_S(i, sizeof set, set) != 0;
#else
    long online = sysconf(_SC_NPROCESSORS_ONLN);
#endif
    if (online < 1)
        return 1;
    return online < POOL_MOST_THREADS ? (int)online : POOL_MOST_THREADS;
}

/* Signals stay with the caller's thread. */
static int start_threads(Pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = 0, started = 1;
    for (; started < pool->threads && !error; started += !error) {
        pool->thread[started] = (PoolThread){.pool = pool, .share = started};
        error = pthread_create(&pool->thread[started].thread, NULL, pool_thread, &pool->thread[started]);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

Pool *pool_start(int threads, Fault *fault)
{
    Pool *pool = aligned_alloc(POOL_LINE, sizeof *pool);
    if (!pool)
        goto short_of_memory;
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->thread = calloc((size_t)threads, sizeof *pool->thread);
    pool->share = aligned_alloc(POOL_LINE, (size_t)threads * sizeof *pool->share);
    if (!pool->thread || !pool->share)
        goto short_of_memory;
    memset(pool->share, 0, (size_t)threads * sizeof *pool->share);
    pool->spins = threads <= pool_online_cpus() ? POOL_SPINS : 0;
    atomic_init(&pool->word, POOL_JOB);
#if !POOL_FUTEX
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
#endif

    int started = start_threads(pool);
    if (started < threads) {
        pool->threads = started; /* those that pool_stop has to join */
        pool_stop(pool);
        fault_set(fault, STATUS_INPUT, "cannot start %d threads: the system allows %d", threads, started);
        return NULL;
    }
    return pool;

short_of_memory:
    fault_memory(fault, (int64_t)threads * (POOL_LINE + (int64_t)sizeof(PoolThread)), "threads");
    if (pool) {
        free(pool->thread);
        free(pool->share);
    }
    free(pool);
    return NULL;
}

void pool_stop(Pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->word, POOL_STOP);
    word_wake(pool);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->thread[i].thread, NULL);
#if !POOL_FUTEX
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->mutex);
#endif
    free(pool->thread);
    free(pool->share);
    free(pool);
}
