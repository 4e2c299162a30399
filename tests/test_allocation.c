/* A program that trains allocates nothing after its start. Counts calls of malloc, which the sanitizers
   replace. */
#include "descriptor.h"
#include "run_toy.h"

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&                 \
    !HAS_FEATURE(address_sanitizer) && !HAS_FEATURE(thread_sanitizer) && !HAS_FEATURE(memory_sanitizer)
#define COUNTS 1
#else
#define COUNTS 0
#endif

static long allocations, fewest, most;

#if COUNTS
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    allocations++;
    return __libc_realloc(old, bytes);
}
#endif

static int moves;

/* Notes the allocations so far at every step after the first. */
static void move_and_count(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    toy_move(buffer, argument, begin, end);
    if (++moves == 2)
        fewest = allocations;
    if (moves > 1)
        most = allocations;
    if (moves == 39)
        fprintf(stderr, "%ld allocations at the second step, %ld at the last\n", fewest, most);
}

static NetcKernel *const kernel[] = {toy_fill,  toy_guess, toy_learn, move_and_count,
                                     toy_count, toy_mean,  toy_score};

START_TEST(training_allocates_nothing)
{
    ck_assert_int_eq(mkdir("data", 0777), 0);
    ck_assert_int_eq(toy_write_data("data", "train", 100), 0);
    ck_assert_int_eq(toy_write_data("data", "t10k", 60), 0);
    Run run = run_program(TOY_DESCRIPTOR("", TOY_VALID), kernel,
                          "train --data data --out x --log-every 5 --threads 3");
    ck_assert_msg(run.status == 0, "%s", run.error);
    long first = -1, last = -1;
    char *line = strstr(run.error, " allocations at the second step");
    ck_assert_msg(line != NULL, "%s", run.error);
    while (line > run.error && line[-1] != '\n')
        line--;
    ck_assert_int_eq(sscanf(line, "%ld allocations at the second step, %ld at the last", &first, &last), 2);
    ck_assert_msg(first == last,
                  "%ld at the second step, %ld at the last, after three epochs and their checkpoints", first,
                  last);
    ck_assert(!COUNTS || first > 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("allocation");
    TCase *cases = tcase_create("allocation");
    tcase_add_unchecked_fixture(cases, run_make_folder, run_remove_folder);
    tcase_add_test(cases, training_allocates_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
