#include "winograd_matrices.h"

#include <string.h>

static const double point[] = {0, 1, -1, 2, -2, 0.5, -0.5};

/* Coefficients of the product of (x − p) over the first `count` points but one, lowest degree first. */
static void product_without(int count, int left_out, double *coefficient)
{
    memset(coefficient, 0, WINOGRAD_MOST * sizeof *coefficient);
    coefficient[0] = 1;
    for (int i = 0, degree = 0; i < count; i++) {
        if (i == left_out)
            continue;
        for (int k = ++degree; k >= 0; k--)
            coefficient[k] = (k ? coefficient[k - 1] : 0) - point[i] * coefficient[k];
    }
}

static double power(double x, int exponent) { return exponent ? x * power(x, exponent - 1) : 1; }

bool winograd_matrices(int64_t tile, int64_t kernel, Winograd *w)
{
    if (tile < 2 || kernel < 2 || tile > WINOGRAD_MOST || kernel > WINOGRAD_MOST ||
        tile + kernel - 1 > WINOGRAD_MOST || (tile + kernel - 1) % 2)
        return false;
    *w = (Winograd){.tile = (int)tile, .kernel = (int)kernel, .size = (int)(tile + kernel - 1)};
    int finite = w->size - 1;
    for (int i = 0; i < finite; i++) {
        product_without(finite, i, w->input[i]);
        double norm = 1;
        for (int j = 0; j < finite; j++)
            norm *= j == i ? 1 : point[i] - point[j];
        for (int k = 0; k < w->kernel; k++)
            w->weight[i][k] = power(point[i], k);
        w->scale[i] = 1 / norm;
        for (int k = 0; k < w->tile; k++)
            w->output[k][i] = power(point[i], k);
    }
    product_without(finite, -1, w->input[finite]);
    w->weight[finite][w->kernel - 1] = w->scale[finite] = 1;
    w->output[w->tile - 1][finite] = 1;
    return true;
}
