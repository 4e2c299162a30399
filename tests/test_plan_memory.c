#include "plan.h"

#include <check.h>
#include <stdlib.h>

static char text[200];

START_TEST(chain_needs_two_buffers)
{
    PlanBuffer b[] = {{"a", 100, 0, 1, 0}, {"b", 100, 1, 2, 0}, {"c", 100, 2, 3, 0}, {"d", 100, 3, 4, 0}};
    Plan plan = {b, 4, 0, 0, 0};
    ck_assert(plan_memory(&plan));
    ck_assert_ptr_null(plan_fault(&plan, text, sizeof text));
    ck_assert_int_eq(plan.arena_bytes, 2 * 128);
    ck_assert_int_eq(plan.arena_bytes, plan.bound_bytes);
}
END_TEST

START_TEST(bound_names_the_first_worst_kernel)
{
    PlanBuffer b[] = {{"a", 64, 0, 9, 0}, {"b", 128, 2, 3, 0}, {"c", 64, 3, 3, 0}, {"d", 192, 7, 8, 0}};
    Plan plan = {b, 4, 0, 0, 0};
    ck_assert(plan_memory(&plan));
    ck_assert_int_eq(plan.bound_bytes, 256);
    ck_assert_int_eq(plan.bound_kernel, 3);
}
END_TEST

START_TEST(nothing_needs_nothing)
{
    Plan plan = {NULL, 0, 7, 7, 7};
    ck_assert(plan_memory(&plan));
    ck_assert_int_eq(plan.arena_bytes, 0);
    ck_assert_int_eq(plan.bound_bytes, 0);
    ck_assert_ptr_null(plan_fault(&plan, text, sizeof text));
}
END_TEST

START_TEST(sum_out_of_range_is_refused)
{
    PlanBuffer b[] = {{"a", PLAN_MOST_BYTES / 2, 0, 1, 0}, {"b", PLAN_MOST_BYTES / 2 + 64, 2, 3, 0}};
    Plan plan = {b, 2, 0, 0, 0};
    ck_assert(!plan_memory(&plan));
    b[0].bytes = -1;
    ck_assert(!plan_memory(&plan));
}
END_TEST

START_TEST(verifier_sees_a_shared_byte)
{
    PlanBuffer b[] = {{"weights", 65, 0, 9, 0}, {"gradient", 64, 3, 4, 64}};
    Plan plan = {b, 2, 192, 0, 0};
    ck_assert_str_eq(plan_fault(&plan, text, sizeof text),
                     "'gradient' at 64+64 meets 'weights' at 0+65 in kernel 3");
    b[1].offset = 128;
    ck_assert_ptr_null(plan_fault(&plan, text, sizeof text));
}
END_TEST

START_TEST(verifier_sees_misplaced_buffers)
{
    PlanBuffer b[] = {{"a", 64, 0, 1, 32}};
    Plan plan = {b, 1, 128, 0, 0};
    ck_assert_str_eq(plan_fault(&plan, text, sizeof text),
                     "'a' at 32+64 is misaligned or outside the arena of 128");
    b[0].offset = 128;
    ck_assert_str_eq(plan_fault(&plan, text, sizeof text),
                     "'a' at 128+64 is misaligned or outside the arena of 128");
    b[0].offset = PLAN_UNPLACED;
    ck_assert_ptr_nonnull(plan_fault(&plan, text, sizeof text));
    b[0] = (PlanBuffer){"a", 64, 2, 1, 0};
    ck_assert_str_eq(plan_fault(&plan, text, sizeof text), "'a' dies in kernel 1, before its birth in 2");
}
END_TEST

/* The obvious check of all pairs, against which the sweep is tested. */
static bool pairs_meet(const Plan *plan)
{
    for (int i = 0; i < plan->count; i++)
        for (int j = 0; j < i; j++) {
            const PlanBuffer *a = &plan->buffer[i], *b = &plan->buffer[j];
            if (a->first <= b->last && b->first <= a->last && a->offset < b->offset + b->bytes &&
                b->offset < a->offset + a->bytes)
                return true;
        }
    return false;
}

enum { RANDOM_COUNT = 80 };

static Plan random_plan(unsigned seed, PlanBuffer *b)
{
    srand(seed);
    for (int i = 0; i < RANDOM_COUNT; i++) {
        int first = rand() % 100;
        b[i] = (PlanBuffer){"x", 1 + rand() % 100000, first, first + rand() % 10, PLAN_UNPLACED};
        if (i % 20 == 0)
            b[i] = (PlanBuffer){"whole", 1 + rand() % 100000, 0, 120, PLAN_UNPLACED};
    }
    return (Plan){b, RANDOM_COUNT, 0, 0, 0};
}

START_TEST(random_programs_hold_and_stay_near_the_bound)
{
    double worst = 1;
    for (unsigned seed = 0; seed < 300; seed++) {
        PlanBuffer b[RANDOM_COUNT];
        Plan plan = random_plan(seed, b);
        ck_assert(plan_memory(&plan));
        ck_assert_msg(!plan_fault(&plan, text, sizeof text), "seed %u: %s", seed, text);
        ck_assert_msg(!pairs_meet(&plan), "seed %u: the sweep missed a meeting", seed);
        ck_assert(plan.arena_bytes >= plan.bound_bytes);
        double excess = (double)plan.arena_bytes / (double)plan.bound_bytes;
        worst = excess > worst ? excess : worst;
    }
    ck_assert_msg(worst < 1.3, "worst plan is %.3f times the bound", worst);
}
END_TEST

START_TEST(verifier_agrees_with_all_pairs_on_damaged_plans)
{
    int broken = 0;
    for (unsigned seed = 0; seed < 300; seed++) {
        PlanBuffer b[RANDOM_COUNT];
        Plan plan = random_plan(seed, b);
        ck_assert(plan_memory(&plan));
        PlanBuffer *moved = &b[rand() % RANDOM_COUNT];
        moved->offset = rand() % (plan.arena_bytes - moved->bytes + 1) / PLAN_ALIGNMENT * PLAN_ALIGNMENT;
        bool meets = pairs_meet(&plan);
        ck_assert_msg(!plan_fault(&plan, text, sizeof text) == !meets, "seed %u", seed);
        broken += meets;
    }
    ck_assert_msg(broken > 30, "only %d of 300 plans were damaged", broken);
}
END_TEST

/* Activations of a deep network live until their backward kernel, gradients and scratch for a kernel or two.
 */
START_TEST(deep_training_reaches_its_bound)
{
    enum { LAYERS = 6000, COUNT = 3 * LAYERS };
    PlanBuffer *b = calloc(COUNT, sizeof *b);
    ck_assert_ptr_nonnull(b);
    for (int i = 0; i < LAYERS; i++) {
        int64_t bytes = 65536 >> (i * 3 / LAYERS);
        b[3 * i] = (PlanBuffer){"activation", bytes, i, 2 * LAYERS - i, PLAN_UNPLACED};
        b[3 * i + 1] = (PlanBuffer){"gradient", bytes, 2 * LAYERS - i, 2 * LAYERS - i + 1, PLAN_UNPLACED};
        b[3 * i + 2] = (PlanBuffer){"scratch", 4096 + 64 * (i % 7), i, i, PLAN_UNPLACED};
    }
    Plan plan = {b, COUNT, 0, 0, 0};
    ck_assert(plan_memory(&plan));
    ck_assert_msg(!plan_fault(&plan, text, sizeof text), "%s", text);
    ck_assert_msg((double)plan.arena_bytes <= 1.01 * (double)plan.bound_bytes, "%.4f",
                  (double)plan.arena_bytes / (double)plan.bound_bytes);
    free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_memory");
    TCase *cases = tcase_create("plan");
    tcase_add_test(cases, chain_needs_two_buffers);
    tcase_add_test(cases, bound_names_the_first_worst_kernel);
    tcase_add_test(cases, nothing_needs_nothing);
    tcase_add_test(cases, sum_out_of_range_is_refused);
    tcase_add_test(cases, verifier_sees_a_shared_byte);
    tcase_add_test(cases, verifier_sees_misplaced_buffers);
    tcase_add_test(cases, random_programs_hold_and_stay_near_the_bound);
    tcase_add_test(cases, verifier_agrees_with_all_pairs_on_damaged_plans);
    tcase_add_test(cases, deep_training_reaches_its_bound);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
