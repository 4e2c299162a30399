/* A program as the compiler would make it, written by hand: a descriptor and kernels in C. It learns a digit
   as a linear function of a 2x2 image, by gradient descent with momentum. Tests of the runtime run it without
   the compiler. */
#ifndef NETC_TOY_PROGRAM_H
#define NETC_TOY_PROGRAM_H

#include "descriptor.h"

#include <math.h>
#include <stdio.h>

enum { TOY_PIXELS = 4, TOY_CLASSES = 10 };

/* `table` is a state in a layout of its own, columns first: a checkpoint must turn it. */
#define TOY_DESCRIPTOR(needs, valid)                                                                         \
    "netc-descriptor 1\n"                                                                                    \
    "model \"toy\" hash \"00112233445566aa\" version \"0.1.0\" cpu \"any\" needs \"" needs "\" batch 8\n"    \
    "training \"toy\" epochs 3 seed 1 patience 0 best \"\"\n"                                                \
    "source \"train\" \"mnist\"\n"                                                                           \
    "argument \"path\" string \"nowhere\"\n" valid "field 5\n"                                               \
    "field 6\n"                                                                                              \
    "option \"lr\" 12\n"                                                                                     \
    "buffer param \"weight\" f32 1 4^0 life 0 8 at 0\n"                                                      \
    "buffer param \"bias\" f32 0 axes life 0 8 at 64\n"                                                      \
    "buffer state \"table\" f32 2 2^0 3^0 axes 1 0 life 0 8 at 128\n"                                        \
    "buffer slot \"optim.m.weight\" f32 1 4^0 axes 0 life 0 8 at 192 of 0\n"                                 \
    "buffer metric \"sum\" f32 1 2^0 axes 0 life 0 8 at 256\n"                                               \
    "buffer input \"pixels\" u8 3 1^1 2^0 2^0 axes 0 1 2 life 0 8 at 320\n"                                  \
    "buffer input \"digit\" i32 1 1^1 axes 0 life 0 8 at 384\n"                                              \
    "buffer scalar \"step\" f32 0 axes life 0 8 at 448\n"                                                    \
    "buffer scalar \"epoch\" f32 0 axes life 0 8 at 512\n"                                                   \
    "buffer scalar \"epochs\" f32 0 axes life 0 8 at 576\n"                                                  \
    "buffer scalar \"progress\" f32 0 axes life 0 8 at 640\n"                                                \
    "buffer scalar \"seed\" u32 1 2^0 axes 0 life 0 8 at 704\n"                                              \
    "buffer scalar \"option.lr\" f32 0 axes life 0 8 at 768\n"                                               \
    "buffer transient \"guess\" f32 1 1^1 axes 0 life 1 3 at 832\n"                                          \
    "buffer result \"loss\" f32 0 axes life 2 3 at 896\n"                                                    \
    "buffer transient \"tested\" f32 1 1^1 axes 0 life 4 5 at 832\n"                                         \
    "buffer result \"test_loss\" f32 0 axes life 6 6 at 832\n"                                               \
    "buffer result \"top1\" f32 0 axes life 6 6 at 896\n"                                                    \
    "buffer transient \"asked\" f32 1 1^1 axes 0 life 7 8 at 832\n"                                          \
    "buffer result \"class\" f32 2 1^1 10^0 axes 0 1 life 8 8 at 960\n"                                      \
    "kernel \"fill\" items 1 1^0 1 flops 4 bytes 64\n"                                                       \
    "kernel \"guess\" items 1 1^1 4 flops 1e6 bytes 64\n"                                                    \
    "kernel \"learn\" items 1 1^0 1 flops 100 bytes 100\n"                                                   \
    "kernel \"move\" items 1 1^0 1 flops 100 bytes 100\n"                                                    \
    "kernel \"count\" items 1 1^0 1 flops 100 bytes 100\n"                                                   \
    "kernel \"mean\" items 1 1^0 1 flops 2 bytes 16\n"                                                       \
    "kernel \"score\" items 1 1^1 1 flops 1e6 bytes 100\n"                                                   \
    "phase \"init\" 0 1\n"                                                                                   \
    "phase \"step\" 1 3\n"                                                                                   \
    "result loss \"loss\" 14\n"                                                                              \
    "phase \"test\" 4 2\n"                                                                                   \
    "phase \"finish\" 6 1\n"                                                                                 \
    "result loss \"loss\" 16\n"                                                                              \
    "result metric \"top1\" 17\n"                                                                            \
    "phase \"prepare\" 7 0\n"                                                                                \
    "phase \"predict\" 7 2\n"                                                                                \
    "result output \"class\" 19\n"                                                                           \
    "call 0 \"init\" buffers 4 0 1 2 11\n"                                                                   \
    "call 1 \"guess\" buffers 4 0 1 5 13 arguments 0\n"                                                      \
    "call 2 \"learn\" buffers 7 13 6 5 0 3 14 2 arguments 1 7\n"                                             \
    "call 3 \"move\" buffers 6 0 1 3 12 10 14 arguments 0\n"                                                 \
    "call 1 \"guess\" buffers 4 0 1 5 15 arguments 0\n"                                                      \
    "call 4 \"count\" buffers 3 15 6 4 arguments 0\n"                                                        \
    "call 5 \"mean\" buffers 3 4 16 17 arguments 0\n"                                                        \
    "call 1 \"guess\" buffers 4 0 1 5 18 arguments 0\n"                                                      \
    "call 6 \"score\" buffers 2 18 19 arguments 0\n"                                                         \
    "end\n"
#define TOY_VALID                                                                                            \
    "source \"valid\" \"mnist\"\n"                                                                           \
    "argument \"path\" string \"nowhere\"\n"

/* weight, bias, table, seed */
static void toy_fill(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)argument, (void)begin, (void)end;
    float *weight = buffer[0], *bias = buffer[1], *table = buffer[2];
    const uint32_t *seed = buffer[3];
    for (int i = 0; i < TOY_PIXELS; i++)
        weight[i] = 0.01f * (float)((seed[0] * 7 + (uint32_t)i * 3 + seed[1]) % 11);
    *bias = 0;
    for (int i = 0; i < 6; i++)
        table[i] = (float)i;
}

/* weight, bias, pixels, guess; an item is four samples */
static void toy_guess(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    const float *weight = buffer[0], *bias = buffer[1];
    const uint8_t *pixel = buffer[2];
    float *guess = buffer[3];
    for (int64_t n = 4 * begin; n < 4 * end && n < argument[0]; n++) {
        float sum = *bias;
        for (int i = 0; i < TOY_PIXELS; i++)
            sum = fmaf(weight[i], (float)pixel[n * TOY_PIXELS + i] / 255, sum);
        guess[n] = sum;
    }
}

/* guess, digit, pixels, weight, momentum, loss, table; argument 1 is 7, to see that it arrives */
static void toy_learn(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)begin, (void)end;
    const float *guess = buffer[0];
    const int32_t *digit = buffer[1];
    const uint8_t *pixel = buffer[2];
    float *momentum = buffer[4], *loss = buffer[5], *table = buffer[6];
    float gradient[TOY_PIXELS] = {0};
    *loss = argument[1] == 7 ? 0 : NAN;
    for (int64_t n = 0; n < argument[0]; n++) {
        float error = guess[n] - (float)digit[n];
        *loss = fmaf(error, error, *loss);
        for (int i = 0; i < TOY_PIXELS; i++)
            gradient[i] = fmaf(error, (float)pixel[n * TOY_PIXELS + i] / 255, gradient[i]);
    }
    *loss /= (float)argument[0];
    for (int i = 0; i < TOY_PIXELS; i++)
        momentum[i] = 0.9f * momentum[i] + gradient[i] / (float)argument[0];
    for (int i = 0; i < 6; i++)
        table[i] += 0.5f * *loss;
}

/* weight, bias, momentum, option.lr, progress, loss */
static void toy_move(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)argument, (void)begin, (void)end;
    float *weight = buffer[0];
    const float *momentum = buffer[2], *option = buffer[3], *progress = buffer[4];
    float lr = (isnan(*option) ? 0.05f : *option) * (1 - *progress);
    for (int i = 0; i < TOY_PIXELS; i++)
        weight[i] -= lr * momentum[i];
}

/* tested, digit, sum */
static void toy_count(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)begin, (void)end;
    const float *guess = buffer[0];
    const int32_t *digit = buffer[1];
    float *sum = buffer[2];
    for (int64_t n = 0; n < argument[0]; n++) {
        float error = guess[n] - (float)digit[n];
        sum[0] += error * error;
        sum[1] += fabsf(error) < 0.5f;
    }
}

/* sum, loss, top1; the batch is the number of all samples */
static void toy_mean(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)begin, (void)end;
    const float *sum = buffer[0];
    *(float *)buffer[1] = sum[0] / (float)argument[0];
    *(float *)buffer[2] = sum[1] / (float)argument[0];
}

/* asked, class */
static void toy_score(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)
{
    (void)argument;
    const float *guess = buffer[0];
    float *score = buffer[1];
    for (int64_t n = begin; n < end; n++)
        for (int c = 0; c < TOY_CLASSES; c++)
            score[n * TOY_CLASSES + c] = 1 / (1 + (guess[n] - (float)c) * (guess[n] - (float)c));
}

static NetcKernel *const toy_kernel[] = {toy_fill,  toy_guess, toy_learn, toy_move,
                                         toy_count, toy_mean,  toy_score};

/* Writes `samples` images and labels as IDX files named `prefix` ("train", "t10k") into a folder. 0 if all
   went well. */
static inline int toy_write_data(const char *folder, const char *prefix, int samples)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/%s-images-idx3-ubyte", folder, prefix);
    FILE *image = fopen(path, "wb");
    snprintf(path, sizeof path, "%s/%s-labels-idx1-ubyte", folder, prefix);
    FILE *label = fopen(path, "wb");
    if (!image || !label)
        return 1;
    unsigned char images[16] = {0, 0, 8, 3, 0, 0, (unsigned char)(samples >> 8), (unsigned char)samples, 0, 0,
                                0, 2, 0, 0, 0, 2};
    unsigned char labels[8] = {0, 0, 8, 1, 0, 0, (unsigned char)(samples >> 8), (unsigned char)samples};
    fwrite(images, 1, sizeof images, image);
    fwrite(labels, 1, sizeof labels, label);
    unsigned state = 12345;
    for (int n = 0; n < samples; n++) {
        unsigned char pixel[TOY_PIXELS], digit;
        for (int i = 0; i < TOY_PIXELS; i++) {
            state = state * 1103515245u + 12345u;
            pixel[i] = (unsigned char)(state >> 16);
        }
        digit = (unsigned char)((pixel[0] * 3 + pixel[1] * 2 + pixel[3] * 4) / 255);
        fwrite(pixel, 1, TOY_PIXELS, image);
        fwrite(&digit, 1, 1, label);
    }
    return fclose(image) + fclose(label);
}

#endif
