#include "cost.h"

double node_elements(const Model *model, const Node *node)
{
    Size size;
    type_elements(&node->type, &size);
    return (double)size_at(size, model->batch);
}

double node_cost(const Node *node)
{
    switch (node->op) {
    case OP_EXP:
    case OP_LOG:
    case OP_TANH:
    case OP_ERF:
    case OP_SIN:
    case OP_COS:
    case OP_POW:
    case OP_WINOGRAD_INPUT:
        return 24;
    case OP_RANDOM:
        return 60;
    case OP_DIV:
    case OP_SQRT:
        return 8;
    case OP_STOP_GRADIENT:
    case OP_AGAIN:
        return 0;
    default:
        return op_info[node->op].class == OP_CLASS_MAP;
    }
}
