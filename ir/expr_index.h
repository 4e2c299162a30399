/* What expr.c and expr_index.c share. */
#ifndef NETC_EXPR_INDEX_H
#define NETC_EXPR_INDEX_H

#include "expr.h"

Size expr_extent(const Exprs *pool, int axis);
Expr *expr_node(Exprs *pool, ScalarOp op, Expr *a, Expr *b);

#endif
