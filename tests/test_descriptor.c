#include "description.h"
#include "descriptor.h"
#include "packed.h"
#include "toy_program.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char toy[] = TOY_DESCRIPTOR("avx2,fma", TOY_VALID);
static Fault fault;
static Description d;

static bool parse(const char *text)
{
    fault = (Fault){0};
    bool done = description_parse(&d, text, &fault) && description_check(&d, &fault);
    ck_assert_int_eq(done, fault.status == STATUS_OK);
    return done;
}

START_TEST(every_line_is_read)
{
    ck_assert_msg(parse(toy), "%s", fault.text);
    ck_assert_str_eq(d.model, "toy");
    ck_assert_str_eq(d.hash, "00112233445566aa");
    ck_assert_str_eq(d.needs, "avx2,fma");
    ck_assert_int_eq(d.batch, 8);
    ck_assert_int_eq(d.epochs, 3);
    ck_assert_int_eq(d.sources, 2);
    ck_assert_str_eq(d.source[1].split, "valid");
    ck_assert_str_eq(d.source[1].argument[0].string, "nowhere");
    ck_assert_int_eq(d.fields, 2);
    ck_assert_str_eq(d.buffer[d.field[1]].name, "digit");
    ck_assert_str_eq(d.option[0].name, "lr");
    ck_assert_int_eq(d.buffers, 20);
    ck_assert_int_eq(d.buffer[2].axis[0], 1);
    ck_assert_int_eq(d.buffer[3].of, 0);
    ck_assert_int_eq(d.buffer[5].element, ELEMENT_U8);
    ck_assert_int_eq(d.buffer[5].dim[0].power, 1);
    ck_assert_int_eq(d.kernels, 7);
    ck_assert_int_eq(d.kernel[1].divisor, 4);
    ck_assert_double_eq(d.kernel[1].flops, 1e6);
    ck_assert_int_eq(d.phase[RUN_STEP].count, 3);
    ck_assert_int_eq(d.phase[RUN_FINISH].result[1].role, RESULT_IS_METRIC);
    ck_assert_int_eq(d.calls, 9);
    ck_assert_int_eq(d.call[2].buffers, 7);
    ck_assert_int_eq(d.call[2].argument[0], 7);
    ck_assert_int_eq(description_find(&d, ROLE_STATE, "table"), 2);
    ck_assert_int_eq(description_find(&d, ROLE_PARAM, "table"), -1);
    ck_assert(phase_touches(&d, RUN_PREDICT, 5));
    ck_assert(!phase_touches(&d, RUN_PREDICT, 6));
    description_free(&d);
}
END_TEST

START_TEST(sizes_at_a_batch)
{
    int64_t value;
    ck_assert(parse(toy));
    ck_assert(kernel_items(&d.kernel[1], 9, &value));
    ck_assert_int_eq(value, 3); /* ceil(9 / 4) */
    ck_assert(buffer_bytes(&d.buffer[19], 7, &value));
    ck_assert_int_eq(value, 7 * 10 * 4);
    ck_assert(!buffer_bytes(&d.buffer[19], INT64_MAX / 8, &value));
    ck_assert(!extent_at((Extent){2, 2}, INT64_C(1) << 32, &value));
    description_free(&d);
}
END_TEST

START_TEST(needs_are_found_without_parsing)
{
    size_t length;
    const char *needs = description_needs(toy, &length);
    ck_assert_ptr_nonnull(needs);
    ck_assert_int_eq(length, 8);
    ck_assert(memcmp(needs, "avx2,fma", 8) == 0);
    ck_assert_ptr_null(description_needs("model \"x\"", &length));
}
END_TEST

/* The same description, to the last field: its text is the same once it is packed again. */
START_TEST(what_is_packed_is_unpacked)
{
    size_t bytes = 0, again = 0;
    char *packed = netc_pack(toy, &bytes);
    ck_assert_ptr_nonnull(packed);
    ck_assert(descriptor_is_packed(packed) && !descriptor_is_packed(toy));
    Description unpacked;
    fault = (Fault){0};
    ck_assert_msg(descriptor_unpack(&unpacked, packed, &fault), "%s", fault.text);
    ck_assert_msg(description_check(&unpacked, &fault), "%s", fault.text);
    ck_assert(parse(toy));
    ck_assert_str_eq(unpacked.needs, d.needs);
    ck_assert_str_eq(unpacked.training, d.training);
    ck_assert_str_eq(unpacked.source[1].argument[0].string, "nowhere");
    for (int i = 0; i < d.buffers; i++) {
        ck_assert_str_eq(unpacked.buffer[i].name, d.buffer[i].name);
        unpacked.buffer[i].name = d.buffer[i].name;
        ck_assert_mem_eq(&unpacked.buffer[i], &d.buffer[i], sizeof d.buffer[i]);
    }
    for (int i = 0; i < d.kernels; i++)
        ck_assert_double_eq(unpacked.kernel[i].flops, d.kernel[i].flops);
    ck_assert_int_eq(unpacked.phase[RUN_FINISH].result[1].role, RESULT_IS_METRIC);
    for (int i = 0; i < d.calls; i++) {
        ck_assert_int_eq(unpacked.call[i].kernel, d.call[i].kernel);
        ck_assert_mem_eq(unpacked.call[i].buffer, d.call[i].buffer,
                         (size_t)d.call[i].buffers * sizeof *d.call[i].buffer);
        ck_assert_mem_eq(unpacked.call[i].argument, d.call[i].argument,
                         (size_t)d.call[i].arguments * sizeof *d.call[i].argument);
    }
    char *second = descriptor_pack(&unpacked, &again);
    ck_assert_int_eq(bytes, again);
    ck_assert_mem_eq(packed, second, bytes);
    free(second);
    free(packed);
    description_free(&unpacked);
    description_free(&d);
}
END_TEST

/* Extreme numbers, and none: a program that does not train. */
START_TEST(numbers_of_all_sizes_are_packed)
{
    int64_t number[] = {INT64_MIN, INT64_MAX, 0, -1, 1};
    DescribedCall call = {.name = "", .arguments = 5, .argument = number};
    DescribedKernel kernel = {.name = "k", .flops = 1e300, .bytes = -0.1};
    Description unpacked, small = {.model = "m",
                                   .hash = "",
                                   .version = "",
                                   .cpu = "",
                                   .needs = "",
                                   .seed = UINT64_MAX,
                                   .kernels = 1,
                                   .kernel = &kernel,
                                   .calls = 1,
                                   .call = &call};
    size_t bytes;
    char *packed = descriptor_pack(&small, &bytes);
    fault = (Fault){0};
    ck_assert_msg(descriptor_unpack(&unpacked, packed, &fault), "%s", fault.text);
    ck_assert_ptr_null(unpacked.training);
    ck_assert(unpacked.seed == UINT64_MAX);
    ck_assert_double_eq(unpacked.kernel[0].flops, 1e300);
    ck_assert_double_eq(unpacked.kernel[0].bytes, -0.1);
    ck_assert_mem_eq(unpacked.call[0].argument, number, sizeof number);
    description_free(&unpacked);
    free(packed);
}
END_TEST

/* zlib's checksum finds every bit; the head says what another netc's differs in. */
START_TEST(a_damaged_packed_descriptor_is_refused)
{
    size_t bytes = 0;
    char *packed = netc_pack(toy, &bytes);
    for (size_t i = sizeof(PackedHead); i < bytes; i++) {
        packed[i] ^= 4;
        fault = (Fault){0};
        ck_assert(!descriptor_unpack(&d, packed, &fault));
        ck_assert_str_eq(fault.text, "broken descriptor: it cannot be unpacked");
        description_free(&d);
        packed[i] ^= 4;
    }
    packed[1]++;
    fault = (Fault){0};
    ck_assert(!descriptor_unpack(&d, packed, &fault));
    ck_assert_str_eq(fault.text, "broken descriptor: another netc packed it");
    description_free(&d);
    free(packed);
}
END_TEST

static const struct {
    const char *from, *to, *says;
} change[] = {
    {"netc-descriptor 1", "netc-descriptor 2", "line 1: expected a number in range"},
    {"netc-descriptor 1", "something", "line 1: expected 'netc-descriptor'"},
    {"batch 8", "batch 0", "line 2: expected a number in range"},
    {"batch 8", "batch 99999999999999999999", "line 2: expected a number in range"},
    {"\"toy\" hash", "\"toy hash", "line 2: expected 'hash'"},
    {"model \"toy\"", "model \"t\\zoy\"", "line 2: bad escape in a string"},
    {"model \"toy\"", "model \"t\\000oy\"", "line 2: bad escape in a string"},
    {"batch 8\n", "batch 8 9\n", "line 2: expected the line's end"},
    {"epochs 3", "epochs -3", "line 3: expected a number in range"},
    {"argument \"path\" string", "argument \"path\" word", "line 5: expected 'string'"},
    {"field 5", "field 99", "expected a number in range"},
    {"field 5", "field 0", "a field is no input whose first dimension is the batch: 'weight'"},
    {"option \"lr\" 12", "option \"lr\" 11", "an option is no scalar number: 'lr'"},
    {"buffer param", "buffer parameter", "unknown kind"},
    {"f32 1 4^0", "f99 1 4^0", "unknown element type"},
    {"f32 1 4^0", "f32 9 4^0", "expected a number in range"},
    {"f32 1 4^0", "f32 1 4^", "expected a number in range"},
    {"f32 1 4^0", "f32 1 4^5", "expected a number in range"},
    {"f32 1 4^0", "f32 1 -4^0", "expected a number in range"},
    {"f32 1 4^0", "f32 1 9223372036854775807^0", "a buffer too large to address: 'weight'"},
    {"axes 1 0", "axes 1 1", "the axes are no permutation"},
    {"axes 1 0", "axes 1 2", "expected a number in range"},
    {"life 1 3", "life 3 1", "expected a number in range"},
    {"life 1 3", "life 1 99", "expected a number in range"},
    {"life 1 3", "life 2 3", "a call outside the life of its buffer: 'guess'"},
    {"at 64\n", "at 65\n", "a misaligned buffer: 'bias'"},
    {"at 64\n", "at 64 of 0\n", "slots, and only they, belong to a parameter: 'bias'"},
    {"at 192 of 0", "at 192", "slots, and only they, belong to a parameter: 'optim.m.weight'"},
    {"at 192 of 0", "at 192 of 2", "slots, and only they, belong to a parameter: 'optim.m.weight'"},
    {"items 1 1^1 4", "items 1 1^1 0", "expected a number in range"},
    {"items 1 1^1 4", "items 9223372036854775807 2^1 4", "a kernel with too many items: 'guess'"},
    {"flops 1e6", "flops many", "expected a number"},
    {"phase \"step\"", "phase \"walk\"", "the phases are init, step, test, finish, prepare, predict"},
    {"phase \"step\" 1 3", "phase \"step\" 2 2", "the phases' calls are not one after another"},
    {"phase \"predict\" 7 2", "phase \"predict\" 7 1", "calls outside the phases"},
    {"phase \"predict\" 7 2", "phase \"predict\" 7 2 slice 0", "expected a number in range"},
    {"phase \"predict\" 7 2", "phase \"predict\" 7 2 slice 1",
     "a result that does not live through all slices: 'class'"},
    {"phase \"step\" 1 3", "phase \"step\" 1 3 slice 2", "only predictions are made in slices"},
    {"phase \"predict\" 7 2", "phase \"predict\" 7 3", "expected a number in range"},
    {"result loss \"loss\" 16", "result gain \"loss\" 16", "unknown kind"},
    {"result loss \"loss\" 16", "result loss \"loss\" 0", "a loss or metric is no single number: 'loss'"},
    {"items 1 1^0 1 flops 2 ", "items 1 1^1 1 flops 2 ", "a kernel of finish grows with the batch: 'mean'"},
    {"call 5 \"mean\" buffers 3 4 16 17", "call 5 \"mean\" buffers 3 6 16 17",
     "a buffer of finish grows with the batch: 'digit'"},
    {"call 6", "call 7", "expected a number in range"},
    {"buffers 2 18 19", "buffers 2 18 20", "expected a number in range"},
    {"buffers 2 18 19", "buffers 2000000000 18 19", "expected a number in range"},
    {"buffers 2 18 19", "buffers 3 18 19", "expected a number in range"},
    {"arguments 1 7", "arguments 2 7", "expected a number in range"},
    {"arguments 1 7", "arguments 1 7 step 2", "expected a number in range"},
    {"arguments 1 7", "arguments 1 7 step 0", "expected a number in range"},
    {"arguments 1 7", "arguments 1 7 loop 0 3", "expected a number in range"},
    {"arguments 1 7", "arguments 1 7 loop 2 0", "expected a number in range"},
    {"arguments 1 7", "arguments 1 7 loop 3 3", "a loop beyond the end of its phase: 'learn'"},
    {"arguments 1 7\ncall 3 \"move\" buffers 6 0 1 3 12 10 14 arguments 0",
     "arguments 1 7 loop 2 3\ncall 3 \"move\" buffers 6 0 1 3 12 10 14 arguments 0 loop 1 2",
     "a loop in a loop: 'move'"},
    {"end\n", "", "expected 'end'"},
    {"end\n", "end\nmore\n", "text after the end"},
    {"end\n", "end", "expected the line's end"},
};
enum { CHANGES = sizeof change / sizeof *change };

static char *changed(int i)
{
    const char *at = strstr(toy, change[i].from);
    ck_assert_msg(at != NULL, "'%s' is not in the descriptor", change[i].from);
    char *text = malloc(sizeof toy + 100);
    sprintf(text, "%.*s%s%s", (int)(at - toy), toy, change[i].to, at + strlen(change[i].from));
    return text;
}

/* All calls of a loop know how often they are made, and their own step's argument. */
START_TEST(loops_are_read)
{
    const char *from = "arguments 1 7\n", *at = strstr(toy, from);
    char text[sizeof toy + 100];
    snprintf(text, sizeof text, "%.*sarguments 1 7 step 1 loop 2 30\n%s", (int)(at - toy), toy,
             at + strlen(from));
    ck_assert_msg(parse(text), "%s", fault.text);
    const DescribedCall *call = d.call;
    ck_assert_int_eq(call[2].step, 1);
    ck_assert_int_eq(call[2].loop_calls, 2);
    ck_assert_int_eq(call[1].steps, 1);
    ck_assert_int_eq(call[2].steps, 30);
    ck_assert_int_eq(call[3].steps, 30);
    ck_assert_int_eq(call[3].loop_calls, 0);
    ck_assert_int_eq(call[4].steps, 1);
    description_free(&d);
}
END_TEST

static void replace(char *text, const char *from, const char *to)
{
    char *at = strstr(text, from);
    ck_assert_ptr_nonnull(at);
    ck_assert_uint_eq(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
}

/* Samples are the first axis in memory of what is kept for all slices. */
START_TEST(slices_are_of_lists)
{
    char text[sizeof toy + 100];
    const char *from = "phase \"predict\" 7 2", *at = strstr(toy, from);
    snprintf(text, sizeof text, "%.*s%s slice 1%s", (int)(at - toy), toy, from, at + strlen(from));
    replace(text, "axes 0 1 life 8 8", "axes 0 1 life 7 8");
    ck_assert_msg(parse(text), "%s", fault.text);
    ck_assert_int_eq(d.phase[RUN_PREDICT].slice, 1);
    description_free(&d);
    replace(text, "axes 0 1 life 7 8", "axes 1 0 life 7 8");
    ck_assert(!parse(text));
    ck_assert_ptr_nonnull(strstr(fault.text, "a slice of what is no list of samples: 'class'"));
    description_free(&d);
}
END_TEST

START_TEST(every_broken_rule_is_named)
{
    char *text = changed(_i);
    ck_assert_msg(!parse(text), "'%s' was taken", change[_i].to);
    ck_assert_int_eq(fault.status, STATUS_INTERNAL);
    ck_assert_msg(strstr(fault.text, change[_i].says) != NULL, "'%s': %s", change[_i].to, fault.text);
    description_free(&d);
    free(text);
}
END_TEST

/* Cut anywhere, changed anywhere: a fault or a description, but nothing worse. */
START_TEST(damaged_texts_do_no_harm)
{
    char *text = malloc(sizeof toy);
    for (size_t length = 0; length + 1 < sizeof toy; length++) {
        memcpy(text, toy, length);
        text[length] = '\0';
        ck_assert(!parse(text));
        description_free(&d);
    }
    srand(1);
    for (int round = 0; round < 20000; round++) {
        memcpy(text, toy, sizeof toy);
        for (int n = 0; n < 3; n++)
            text[(size_t)rand() % (sizeof toy - 1)] = " 0123456789^\"\n-az\\"[rand() % 18];
        fault = (Fault){0};
        if (description_parse(&d, text, &fault))
            description_check(&d, &fault);
        description_free(&d);
    }
    free(text);
}
END_TEST

int main(void)
{
    (void)toy_kernel, (void)toy_write_data;
    Suite *suite = suite_create("descriptor");
    TCase *cases = tcase_create("descriptor");
    tcase_add_test(cases, every_line_is_read);
    tcase_add_test(cases, sizes_at_a_batch);
    tcase_add_test(cases, what_is_packed_is_unpacked);
    tcase_add_test(cases, numbers_of_all_sizes_are_packed);
    tcase_add_test(cases, a_damaged_packed_descriptor_is_refused);
    tcase_add_test(cases, needs_are_found_without_parsing);
    tcase_add_test(cases, loops_are_read);
    tcase_add_test(cases, slices_are_of_lists);
    tcase_add_loop_test(cases, every_broken_rule_is_named, 0, CHANGES);
    tcase_add_test(cases, damaged_texts_do_no_harm);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
