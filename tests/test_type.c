/* Sizes and types: arithmetic at its limits, texts both ways; the texts of numbers and strings. */
#include "arena.h"
#include "graph_samples.h"
#include "text.h"
#include "type.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF ((int64_t)1 << 32)

/* ---- sizes --------------------------------------------------------------------------------------------- */

START_TEST(sizes_multiply_until_they_overflow)
{
    Size product;
    ck_assert(size_multiply((Size){3, 1}, (Size){4, 2}, &product));
    ck_assert(size_equal(product, (Size){12, 3}));
    ck_assert(!size_multiply((Size){INT64_MAX, 0}, (Size){2, 0}, &product));
    ck_assert(!size_multiply((Size){HALF, 0}, (Size){HALF / 2, 1}, &product));
    ck_assert(size_multiply((Size){HALF, 0}, (Size){HALF / 2 - 1, 1}, &product));
}
END_TEST

START_TEST(sizes_have_a_value_for_each_batch)
{
    ck_assert_int_eq(size_at((Size){7, 0}, 64), 7);
    ck_assert_int_eq(size_at((Size){7, 1}, 64), 448);
    ck_assert_int_eq(size_at((Size){7, 2}, 64), 7 * 64 * 64);
    ck_assert_int_eq(size_at((Size){HALF, 1}, HALF), INT64_MAX);
    ck_assert_int_eq(size_at((Size){0, 2}, HALF), 0);
}
END_TEST

START_TEST(sizes_are_equal_by_value)
{
    ck_assert(size_equal((Size){0, 1}, (Size){0, 0}));
    ck_assert(!size_equal((Size){1, 1}, (Size){1, 0}));
    ck_assert(size_is_one((Size){1, 0}));
    ck_assert(!size_is_one((Size){1, 1}));
}
END_TEST

/* ---- limits -------------------------------------------------------------------------------------------- */

START_TEST(no_tensor_exceeds_the_limits)
{
    Size elements;
    Type widest = TYPE(F32, {MAX_DIM, 0}, {MAX_ELEMENTS / MAX_DIM, 0}), wider = widest, deeper = widest;
    ck_assert(type_elements(&widest, &elements));
    ck_assert(size_equal(elements, size_of(MAX_ELEMENTS)));
    wider.dim[0] = size_of(MAX_DIM + 1);
    ck_assert(!type_elements(&wider, &elements));
    deeper.dim[1].count++;
    ck_assert(!type_elements(&deeper, &elements));
    Type negative = TYPE(F32, {-1, 0}),
         full = TYPE(F32, {MAX_DIM, 0}, {MAX_DIM, 0}, {MAX_DIM, 0}, {MAX_DIM, 0});
    ck_assert(!type_elements(&negative, &elements));
    ck_assert(!type_elements(&full, &elements));
}
END_TEST

START_TEST(bytes_saturate)
{
    Type type = TYPE(F64, BATCH, {3, 0}), widest = TYPE(F64, {MAX_DIM, 0}, {256, 0}, BATCH);
    ck_assert_int_eq(type_bytes(&type, 10), 240);
    ck_assert_int_eq(type_bytes(&widest, 1), 8 * MAX_ELEMENTS);
    ck_assert_int_eq(type_bytes(&widest, 1 << 20), INT64_MAX);
    ck_assert_int_eq(type_bytes(&widest, INT64_MAX), INT64_MAX);
    Type scalar = type_scalar(DTYPE_BOOL);
    ck_assert_int_eq(type_bytes(&scalar, 10), 1);
}
END_TEST

/* ---- texts --------------------------------------------------------------------------------------------- */

static const char *type_text(const Type *type, char *buffer, size_t size)
{
    Text text = {0};
    type_print(&text, type);
    ck_assert_uint_lt(text.length, size);
    strcpy(buffer, text_string(&text));
    text_free(&text);
    return buffer;
}

START_TEST(types_print_as_in_the_language)
{
    char text[200];
    Type image = TYPE(F32, BATCH, {1, 0}, {28, 0}, {28, 0});
    ck_assert_str_eq(type_text(&image, text, sizeof text), "f32[batch, 1, 28, 28]");
    Type scalar = type_scalar(DTYPE_BOOL);
    ck_assert_str_eq(type_text(&scalar, text, sizeof text), "bool[]");
    Type odd = TYPE(I64, {4, 1}, {2, 2}, {1, 3}, {0, 1});
    ck_assert_str_eq(type_text(&odd, text, sizeof text), "i64[4*batch, 2*batch^2, batch^3, 0*batch]");
}
END_TEST

START_TEST(random_types_come_back)
{
    srand(1);
    for (int i = 0; i < 2000; i++) {
        char text[400];
        Type type = {.dtype = (DType)(rand() % DTYPE_COUNT), .rank = rand() % (MAX_RANK + 1)}, back;
        for (int d = 0; d < type.rank; d++)
            type.dim[d] =
                (Size){rand() % 3 ? rand() % 5 : (int64_t)rand() * rand(), rand() % 3 ? 0 : rand() % 9};
        type_text(&type, text, sizeof text);
        const char *end = type_parse(text, &back);
        ck_assert_msg(end && !*end && type_equal(&type, &back), "%s", text);
        for (int d = 0; d < type.rank; d++)
            ck_assert_int_eq(back.dim[d].power, type.dim[d].power);
    }
}
END_TEST

START_TEST(broken_types_do_not_parse)
{
    static const char *const texts[] = {"",
                                        "f32",
                                        "f32[",
                                        "f32[1",
                                        "f32[1,2]",
                                        "f32[1, 2",
                                        "f32[1, ]",
                                        "f32[, 1]",
                                        "f31[1]",
                                        "F32[1]",
                                        "unsigned[1]",
                                        "f32[-1]",
                                        "f32[batch^1]",
                                        "f32[batch^9]",
                                        "f32[batch^]",
                                        "f32[2*]",
                                        "f32[2*3]",
                                        "f32[batch*2]",
                                        "f32[9223372036854775808]",
                                        "f32[1, 1, 1, 1, 1, 1, 1, 1, 1]",
                                        "f32 [1]",
                                        "f32[ 1]"};
    Type type;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ck_assert_msg(!type_parse(texts[i], &type), "'%s' parses", texts[i]);
    const char *more = "f32[1]]";
    ck_assert_ptr_eq(type_parse(more, &type), more + 6);
}
END_TEST

/* ---- numbers and strings ------------------------------------------------------------------------------- */

START_TEST(reals_print_shortest_and_come_back)
{
    static const struct {
        double value;
        int single;
        const char *text;
    } cases[] = {{0, 0, "0.0"},
                 {-0.0, 0, "-0.0"},
                 {1, 0, "1.0"},
                 {0.1, 0, "0.1"},
                 {1e22, 0, "1e+22"},
                 {0.1f, 1, "0.1"},
                 {0.1f, 0, "0.10000000149011612"},
                 {INFINITY, 0, "inf"},
                 {-INFINITY, 1, "-inf"},
                 {NAN, 0, "nan"},
                 {0x1p-1074, 0, "5e-324"},
                 {123456789, 0, "123456789.0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Text text = {0};
        text_real(&text, cases[i].value, cases[i].single);
        ck_assert_str_eq(text_string(&text), cases[i].text);
        text_free(&text);
    }
}
END_TEST

START_TEST(quoted_strings_are_safe_in_c)
{
    Text text = {0};
    text_quote(&text, "a\"b\\c\n*/ ?\?= \xc3\xa9");
    ck_assert_str_eq(text_string(&text), "\"a\\\"b\\\\c\\012\\052\\057 \\077\\077= \\303\\251\"");
    text_free(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("type");
    TCase *cases = tcase_create("type");
    tcase_add_test(cases, sizes_multiply_until_they_overflow);
    tcase_add_test(cases, sizes_have_a_value_for_each_batch);
    tcase_add_test(cases, sizes_are_equal_by_value);
    tcase_add_test(cases, no_tensor_exceeds_the_limits);
    tcase_add_test(cases, bytes_saturate);
    tcase_add_test(cases, types_print_as_in_the_language);
    tcase_add_test(cases, random_types_come_back);
    tcase_add_test(cases, broken_types_do_not_parse);
    tcase_add_test(cases, reals_print_shortest_and_come_back);
    tcase_add_test(cases, quoted_strings_are_safe_in_c);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
