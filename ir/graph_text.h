/* The words that graph text and descriptor share. */
#ifndef NETC_GRAPH_TEXT_H
#define NETC_GRAPH_TEXT_H

enum { VARIABLE_KINDS = 7, RESULT_KINDS = 3 };
extern const char *const variable_kind_name[VARIABLE_KINDS]; /* by VariableKind */
extern const char *const result_kind_name[RESULT_KINDS];     /* by ResultKind */

#endif
