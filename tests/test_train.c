#include "checkpoint.h"
#include "run_toy.h"

#include <signal.h>
#include <sys/stat.h>

static void set_up(void)
{
    run_make_folder();
    ck_assert_int_eq(mkdir("data", 0777), 0);
    ck_assert_int_eq(toy_write_data("data", "train", 100), 0); /* 13 steps an epoch, the last of 4 samples */
    ck_assert_int_eq(toy_write_data("data", "t10k", 60), 0);
    run_well("train --data data --out whole --quiet --seed 7 --threads 1");
}

static bool exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

static int64_t step_in(const char *path)
{
    static char text[RUN_TEXT];
    memset(text, 0, sizeof text);
    run_read(path, text);
    const char *at = strstr(text + 8, "\"netc.step\":\"");
    return at ? strtoll(at + 13, NULL, 10) : -1;
}

START_TEST(training_writes_its_folder)
{
    static char log[RUN_TEXT];
    run_read("whole/log.csv", log);
    ck_assert_int_eq(strncmp(log, "epoch,step,loss,best,seconds\n1,13,", 34), 0);
    ck_assert_ptr_nonnull(strstr(log, "\n3,39,"));
    ck_assert_int_eq(step_in("whole/last.safetensors"), 39);
    ck_assert(exists("whole/best.safetensors"));
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    static const int threads[] = {2, 3, 7};
    char command[200];
    snprintf(command, sizeof command, "train --data data --out t%d --quiet --seed 7 --threads %d",
             threads[_i], threads[_i]);
    run_well(command);
    snprintf(command, sizeof command, "t%d/last.safetensors", threads[_i]);
    ck_assert(same_files("whole/last.safetensors", command));
}
END_TEST

/* Stopped after any step, and resumed without seed, with another number of threads: the same file. */
START_TEST(stopping_at_any_step_changes_nothing)
{
    for (int step = 1; step < 39; step += 1) {
        char command[200];
        snprintf(command, sizeof command,
                 "train --data data --out halves --force --quiet --seed 7 --threads 2 --steps %d", step);
        run_well(command);
        ck_assert_int_eq(step_in("halves/last.safetensors"), step);
        ck_assert(!same_files("whole/last.safetensors", "halves/last.safetensors"));
        run_well("train --data data --out halves --quiet --threads 1 --resume");
        ck_assert_msg(same_files("whole/last.safetensors", "halves/last.safetensors"), "stopped at step %d",
                      step);
        ck_assert_msg(same_files("whole/best.safetensors", "halves/best.safetensors"), "stopped at step %d",
                      step);
    }
}
END_TEST

START_TEST(the_log_goes_on_without_repeating)
{
    static char log[RUN_TEXT], resumed[RUN_TEXT];
    run_well("train --data data --out logged --quiet --steps 30");
    run_read("logged/log.csv", log);
    FILE *file = fopen("logged/log.csv", "ab");
    fputs("3,39,0.5,1,0.1\n4,52,0.4", file); /* of a run that was killed before it could save */
    fclose(file);
    run_well("train --data data --out logged --quiet --resume");
    run_read("logged/log.csv", resumed);
    ck_assert_int_eq(strncmp(resumed, log, strlen(log)), 0);
    ck_assert_int_eq(strncmp(resumed + strlen(log), "3,39,", 5), 0);
    ck_assert_ptr_null(strstr(resumed + strlen(log) + 5, "3,39,"));
    ck_assert_ptr_null(strstr(resumed, "4,52"));
}
END_TEST

START_TEST(options_come_back_on_resume)
{
    run_well("train --data data --out a --quiet --seed 3 --lr 0.01 --epochs 2 --batch 16");
    run_well("train --data data --out b --quiet --seed 3 --lr 0.01 --epochs 2 --batch 16 --steps 3");
    run_well("train --data data --out b --quiet --resume");
    ck_assert(same_files("a/last.safetensors", "b/last.safetensors"));
    run_well("train --data data --out c --quiet --seed 3 --epochs 2 --batch 16");
    ck_assert(!same_files("a/last.safetensors", "c/last.safetensors"));
    run_badly("train --data data --out b --resume --seed 4", 1,
              "--seed 4 cannot be resumed: b/last.safetensors has seed 3");
    run_badly("train --data data --out b --resume --batch 8", 1,
              "--batch 8 cannot be resumed: b/last.safetensors has batch 16");
}
END_TEST

START_TEST(a_folder_with_a_checkpoint_is_kept)
{
    run_badly("train --data data --out whole", 1,
              "whole holds a checkpoint already: --resume goes on from it, --force begins anew");
    run_badly("train --data data --out nowhere --resume", 1, "cannot open nowhere/last.safetensors");
    ck_assert(!exists("nowhere"));
    run_well("train --data data --quiet --steps 1");
    ck_assert(exists("runs/toy/last.safetensors"));
    run_well("train --data data --quiet --force --epochs 1");
    ck_assert(exists("runs/toy/best.safetensors"));
    run_well("train --data data --quiet --force --steps 1");
    ck_assert_msg(!exists("runs/toy/best.safetensors"), "the best of another run was left");
}
END_TEST

START_TEST(bad_folders_and_data_are_refused)
{
    FILE *file = fopen("plain", "wb");
    fclose(file);
    run_badly("train --data data --out plain --steps 1", 1, "plain: Not a directory");
    run_badly("train --out x1 --steps 1", 1, "there is no data folder nowhere; --data names another");
    run_badly("train --data gone --out x1 --steps 1", 1, "there is no data folder gone");
    run_badly("train --data whole --out x1 --steps 1", 1,
              "in the data folder whole there is neither train-images-idx3-ubyte nor");
    ck_assert(!exists("x1"));
    run_badly("test --data data -w data/train-labels-idx1-ubyte", 1,
              "train-labels-idx1-ubyte is no safetensors file");
    run_badly("test --data data -w gone", 1, "cannot open gone");
}
END_TEST

/* The whole arena is asked for before step 0. */
START_TEST(too_large_a_batch_is_refused_at_the_start)
{
    run_badly("train --data data --out x2 --batch 1000000000000", 1,
              "not enough memory: a batch of 1000000000000 needs ");
    run_badly("train --data data --out x2 --batch 4611686018427387904", 1, "a batch of 4611686018427387904");
    ck_assert(!exists("x2"));
}
END_TEST

START_TEST(labels_beyond_the_classes_are_refused)
{
    ck_assert_int_eq(mkdir("wrong", 0777), 0);
    ck_assert_int_eq(toy_write_data("wrong", "train", 20), 0);
    FILE *file = fopen("wrong/train-labels-idx1-ubyte", "r+b");
    fseek(file, 8 + 5, SEEK_SET);
    fputc(11, file);
    fclose(file);
    run_badly("train --data wrong --out x3", 1,
              "wrong/train-labels-idx1-ubyte: byte 13: label 11, the program knows 10 classes");
}
END_TEST

START_TEST(images_of_another_size_are_refused)
{
    ck_assert_int_eq(mkdir("large", 0777), 0);
    ck_assert_int_eq(toy_write_data("large", "train", 20), 0);
    FILE *file = fopen("large/train-images-idx3-ubyte", "r+b");
    fseek(file, 11, SEEK_SET);
    fputc(1, file);
    fseek(file, 15, SEEK_SET);
    fputc(4, file);
    fclose(file);
    run_badly("train --data large --out x4", 1,
              "train-images-idx3-ubyte: its samples are 1x4, the program's 'pixels' is 2x2");
}
END_TEST

START_TEST(infinity_stops_and_saves_nothing)
{
    run_well("train --data data --out nan --quiet --steps 13");
    ck_assert_int_eq(rename("nan/last.safetensors", "nan/kept"), 0);
    ck_assert_int_eq(link("nan/kept", "nan/last.safetensors"), 0);
    Run run = run_toy("train --data data --out nan --resume --lr 1e30");
    ck_assert_msg(run.status == 5, "status %d: %s", run.status, run.error);
    ck_assert_msg(strstr(run.error, "toy: error: the loss is ") && strstr(run.error, " at step ") &&
                      strstr(run.error, "--lr (now 1e+30)"),
                  "%s", run.error);
    ck_assert(same_files("nan/kept", "nan/last.safetensors"));
}
END_TEST

/* -- validation, best, patience ---------------------------------------------------------------- */

static const char with_valid[] = TOY_DESCRIPTOR("", TOY_VALID);

/* The descriptor with one of its words replaced. */
static const char *changed(const char *from, const char *to)
{
    static char text[sizeof with_valid + 100];
    const char *at = strstr(with_valid, from);
    ck_assert_ptr_nonnull(at);
    sprintf(text, "%.*s%s%s", (int)(at - with_valid), with_valid, to, at + strlen(from));
    return text;
}

/* The epoch of the log whose validation loss is least, or whose top1 is greatest; checks that the log marks
   the same. */
static int best_epoch_in(const char *log, bool by_loss)
{
    double best = by_loss ? -1e30 : -1;
    int best_epoch = 0;
    for (const char *line = strchr(log, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        int epoch, is_best;
        double loss, top1;
        ck_assert_int_eq(sscanf(line, "%d,%*d,%*f,%lf,%lf,%d", &epoch, &loss, &top1, &is_best), 4);
        double value = by_loss ? -loss : top1;
        ck_assert_int_eq(is_best, value > best);
        best_epoch = value > best ? epoch : best_epoch;
        best = value > best ? value : best;
    }
    return best_epoch;
}

START_TEST(validation_decides_what_is_best)
{
    static char log[RUN_TEXT];
    Run run = run_program(with_valid, toy_kernel, "train --data data --out v --seed 7");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert_ptr_nonnull(strstr(run.error, "epoch 1/3  loss "));
    ck_assert_ptr_nonnull(strstr(run.error, "  valid loss "));
    ck_assert_ptr_nonnull(strstr(run.out, "v/best.safetensors: epoch "));
    run_read("v/log.csv", log);
    ck_assert_int_eq(strncmp(log, "epoch,step,loss,valid_loss,valid_top1,best,seconds\n", 51), 0);

    int best_epoch = best_epoch_in(log, false);
    char expected[60];
    snprintf(expected, sizeof expected, "v/best.safetensors: epoch %d\n", best_epoch);
    ck_assert_ptr_nonnull(strstr(run.out, expected));
    ck_assert_int_eq(step_in("v/best.safetensors"), 13 * best_epoch);
}
END_TEST

START_TEST(a_validated_run_resumes_to_the_same_bits)
{
    ck_assert_int_eq(run_program(with_valid, toy_kernel, "train --data data --out w1 --quiet").status, 0);
    for (int step = 12; step < 28; step += 3) {
        char command[100];
        snprintf(command, sizeof command, "train --data data --out w2 --quiet --force --steps %d", step);
        ck_assert_int_eq(run_program(with_valid, toy_kernel, command).status, 0);
        ck_assert_int_eq(
            run_program(with_valid, toy_kernel, "train --data data --out w2 --quiet --resume").status, 0);
        ck_assert(same_files("w1/last.safetensors", "w2/last.safetensors"));
        ck_assert(same_files("w1/best.safetensors", "w2/best.safetensors"));
    }
}
END_TEST

START_TEST(patience_ends_training)
{
    const char *text = changed("patience 0", "patience 2");
    Run run = run_program(text, toy_kernel, "train --data data --out p --epochs 50 --lr 1e-20");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert_int_eq(step_in("p/last.safetensors"),
                     3 * 13); /* the first is the best, two more are waited for */
    run = run_program(text, toy_kernel, "train --data data --out p --resume");
    ck_assert_int_eq(run.status, 0);
    ck_assert_int_eq(step_in("p/last.safetensors"), 3 * 13);
}
END_TEST

START_TEST(a_loss_is_better_when_less)
{
    static char log[RUN_TEXT];
    Run run = run_program(changed("best \"\"", "best \"loss\""), toy_kernel,
                          "train --data data --out less --epochs 6");
    ck_assert_msg(run.status == 0, "%s", run.error);
    run_read("less/log.csv", log);
    ck_assert_int_eq(step_in("less/best.safetensors"), 13 * best_epoch_in(log, true));
}
END_TEST

/* -- signals ----------------------------------------------------------------------------------- */

/* Kernels that send signals to their own process while they move the parameters for the n-th time. */
static int moves, signal_move[2], signal_number[2];

static void move_and_signal(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    toy_move(buffer, argument, begin, end);
    moves++;
    for (int i = 0; i < 2; i++)
        if (moves == signal_move[i])
            raise(signal_number[i]);
}

static Run run_signalled(const char *command, int first_move, int first_signal, int second_move,
                         int second_signal)
{
    NetcKernel *const kernel[] = {toy_fill,  toy_guess, toy_learn, move_and_signal,
                                  toy_count, toy_mean,  toy_score};
    moves = 0; /* the program is a child: it begins from here */
    signal_move[0] = first_move, signal_number[0] = first_signal;
    signal_move[1] = second_move, signal_number[1] = second_signal;
    return run_program(TOY_DESCRIPTOR("", ""), kernel, command);
}

START_TEST(an_interrupt_saves_and_says_how_to_go_on)
{
    for (int step = 12; step <= 14; step++) { /* around the end of an epoch */
        Run run = run_signalled("train --data data --out i --force --seed 7 --threads 2", step, SIGINT, 0, 0);
        ck_assert_msg(run.status == 130, "status %d: %s", run.status, run.error);
        char expected[200];
        snprintf(expected, sizeof expected,
                 "toy: interrupted after step %d; saved in i/last.safetensors. To go on: ./toy train "
                 "--resume --out i\n",
                 step);
        ck_assert_msg(strstr(run.error, expected) != NULL, "%s", run.error);
        ck_assert_int_eq(step_in("i/last.safetensors"), step);
        run_well("train --resume --out i --data data --quiet");
        ck_assert(same_files("whole/last.safetensors", "i/last.safetensors"));
        ck_assert(same_files("whole/best.safetensors", "i/best.safetensors"));
    }
}
END_TEST

static int counts;

static void count_and_signal(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    toy_count(buffer, argument, begin, end);
    if (++counts == 10) /* of the second evaluation, in the middle */
        raise(SIGINT);
}

/* The epoch's end comes after resuming; nothing is lost or done twice. */
START_TEST(an_interrupted_evaluation_is_made_up_for)
{
    NetcKernel *const kernel[] = {toy_fill,         toy_guess, toy_learn, toy_move,
                                  count_and_signal, toy_mean,  toy_score};
    Run run = run_program(with_valid, toy_kernel, "train --data data --out e1 --quiet --seed 7");
    ck_assert_msg(run.status == 0, "%s", run.error);
    run = run_program(with_valid, kernel, "train --data data --out e2 --quiet --seed 7");
    ck_assert_msg(run.status == 130, "status %d: %s", run.status, run.error);
    ck_assert_int_eq(step_in("e2/last.safetensors"), 26);
    run = run_program(with_valid, toy_kernel, "train --data data --out e2 --quiet --resume");
    ck_assert_msg(run.status == 0, "%s", run.error);
    ck_assert(same_files("e1/last.safetensors", "e2/last.safetensors"));
    ck_assert(same_files("e1/best.safetensors", "e2/best.safetensors"));
}
END_TEST

START_TEST(other_data_cannot_be_resumed)
{
    ck_assert_int_eq(mkdir("other", 0777), 0);
    ck_assert_int_eq(toy_write_data("other", "train", 90), 0);
    run_well("train --data data --out o --quiet --steps 3");
    run_badly("train --data other --out o --resume", 1,
              "training cannot be resumed on other data: other has 90 samples, the checkpoint's had 100");
    run_badly("train --data data --out o --resume --epochs 9223372036854775807", 2, "--epochs: too many");
}
END_TEST

START_TEST(a_termination_has_its_own_status)
{
    Run run = run_signalled("train --data data --out term --quiet", 5, SIGTERM, 0, 0);
    ck_assert_int_eq(run.status, 143);
    ck_assert_int_eq(step_in("term/last.safetensors"), 5);
}
END_TEST

START_TEST(a_second_interrupt_ends_at_once)
{
    Run run = run_signalled("train --data data --out twice --quiet", 5, SIGINT, 5, SIGINT);
    ck_assert_int_eq(run.status, 130);
    ck_assert(!exists("twice/last.safetensors"));
}
END_TEST

START_TEST(a_checkpoint_comes_on_request)
{
    Run run = run_signalled("train --data data --out asked --quiet", 5, SIGUSR1, 8, SIGKILL);
    ck_assert_int_eq(run.status, -SIGKILL);
    ck_assert_int_eq(step_in("asked/last.safetensors"), 5);
    run_well("train --data data --out asked --quiet --resume --seed 1");
}
END_TEST

START_TEST(progress_is_a_line_an_epoch)
{
    Run run = run_toy("train --data data --out lines");
    ck_assert_int_eq(run.status, 0);
    int lines = 0;
    for (const char *c = run.error; *c; c++)
        lines += *c == '\n';
    ck_assert_int_eq(lines, 3);
    ck_assert_ptr_null(strchr(run.error, '\r'));
    run = run_toy("train --data data --out lines2 --log-every 10");
    ck_assert_ptr_nonnull(strstr(run.error, "epoch 1/3  step 10/39  loss "));
    ck_assert_ptr_nonnull(strstr(run.error, " left\n"));
    run = run_toy("train --data data --out lines3 --quiet");
    ck_assert_str_eq(run.error, "");
    ck_assert_str_eq(run.out, "");
}
END_TEST

int main(void)
{
    (void)checkpoint_last;
    Suite *suite = suite_create("train");
    TCase *cases = tcase_create("train");
    tcase_add_unchecked_fixture(cases, set_up, run_remove_folder);
    tcase_add_test(cases, training_writes_its_folder);
    tcase_add_loop_test(cases, threads_do_not_change_a_bit, 0, 3);
    tcase_add_test(cases, stopping_at_any_step_changes_nothing);
    tcase_add_test(cases, the_log_goes_on_without_repeating);
    tcase_add_test(cases, options_come_back_on_resume);
    tcase_add_test(cases, a_folder_with_a_checkpoint_is_kept);
    tcase_add_test(cases, bad_folders_and_data_are_refused);
    tcase_add_test(cases, too_large_a_batch_is_refused_at_the_start);
    tcase_add_test(cases, labels_beyond_the_classes_are_refused);
    tcase_add_test(cases, images_of_another_size_are_refused);
    tcase_add_test(cases, infinity_stops_and_saves_nothing);
    tcase_add_test(cases, validation_decides_what_is_best);
    tcase_add_test(cases, a_validated_run_resumes_to_the_same_bits);
    tcase_add_test(cases, patience_ends_training);
    tcase_add_test(cases, a_loss_is_better_when_less);
    tcase_add_test(cases, an_interrupt_saves_and_says_how_to_go_on);
    tcase_add_test(cases, an_interrupted_evaluation_is_made_up_for);
    tcase_add_test(cases, other_data_cannot_be_resumed);
    tcase_add_test(cases, a_termination_has_its_own_status);
    tcase_add_test(cases, a_second_interrupt_ends_at_once);
    tcase_add_test(cases, a_checkpoint_comes_on_request);
    tcase_add_test(cases, progress_is_a_line_an_epoch);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
