/* A template: one step a row of scalar.def, and the table of them, for one type. Before including it, define
   T, W and FLOATING as scalar_arithmetic.h asks, and TYPE, the type's name; each row then becomes the
   function TYPE_KIND. */
#include "scalar_arithmetic.h"

#define PASTE_NAMES(type, kind) step_##type##_##kind
#define PASTE(type, kind) PASTE_NAMES(type, kind)

#define SCALAR(kind, name, arity, result, c, llvm, value) SCALAR_STEP(kind, RESULT_##result, value)
#define EXPAND(kind, name, arity, expand, value) SCALAR_STEP(kind, RESULT_SAME, value)
#define RESULT_SAME Element
#define RESULT_BOOL uint8_t
#define SELECTED(a, b, c) (condition[i] ? (b) : (c))
#define SCALAR_STEP(kind, Result, value)                                                                     \
    static const Step *PASTE(TYPE, kind)(const Step *step, Frame *frame)                                     \
    {                                                                                                        \
        typedef T __attribute__((may_alias)) Element;                                                        \
        const uint8_t *condition = (const uint8_t *)(frame->memory + step->a);                               \
        const Element *x = (const Element *)condition;                                                       \
        const Element *y = (const Element *)(frame->memory + step->b);                                       \
        const Element *z = (const Element *)(frame->memory + step->c);                                       \
        Result *to = (Result *)(frame->memory + step->to);                                                   \
        for (int i = 0; i < step->lanes; i++) {                                                              \
            const W a = x[i], b = y[i], c = z[i];                                                            \
            (void)a, (void)b, (void)c;                                                                       \
            to[i] = (Result)(value);                                                                         \
        }                                                                                                    \
        return step + 1;                                                                                     \
    }
#include "scalar.def"
#undef SCALAR
#undef EXPAND
#undef SCALAR_STEP
#undef SELECTED
#undef RESULT_SAME
#undef RESULT_BOOL

static Run *const PASTE(TYPE, table)[SCALAR_COUNT] = {
#define SCALAR(kind, name, arity, result, c, llvm, value) PASTE(TYPE, kind),
#define EXPAND(kind, name, arity, expand, value) PASTE(TYPE, kind),
#include "scalar.def"
#undef SCALAR
#undef EXPAND
};
#undef PASTE
#undef PASTE_NAMES
