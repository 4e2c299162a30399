/* Signals while training: SIGINT and SIGTERM ask it to stop after the step (a second one ends at once),
   SIGUSR1 and SIGHUP ask for a checkpoint now. */
#ifndef NETC_INTERRUPT_H
#define NETC_INTERRUPT_H

#include "system.h"

#include <signal.h>

enum { INTERRUPT_SIGNALS = 6 };

typedef struct InterruptState { /* what the signals did before */
    struct sigaction before[INTERRUPT_SIGNALS];
} InterruptState;

void interrupt_begin(InterruptState *state);
void interrupt_end(const InterruptState *state);

int interrupt_signal(void);      /* the signal that asked to stop; 0: none */
bool interrupt_stops(void);      /* whether one did */
bool interrupt_wants_save(void); /* true once after a request */

#endif
