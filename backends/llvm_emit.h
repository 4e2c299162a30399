/* LLVM's rows in the tables of backend.c. */
#ifndef NETC_LLVM_EMIT_H
#define NETC_LLVM_EMIT_H

#include "backend.h"

int llvm_emit_program(const Program *program, const BackendOptions *options);
int llvm_emit_object(const Program *program, const BackendOptions *options);
int llvm_emit_assembly(const Program *program, const BackendOptions *options);
int llvm_emit_text(const Program *program, const BackendOptions *options);

void *llvm_engine_start(const Program *program, const BackendOptions *options);
void llvm_engine_call(void *engine, int kernel, void *const *buffer, const int64_t *argument, int64_t begin,
                      int64_t end);
void llvm_engine_stop(void *engine);

#endif
