/* A template: what the words of scalar.def's `value` column mean for one type. Before including it, define
   T (the type), W (a type in which no sum or product of two T overflows; for floats T itself) and, for float
   and double, FLOATING. Include <tgmath.h> first. Rows that a type cannot have (sqrt of an integer, shifts of
   a float) give 0. */
#undef DIVIDE
#undef REMAINDER
#undef MULTIPLY_ADD
#undef ABSOLUTE
#undef ROOT
#undef FLOOR
#undef BITS
#undef SHIFT_LEFT
#undef SHIFT_RIGHT
#undef HIGH_PRODUCT
#undef TRAILING_ZEROS
#undef LIBM
#undef LIBM2

#ifdef FLOATING
#define DIVIDE(a, b) ((a) / (b))
#define REMAINDER(a, b) fmod(a, b)
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#define ABSOLUTE(a) fabs(a)
#define ROOT(a) sqrt(a)
#define FLOOR(a) floor(a)
#define BITS(a, operator, b) 0
#define SHIFT_LEFT(a, b) 0
#define SHIFT_RIGHT(a, b) 0
#define HIGH_PRODUCT(a, b) 0
#define TRAILING_ZEROS(a) 0
#define LIBM(function, a) function((double)(a))
#define LIBM2(function, a, b) function((double)(a), (double)(b))
#else
/* Nothing traps: x / 0 and x % 0 are 0, the lowest / -1 wraps. Shift counts are taken modulo the width; the
   trailing zeros of 0 are the width. */
#define WIDTH (8 * (int)sizeof(T))
#define DIVIDE(a, b) ((b) == 0 ? (T)0 : (b) == -1 ? (T) - (a) : (T)((T)(a) / (T)(b)))
#define REMAINDER(a, b) ((b) == 0 || (b) == -1 ? (T)0 : (T)((T)(a) % (T)(b)))
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define ABSOLUTE(a) ((a) < 0 ? -(a) : (a))
#define ROOT(a) 0
#define FLOOR(a) (a)
#define BITS(a, operator, b) ((a) operator(b))
#define SHIFT_LEFT(a, b) ((uint64_t)(a) << ((int)(b) & (WIDTH - 1)))
#define SHIFT_RIGHT(a, b) ((a) >> ((int)(b) & (WIDTH - 1)))
#define HIGH_PRODUCT(a, b) (((a) * (b)) >> WIDTH)
#define TRAILING_ZEROS(a) ((T)(a) ? __builtin_ctzll((unsigned long long)(a)) : WIDTH)
#define LIBM(function, a) 0
#define LIBM2(function, a, b) 0
#endif
