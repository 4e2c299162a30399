#include "value.h"

#include <math.h>

Value value_int(int64_t integer) { return value_size(size_of(integer)); }
Value value_size(Size size) { return (Value){.kind = VALUE_INT, .integer = size}; }
Value value_float(double real) { return (Value){.kind = VALUE_FLOAT, .real = real}; }
Value value_bool(bool boolean) { return (Value){.kind = VALUE_BOOL, .boolean = boolean}; }
Value value_string(const char *string) { return (Value){.kind = VALUE_STRING, .string = string}; }

Value value_known(Value value)
{
    return value.kind == VALUE_OPTION && value_is_number(value.option->value) ? value.option->value : value;
}

bool value_is_number(Value value) { return value.kind == VALUE_INT || value.kind == VALUE_FLOAT; }

double value_real(Value value)
{
    return value.kind == VALUE_FLOAT ? value.real : (double)value.integer.count;
}

/* ---- words ---- */

static void list_print(Text *text, const ValueList *list)
{
    enum { MOST = 12 };
    text_add(text, "[");
    for (int i = 0; i < list->count && i < MOST; i++) {
        text_add(text, i ? ", " : "");
        value_print(text, list->at[i]);
    }
    text_add(text, list->count > MOST ? ", ...]" : "]");
}

static void real_print(Text *text, double real)
{
    if (floor(real) == real && fabs(real) < 1e15)
        text_printf(text, "%.0f", real);
    else
        text_real(text, real, 0);
}

void value_print(Text *text, Value value)
{
    switch (value.kind) {
    case VALUE_NONE:
        text_add(text, "none");
        break;
    case VALUE_POISON:
        text_add(text, "?");
        break;
    case VALUE_INT:
        size_print(text, value.integer);
        break;
    case VALUE_FLOAT:
        real_print(text, value.real);
        break;
    case VALUE_BOOL:
        text_add(text, value.boolean ? "true" : "false");
        break;
    case VALUE_STRING:
        text_add(text, value.string);
        break;
    case VALUE_LIST:
        list_print(text, value.list);
        break;
    case VALUE_TENSOR:
        type_print(text, &value.node->type);
        break;
    case VALUE_RECORD:
        text_add(text, "(");
        for (int i = 0; i < value.record->count; i++)
            text_printf(text, "%s%s", i ? ", " : "", value.record->name[i]);
        text_add(text, ")");
        break;
    case VALUE_OPTION:
        value_print(text, value.option->value);
        break;
    }
}

void value_describe(Text *text, Value value)
{
    static const char *const word[] = {
        [VALUE_NONE] = "none",          [VALUE_POISON] = "nothing",   [VALUE_INT] = "an int, ",
        [VALUE_FLOAT] = "a float, ",    [VALUE_BOOL] = "a bool, ",    [VALUE_STRING] = "a string, \"",
        [VALUE_LIST] = "a list, ",      [VALUE_TENSOR] = "a tensor ", [VALUE_RECORD] = "a record ",
        [VALUE_OPTION] = "an option, ",
    };
    text_add(text, word[value.kind]);
    if (value.kind != VALUE_NONE && value.kind != VALUE_POISON)
        value_print(text, value);
    text_add(text, value.kind == VALUE_STRING ? "\"" : "");
}

/* ---- arithmetic ---- */

static const char too_large[] = "the result is too large: integers are below 2^63";

static Value fail(const char **why, const char *text)
{
    *why = text;
    return value_poison;
}

bool size_divide(Size a, Size b, Size *quotient)
{
    if (b.count == 0 || a.power < b.power || a.count % b.count)
        return false;
    *quotient = (Size){a.count / b.count, a.power - b.power};
    return true;
}

static Value int_add(Size a, Size b, bool subtract, const char **why)
{
    Size sum = a;
    if (b.count == 0)
        return value_size(a);
    if (a.count == 0)
        sum.power = b.power;
    else if (a.power != b.power)
        return fail(why, "the sum of batch and a number is no size: batch is known only at run time");
    bool over = subtract ? __builtin_sub_overflow(a.count, b.count, &sum.count)
                         : __builtin_add_overflow(a.count, b.count, &sum.count);
    return over ? fail(why, too_large) : value_size(sum);
}

static Value int_power(int64_t base, int64_t exponent, const char **why)
{
    int64_t result = 1;
    if (base == 0 || base == 1)
        return value_int(exponent == 0 ? 1 : base);
    if (base == -1)
        return value_int(exponent % 2 ? -1 : 1);
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(result, base, &result))
            return fail(why, too_large);
    return value_int(result);
}

static Value int_compare(Operator op, Size a, Size b, const char **why)
{
    bool equal = size_equal(a, b);
    if (op == OPERATOR_EQ && (equal || a.power == b.power))
        return value_bool(equal);
    if (op == OPERATOR_NE && (equal || a.power == b.power))
        return value_bool(!equal);
    if (a.power != b.power)
        return fail(why, "batch is known only at run time: it cannot be compared with a number");
    int64_t x = a.count, y = b.count;
    return value_bool(op == OPERATOR_LT   ? x < y
                      : op == OPERATOR_LE ? x <= y
                      : op == OPERATOR_GT ? x > y
                                          : x >= y);
}

static Value int_divide(Operator op, Size a, Size b, const char **why)
{
    if (b.count == 0)
        return fail(why, op == OPERATOR_MOD ? "the remainder of a division by zero" : "division by zero");
    if (a.count == INT64_MIN && b.count == -1)
        return fail(why, too_large);
    Size quotient;
    if (size_divide(a, b, &quotient))
        return op == OPERATOR_DIV ? value_size(quotient) : value_int(0);
    if (op == OPERATOR_MOD && a.power == 0 && b.power == 0)
        return value_int(a.count % b.count);
    return fail(why, op == OPERATOR_MOD
                         ? "batch is known only at run time: it has no remainder here"
                         : "the division of ints is not exact: write floor_div or ceil_div, or a float");
}

static Value int_binary(Operator op, Size a, Size b, const char **why)
{
    Size product;
    switch (op) {
    case OPERATOR_ADD:
        return int_add(a, b, false, why);
    case OPERATOR_SUB:
        return int_add(a, b, true, why);
    case OPERATOR_MUL:
        return size_multiply(a, b, &product) ? value_size(product) : fail(why, too_large);
    case OPERATOR_DIV:
    case OPERATOR_MOD:
        return int_divide(op, a, b, why);
    case OPERATOR_POW:
        if (a.power || b.power)
            return fail(why, "batch is known only at run time: it has no power here");
        return b.count < 0 ? value_float(pow((double)a.count, (double)b.count))
                           : int_power(a.count, b.count, why);
    default:
        return int_compare(op, a, b, why);
    }
}

static Value float_binary(Operator op, double a, double b, const char **why)
{
    switch (op) {
    case OPERATOR_ADD:
        return value_float(a + b);
    case OPERATOR_SUB:
        return value_float(a - b);
    case OPERATOR_MUL:
        return value_float(a * b);
    case OPERATOR_DIV:
        return b == 0 ? fail(why, "division by zero") : value_float(a / b);
    case OPERATOR_MOD:
        return b == 0 ? fail(why, "the remainder of a division by zero") : value_float(fmod(a, b));
    case OPERATOR_POW:
        return value_float(pow(a, b));
    case OPERATOR_EQ:
        return value_bool(a == b);
    case OPERATOR_NE:
        return value_bool(a != b);
    case OPERATOR_LT:
        return value_bool(a < b);
    case OPERATOR_LE:
        return value_bool(a <= b);
    case OPERATOR_GT:
        return value_bool(a > b);
    default:
        return value_bool(a >= b);
    }
}

Value value_binary(Operator op, Value a, Value b, const char **why)
{
    if (op == OPERATOR_AND || op == OPERATOR_OR)
        return value_bool(op == OPERATOR_AND ? a.boolean && b.boolean : a.boolean || b.boolean);
    if (a.kind == VALUE_BOOL)
        return value_bool((a.boolean == b.boolean) == (op == OPERATOR_EQ));
    if (a.kind == VALUE_INT && b.kind == VALUE_INT)
        return int_binary(op, a.integer, b.integer, why);
    return float_binary(op, value_real(a), value_real(b), why);
}

Value value_unary(Operator op, Value a, const char **why)
{
    if (op == OPERATOR_NOT)
        return value_bool(!a.boolean);
    if (a.kind == VALUE_FLOAT)
        return value_float(-a.real);
    if (a.integer.count == INT64_MIN)
        return fail(why, too_large);
    return value_size((Size){-a.integer.count, a.integer.power});
}
