#include "image_png.h"
#include "npy.h"
#include "run_toy.h"

#include <math.h>
#include <png.h>

static Fault fault;

static void set_up(void)
{
    run_make_folder();
    ck_assert_int_eq(mkdir("data", 0777), 0);
    ck_assert_int_eq(toy_write_data("data", "train", 100), 0);
    run_well("train --data data --quiet");
}

/* -- PNG --------------------------------------------------------------------------------------- */

enum { PNG_MOST = 4096 };

/* Encodes with libpng's own writer: 2 wide, `height` high. */
static size_t encode(unsigned char *png, const void *pixels, uint32_t format, uint32_t height,
                     const void *colormap)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .width = 2, .height = height, .format = format};
    if (colormap)
        image.colormap_entries = 2;
    png_alloc_size_t size = PNG_MOST;
    ck_assert_msg(png_image_write_to_memory(&image, png, &size, 0, pixels, 0, colormap), "%s", image.message);
    return size;
}

static bool decode(const unsigned char *png, size_t size, int channels, int height, unsigned char *to)
{
    fault = (Fault){0};
    return png_decode(png, size, "x.png", (ImageShape){channels, height, 2}, to, &fault);
}

START_TEST(gray_and_color_become_each_other)
{
    unsigned char png[PNG_MOST], out[12];
    size_t size = encode(png, (unsigned char[]){0, 7, 128, 255}, PNG_FORMAT_GRAY, 2, NULL);
    ck_assert_msg(decode(png, size, 1, 2, out), "%s", fault.text);
    ck_assert_mem_eq(out, ((unsigned char[]){0, 7, 128, 255}), 4);
    ck_assert(decode(png, size, 3, 2, out));
    ck_assert_mem_eq(out, ((unsigned char[]){0, 7, 128, 255, 0, 7, 128, 255, 0, 7, 128, 255}), 12);

    size = encode(png, (unsigned char[]){255, 0, 0, 0, 255, 0}, PNG_FORMAT_RGB, 1, NULL);
    ck_assert(decode(png, size, 3, 1, out));
    ck_assert_mem_eq(out, ((unsigned char[]){255, 0, 0, 255, 0, 0}), 6); /* planes */
    ck_assert(decode(png, size, 1, 1, out));
    ck_assert_int_eq(out[0], 76);  /* 0.299 · 255 */
    ck_assert_int_eq(out[1], 150); /* 0.587 · 255 */
}
END_TEST

START_TEST(transparency_shows_black)
{
    unsigned char png[PNG_MOST], out[6];
    size_t size =
        encode(png, (unsigned char[]){200, 100, 50, 128, 200, 100, 50, 0}, PNG_FORMAT_RGBA, 1, NULL);
    ck_assert_msg(decode(png, size, 3, 1, out), "%s", fault.text);
    ck_assert_mem_eq(out, ((unsigned char[]){100, 0, 50, 0, 25, 0}), 6);
}
END_TEST

START_TEST(palettes_and_sixteen_bits_become_bytes)
{
    unsigned char png[PNG_MOST], out[6];
    size_t size = encode(png, (unsigned char[]){1, 0}, PNG_FORMAT_RGB_COLORMAP, 1,
                         (unsigned char[]){1, 2, 3, 10, 20, 30});
    ck_assert_msg(decode(png, size, 3, 1, out), "%s", fault.text);
    ck_assert_mem_eq(out, ((unsigned char[]){10, 1, 20, 2, 30, 3}), 6);
    size = encode(png, (uint16_t[]){65535, 0}, PNG_FORMAT_LINEAR_Y, 1, NULL);
    ck_assert_msg(decode(png, size, 1, 1, out), "%s", fault.text);
    ck_assert_int_eq(out[0], 255);
    ck_assert_int_eq(out[1], 0);
}
END_TEST

START_TEST(another_size_is_refused_with_both)
{
    unsigned char png[PNG_MOST], out[64];
    size_t size = encode(png, (unsigned char[]){0, 7, 128, 255}, PNG_FORMAT_GRAY, 2, NULL);
    ck_assert(!decode(png, size, 1, 3, out));
    ck_assert_str_eq(fault.text, "x.png: the image is 2x2, the network reads 2x3 (width x height)");
    ck_assert(!decode(png, size, 2, 2, out));
    ck_assert_str_eq(fault.text, "x.png: a PNG file has 1 or 3 channels, the network reads 2");
}
END_TEST

START_TEST(broken_images_are_refused)
{
    unsigned char png[PNG_MOST], out[64];
    size_t size = encode(png, (unsigned char[]){0, 7, 128, 255}, PNG_FORMAT_GRAY, 2, NULL);
    for (size_t length = 0; length < size; length++)
        ck_assert_msg(!decode(png, length, 1, 2, out), "cut at byte %d", (int)length);
    for (size_t i = 0; i < size;
         i++) { /* each chunk has a checksum; bytes of a chunk that is not needed may pass */
        png[i] ^= 0x10;
        if (decode(png, size, 1, 2, out))
            ck_assert_msg(i > 32, "byte %d of the header", (int)i);
        png[i] ^= 0x10;
    }
    ck_assert(!decode((const unsigned char *)"GIF89a..", 8, 1, 2, out));
    ck_assert_str_eq(fault.text, "x.png is no PNG file");
}
END_TEST

/* -- .npy -------------------------------------------------------------------------------------- */

static bool parse_npy(NpyArray *array, const char *dictionary, const void *data, size_t count)
{
    static unsigned char bytes[1000];
    size_t length = strlen(dictionary);
    memcpy(bytes, "\x93NUMPY\1\0", 8);
    bytes[8] = (unsigned char)length, bytes[9] = (unsigned char)(length >> 8);
    memcpy(bytes + 10, dictionary, length);
    memcpy(bytes + 10 + length, data, count);
    fault = (Fault){0};
    return npy_parse(array, bytes, (int64_t)(10 + length + count), "x.npy", &fault);
}

START_TEST(arrays_are_read_in_both_orders)
{
    NpyArray array;
    int32_t values[] = {1, 2, 3, 4, 5, 6}, turned[] = {1, 3, 5, 2, 4, 6};
    ck_assert_msg(
        parse_npy(&array, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }   \n", values, 24),
        "%s", fault.text);
    ck_assert_int_eq(array.element, ELEMENT_I32);
    ck_assert_int_eq(array.rank, 2);
    ck_assert_int_eq(array.dim[1], 3);
    ck_assert_mem_eq(array.value, values, 24);
    free(array.value);
    ck_assert_msg(parse_npy(&array, "{'shape': (2, 3), 'descr': '<i4', 'fortran_order': True}\n", values, 24),
                  "%s", fault.text);
    ck_assert_mem_eq(array.value, turned, 24);
    free(array.value);
    ck_assert(parse_npy(&array, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", &(double){3}, 8));
    ck_assert_int_eq(array.rank, 0);
    free(array.value);
    ck_assert(parse_npy(&array, "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", "", 0));
    free(array.value);
}
END_TEST

static const struct {
    const char *dictionary, *says;
} bad_npy[] = {
    {"", "no dictionary"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "an unknown type"},
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "an unknown type"},
    {"{'descr': '<f4x', 'fortran_order': False, 'shape': (2,), }", "an unknown type"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "a type that is no plain number"},
    {"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "a bad fortran_order"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "8 bytes of data, the shape needs 12"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", "a bad shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 3), }", "a bad shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "a bad shape"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "a size too large"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "a shape too large"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "a bad shape"},
    {"{'descr': '<f4', 'fortran_order': False}", "a key missing"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
     "an unknown or repeated key"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } import os", "text after the dictionary"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), ", "an unknown or repeated key"},
};
enum { BAD_NPY = sizeof bad_npy / sizeof *bad_npy };

START_TEST(bad_arrays_are_refused)
{
    NpyArray array;
    ck_assert(!parse_npy(&array, bad_npy[_i].dictionary, "12345678", 8));
    ck_assert_msg(strncmp(fault.text, "x.npy: ", 7) == 0 && strstr(fault.text, bad_npy[_i].says), "%s",
                  fault.text);
}
END_TEST

START_TEST(what_is_written_is_read)
{
    OutputFolder folder;
    OutputFile file;
    NpyArray array;
    float values[6] = {0, 1, 2, 3, 4, 5};
    fault = (Fault){0};
    ck_assert(folder_open(&folder, ".", &fault));
    ck_assert(npy_begin(&file, &folder, "out.npy", ELEMENT_F32, 3, (int64_t[]){1, 2, 3}, &fault));
    ck_assert(output_write(&file, values, sizeof values, &fault) && output_finish(&file, &fault));
    folder_close(&folder);
    ck_assert_msg(npy_read(&array, "out.npy", &fault), "%s", fault.text);
    ck_assert_int_eq(array.rank, 3);
    ck_assert_int_eq(array.dim[2], 3);
    ck_assert_mem_eq(array.value, values, sizeof values);
    free(array.value);
    static char text[RUN_TEXT];
    run_read("out.npy", text);
    ck_assert_int_eq(text[127], '\n'); /* the data begins on a boundary of 64 bytes */
    ck_assert_int_eq(text[8] + 10, 128);
}
END_TEST

/* -- the command ------------------------------------------------------------------------------- */

static void put_image(const char *path, unsigned char a, unsigned char b, unsigned char c, unsigned char d)
{
    unsigned char png[PNG_MOST];
    size_t size = encode(png, (unsigned char[]){a, b, c, d}, PNG_FORMAT_GRAY, 2, NULL);
    FILE *file = fopen(path, "wb");
    fwrite(png, 1, size, file);
    fclose(file);
}

static void put_npy(const char *path, const char *descr, const char *shape, const void *data, size_t count)
{
    char head[128];
    memset(head, ' ', sizeof head);
    memcpy(head, "\x93NUMPY\1\0\x76\0", 10);
    int length = sprintf(head + 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
    head[10 + length] = ' ';
    head[127] = '\n';
    FILE *file = fopen(path, "wb");
    fwrite(head, 1, sizeof head, file);
    fwrite(data, 1, count, file);
    fclose(file);
}

static const unsigned char three[12] = {255, 255, 255, 255, 0, 0, 0, 0, 200, 100, 0, 250};

START_TEST(images_get_a_line_each)
{
    char name[20];
    int class[3];
    double share[3];
    put_image("light.png", 255, 255, 255, 255);
    put_image("dark.png", 0, 0, 0, 0);
    Run run = run_toy("predict light.png dark.png --top 3");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert_int_eq(sscanf(run.out, "%19s %d %lf %d %lf %d %lf\n", name, &class[0], &share[0], &class[1],
                            &share[1], &class[2], &share[2]),
                     7);
    ck_assert_str_eq(name, "light.png");
    ck_assert(share[0] >= share[1] && share[1] >= share[2] && share[2] > 0);
    ck_assert_int_ge(class[0], 6); /* 9 is right */
    const char *second = strchr(run.out, '\n') + 1;
    ck_assert_int_eq(strncmp(second, "dark.png 0 ", 11), 0);
    ck_assert_ptr_null(strchr(strchr(second, '\n') + 1, '\n'));
}
END_TEST

/* The same three samples by every way in, with every batch: the same bytes out. */
START_TEST(all_ways_in_agree)
{
    float wide[12];
    for (int i = 0; i < 12; i++)
        wide[i] = three[i];
    put_npy("three.npy", "|u1", "3, 2, 2", three, sizeof three);
    put_npy("first.npy", "|u1", "2, 2", three, 4);
    for (int i = 0; i < 3; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d.png", i);
        put_image(name, three[4 * i], three[4 * i + 1], three[4 * i + 2], three[4 * i + 3]);
    }
    run_well("predict three.npy -o a.npy");
    run_well("predict 0.png 1.png 2.png --output b.npy");
    run_well("predict --input pixels=three.npy -o c.npy --batch 2");
    run_well("predict first.npy 1.png 2.png -o d.npy --batch 1");
    ck_assert(same_files("a.npy", "b.npy") && same_files("a.npy", "c.npy") && same_files("a.npy", "d.npy"));
    Run run = run_toy("predict three.npy --top 1");
    ck_assert_int_eq(strncmp(run.out, "three.npy:0 ", 12), 0);

    put_npy("wide.npy", "<f4", "3, 2, 2", wide, sizeof wide);
    run_badly("predict wide.npy", 1, "wide.npy: its shape or type does not fit input 'pixels'");
    put_npy("many.npy", "<i4", "1, 2, 2", (int32_t[]){1, 2, 3, 256}, 16);
    run_badly("predict many.npy", 1, "many.npy: its shape or type does not fit");
    put_npy("few.npy", "<i4", "1, 2, 2", (int32_t[]){1, 2, 3, 255}, 16);
    run_well("predict few.npy");
    put_npy("odd.npy", "|u1", "3, 4", three, sizeof three);
    run_badly("predict odd.npy", 1, "odd.npy: its shape or type does not fit");
}
END_TEST

START_TEST(missing_and_wrong_inputs_are_named)
{
    run_badly("predict gone.png", 1, "cannot open gone.png");
    run_badly("predict data/train-labels-idx1-ubyte", 1, "data/train-labels-idx1-ubyte is no PNG file");
    run_badly("predict --input color=three.npy", 2, "input 'pixels' is missing: --input pixels=FILE.npy");
    put_image("light.png", 255, 255, 255, 255);
    run_badly("predict light.png -w gone", 1, "cannot open gone");
    run_badly("predict light.png -o no/such/", 1, "cannot");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("predict");
    TCase *cases = tcase_create("predict");
    tcase_add_unchecked_fixture(cases, set_up, run_remove_folder);
    tcase_add_test(cases, gray_and_color_become_each_other);
    tcase_add_test(cases, transparency_shows_black);
    tcase_add_test(cases, palettes_and_sixteen_bits_become_bytes);
    tcase_add_test(cases, another_size_is_refused_with_both);
    tcase_add_test(cases, broken_images_are_refused);
    tcase_add_test(cases, arrays_are_read_in_both_orders);
    tcase_add_loop_test(cases, bad_arrays_are_refused, 0, BAD_NPY);
    tcase_add_test(cases, what_is_written_is_read);
    tcase_add_test(cases, images_get_a_line_each);
    tcase_add_test(cases, all_ways_in_agree);
    tcase_add_test(cases, missing_and_wrong_inputs_are_named);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
