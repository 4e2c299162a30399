#include "system.h"

#include "file.h"
#include "text_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool input_open(InputFile *file, const char *path, Fault *fault)
{
    struct stat status;
    *file = (InputFile){openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), 0, path};
    if (file->handle < 0)
        return fault_errno(fault, "cannot open", path);
    if (fstatat(file->handle, "", &status, AT_EMPTY_PATH) != 0)
        fault_errno(fault, "cannot open", path);
    else if (!S_ISREG(status.st_mode))
        fault_set(fault, STATUS_INPUT, "%s is not a regular file", path);
    else {
        file->bytes = status.st_size;
        return true;
    }
    input_close(file);
    return false;
}

void input_close(InputFile *file)
{
    if (file->handle >= 0)
        close(file->handle);
    file->handle = -1;
}

bool input_read(const InputFile *file, void *to, int64_t bytes, int64_t offset, Fault *fault)
{
    char *out = to;
    while (bytes > 0) {
        ssize_t count = pread(file->handle, out, (size_t)bytes, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fault_set(fault, STATUS_INPUT, "cannot read %s at byte %" PRId64 ": %s", file->path,
                             offset, strerror(errno));
        if (count == 0)
            return fault_set(fault, STATUS_INPUT, "%s ends at byte %" PRId64 ", %" PRId64 " bytes too early",
                             file->path, offset, bytes);
        out += count;
        offset += count;
        bytes -= count;
    }
    return true;
}

unsigned char *input_load(const InputFile *file, int64_t most, Fault *fault)
{
    if (file->bytes > most) {
        fault_set(fault, STATUS_INPUT, "%s has %" PRId64 " bytes, more than the %" PRId64 " that are read",
                  file->path, file->bytes, most);
        return NULL;
    }
    unsigned char *bytes = malloc((size_t)file->bytes + 1);
    if (!bytes)
        fault_memory(fault, file->bytes, file->path);
    else if (!input_read(file, bytes, file->bytes, 0, fault)) {
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}

bool path_is_folder(const char *path)
{
    struct stat status;
    return fstatat(AT_FDCWD, path, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

bool path_join(char *path, size_t size, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] != '/' ? "/" : "";
    int written = text_format(path, size, "%s%s%s", folder, slash, name);
    return written >= 0 && (size_t)written < size;
}

/* Each folder on the way, from the outermost; what is there already is no fault. */
static bool make_folders(const char *path, Fault *fault)
{
    char part[4096];
    size_t length = strlen(path);
    if (length >= sizeof part)
        return fault_set(fault, STATUS_INPUT, "the path of the folder is too long: %.80s…", path);
    for (size_t i = 1; i <= length; i++)
        if (path[i] == '/' || i == length) {
            text_format(part, i + 1, "%s", path);
            if (mkdir(part, 0777) != 0 && errno != EEXIST)
                return fault_errno(fault, "cannot make the folder", part);
        }
    return true;
}

bool folder_open(OutputFolder *folder, const char *path, Fault *fault)
{
    *folder = (OutputFolder){-1, path};
    if (!make_folders(path, fault))
        return false;
    folder->handle = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->handle < 0)
        return fault_errno(fault, "cannot open the folder", path);
    if (faccessat(folder->handle, ".", W_OK, 0) != 0) {
        fault_errno(fault, "cannot write into the folder", path);
        folder_close(folder);
        return false;
    }
    return true;
}

void folder_close(OutputFolder *folder)
{
    if (folder->handle >= 0)
        close(folder->handle);
    folder->handle = -1;
}

bool folder_holds(const char *folder, const char *name)
{
    char path[4096];
    struct stat status;
    return path_join(path, sizeof path, folder, name) &&
           fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool output_fault(OutputFile *file, int error, Fault *fault)
{
    fault_set(fault, STATUS_INPUT, "cannot write %s/%s: %s", file->folder->path, file->name, strerror(error));
    output_abandon(file);
    return false;
}

/* Takes the space at once, so that a full disk shows before anything is written. Not every file system can.
 */
static int reserve_space(int handle, int64_t bytes)
{
    int error = bytes > 0 ? posix_fallocate(handle, 0, bytes) : 0;
    return error == ENOSPC || error == EFBIG || error == EDQUOT || error == EIO ? error : 0;
}

bool output_begin(OutputFile *file, const OutputFolder *folder, const char *name, int64_t bytes, Fault *fault)
{
    *file = (OutputFile){.folder = folder, .handle = -1};
    text_format(file->name, sizeof file->name, "%s", name);
    text_format(file->temporary, sizeof file->temporary, ".%s.new", file->name);
    unlinkat(folder->handle, file->temporary, 0); /* of a program that was killed */
    file->handle =
        openat(folder->handle, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file->handle < 0)
        return output_fault(file, errno, fault);
    int error = reserve_space(file->handle, bytes);
    return error == 0 || output_fault(file, error, fault);
}

/* At `offset`, or, if that is negative, at the end. All bytes, or -1 with errno. */
static int write_at(int handle, const void *from, int64_t bytes, int64_t offset)
{
    const char *in = from;
    while (bytes > 0) {
        ssize_t count =
            offset < 0 ? write(handle, in, (size_t)bytes) : pwrite(handle, in, (size_t)bytes, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            errno = count ? errno : ENOSPC;
            return -1;
        }
        in += count;
        bytes -= count;
        offset += offset < 0 ? 0 : count;
    }
    return 0;
}

int write_all(int handle, const void *from, int64_t bytes) { return write_at(handle, from, bytes, -1); }

bool output_write(OutputFile *file, const void *from, int64_t bytes, Fault *fault)
{
    return write_all(file->handle, from, bytes) == 0 || output_fault(file, errno, fault);
}

bool output_patch(OutputFile *file, const void *from, int64_t bytes, int64_t offset, Fault *fault)
{
    return write_at(file->handle, from, bytes, offset) == 0 || output_fault(file, errno, fault);
}

bool output_finish(OutputFile *file, Fault *fault)
{
    int folder = file->folder->handle, handle = file->handle;
    if (fsync(handle) != 0)
        return output_fault(file, errno, fault);
    file->handle = -1;
    if (close(handle) != 0 || renameat(folder, file->temporary, folder, file->name) != 0) {
        int error = errno;
        unlinkat(folder, file->temporary, 0);
        return output_fault(file, error, fault);
    }
    if (fsync(folder) != 0 && errno != EINVAL && errno != ENOTSUP)
        return output_fault(file, errno, fault);
    return true;
}

void output_abandon(OutputFile *file)
{
    if (file->handle < 0)
        return;
    close(file->handle);
    unlinkat(file->folder->handle, file->temporary, 0);
    file->handle = -1;
}
