/* A file as a PNG image: it is decoded or refused. */
#include "image_png.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    unsigned char pixel[3 * 28 * 28];
    for (int channels = 1; channels <= 3; channels += 2) {
        Fault fault = {0};
        bool read = png_decode(bytes, size, "fuzz", (ImageShape){channels, 28, 28}, pixel, &fault);
        if (read == (fault.status != 0))
            abort();
    }
    return 0;
}
