#include "system.h"

#include "fault.h"
#include "text_out.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

bool fault_set(Fault *fault, int status, const char *format, ...)
{
    if (fault->status == STATUS_OK) {
        va_list arguments;
        va_start(arguments, format);
        text_format_list(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
        fault->status = status;
    }
    return false;
}

bool fault_errno(Fault *fault, const char *doing, const char *path)
{
    return fault_set(fault, STATUS_INPUT, "%s %s: %s", doing, path, strerror(errno));
}

bool fault_memory(Fault *fault, int64_t bytes, const char *what)
{
    return fault_set(fault, STATUS_INPUT, "not enough memory: %" PRId64 " bytes for %s", bytes, what);
}
