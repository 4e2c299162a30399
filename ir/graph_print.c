#include "graph.h"
#include "graph_text.h"

const char *const variable_kind_name[VARIABLE_KINDS] = {
    [VARIABLE_PARAM] = "param",      [VARIABLE_STATE] = "state", [VARIABLE_SLOT] = "slot",
    [VARIABLE_METRIC] = "metric",    [VARIABLE_INPUT] = "input", [VARIABLE_SCALAR] = "scalar",
    [VARIABLE_PREPARED] = "prepared"};
const char *const result_kind_name[RESULT_KINDS] = {
    [RESULT_OUTPUT] = "output", [RESULT_LOSS] = "loss", [RESULT_METRIC] = "metric"};

/* "…", readable: only what would end the string or the line is escaped, and what is not ASCII. */
static void print_string(Text *text, const char *string)
{
    text_add(text, "\"");
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c == '"' || *c == '\\')
            text_printf(text, "\\%c", *c);
        else if (*c < ' ' || *c > '~')
            text_printf(text, "\\%03o", *c);
        else
            text_add_bytes(text, c, 1);
    }
    text_add(text, "\"");
}

static void print_ints(Text *text, const Ints *ints)
{
    text_add(text, "[");
    for (int i = 0; i < ints->count; i++)
        text_printf(text, "%s%lld", i ? ", " : "", (long long)ints->at[i]);
    text_add(text, "]");
}

/* %12 = pad(%3) low=[0, 2] high=[0, 2] value=0.0 : f32[batch, 32] "stem" */
void graph_print_node(Text *text, const Node *node)
{
    const OpInfo *info = &op_info[node->op];
    text_printf(text, "%%%d = %s", node->id, info->name);
    for (int i = 0; i < info->inputs; i++)
        text_printf(text, "%s%%%d", i ? ", " : "(", node->in[i]->id);
    text_add(text, info->inputs ? ")" : "");
    if (node->variable) {
        text_add(text, " ");
        print_string(text, node->variable->name);
    }
    for (int i = 0; i < op_attrs(node->op); i++) {
        int length;
        const char *name = op_attr_name(node->op, i, &length);
        text_printf(text, " %.*s=", length, name);
        print_ints(text, &node->attr[i]);
    }
    if (node->op == OP_CONST || node->op == OP_PAD || node->op == OP_WINDOW) {
        text_add(text, node->op == OP_CONST ? " " : " value=");
        text_real(text, node->value, 0);
    }
    text_add(text, " : ");
    type_print(text, &node->type);
    if (node->name) {
        text_add(text, " ");
        print_string(text, node->name);
    }
}

static void print_variable(Text *text, const Variable *v)
{
    text_printf(text, "variable %s ", variable_kind_name[v->kind]);
    print_string(text, v->name);
    text_add(text, " ");
    type_print(text, &v->type);
    if (v->of) {
        text_add(text, " of ");
        print_string(text, v->of->name);
    }
    if (v->kind == VARIABLE_PARAM) {
        text_add(text, v->trainable ? "" : " trainable=false");
        text_add(text, v->decay ? "" : " decay=false");
        if (v->lr_scale != 1) {
            text_add(text, " lr_scale=");
            text_real(text, v->lr_scale, 0);
        }
    }
    text_add(text, "\n");
}

static void print_source(Text *text, const DataSource *source)
{
    text_printf(text, "source %s %s", source->split, source->source);
    for (int i = 0; i < source->argument.count; i++) {
        const Argument *a = &source->argument.at[i];
        text_printf(text, " %s=", a->name);
        if (a->string)
            print_string(text, a->string);
        else
            text_real(text, a->number, 0);
    }
    text_add(text, "\n");
}

static void print_training(Text *text, const Training *t)
{
    text_add(text, "\ntraining ");
    print_string(text, t->name);
    text_printf(text, " batch %lld epochs %lld seed %lld patience %lld", (long long)t->batch,
                (long long)t->epochs, (long long)t->seed, (long long)t->patience);
    if (t->best) {
        text_add(text, " best ");
        print_string(text, t->best);
    }
    text_add(text, "\n");
    for (int i = 0; i < t->source.count; i++)
        print_source(text, &t->source.at[i]);
    for (int i = 0; i < t->field.count; i++) {
        text_add(text, "field ");
        print_string(text, t->field.at[i].input->name);
        text_add(text, "\n");
    }
    for (int i = 0; i < t->option.count; i++)
        text_printf(text, "option %s\n", t->option.at[i].name);
}

static void print_phase(Text *text, const Graph *graph, const char *name)
{
    text_printf(text, "\nphase %s\n", name);
    for (int i = 0; i < graph->node.count; i++) {
        text_indent(text, 1);
        graph_print_node(text, graph->node.at[i]);
        text_add(text, "\n");
    }
    for (int i = 0; i < graph->carry.count; i++)
        text_printf(text, "    carry %%%d = %%%d\n", graph->carry.at[i].state->id,
                    graph->carry.at[i].next->id);
    for (int i = 0; i < graph->result.count; i++) {
        const Result *result = &graph->result.at[i];
        text_printf(text, "    result %s ", result_kind_name[result->kind]);
        print_string(text, result->name);
        text_printf(text, " = %%%d\n", result->node->id);
    }
    for (int i = 0; i < graph->assign.count; i++) {
        text_add(text, "    assign ");
        print_string(text, graph->assign.at[i].variable->name);
        text_printf(text, " = %%%d\n", graph->assign.at[i].node->id);
    }
}

void model_print(Text *text, const Model *model)
{
    text_add(text, "netc-graph 1\nmodel ");
    print_string(text, model->name);
    text_printf(text, " batch %lld\n", (long long)model->batch);
    text_add(text, model->variable.count ? "\n" : "");
    for (int i = 0; i < model->variable.count; i++)
        print_variable(text, model->variable.at[i]);
    if (model->training)
        print_training(text, model->training);
    for (int p = 0; p < PHASE_COUNT; p++)
        if (model->phase[p] && model->phase[p]->node.count)
            print_phase(text, model->phase[p], phase_name[p]);
    text_add(text, "\nend\n");
}
