/* Programs whose descriptor is text: what is compiled together with its runtime, what people read, and `netc run`. */
#include "system.h"

#include "netc_main.h"
#include "said.h"

#include <stdlib.h>
#include <string.h>

int netc_main_engine(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    Fault fault = {0};
    Description description;
    char *said = NULL;
    if (description_parse(&description, descriptor, &fault) && !(said = said_text(&description)))
        fault_memory(&fault, 0, "the help");
    description.said = said;
    int status = netc_run(&description, engine, argc, argv, &fault);
    free(said);
    return status;
}

CPU_BASELINE int netc_main_text(const char *descriptor, const NetcEngine *engine, int argc, char **argv)
{
    size_t length = 0;
    const char *needs = description_needs(descriptor, &length);
    return cpu_suffices(needs, length) ? netc_main_engine(descriptor, engine, argc, argv) : STATUS_MISSING;
}
