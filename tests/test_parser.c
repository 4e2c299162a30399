/* Source text → syntax → source text: what is printed parses to the same tree; how tightly operators bind; chains and
   nests of any length. */
#include "prelude.h"
#include "read_source.h"
#include "syntax.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static Arena *arena;
static char *messages;
static size_t messages_size;
static Diagnostics diag;

static void set_up(void)
{
    arena = arena_new();
    diag = (Diagnostics){.out = open_memstream(&messages, &messages_size), .limit = 20};
    ck_assert_ptr_nonnull(diag.out);
}

static void tear_down(void)
{
    fclose(diag.out);
    free(messages);
    arena_free(arena);
}

static const char *printed(const char *text)
{
    const File *file = parse_file(arena, &diag, source_text(arena, "test.net", text, strlen(text)));
    Text out = {0};
    file_print(&out, file);
    const char *copy = arena_string(arena, text_string(&out));
    text_free(&out);
    return copy;
}

/* ---- printing ---- */

static void check_round_trip(const char *text)
{
    const char *once = printed(text);
    ck_assert_int_eq(diag.errors, 0);
    ck_assert_str_eq(printed(once), once);
    ck_assert_int_eq(diag.errors, 0);
}

START_TEST(prelude_prints_to_itself)
{
    int files = 0;
    for (const PreludeFile *file = prelude_file; file->name; file++, files++)
        check_round_trip(arena_printf(arena, "%.*s", (int)file->length, file->text));
    ck_assert_int_ge(files, 5);
}
END_TEST

START_TEST(examples_print_to_themselves)
{
    DIR *folder = opendir(NETC_SOURCE "/examples");
    ck_assert_ptr_nonnull(folder);
    int files = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (!strstr(entry->d_name, ".net"))
            continue;
        const char *path = arena_printf(arena, NETC_SOURCE "/examples/%s", entry->d_name);
        const Source *source = source_read(arena, &diag, path, (Span){0});
        ck_assert_ptr_nonnull(source);
        check_round_trip(source->text);
        files++;
    }
    closedir(folder);
    ck_assert_int_ge(files, 3);
}
END_TEST

/* One of everything, in the layout that is printed. */
static const char everything[] =
    "import \"other.net\";\n"
    "\n"
    "const a = [1, 2.5, \"q\\\"\\\\\\n\\t\", true, 1e999, []];\n"
    "\n"
    "layer core(x: any[...], y = none);\n"
    "\n"
    "layer f(x: f32[..., n], out: int = 2 + 3 * 4, other) {\n"
    "    assert n % 2 == 0 && !(out < 3 || n >= 4), \"n is {n + 1}, {{not} \\\"{out}\\\"\";\n"
    "    param w: f32[n, out] = he_normal(fan_in = n), decay = false, lr_scale = 0.1;\n"
    "    state s: f32[] = zeros();\n"
    "    if (out == 1) {\n"
    "        y = (x + 1) * 2 ^ -3;\n"
    "    } else if (out != 2) {\n"
    "        y = -(x ^ 2) ^ 2 - (1 - 2);\n"
    "    } else {\n"
    "        y = a[0].b;\n"
    "    }\n"
    "    repeat 3 as i {\n"
    "        y += x @ w |> relu |> g(1, k = 2) as h |> stop;\n"
    "    }\n"
    "    repeat (n / 2) as i {\n"
    "        y *= if (i <= 1) x else y;\n"
    "    }\n"
    "    checkpoint {\n"
    "        z = (if (a) b else c) + f(x) as g;\n"
    "    }\n"
    "    s2 = scan t in time(x, axis = 1) from (h = 0) {\n"
    "        yield a = h, b = t;\n"
    "    };\n"
    "    update s = 0.9 * s;\n"
    "    return p = y, q = z;\n"
    "}\n"
    "\n"
    "net n(x: f32[batch, 4]) {\n"
    "    return x;\n"
    "}\n"
    "\n"
    "optimizer o(lr: float) {\n"
    "    state m = 0;\n"
    "    parameter -= lr * gradient;\n"
    "}\n"
    "\n"
    "train n as first {\n"
    "    data train = mnist(\"d\") as (x: f32[batch], y: i32[]), test = mnist(\"e\");\n"
    "    x = f32(y) / 255;\n"
    "    stop patience = 3 on top1;\n"
    "    batch 64;\n"
    "}\n";

START_TEST(everything_prints_as_written)
{
    ck_assert_str_eq(printed(everything), everything);
    ck_assert_int_eq(diag.errors, 0);
}
END_TEST

START_TEST(comments_and_blanks_do_not_matter)
{
    ck_assert_str_eq(printed("const\ta=1 // one\r\n  ;// two\nconst b=(2);"),
                     "const a = 1;\n\nconst b = (2);\n");
}
END_TEST

/* ---- how tightly ---- */

static void print_tree(Text *text, const Term *term)
{
    if (term->kind == TERM_BINARY || term->kind == TERM_UNARY) {
        text_add(text, "(");
        if (term->kind == TERM_BINARY)
            print_tree(text, term->left);
        text_add(text, operator_text(term->op));
        print_tree(text, term->kind == TERM_BINARY ? term->right : term->left);
        text_add(text, ")");
    } else if (term->kind == TERM_CALL) {
        text_printf(text, "%s(", term->text);
        if (term->left)
            print_tree(text, term->left);
        for (int i = 0; i < term->args.count; i++) {
            text_add(text, i || term->left ? "," : "");
            print_tree(text, term->args.at[i].value);
        }
        text_printf(text, ")%s%s", term->as.text ? ":" : "", term->as.text ? term->as.text : "");
    } else if (term->kind == TERM_IF) {
        text_add(text, "[");
        print_tree(text, term->left);
        text_add(text, "?");
        print_tree(text, term->right);
        text_add(text, ":");
        print_tree(text, term->third);
        text_add(text, "]");
    } else {
        term_print(text, term);
    }
}

static const char *const bindings[][2] = {
    {"a + b * c", "(a+(b*c))"},
    {"a * b + c", "((a*b)+c)"},
    {"a - b - c", "((a-b)-c)"},
    {"a / b * c % d @ e", "((((a/b)*c)%d)@e)"},
    {"a ^ b ^ c", "(a^(b^c))"},
    {"-x ^ 2", "(-(x^2))"},
    {"x ^ -2", "(x^(-2))"},
    {"-a * b", "((-a)*b)"},
    {"!a && b || c && d", "(((!a)&&b)||(c&&d))"},
    {"a < b == c >= d", "((a<b)==(c>=d))"},
    {"a + 1 < b - 1", "((a+1)<(b-1))"},
    {"a + b |> f |> g(c)", "g(f((a+b)),c)"},
    {"f(a) as b + c", "(f(a):b+c)"},
    {"a |> f as b |> g as c", "g(f(a):b):c"},
    {"if (a) b + c else d |> f", "[a?(b+c):f(d)]"},
    {"if (a) b else if (c) d else e", "[a?b:[c?d:e]]"},
    {"a.b ^ c[0] + 1", "((a.b^c[0])+1)"},
};

START_TEST(operators_bind)
{
    const char *text = bindings[_i][0];
    const Term *term = parse_term(arena, &diag, source_text(arena, "term", text, strlen(text)));
    ck_assert_ptr_nonnull(term);
    Text tree = {0};
    print_tree(&tree, term);
    ck_assert_str_eq(text_string(&tree), bindings[_i][1]);
    text_free(&tree);
}
END_TEST

/* ---- length and depth ---- */

static const char *repeated(const char *before, const char *part, int times, const char *after)
{
    Text text = {0};
    text_add(&text, before);
    for (int i = 0; i < times; i++)
        text_add(&text, part);
    text_add(&text, after);
    const char *copy = arena_string(arena, text_string(&text));
    text_free(&text);
    return copy;
}

START_TEST(chains_may_be_long)
{
    static const char *const part[] = {" + x", " * 2", " |> relu", " && x"};
    check_round_trip(repeated("const a = x", part[_i], 100000, ";\n"));
}
END_TEST

static const struct {
    const char *before, *part, *after;
} deep[] = {
    {"const a = ", "(", "x;"},
    {"const a = ", "[", ";"},
    {"const a = ", "f(", "x;"},
    {"const a = ", "-", "x;"},
    {"const a = ", "!", "x;"},
    {"const a = x", "^2", ";"},
    {"const a = x", ".b", ";"},
    {"const a = x", "[0]", ";"},
    {"const a = ", "if (a) b else ", "c;"},
    {"layer f() { ", "if (a) {", ""},
    {"layer f() { ", "repeat 2 as i {", ""},
    {"layer f() { ", "if (a) {} else ", "{} }"},
};

START_TEST(nests_are_bounded)
{
    printed(repeated(deep[_i].before, deep[_i].part, 200000, deep[_i].after));
    fflush(diag.out);
    ck_assert_int_eq(diag.errors, 1);
    ck_assert_ptr_nonnull(strstr(messages, "nested too deep: at most 200 levels"));
    int lines = 0;
    for (const char *at = messages; (at = strchr(at, '\n')); at++)
        lines++;
    ck_assert_int_eq(lines, 3);
}
END_TEST

START_TEST(nests_of_200_are_well)
{
    Text text = {0};
    text_add(&text, "const a = ");
    for (int i = 0; i < 190; i++)
        text_add(&text, "(");
    text_add(&text, "x");
    for (int i = 0; i < 190; i++)
        text_add(&text, ")");
    text_add(&text, ";\n");
    printed(text_string(&text));
    text_free(&text);
    ck_assert_int_eq(diag.errors, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parser");
    TCase *cases = tcase_create("syntax");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, prelude_prints_to_itself);
    tcase_add_test(cases, examples_print_to_themselves);
    tcase_add_test(cases, everything_prints_as_written);
    tcase_add_test(cases, comments_and_blanks_do_not_matter);
    tcase_add_loop_test(cases, operators_bind, 0, (int)(sizeof bindings / sizeof bindings[0]));
    tcase_add_loop_test(cases, chains_may_be_long, 0, 4);
    tcase_add_loop_test(cases, nests_are_bounded, 0, (int)(sizeof deep / sizeof deep[0]));
    tcase_add_test(cases, nests_of_200_are_well);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
