/* The verifier of kernels: each fault planted once into a sound kernel, the whole message compared. */
#include "kernel.h"
#include "kernel_samples.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

typedef struct Plant {
    const char *message;
    void (*plant)(SampleKernel *s);
} Plant;

static Expr *integer(SampleKernel *s, int64_t value) { return expr_int(s->pool, DTYPE_I64, value); }
static Expr *real(SampleKernel *s, double value) { return expr_real(s->pool, DTYPE_F32, value); }
static Expr *load(SampleKernel *s, int buffer, Expr *at)
{
    return expr_load(s->pool, DTYPE_F32, buffer, at, NULL, NULL);
}
static Expr *element(SampleKernel *s) { return load(s, 0, expr_axis(s->pool, 0)); }

/* An expression as no builder makes it. */
static Expr *raw(SampleKernel *s, Expr e)
{
    static int id = 100000;
    e.id = id++;
    return arena_copy(s->arena, &e, sizeof e);
}

/* A scalar to store at x2[i0], in place of the vector. */
static void store(SampleKernel *s, Expr *value)
{
    s->store->at = expr_axis(s->pool, 0);
    s->store->value = value;
}

/* ---- declarations -------------------------------------------------------------------------------------- */

static void unnamed(SampleKernel *s) { s->kernel->name = "2nd"; }
static void without_batch(SampleKernel *s) { s->kernel->arguments = 0; }
static void wrong_item_axis(SampleKernel *s) { s->kernel->item_axis = 2; }
static void negative_items(SampleKernel *s) { s->kernel->items.outer = -1; }
static void divided_by_nothing(SampleKernel *s) { s->kernel->items.divisor = 0; }
static void items_without_axis(SampleKernel *s) { s->kernel->item_axis = -1; }
static void temp_without_width(SampleKernel *s) { s->kernel->temp_lanes.count = 0; }
static void buffer_of_nothing(SampleKernel *s) { s->kernel->buffer.at[1].dtype = DTYPE_COUNT; }
static void empty_local(SampleKernel *s) { s->kernel->local.at[0].count = 0; }

/* ---- scopes -------------------------------------------------------------------------------------------- */

static void axis_outside(SampleKernel *s) { store(s, load(s, 0, expr_axis(s->pool, 1))); }
static void unknown_axis(SampleKernel *s) { store(s, load(s, 0, expr_axis(s->pool, 7))); }
static void unknown_loop(SampleKernel *s) { s->loop->index = 2; }
static void nested_axis(SampleKernel *s) { s->loop->index = 0; }
static void unknown_argument(SampleKernel *s)
{
    s->when->value = expr_less(s->pool, integer(s, 0), expr_argument(s->pool, 2));
}
static void early_temp(SampleKernel *s) { s->row->value = expr_temp(s->pool, DTYPE_F32, 8, 0); }
static void late_temp(SampleKernel *s) { s->store->value = expr_temp(s->pool, DTYPE_F32, 8, 0); }
static void unknown_temp(SampleKernel *s) { s->store->value = expr_temp(s->pool, DTYPE_F32, 8, 1); }
static void unknown_let(SampleKernel *s) { s->row->index = 1; }
static void two_lets(SampleKernel *s)
{
    Stmt *again = stmt_new(s->arena, *s->row);
    s->row->next = again;
}
static void let_in_two_blocks(SampleKernel *s)
{
    Stmt *again = stmt_new(s->arena, *s->row);
    again->value = expr_splat(s->pool, real(s, 1), 8);
    again->next = NULL;
    s->when->body = again;
}
static void wrong_temp(SampleKernel *s) { s->add->value = expr_temp(s->pool, DTYPE_F32, 4, 0); }
static void wrong_let(SampleKernel *s) { s->row->value = real(s, 0); }

/* ---- memory -------------------------------------------------------------------------------------------- */

static void unknown_buffer(SampleKernel *s) { store(s, load(s, 3, integer(s, 0))); }
static void unmarked_read(SampleKernel *s) { store(s, load(s, 2, integer(s, 0))); }
static void wrong_load(SampleKernel *s)
{
    s->when->value = expr_load(s->pool, DTYPE_BOOL, 0, integer(s, 0), NULL, NULL);
}
static void unknown_target(SampleKernel *s) { s->store->index = 3; }
static void unknown_prefetch(SampleKernel *s)
{
    s->store->kind = STMT_PREFETCH;
    s->store->index = 3;
}
static void wide_prefetch(SampleKernel *s)
{
    s->store->kind = STMT_PREFETCH;
    s->store->at = expr_splat(s->pool, integer(s, 0), 8);
}
static void unmarked_write(SampleKernel *s) { s->store->index = 0; }
static void wrong_store(SampleKernel *s) { store(s, expr_cast(s->pool, element(s), DTYPE_F64)); }
static void narrow_store(SampleKernel *s) { s->store->value = element(s); }
static void scattered_everywhere(SampleKernel *s) { s->store->at = integer(s, 0); }
static void real_index(SampleKernel *s) { store(s, load(s, 0, raw(s, *element(s)))); }
static void unknown_local(SampleKernel *s) { store(s, expr_local(s->pool, DTYPE_F32, 1, integer(s, 0))); }
static void unknown_set(SampleKernel *s) { s->clear->index = 1; }
static void wrong_set(SampleKernel *s)
{
    s->clear->value = expr_splat(s->pool, expr_real(s->pool, DTYPE_F64, 0), 8);
}
static void read_beyond(SampleKernel *s) { store(s, expr_local(s->pool, DTYPE_F32, 0, integer(s, 8))); }
static void read_before(SampleKernel *s) { store(s, expr_local(s->pool, DTYPE_F32, 0, integer(s, -1))); }
static void vector_beyond(SampleKernel *s)
{
    s->store->value = expr_local(s->pool, DTYPE_F32, 0, expr_ramp(s->pool, integer(s, 1), 1, 8));
}
static void strides_beyond(SampleKernel *s)
{
    s->store->value = expr_local(s->pool, DTYPE_F32, 0, expr_ramp(s->pool, integer(s, 0), INT64_MAX, 8));
}
static void set_beyond(SampleKernel *s) { s->add->at = integer(s, 1); }
static void wide_local(SampleKernel *s) { s->kernel->local.at[0].lanes = 8; }

/* ---- expressions --------------------------------------------------------------------------------------- */

static void shared(SampleKernel *s)
{
    store(s, expr_apply(s->pool, SCALAR_MUL, element(s), element(s), NULL));
}
static void not_primitive(SampleKernel *s)
{
    store(s, expr_apply(s->pool, SCALAR_EXP, element(s), NULL, NULL));
}
static void reduction(SampleKernel *s)
{
    Reduction r = {.op = SCALAR_ADD, .axes = 1, .axis = {1}};
    store(s, expr_reduce(s->pool, element(s), &r));
}
static void mixed_types(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_ADD,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 2,
                           .arg = {element(s), integer(s, 1)}}));
}
static void mixed_lanes(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_ADD,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 2,
                           .arg = {element(s), expr_splat(s->pool, real(s, 1), 8)}}));
}
static void wrong_result(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_LT,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 2,
                           .arg = {element(s), real(s, 1)}}));
}
static void wrong_condition(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_SELECT,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 3,
                           .arg = {integer(s, 1), real(s, 1), real(s, 2)}}));
}
static void missing_operand(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_ADD,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 1,
                           .arg = {real(s, 1)}}));
}
static void null_operand(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_APPLY,
                           .op = SCALAR_ADD,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 2,
                           .arg = {real(s, 1)}}));
}
static void root_of_integer(SampleKernel *s)
{
    store(s,
          expr_cast(s->pool, expr_apply(s->pool, SCALAR_SQRT, expr_axis(s->pool, 0), NULL, NULL), DTYPE_F32));
}
static void bits_of_real(SampleKernel *s)
{
    store(s, expr_apply(s->pool, SCALAR_XOR, element(s), real(s, 1), NULL));
}
static void shift_of_bool(SampleKernel *s)
{
    Expr *condition = expr_less(s->pool, expr_axis(s->pool, 0), integer(s, 4));
    s->when->value = expr_apply(s->pool, SCALAR_SHL, condition, condition, NULL);
    s->when->value->arg[1] = expr_int(s->pool, DTYPE_BOOL, 1);
}
static void sum_of_bool(SampleKernel *s)
{
    Expr *condition = expr_less(s->pool, expr_axis(s->pool, 0), integer(s, 4));
    s->when->value = expr_apply(s->pool, SCALAR_ADD, condition, expr_int(s->pool, DTYPE_BOOL, 1), NULL);
}
static void wide_bits(SampleKernel *s)
{
    store(s,
          raw(s,
              (Expr){
                  .kind = EXPR_BITCAST, .dtype = DTYPE_F32, .lanes = 1, .count = 1, .arg = {integer(s, 0)}}));
}
static void wide_cast(SampleKernel *s)
{
    store(s, raw(s, (Expr){.kind = EXPR_CAST,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 1,
                           .arg = {expr_splat(s->pool, integer(s, 0), 8)}}));
}
static void ramp_of_reals(SampleKernel *s) { s->store->at = expr_ramp(s->pool, element(s), 1, 8); }
static void splat_of_vector(SampleKernel *s)
{
    s->store->value = raw(s, (Expr){.kind = EXPR_SPLAT,
                                    .dtype = DTYPE_F32,
                                    .lanes = 8,
                                    .count = 1,
                                    .arg = {expr_splat(s->pool, real(s, 1), 8)}});
}
static void no_lanes(SampleKernel *s) { store(s, raw(s, (Expr){.kind = EXPR_CONST, .dtype = DTYPE_F32})); }
static void no_kind(SampleKernel *s) { store(s, raw(s, (Expr){.kind = (ExprKind)99, .lanes = 1})); }
static void no_value(SampleKernel *s) { s->store->value = NULL; }
static void wide_constant(SampleKernel *s)
{
    s->store->value = raw(s, (Expr){.kind = EXPR_CONST, .dtype = DTYPE_F32, .lanes = 8});
}
static void wrong_fill(SampleKernel *s)
{
    Expr *inside = expr_less(s->pool, expr_axis(s->pool, 0), integer(s, 4));
    store(s, raw(s, (Expr){.kind = EXPR_LOAD,
                           .dtype = DTYPE_F32,
                           .lanes = 1,
                           .count = 3,
                           .arg = {expr_axis(s->pool, 0), inside, integer(s, 0)}}));
}
static void real_extent(SampleKernel *s) { s->loop->extent = element(s); }
static void integer_condition(SampleKernel *s) { s->when->value = expr_axis(s->pool, 0); }
static void no_statement(SampleKernel *s) { s->store->kind = (StmtKind)9; }

static const Plant plants[] = {
    {"a kernel's name '2nd' is no identifier", unnamed},
    {"kernel matmul_1: it lacks the argument 'batch'", without_batch},
    {"kernel matmul_1: its items run along i2, which is no axis", wrong_item_axis},
    {"kernel matmul_1: the number of items is negative or divided by 0", negative_items},
    {"kernel matmul_1: the number of items is negative or divided by 0", divided_by_nothing},
    {"kernel matmul_1: it has items, but no axis for them", items_without_axis},
    {"kernel matmul_1: 1 temps have an element type, 0 a width", temp_without_width},
    {"kernel matmul_1: x1 has no element type", buffer_of_nothing},
    {"kernel matmul_1: l0 has no element type, no elements or not 1 to 64 lanes", empty_local},

    {"kernel matmul_1: store x2: i1 is used outside its loop", axis_outside},
    {"kernel matmul_1: store x2: i7 is no axis of the kernel", unknown_axis},
    {"kernel matmul_1: loop i2: i2 is no axis of the kernel", unknown_loop},
    {"kernel matmul_1: loop i0: i0 is already an axis around this loop", nested_axis},
    {"kernel matmul_1: if: a2 is no argument of the kernel", unknown_argument},
    {"kernel matmul_1: let t0: t0 is used before it is bound", early_temp},
    {"kernel matmul_1: store x2: t0 is used outside the block that binds it", late_temp},
    {"kernel matmul_1: store x2: t1 is no temp of the kernel", unknown_temp},
    {"kernel matmul_1: let t1: t1 is no temp of the kernel", unknown_let},
    {"kernel matmul_1: let t0: t0 is bound twice", two_lets},
    {"kernel matmul_1: let t0: t0 is bound twice", let_in_two_blocks},
    {"kernel matmul_1: set l0: 't0' is f32x4, not f32x8", wrong_temp},
    {"kernel matmul_1: let t0: '0.0f' is f32, not f32x8", wrong_let},

    {"kernel matmul_1: store x2: x3 is no buffer of the kernel", unknown_buffer},
    {"kernel matmul_1: store x2: x2 is read, but not marked so", unmarked_read},
    {"kernel matmul_1: if: 'x0[0]' is bool, not f32", wrong_load},
    {"kernel matmul_1: store x3: x3 is no buffer of the kernel", unknown_target},
    {"kernel matmul_1: prefetch x3: x3 is no buffer of the kernel", unknown_prefetch},
    {"kernel matmul_1: prefetch x2: 'splat8(0)' is i64x8, not i64", wide_prefetch},
    {"kernel matmul_1: store x0: x0 is written, but not marked so", unmarked_write},
    {"kernel matmul_1: store x2: 'f64(x0[i0])' is f64, not f32", wrong_store},
    {"kernel matmul_1: store x2: 'ramp8(i0*8, 1)' is i64x8, not i64", narrow_store},
    {"kernel matmul_1: store x2: '0' is i64, not i64x8", scattered_everywhere},
    {"kernel matmul_1: store x2: 'x0[i0]' is f32, not i64", real_index},
    {"kernel matmul_1: store x2: l1 is no local of the kernel", unknown_local},
    {"kernel matmul_1: set l1: l1 is no local of the kernel", unknown_set},
    {"kernel matmul_1: set l0: 'splat8(0.0)' is f64x8, not f32x8", wrong_set},
    {"kernel matmul_1: store x2: l0 has 8 elements, but '8' for 1 lanes is outside", read_beyond},
    {"kernel matmul_1: store x2: l0 has 8 elements, but '-1' for 1 lanes is outside", read_before},
    {"kernel matmul_1: store x2: l0 has 8 elements, but 'ramp8(1, 1)' for 8 lanes is outside", vector_beyond},
    {"kernel matmul_1: store x2: l0 has 8 elements, but 'ramp8(0, 9223372036854775807)' for 8 lanes is "
     "outside",
     strides_beyond},
    {"kernel matmul_1: set l0: l0 has 8 elements, but '1' for 8 lanes is outside", set_beyond},
    {"kernel matmul_1: set l0: l0 holds vectors of 8, but is addressed by 'ramp8(0, 1)' for 8", wide_local},

    {"kernel matmul_1: store x2: 'x0[i0]' occurs twice in one expression, but is bound to no temp", shared},
    {"kernel matmul_1: store x2: 'exp(x0[i0])' is no primitive", not_primitive},
    {"kernel matmul_1: store x2: 'add<chain i1>(x0[i0])' is no primitive", reduction},
    {"kernel matmul_1: store x2: '1' is i64, not f32", mixed_types},
    {"kernel matmul_1: store x2: 'splat8(1.0f)' is f32x8, not f32", mixed_lanes},
    {"kernel matmul_1: store x2: 'x0[i0] < 1.0f' is f32, not bool", wrong_result},
    {"kernel matmul_1: store x2: '1' is i64, not bool", wrong_condition},
    {"kernel matmul_1: store x2: add takes 2 operands, not 1", missing_operand},
    {"kernel matmul_1: store x2: an expression has no kind, function or element type, or a wrong number of "
     "operands",
     null_operand},
    {"kernel matmul_1: store x2: sqrt does not take i64: 'sqrt(i0)'", root_of_integer},
    {"kernel matmul_1: store x2: xor does not take f32: 'x0[i0] ^ 1.0f'", bits_of_real},
    {"kernel matmul_1: if: shl does not take bool: '(i0 < 4) << true'", shift_of_bool},
    {"kernel matmul_1: if: add does not take bool: '(i0 < 4) + true'", sum_of_bool},
    {"kernel matmul_1: store x2: 'bits_f32(0)' changes the number of bits", wide_bits},
    {"kernel matmul_1: store x2: 'splat8(0)' is i64x8, not i64", wide_cast},
    {"kernel matmul_1: store x2: 'x0[i0]' is f32, not i64", ramp_of_reals},
    {"kernel matmul_1: store x2: 'splat8(1.0f)' is f32x8, not f32", splat_of_vector},
    {"kernel matmul_1: store x2: an expression has 0 lanes, not 1 to 64", no_lanes},
    {"kernel matmul_1: store x2: an expression has no kind, function or element type, or a wrong number of "
     "operands",
     no_kind},
    {"kernel matmul_1: store x2: an expression is missing", no_value},
    {"kernel matmul_1: store x2: '0.0f' is f32x8, not f32", wide_constant},
    {"kernel matmul_1: store x2: '0' is i64, not f32", wrong_fill},
    {"kernel matmul_1: loop i1: 'x0[i0]' is f32, not i64", real_extent},
    {"kernel matmul_1: if: 'i0' is i64, not bool", integer_condition},
    {"kernel matmul_1: statement: a statement has no kind", no_statement},
};

START_TEST(a_planted_fault_is_found)
{
    Arena *arena = arena_new();
    SampleKernel sample = sample_kernel(arena);
    const char *fault = kernel_fault(sample.kernel);
    ck_assert_msg(!fault, "%s", fault);
    plants[_i].plant(&sample);
    fault = kernel_fault(sample.kernel);
    ck_assert_msg(fault, "not found: %s", plants[_i].message);
    ck_assert_str_eq(fault, plants[_i].message);
    arena_free(arena);
}
END_TEST

/* What may look like a fault, and is none. */
START_TEST(sound_kernels_pass)
{
    Arena *arena = arena_new();
    SampleKernel s = sample_kernel(arena);
    Exprs *pool = s.pool;

    /* Leaves and splats of leaves may stand twice; a part may stand in several expressions of a statement. */
    Expr *i0 = expr_axis(pool, 0), *two = expr_splat(pool, real(&s, 2), 8);
    Expr *square = expr_apply(pool, SCALAR_ADD, expr_apply(pool, SCALAR_MUL, two, two, NULL), two, NULL);
    s.store->value = square;
    ck_assert_ptr_null(kernel_fault(s.kernel));
    s.store->at = expr_add(pool, expr_mul(pool, i0, i0), integer(&s, 3));
    s.store->value = load(&s, 0, s.store->at);
    ck_assert_ptr_null(kernel_fault(s.kernel));

    /* A local of vectors is addressed by the vector's number, as a number or in every lane. */
    Local wide = {DTYPE_F32, 2, 8, "tile"};
    list_add(arena, &s.kernel->local, wide);
    Stmt *set = stmt_new(arena, (Stmt){.kind = STMT_SET, .index = 1, .at = integer(&s, 1), .value = two});
    set->next = s.when;
    s.loop->next = set;
    s.store->at = expr_ramp(pool, integer(&s, 0), 1, 8);
    s.store->value = expr_local(pool, DTYPE_F32, 1, expr_splat(pool, integer(&s, 1), 8));
    ck_assert_ptr_null(kernel_fault(s.kernel));
    set->at = integer(&s, 2);
    ck_assert_str_eq(kernel_fault(s.kernel),
                     "kernel matmul_1: set l1: l1 has 2 elements, but '2' for 8 lanes is outside");
    arena_free(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_verify");
    TCase *cases = tcase_create("faults");
    tcase_add_loop_test(cases, a_planted_fault_is_found, 0, (int)(sizeof plants / sizeof *plants));
    tcase_add_test(cases, sound_kernels_pass);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
