#include "net_file.h"

#include "frontend.h"

#include <check.h>

typedef struct Copy {
    Model *model;
    Node **made; /* by id in the file's graph */
} Copy;

static Variable *copy_variable(const Copy *copy, const Variable *v)
{
    Variable *found = model_find(copy->model, v->name);
    return found ? found : model_variable(copy->model, v->kind, v->name, v->type);
}

static Node *copy_node(Copy *copy, const Node *from)
{
    Node **made = &copy->made[from->id];
    if (*made)
        return *made;
    Node node = *from;
    for (int i = 0; i < op_info[from->op].inputs; i++)
        node.in[i] = copy_node(copy, from->in[i]);
    if (from->variable)
        node.variable = copy_variable(copy, from->variable);
    *made = graph_add(copy->model->phase[PHASE_PREDICT], node);
    ck_assert_msg(*made != NULL, "%s refuses its copy: %s", op_info[from->op].name, graph_why());
    return *made;
}

Node *net_file_loss(Model *model, const char *path, const char *const *define, int defines)
{
    Diagnostics diag = {.out = stderr};
    Model *file = frontend_load(model->arena, &diag, path, define, defines);
    ck_assert_msg(file != NULL, "%s is refused", path);
    const Graph *step = file->phase[PHASE_STEP];
    Copy copy = {model, arena_alloc(model->arena, (size_t)step->node.count * sizeof(Node *))};
    for (int i = 0; i < step->result.count; i++)
        if (step->result.at[i].kind == RESULT_LOSS)
            return copy_node(&copy, step->result.at[i].node);
    ck_abort_msg("%s has no loss", path);
    return NULL;
}
