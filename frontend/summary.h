/* netc --summary: a net's layers with shapes, parameters, bytes and FLOPs; how it is trained, defaults included; and the
   memory that the plan gives to training and to prediction, beside its lower bound. */
#ifndef NETC_SUMMARY_H
#define NETC_SUMMARY_H

#include "program.h"

/* `program` is planned. FLOPs and bytes are at the program's batch; rows are the layers of what `predict` computes, or,
   where that is nothing, a training step. tune_file: where measured schedules were read, or NULL. */
void summary_print(Text *text, const Program *program, const char *tune_file);

#endif
