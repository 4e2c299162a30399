#include "system.h"

#include "checked.h"
#include "checkpoint.h"
#include "interrupt.h"
#include "session.h"
#include "text_out.h"
#include "training_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Everything that changes from step to step is in `state`, so that a checkpoint of it is the whole truth: the
   place in the epoch follows from the step, the order of samples from seed and epoch, random numbers from
   seed and step. */
typedef struct Trainer {
    const Session *session;
    const Description *description;
    Fault *fault;
    TrainingState state;
    Machine machine;
    DataSet data, valid;
    bool validates;
    OutputFolder folder;
    CheckpointWriter writer;
    Report report;
    int64_t steps_per_epoch, last_step;
    int loss;           /* buffer */
    int64_t saved_step; /* last.safetensors holds it; -1: nothing yet */
    double last_loss;   /* of an epoch */
} Trainer;

/* -- settings ---------------------------------------------------------------------------------- */

static bool begin_state(Trainer *trainer)
{
    const CommandLine *line = trainer->session->line;
    const Description *d = trainer->description;
    trainer->state = (TrainingState){.seed = line->seed_text ? line->seed : d->seed,
                                     .batch = line->batch ? line->batch : d->batch,
                                     .epochs = line->epochs ? line->epochs : d->epochs,
                                     .best = NAN,
                                     .options = d->options};
    memcpy(trainer->state.option, line->option, sizeof line->option);
    return true;
}

/* Seed and batch fix which samples a step sees: they cannot change on the way. */
static bool resume_state(Trainer *trainer, const char *path)
{
    const CommandLine *line = trainer->session->line;
    TrainingState *state = &trainer->state;
    Checkpoint checkpoint;
    bool done = checkpoint_open(&checkpoint, path, trainer->fault) &&
                checkpoint_state(&checkpoint, trainer->description, state, trainer->fault);
    checkpoint_close(&checkpoint);
    if (!done)
        return false;
    if (line->seed_text && line->seed != state->seed)
        return fault_set(trainer->fault, STATUS_INPUT,
                         "--seed %" PRIu64 " cannot be resumed: %s has seed %" PRIu64, line->seed, path,
                         state->seed);
    if (line->batch && line->batch != state->batch)
        return fault_set(trainer->fault, STATUS_INPUT,
                         "--batch %" PRId64 " cannot be resumed: %s has batch %" PRId64, line->batch, path,
                         state->batch);
    state->epochs = line->epochs ? line->epochs : state->epochs;
    for (int i = 0; i < state->options; i++)
        if (!isnan(line->option[i]))
            state->option[i] = line->option[i];
    trainer->saved_step = state->step;
    return true;
}

static bool settle_state(Trainer *trainer, const char *out, const char *last)
{
    const CommandLine *line = trainer->session->line;
    if (line->resume && line->force)
        return fault_set(trainer->fault, STATUS_USAGE,
                         "--resume goes on, --force begins anew: give one of them");
    if (line->resume)
        return resume_state(trainer, last);
    if (!line->force && (folder_holds(out, checkpoint_last) || folder_holds(out, checkpoint_best)))
        return fault_set(trainer->fault, STATUS_INPUT,
                         "%s holds a checkpoint already: --resume goes on from it, --force begins anew", out);
    return begin_state(trainer);
}

/* -- start ------------------------------------------------------------------------------------- */

static int loss_buffer(const Description *d, RunPhase phase)
{
    for (int i = 0; i < d->phase[phase].results; i++)
        if (d->phase[phase].result[i].role == RESULT_IS_LOSS)
            return d->phase[phase].result[i].buffer;
    return -1;
}

/* What a checkpoint says of the place in training must be possible with this data. */
static bool check_place(const Trainer *trainer)
{
    const TrainingState *state = &trainer->state;
    int64_t samples = trainer->data.samples, steps = trainer->steps_per_epoch;
    if (state->samples != samples)
        return fault_set(trainer->fault, STATUS_INPUT,
                         "training cannot be resumed on other data: %s has %" PRId64
                         " samples, the checkpoint's had %" PRId64,
                         trainer->data.folder, samples, state->samples);
    bool evaluated = state->step / steps == state->epoch;
    bool epoch_ended = state->step % steps == 0 && state->step / steps == state->epoch + 1;
    return evaluated || epoch_ended ||
           fault_set(trainer->fault, STATUS_INPUT,
                     "the checkpoint contradicts itself: step %" PRId64 ", epoch %" PRId64, state->step,
                     state->epoch);
}

static bool open_sets(Trainer *trainer)
{
    const Session *session = trainer->session;
    if (!session_open_data(session, &trainer->data, "train", false, trainer->fault))
        return fault_set(trainer->fault, STATUS_INTERNAL, "this program has no training data");
    trainer->validates = session_open_data(session, &trainer->valid, "valid", false, trainer->fault);
    if (trainer->fault->status != STATUS_OK)
        return false;
    trainer->steps_per_epoch = (trainer->data.samples - 1) / trainer->state.batch + 1;
    if (session->line->resume)
        return check_place(trainer);
    trainer->state.samples = trainer->data.samples;
    return true;
}

static bool fill_parameters(Trainer *trainer, const char *last)
{
    const TrainingState *state = &trainer->state;
    session_set_scalars(trainer->session, &trainer->machine, state->seed, state->option, state->epochs);
    if (!trainer->session->line->resume) {
        machine_run(&trainer->machine, RUN_INIT, state->batch);
        return true;
    }
    Checkpoint checkpoint;
    bool done = checkpoint_open(&checkpoint, last, trainer->fault) &&
                checkpoint_load(&checkpoint, &trainer->machine, true, trainer->fault);
    checkpoint_close(&checkpoint);
    return done;
}

/* What is in the folder of an earlier run would pass for results of this one. */
static void forget_old_run(const Trainer *trainer)
{
    unlinkat(trainer->folder.handle, checkpoint_best, 0);
    unlinkat(trainer->folder.handle, checkpoint_last, 0);
}

static bool open_outputs(Trainer *trainer, const char *out)
{
    const CommandLine *line = trainer->session->line;
    if (!folder_open(&trainer->folder, out, trainer->fault))
        return false;
    if (line->force)
        forget_old_run(trainer);
    trainer->report = (Report){.machine = &trainer->machine,
                               .quiet = line->quiet,
                               .validates = trainer->validates,
                               .log_every = line->log_every,
                               .steps_per_epoch = trainer->steps_per_epoch,
                               .samples = trainer->data.samples,
                               .log = -1};
    return report_open(&trainer->report, &trainer->folder, &trainer->state, trainer->fault);
}

/* -- the loop ---------------------------------------------------------------------------------- */

static bool save(Trainer *trainer, const char *name)
{
    if (!checkpoint_save(&trainer->writer, &trainer->folder, name, &trainer->state, trainer->fault))
        return false;
    if (name == checkpoint_last)
        trainer->saved_step = trainer->state.step;
    return true;
}

static bool nan_fault(const Trainer *trainer, double loss)
{
    char options[400] = "";
    const Description *d = trainer->description;
    for (int i = 0; i < d->options; i++) {
        size_t used = strlen(options);
        double value = trainer->state.option[i];
        if (isnan(value))
            text_format(options + used, sizeof options - used, " --%s X", d->option[i].name);
        else
            text_format(options + used, sizeof options - used, " --%s (now %g)", d->option[i].name, value);
    }
    int64_t step = trainer->state.step + 1;
    return fault_set(trainer->fault, STATUS_NAN,
                     "the loss is %s at step %" PRId64 ", epoch %" PRId64
                     "; checkpoints are as they were. A smaller learning rate may help:%s",
                     isnan(loss) ? "not a number" : "infinite", step,
                     (step - 1) / trainer->steps_per_epoch + 1,
                     *options ? options : " `optimizer` in the .net file");
}

static bool train_step(Trainer *trainer)
{
    TrainingState *state = &trainer->state;
    Machine *machine = &trainer->machine;
    int64_t epoch = state->step / trainer->steps_per_epoch,
            first = state->step % trainer->steps_per_epoch * state->batch;
    int64_t left = trainer->data.samples - first, count = left < state->batch ? left : state->batch;
    SampleOrder order = sample_order(state->seed, epoch, trainer->data.samples);

    machine_set_scalar(machine, "step", 0, (double)(state->step + 1));
    machine_set_scalar(machine, "epoch", 0, (double)epoch);
    machine_set_scalar(machine, "progress", 0,
                       (double)state->step / ((double)state->epochs * (double)trainer->steps_per_epoch));
    dataset_load(&trainer->data, machine, &order, first, count);
    machine_run(machine, RUN_STEP, count);

    double loss = machine_number(machine, trainer->loss);
    if (!isfinite(loss))
        return nan_fault(trainer, loss);
    state->step++;
    state->loss_sum += loss * (double)count;
    report_step(&trainer->report, state, trainer->last_step, loss);
    return true;
}

/* Of a name that says so, less is better; of all others, more. */
static bool less_is_better(const char *name)
{
    static const char *const word[] = {"loss", "error", "mse", "mae", "perplexity"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (strstr(name, word[i]))
            return true;
    return false;
}

/* What `best` goes by: the named result, else the first metric, of the validation set; without one, the
   training loss. */
static bool is_best(Trainer *trainer, double loss)
{
    const Description *d = trainer->description;
    const DescribedResult *by = NULL;
    TrainingState *state = &trainer->state;
    for (int i = 0; i < d->phase[RUN_FINISH].results && trainer->validates; i++) {
        const DescribedResult *result = &d->phase[RUN_FINISH].result[i];
        bool named = *d->best ? strcmp(result->name, d->best) == 0 : !by && result->role == RESULT_IS_METRIC;
        by = named ? result : by;
    }
    double value = by ? machine_number(&trainer->machine, by->buffer) : loss;
    bool less = !by || less_is_better(by->name);
    bool best = !isnan(value) && (isnan(state->best) || (less ? value < state->best : value > state->best));
    if (best) {
        state->best = value;
        state->best_epoch = state->epoch;
    }
    return best;
}

/* The log comes first: a row too many is dropped when training is resumed, a row too few would be missed. */
static bool end_epoch(Trainer *trainer)
{
    TrainingState *state = &trainer->state;
    if (trainer->validates &&
        !session_evaluate(&trainer->machine, &trainer->valid, state->batch, interrupt_stops))
        return true;
    double loss = state->loss_sum / (double)trainer->data.samples;
    state->epoch++;
    state->loss_sum = 0;
    trainer->last_loss = loss;
    bool best = is_best(trainer, loss);
    return report_epoch(&trainer->report, state, loss, best, trainer->fault) &&
           (!best || save(trainer, checkpoint_best)) && save(trainer, checkpoint_last);
}

static bool out_of_patience(const Trainer *trainer)
{
    const TrainingState *state = &trainer->state;
    int64_t patience = trainer->description->patience;
    return patience > 0 && state->best_epoch > 0 && state->epoch - state->best_epoch >= patience;
}

static bool train_loop(Trainer *trainer)
{
    TrainingState *state = &trainer->state;
    while (!interrupt_stops()) {
        bool epoch_ended = state->step == (state->epoch + 1) * trainer->steps_per_epoch;
        if (!epoch_ended && (state->step >= trainer->last_step || out_of_patience(trainer)))
            break;
        if (epoch_ended ? !end_epoch(trainer) : !train_step(trainer))
            return false;
        if (interrupt_wants_save() && !save(trainer, checkpoint_last))
            return false;
    }
    return trainer->saved_step == state->step || save(trainer, checkpoint_last);
}

/* -- the command ------------------------------------------------------------------------------- */

static bool interruption(const Trainer *trainer, const char *out)
{
    return fault_set(trainer->fault, STATUS_INTERRUPTED + interrupt_signal(),
                     "interrupted after step %" PRId64
                     "; saved in %s/%s. To go on: %s train --resume --out %s",
                     trainer->state.step, out, checkpoint_last, trainer->session->line->program, out);
}

static void conclude(const Trainer *trainer, const char *out)
{
    const TrainingState *state = &trainer->state;
    if (trainer->session->line->quiet)
        return;
    if (state->best_epoch)
        printf("%s/%s: epoch %" PRId64 "\n", out, checkpoint_best, state->best_epoch);
    printf("%s/%s: step %" PRId64 "\n", out, checkpoint_last, state->step);
}

static bool run_training(Trainer *trainer, const char *out, const char *last)
{
    const CommandLine *line = trainer->session->line;
    if (!checked_multiply(trainer->steps_per_epoch, trainer->state.epochs, &trainer->last_step))
        return fault_set(trainer->fault, STATUS_USAGE, "--epochs: too many");
    if (line->steps && line->steps < trainer->last_step)
        trainer->last_step = line->steps;
    if (!fill_parameters(trainer, last) || !open_outputs(trainer, out) ||
        !checkpoint_writer_make(&trainer->writer, &trainer->machine, trainer->fault))
        return false;
    InterruptState signals;
    interrupt_begin(&signals);
    bool done = train_loop(trainer);
    report_end_line(&trainer->report);
    if (done && interrupt_stops())
        done = interruption(trainer, out);
    interrupt_end(&signals);
    if (done)
        conclude(trainer, out);
    return done;
}

bool command_train(const Session *session, Fault *fault)
{
    char default_folder[1000], last[4096];
    Trainer trainer = {.session = session,
                       .description = session->description,
                       .fault = fault,
                       .folder.handle = -1,
                       .report.log = -1,
                       .saved_step = -1};
    trainer.loss = loss_buffer(session->description, RUN_STEP);
    if (!session->description->training || trainer.loss < 0)
        return fault_set(fault, STATUS_USAGE, "this program does not learn: its .net file has no `train`");
    session_default_folder(session, default_folder, sizeof default_folder);
    const char *out = session->line->out ? session->line->out : default_folder;
    if (!path_join(last, sizeof last, out, checkpoint_last))
        return fault_set(fault, STATUS_INPUT, "--out: the path is too long");

    bool done = settle_state(&trainer, out, last) && open_sets(&trainer) &&
                session_start(session, &trainer.machine, PHASES_TRAIN | (trainer.validates ? PHASES_TEST : 0),
                              trainer.state.batch, fault);
    if (done) {
        done = run_training(&trainer, out, last);
        checkpoint_writer_free(&trainer.writer);
        machine_stop(&trainer.machine);
    }
    report_close(&trainer.report);
    folder_close(&trainer.folder);
    dataset_close(&trainer.data);
    dataset_close(&trainer.valid);
    return done;
}
