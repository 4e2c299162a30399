/* Loss and metrics over a whole split. An expression of sums over the batch is cut at those sums: each becomes an
   accumulator to which every batch adds, and what is left of the expression is the finish phase, run once with the number
   of samples as its batch. A mean is a sum times 1 / size, so it divides by the true number; a short last batch counts in
   full. What is not built so is refused: it would depend on how the samples fall into batches. */
#include "elaborate.h"

#include <string.h>

typedef struct Cut {
    Elaborator *e;
    Graph *test, *finish;
    int count;        /* nodes of the test graph before it is cut */
    char *mixes;      /* by id: combines samples, or knows how many there are */
    char *needed;     /* by id, for one measure: part of what is left of it */
    Node **carried;   /* by id: its node in finish */
    const char *name; /* of the measure */
    int accumulators; /* of this measure */
} Cut;

static int batch_power(const Type *type)
{
    int power = 0;
    for (int d = 0; d < type->rank; d++)
        power += type->dim[d].power;
    return power;
}

static int inputs_power(const Node *node)
{
    int most = 0;
    for (int i = 0; i < op_info[node->op].inputs; i++) {
        int power = batch_power(&node->in[i]->type);
        most = power > most ? power : most;
    }
    return most;
}

/* Below a sum each sample must stand for itself: nothing there may combine samples or know their number. */
static void find_mixing(Cut *cut)
{
    for (int n = 0; n < cut->count; n++) {
        const Node *node = cut->test->node.at[n];
        int power = batch_power(&node->type);
        cut->mixes[n] = node->op == OP_SIZE || power > 1 || power < inputs_power(node);
        for (int i = 0; i < op_info[node->op].inputs; i++)
            cut->mixes[n] |= cut->mixes[node->in[i]->id];
    }
}

static bool is_batch_sum(const Node *node)
{
    return node->op == OP_SUM && batch_power(&node->type) == 0 && batch_power(&node->in[0]->type) == 1;
}

static void mark_needed(Cut *cut, const Node *measure)
{
    memset(cut->needed, 0, (size_t)cut->count);
    cut->needed[measure->id] = 1;
    for (int n = measure->id; n >= 0; n--) {
        const Node *node = cut->test->node.at[n];
        for (int i = 0; cut->needed[n] && !is_batch_sum(node) && i < op_info[node->op].inputs; i++)
            cut->needed[node->in[i]->id] = 1;
    }
}

static Node *accumulate(Cut *cut, Node *sum)
{
    Elaborator *e = cut->e;
    const char *name = cut->accumulators++ ? format_text(e, "metric.%s.%d", cut->name, cut->accumulators)
                                           : format_text(e, "metric.%s", cut->name);
    Variable *v = model_variable(e->model, VARIABLE_METRIC, name, type_like(DTYPE_F64, &sum->type));
    v->span = sum->span;
    Node *total =
        graph_binary(cut->test, OP_ADD, graph_variable(cut->test, v), graph_cast(cut->test, sum, DTYPE_F64));
    list_add(e->arena, &cut->test->assign, ((Assign){v, total}));
    return graph_cast(cut->finish, graph_variable(cut->finish, v), sum->type.dtype);
}

static Node *carry(Cut *cut, Node *node)
{
    Node copy = *node;
    for (int i = 0; i < op_info[node->op].inputs; i++)
        copy.in[i] = cut->carried[node->in[i]->id];
    return graph_add(cut->finish, copy);
}

/* Why a node cannot stand in the measure; NULL if it can. */
static const char *objection(const Cut *cut, const Node *node)
{
    if (is_batch_sum(node))
        return cut->mixes[node->in[0]->id]
                   ? "within a sum over the batch it uses another one, or the number of samples"
                   : NULL;
    return batch_power(&node->type) < inputs_power(node)
               ? "it depends on the samples otherwise than by sums and means over the batch"
               : NULL;
}

/* What is left of the measure, in the finish graph; NULL after a report. */
static Node *cut_measure(Cut *cut, const char *name, Node *measure, Span span)
{
    Elaborator *e = cut->e;
    cut->name = name;
    cut->accumulators = 0;
    mark_needed(cut, measure);
    for (int n = 0; n <= measure->id; n++) {
        Node *node = cut->test->node.at[n];
        if (!cut->needed[n] || cut->carried[n])
            continue;
        const char *why = objection(cut, node);
        if (why) {
            report(e, span, "'%s' cannot be measured over a split of several batches: %s", name, why);
            report_note(e, node->span, "it is this, %s", type_text(e, &node->type));
            report_help(e, "take sums or means over the batch first, and combine them after");
            return NULL;
        }
        cut->carried[n] = is_batch_sum(node) ? accumulate(cut, node) : carry(cut, node);
    }
    return cut->carried[measure->id];
}

typedef struct Measure {
    ResultKind kind;
    const char *name;
    Span span;
    Value value;
} Measure;

typedef LIST(Measure) Measures;

static bool metric_named(Elaborator *e, const Measures *measures, const Entry *entry)
{
    if (!entry->name.text || entry->on.text || entry->declares) {
        report(e, entry->span, "a metric has a name, as in metric top1 = accuracy(logits, digit)");
        return false;
    }
    for (int i = 0; i < measures->count; i++)
        if (!strcmp(measures->at[i].name, entry->name.text)) {
            report(e, entry->name.span, "there are two metrics '%s'", entry->name.text);
            return false;
        }
    return true;
}

static void evaluate_measures(Elaborator *e, Measures *measures)
{
    const TrainField *loss = e->plan->field[PLAN_LOSS], *metric = e->plan->field[PLAN_METRIC];
    const Term *term = loss->entry.at[0].value;
    Measure first = {RESULT_LOSS, "loss", term->span, evaluate_measure(e, "loss", term)};
    list_add(e->arena, measures, first);
    for (int i = 0; metric && i < metric->entry.count; i++) {
        const Entry *entry = &metric->entry.at[i];
        if (!metric_named(e, measures, entry))
            continue;
        Measure next = {RESULT_METRIC, entry->name.text, entry->value->span, value_poison};
        next.value = evaluate_measure(e, next.name, entry->value);
        list_add(e->arena, measures, next);
    }
}

void elaborate_measures(Elaborator *e)
{
    Measures measures = {0};
    evaluate_measures(e, &measures);
    if (e->faults)
        return;
    Cut cut = {
        .e = e, .test = e->graph, .finish = e->model->phase[PHASE_FINISH], .count = e->graph->node.count};
    cut.mixes = arena_alloc(e->arena, (size_t)cut.count);
    cut.needed = arena_alloc(e->arena, (size_t)cut.count);
    cut.carried = arena_alloc(e->arena, (size_t)cut.count * sizeof(Node *));
    find_mixing(&cut);
    for (int i = 0; i < measures.count; i++) {
        const Measure *m = &measures.at[i];
        cut.test->scope = cut.finish->scope = m->name;
        Node *node = cut_measure(&cut, m->name, m->value.node, m->span);
        if (node)
            list_add(e->arena, &cut.finish->result, ((Result){m->kind, m->name, node}));
    }
}
