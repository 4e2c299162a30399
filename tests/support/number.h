/* For tests: a number as mathematics has it, how far an engine's may be from it (running error analysis), what it must be
   bit for bit where that is known, and its derivative along one direction (dual number). Independent of ir/scalar.def:
   what the elementwise ops mean is written here again. */
#ifndef NETC_TESTS_NUMBER_H
#define NETC_TESTS_NUMBER_H

#include "graph.h"

typedef struct Number {
    double value;   /* no step rounded to less than double */
    double error;   /* an engine's value is within this of `value`; infinite: nothing is known of it */
    double size;    /* of sums: the sum of absolute values; else |value| */
    double tangent; /* derivative along the direction given for the variables */
    double
        predicted; /* the engine's value, if `known`: each step correctly rounded, sums in the order of their tree */
    bool known;
} Number;

Number number_exact(double value);

/* What an elementwise op makes of numbers of type `from`, as a `to`; they differ for CAST and for comparisons. */
Number number_map(OpKind op, DType from, DType to, const Number *in);

/* The order of additions (expr.h): terms in leaves of equal length, the last ones maybe short or empty; a leaf is a chain, or
   16 lanes; leaves are added pairwise. */
typedef struct Order {
    int64_t leaves, leaf;
    bool lanes;
} Order;
double order_depth(Order order); /* of the tree */

/* Sum of a[i], or by fma of a[i] · b[i]. */
Number number_sum(DType dtype, Order order, const Number *a, const Number *b, int64_t count);
Number number_extreme(DType dtype, const Number *a, int64_t count, bool greatest);

/* Whether an engine's value agrees with the bound, and with the prediction if there is one. */
bool number_within(Number want, double got);
bool number_predicts(Number want, double got);

double number_unit(DType dtype); /* half the distance from 1 to the next number above it */
double number_round(DType dtype, double value);

#endif
