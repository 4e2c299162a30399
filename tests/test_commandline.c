#include "commandline.h"
#include "run_toy.h"

#include <math.h>

static void set_up(void)
{
    run_make_folder();
    ck_assert_int_eq(mkdir("data", 0777), 0);
    ck_assert_int_eq(toy_write_data("data", "train", 100), 0);
    ck_assert_int_eq(toy_write_data("data", "t10k", 60), 0);
    run_well("train --data data --out shared --quiet");
}

/* -- help and slips ---------------------------------------------------------------------------- */

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

START_TEST(without_arguments_it_explains_itself)
{
    Run run = run_toy("");
    ck_assert_int_eq(run.status, 2);
    ck_assert_str_eq(run.out, "");
    ck_assert_int_le(count_lines(run.error), 15);
    ck_assert_ptr_nonnull(strstr(
        run.error, "input:  pixels u8[batch, 2, 2]\noutput: class f32[batch, 10]\nmetrics: loss, top1\n"));
    run = run_toy("--help");
    ck_assert_int_eq(run.status, 0);
    ck_assert_str_eq(run.error, "");
    ck_assert_ptr_nonnull(strstr(run.out, "usage: ./toy COMMAND"));
}
END_TEST

START_TEST(commands_list_their_options)
{
    Run run = run_toy("train --help");
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "--epochs N"));
    ck_assert_ptr_nonnull(strstr(run.out, "--lr X"));
    ck_assert_ptr_null(strstr(run.out, "--weights"));
    run = run_toy("predict -h");
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "-w, --weights FILE"));
    ck_assert_ptr_null(strstr(run.out, "--lr"));
}
END_TEST

static const struct {
    const char *command, *says;
} slip[] = {
    {"trian", "unknown command 'trian'; did you mean 'train'?"},
    {"frobnicate", "unknown command 'frobnicate'; --help lists them"},
    {"train --epoch 3", "unknown option --epoch; did you mean --epochs?"},
    {"train --ls 3", "unknown option --ls; did you mean --lr?"},
    {"train --frobnicate", "unknown option --frobnicate; --help lists them"},
    {"train --json", "unknown option --json"},
    {"test --lr 3", "unknown option --lr"},
    {"train -x", "unknown option -x"},
    {"train -qq", "unknown option -qq"},
    {"train --epochs", "--epochs wants a value"},
    {"train --epochs=", "--epochs wants a count from 1 on, not ''"},
    {"train --epochs 0", "--epochs wants a count from 1 on, not '0'"},
    {"train --epochs -1", "--epochs wants a count from 1 on, not '-1'"},
    {"train --epochs 3x", "--epochs wants a count from 1 on, not '3x'"},
    {"train --epochs 99999999999999999999", "--epochs wants a count from 1 on"},
    {"train --seed -1", "--seed wants a whole number from 0 on, not '-1'"},
    {"train --seed 18446744073709551616", "--seed wants a whole number"},
    {"train --lr fast", "--lr wants a number, not 'fast'"},
    {"train --lr nan", "--lr wants a number, not 'nan'"},
    {"train --quiet=yes", "--quiet takes no value"},
    {"train --out=", "--out: the name is empty"},
    {"train extra", "unexpected argument 'extra'"},
    {"test -w", "-w wants a value"},
    {"predict", "predict wants files"},
    {"predict --input pixels", "--input wants NAME=FILE.npy"},
    {"train --data data --out x --threads 5000", "--threads: at most 1024"},
    {"train --data data --out x --resume --force", "--resume goes on, --force begins anew"},
};
enum { SLIPS = sizeof slip / sizeof *slip };

START_TEST(slips_are_named_with_status_2) { run_badly(slip[_i].command, 2, slip[_i].says); }
END_TEST

START_TEST(options_may_stand_anywhere)
{
    char words[] = "toy predict --top=3 a.png -w x -o y.npy -- --b.png", *argv[12] = {NULL};
    int argc = 0;
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    Fault fault = {0};
    Description description;
    CommandLine line;
    ck_assert(description_parse(&description, TOY_DESCRIPTOR("", ""), &fault));
    ck_assert_msg(commandline_parse(&line, &description, argc, argv, &fault), "%s", fault.text);
    ck_assert_int_eq(line.command, COMMAND_PREDICT);
    ck_assert_int_eq(line.top, 3);
    ck_assert_str_eq(line.weights, "x");
    ck_assert_str_eq(line.output, "y.npy");
    ck_assert_int_eq(line.files, 2);
    ck_assert_str_eq(line.file[0], "a.png");
    ck_assert_str_eq(line.file[1], "--b.png");
    ck_assert(isnan(line.option[0]));
    description_free(&description);
}
END_TEST

/* -- test, info, bench ------------------------------------------------------------------------- */

START_TEST(test_measures_the_test_data)
{
    Run run = run_toy("test --data data -w shared/best.safetensors --json");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert_msg(strncmp(run.out, "{\"samples\":60,\"loss\":0.", 23) == 0, "%s", run.out);
    ck_assert_ptr_nonnull(strstr(run.out, ",\"metrics\":{\"top1\":0."));
    Run lines = run_toy("test --data data -w shared/best.safetensors");
    ck_assert_int_eq(strncmp(lines.out, "samples 60\nloss 0.", 18), 0);
}
END_TEST

/* Also for batches that are larger than planned, and for a short last one. */
START_TEST(batch_size_does_not_change_results)
{
    static const int batches[] = {1, 7, 60, 64, 1000};
    Run eight = run_toy("test --data data -w shared/best.safetensors --json");
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        char command[100];
        snprintf(command, sizeof command, "test --data data -w shared/best.safetensors --json --batch %d",
                 batches[i]);
        Run run = run_toy(command);
        ck_assert_msg(strcmp(run.out, eight.out) == 0, "batch %d: %s instead of %s", batches[i], run.out,
                      eight.out);
    }
}
END_TEST

START_TEST(info_tells_the_shapes)
{
    Run run = run_toy("info");
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "input      pixels u8[batch, 2, 2]\n"));
    ck_assert_ptr_nonnull(strstr(run.out, "in all     5 parameters, 20 bytes\n"));
    run = run_toy("info --json");
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "\"graph_hash\":\"00112233445566aa\""));
    ck_assert_ptr_nonnull(
        strstr(run.out, "\"inputs\":[{\"name\":\"pixels\",\"type\":\"u8\",\"shape\":[\"batch\",2,2]}]"));
}
END_TEST

START_TEST(bench_needs_no_data)
{
    char mode[20];
    int batch, threads, taken = 0;
    double p50, p90, p99, gflops, peak;
    Run run = run_toy("bench --train --batch 20 --threads 2 --iters 30 --json");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert_int_eq(
        sscanf(
            run.out,
            "{\"mode\":\"%9[a-z]\",\"batch\":%d,\"threads\":%d,\"ms\":{\"p50\":%lf,\"p90\":%lf,\"p99\":%lf},"
            "\"gflops\":%lf,\"peak_bytes\":%lf}\n%n",
            mode, &batch, &threads, &p50, &p90, &p99, &gflops, &peak, &taken),
        8);
    ck_assert_int_eq(taken, (int)strlen(run.out));
    ck_assert_str_eq(mode, "train");
    ck_assert_int_eq(batch, 20);
    ck_assert_int_eq(threads, 2);
    ck_assert(p50 > 0 && p50 <= p90 && p90 <= p99 && gflops > 0 && peak > 0);
    run = run_toy("bench --layers --iters 3");
    ck_assert_int_eq(run.status, 0);
    ck_assert_ptr_nonnull(strstr(run.out, "\nscore "));
    run = run_toy("bench --layers --iters 3 --json");
    ck_assert_ptr_nonnull(strstr(run.out, ",\"layers\":[{\"name\":\"guess\",\"kernel\":\"guess\",\"ms\":"));
}
END_TEST

/* -- what a program lacks ---------------------------------------------------------------------- */

START_TEST(an_old_cpu_is_told)
{
    Run run = run_program(TOY_DESCRIPTOR("fma,antigravity", ""), toy_kernel, "info");
    ck_assert_int_eq(run.status, 4);
    ck_assert_msg(strstr(run.error, "compiled for a CPU with antigravity, which this CPU lacks") != NULL,
                  "%s", run.error);
    ck_assert_str_eq(run.out, "");
}
END_TEST

START_TEST(other_devices_are_refused)
{
    run_badly("train --data data --out x --device cuda:0", 4,
              "--device cuda:0: this program was compiled for the CPU");
}
END_TEST

START_TEST(a_broken_descriptor_is_our_fault)
{
    Run run = run_program("netc-descriptor 1\nmodel \"x\"\n", toy_kernel, "info");
    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(run.error, "x: error: broken descriptor, line 2: expected 'hash'\n");
}
END_TEST

START_TEST(output_that_cannot_be_written_is_an_error)
{
    Run run = run_toy("info");
    ck_assert_int_eq(run.status, 0);
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {"toy", "info", NULL};
        dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO);
        dup2(open("error.txt", O_WRONLY | O_CREAT | O_TRUNC, 0666), STDERR_FILENO);
        _exit(netc_main(TOY_DESCRIPTOR("", ""), toy_kernel, 2, argv));
    }
    int status = 0;
    waitpid(child, &status, 0);
    ck_assert_int_eq(WEXITSTATUS(status), 1);
    run_read("error.txt", run.error);
    ck_assert_ptr_nonnull(strstr(run.error, "cannot write to standard output: No space left on device"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("commandline");
    TCase *cases = tcase_create("commandline");
    tcase_add_unchecked_fixture(cases, set_up, run_remove_folder);
    tcase_add_test(cases, without_arguments_it_explains_itself);
    tcase_add_test(cases, commands_list_their_options);
    tcase_add_loop_test(cases, slips_are_named_with_status_2, 0, SLIPS);
    tcase_add_test(cases, options_may_stand_anywhere);
    tcase_add_test(cases, test_measures_the_test_data);
    tcase_add_test(cases, batch_size_does_not_change_results);
    tcase_add_test(cases, info_tells_the_shapes);
    tcase_add_test(cases, bench_needs_no_data);
    tcase_add_test(cases, an_old_cpu_is_told);
    tcase_add_test(cases, other_devices_are_refused);
    tcase_add_test(cases, a_broken_descriptor_is_our_fault);
    tcase_add_test(cases, output_that_cannot_be_written_is_an_error);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
