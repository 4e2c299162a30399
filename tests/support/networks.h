/* For tests: small networks made with the graph API, of the parts that the prelude will be made of. Each adds its variables
   to the model, its nodes to phase `predict`, and gives its loss; labels are the i32 variables. */
#ifndef NETC_TESTS_NETWORKS_H
#define NETC_TESTS_NETWORKS_H

#include "graph.h"

typedef struct Network {
    const char *name;
    Node *(*loss)(Model *model);
} Network;

extern const Network network_list[];
extern const int network_count;

enum { NETWORK_CLASSES = 4 }; /* labels are below */

#endif
