/* Files: whole reads and writes that go on after EINTR, and a folder into which files are written all or not
 * at all. */
#ifndef NETC_FILE_H
#define NETC_FILE_H

#include "fault.h"

typedef struct InputFile {
    int handle;
    int64_t bytes; /* when it was opened */
    const char *path;
} InputFile;

/* A regular file to read. False after a fault that names the path; `path` is kept, not copied. */
NETC_ENTRY bool input_open(InputFile *file, const char *path, Fault *fault);
NETC_ENTRY void input_close(InputFile *file);

/* Exactly `bytes` at `offset`; a shorter file is a fault that names path and offset. */
NETC_ENTRY bool input_read(const InputFile *file, void *to, int64_t bytes, int64_t offset, Fault *fault);

/* The whole file in memory of malloc, at most `most` bytes; NULL after a fault. */
unsigned char *input_load(const InputFile *file, int64_t most, Fault *fault);

NETC_ENTRY bool path_is_folder(const char *path);

/* Joins folder and name; false where the result does not fit. */
NETC_ENTRY bool path_join(char *path, size_t size, const char *folder, const char *name);

typedef struct OutputFolder {
    int handle; /* -1: closed */
    const char *path;
} OutputFolder;

/* Makes it and those above it where missing. `path` is kept. */
bool folder_open(OutputFolder *folder, const char *path, Fault *fault);
void folder_close(OutputFolder *folder);
bool folder_holds(const char *folder, const char *name);

/* A new version of a file: written beside the old one, which output_finish() replaces at one stroke, after
   all of it is on the disk. Links are not followed. Whatever fails, the old version stays as it was and the
   new one vanishes. */
enum { OUTPUT_NAME = 248 };

typedef struct OutputFile {
    const OutputFolder *folder;
    char name[OUTPUT_NAME], temporary[OUTPUT_NAME + 8];
    int handle; /* -1: not being written */
} OutputFile;

bool output_begin(OutputFile *file, const OutputFolder *folder, const char *name, int64_t bytes,
                  Fault *fault);
bool output_write(OutputFile *file, const void *from, int64_t bytes, Fault *fault);
bool output_patch(OutputFile *file, const void *from, int64_t bytes, int64_t offset,
                  Fault *fault); /* written before */
bool output_finish(OutputFile *file, Fault *fault);
void output_abandon(OutputFile *file); /* nothing happens after output_finish() */

/* All bytes, or -1 with errno. */
int write_all(int handle, const void *from, int64_t bytes);

#endif
