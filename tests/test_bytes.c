#include "source.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Fault fault;
static char folder[] = "/tmp/netc-bytes-XXXXXX";
static char path[300];

static void put_file(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(void) { ck_assert_ptr_nonnull(mkdtemp(folder)); }

static void remove_folder(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Sample `sample` of both fields is as wanted. */
static void expect(const DataSet *set, int64_t sample, const char *now, const char *next)
{
    const char *want[] = {now, next};
    for (int i = 0; i < 2; i++) {
        const SourceField *f = &set->field[i];
        ck_assert_int_eq(f->dim[0], (int64_t)strlen(want[i]));
        ck_assert_mem_eq(f->value + sample * f->stride, want[i], strlen(want[i]));
    }
}

START_TEST(windows_lie_side_by_side)
{
    put_file("text", "abcdefghijklmnopqrst"); /* the last tenth: st */
    DataSet set = {.folder = path};
    SourceRequest request = {path, false, 4};
    fault = (Fault){0};
    ck_assert_msg(source_bytes(&set, &request, &fault), "%s", fault.text);
    ck_assert_int_eq(set.samples, 4); /* the last needs a byte that follows */
    expect(&set, 0, "abcd", "bcde");
    expect(&set, 3, "mnop", "nopq");
    dataset_close(&set);
}
END_TEST

START_TEST(the_end_is_for_testing)
{
    put_file("text", "abcdefghijklmnopqrst");
    DataSet set = {.folder = path};
    SourceRequest request = {path, true, 1};
    fault = (Fault){0};
    ck_assert_msg(source_bytes(&set, &request, &fault), "%s", fault.text);
    ck_assert_int_eq(set.samples, 1);
    ck_assert_int_eq(set.field[1].origin, 19);
    expect(&set, 0, "s", "t");
    dataset_close(&set);
}
END_TEST

START_TEST(a_folder_has_a_file_for_each)
{
    put_file("train.txt", "0123");
    put_file("test.txt", "abc");
    for (int test = 0; test < 2; test++) {
        DataSet set = {.folder = folder};
        SourceRequest request = {folder, test, 2};
        fault = (Fault){0};
        ck_assert_msg(source_bytes(&set, &request, &fault), "%s", fault.text);
        ck_assert_int_eq(set.samples, 1);
        expect(&set, 0, test ? "ab" : "01", test ? "bc" : "12");
        dataset_close(&set);
    }
}
END_TEST

static const struct {
    const char *text, *says;
    int64_t window;
} refused[] = {
    {"abcdefghij", "9 bytes for training are not enough: a sample takes 9 and one more", 9},
    {"", "0 bytes for training are not enough", 1},
    {NULL, "No such file", 1},
};

START_TEST(short_files_are_refused)
{
    put_file("text", refused[_i].text ? refused[_i].text : "");
    if (!refused[_i].text)
        remove(path);
    DataSet set = {.folder = path};
    SourceRequest request = {path, false, refused[_i].window};
    fault = (Fault){0};
    ck_assert(!source_bytes(&set, &request, &fault));
    ck_assert_int_eq(fault.status, STATUS_INPUT);
    ck_assert_msg(strstr(fault.text, path) && strstr(fault.text, refused[_i].says), "%s", fault.text);
    dataset_close(&set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *cases = tcase_create("source");
    tcase_add_unchecked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, windows_lie_side_by_side);
    tcase_add_test(cases, the_end_is_for_testing);
    tcase_add_test(cases, a_folder_has_a_file_for_each);
    tcase_add_loop_test(cases, short_files_are_refused, 0, (int)(sizeof refused / sizeof *refused));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
