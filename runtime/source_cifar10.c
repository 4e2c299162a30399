#include "system.h"

#include "checked.h"
#include "file.h"
#include "source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* CIFAR-10's binary version: records of a label and 32x32 red, green and blue bytes. A file may hold any
 * number. */
enum { CIFAR_SIDE = 32, CIFAR_RECORD = 1 + 3 * CIFAR_SIDE * CIFAR_SIDE, CIFAR_CLASSES = 10, CIFAR_FILES = 5 };

static bool open_batch(InputFile *file, char *path, size_t size, const SourceRequest *request, int number,
                       Fault *fault)
{
    char name[40] = "test_batch.bin";
    if (!request->test)
        snprintf(name, sizeof name, "data_batch_%d.bin", number + 1);
    if (!path_join(path, size, request->folder, name))
        return fault_set(fault, STATUS_INPUT, "the path of the data folder is too long");
    if (!input_open(file, path, fault))
        return false;
    if (file->bytes % CIFAR_RECORD == 0)
        return true;
    fault_set(fault, STATUS_INPUT,
              "%s: cut off: the record at byte %" PRId64 " has %" PRId64 " bytes instead of %d", path,
              file->bytes - file->bytes % CIFAR_RECORD, file->bytes % CIFAR_RECORD, CIFAR_RECORD);
    input_close(file);
    return false;
}

static bool read_batch(unsigned char *to, const InputFile *file, Fault *fault)
{
    if (!input_read(file, to, file->bytes, 0, fault))
        return false;
    for (int64_t at = 0; at < file->bytes; at += CIFAR_RECORD)
        if (to[at] >= CIFAR_CLASSES)
            return fault_set(fault, STATUS_INPUT, "%s: byte %" PRId64 ": label %d, CIFAR-10 has %d classes",
                             file->path, at, to[at], CIFAR_CLASSES);
    return true;
}

bool source_cifar10(DataSet *set, const SourceRequest *request, Fault *fault)
{
    char path[CIFAR_FILES][4096];
    InputFile file[CIFAR_FILES];
    int files = request->test ? 1 : CIFAR_FILES, opened = 0;
    int64_t bytes = 0;
    bool done = true;
    for (; done && opened < files; opened += done)
        done = open_batch(&file[opened], path[opened], sizeof path[opened], request, opened, fault) &&
               checked_add(bytes, file[opened].bytes, &bytes);
    unsigned char *record = done ? dataset_allocate(set, bytes, request->folder, fault) : NULL;
    done = record;
    for (int64_t i = 0, at = 0; done && i < files; at += file[i++].bytes)
        done = read_batch(record + at, &file[i], fault);
    for (int i = 0; i < opened; i++)
        input_close(&file[i]);
    if (!done)
        return false;
    set->samples = bytes / CIFAR_RECORD;
    set->fields = 2;
    set->field[0] =
        (SourceField){ELEMENT_U8, 3, {3, CIFAR_SIDE, CIFAR_SIDE}, record + 1, CIFAR_RECORD, 1, NULL};
    set->field[1] = (SourceField){ELEMENT_U8, 0, {0}, record, CIFAR_RECORD, 0, NULL};
    return true;
}
