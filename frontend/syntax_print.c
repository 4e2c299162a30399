#include "syntax.h"

#include <math.h>

static void args_print(Text *text, const Args *args)
{
    for (int i = 0; i < args->count; i++) {
        text_add(text, i ? ", " : "");
        if (args->at[i].name.text)
            text_printf(text, "%s = ", args->at[i].name.text);
        term_print(text, args->at[i].value);
    }
}

static void string_print(Text *text, const char *string)
{
    text_add(text, "\"");
    for (; *string; string++) {
        if (*string == '"' || *string == '\\')
            text_printf(text, "\\%c", *string);
        else if (*string == '\n')
            text_add(text, "\\n");
        else if (*string == '\t')
            text_add(text, "\\t");
        else
            text_add_bytes(text, string, 1);
    }
    text_add(text, "\"");
}

static void bracketed_print(Text *text, char open, const Args *args, char close)
{
    text_add_bytes(text, &open, 1);
    args_print(text, args);
    text_add_bytes(text, &close, 1);
}

/* A number as the language spells it: digits on both sides of a point, or an exponent. 1e999 is what overflowed. */
static void real_print(Text *text, double real)
{
    if (isinf(real))
        text_add(text, "1e999");
    else
        text_real(text, real, 0);
}

static void part_print(Text *text, const Term *term)
{
    switch (term->kind) {
    case TERM_NAME:
        text_add(text, term->text);
        break;
    case TERM_INT:
        text_printf(text, "%lld", (long long)term->integer);
        break;
    case TERM_FLOAT:
        real_print(text, term->real);
        break;
    case TERM_BOOL:
        text_add(text, term->integer ? "true" : "false");
        break;
    case TERM_STRING:
        string_print(text, term->text);
        break;
    case TERM_LIST:
        bracketed_print(text, '[', &term->args, ']');
        break;
    case TERM_INDEX:
        term_print(text, term->left);
        bracketed_print(text, '[', &term->args, ']');
        break;
    case TERM_MEMBER:
        term_print(text, term->left);
        text_printf(text, ".%s", term->text);
        break;
    case TERM_UNARY:
        text_add(text, operator_text(term->op));
        term_print(text, term->left);
        break;
    case TERM_IF:
        text_add(text, "if (");
        term_print(text, term->left);
        text_add(text, ") ");
        term_print(text, term->right);
        text_add(text, " else ");
        term_print(text, term->third);
        break;
    case TERM_BINARY: /* after its left operand */
        text_printf(text, " %s ", operator_text(term->op));
        term_print(text, term->right);
        break;
    case TERM_CALL: /* likewise */
        text_printf(text, "%s%s", term->left ? " |> " : "", term->text);
        if (!term->left || term->args.count)
            bracketed_print(text, '(', &term->args, ')');
        if (term->as.text)
            text_printf(text, " as %s", term->as.text);
        break;
    }
}

void term_print(Text *text, const Term *term)
{
    for (const Term *t = term->first;; t = t->up) {
        text_add(text, t->parenthesised ? "(" : "");
        if (t == term)
            break;
    }
    for (const Term *t = term->first;; t = t->up) {
        part_print(text, t);
        text_add(text, t->parenthesised ? ")" : "");
        if (t == term)
            break;
    }
}

void type_term_print(Text *text, const TypeTerm *type)
{
    text_add(text, type->element.text);
    if (!type->tensor)
        return;
    text_add(text, "[");
    for (int d = 0; d < type->dim.count; d++) {
        text_add(text, d ? ", " : "");
        if (type->dim.at[d].size)
            term_print(text, type->dim.at[d].size);
        else
            text_add(text, "...");
    }
    text_add(text, "]");
}

void parameters_print(Text *text, const Parameters *params)
{
    for (int i = 0; i < params->count; i++) {
        const Parameter *p = &params->at[i];
        text_printf(text, "%s%s", i ? ", " : "", p->name.text);
        if (p->type) {
            text_add(text, ": ");
            type_term_print(text, p->type);
        }
        if (p->value) {
            text_add(text, " = ");
            term_print(text, p->value);
        }
    }
}

/* ---- statements ---- */

static void block_print(Text *text, const Block *block, int depth);

static void assert_print(Text *text, const Statement *statement)
{
    Text whole = {0};
    for (int i = 0; i < statement->piece.count; i++) {
        const Piece *piece = &statement->piece.at[i];
        if (!piece->value) {
            text_add(&whole, piece->text[0] == '{' ? "{{" : piece->text);
            continue;
        }
        text_add(&whole, "{");
        term_print(&whole, piece->value);
        text_add(&whole, "}");
    }
    text_add(text, "assert ");
    term_print(text, statement->value);
    text_printf(text, ", \"%s\"", text_string(&whole));
    text_free(&whole);
}

static void declaration_print(Text *text, const char *word, const Statement *statement)
{
    text_printf(text, "%s %s", word, statement->name.text);
    if (statement->type) {
        text_add(text, ": ");
        type_term_print(text, statement->type);
    }
    text_add(text, " = ");
    term_print(text, statement->value);
    text_add(text, statement->args.count ? ", " : "");
    args_print(text, &statement->args);
}

static void if_print(Text *text, const Statement *statement, int depth)
{
    text_add(text, "if (");
    term_print(text, statement->value);
    text_add(text, ") ");
    block_print(text, &statement->body, depth);
    if (!statement->otherwise.count)
        return;
    text_add(text, " else ");
    const Statement *only = statement->otherwise.count == 1 ? statement->otherwise.at[0] : NULL;
    if (only && only->kind == STATEMENT_IF)
        if_print(text, only, depth);
    else
        block_print(text, &statement->otherwise, depth);
}

static void scan_print(Text *text, const Statement *statement, int depth)
{
    text_printf(text, "%s = scan %s in ", statement->name.text, statement->step.text);
    term_print(text, statement->value);
    text_add(text, " from ");
    bracketed_print(text, '(', &statement->from, ')');
    text_add(text, " ");
    block_print(text, &statement->body, depth);
}

static void repeat_print(Text *text, const Statement *statement, int depth)
{
    text_add(text, "repeat ");
    term_print(text, statement->value);
    text_printf(text, " as %s ", statement->name.text);
    block_print(text, &statement->body, depth);
}

/* Whether a `;` follows. */
static bool statement_print(Text *text, const Statement *statement, int depth)
{
    switch (statement->kind) {
    case STATEMENT_BIND:
        text_printf(text, "%s %s= ", statement->name.text, operator_text(statement->op));
        term_print(text, statement->value);
        return true;
    case STATEMENT_SCAN:
        scan_print(text, statement, depth);
        return true;
    case STATEMENT_PARAM:
        declaration_print(text, "param", statement);
        return true;
    case STATEMENT_STATE:
        declaration_print(text, "state", statement);
        return true;
    case STATEMENT_UPDATE:
        declaration_print(text, "update", statement);
        return true;
    case STATEMENT_RETURN:
    case STATEMENT_YIELD:
        text_add(text, statement->kind == STATEMENT_RETURN ? "return " : "yield ");
        args_print(text, &statement->args);
        return true;
    case STATEMENT_ASSERT:
        assert_print(text, statement);
        return true;
    case STATEMENT_IF:
        if_print(text, statement, depth);
        return false;
    case STATEMENT_REPEAT:
        repeat_print(text, statement, depth);
        return false;
    case STATEMENT_CHECKPOINT:
        text_add(text, "checkpoint ");
        block_print(text, &statement->body, depth);
        return false;
    }
    return false;
}

static void block_print(Text *text, const Block *block, int depth)
{
    text_add(text, "{\n");
    for (int i = 0; i < block->count; i++) {
        text_indent(text, depth + 1);
        text_add(text, statement_print(text, block->at[i], depth + 1) ? ";\n" : "\n");
    }
    text_indent(text, depth);
    text_add(text, "}");
}

/* ---- items ---- */

static void entry_print(Text *text, const Entry *entry)
{
    if (entry->name.text)
        text_printf(text, "%s = ", entry->name.text);
    term_print(text, entry->value);
    if (entry->on.text)
        text_printf(text, " on %s", entry->on.text);
    if (entry->declares) {
        text_add(text, " as (");
        parameters_print(text, &entry->params);
        text_add(text, ")");
    }
}

static void train_print(Text *text, const Item *item)
{
    text_printf(text, "train %s", item->name.text);
    if (item->as.text)
        text_printf(text, " as %s", item->as.text);
    text_add(text, " {\n");
    for (int i = 0; i < item->field.count; i++) {
        const TrainField *field = &item->field.at[i];
        text_indent(text, 1);
        if (field->value) {
            text_printf(text, "%s = ", field->name.text);
            term_print(text, field->value);
        } else {
            text_add(text, field->name.text);
        }
        for (int e = 0; e < field->entry.count; e++) {
            text_add(text, e ? ", " : " ");
            entry_print(text, &field->entry.at[e]);
        }
        text_add(text, ";\n");
    }
    text_add(text, "}\n");
}

static void item_print(Text *text, const Item *item)
{
    switch (item->kind) {
    case ITEM_IMPORT:
        text_add(text, "import ");
        string_print(text, item->name.text);
        text_add(text, ";\n");
        break;
    case ITEM_CONST:
        text_printf(text, "const %s = ", item->name.text);
        term_print(text, item->value);
        text_add(text, ";\n");
        break;
    case ITEM_LAYER:
    case ITEM_NET:
    case ITEM_OPTIMIZER:
        text_printf(text, "%s %s(", item_word(item->kind), item->name.text);
        parameters_print(text, &item->params);
        if (item->core) {
            text_add(text, ");\n");
            break;
        }
        text_add(text, ") ");
        block_print(text, &item->body, 0);
        text_add(text, "\n");
        break;
    case ITEM_TRAIN:
        train_print(text, item);
        break;
    }
}

void file_print(Text *text, const File *file)
{
    for (int i = 0; i < file->item.count; i++) {
        text_add(text, i ? "\n" : "");
        item_print(text, file->item.at[i]);
    }
}
