#include "pool.h"

#include <check.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static const int thread_counts[] = {1, 2, 3, 7, 16};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts, MOST_ITEMS = 5000 };

static Pool *start(int threads)
{
    Fault fault = {0};
    Pool *pool = pool_start(threads, &fault);
    ck_assert_msg(pool != NULL, "%s", fault.text);
    return pool;
}

static void count_items(void *context, int64_t begin, int64_t end)
{
    int *done = context; /* items are disjoint: no atomics, so that the thread sanitizer sees a shared one */
    for (int64_t i = begin; i < end; i++)
        done[i]++;
}

START_TEST(every_item_is_done_once)
{
    static int done[MOST_ITEMS];
    Pool *pool = start(thread_counts[_i]);
    for (int items = 0; items < MOST_ITEMS; items += 1 + items / 5) {
        memset(done, 0, sizeof done);
        pool_run(pool, count_items, done, items);
        for (int i = 0; i < MOST_ITEMS; i++)
            ck_assert_msg(done[i] == (i < items), "%d items, item %d done %d times", items, i, done[i]);
    }
    pool_stop(pool);
}
END_TEST

typedef struct Chain {
    int64_t value[64];
} Chain;

static void add_neighbour(void *context, int64_t begin, int64_t end)
{
    Chain *chain = context; /* pairs: each item owns two values */
    for (int64_t i = begin; i < end; i++)
        chain->value[2 * i] = (chain->value[2 * i] + chain->value[2 * i + 1]) % 1000003;
}

/* A job reads what the job before it wrote, whoever wrote it. */
START_TEST(jobs_see_each_other)
{
    Chain expected = {{0}}, chain = {{0}};
    Pool *pool = start(thread_counts[_i]);
    for (int i = 0; i < 64; i++)
        expected.value[i] = chain.value[i] = i;
    for (int round = 0; round < 3000; round++) {
        pool_run(pool, add_neighbour, &chain, 32);
        add_neighbour(&expected, 0, 32);
    }
    ck_assert_mem_eq(&chain, &expected, sizeof chain);
    pool_stop(pool);
}
END_TEST

static void sleep_a_little(void *context, int64_t begin, int64_t end)
{
    (void)context;
    for (int64_t i = begin; i < end; i++)
        nanosleep(&(struct timespec){0, 200000}, NULL);
}

/* Longer than the threads spin, in turns with the caller: each way of waiting is used. */
START_TEST(sleeping_threads_wake)
{
    static int done[100];
    Pool *pool = start(thread_counts[_i]);
    for (int round = 0; round < 20; round++) {
        nanosleep(&(struct timespec){0, 500000}, NULL);
        memset(done, 0, sizeof done);
        pool_run(pool, count_items, done, 100);
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(done[i], 1);
        pool_run(pool, sleep_a_little, NULL, 5);
    }
    pool_stop(pool);
}
END_TEST

START_TEST(pools_start_and_stop_at_once)
{
    for (int round = 0; round < 50; round++) {
        Pool *pool = start(3);
        ck_assert_int_eq(pool_threads(pool), 3);
        pool_stop(pool);
    }
    pool_stop(NULL);
}
END_TEST

static atomic_int threads_seen;
static _Thread_local int seen_here;

static void meet(void *context, int64_t begin, int64_t end)
{
    (void)begin, (void)end;
    const int *wanted = context;
    if (!seen_here) {
        seen_here = 1;
        atomic_fetch_add(&threads_seen, 1);
    }
    for (int i = 0; i < 100000 && atomic_load(&threads_seen) < *wanted; i++)
        nanosleep(&(struct timespec){0, 10000}, NULL);
}

/* An item that waits for a second thread ends only if there is one at work. */
START_TEST(several_threads_work)
{
    int wanted = 2;
    Pool *pool = start(2);
    pool_run(pool, meet, &wanted, 2);
    ck_assert_int_eq(atomic_load(&threads_seen), wanted);
    pool_stop(pool);
}
END_TEST

START_TEST(cpus_are_counted)
{
    ck_assert_int_ge(pool_online_cpus(), 1);
    ck_assert_int_le(pool_online_cpus(), POOL_MOST_THREADS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *cases = tcase_create("pool");
    tcase_add_loop_test(cases, every_item_is_done_once, 0, THREAD_COUNTS);
    tcase_add_loop_test(cases, jobs_see_each_other, 0, THREAD_COUNTS);
    tcase_add_loop_test(cases, sleeping_threads_wake, 0, THREAD_COUNTS);
    tcase_add_test(cases, pools_start_and_stop_at_once);
    tcase_add_test(cases, several_threads_work);
    tcase_add_test(cases, cpus_are_counted);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
