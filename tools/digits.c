/* Makes examples/digits: the first test image of every digit as a PNG file named after its place and its
   class. usage: digits IMAGES.gz LABELS.gz FOLDER */
#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, IMAGE_HEADER = 16, LABEL_HEADER = 8 };

static void require(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "digits: %s\n", what);
    exit(EXIT_FAILURE);
}

static void write_png(const char *name, const unsigned char *pixel)
{
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = SIDE, .height = SIDE, .format = PNG_FORMAT_GRAY};
    require(png_image_write_to_file(&image, name, 0, pixel, SIDE, NULL), name);
}

int main(int argc, char **argv)
{
    require(argc == 4, "usage: digits IMAGES.gz LABELS.gz FOLDER");
    gzFile images = gzopen(argv[1], "rb"), labels = gzopen(argv[2], "rb");
    unsigned char header[IMAGE_HEADER], pixel[PIXELS], label;
    require(images && gzread(images, header, IMAGE_HEADER) == IMAGE_HEADER, argv[1]);
    require(labels && gzread(labels, header, LABEL_HEADER) == LABEL_HEADER, argv[2]);

    bool seen[CLASSES] = {false};
    for (int i = 0, left = CLASSES; left; i++) {
        require(gzread(images, pixel, PIXELS) == PIXELS, argv[1]);
        require(gzread(labels, &label, 1) == 1 && label < CLASSES, argv[2]);
        if (seen[label])
            continue;
        seen[label] = true;
        left--;
        char name[1000];
        require(snprintf(name, sizeof name, "%s/%04d_is_%d.png", argv[3], i, label) < (int)sizeof name,
                argv[3]);
        write_png(name, pixel);
    }
    gzclose(images);
    gzclose(labels);
    return EXIT_SUCCESS;
}
