/* Winograd's minimal filtering F(m×m, r×r): m×m outputs of a convolution by an r×r kernel from an a×a tile of its input,
   a = m + r − 1, with a·a products instead of m·m·r·r (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
   2016). An output tile is Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A. The matrices follow from interpolation at the points
   0, ±1, ±2, ±1/2 and ∞ (Toom and Cook). */
#ifndef NETC_WINOGRAD_MATRICES_H
#define NETC_WINOGRAD_MATRICES_H

#include <stdbool.h>
#include <stdint.h>

enum { WINOGRAD_MOST = 8 }; /* a */

typedef struct Winograd {
    int tile, kernel, size;                      /* m, r, a */
    double input[WINOGRAD_MOST][WINOGRAD_MOST];  /* Bᵀ: a × a */
    double weight[WINOGRAD_MOST][WINOGRAD_MOST]; /* G: a × r, but for a factor of each row: */
    double scale[WINOGRAD_MOST];
    double output[WINOGRAD_MOST][WINOGRAD_MOST]; /* Aᵀ: m × a */
} Winograd;

/* False unless a is 4, 6 or 8, m ≥ 2 and r ≥ 2: the points come in pairs. */
bool winograd_matrices(int64_t tile, int64_t kernel, Winograd *w);

#endif
