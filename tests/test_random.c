#include "random.h"

#include <check.h>
#include <stdlib.h>

/* Known answers of the authors' library, Random123 (kat_vectors). */
START_TEST(philox_gives_the_known_answers)
{
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t out[4];
    random_philox(known[_i].counter, known[_i].key, out);
    ck_assert_mem_eq(out, known[_i].out, sizeof out);
}
END_TEST

static const int64_t counts[] = {1, 2, 3, 5, 16, 17, 99, 1000, 4097, 60000};
enum { COUNTS = sizeof counts / sizeof *counts };

START_TEST(order_is_a_permutation)
{
    int64_t count = counts[_i];
    char *seen = calloc((size_t)count, 1);
    for (uint64_t seed = 0; seed < 5; seed++) {
        SampleOrder order = sample_order(seed << 31 | seed, 3, count);
        for (int64_t place = 0; place < count; place++) {
            int64_t sample = sample_at(&order, place);
            ck_assert(sample >= 0 && sample < count);
            ck_assert_msg(seen[sample] == (char)seed, "count %d: sample %d stands twice", (int)count,
                          (int)sample);
            seen[sample]++;
        }
    }
    free(seen);
}
END_TEST

START_TEST(order_depends_on_seed_and_epoch)
{
    enum { COUNT = 1000 };
    SampleOrder a = sample_order(1, 0, COUNT), epoch = sample_order(1, 1, COUNT),
                seed = sample_order(2, 0, COUNT), high = sample_order(1 | UINT64_C(1) << 32, 0, COUNT);
    int same_epoch = 0, same_seed = 0, same_high = 0, fixed = 0;
    for (int64_t i = 0; i < COUNT; i++) {
        int64_t sample = sample_at(&a, i);
        same_epoch += sample == sample_at(&epoch, i);
        same_seed += sample == sample_at(&seed, i);
        same_high += sample == sample_at(&high, i);
        fixed += sample == i;
    }
    /* One in all is expected; ten have a probability of 1e-7. */
    ck_assert_int_lt(same_epoch, 10);
    ck_assert_int_lt(same_seed, 10);
    ck_assert_int_lt(same_high, 10);
    ck_assert_int_lt(fixed, 10);
}
END_TEST

/* Over many seeds each sample comes to each place equally often: chi-squared over 12 x 12 cells. */
START_TEST(order_is_uniform)
{
    enum { COUNT = 12, SEEDS = 12000 };
    int cell[COUNT][COUNT] = {{0}};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        SampleOrder order = sample_order(seed, 0, COUNT);
        for (int place = 0; place < COUNT; place++)
            cell[place][sample_at(&order, place)]++;
    }
    double chi_squared = 0, expected = (double)SEEDS / COUNT;
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++)
            chi_squared += (cell[i][j] - expected) * (cell[i][j] - expected) / expected;
    ck_assert_msg(chi_squared < 200, "chi-squared %.1f with 121 degrees of freedom", chi_squared);
}
END_TEST

START_TEST(large_orders_reach_far)
{
    int64_t count = INT64_C(1) << 40;
    SampleOrder order = sample_order(7, 0, count);
    int64_t most = 0;
    for (int64_t i = 0; i < 1000; i++) {
        int64_t sample = sample_at(&order, i * 1000003);
        ck_assert(sample >= 0 && sample < count);
        most = sample > most ? sample : most;
    }
    ck_assert(most > count / 10 * 9);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("random");
    TCase *cases = tcase_create("random");
    tcase_add_loop_test(cases, philox_gives_the_known_answers, 0, 3);
    tcase_add_loop_test(cases, order_is_a_permutation, 0, COUNTS);
    tcase_add_test(cases, order_depends_on_seed_and_epoch);
    tcase_add_test(cases, order_is_uniform);
    tcase_add_test(cases, large_orders_reach_far);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
