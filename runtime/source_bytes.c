#include "system.h"

#include "file.h"
#include "source.h"

#include <inttypes.h>
#include <stdio.h>

/* A text as tokens, one a byte. Samples are windows side by side; the second field is the first moved on by one byte. */
bool source_bytes(DataSet *set, const SourceRequest *request, Fault *fault)
{
    char path[4096];
    bool folder = path_is_folder(request->folder);
    if (!path_join(path, sizeof path, request->folder, request->test ? "test.txt" : "train.txt"))
        return fault_set(fault, STATUS_INPUT, "the path of the data folder is too long");
    const char *name = dataset_string(set, folder ? path : request->folder, fault);
    InputFile file;
    if (!name || !input_open(&file, name, fault))
        return false;
    int64_t begin = 0, end = file.bytes, cut = file.bytes - file.bytes / 10;
    if (!folder) /* of one file the last tenth is for testing */
        *(request->test ? &begin : &end) = cut;
    int64_t window = request->window;
    unsigned char *text = NULL;
    if (end - begin <= window)
        fault_set(fault, STATUS_INPUT,
                  "%s: %" PRId64 " bytes for %s are not enough: a sample takes %" PRId64
                  " and one more that follows",
                  name, end - begin, request->test ? "testing" : "training", window);
    else
        text = dataset_allocate(set, end - begin, name, fault);
    bool done = text && input_read(&file, text, end - begin, begin, fault);
    input_close(&file);
    if (!done)
        return false;
    set->samples = (end - begin - 1) / window;
    set->fields = 2;
    for (int i = 0; i < 2; i++)
        set->field[i] = (SourceField){ELEMENT_U8, 1, {window}, text + i, window, begin + i, name};
    return true;
}
