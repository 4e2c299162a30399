#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool in_place(const Output *output) { return !strcmp(output->written, output->path); }

/* mkstemp's files are private; an output file is as readable as the user's others. */
static bool make_temporary(char *name)
{
    int file = mkstemp(name);
    if (file < 0)
        return false;
    mode_t mask = umask(0);
    umask(mask);
    bool good = !fchmod(file, 0666 & ~mask);
    return !close(file) && good;
}

bool output_start(Output *output, const char *path)
{
    struct stat old;
    bool exists = !stat(path, &old);
    if (exists && S_ISDIR(old.st_mode)) {
        errno = EISDIR;
        return false;
    }
    if (!exists || !realpath(path, output->path)) {
        if (exists || strlen(path) >= sizeof output->path) {
            errno = exists ? errno : ENAMETOOLONG;
            return false;
        }
        memcpy(output->path, path, strlen(path) + 1);
    }
    bool direct = exists && !S_ISREG(old.st_mode);
    int length =
        snprintf(output->written, sizeof output->written, "%s%s", output->path, direct ? "" : ".XXXXXX");
    if (length < 0 || (size_t)length >= sizeof output->written) {
        errno = ENAMETOOLONG;
        return false;
    }
    return direct || make_temporary(output->written);
}

bool output_end(Output *output)
{
    if (in_place(output) || !rename(output->written, output->path))
        return true;
    int error = errno;
    output_drop(output);
    errno = error;
    return false;
}

void output_drop(Output *output)
{
    if (!in_place(output))
        unlink(output->written);
}

static bool write_file(FILE *file, const void *bytes, size_t count)
{
    return fwrite(bytes, 1, count, file) == count && !fflush(file);
}

bool output_write_all(const char *path, const void *bytes, size_t count)
{
    if (!strcmp(path, "-"))
        return write_file(stdout, bytes, count);
    Output output;
    if (!output_start(&output, path))
        return false;
    FILE *file = fopen(output.written, "wb");
    bool good = file && write_file(file, bytes, count);
    int error = errno;
    if (file && fclose(file) && good) {
        good = false;
        error = errno;
    }
    if (good)
        return output_end(&output);
    output_drop(&output);
    errno = error;
    return false;
}
