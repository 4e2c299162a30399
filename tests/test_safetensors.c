#include "safetensors.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Fault fault;
static SafeHeader header;

static bool parse_bytes(const char *json, size_t length, int64_t data_bytes)
{
    char *copy = malloc(length + 1);
    memcpy(copy, json, length);
    fault = (Fault){0};
    bool done =
        safetensors_parse(&header, copy, (int64_t)length, 8 + (int64_t)length + data_bytes, "x.st", &fault);
    ck_assert_int_eq(done, fault.status == STATUS_OK);
    return done;
}

static bool parse(const char *json, int64_t data_bytes)
{
    return parse_bytes(json, strlen(json), data_bytes);
}

#define T(name, begin, end, shape)                                                                           \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

START_TEST(good_headers_are_read)
{
    ck_assert(parse(
        "{" T("b", 8, 24, "2,2") "," T("a", 0, 8, "2") ",\"__metadata__\":{\"k\":\"v\\u00e9\\n\"}}  ", 24));
    ck_assert_int_eq(header.tensors, 2);
    const SafeTensor *b = safetensors_find(&header, "b");
    ck_assert_ptr_nonnull(b);
    ck_assert_int_eq(b->rank, 2);
    ck_assert_int_eq(b->dim[1], 2);
    ck_assert_int_eq(b->end - b->begin, 16);
    ck_assert_ptr_null(safetensors_find(&header, "c"));
    ck_assert_str_eq(safetensors_text(&header, "k"), "v\xc3\xa9\n");
    ck_assert_ptr_null(safetensors_text(&header, "l"));
    safetensors_free(&header);
}
END_TEST

static const char *const good[] = {
    "{}",
    "{\"__metadata__\":{}}",
    "{ \"a\" : { \"shape\" : [ ] , \"data_offsets\" : [ 0 , 4 ] , \"dtype\" : \"F32\" } }",
    "{" T("a", 0, 0, "0") "," T("b", 0, 4, "") "," T("c", 4, 4, "3,0") "}",
    "{" T("\\ud83d\\ude00", 0, 4, "1,1,1,1,1,1,1,1") "}",
    "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
    "{\"a\":{\"dtype\":\"F4\",\"shape\":[8],\"data_offsets\":[0,4]}}",
};
enum { GOOD = sizeof good / sizeof *good };

START_TEST(unusual_headers_are_good)
{
    ck_assert_msg(parse(good[_i], _i < 2 ? 0 : 4), "%s", fault.text);
    safetensors_free(&header);
}
END_TEST

static const struct {
    const char *json;
    int64_t data_bytes;
    const char *says;
} bad[] = {
    {"", 0, "byte 8: the header does not begin with '{'"},
    {" {}", 0, "byte 8: the header does not begin with '{'"},
    {"[]", 0, "does not begin with '{'"},
    {"{}\n", 0, "byte 10: text after the header's end"},
    {"{}{}", 0, "byte 10: text after the header's end"},
    {"{} ", 1, "the tensors take 0 bytes, the file has 1 for them"},
    {"{" T("a", 0, 8, "2") "," T("b", 4, 12, "2") "}", 12, "tensor 'b' overlaps another"},
    {"{" T("a", 0, 8, "2") "," T("b", 0, 8, "2") "}", 8, "overlaps another"},
    {"{" T("a", 0, 8, "2") "," T("b", 12, 20, "2") "}", 20, "tensor 'b' leaves a hole before it"},
    {"{" T("a", 4, 12, "2") "}", 12, "tensor 'a' leaves a hole before it"},
    {"{" T("a", 0, 8, "2") "}", 9, "the tensors take 8 bytes, the file has 9 for them"},
    {"{" T("a", 0, 8, "2") "}", 4, "the tensors take 8 bytes, the file has 4 for them"},
    {"{" T("a", 0, 8, "3") "}", 8, "tensor 'a' has other bytes than its shape says"},
    {"{" T("a", 8, 0, "2") "}", 8, "tensor 'a' has other bytes than its shape says"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
     "has other bytes than its shape says"},
    {"{" T("a", 0, 8, "4294967296,4294967296,2") "}", 8, "tensor 'a' has a shape too large"},
    {"{" T("a", 0, 8, "2305843009213693952") "}", 8, "tensor 'a' has a shape too large"},
    {"{" T("a", 0, 8, "9223372036854775808") "}", 8, "a number too large"},
    {"{" T("a", 0, 8, "1,1,1,1,1,1,1,1,2") "}", 8, "tensor 'a' has too many dimensions"},
    {"{" T("a", 0, 8, "-2") "}", 8, "expected a count"},
    {"{" T("a", 0, 8, "2.0") "}", 8, "expected ']'"},
    {"{" T("a", 0, 8, "2e0") "}", 8, "expected ']'"},
    {"{" T("a", 0, 8, "02") "}", 8, "expected a count"},
    {"{" T("a", 0, 8, "2,") "}", 8, "expected a count"},
    {"{" T("a", 0, 8, "2") "," T("a", 8, 16, "2") "}", 16, "tensor 'a' stands twice"},
    {"{" T("a", 0, 8, "2") "," T("\\u0061", 8, 16, "2") "}", 16, "tensor 'a' stands twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ stands twice"},
    {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "metadata 'k' stands twice"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "expected '\"'"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "tensor 'a' has a key twice"},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "tensor 'a' has an unknown dtype"},
    {"{\"a\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4, "tensor 'a' lacks dtype, shape or data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4],\"more\":1}}", 4,
     "tensor 'a' has an unknown key"},
    {"{\"a\":{}}", 0, "expected '\"'"},
    {"{\"a\":[[[[[[[[", 0, "expected '{'"},
    {"{" T("a", 0, 8, "2") ",}", 8, "expected '\"'"},
    {"{" T("a", 0, 8, "2"), 8, "expected '}'"},
    {"{\"a", 0, "a string without its end"},
    {"{\"a\\", 0, "bad escape"},
    {"{\"a\\q\":1}", 0, "bad escape"},
    {"{\"a\\u0000\":1}", 0, "bad \\u escape"},
    {"{\"a\\u12\":1}", 0, "bad \\u escape"},
    {"{\"a\\ud800\":1}", 0, "bad \\u escape"},
    {"{\"a\\ud800\\u0041\":1}", 0, "bad \\u escape"},
    {"{\"a\\udc00\":1}", 0, "bad \\u escape"},
    {"{\"a\n\":1}", 0, "a control character in a string"},
    {"{\"a\xff\":1}", 0, "byte 11: not UTF-8"},
    {"{\"\xc0\x80\":1}", 0, "not UTF-8"},
    {"{\"\xe0\x80\x80\":1}", 0, "not UTF-8"},
    {"{\"\xed\xa0\x80\":1}", 0, "not UTF-8"},
    {"{\"\xf4\x90\x80\x80\":1}", 0, "not UTF-8"},
    {"{\"\xf0\x9f\x98", 0, "not UTF-8"},
    {"{} /* no comments */", 0, "text after the header's end"},
};
enum { BAD = sizeof bad / sizeof *bad };

START_TEST(attacks_are_refused_with_the_reason)
{
    ck_assert(!parse(bad[_i].json, bad[_i].data_bytes));
    ck_assert_int_eq(fault.status, STATUS_INPUT);
    ck_assert_msg(strncmp(fault.text, "x.st: ", 6) == 0, "the file is not named: %s", fault.text);
    ck_assert_msg(strstr(fault.text, bad[_i].says) != NULL, "expected '%s', got '%s'", bad[_i].says,
                  fault.text);
    safetensors_free(&header);
}
END_TEST

START_TEST(a_nul_byte_is_refused)
{
    ck_assert(!parse_bytes("{\"a\0b\":1}", 9, 0));
    safetensors_free(&header);
    ck_assert(!parse_bytes("{}\0", 3, 0));
    safetensors_free(&header);
}
END_TEST

/* -- files ------------------------------------------------------------------------------------- */

static char path[] = "/tmp/netc-safetensors-XXXXXX";

static bool open_bytes(const void *bytes, size_t count)
{
    char name[sizeof path];
    strcpy(name, path);
    int handle = mkstemp(name);
    ck_assert_int_ge(handle, 0);
    ck_assert_int_eq(write(handle, bytes, count), (ssize_t)count);
    close(handle);
    InputFile file;
    fault = (Fault){0};
    bool done = input_open(&file, name, &fault) && safetensors_open(&header, &file, &fault);
    input_close(&file);
    unlink(name);
    return done;
}

START_TEST(short_and_lying_files_are_refused)
{
    unsigned char huge[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    ck_assert(!open_bytes("", 0));
    ck_assert_ptr_nonnull(strstr(fault.text, "only 0 bytes"));
    safetensors_free(&header);
    ck_assert(!open_bytes("\2\0\0\0\0\0\0", 7));
    safetensors_free(&header);
    ck_assert(!open_bytes(huge, sizeof huge));
    ck_assert_ptr_nonnull(strstr(fault.text, "a header of 18446744073709551615 bytes in a file of 10"));
    safetensors_free(&header);
    ck_assert(!open_bytes("\3\0\0\0\0\0\0\0{}", 10));
    ck_assert_ptr_nonnull(strstr(fault.text, "a header of 3 bytes in a file of 10"));
    safetensors_free(&header);
    ck_assert(open_bytes("\2\0\0\0\0\0\0\0{}", 10));
    safetensors_free(&header);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    InputFile file;
    fault = (Fault){0};
    ck_assert(!input_open(&file, "/tmp", &fault));
    ck_assert_str_eq(fault.text, "/tmp is not a regular file");
    fault = (Fault){0};
    ck_assert(!input_open(&file, "/tmp/no such file", &fault));
    ck_assert_str_eq(fault.text, "cannot open /tmp/no such file: No such file or directory");
}
END_TEST

/* A header of many tensors is read in about linear time. */
START_TEST(many_tensors_are_fast)
{
    enum { COUNT = 100000 };
    size_t size = COUNT * 90 + 3, at = 0;
    char *json = malloc(size);
    for (int i = 0; i < COUNT; i++)
        at += (size_t)snprintf(json + at, size - at,
                               "%c\"t%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}",
                               i ? ',' : '{', i, COUNT - 1 - i, COUNT - i);
    json[at++] = '}';
    ck_assert_msg(parse_bytes(json, at, COUNT), "%s", fault.text);
    ck_assert_int_eq(safetensors_find(&header, "t99999")->begin, 8 + (int64_t)at);
    safetensors_free(&header);
    free(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *cases = tcase_create("safetensors");
    tcase_add_test(cases, good_headers_are_read);
    tcase_add_loop_test(cases, unusual_headers_are_good, 0, GOOD);
    tcase_add_loop_test(cases, attacks_are_refused_with_the_reason, 0, BAD);
    tcase_add_test(cases, a_nul_byte_is_refused);
    tcase_add_test(cases, short_and_lying_files_are_refused);
    tcase_add_test(cases, what_is_no_file_is_refused);
    tcase_add_test(cases, many_tensors_are_fast);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
