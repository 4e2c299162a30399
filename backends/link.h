/* The last step to a program: the C compiler links objects with the runtime. For this machine that is `cc` and the
   libnetrt.a installed with netc; for another one its cross compiler, which compiles the runtime, too. */
#ifndef NETC_LINK_H
#define NETC_LINK_H

#include "backend.h"

/* Writes the program options->output. Returns a status: STATUS_MISSING if there is no C compiler or no
   runtime, or if the compiler fails (it lacks zlib or libpng). No shell is started, no temporary file left.
 */
int link_program(const BackendOptions *options, const Target *target, const Text *object, int count);

#endif
