/* Turns files into a C source on standard output, so that netc is one file:
     embed text SYMBOL FILE     const char SYMBOL[], ends in NUL
     embed prelude FILE…        const PreludeFile prelude_file[], see frontend/prelude.h */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *name)
{
    fprintf(stderr, "embed: %s: %s\n", name, errno ? strerror(errno) : "cannot be read");
    return EXIT_FAILURE;
}

/* The bytes of a file as C string literals, one a line of the file or 24 bytes of it; the number of bytes, or
 * -1. */
static long print_literal(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return -1;
    long count = 0;
    int byte, column = 0;
    fputs("    \"", stdout);
    for (; (byte = getc(file)) != EOF; count++) {
        if (column >= 96 && byte != '\n') {
            fputs("\"\n    \"", stdout);
            column = 0;
        }
        if (byte == '\n')
            column += printf("\\n");
        else if (isprint(byte) && byte != '"' && byte != '\\' && byte != '?')
            column += printf("%c", byte);
        else
            column += printf("\\%03o", (unsigned)byte);
        if (byte == '\n')
            column = 96;
    }
    fputs("\"", stdout);
    int bad = ferror(file);
    return fclose(file) || bad ? -1 : count;
}

static int embed_text(const char *symbol, const char *name)
{
    printf("extern const char %s[];\nconst char %s[] =\n", symbol, symbol);
    if (print_literal(name) < 0)
        return fail(name);
    puts(";");
    return EXIT_SUCCESS;
}

static int embed_prelude(char **name)
{
    puts("#include \"prelude.h\"\n\n#include <stddef.h>\n\nconst PreludeFile prelude_file[] = {");
    for (; *name; name++) {
        const char *slash = strrchr(*name, '/');
        printf("{\"%s\",\n", slash ? slash + 1 : *name);
        long count = print_literal(*name);
        if (count < 0)
            return fail(*name);
        printf(", %ld},\n", count);
    }
    puts("{NULL, NULL, 0}};");
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    puts("/* Written by tools/embed. */");
    int status = EXIT_FAILURE;
    if (argc == 4 && !strcmp(argv[1], "text"))
        status = embed_text(argv[2], argv[3]);
    else if (argc > 2 && !strcmp(argv[1], "prelude"))
        status = embed_prelude(argv + 2);
    else
        fputs("usage: embed text SYMBOL FILE | prelude FILE...\n", stderr);
    return fflush(stdout) ? fail("standard output") : status;
}
