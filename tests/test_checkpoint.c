#include "checkpoint.h"
#include "tensor_view.h"
#include "toy_program.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char root[] = "/tmp/netc-checkpoint-XXXXXX";
static Fault fault;
static Description description;
static Machine machine;
static CheckpointWriter writer;
static OutputFolder folder;

static void call_toy(void *context, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                     int64_t end)
{
    (void)context;
    toy_kernel[kernel](buffer, argument, begin, end);
}
static const NetcEngine engine = {call_toy, NULL};

static void start_machine(const char *descriptor)
{
    fault = (Fault){0};
    ck_assert_msg(description_parse(&description, descriptor, &fault), "%s", fault.text);
    unsigned phases = PHASES_TRAIN | PHASES_TEST | PHASES_PREDICT;
    ck_assert_msg(machine_start(&machine, &description, &engine, phases, 8, 1, &fault), "%s", fault.text);
}

static void stop_machine(void)
{
    machine_stop(&machine);
    description_free(&description);
}

static void set_up(void)
{
    start_machine(TOY_DESCRIPTOR("", ""));
    machine_run(&machine, RUN_INIT, 8);
    ck_assert(checkpoint_writer_make(&writer, &machine, &fault));
    ck_assert_msg(folder_open(&folder, root, &fault), "%s", fault.text);
}

static void tear_down(void)
{
    checkpoint_writer_free(&writer);
    folder_close(&folder);
    stop_machine();
}

static void make_root(void) { ck_assert_ptr_nonnull(mkdtemp(root)); }

static void remove_root(void)
{
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static const TrainingState state = {.seed = 123456789012345,
                                    .batch = 8,
                                    .epochs = 5,
                                    .samples = 100,
                                    .step = 17,
                                    .epoch = 1,
                                    .loss_sum = 0.1,
                                    .best = 1e-3,
                                    .best_epoch = 1,
                                    .options = 1,
                                    .option = {NAN}};

static bool load(const char *name, bool slots)
{
    Checkpoint checkpoint;
    fault = (Fault){0};
    bool done = checkpoint_open(&checkpoint, path_of(name), &fault) &&
                checkpoint_load(&checkpoint, &machine, slots, &fault);
    checkpoint_close(&checkpoint);
    return done;
}

START_TEST(what_is_saved_comes_back)
{
    float weight[4], table[6];
    memcpy(weight, machine_buffer(&machine, 0), sizeof weight);
    memcpy(table, machine_buffer(&machine, 2), sizeof table);
    ((float *)machine_buffer(&machine, 3))[2] = 42;
    ck_assert_msg(checkpoint_save(&writer, &folder, "a", &state, &fault), "%s", fault.text);
    memset(machine.arena, 0x55, (size_t)machine.arena_bytes);
    ck_assert_msg(load("a", true), "%s", fault.text);
    ck_assert_mem_eq(machine_buffer(&machine, 0), weight, sizeof weight);
    ck_assert_mem_eq(machine_buffer(&machine, 2), table, sizeof table);
    ck_assert_float_eq(((float *)machine_buffer(&machine, 3))[2], 42);

    Checkpoint checkpoint;
    TrainingState read;
    ck_assert(checkpoint_open(&checkpoint, path_of("a"), &fault));
    ck_assert_msg(checkpoint_state(&checkpoint, &description, &read, &fault), "%s", fault.text);
    ck_assert_uint_eq(read.seed, state.seed);
    ck_assert_int_eq(read.step, 17);
    ck_assert_double_eq(read.loss_sum, 0.1);
    ck_assert_double_eq(read.best, 1e-3);
    ck_assert(isnan(read.option[0]));
    checkpoint_close(&checkpoint);
}
END_TEST

/* In the file, a tensor is in logical order whatever its layout in memory. */
START_TEST(files_are_in_logical_order)
{
    Checkpoint checkpoint;
    float *memory = machine_buffer(&machine, 2), stored[6], expected[6];
    for (int i = 0; i < 6; i++)
        memory[i] = (float)i; /* columns first: memory[column * 2 + row] */
    for (int row = 0; row < 2; row++)
        for (int column = 0; column < 3; column++)
            expected[row * 3 + column] = (float)(column * 2 + row);
    ck_assert(checkpoint_save(&writer, &folder, "a", &state, &fault));
    ck_assert(checkpoint_open(&checkpoint, path_of("a"), &fault));
    const SafeTensor *table = safetensors_find(&checkpoint.header, "table");
    ck_assert_ptr_nonnull(table);
    ck_assert(input_read(&checkpoint.file, stored, sizeof stored, table->begin, &fault));
    ck_assert_mem_eq(stored, expected, sizeof stored);
    checkpoint_close(&checkpoint);
}
END_TEST

static char *read_whole(const char *name, int64_t *bytes)
{
    InputFile file;
    ck_assert_msg(input_open(&file, path_of(name), &fault), "%s", fault.text);
    char *text = (char *)input_load(&file, 1 << 20, &fault);
    *bytes = file.bytes;
    input_close(&file);
    return text;
}

START_TEST(equal_states_give_equal_files)
{
    int64_t a_bytes, b_bytes;
    ck_assert(checkpoint_save(&writer, &folder, "a", &state, &fault));
    ck_assert(checkpoint_save(&writer, &folder, "b", &state, &fault));
    char *a = read_whole("a", &a_bytes), *b = read_whole("b", &b_bytes);
    ck_assert_int_eq(a_bytes, b_bytes);
    ck_assert_mem_eq(a, b, (size_t)a_bytes);
    free(a);
    free(b);
}
END_TEST

/* Whatever single bit is turned, in the length, the header or the data, it is noticed. */
START_TEST(every_flipped_bit_is_noticed)
{
    int64_t bytes;
    ck_assert(checkpoint_save(&writer, &folder, "a", &state, &fault));
    char *whole = read_whole("a", &bytes);
    for (int64_t bit = 0; bit < 8 * bytes; bit++) {
        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
        FILE *file = fopen(path_of("flipped"), "wb");
        fwrite(whole, 1, (size_t)bytes, file);
        fclose(file);
        ck_assert_msg(!load("flipped", true), "bit %d of byte %d", (int)(bit % 8), (int)(bit / 8));
        ck_assert_int_eq(fault.status, STATUS_INPUT);
        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
    }
    free(whole);
}
END_TEST

START_TEST(every_cut_is_noticed)
{
    int64_t bytes;
    ck_assert(checkpoint_save(&writer, &folder, "a", &state, &fault));
    char *whole = read_whole("a", &bytes);
    for (int64_t length = 0; length < bytes; length++) {
        FILE *file = fopen(path_of("cut"), "wb");
        fwrite(whole, 1, (size_t)length, file);
        fclose(file);
        ck_assert(!load("cut", true));
        ck_assert_ptr_nonnull(strstr(fault.text, "/cut"));
    }
    free(whole);
}
END_TEST

static void write_plain(const char *name, const char *json, int floats)
{
    FILE *file = fopen(path_of(name), "wb");
    uint64_t length = strlen(json);
    fwrite(&length, 8, 1, file);
    fwrite(json, 1, length, file);
    for (int i = 0; i < floats; i++)
        fwrite(&(float){(float)i}, 4, 1, file);
    fclose(file);
}

#define F32(name, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

/* Written by other software: without a checksum, without slots. */
START_TEST(foreign_files_are_read)
{
    write_plain("plain",
                "{" F32("weight", "4", 0, 16) "," F32("bias", "", 16, 20) "," F32("table", "2,3", 20, 44) "}",
                11);
    ck_assert_msg(load("plain", false), "%s", fault.text);
    ck_assert_float_eq(((float *)machine_buffer(&machine, 0))[3], 3);
    ck_assert_float_eq(((float *)machine_buffer(&machine, 2))[1], 8); /* row 1, column 0 */
}
END_TEST

static const struct {
    const char *json;
    int floats;
    const char *says;
} misfit[] = {
    {"{" F32("weight", "4", 0, 16) "," F32("bias", "", 16, 20) "}", 5, "tensor 'table' is missing"},
    {"{" F32("weight", "2,2", 0, 16) "," F32("bias", "", 16, 20) "," F32("table", "2,3", 20, 44) "}", 11,
     "tensor 'weight' has another shape"},
    {"{" F32("weight", "4", 0, 16) "," F32("bias", "", 16, 20) "," F32("table", "3,2", 20, 44) "}", 11,
     "tensor 'table' has another shape"},
    {"{\"weight\":{\"dtype\":\"I32\",\"shape\":[4],\"data_offsets\":[0,16]}," F32("bias", "", 16, 20) "," F32(
         "table", "2,3", 20, 44) "}",
     11, "tensor 'weight' has another element type"},
    {"{" F32("weight", "4", 0, 16) "," F32("bias", "", 16, 20) "," F32("table", "2,3", 20,
                                                                       44) "," F32("w2", "1", 44, 48) "}",
     12, "tensor 'w2' is none of this program's"},
    {"{\"__metadata__\":{\"netc.graph_hash\":\"1\"}," F32("weight", "4", 0, 16) "}", 4, "is damaged"},
};
enum { MISFITS = sizeof misfit / sizeof *misfit };

START_TEST(misfits_are_refused_and_change_nothing)
{
    float before[4];
    memcpy(before, machine_buffer(&machine, 0), sizeof before);
    write_plain("misfit", misfit[_i].json, misfit[_i].floats);
    ck_assert(!load("misfit", false));
    ck_assert_msg(strstr(fault.text, misfit[_i].says) && strstr(fault.text, "/misfit"), "%s", fault.text);
    ck_assert_mem_eq(machine_buffer(&machine, 0), before, sizeof before);
}
END_TEST

START_TEST(another_program_cannot_resume)
{
    Checkpoint checkpoint;
    TrainingState read;
    ck_assert(checkpoint_save(&writer, &folder, "a", &state, &fault));
    char hash[] = "ffffffffffffffff";
    description.hash = hash;
    ck_assert(checkpoint_open(&checkpoint, path_of("a"), &fault));
    ck_assert(!checkpoint_state(&checkpoint, &description, &read, &fault));
    ck_assert_ptr_nonnull(
        strstr(fault.text, "/a is of another program: graph hash 00112233445566aa, this program's is ffff"));
    checkpoint_close(&checkpoint);
}
END_TEST

/* -- faults while writing ---------------------------------------------------------------------- */

static int count_files(void)
{
    char command[400];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", root);
    FILE *pipe = popen(command, "r");
    int count = -1;
    ck_assert_int_eq(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

/* The file is limited to every length below the one it needs: the old one stays, nothing is left behind. */
START_TEST(a_full_disk_keeps_the_old_file)
{
    int64_t bytes, after;
    signal(SIGXFSZ, SIG_IGN);
    ck_assert(checkpoint_save(&writer, &folder, "only", &state, &fault));
    char *old = read_whole("only", &bytes);
    int files = count_files();
    TrainingState later = state;
    later.step = 18;
    for (int64_t length = 0; length < bytes; length += 97) {
        struct rlimit limit, tight;
        getrlimit(RLIMIT_FSIZE, &limit);
        tight = limit;
        tight.rlim_cur = (rlim_t)length;
        setrlimit(RLIMIT_FSIZE, &tight);
        fault = (Fault){0};
        bool saved = checkpoint_save(&writer, &folder, "only", &later, &fault);
        setrlimit(RLIMIT_FSIZE, &limit);
        ck_assert(!saved);
        ck_assert_int_eq(fault.status, STATUS_INPUT);
        ck_assert_msg(strstr(fault.text, "/only: File too large") != NULL, "%s", fault.text);
        ck_assert_int_eq(count_files(), files);
    }
    char *now = read_whole("only", &after);
    ck_assert_int_eq(after, bytes);
    ck_assert_mem_eq(now, old, (size_t)bytes);
    free(now);
    free(old);
}
END_TEST

START_TEST(a_full_file_system_keeps_the_old_file)
{
    char *small = strdup(path_of("small"));
    if (mkdir(small, 0777) != 0 || mount("tmpfs", small, "tmpfs", 0, "size=8k") != 0) {
        free(small); /* needs root */
        return;
    }
    OutputFolder full;
    int64_t bytes, after;
    ck_assert(folder_open(&full, small, &fault));
    ck_assert(checkpoint_save(&writer, &full, "only", &state, &fault));
    char *old = read_whole("small/only", &bytes);
    FILE *fill = fopen(path_of("small/fill"), "wb");
    setbuf(fill, NULL);
    for (int i = 0; i < 100 && fputc(0, fill) != EOF; i++)
        fseek(fill, 1000, SEEK_CUR);
    fclose(fill);
    TrainingState later = state;
    later.step = 18;
    ck_assert(!checkpoint_save(&writer, &full, "only", &later, &fault));
    ck_assert_ptr_nonnull(strstr(fault.text, "No space left on device"));
    char *now = read_whole("small/only", &after);
    ck_assert_int_eq(after, bytes);
    ck_assert_mem_eq(now, old, (size_t)bytes);
    free(now);
    free(old);
    folder_close(&full);
    ck_assert_int_eq(umount(small), 0);
    free(small);
}
END_TEST

/* Killed at any moment, a program leaves the old file or the new one, whole; the next one to save is not in
   the way of what is left of it. */
START_TEST(a_kill_leaves_a_whole_file)
{
    ck_assert(checkpoint_save(&writer, &folder, "killed", &state, &fault));
    srand(1);
    for (int round = 0; round < 100; round++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            TrainingState later = state;
            for (;;) {
                later.step++;
                checkpoint_save(&writer, &folder, "killed", &later, &fault);
            }
        }
        nanosleep(&(struct timespec){0, 100000 + rand() % 3000000}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        ck_assert_msg(load("killed", true), "round %d: %s", round, fault.text);
    }
    ck_assert_msg(checkpoint_save(&writer, &folder, "killed", &state, &fault), "%s", fault.text);
    ck_assert_msg(load("killed", true), "%s", fault.text);
}
END_TEST

/* A link where the file goes is replaced, never followed; one where the new version goes is removed. */
START_TEST(links_are_not_followed)
{
    struct stat status;
    char *victim = strdup(path_of("victim"));
    FILE *file = fopen(victim, "wb");
    fputs("precious", file);
    fclose(file);
    ck_assert_int_eq(symlink(victim, path_of("linked")), 0);
    ck_assert_int_eq(symlink(victim, path_of(".linked.new")), 0);
    ck_assert_msg(checkpoint_save(&writer, &folder, "linked", &state, &fault), "%s", fault.text);
    ck_assert_int_eq(stat(victim, &status), 0);
    ck_assert_int_eq(status.st_size, 8);
    ck_assert_int_eq(lstat(path_of("linked"), &status), 0);
    ck_assert(S_ISREG(status.st_mode));
    free(victim);
}
END_TEST

START_TEST(folders_that_cannot_be_are_refused)
{
    OutputFolder other;
    FILE *file = fopen(path_of("file"), "wb");
    fclose(file);
    fault = (Fault){0};
    ck_assert(!folder_open(&other, path_of("file"), &fault));
    ck_assert_msg(strstr(fault.text, "/file: Not a directory") != NULL, "%s", fault.text);
    fault = (Fault){0};
    ck_assert(!folder_open(&other, path_of("file/below"), &fault));
    ck_assert_msg(strstr(fault.text, "Not a directory") != NULL, "%s", fault.text);
    if (geteuid() != 0) {
        ck_assert_int_eq(mkdir(path_of("closed"), 0555), 0);
        fault = (Fault){0};
        ck_assert(!folder_open(&other, path_of("closed"), &fault));
        ck_assert_msg(strstr(fault.text, "/closed: Permission denied") != NULL, "%s", fault.text);
    }
    fault = (Fault){0};
    ck_assert_msg(folder_open(&other, path_of("a1/b2/c3"), &fault), "%s", fault.text);
    folder_close(&other);
}
END_TEST

/* -- views ------------------------------------------------------------------------------------- */

/* Any part, in any layout, goes in and out by logical order. */
START_TEST(views_turn_layouts)
{
    float memory[2 * 3 * 4], logical[24], out[24];
    TensorView view = {(char *)memory, ELEMENT_F32, 3, {2, 3, 4}, {1, 8, 2}, 24, false}; /* axes 1 2 0 */
    for (int i = 0; i < 24; i++)
        logical[i] = (float)i;
    for (int first = 0; first < 24; first++)
        for (int count = 0; first + count <= 24; count++) {
            memset(memory, 0, sizeof memory);
            memset(out, 0, sizeof out);
            view_write(&view, first, count, logical + first);
            view_read(&view, first, count, out + first);
            for (int i = 0; i < 24; i++) {
                float expected = i >= first && i < first + count ? (float)i : 0;
                ck_assert_float_eq(out[i], expected);
                ck_assert_float_eq(memory[i / 12 * 1 + i / 4 % 3 * 8 + i % 4 * 2], expected);
            }
        }
}
END_TEST

int main(void)
{
    (void)toy_write_data;
    Suite *suite = suite_create("checkpoint");
    TCase *cases = tcase_create("checkpoint");
    tcase_add_unchecked_fixture(cases, make_root, remove_root);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, what_is_saved_comes_back);
    tcase_add_test(cases, files_are_in_logical_order);
    tcase_add_test(cases, equal_states_give_equal_files);
    tcase_add_test(cases, every_flipped_bit_is_noticed);
    tcase_add_test(cases, every_cut_is_noticed);
    tcase_add_test(cases, foreign_files_are_read);
    tcase_add_loop_test(cases, misfits_are_refused_and_change_nothing, 0, MISFITS);
    tcase_add_test(cases, another_program_cannot_resume);
    tcase_add_test(cases, a_full_disk_keeps_the_old_file);
    tcase_add_test(cases, a_full_file_system_keeps_the_old_file);
    tcase_add_test(cases, a_kill_leaves_a_whole_file);
    tcase_add_test(cases, links_are_not_followed);
    tcase_add_test(cases, folders_that_cannot_be_are_refused);
    tcase_add_test(cases, views_turn_layouts);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
