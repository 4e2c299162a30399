#include "system.h"

#include "checked.h"
#include "file.h"
#include "source.h"
#include "source_idx.h"
#include "text_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#if NETC_HAVE_ZLIB
#include <zlib.h>
#endif

enum { GZIP_MOST_RATIO = 1032 + 8 }; /* deflate packs no tighter than 1032 : 1 */

/* A file's bytes in order, unpacked if it is gzipped. */
typedef struct ByteStream {
    InputFile file;
    int64_t offset; /* of the unpacked bytes */
    bool packed;
#if NETC_HAVE_ZLIB
    gzFile gzip;
#endif
} ByteStream;

static bool stream_open(ByteStream *stream, const char *path, Fault *fault)
{
    unsigned char magic[2] = {0};
    *stream = (ByteStream){0};
    if (!input_open(&stream->file, path, fault))
        return false;
    if (stream->file.bytes >= 2 && !input_read(&stream->file, magic, 2, 0, fault))
        return false;
    stream->packed = magic[0] == 0x1f && magic[1] == 0x8b;
    if (!stream->packed)
        return true;
#if NETC_HAVE_ZLIB
    int handle = dup(stream->file.handle);
    stream->gzip = handle >= 0 ? gzdopen(handle, "rb") : NULL;
    if (stream->gzip)
        return true;
    if (handle >= 0)
        close(handle);
    return fault_errno(fault, "cannot open", path);
#else
    return fault_set(fault, STATUS_MISSING,
                     "%s: this program was built without zlib; unpack it: gunzip -k %s", path, path);
#endif
}

static void stream_close(ByteStream *stream)
{
#if NETC_HAVE_ZLIB
    if (stream->gzip)
        gzclose_r(stream->gzip);
    stream->gzip = NULL;
#endif
    input_close(&stream->file);
}

/* As many bytes as there are, up to `bytes`; -1 after a fault. */
static int64_t stream_some(ByteStream *stream, unsigned char *to, int64_t bytes, Fault *fault)
{
    int64_t left = stream->file.bytes - stream->offset, count = 0;
    if (!stream->packed) {
        count = bytes < left ? bytes : left;
        if (!input_read(&stream->file, to, count, stream->offset, fault))
            return -1;
    }
#if NETC_HAVE_ZLIB
    while (stream->packed && count < bytes) {
        int64_t piece = bytes - count < 1 << 20 ? bytes - count : 1 << 20;
        int got = gzread(stream->gzip, to + count, (unsigned)piece), error;
        if (got < 0) {
            const char *why = gzerror(stream->gzip, &error);
            fault_set(fault, STATUS_INPUT, "%s: broken gzip file, after %" PRId64 " unpacked bytes: %s",
                      stream->file.path, stream->offset + count, error == Z_ERRNO ? strerror(errno) : why);
            return -1;
        }
        if (got == 0)
            break;
        count += got;
    }
#endif
    stream->offset += count;
    return count;
}

static bool stream_read(ByteStream *stream, unsigned char *to, int64_t bytes, Fault *fault)
{
    int64_t count = stream_some(stream, to, bytes, fault);
    if (count >= 0 && count < bytes)
        fault_set(fault, STATUS_INPUT,
                  "%s: cut off: it ends at byte %" PRId64 "%s, %" PRId64 " bytes too early",
                  stream->file.path, stream->offset, stream->packed ? " (unpacked)" : "", bytes - count);
    return count == bytes;
}

static bool read_header(ByteStream *stream, IdxFile *idx, Fault *fault)
{
    enum { UNSIGNED_BYTES = 8 };
    const char *path = stream->file.path;
    unsigned char head[4 + 4 * IDX_RANK];
    if (!stream_read(stream, head, 4, fault))
        return false;
    if (head[0] || head[1] || head[2] != UNSIGNED_BYTES || head[3] != idx->rank)
        return fault_set(
            fault, STATUS_INPUT,
            "%s: byte 0: magic %02x%02x%02x%02x, expected 0000%02x%02x (IDX, bytes, %d dimensions)", path,
            head[0], head[1], head[2], head[3], UNSIGNED_BYTES, idx->rank, idx->rank);
    if (!stream_read(stream, head, 4 * idx->rank, fault))
        return false;
    idx->bytes = 1;
    for (int i = 0; i < idx->rank; i++) {
        const unsigned char *at = head + 4 * i;
        idx->dim[i] = (int64_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
        if (!checked_multiply(idx->bytes, idx->dim[i], &idx->bytes))
            return fault_set(fault, STATUS_INPUT, "%s: byte %d: the dimensions are too large", path,
                             4 + 4 * i);
    }
    return true;
}

/* Before anything is allocated: can the file hold what its header says? */
static bool check_idx_size(const ByteStream *stream, const IdxFile *idx, Fault *fault)
{
    int64_t most = stream->file.bytes - stream->offset;
    if (stream->packed && !checked_multiply(stream->file.bytes, GZIP_MOST_RATIO, &most))
        most = INT64_MAX;
    if (idx->bytes > most)
        return fault_set(fault, STATUS_INPUT,
                         "%s: cut off: the header says %" PRId64 " bytes, from byte %" PRId64
                         " on the file has %" PRId64 "%s",
                         stream->file.path, idx->bytes, stream->offset, most,
                         stream->packed ? " at most" : "");
    return true;
}

static bool read_values(ByteStream *stream, IdxFile *idx, DataSet *set, Fault *fault)
{
    unsigned char beyond;
    if (!read_header(stream, idx, fault) || !check_idx_size(stream, idx, fault))
        return false;
    idx->origin = stream->offset;
    unsigned char *value = dataset_allocate(set, idx->bytes, stream->file.path, fault);
    if (!value || !stream_read(stream, value, idx->bytes, fault))
        return false;
    idx->value = value;
    int64_t more = stream_some(stream, &beyond, 1, fault); /* at its end, gzip checks what it has unpacked */
    if (more > 0)
        fault_set(fault, STATUS_INPUT, "%s: byte %" PRId64 ": the file goes on after what its header says",
                  stream->file.path, stream->offset - 1);
    return more == 0;
}

bool idx_read(IdxFile *idx, const char *path, int rank, DataSet *set, Fault *fault)
{
    ByteStream stream;
    *idx = (IdxFile){.rank = rank};
    bool read = stream_open(&stream, path, fault) && read_values(&stream, idx, set, fault);
    stream_close(&stream);
    return read;
}

/* The file, or the same gzipped; its path in memory of the set. */
static const char *find_file(DataSet *set, const char *name, Fault *fault)
{
    char path[4096], packed[80];
    text_format(packed, sizeof packed, "%s.gz", name);
    if (path_join(path, sizeof path, set->folder, name) && faccessat(AT_FDCWD, path, F_OK, 0) == 0)
        return dataset_string(set, path, fault);
    if (path_join(path, sizeof path, set->folder, packed) && faccessat(AT_FDCWD, path, F_OK, 0) == 0)
        return dataset_string(set, path, fault);
    fault_set(fault, STATUS_INPUT, "in the data folder %s there is neither %s nor %s", set->folder, name,
              packed);
    return NULL;
}

static bool open_field(DataSet *set, const char *name, int rank, Fault *fault)
{
    IdxFile idx;
    const char *path = find_file(set, name, fault);
    if (!path || !idx_read(&idx, path, rank, set, fault))
        return false;
    if (set->fields && idx.dim[0] != set->samples)
        return fault_set(fault, STATUS_INPUT, "%s holds %" PRId64 " samples, %s %" PRId64, path, idx.dim[0],
                         set->field[0].file, set->samples);
    set->samples = idx.dim[0];
    SourceField *field = &set->field[set->fields++];
    *field = (SourceField){ELEMENT_U8, rank - 1, {0}, idx.value, 1, idx.origin, path};
    for (int i = 1; i < rank; i++) {
        field->dim[i - 1] = idx.dim[i];
        field->stride *= idx.dim[i]; /* all of them together were checked */
    }
    return true;
}

bool source_mnist(DataSet *set, const SourceRequest *request, Fault *fault)
{
    return open_field(set, request->test ? "t10k-images-idx3-ubyte" : "train-images-idx3-ubyte", 3, fault) &&
           open_field(set, request->test ? "t10k-labels-idx1-ubyte" : "train-labels-idx1-ubyte", 1, fault);
}
