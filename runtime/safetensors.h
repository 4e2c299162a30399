/* safetensors files, read strictly: every rule of the format is checked before a number of the header is
   used, and what is read is bounded by the bytes that the file has. Layout: 8 bytes N, N bytes of JSON, the
   tensors' bytes. */
#ifndef NETC_SAFETENSORS_H
#define NETC_SAFETENSORS_H

#include "element.h"
#include "file.h"

enum { SAFETENSORS_RANK = 8, SAFETENSORS_MOST_HEADER = 100000000 };

typedef struct SafeTensor {
    const char *name;
    const char *dtype; /* of the format: "F32", "BF16" */
    int rank;
    int64_t dim[SAFETENSORS_RANK];
    int64_t begin, end; /* bytes in the file */
} SafeTensor;

typedef struct SafeText { /* of __metadata__ */
    const char *key, *value;
    int64_t at; /* the value's place in the file, where it has no escapes */
} SafeText;

typedef struct SafeHeader {
    int tensors, texts;
    SafeTensor *tensor; /* by name */
    SafeText *text;     /* by key */
    char *json;         /* what the names point into */
} SafeHeader;

/* Free the header in either case. `path` is for messages. */
bool safetensors_open(SafeHeader *header, const InputFile *file, Fault *fault);

/* The same from the header's N bytes, which are changed; `json` is freed with the header. */
bool safetensors_parse(SafeHeader *header, char *json, int64_t bytes, int64_t file_bytes, const char *path,
                       Fault *fault);
void safetensors_free(SafeHeader *header);

const SafeTensor *safetensors_find(const SafeHeader *header, const char *name); /* NULL if there is none */
const char *safetensors_text(const SafeHeader *header, const char *key);        /* likewise */

#endif
