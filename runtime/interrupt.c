#include "system.h"

#include "interrupt.h"

#include <unistd.h>

/* Signal handlers can reach nothing else. */
static volatile sig_atomic_t stop_signal, save_request;

static void on_stop(int signal)
{
    if (stop_signal)
        _exit(128 + signal);
    stop_signal = signal;
}

static void on_save(int signal)
{
    (void)signal;
    save_request = 1;
}

/* A reader that goes away, or a limit on files, shows as an error of write(): training ends in order. */
static const struct {
    int signal;
    void (*handler)(int);
} signal_row[INTERRUPT_SIGNALS] = {
    {SIGINT, on_stop}, {SIGTERM, on_stop}, {SIGUSR1, on_save},
    {SIGHUP, on_save}, {SIGPIPE, SIG_IGN}, {SIGXFSZ, SIG_IGN},
};

void interrupt_begin(InterruptState *state)
{
    stop_signal = save_request = 0;
    for (int i = 0; i < INTERRUPT_SIGNALS; i++) {
        struct sigaction action = {.sa_handler = signal_row[i].handler,
                                   .sa_flags = SA_RESTART}; /* and no mask */
        sigaction(signal_row[i].signal, &action, &state->before[i]);
    }
}

void interrupt_end(const InterruptState *state)
{
    for (int i = 0; i < INTERRUPT_SIGNALS; i++)
        sigaction(signal_row[i].signal, &state->before[i], NULL);
}

int interrupt_signal(void) { return (int)stop_signal; }

bool interrupt_stops(void) { return stop_signal != 0; }

bool interrupt_wants_save(void)
{
    bool wants = save_request;
    if (wants)
        save_request = 0;
    return wants;
}
