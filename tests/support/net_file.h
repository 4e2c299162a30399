/* For tests: what a .net file trains on, as a part of another model. */
#ifndef NETC_TESTS_NET_FILE_H
#define NETC_TESTS_NET_FILE_H

#include "graph.h"

/* Copies the loss of the file's training step, with all it depends on, into phase `predict` of the model; "name=value"
   override consts, as on the command line. Aborts the test if the file has faults. */
Node *net_file_loss(Model *model, const char *path, const char *const *define, int defines);

#endif
