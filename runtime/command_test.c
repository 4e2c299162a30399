#include "system.h"

#include "session.h"
#include "text_out.h"

#include <inttypes.h>
#include <stdio.h>

/* One number of `finish`, as JSON or as a line. */
static void put_result(TextOut *out, const Machine *machine, const DescribedResult *result)
{
    bool single = machine->description->buffer[result->buffer].element == ELEMENT_F32;
    text_out_number(out, machine_number(machine, result->buffer), single);
}

static void print_text(TextOut *out)
{
    fwrite(out->to, 1, out->length < out->size ? out->length : out->size, stdout);
    out->length = 0;
}

/* {"samples":10000,"loss":0.03,"metrics":{"top1":0.9912}} */
static void print_json(const Machine *machine, int64_t samples)
{
    const DescribedPhase *finish = &machine->description->phase[RUN_FINISH];
    char text[400];
    TextOut out = {text, sizeof text, 0};
    printf("{\"samples\":%" PRId64, samples);
    for (int i = 0; i < finish->results; i++)
        if (finish->result[i].role == RESULT_IS_LOSS) {
            text_out(&out, ",\"loss\":");
            put_result(&out, machine, &finish->result[i]);
            print_text(&out);
        }
    printf(",\"metrics\":{");
    const char *comma = "";
    for (int i = 0; i < finish->results; i++)
        if (finish->result[i].role == RESULT_IS_METRIC) {
            text_out(&out, "%s", comma);
            text_out_quoted(&out, finish->result[i].name);
            text_out(&out, ":");
            put_result(&out, machine, &finish->result[i]);
            print_text(&out);
            comma = ",";
        }
    printf("}}\n");
}

static void print_lines(const Machine *machine, int64_t samples)
{
    const DescribedPhase *finish = &machine->description->phase[RUN_FINISH];
    printf("samples %" PRId64 "\n", samples);
    for (int i = 0; i < finish->results; i++) {
        char text[40];
        TextOut out = {text, sizeof text, 0};
        printf("%s ", finish->result[i].name);
        put_result(&out, machine, &finish->result[i]);
        print_text(&out);
        fputc('\n', stdout);
    }
}

/* The `test` entry, else `valid`, else the training source's own test split. */
static bool open_test_data(const Session *session, DataSet *set, Fault *fault)
{
    return session_open_data(session, set, "test", false, fault) ||
           (fault->status == STATUS_OK && session_open_data(session, set, "valid", false, fault)) ||
           (fault->status == STATUS_OK && session_open_data(session, set, "train", true, fault));
}

static bool test_with(const Session *session, Machine *machine, Fault *fault)
{
    DataSet set = {0};
    bool done = session_load_weights(session, machine, fault) && open_test_data(session, &set, fault);
    if (done) {
        session_evaluate(machine, &set, machine->batch, NULL);
        if (session->line->json)
            print_json(machine, set.samples);
        else
            print_lines(machine, set.samples);
    }
    dataset_close(&set);
    return done;
}

bool command_test(const Session *session, Fault *fault)
{
    const Description *d = session->description;
    Machine machine;
    if (!d->phase[RUN_FINISH].count || !d->sources)
        return fault_set(fault, STATUS_USAGE,
                         "this program has nothing to test: its .net file has no `train` with data");
    int64_t batch = session->line->batch ? session->line->batch : d->batch;
    if (!session_start(session, &machine, PHASES_TEST, batch, fault))
        return false;
    bool done = test_with(session, &machine, fault);
    machine_stop(&machine);
    return done;
}
