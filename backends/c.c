#include "c.h"

#include "c_words.h"
#include "runtime_source.h"

#include <string.h>

/* ---- the dialect --------------------------------------------------------------------------------------- */

static const char *c_type(Clike *w, DType dtype, int lanes)
{
    if (lanes > 1)
        return c_vector_type(w->context, dtype, lanes);
    return dtype == DTYPE_BOOL ? "bool" : dtype_info[dtype].ctype;
}

static const char *function_word(Clike *w, const Expr *apply) { return c_function(w->context, w, apply); }

static const char *cast_word(Clike *w, DType from, DType to, int lanes)
{
    return c_cast(w->context, from, to, lanes);
}

static const char *bits_word(Clike *w, DType from, DType to, int lanes)
{
    return c_bits(w->context, from, to, lanes);
}

static const char *vector_word(Clike *w, VectorWord word, DType dtype, int lanes)
{
    return c_vector_word(w->context, word, dtype, lanes);
}

static void print_name(Text *text, const Kernel *kernel) { clike_identifier(text, "kernel_", kernel->name); }

static void print_buffers(Clike *w)
{
    for (int i = 0; i < w->kernel->buffer.count; i++) {
        const KernelBuffer *b = &w->kernel->buffer.at[i];
        if (w->uses_buffer[i])
            clike_line(w, "%s%s *x%d = buffer[%d];", b->written ? "" : "const ", dtype_info[b->dtype].ctype,
                       i, i);
    }
}

/* A function of the runtime's type NetcKernel: a loop over its items. */
static void open_kernel(Clike *w)
{
    const Kernel *k = w->kernel;
    bool buffers = false, arguments = false;
    for (int i = 0; i < k->buffer.count; i++)
        buffers = buffers || w->uses_buffer[i];
    for (int i = 0; i < k->arguments; i++)
        arguments = arguments || w->uses_argument[i];
    text_add(w->text, "static void ");
    print_name(w->text, k);
    text_add(w->text, "(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end)\n{\n");
    w->depth = 1;
    print_buffers(w);
    for (int i = 0; i < k->arguments; i++)
        if (w->uses_argument[i])
            clike_line(w, i ? "const int64_t a%d = argument[%d];" : "const int64_t batch = argument[0];", i,
                       i);
    if (!buffers)
        clike_line(w, "(void)buffer;");
    if (!arguments)
        clike_line(w, "(void)argument;");
    if (k->item_axis < 0)
        clike_line(w, "for (int64_t item = begin; item < end; item++) {");
    else
        clike_line(w, "for (int64_t i%d = begin; i%d < end; i%d++) {", k->item_axis, k->item_axis,
                   k->item_axis);
    w->depth = 2;
}

static void close_kernel(Clike *w)
{
    w->depth = 1;
    clike_line(w, "}");
    text_add(w->text, "}\n");
}

static const Dialect dialect = {open_kernel, close_kernel, c_type,     function_word,
                                cast_word,   bits_word,    vector_word};

/* ---- the file ------------------------------------------------------------------------------------------ */

static const char includes[] =
    "#include <math.h>\n"
    "#include <stdbool.h>\n"
    "#include <stdint.h>\n"
    "#if defined __x86_64__\n"
    "#include <immintrin.h>\n"
    "#elif defined __aarch64__\n"
    "#include <arm_neon.h>\n"
    "#endif\n"
    "\n"
    "#ifdef __FAST_MATH__\n"
    "#error \"results would differ: compile without -ffast-math\"\n"
    "#endif\n"
    "\n"
    "/* Does the items [begin, end) of one call. argument[0] is the batch. */\n"
    "typedef void NetcKernel(void *const *buffer, const int64_t *argument, int64_t begin, int64_t end);\n";

static void print_table(Text *text, const char *qualifiers, Kernel *const *kernel, int count)
{
    text_printf(text, "\n%sNetcKernel *const netc_kernels[] = {\n", qualifiers);
    for (int i = 0; i < count; i++) {
        text_add(text, "    ");
        print_name(text, kernel[i]);
        text_add(text, ",\n");
    }
    text_add(text, count ? "};\n" : "    0,\n};\n");
}

static void print_functions(Text *text, Arena *arena, Kernel *const *kernel, int count)
{
    CVectors *vectors = c_vectors_new(arena);
    Text functions = {0};
    for (int i = 0; i < count; i++) {
        text_add(&functions, "\n");
        clike_kernel(&functions, arena, &dialect, vectors, kernel[i]);
    }
    c_vectors_print(text, vectors);
    text_add(text, text_string(&functions));
    text_free(&functions);
}

void c_print_kernels(Text *text, Arena *arena, Kernel *const *kernel, int count)
{
    text_add(text, includes);
    print_functions(text, arena, kernel, count);
    text_add(text, "\nextern NetcKernel *const netc_kernels[];\n");
    print_table(text, "", kernel, count);
}

const char c_flags[] = "-std=gnu11 -ffp-contract=off -fwrapv -fno-strict-aliasing -Wno-psabi";

/* The runtime looks for zlib's and libpng's headers; asking the preprocessor links with what it will find. */
static const char libraries[] = "$(printf '#if __has_include(<png.h>)\\n-lpng\\n#endif\\n"
                                "#if __has_include(<zlib.h>)\\n-lz\\n#endif\\n' | ${CC:-cc} -E -P -x c -)";

/* A word of a shell's command. */
static void print_argument(Text *text, const char *argument)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,+";
    if (argument[0] && strspn(argument, plain) == strlen(argument)) {
        text_add(text, argument);
        return;
    }
    text_add(text, argument[0] == '-' ? "./'" : "'");
    for (const char *c = argument; *c; c++)
        if (*c == '\'')
            text_add(text, "'\\''");
        else
            text_add_bytes(text, c, 1);
    text_add(text, "'");
}

void c_print_command(Text *text, const Target *target, const char *source)
{
    const char *end = strrchr(source, '.');
    bool suffix = end && end != source && !strcmp(end, ".c");
    Text program = {0};
    text_add_bytes(&program, source, suffix ? (size_t)(end - source) : strlen(source));
    text_add(&program, suffix ? "" : ".out");
    text_printf(text, "cc %s -O3 %s -pthread -o ", c_flags, target->flags);
    print_argument(text, text_string(&program));
    text_add(text, " ");
    print_argument(text, source);
    text_printf(text, " netc_runtime.c %s -lm", libraries);
    text_free(&program);
}

/* A line that a comment can hold as it is: not where the file's name would end the comment or the line. */
static const char *name_in_comment(Arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    Text identifier = {0};
    for (const char *c = name; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '*' || *c == '\\' || *c == '?') {
            clike_identifier(&identifier, "", name);
            text_add(&identifier, ".c");
            name = arena_string(arena, text_string(&identifier));
            break;
        }
    text_free(&identifier);
    return name;
}

static void print_descriptor(Text *text, const Program *program)
{
    Text descriptor = {0};
    program_descriptor(&descriptor, program);
    text_add(text, "\nstatic const char netc_descriptor[] =");
    for (const char *line = text_string(&descriptor); *line;) {
        size_t length = strcspn(line, "\n");
        length += line[length] == '\n';
        text_add(text, "\n    ");
        text_quote(text, arena_printf(program->arena, "%.*s", (int)length, line));
        line += length;
    }
    text_add(text, ";\n");
    text_free(&descriptor);
}

static void print_program(Text *text, const Program *program, const char *source)
{
    text_add(text, "/* The network ");
    clike_comment_words(text, program->model->name);
    text_printf(text, ", compiled by netc %s for %s:", NETC_VERSION, program->target->name);
    text_add(text, "\n\n   ");
    c_print_command(text, program->target, source);
    text_add(text, "\n\n   builds it in its folder; with gcc or clang for cc, and any -O, the results are "
                   "the same. */\n");
    text_add(text, includes);
    print_functions(text, program->arena, program->kernel.at, program->kernel.count);
    print_table(text, "static ", program->kernel.at, program->kernel.count);
    print_descriptor(text, program);
    text_add(text,
             "\nint netc_main(const char *descriptor, NetcKernel *const *kernel, int argc, char **argv);\n"
             "\nint main(int argc, char **argv)\n{\n"
             "    return netc_main(netc_descriptor, netc_kernels, argc, argv);\n}\n");
}

static int write_runtime(const BackendOptions *options, Arena *arena)
{
    const char *slash = strrchr(options->output, '/');
    BackendOptions beside = *options;
    beside.output = arena_printf(arena, "%.*snetc_runtime.c", slash ? (int)(slash + 1 - options->output) : 0,
                                 options->output);
    return backend_write(&beside, netc_runtime_source, strlen(netc_runtime_source));
}

int c_emit(const Program *program, const BackendOptions *options)
{
    Text text = {0};
    bool standard = !strcmp(options->output, "-");
    const char *name = standard ? "program.c" : name_in_comment(program->arena, options->output);
    print_program(&text, program, name);
    int status = backend_write(options, text_string(&text), text.length);
    text_free(&text);
    if (status == STATUS_OK && !standard)
        status = write_runtime(options, program->arena);
    return status;
}
