/* The entry into a program, and its parts. */
#ifndef NETC_MAIN_H
#define NETC_MAIN_H

#include "cpu.h"
#include "description.h"
#include "descriptor.h"

/* netc_main where the descriptor is text. The compiler asks for this function by its name, if it is. */
NETC_PART CPU_BASELINE int netc_main_text(const char *descriptor, const NetcEngine *engine, int argc,
                                          char **argv);

/* What the command line says, unless there is a fault already; reports it and frees the description. Returns the status. */
NETC_ENTRY int netc_run(Description *description, const NetcEngine *engine, int argc, char **argv,
                        Fault *fault);

#endif
