/* How much memory there is to have. */
#ifndef NETC_AVAILABLE_H
#define NETC_AVAILABLE_H

#include "system.h"

/* Bytes that this process can take now: by the system and by its control group. INT64_MAX if nothing says. */
NETC_ENTRY int64_t memory_available(void);

/* What the process's own limit (ulimit -v) leaves at most; INT64_MAX if there is none. */
int64_t memory_limit(void);

#endif
