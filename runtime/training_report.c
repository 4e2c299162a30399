#include "system.h"

#include "session.h"
#include "text_out.h"
#include "training_report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char log_name[] = "log.csv";
enum { REPORT_LINE = 2000, REPORT_MOST_LOG = 64 << 20 };
static const double drawing_interval = 0.1; /* seconds */

static const DescribedPhase *finish_phase(const Report *report)
{
    return &report->machine->description->phase[RUN_FINISH];
}

static void put_head(const Report *report, TextOut *out)
{
    text_out(out, "epoch,step,loss");
    for (int i = 0; i < finish_phase(report)->results && report->validates; i++)
        text_out(out, ",valid_%s", finish_phase(report)->result[i].name);
    text_out(out, ",best,seconds\n");
}

static bool log_fault(const Report *report, Fault *fault)
{
    return fault_set(fault, STATUS_INPUT, "cannot write %s/%s: %s", report->folder->path, log_name,
                     strerror(errno));
}

/* Drops the rows of epochs that the checkpoint does not know, for a run that was killed may have written one
   more. Returns the length of what is left: the head and the other rows, or nothing. */
static size_t keep_rows(char *text, int64_t epoch)
{
    size_t kept = 0, rows = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        bool head = line == text,
             row = !head && *line >= '1' && *line <= '9' && (int64_t)strtoull(line, NULL, 10) <= epoch;
        if (head || row) {
            memmove(text + kept, line, (size_t)(end + 1 - line));
            kept += (size_t)(end + 1 - line);
            rows += row;
        }
    }
    return rows ? kept : 0;
}

/* The head comes with the first row. */
static bool begin_log(Report *report, const TrainingState *state, Fault *fault)
{
    char path[4096], *text = NULL;
    Fault ignored = {0};
    InputFile old = {.handle = -1};
    OutputFile file;
    size_t kept = 0;
    if (state->epoch > 0 && path_join(path, sizeof path, report->folder->path, log_name) &&
        input_open(&old, path, &ignored) && (text = (char *)input_load(&old, REPORT_MOST_LOG, &ignored))) {
        text[old.bytes] = '\0';
        kept = keep_rows(text, state->epoch);
    }
    report->headed = kept > 0;
    bool done = output_begin(&file, report->folder, log_name, 0, fault) &&
                output_write(&file, text, (int64_t)kept, fault) && output_finish(&file, fault);
    free(text);
    input_close(&old);
    return done;
}

bool report_open(Report *report, OutputFolder *folder, const TrainingState *state, Fault *fault)
{
    report->folder = folder;
    report->log = -1;
    report->terminal = isatty(STDERR_FILENO);
    report->run_began = report->epoch_began = seconds_now();
    report->run_step = report->epoch_step = state->step;
    if (!begin_log(report, state, fault))
        return false;
    report->log = openat(folder->handle, log_name, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
    return report->log >= 0 || log_fault(report, fault);
}

void report_close(Report *report)
{
    if (report->log >= 0)
        close(report->log);
    report->log = -1;
}

static void put_duration(TextOut *out, double seconds)
{
    int64_t whole = (int64_t)(seconds + 0.5), hours = whole / 3600;
    if (hours)
        text_out(out, "%" PRId64 ":%02d:%02d", hours, (int)(whole / 60 % 60), (int)(whole % 60));
    else
        text_out(out, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
}

static double samples_per_second(const Report *report, int64_t steps, double seconds)
{
    double each = (double)report->samples / (double)report->steps_per_epoch;
    return seconds > 0 ? (double)steps * each / seconds : 0;
}

static void say(Report *report, const TextOut *out, bool stays)
{
    int length = (int)(out->length < out->size ? out->length : out->size);
    if (!report->terminal)
        fprintf(stderr, "%.*s\n", length, out->to);
    else
        fprintf(stderr, "\r%.*s\x1b[K%s", length, out->to, stays ? "\n" : "");
    report->line_open = report->terminal && !stays;
}

void report_end_line(Report *report)
{
    if (report->line_open)
        fputc('\n', stderr);
    report->line_open = false;
}

void report_step(Report *report, const TrainingState *state, int64_t last_step, double loss)
{
    bool line = report->log_every && state->step % report->log_every == 0;
    double now = seconds_now();
    bool draw = report->terminal && now - report->drawn >= drawing_interval;
    if (report->quiet || !(line || draw))
        return;
    report->drawn = now;
    char text[200];
    TextOut out = {text, sizeof text, 0};
    double seconds = now - report->run_began;
    int64_t steps = state->step - report->run_step;
    text_out(&out, "epoch %" PRId64 "/%" PRId64 "  step %" PRId64 "/%" PRId64 "  loss %.4f  %.0f samples/s  ",
             (state->step - 1) / report->steps_per_epoch + 1, state->epochs, state->step, last_step, loss,
             samples_per_second(report, steps, seconds));
    put_duration(&out, seconds / (double)steps * (double)(last_step - state->step));
    text_out(&out, " left");
    say(report, &out, line);
}

static void put_row(const Report *report, TextOut *out, const TrainingState *state, double loss, bool best,
                    double seconds)
{
    text_out(out, "%" PRId64 ",%" PRId64 ",", state->epoch, state->step);
    text_out_number(out, loss, true);
    for (int i = 0; i < finish_phase(report)->results && report->validates; i++) {
        text_out(out, ",");
        text_out_number(out, machine_number(report->machine, finish_phase(report)->result[i].buffer), true);
    }
    text_out(out, ",%d,%.3f\n", best, seconds);
}

static void put_epoch(const Report *report, TextOut *out, const TrainingState *state, double loss, bool best,
                      double seconds)
{
    text_out(out, "epoch %" PRId64 "/%" PRId64 "  loss %.4f", state->epoch, state->epochs, loss);
    for (int i = 0; i < finish_phase(report)->results && report->validates; i++) {
        const DescribedResult *result = &finish_phase(report)->result[i];
        text_out(out, "%s%s %.4f", i ? " " : "  valid ", result->name,
                 machine_number(report->machine, result->buffer));
    }
    text_out(out, "  %.1f s  %.0f samples/s%s", seconds,
             samples_per_second(report, state->step - report->epoch_step, seconds), best ? "  best" : "");
}

bool report_epoch(Report *report, const TrainingState *state, double loss, bool best, Fault *fault)
{
    char text[REPORT_LINE];
    double now = seconds_now(), seconds = now - report->epoch_began;
    TextOut row = {text, sizeof text, 0};
    if (!report->headed)
        put_head(report, &row);
    report->headed = true;
    put_row(report, &row, state, loss, best, seconds);
    if (write_all(report->log, text, (int64_t)(row.length < row.size ? row.length : row.size)) != 0)
        return log_fault(report, fault);
    TextOut line = {text, sizeof text, 0};
    put_epoch(report, &line, state, loss, best, seconds);
    if (!report->quiet)
        say(report, &line, true);
    report->epoch_began = now;
    report->epoch_step = state->step;
    return true;
}
