/* What a kernel is to the interpreter: a flat list of steps. A step is a function and the places of its
   operands in a frame, which holds constants, axes, temps, locals and intermediate values, each with all its
   lanes as the C type of its element (bool: one byte). A frame serves one call. */
#ifndef NETC_INTERP_CODE_H
#define NETC_INTERP_CODE_H

#include "interp.h"

typedef struct Step Step;
typedef struct Frame Frame;
typedef const Step *Run(const Step *step, Frame *frame); /* returns the next step */

struct Step {
    Run *run;        /* NULL: the end */
    int to, a, b, c; /* bytes from the frame's begin */
    int lanes;
    int index; /* of a buffer, or by how many steps to jump */
    int64_t number;
    const Stmt *stmt; /* which it is part of, for messages */
};

/* Locals are addressed like buffers, after the kernel's own. */
typedef struct Code {
    const Kernel *kernel;
    Step *once; /* what does not depend on the item */
    Step *item;
    char *constants; /* the first bytes of every frame */
    int constant_bytes, frame_bytes;
    int first_argument, item_axis; /* places; item_axis -1: there is none */
    int *local;                    /* places of the locals' elements */
    int marks, mark_bytes;         /* place of the bytes that tell which elements of locals were set */
} Code;

struct Frame {
    char *memory;
    void **buffer;
    int64_t *count; /* elements */
    const Code *code;
    const Interp *interp;
};

Code *interp_compile(Arena *arena, const Kernel *kernel);

/* Ends the run. */
_Noreturn void interp_fault(const Frame *frame, const Step *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- the steps: interp_steps.c ---- */

Run *step_scalar(ScalarOp op, DType operands); /* to := op of a, b, c */
Run *step_cast(DType from, DType to);          /* to := a converted */

/* Memory access by element size. ANY: a holds an index a lane; ROW: a holds the first, `number` is the
   stride. WHERE: only lanes where b holds; a load gives c in the others. */
typedef enum { ACCESS_ANY, ACCESS_ROW, ACCESS_ANY_WHERE, ACCESS_ROW_WHERE, ACCESS_COUNT } Access;
Run *step_load(Access access, int bytes);  /* to := buffer */
Run *step_store(Access access, int bytes); /* buffer := b; never WHERE */

Run step_load_vector;  /* to := `lanes` bytes of buffer `index`, at vector a */
Run step_store_vector; /* `lanes` bytes of buffer `index`, at vector a, := b */
Run step_copy;         /* to := a, `number` bytes */
Run *step_splat(int bytes);
Run step_ramp;                      /* to := a + lane · number */
Run step_mark_any, step_mark_row;   /* elements a of local `index` are set; to: the place of its marks */
Run step_check_any, step_check_row; /* fault unless they are */
Run step_jump_unless;               /* unless a: jump */
Run step_loop_begin;                /* to := 0, unless 0 < a: jump */
Run step_loop_next;                 /* to := to + 1, if to < a: jump */

#endif
