#include "expr.h"

#include <stdlib.h>
#include <string.h>

/* How tightly a text binds: C's precedence. */
enum {
    LEVEL_ANY,
    LEVEL_SELECT,
    LEVEL_OR,
    LEVEL_XOR,
    LEVEL_AND,
    LEVEL_EQUAL,
    LEVEL_LESS,
    LEVEL_SHIFT,
    LEVEL_ADD,
    LEVEL_MULTIPLY,
    LEVEL_UNARY,
    LEVEL_PRIMARY
};

typedef struct Infix {
    const char *symbol;
    int level;
} Infix;

static const Infix infixes[] = {
    {"|", LEVEL_OR},       {"^", LEVEL_XOR},       {"&", LEVEL_AND},   {"==", LEVEL_EQUAL},
    {"!=", LEVEL_EQUAL},   {"<", LEVEL_LESS},      {"<=", LEVEL_LESS}, {"<<", LEVEL_SHIFT},
    {">>", LEVEL_SHIFT},   {"+", LEVEL_ADD},       {"-", LEVEL_ADD},   {"*", LEVEL_MULTIPLY},
    {"/", LEVEL_MULTIPLY}, {"%%", LEVEL_MULTIPLY},
};

/* A printed expression is a tree unless that would be long; then its shared parts come first, by their ids.
 */
enum { LONGEST_TREE = 400 };

typedef struct Printer {
    Text *text;
    const unsigned char *uses; /* of each expression by id, at most 2; NULL: print the tree */
} Printer;

static void print(Printer *p, const Expr *e, int level);

/* The row of a scalar function that C writes between its operands, "(%s + %s)"; NULL if it does not. */
static const Infix *find_infix(ScalarOp op)
{
    const char *c = scalar_info[op].c;
    if (!c || scalar_info[op].arity != 2 || strncmp(c, "(%s ", 4))
        return NULL;
    size_t length = strcspn(c + 4, " ");
    for (size_t i = 0; i < sizeof infixes / sizeof *infixes; i++)
        if (strlen(infixes[i].symbol) == length && !strncmp(infixes[i].symbol, c + 4, length))
            return &infixes[i];
    return NULL;
}

static bool is_leaf(const Expr *e) { return e->count == 0; }

static bool is_negative(const Expr *e)
{
    return e->kind == EXPR_CONST && (dtype_is_float(e->dtype) ? e->real < 0 : e->integer < 0);
}

static int level_of(const Expr *e)
{
    if (is_negative(e))
        return LEVEL_UNARY;
    if (e->kind == EXPR_LOAD && e->count == 3)
        return LEVEL_SELECT;
    if (e->kind != EXPR_APPLY)
        return LEVEL_PRIMARY;
    if (e->op == SCALAR_SELECT)
        return LEVEL_SELECT;
    if (e->op == SCALAR_NEG)
        return LEVEL_UNARY;
    const Infix *infix = find_infix(e->op);
    return infix ? infix->level : LEVEL_PRIMARY;
}

static void print_const(Text *text, const Expr *e)
{
    switch (e->dtype) {
    case DTYPE_BOOL:
        text_add(text, e->integer ? "true" : "false");
        break;
    case DTYPE_I64:
        text_printf(text, "%lld", (long long)e->integer);
        break;
    case DTYPE_U32:
        text_printf(text, "%lluu", (unsigned long long)e->integer);
        break;
    case DTYPE_F64:
        text_real(text, e->real, 0);
        break;
    case DTYPE_F32:
        text_real(text, e->real, 1);
        text_add(text, "f");
        break;
    default:
        text_printf(text, "%s(%lld)", dtype_info[e->dtype].name, (long long)e->integer);
    }
}

static bool is_apply(const Expr *e, ScalarOp op) { return e->kind == EXPR_APPLY && e->op == op; }

/* x + -3 and x + y*-3 read as x - 3 and x - y*3: true if e was such a right operand of +. */
static bool print_subtracted(Printer *p, const Expr *e)
{
    bool product = is_apply(e, SCALAR_MUL);
    int64_t factor;
    if (!expr_is_int(product ? e->arg[1] : e, &factor) || factor >= 0)
        return false;
    text_add(p->text, " - ");
    if (product) {
        print(p, e->arg[0], LEVEL_MULTIPLY);
        text_add(p->text, "*");
    }
    text_printf(p->text, "%llu", -(unsigned long long)factor);
    return true;
}

static void print_infix(Printer *p, const Expr *e, const Infix *infix)
{
    bool bits = infix->level <= LEVEL_AND || infix->level == LEVEL_SHIFT;
    print(p, e->arg[0], bits && !is_apply(e->arg[0], e->op) ? LEVEL_UNARY : infix->level);
    if (e->op == SCALAR_ADD && print_subtracted(p, e->arg[1]))
        return;
    if (infix->level == LEVEL_MULTIPLY)
        text_printf(p->text, "%.1s", infix->symbol);
    else
        text_printf(p->text, " %s ", infix->symbol);
    print(p, e->arg[1], bits ? LEVEL_UNARY : infix->level + 1);
}

static void print_arguments(Printer *p, const Expr *e)
{
    text_add(p->text, "(");
    for (int i = 0; i < e->count; i++) {
        text_add(p->text, i ? ", " : "");
        print(p, e->arg[i], LEVEL_ANY);
    }
    text_add(p->text, ")");
}

static void print_choice(Printer *p, const Expr *condition, const Expr *yes, int buffer, const Expr *no)
{
    print(p, condition, LEVEL_SELECT + 1);
    text_add(p->text, " ? ");
    if (buffer >= 0) {
        text_printf(p->text, "x%d[", buffer);
        print(p, yes, LEVEL_ANY);
        text_add(p->text, "]");
    } else {
        print(p, yes, LEVEL_SELECT + 1);
    }
    text_add(p->text, " : ");
    print(p, no, LEVEL_SELECT);
}

static void print_apply(Printer *p, const Expr *e)
{
    const Infix *infix = find_infix(e->op);
    if (infix) {
        print_infix(p, e, infix);
    } else if (e->op == SCALAR_SELECT) {
        print_choice(p, e->arg[0], e->arg[1], -1, e->arg[2]);
    } else if (e->op == SCALAR_NEG) {
        text_add(p->text, "-");
        print(p, e->arg[0], LEVEL_PRIMARY);
    } else {
        text_add(p->text, scalar_info[e->op].name);
        print_arguments(p, e);
    }
}

static const char *const tree_name[] = {
    [TREE_CHAIN] = "chain", [TREE_LANES] = "lanes", [TREE_LEAVES] = "leaves"};

/* add<leaves chain fma i0; i3 i4>(term): the axes before the semicolon number the leaves. */
static void print_reduce(Printer *p, const Expr *e)
{
    const Reduction *r = e->reduction;
    text_printf(p->text, "%s<%s", scalar_info[r->op].name, tree_name[r->tree]);
    if (r->tree == TREE_LEAVES)
        text_printf(p->text, " %s", tree_name[r->inner]);
    if (r->fma)
        text_add(p->text, " fma");
    for (int i = 0; i < r->axes; i++)
        text_printf(p->text, "%s i%d", r->tree == TREE_LEAVES && i == r->leaf ? ";" : "", r->axis[i]);
    text_add(p->text, r->tree == TREE_LEAVES && r->leaf == r->axes ? ";>" : ">");
    print_arguments(p, e);
}

static void print_plain(Printer *p, const Expr *e)
{
    switch (e->kind) {
    case EXPR_CONST:
        print_const(p->text, e);
        break;
    case EXPR_AXIS:
        text_printf(p->text, "i%d", e->index);
        break;
    case EXPR_ARGUMENT:
        if (e->index == 0)
            text_add(p->text, "batch");
        else
            text_printf(p->text, "a%d", e->index);
        break;
    case EXPR_TEMP:
        text_printf(p->text, "t%d", e->index);
        break;
    case EXPR_APPLY:
        print_apply(p, e);
        break;
    case EXPR_CAST:
        text_add(p->text, dtype_info[e->dtype].name);
        print_arguments(p, e);
        break;
    case EXPR_BITCAST:
        text_printf(p->text, "bits_%s", dtype_info[e->dtype].name);
        print_arguments(p, e);
        break;
    case EXPR_LOAD:
        if (e->count == 3) {
            print_choice(p, e->arg[1], e->arg[0], e->index, e->arg[2]);
            break;
        }
        text_printf(p->text, "x%d[", e->index);
        print(p, e->arg[0], LEVEL_ANY);
        text_add(p->text, "]");
        break;
    case EXPR_LOCAL:
        text_printf(p->text, "l%d[", e->index);
        print(p, e->arg[0], LEVEL_ANY);
        text_add(p->text, "]");
        break;
    case EXPR_REDUCE:
        print_reduce(p, e);
        break;
    case EXPR_RAMP:
        text_printf(p->text, "ramp%d(", e->lanes);
        print(p, e->arg[0], LEVEL_ANY);
        text_printf(p->text, ", %lld)", (long long)e->integer);
        break;
    case EXPR_SPLAT:
        text_printf(p->text, "splat%d", e->lanes);
        print_arguments(p, e);
        break;
    }
}

static void print(Printer *p, const Expr *e, int level)
{
    if (p->uses && p->uses[e->id] > 1 && !is_leaf(e)) {
        text_printf(p->text, "e%d", e->id);
        return;
    }
    bool parentheses = level_of(e) < level;
    text_add(p->text, parentheses ? "(" : "");
    print_plain(p, e);
    text_add(p->text, parentheses ? ")" : "");
}

/* Nodes of the tree, counting no further than `limit`. */
static int count_nodes(const Expr *e, int limit)
{
    int count = 1;
    for (int i = 0; i < e->count && count < limit; i++)
        count += count_nodes(e->arg[i], limit - count);
    return count;
}

static void count_uses(const Expr *e, unsigned char *uses)
{
    if (uses[e->id] < 2 && uses[e->id]++ == 0)
        for (int i = 0; i < e->count; i++)
            count_uses(e->arg[i], uses);
}

/* The shared parts of e, each after those it needs. `done` marks what was printed. */
static void print_shared(Printer *p, const Expr *e, bool *done)
{
    if (done[e->id] || is_leaf(e))
        return;
    done[e->id] = true;
    for (int i = 0; i < e->count; i++)
        print_shared(p, e->arg[i], done);
    if (p->uses[e->id] > 1) {
        text_printf(p->text, "e%d = ", e->id);
        print_plain(p, e);
        text_add(p->text, "; ");
    }
}

void expr_print(Text *text, const Expr *e)
{
    Printer p = {text, NULL};
    if (count_nodes(e, LONGEST_TREE) < LONGEST_TREE) {
        print(&p, e, LEVEL_ANY);
        return;
    }
    size_t ids = (size_t)e->id + 1; /* operands are made first: their ids are smaller */
    unsigned char *uses = calloc(ids, sizeof *uses);
    bool *done = calloc(ids, sizeof *done);
    if (!uses || !done)
        abort();
    count_uses(e, uses);
    p.uses = uses;
    text_add(text, "{");
    print_shared(&p, e, done);
    print(&p, e, LEVEL_ANY);
    text_add(text, "}");
    free(uses);
    free(done);
}
