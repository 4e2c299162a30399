/* PNG files as the bytes that a network reads: [channels, height, width], of the size that it wants and no
 * other. */
#ifndef NETC_IMAGE_PNG_H
#define NETC_IMAGE_PNG_H

#include "fault.h"

typedef struct ImageShape {
    int64_t channels, height, width; /* channels: 1 or 3 */
} ImageShape;

/* Decodes into channels · height · width bytes. Gray becomes equal red, green and blue; colour becomes gray
   by the weights of ITU-R 601; transparency shows black; 16 bits become 8. False after a fault (status 1; 4
   where the program was built without libpng). */
bool png_decode(const unsigned char *bytes, size_t size, const char *path, ImageShape shape,
                unsigned char *to, Fault *fault);

#endif
