#include "system.h"

#include "checked.h"
#include "image_png.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#if NETC_HAVE_PNG
#include <png.h>
#include <setjmp.h>
#endif

#if NETC_HAVE_PNG

enum { SIGNATURE = 8, RGBA = 4, WIDEST = 8 /* bytes of a pixel */ };

typedef struct PngReader {
    const unsigned char *at;
    size_t left;
    const char *path;
    Fault *fault;
    jmp_buf failed;
    png_structp png;
    png_infop info;
    unsigned char *pixel; /* RGBA */
    png_bytep *row;
} PngReader;

static void on_png_error(png_structp png, png_const_charp why)
{
    PngReader *reader = png_get_error_ptr(png);
    fault_set(reader->fault, STATUS_INPUT, "%s: broken PNG file: %s", reader->path, why);
    longjmp(reader->failed, 1);
}

static void on_png_warning(png_structp png, png_const_charp why)
{
    (void)png;
    (void)why;
}

static void give_bytes(png_structp png, png_bytep to, size_t count)
{
    PngReader *reader = png_get_error_ptr(png);
    if (count > reader->left)
        on_png_error(png, "cut off");
    memcpy(to, reader->at, count);
    reader->at += count;
    reader->left -= count;
}

/* Every kind of PNG comes out as 8 bits of red, green, blue and alpha. */
static void ask_for_rgba(png_structp png)
{
    png_set_expand(png);
    png_set_scale_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xff, PNG_FILLER_AFTER);
}

static bool check_image_size(PngReader *reader, int64_t width, int64_t height, ImageShape shape)
{
    if (width == shape.width && height == shape.height)
        return true;
    return fault_set(reader->fault, STATUS_INPUT,
                     "%s: the image is %" PRId64 "x%" PRId64 ", the network reads %" PRId64 "x%" PRId64
                     " (width x height)",
                     reader->path, width, height, shape.width, shape.height);
}

static bool make_rows(PngReader *reader, ImageShape shape)
{
    int64_t bytes, row = shape.width * RGBA;
    if (!checked_multiply(row, shape.height, &bytes) ||
        !checked_add(bytes, shape.width * (WIDEST - RGBA), &bytes))
        return fault_memory(reader->fault, INT64_MAX, reader->path);
    reader->pixel = malloc((size_t)bytes + 1);
    reader->row = malloc((size_t)shape.height * sizeof *reader->row);
    if (!reader->pixel || !reader->row)
        return fault_memory(reader->fault, bytes, reader->path);
    for (int64_t i = 0; i < shape.height; i++)
        reader->row[i] = reader->pixel + i * row;
    return true;
}

/* libpng leaves by longjmp: all that is changed on the way lives in *reader. Its own limits are enough, since the sides are
   checked before their product is used; and should it find another kind of pixel than it was asked for, there is room. */
static bool read_pixels(PngReader *reader, ImageShape shape)
{
    if (setjmp(reader->failed))
        return false;
    png_structp png = reader->png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, reader, on_png_error, on_png_warning);
    png_infop info = reader->info = png ? png_create_info_struct(png) : NULL;
    if (!info)
        return fault_memory(reader->fault, 0, "libpng");
    png_set_read_fn(png, reader, give_bytes);
    png_read_info(png, info);
    png_uint_32 width, height;
    int depth, color;
    png_get_IHDR(png, info, &width, &height, &depth, &color, NULL, NULL, NULL);
    if (!check_image_size(reader, width, height, shape))
        return false;
    ask_for_rgba(png);
    if (!make_rows(reader, shape))
        return false;
    png_read_image(png, reader->row);
    png_read_end(png, NULL);
    return true;
}

static void give_pixels(const unsigned char *pixel, ImageShape shape, unsigned char *to)
{
    int64_t plane = shape.height * shape.width;
    for (int64_t i = 0; i < plane; i++, pixel += RGBA) {
        int color[3];
        for (int c = 0; c < 3; c++)
            color[c] = (pixel[c] * pixel[3] + 127) / 255; /* over black */
        if (shape.channels == 1)
            to[i] = (unsigned char)((299 * color[0] + 587 * color[1] + 114 * color[2] + 500) / 1000);
        else
            for (int c = 0; c < 3; c++)
                to[c * plane + i] = (unsigned char)color[c];
    }
}

bool png_decode(const unsigned char *bytes, size_t size, const char *path, ImageShape shape,
                unsigned char *to, Fault *fault)
{
    if (shape.channels != 1 && shape.channels != 3)
        return fault_set(fault, STATUS_INPUT,
                         "%s: a PNG file has 1 or 3 channels, the network reads %" PRId64, path,
                         shape.channels);
    if (size < SIGNATURE || memcmp(bytes, "\x89PNG\r\n\x1a\n", SIGNATURE) != 0)
        return fault_set(fault, STATUS_INPUT, "%s is no PNG file", path);
    PngReader reader = {.at = bytes, .left = size, .path = path, .fault = fault};
    bool done = read_pixels(&reader, shape);
    if (done)
        give_pixels(reader.pixel, shape, to);
    if (reader.png)
        png_destroy_read_struct(&reader.png, &reader.info, NULL);
    free(reader.row);
    free(reader.pixel);
    return done;
}

#else

bool png_decode(const unsigned char *bytes, size_t size, const char *path, ImageShape shape,
                unsigned char *to, Fault *fault)
{
    (void)bytes, (void)size, (void)shape, (void)to;
    return fault_set(fault, STATUS_MISSING,
                     "%s: this program was built without libpng; give the image as .npy", path);
}

#endif
