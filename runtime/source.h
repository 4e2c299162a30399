/* Data sources: what `data mnist("folder")` names. A source is a file and a row in the table of source.c. It
   brings a split of its samples into memory; the training loop asks for samples by number. */
#ifndef NETC_SOURCE_H
#define NETC_SOURCE_H

#include "machine.h"
#include "random.h"

enum { SOURCE_MOST_FIELDS = 4 };

typedef struct SourceField {
    Element element;
    int rank;
    int64_t dim[DESCRIPTION_RANK]; /* of one sample */
    const unsigned char *value;    /* of sample 0 */
    int64_t stride;                /* bytes from sample to sample */
    int64_t origin;                /* of sample 0 in the file, for messages */
    const char *file;              /* likewise; NULL: the folder */
} SourceField;

typedef struct DataSet {
    const char *source, *folder;
    int64_t samples;
    int fields;
    SourceField field[SOURCE_MOST_FIELDS];
    void *memory[2 * SOURCE_MOST_FIELDS]; /* freed with the set */
    int memories;
} DataSet;

typedef struct SourceRequest {
    const char *folder;
    bool test;      /* the test split; else the training split */
    int64_t window; /* elements of a sample, where the source does not say */
} SourceRequest;

typedef struct SourceRow {
    const char *name;
    int label; /* the field that holds class numbers; -1: none */
    bool file; /* its path may be a file */
    bool (*open)(DataSet *set, const SourceRequest *request, Fault *fault);
} SourceRow;

/* The compiler asks for source_NAME by its name. */
bool source_mnist(DataSet *set, const SourceRequest *request, Fault *fault);
NETC_PART bool source_bytes(DataSet *set, const SourceRequest *request, Fault *fault);
NETC_PART bool source_cifar10(DataSet *set, const SourceRequest *request, Fault *fault);

/* Opens the source of a description and compares it with the program's fields. `folder`, unless NULL,
   replaces the path in the description; `test` asks for the test split even of the training source. Close the
   set in either case. */
bool dataset_open(DataSet *set, const Description *description, const DescribedSource *source,
                  const char *folder, bool test, Fault *fault);
void dataset_close(DataSet *set);

/* Fills the machine's fields with a batch: the samples at the places first … first+batch-1 of an order, or,
   where that is NULL, of the file. */
void dataset_load(const DataSet *set, const Machine *machine, const SampleOrder *order, int64_t first,
                  int64_t batch);

/* For sources: memory that lives as long as the set, NULL after a fault; and a copied string. */
NETC_ENTRY void *dataset_allocate(DataSet *set, int64_t bytes, const char *file, Fault *fault);
NETC_ENTRY const char *dataset_string(DataSet *set, const char *string, Fault *fault);

#endif
