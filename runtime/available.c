#include "system.h"

#include "available.h"
#include "checked.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }

/* The number after `label` in a small text file of the kernel; INT64_MAX if it has none ("max"). */
static int64_t number_in_file(const char *path, const char *label)
{
    char text[4096];
    int handle = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    ssize_t length = pread(handle, text, sizeof text - 1, 0);
    close(handle);
    text[length > 0 ? length : 0] = '\0';
    const char *at = strstr(text, label);
    int64_t number = at ? (int64_t)strtoull(at + strlen(label), NULL, 10) : 0;
    return number > 0 ? number : INT64_MAX;
}

int64_t memory_available(void)
{
    int64_t kibibytes = number_in_file("/proc/meminfo", "MemAvailable:"), bytes;
    if (!checked_multiply(kibibytes, 1024, &bytes))
        bytes = INT64_MAX;
    bytes = least_of(bytes, number_in_file("/sys/fs/cgroup/memory.max", ""));
    return least_of(bytes, number_in_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", ""));
}

int64_t memory_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur > INT64_MAX)
        return INT64_MAX;
    return (int64_t)limit.rlim_cur;
}
