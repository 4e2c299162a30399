/* The scalar functions that are made of others: each spells itself for its operands by primitive rows of
   scalar.def, without branches, so that every backend computes the same bits. expr_expand() calls them, for
   f32 and integers; in f64 programs (the reference) exp, log, tanh, erf, sin, cos and pow stay as they are
   and the interpreter asks libm. */
#ifndef NETC_SCALAR_EXPAND_H
#define NETC_SCALAR_EXPAND_H

#include "expr.h"

/* Operands of any number of lanes; the result has the operands' type. */
Expr *expand_max(Exprs *pool, Expr **operand);
Expr *expand_min(Exprs *pool, Expr **operand);
Expr *expand_relu(Exprs *pool, Expr **operand);
Expr *expand_exp(Exprs *pool, Expr **operand);
Expr *expand_log(Exprs *pool, Expr **operand);
Expr *expand_tanh(Exprs *pool, Expr **operand);
Expr *expand_erf(Exprs *pool, Expr **operand);
Expr *expand_sin(Exprs *pool, Expr **operand);
Expr *expand_cos(Exprs *pool, Expr **operand);
Expr *expand_pow(Exprs *pool, Expr **operand);

#endif
