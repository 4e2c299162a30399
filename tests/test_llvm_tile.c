/* The shape of kernel that makes fast code: a tile of accumulators as a local of vectors, set by fma in the innermost
   loop. In the assembly of every target they must live in registers, and nothing on the stack. */
#include "kernel_cases.h"
#include "llvm_program.h"

#include <check.h>
#include <stdio.h>

typedef struct Tile {
    const char *target;
    int lanes, rows, columns; /* columns of vectors */
    const char *fma, *stack;  /* how they look in assembly */
} Tile;

/* As large as fits: rows · columns + columns + 1 registers, and one that LLVM wants to spare. */
static const Tile tiles[] = {
    {"x86-64-v3", 8, 6, 2, "vfmadd", "(%rsp)"},  {"x86-64-v3", 8, 12, 1, "vfmadd", "(%rsp)"},
    {"x86-64-v3", 16, 6, 1, "vfmadd", "(%rsp)"}, {"x86-64-v4", 16, 14, 2, "vfmadd", "(%rsp)"},
    {"znver5", 16, 9, 3, "vfmadd", "(%rsp)"},    {"aarch64", 4, 8, 3, "fmla", "[sp"},
};
enum { TILES = sizeof tiles / sizeof *tiles, DEPTH = 384 };

/* c[rows·item + r, :] = sum(k) a[rows·item + r, k] · b[k, :]; b's rows are `columns` vectors */
static KernelCase *make_tile(Arena *arena, const Tile *t)
{
    KernelCase *c = case_new(arena, "tile", 2, 4);
    Kernel *k = c->kernel;
    int width = t->columns * t->lanes;
    int a = case_buffer(c, DTYPE_F32, 4 * t->rows * DEPTH, false),
        b = case_buffer(c, DTYPE_F32, DEPTH * width, false);
    int y = case_buffer(c, DTYPE_F32, 4 * t->rows * width, true);
    int sum = case_local(c, DTYPE_F32, t->rows * t->columns, t->lanes), vector[4];
    Expr *item = expr_axis(k->pool, 0), *inner = expr_axis(k->pool, 1);
    Expr *zero = expr_splat(k->pool, expr_real(k->pool, DTYPE_F32, 0), t->lanes);
    Stmt *clear = NULL, *add = NULL, *store = NULL;

    for (int j = 0; j < t->columns; j++) {
        Expr *at = expr_add(k->pool, expr_mul(k->pool, inner, case_int(k, width)), case_int(k, j * t->lanes));
        Expr *value = case_load(k, b, case_vector(k, at, t->lanes));
        vector[j] = case_temp(c, value);
        add = case_append(add, case_let(k, vector[j], value));
    }
    for (int r = 0; r < t->rows; r++) {
        Expr *row = expr_add(k->pool, expr_mul(k->pool, item, case_int(k, t->rows)), case_int(k, r));
        Expr *at = expr_add(k->pool, expr_mul(k->pool, row, case_int(k, DEPTH)), inner);
        Expr *left = expr_splat(k->pool, case_load(k, a, at), t->lanes);
        int temp = case_temp(c, left);
        add = case_append(add, case_let(k, temp, left));
        for (int j = 0; j < t->columns; j++) {
            Expr *place = case_int(k, r * t->columns + j);
            Expr *old = expr_local(k->pool, DTYPE_F32, sum, expr_splat(k->pool, place, t->lanes));
            Expr *product = expr_apply(k->pool, SCALAR_FMA, expr_temp(k->pool, DTYPE_F32, t->lanes, temp),
                                       expr_temp(k->pool, DTYPE_F32, t->lanes, vector[j]), old);
            Expr *to =
                expr_add(k->pool, expr_mul(k->pool, row, case_int(k, width)), case_int(k, j * t->lanes));
            clear = case_append(clear, case_set(k, sum, place, zero));
            add = case_append(add, case_set(k, sum, place, product));
            store = case_append(store, case_store(k, y, case_vector(k, to, t->lanes), old));
        }
    }
    k->body = case_append(case_append(clear, case_for(k, 1, case_int(k, DEPTH), add)), store);
    return c;
}

static int occurrences(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        count++;
    return count;
}

/* From the first to the last of them: the loop, without what saves registers for the caller. */
static char *between(Arena *arena, const char *text, const char *word)
{
    const char *first = strstr(text, word), *last = first;
    for (const char *at = first; at && (at = strstr(at + 1, word));)
        last = at;
    return arena_printf(arena, "%.*s", first ? (int)(last - first) + 1 : 0, first ? first : "");
}

START_TEST(accumulators_live_in_registers)
{
    const Tile *t = &tiles[_i];
    Arena *arena = arena_new();
    Diagnostics diag = {.out = stderr};
    KernelCase *c = make_tile(arena, t);
    const char *fault = kernel_fault(c->kernel);
    ck_assert_msg(!fault, "%s", fault);
    for (int level = 1; level <= 3; level++) {
        Text assembly = {NULL, 0, 0};
        LlvmProgram *p = llvm_program_new(
            &c->kernel, 1,
            (LlvmOptions){.target = target_find(t->target), .level = level, .verify = true, .diag = &diag});
        ck_assert(p && llvm_program_make(p, llvm_module_assembly, &assembly));
        const char *loop = between(arena, text_string(&assembly), t->fma);
        int fmas = occurrences(text_string(&assembly), t->fma), spills = occurrences(loop, t->stack);
        int registers = t->rows * t->columns * t->lanes / target_find(t->target)->vector_lanes;
        ck_assert_msg(fmas >= registers && fmas % registers == 0 && !spills,
                      "%s %dx%d -O%d: %d fmas, %d uses of the stack\n%s", t->target, t->rows,
                      t->columns * t->lanes, level, fmas, spills, text_string(&assembly));
        text_free(&assembly);
        llvm_program_free(p);
    }
    arena_free(arena);
}
END_TEST

/* What --emit=llvm prints is found again in what --emit=kernels prints. */
START_TEST(ir_has_the_names_of_the_kernel)
{
    Arena *arena = arena_new();
    Diagnostics diag = {.out = stderr};
    KernelCase *c = make_tile(arena, &tiles[0]);
    LlvmOptions options = {.target = target_find("x86-64-v3"), .level = 2, .names = true, .diag = &diag};
    LlvmProgram *p = llvm_program_new(&c->kernel, 1, options);
    Text text = {NULL, 0, 0};
    ck_assert(p && llvm_program_make(p, llvm_module_print, &text));
    static const char *const words[] = {"@kernel.tile(",
                                        "%i0 = phi i64",
                                        "%i1 = phi i64",
                                        "%t0 = load <8 x float>, ptr",
                                        "%x2 = load ptr",
                                        "@llvm.fma.v8f32",
                                        "target triple = \"x86_64-"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        ck_assert_msg(strstr(text_string(&text), words[i]) != NULL, "no '%s' in\n%s", words[i],
                      text_string(&text));
    text_free(&text);
    llvm_program_free(p);
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("llvm_tile");
    TCase *cases = tcase_create("tile");
    tcase_add_loop_test(cases, accumulators_live_in_registers, 0, TILES);
    tcase_add_test(cases, ir_has_the_names_of_the_kernel);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
