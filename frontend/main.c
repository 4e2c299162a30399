/* netc: the process around the driver. A fault of netc's own ends with status 3 and says so. */
#include "driver.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void die(const char *message)
{
    ssize_t ignored = write(STDERR_FILENO, message, strlen(message));
    (void)ignored;
    _exit(STATUS_INTERNAL);
}

static void on_short_memory(void) { die("netc: out of memory\n"); }

static void on_fault(int number)
{
    (void)number;
    die("netc: internal error; please report it with the input and the command line\n");
}

/* On a stack of its own, so that it also runs when the usual one is used up. */
static void catch_faults(void)
{
    static char stack[64 << 10];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_ONSTACK};
    sigaltstack(&own, NULL);
    static const int fault[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof fault / sizeof *fault; i++)
        sigaction(fault[i], &action, NULL);
}

int main(int argc, char **argv)
{
    arena_set_handler(on_short_memory);
    if (!*NETC_SANITIZE) /* a sanitizer has handlers of its own */
        catch_faults();
    return driver_main(argc, argv);
}
