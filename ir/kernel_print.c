#include "kernel.h"

static const char *const loop_name[] = {
    [LOOP_SERIAL] = "", [LOOP_UNROLL] = " unroll", [LOOP_VECTOR] = " vector"};

int64_t items_at(Items items, int64_t batch)
{
    int64_t size = size_at(items.size, batch), count;
    int64_t pieces = size / items.divisor + (size % items.divisor != 0);
    return __builtin_mul_overflow(items.outer, pieces, &count) ? INT64_MAX : count;
}

static void print_items(Text *text, const Kernel *kernel)
{
    Items items = kernel->items;
    if (kernel->item_axis < 0) {
        text_add(text, "    one item\n");
        return;
    }
    text_printf(text, "    item i%d < ", kernel->item_axis);
    if (items.outer != 1)
        text_printf(text, "%lld*", (long long)items.outer);
    if (items.divisor != 1)
        text_add(text, "ceil(");
    size_print(text, items.size);
    if (items.divisor != 1)
        text_printf(text, " / %lld)", (long long)items.divisor);
    text_add(text, "\n");
}

static void print_element(Text *text, DType dtype, int lanes)
{
    text_add(text, dtype_info[dtype].name);
    if (lanes != 1)
        text_printf(text, "x%d", lanes);
}

static void print_memory(Text *text, const Kernel *kernel)
{
    for (int i = 0; i < kernel->buffer.count; i++) {
        const KernelBuffer *b = &kernel->buffer.at[i];
        text_printf(text, "    buffer x%d: %s%s%s\n", i, dtype_info[b->dtype].name, b->read ? " read" : "",
                    b->written ? " written" : "");
    }
    for (int i = 0; i < kernel->local.count; i++) {
        const Local *l = &kernel->local.at[i];
        text_printf(text, "    local l%d: ", i);
        print_element(text, l->dtype, l->lanes);
        text_printf(text, "[%lld]", (long long)l->count);
        if (l->name)
            text_printf(text, " %s", l->name);
        text_add(text, "\n");
    }
}

static void print_statements(Text *text, const Stmt *stmt, int depth);

/* l3[i0*16] = …, for locals and buffers */
static void print_move(Text *text, const Stmt *stmt, char memory)
{
    text_printf(text, "%c%d[", memory, stmt->index);
    expr_print(text, stmt->at);
    text_add(text, "] = ");
    expr_print(text, stmt->value);
    text_add(text, "\n");
}

static void print_statement(Text *text, const Stmt *stmt, int depth)
{
    text_indent(text, depth);
    switch (stmt->kind) {
    case STMT_FOR:
        text_printf(text, "for i%d < ", stmt->index);
        expr_print(text, stmt->extent);
        text_printf(text, "%s\n", loop_name[stmt->loop]);
        print_statements(text, stmt->body, depth + 1);
        break;
    case STMT_IF:
        text_add(text, "if ");
        expr_print(text, stmt->value);
        text_add(text, "\n");
        print_statements(text, stmt->body, depth + 1);
        break;
    case STMT_LET:
        text_printf(text, "t%d: ", stmt->index);
        print_element(text, stmt->value->dtype, stmt->value->lanes);
        text_add(text, " = ");
        expr_print(text, stmt->value);
        text_add(text, "\n");
        break;
    case STMT_SET:
        print_move(text, stmt, 'l');
        break;
    case STMT_STORE:
        print_move(text, stmt, 'x');
        break;
    case STMT_PREFETCH:
        text_printf(text, "prefetch x%d[", stmt->index);
        expr_print(text, stmt->at);
        text_add(text, "]\n");
        break;
    }
}

static void print_statements(Text *text, const Stmt *stmt, int depth)
{
    for (; stmt; stmt = stmt->next)
        print_statement(text, stmt, depth);
}

void kernel_print(Text *text, const Kernel *kernel)
{
    text_printf(text, "kernel %s", kernel->name);
    if (kernel->comment)
        text_printf(text, " // %s", kernel->comment);
    text_add(text, "\n");
    print_items(text, kernel);
    for (int i = 1; i < kernel->arguments; i++)
        text_printf(text, "%s a%d%s", i == 1 ? "    arguments" : "", i,
                    i == kernel->arguments - 1 ? "\n" : "");
    print_memory(text, kernel);
    print_statements(text, kernel->body, 1);
}
