#include "dot.h"

/* Inside "…" of Graphviz, where \n is a line's end; other bytes than ASCII's printable ones become '?'. */
static void print_label(Text *text, const char *string)
{
    for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
        if (*c == '"' || *c == '\\')
            text_add(text, "\\");
        text_printf(text, "%c", *c < ' ' || *c > '~' ? '?' : *c);
    }
}

static void print_attributes(Text *text, const Node *node)
{
    for (int i = 0; i < op_attrs(node->op); i++) {
        int length;
        const char *name = op_attr_name(node->op, i, &length);
        text_printf(text, "\\n%.*s", length, name);
        for (int k = 0; k < node->attr[i].count; k++)
            text_printf(text, "%c%lld", k ? ',' : ' ', (long long)node->attr[i].at[k]);
    }
}

static void print_node(Text *text, const Node *node, const char *phase)
{
    bool is_variable = node->op == OP_VARIABLE;
    text_printf(text, "        %s_%d [shape=%s, label=\"", phase, node->id, is_variable ? "ellipse" : "box");
    print_label(text, is_variable ? node->variable->name : op_info[node->op].name);
    if (node->op == OP_CONST) {
        text_add(text, " ");
        text_real(text, node->value, 0);
    }
    print_attributes(text, node);
    text_add(text, "\\n");
    type_print(text, &node->type);
    if (node->name) {
        text_add(text, "\\n");
        print_label(text, node->name);
    }
    text_add(text, "\"];\n");
    for (int i = 0; i < op_info[node->op].inputs; i++)
        text_printf(text, "        %s_%d -> %s_%d;\n", phase, node->in[i]->id, phase, node->id);
}

/* What a graph gives: a result with a double border, a variable that is set behind a dashed arrow. */
static void print_ends(Text *text, const Graph *graph)
{
    for (int i = 0; i < graph->result.count; i++) {
        text_printf(text, "        %s_result%d [shape=box, peripheries=2, label=\"", graph->name, i);
        print_label(text, graph->result.at[i].name);
        text_printf(text, "\"];\n        %s_%d -> %s_result%d;\n", graph->name, graph->result.at[i].node->id,
                    graph->name, i);
    }
    for (int i = 0; i < graph->assign.count; i++) {
        text_printf(text, "        %s_assign%d [shape=ellipse, peripheries=2, label=\"", graph->name, i);
        print_label(text, graph->assign.at[i].variable->name);
        text_printf(text, "\"];\n        %s_%d -> %s_assign%d [style=dashed];\n", graph->name,
                    graph->assign.at[i].node->id, graph->name, i);
    }
}

static void print_cluster(Text *text, const Graph *graph)
{
    text_printf(text, "    subgraph cluster_%s {\n        label=\"%s\";\n", graph->name, graph->name);
    for (int i = 0; i < graph->node.count; i++)
        print_node(text, graph->node.at[i], graph->name);
    print_ends(text, graph);
    text_add(text, "    }\n");
}

static void begin(Text *text, const Model *model)
{
    text_add(text, "digraph \"");
    print_label(text, model->name);
    text_add(text, "\" {\n    node [fontname=\"sans-serif\", fontsize=10];\n");
}

void graph_dot(Text *text, const Graph *graph)
{
    begin(text, graph->model);
    print_cluster(text, graph);
    text_add(text, "}\n");
}

void model_dot(Text *text, const Model *model)
{
    begin(text, model);
    for (int p = 0; p < PHASE_COUNT; p++)
        if (model->phase[p] && model->phase[p]->node.count)
            print_cluster(text, model->phase[p]);
    text_add(text, "}\n");
}
