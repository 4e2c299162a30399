/* Loss and metrics over a whole split. An expression of sums over the batch is cut at those sums: each becomes an
   accumulator to which every batch adds, and what is left of the expression is the finish phase, run once with the number
   of samples as its batch. A mean is a sum times 1 / size, so it divides by the true number; a short last batch counts in
   full. What is not built so is refused: it would depend on how the samples fall into batches. */
#include "elaborate.h"

#include <string.h>

typedef struct Cut {
    Elaborator *e;
    Graph *test, *finish;
    const char *name; /* of the measure */
    int accumulators; /* of this measure */
    Node **carried;   /* by id in test: the node in finish */
    char *inside;     /* by id in test: 1 known to be free of the batch's composition, 2 not */
    const char *why;
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

/* Below a sum each sample must stand for itself: nothing there may combine samples or know their number. Nodes are in
   order, so one walk upwards settles all; it is made anew for new nodes only. */
static bool combines(Cut *cut, const Node *node)
{
    if (node->op == OP_SIZE || batch_power(&node->type) > 1 || batch_power(&node->type) < inputs_power(node))
        return true;
    for (int i = 0; i < op_info[node->op].inputs; i++)
        if (cut->inside[node->in[i]->id] == 2)
            return true;
    return false;
}

static bool is_batch_sum(const Node *node)
{
    return node->op == OP_SUM && batch_power(&node->type) == 0 && batch_power(&node->in[0]->type) == 1;
}

static Node *accumulate(Cut *cut, Node *sum)
{
    if (cut->inside[sum->in[0]->id] == 2) {
        cut->why = "inside of a sum over the batch it uses another such sum, or the batch's size";
        return NULL;
    }
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

static Node *carry(Cut *cut, Node *node);

static Node *carry_whole(Cut *cut, Node *node)
{
    if (batch_power(&node->type) > 0) {
        cut->why = "it depends on the samples otherwise than through sums and means over the batch";
        return NULL;
    }
    Node copy = *node;
    for (int i = 0; i < op_info[node->op].inputs; i++) {
        copy.in[i] = carry(cut, node->in[i]);
        if (!copy.in[i])
            return NULL;
    }
    return graph_add(cut->finish, copy);
}

/* The depth of recursion is that of the expression above its sums; MAX_DEPTH bounded it when it was built, but for
   chains of operators: those of l2 over all parameters are the longest. */
static Node *carry(Cut *cut, Node *node)
{
    Node **slot = &cut->carried[node->id];
    if (!*slot)
        *slot = is_batch_sum(node) ? accumulate(cut, node) : carry_whole(cut, node);
    return *slot;
}

/* ---- the measures ---- */

static void mark_inside(Cut *cut)
{
    for (int i = 0; i < cut->test->node.count; i++)
        cut->inside[i] = combines(cut, cut->test->node.at[i]) ? 2 : 1;
}

static void measure(Elaborator *e, ResultKind kind, const char *name, const Term *term)
{
    Value value = evaluate_measure(e, name, term);
    if (value.kind != VALUE_TENSOR)
        return;
    Cut cut = {.e = e, .test = e->graph, .finish = e->model->phase[PHASE_FINISH], .name = name};
    size_t count = (size_t)cut.test->node.count;
    cut.carried = arena_alloc(e->arena, count * sizeof *cut.carried);
    cut.inside = arena_alloc(e->arena, count);
    mark_inside(&cut);
    cut.finish->scope = name;
    cut.finish->span = term->span;
    Node *final = carry(&cut, value.node);
    if (final) {
        list_add(e->arena, &cut.finish->result, ((Result){kind, name, final}));
        return;
    }
    report(e, term->span, "the %s '%s' has no exact value over a whole split: %s",
           kind == RESULT_LOSS ? "training" : "metric", name, cut.why);
    report_help(e, "build it of sums and means over the batch, as in sqrt(mean(error * error))");
}

void elaborate_measures(Elaborator *e)
{
    const TrainField *metric = e->plan->field[PLAN_METRIC];
    measure(e, RESULT_LOSS, "loss", e->plan->field[PLAN_LOSS]->entry.at[0].value);
    for (int i = 0; metric && i < metric->entry.count; i++) {
        const Entry *entry = &metric->entry.at[i];
        if (!entry->name.text || entry->on.text || entry->declares) {
            report(e, entry->span, "a metric has a name, as in metric top1 = accuracy(logits, digit)");
            continue;
        }
        bool twice = !strcmp(entry->name.text, "loss");
        for (int j = 0; j < i; j++)
            twice |=
                metric->entry.at[j].name.text && !strcmp(metric->entry.at[j].name.text, entry->name.text);
        if (twice)
            report(e, entry->name.span, "two measures are named '%s'", entry->name.text);
        else
            measure(e, RESULT_METRIC, entry->name.text, entry->value);
    }
}
