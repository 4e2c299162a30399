/* The words of the C dialect: how it spells functions, conversions and memory. What gcc and clang both lack (fma, roots,
   masked loads of vectors) is spelled by x86's intrinsics where the compiler's flags allow it, else lane by lane: the same
   bits. Formats are as clike.h's Dialect wants them. */
#ifndef NETC_C_WORDS_H
#define NETC_C_WORDS_H

#include "c_vector.h"
#include "clike.h"

const char *c_function(CVectors *v, Clike *w, const Expr *apply);
const char *c_cast(CVectors *v, DType from, DType to, int lanes);
const char *c_bits(CVectors *v, DType from, DType to, int lanes);
const char *c_vector_word(CVectors *v, VectorWord word, DType dtype, int lanes);

#endif
