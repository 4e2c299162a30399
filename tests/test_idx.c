#include "source_idx.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static Fault fault;
static char folder[] = "/tmp/netc-idx-XXXXXX";

static const char *put_file(const char *name, const void *bytes, size_t count)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
    return path;
}

static const char *put_gzip(const char *name, const void *bytes, size_t count)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    gzFile file = gzopen(path, "wb9");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(gzwrite(file, bytes, (unsigned)count), (int)count);
    gzclose(file);
    return path;
}

static void make_folder(void) { ck_assert_ptr_nonnull(mkdtemp(folder)); }

static void remove_folder(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Two images of 2x3. */
static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2,  0,  0,
                                       0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 9, 4};

static void expect(const char *path, int rank, const char *says)
{
    IdxFile idx;
    DataSet set = {0};
    fault = (Fault){0};
    bool done = idx_read(&idx, path, rank, &set, &fault);
    dataset_close(&set);
    ck_assert_msg(done == !says, "%s", fault.text);
    if (says) {
        ck_assert_int_eq(fault.status, STATUS_INPUT);
        ck_assert_msg(strstr(fault.text, path) != NULL, "the file is not named: %s", fault.text);
        ck_assert_msg(strstr(fault.text, says) != NULL, "expected '%s', got '%s'", says, fault.text);
    }
}

START_TEST(values_and_sizes_are_read)
{
    for (int packed = 0; packed < 2; packed++) {
        IdxFile idx;
        DataSet set = {0};
        const char *path =
            packed ? put_gzip("a.gz", images, sizeof images) : put_file("a", images, sizeof images);
        fault = (Fault){0};
        ck_assert_msg(idx_read(&idx, path, 3, &set, &fault), "%s", fault.text);
        ck_assert_int_eq(idx.dim[0], 2);
        ck_assert_int_eq(idx.dim[1], 2);
        ck_assert_int_eq(idx.dim[2], 3);
        ck_assert_int_eq(idx.bytes, 12);
        ck_assert_int_eq(idx.origin, 16);
        ck_assert_mem_eq(idx.value, images + 16, 12);
        dataset_close(&set);
    }
}
END_TEST

START_TEST(wrong_magic_is_refused)
{
    unsigned char bytes[sizeof images];
    memcpy(bytes, images, sizeof images);
    expect(put_file("labels", labels, sizeof labels), 3, "byte 0: magic 00000801, expected 00000803");
    bytes[2] = 13;
    expect(put_file("floats", bytes, sizeof bytes), 3, "byte 0: magic 00000d03, expected 00000803");
    bytes[2] = 8, bytes[1] = 1;
    expect(put_file("nonsense", bytes, sizeof bytes), 3, "byte 0: magic 00010803");
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    for (size_t length = 0; length < sizeof images; length++) {
        expect(put_file("cut", images, length), 3, length ? "cut off" : "ends at byte 0");
        expect(put_gzip("cut.gz", images, length), 3, length ? "cut off" : "ends at byte 0");
    }
    expect(put_file("cut", images, 20), 3,
           "cut off: the header says 12 bytes, from byte 16 on the file has 4");
    expect(put_gzip("cut.gz", images, 20), 3, "it ends at byte 20 (unpacked), 8 bytes too early");
}
END_TEST

START_TEST(a_longer_file_is_refused)
{
    unsigned char bytes[sizeof images + 1] = {0};
    memcpy(bytes, images, sizeof images);
    expect(put_file("long", bytes, sizeof bytes), 3, "byte 28: the file goes on after what its header says");
    expect(put_gzip("long.gz", bytes, sizeof bytes), 3,
           "byte 28: the file goes on after what its header says");
}
END_TEST

/* A small file must not make the reader take gigabytes. */
START_TEST(sizes_are_checked_before_memory_is_taken)
{
    unsigned char bytes[sizeof images];
    memcpy(bytes, images, sizeof images);
    memset(bytes + 4, 0x7f, 12);
    expect(put_file("huge", bytes, sizeof bytes), 3, "byte 12: the dimensions are too large");
    bytes[4] = bytes[5] = bytes[8] = bytes[9] = bytes[12] = bytes[13] = 0;
    expect(put_file("huge", bytes, sizeof bytes), 3, "cut off: the header says");
    expect(put_gzip("huge.gz", bytes, sizeof bytes), 3, "at most");
}
END_TEST

START_TEST(broken_gzip_is_refused)
{
    unsigned char bytes[300];
    memset(bytes, 0xff, sizeof bytes);
    bytes[0] = 0x1f, bytes[1] = 0x8b, bytes[2] = 8, bytes[3] = 0;
    expect(put_file("garbage.gz", bytes, sizeof bytes), 3, "broken gzip file");

    struct stat status;
    const char *path = put_gzip("flip.gz", images, sizeof images);
    ck_assert_int_eq(stat(path, &status), 0);
    FILE *file = fopen(path, "r+b");
    ck_assert_int_eq(fseek(file, status.st_size - 6, SEEK_SET), 0); /* in the checksum of the data */
    fputc('x', file);
    fclose(file);
    expect(path, 3, "broken gzip file");
}
END_TEST

START_TEST(the_pair_must_agree)
{
    DataSet set = {.folder = folder};
    SourceRequest request = {.folder = folder};
    fault = (Fault){0};
    put_file("train-images-idx3-ubyte", images, sizeof images);
    ck_assert(!source_mnist(&set, &request, &fault));
    ck_assert_ptr_nonnull(
        strstr(fault.text, "there is neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz"));
    dataset_close(&set);

    set = (DataSet){.folder = folder};
    fault = (Fault){0};
    put_gzip("train-labels-idx1-ubyte.gz", labels, sizeof labels);
    ck_assert_msg(source_mnist(&set, &request, &fault), "%s", fault.text);
    ck_assert_int_eq(set.samples, 2);
    ck_assert_int_eq(set.field[0].stride, 6);
    ck_assert_int_eq(set.field[1].value[1], 4);
    dataset_close(&set);

    unsigned char three[sizeof labels + 1] = {0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3};
    set = (DataSet){.folder = folder};
    fault = (Fault){0};
    put_gzip("train-labels-idx1-ubyte.gz", three, sizeof three);
    ck_assert(!source_mnist(&set, &request, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "train-labels-idx1-ubyte.gz holds 3 samples"));
    dataset_close(&set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idx");
    TCase *cases = tcase_create("idx");
    tcase_add_unchecked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, values_and_sizes_are_read);
    tcase_add_test(cases, wrong_magic_is_refused);
    tcase_add_test(cases, every_cut_is_noticed);
    tcase_add_test(cases, a_longer_file_is_refused);
    tcase_add_test(cases, sizes_are_checked_before_memory_is_taken);
    tcase_add_test(cases, broken_gzip_is_refused);
    tcase_add_test(cases, the_pair_must_agree);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
