/* Walking and rewriting statements. */
#ifndef NETC_STMT_H
#define NETC_STMT_H

#include "kernel.h"

/* Every expression of a list of statements, bodies included, replaced by what `change` gives. Statements are copied. */
typedef Expr *ExprChange(Kernel *kernel, Expr *e, void *context);
Stmt *stmt_change(Kernel *kernel, const Stmt *list, ExprChange *change, void *context);

/* Copies with axes replaced: with[axis] where not NULL. */
Stmt *stmt_substitute(Kernel *kernel, const Stmt *list, Expr *const *with, int count);

#endif
