/* A prediction in slices, in turns and by several threads: what each sample gives, and that calls point to the first sample again. */
#include "slices.h"

#include <check.h>
#include <stdlib.h>

enum { BATCH = 20, WIDTH = 5 };

static const char text[] =
    "netc-descriptor 1\n"
    "model \"sliced\" hash \"00112233445566aa\" version \"0.1.0\" cpu \"any\" needs \"\" batch 1\n"
    "buffer param \"prepared_from\" f32 1 5^0 life 0 3 at 0\n"
    "buffer input \"x\" f32 2 1^1 5^0 life 0 3 at 64\n"
    "buffer transient \"prepared\" f32 1 5^0 life 0 2 at 128\n"
    "buffer transient \"between\" f32 2 1^1 5^0 life 1 2 at 192\n"
    "buffer result \"y\" f32 2 1^1 5^0 life 1 2 at 256\n"
    "kernel \"prepare\" items 1 1^0 1 flops 1e6 bytes 64\n"
    "kernel \"scale\" items 1 1^1 1 flops 1e6 bytes 64\n"
    "kernel \"add\" items 1 1^1 1 flops 1e6 bytes 64\n"
    "phase \"init\" 0 0\n"
    "phase \"step\" 0 0\n"
    "phase \"test\" 0 0\n"
    "phase \"finish\" 0 0\n"
    "phase \"prepare\" 0 1\n"
    "phase \"predict\" 1 2 slice 3\n"
    "result output \"y\" 4\n"
    "call 0 \"prepare\" buffers 2 0 2 arguments 0\n"
    "call 1 \"scale\" buffers 3 1 2 3 arguments 0\n"
    "call 2 \"add\" buffers 2 3 4 arguments 0\n"
    "end\n";

/* prepared = 2 · parameter; between = x · prepared; y = between + 1 */
static void call_kernel(void *context, int kernel, void *const *buffer, const int64_t *argument,
                        int64_t begin, int64_t end)
{
    (void)context, (void)argument;
    const float *in = buffer[0], *second = buffer[1];
    float *out = buffer[kernel == 1 ? 2 : 1];
    for (int64_t i = begin * WIDTH; i < end * WIDTH; i++)
        out[i] = kernel == 0 ? 2 * in[i] : kernel == 1 ? in[i] * second[i % WIDTH] : in[i] + 1;
}

static const NetcEngine engine = {call_kernel, NULL};

static void check_batch(Machine *machine, int64_t batch)
{
    float *x = machine_buffer(machine, 1), *y = machine_buffer(machine, 4);
    for (int i = 0; i < machine->batch * WIDTH; i++) {
        x[i] = (float)(i + batch);
        y[i] = -1;
    }
    machine_run(machine, RUN_PREDICT, batch);
    for (int i = 0; i < machine->batch * WIDTH; i++) {
        float want = i < batch * WIDTH ? x[i] * 2 * (float)(i % WIDTH + 1) + 1 : -1;
        ck_assert_msg(y[i] == want, "batch %d: element %d is %g, not %g", (int)batch, i, (double)y[i],
                      (double)want);
    }
    for (int call = 1; call < 3; call++)
        for (int j = 0; j < machine->description->call[call].buffers; j++)
            ck_assert_ptr_eq(machine->call[call].buffer[j],
                             machine_buffer(machine, machine->description->call[call].buffer[j]));
}

START_TEST(every_sample_is_made_once)
{
    Description description;
    Machine machine;
    Fault fault = {0};
    ck_assert_msg(description_parse(&description, text, &fault), "%s", fault.text);
    for (int64_t most = 1; most <= BATCH; most++) {
        ck_assert_msg(machine_start(&machine, &description, &engine, PHASES_PREDICT, most, _i, &fault), "%s",
                      fault.text);
        for (int i = 0; i < WIDTH; i++)
            ((float *)machine_buffer(&machine, 0))[i] = (float)(i + 1);
        machine_run(&machine, RUN_PREPARE, 1);
        for (int64_t batch = 1; batch <= most; batch++)
            check_batch(&machine, batch);
        machine_stop(&machine);
    }
    description_free(&description);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slices");
    TCase *cases = tcase_create("slices");
    tcase_add_loop_test(cases, every_sample_is_made_once, 1, 6);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
