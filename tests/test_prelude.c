/* What the prelude computes, against plain loops: layers, losses, metrics, optimizers, initialisers and the training step. */
#include "run_model.h"

#include "backend.h"
#include "frontend.h"
#include "passes.h"

#include <math.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

static double draw(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)((int)(*state >> 16) % 2001 - 1000) / 500;
}

static void fill(double *value, int count, unsigned seed)
{
    for (int i = 0; i < count; i++)
        value[i] = draw(&seed);
}

static Run start(const char *text)
{
    Diagnostics diag = {.out = stderr};
    Model *model = frontend_text(arena, &diag, "test.net", text, strlen(text), NULL, 0);
    ck_assert_msg(model != NULL, "refused:\n%s", text);
    return run_start(model, "interp", "x86-64-v3", false);
}

/* Sets a variable if the program has it: what nothing depends on has no buffer. */
static void set(Run *run, const char *name, const double *value)
{
    for (int b = 0; b < run->program->buffer.count; b++)
        if (run->program->buffer.at[b].kind == BUFFER_VARIABLE &&
            !strcmp(run->program->buffer.at[b].name, name))
            run_set(run, b, value);
}

static void set_all(Run *run, const char *name, double value)
{
    static double values[4096];
    for (int i = 0; i < 4096; i++)
        values[i] = value;
    set(run, name, values);
}

static void get(const Run *run, Phase phase, const char *name, double *value)
{
    run_get(run, run_buffer(run, phase, name), value);
}

static void close_to(const double *got, const double *want, int count, double error)
{
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= error * (1 + fabs(want[i])), "element %d is %.9g, not %.9g",
                      i, got[i], want[i]);
}

/* predict of a net of x, in one batch */
static void predict(Run *run, const double *x, double *y)
{
    set(run, "x", x);
    run_phase(run, PHASE_PREDICT, 2);
    get(run, PHASE_PREDICT, "y", y);
}

static Run start_net(const char *type, const char *body, int64_t batch)
{
    Run run = start(arena_printf(arena, "net n(x: %s) {\n    %s\n    return y = y;\n}\n", type, body));
    ck_assert_int_eq((int)batch, (int)run.batch);
    return run;
}

enum { N = 5 };

/* ---- layers ---- */

START_TEST(softmax_and_its_logarithm)
{
    double x[3 * N], y[3 * N], want[3 * N];
    fill(x, 3 * N, 1);
    x[0] = 200; /* exp overflows */
    x[N] = -200;
    for (int log_of = 0; log_of < 2; log_of++) {
        Run run = start_net("f32[3, 5]", log_of ? "y = log_softmax(x);" : "y = softmax(x);", 1);
        for (int i = 0; i < 3; i++) {
            double sum = 0;
            for (int j = 0; j < N; j++)
                sum += exp(x[i * N + j] - x[i * N] * (i == 0));
            for (int j = 0; j < N; j++) {
                double d = x[i * N + j] - x[i * N] * (i == 0);
                want[i * N + j] = log_of ? d - log(sum) : exp(d) / sum;
            }
        }
        predict(&run, x, y);
        close_to(y, want, 3 * N, 1e-6);
        run_stop(&run);
    }
}
END_TEST

START_TEST(layer_norm_normalises_rows)
{
    Run run = start_net("f32[3, 5]", "y = layer_norm(x, eps = 0.01);", 1);
    double x[3 * N], y[3 * N], want[3 * N], scale[N], shift[N];
    fill(x, 3 * N, 2);
    fill(scale, N, 3);
    fill(shift, N, 4);
    for (int i = 0; i < 3; i++) {
        double mean = 0, var = 0;
        for (int j = 0; j < N; j++)
            mean += x[i * N + j] / N;
        for (int j = 0; j < N; j++)
            var += (x[i * N + j] - mean) * (x[i * N + j] - mean) / N;
        for (int j = 0; j < N; j++)
            want[i * N + j] = (x[i * N + j] - mean) / sqrt(var + 0.01) * scale[j] + shift[j];
    }
    set(&run, "y.scale", scale);
    set(&run, "y.shift", shift);
    predict(&run, x, y);
    close_to(y, want, 3 * N, 1e-5);
    run_stop(&run);
}
END_TEST

START_TEST(only_what_is_too_small_fades)
{
    const double x[] = {1e-29, -1e-29, 1e-31, -1e-40, NAN}, want[] = {1e-29, -1e-29, 0, 0, NAN};
    Run run = start_net("f32[5]", "y = fade(x);", 1);
    double y[N];
    predict(&run, x, y);
    for (int i = 0; i < N; i++)
        ck_assert(isnan(want[i]) ? isnan(y[i]) : y[i] == (float)want[i]);
    run_stop(&run);
}
END_TEST

START_TEST(avg_pool_counts_its_padding)
{
    Run run = start_net("f32[2, 1, 5, 5]", "y = avg_pool(x, 3, stride = 2, pad = 1);", 1);
    double x[50], y[18], want[18] = {0};
    fill(x, 50, 5);
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                for (int h = 2 * i - 1; h < 2 * i + 2; h++)
                    for (int w = 2 * j - 1; w < 2 * j + 2; w++)
                        if (h >= 0 && h < 5 && w >= 0 && w < 5)
                            want[(n * 3 + i) * 3 + j] += x[(n * 5 + h) * 5 + w] / 9;
    predict(&run, x, y);
    close_to(y, want, 18, 1e-6);
    run_stop(&run);
}
END_TEST

START_TEST(max_pool_ignores_its_padding)
{
    Run run = start_net("f32[1, 2, 4, 4]", "y = max_pool(x, 2, stride = 2, pad = 1);", 1);
    double x[32], y[18], want[18];
    fill(x, 32, 6);
    for (int i = 0; i < 32; i++)
        x[i] -= 5; /* all below 0 */
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                double *best = &want[(c * 3 + i) * 3 + j];
                *best = -INFINITY;
                for (int h = 2 * i - 1; h <= 2 * i; h++)
                    for (int w = 2 * j - 1; w <= 2 * j; w++)
                        if (h >= 0 && h < 4 && w >= 0 && w < 4)
                            *best = fmax(*best, x[(c * 4 + h) * 4 + w]);
            }
    predict(&run, x, y);
    for (int i = 0; i < 18; i++)
        ck_assert_double_eq(y[i], (float)want[i]);
    run_stop(&run);
}
END_TEST

/* 5 x 6 counted up from 1: the last windows lack a row, a column or both, and a row that began in the padding has none. */
START_TEST(pools_with_a_rest)
{
    static const struct {
        const char *call;
        int count;
        double want[12];
    } row[] = {
        {"max_pool(x, 2, ceil = true)", 9, {8, 10, 12, 20, 22, 24, 26, 28, 30}},
        {"avg_pool(x, 2, ceil = true)", 9, {4.5, 6.5, 8.5, 16.5, 18.5, 20.5, 25.5, 27.5, 29.5}},
        {"max_pool(x, 3, stride = 2, ceil = true)", 6, {15, 17, 18, 27, 29, 30}},
        {"avg_pool(x, 3, stride = 2, ceil = true)", 6, {8, 10, 11.5, 20, 22, 23.5}},
        {"max_pool(x, 3, stride = 3, pad = 1, ceil = true)", 6, {8, 11, 12, 26, 29, 30}},
        {"avg_pool(x, 3, stride = 3, pad = 1, ceil = true)",
         6,
         {2, 42.0 / 9, 18.0 / 6, 117.0 / 9, 198.0 / 9, 72.0 / 6}},
        {"max_pool(x, 2, pad = 1, ceil = true)", 12, {1, 3, 5, 6, 13, 15, 17, 18, 25, 27, 29, 30}},
        {"avg_pool(x, 2, pad = 1, ceil = true)",
         12,
         {0.25, 1.25, 2.25, 1.5, 5, 11.5, 13.5, 7.5, 11, 23.5, 25.5, 13.5}},
        {"max_pool(x, 4, stride = 4, ceil = true)", 4, {22, 24, 28, 30}},
        {"avg_pool(x, 4, stride = 4, ceil = true)", 4, {11.5, 14.5, 26.5, 29.5}},
        {"max_pool(x, 1, stride = 4, ceil = true)", 4, {1, 5, 25, 29}},
    };
    double x[30], y[12];
    for (int i = 0; i < 30; i++)
        x[i] = i + 1;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        Run run = start_net("f32[1, 1, 5, 6]", arena_printf(arena, "y = %s;", row[i].call), 1);
        ck_assert_int_eq(run_count(&run, run_buffer(&run, PHASE_PREDICT, "y")), row[i].count);
        predict(&run, x, y);
        for (int j = 0; j < row[i].count; j++)
            ck_assert_msg(fabs(y[j] - row[i].want[j]) < 1e-5, "%s: element %d is %g, not %g", row[i].call, j,
                          y[j], row[i].want[j]);
        run_stop(&run);
    }
}
END_TEST

START_TEST(upsample_repeats_pixels)
{
    Run run = start_net("f32[1, 1, 2, 2]", "y = relu6(upsample(x, 3));", 1);
    static const double x[4] = {-1, 2, 6.5, 6}, want[4] = {0, 2, 6, 6};
    double y[36];
    predict(&run, x, y);
    for (int i = 0; i < 36; i++)
        ck_assert_double_eq(y[i], want[i / 18 * 2 + i % 6 / 3]);
    run_stop(&run);
}
END_TEST

START_TEST(conv_in_groups)
{
    enum { C = 4, OUT = 6, H = 6, K = 3, G = 2, Y = 3 };
    Run run = start_net("f32[1, 4, 6, 6]", "y = conv(x, 6, kernel = 3, stride = 2, pad = 1, groups = 2);", 1);
    static double x[C * H * H], w[OUT * C / G * K * K], b[OUT], y[OUT * Y * Y], want[OUT * Y * Y];
    fill(x, C * H * H, 7);
    fill(w, OUT * C / G * K * K, 8);
    fill(b, OUT, 9);
    for (int o = 0; o < OUT; o++)
        for (int i = 0; i < Y; i++)
            for (int j = 0; j < Y; j++) {
                double sum = b[o];
                for (int c = 0; c < C / G; c++)
                    for (int p = 0; p < K; p++)
                        for (int q = 0; q < K; q++) {
                            int h = 2 * i + p - 1, v = 2 * j + q - 1, from = o / (OUT / G) * (C / G) + c;
                            if (h >= 0 && h < H && v >= 0 && v < H)
                                sum += x[(from * H + h) * H + v] * w[((o * (C / G) + c) * K + p) * K + q];
                        }
                want[(o * Y + i) * Y + j] = sum;
            }
    set(&run, "y.weight", w);
    set(&run, "y.b", b);
    predict(&run, x, y);
    close_to(y, want, OUT * Y * Y, 1e-5);
    run_stop(&run);
}
END_TEST

START_TEST(orthogonal_is_orthogonal)
{
    static const int shape[][2] = {{6, 6}, {3, 9}, {9, 3}};
    int rows = shape[_i][0], columns = shape[_i][1];
    Run run = start(arena_printf(arena,
                                 "net n(x: f32[%d, %d]) {\n    param w: f32[%d, %d] = orthogonal(gain = 2);\n"
                                 "    return y = x * w;\n}\n",
                                 rows, columns, rows, columns));
    double seed[2] = {11, 0}, w[81];
    set(&run, "seed", seed);
    set_all(&run, "step", 0);
    run_phase(&run, PHASE_INIT, 1);
    get(&run, PHASE_PREDICT, "w", w);
    int n = rows < columns ? rows : columns;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double dot = 0;
            for (int k = 0; k < rows + columns - n; k++)
                dot += rows <= columns ? w[i * columns + k] * w[j * columns + k]
                                       : w[k * columns + i] * w[k * columns + j];
            ck_assert_double_eq_tol(dot, i == j ? 4 : 0, 1e-4);
        }
    run_stop(&run);
}
END_TEST

START_TEST(initialisers_have_their_spread)
{
    static const struct {
        const char *call;
        double mean, variance, least, most;
    } want[] = {
        {"he_normal(fan_in = 8)", 0, 0.25, -4, 4},
        {"normal(mean = 3, std = 0.5)", 3, 0.25, 0, 6},
        {"uniform(low = -1, high = 2)", 0.5, 0.75, -1, 2},
        {"xavier_uniform(fan_in = 10, fan_out = 14)", 0, 1.0 / 12, -0.5, 0.5},
        {"constant(7)", 7, 0, 7, 7},
    };
    enum { COUNT = 4096 };
    Run run = start(arena_printf(
        arena, "net n(x: f32[64, 64]) {\n    param w: f32[64, 64] = %s;\n    return y = x * w;\n}\n",
        want[_i].call));
    static double w[COUNT];
    double seed[2] = {5, 0}, mean = 0, variance = 0;
    set(&run, "seed", seed);
    set_all(&run, "step", 0);
    run_phase(&run, PHASE_INIT, 1);
    get(&run, PHASE_PREDICT, "w", w);
    for (int i = 0; i < COUNT; i++) {
        ck_assert(w[i] >= want[_i].least && w[i] <= want[_i].most);
        mean += w[i] / COUNT;
    }
    for (int i = 0; i < COUNT; i++)
        variance += (w[i] - mean) * (w[i] - mean) / COUNT;
    ck_assert_double_eq_tol(mean, want[_i].mean, 0.05);
    ck_assert_double_eq_tol(variance, want[_i].variance, 0.05 * want[_i].variance + 1e-9);
    run_stop(&run);
}
END_TEST

/* ---- training: images of 1 x 1 x 3, as they are ---- */

enum { BATCH = 4, IN = 3 };

static const double images[BATCH * IN] = {1, 0, 2, 3, 1, 0, 0, 2, 1, 2, 2, 2}, labels[BATCH] = {0, 2, 1, 1};

static Run start_training(const char *body, const char *loss, const char *fields)
{
    Run run = start(arena_printf(
        arena,
        "net n(image: f32[batch, 1, 1, 3]) {\n    x = flatten(image);\n    %s\n    return y = y;\n}\n"
        "train n {\n    data mnist(\"d\") as (pixels: u8[batch, 1, 1, 3], label: i32[batch]);\n"
        "    image = f32(pixels);\n    loss %s;\n    batch 4;\n    %s\n}\n",
        body, loss, fields));
    double seed[2] = {3, 0};
    set(&run, "seed", seed);
    set_all(&run, "step", 0);
    run_phase(&run, PHASE_INIT, 1);
    set_all(&run, "epoch", 0);
    set_all(&run, "epochs", 10);
    set_all(&run, "progress", 0);
    static const char *const options[] = {"lr", "momentum", "beta1", "beta2", "eps", "decay"};
    for (int i = 0; i < 6; i++)
        set_all(&run, arena_printf(arena, "option.%s", options[i]), NAN); /* not given on the command line */
    set(&run, "pixels", images);
    set(&run, "label", labels);
    return run;
}

static void step(Run *run, int number)
{
    set_all(run, "step", number);
    run_phase(run, PHASE_STEP, 2);
}

START_TEST(batch_norm_trains_and_tests)
{
    Run run = start_training("y = batch_norm(x, momentum = 0.75, eps = 0.5);", "mean(y * y)",
                             "optimizer sgd(0.0);");
    double scale[IN] = {1, 2, 3}, shift[IN] = {0, 1, -1}, mean[IN] = {0}, var[IN] = {0}, got[BATCH * IN],
           want[BATCH * IN];
    double old_mean[IN] = {1, 2, 3}, old_var[IN] = {4, 5, 6}, new_mean[IN], new_var[IN], loss = 0;
    set(&run, "y.scale", scale);
    set(&run, "y.shift", shift);
    set(&run, "y.mean", old_mean);
    set(&run, "y.var", old_var);
    for (int j = 0; j < IN; j++) {
        for (int i = 0; i < BATCH; i++)
            mean[j] += images[i * IN + j] / BATCH;
        for (int i = 0; i < BATCH; i++)
            var[j] += (images[i * IN + j] - mean[j]) * (images[i * IN + j] - mean[j]) / BATCH;
        for (int i = 0; i < BATCH; i++) {
            double y = (images[i * IN + j] - mean[j]) / sqrt(var[j] + 0.5) * scale[j] + shift[j];
            loss += y * y / (BATCH * IN);
        }
        new_mean[j] = 0.75 * old_mean[j] + 0.25 * mean[j];
        new_var[j] = 0.75 * old_var[j] + 0.25 * var[j];
    }
    step(&run, 1);
    get(&run, PHASE_STEP, "loss", got);
    close_to(got, &loss, 1, 1e-6);
    get(&run, PHASE_STEP, "y.mean", got);
    close_to(got, new_mean, IN, 1e-6);
    get(&run, PHASE_STEP, "y.var", got);
    close_to(got, new_var, IN, 1e-6);
    for (int i = 0; i < BATCH * IN; i++)
        want[i] =
            (images[i] - new_mean[i % IN]) / sqrt(new_var[i % IN] + 0.5) * scale[i % IN] + shift[i % IN];
    run_phase(&run, PHASE_PREDICT, 1);
    get(&run, PHASE_PREDICT, "y", got);
    close_to(got, want, BATCH * IN, 1e-5);
    run_stop(&run);
}
END_TEST

/* The gradient of mean((x w - label)^2) with respect to w. */
static void line_gradient(const double *w, double *gradient)
{
    memset(gradient, 0, IN * sizeof *gradient);
    for (int i = 0; i < BATCH; i++) {
        double error = -labels[i];
        for (int j = 0; j < IN; j++)
            error += images[i * IN + j] * w[j];
        for (int j = 0; j < IN; j++)
            gradient[j] += 2 * error * images[i * IN + j] / BATCH;
    }
}

static const char line[] = "param w: f32[3] = zeros(); y = x @ w;",
                  line_loss[] = "mean((y - f32(label)) ^ 2)";

static void check_steps(Run *run, double *w, void (*update)(double *w, const double *gradient, int number))
{
    double gradient[IN], got[IN];
    set(run, "w", w);
    for (int number = 1; number <= 3; number++) {
        line_gradient(w, gradient);
        update(w, gradient, number);
        step(run, number);
        get(run, PHASE_STEP, "w", got);
        close_to(got, w, IN, 1e-5);
    }
    run_stop(run);
}

static void plain_update(double *w, const double *gradient, int number)
{
    (void)number;
    for (int j = 0; j < IN; j++)
        w[j] -= 0.05 * gradient[j];
}

static double moment[2][IN];

static void nesterov_update(double *w, const double *gradient, int number)
{
    for (int j = 0; j < IN; j++) {
        moment[0][j] = number == 1 ? gradient[j] : 0.9 * moment[0][j] + gradient[j];
        w[j] -= 0.05 * (gradient[j] + 0.9 * moment[0][j]);
    }
}

static void adam_update(double *w, const double *gradient, int number)
{
    for (int j = 0; j < IN; j++) {
        moment[0][j] = 0.9 * (number == 1 ? 0 : moment[0][j]) + 0.1 * gradient[j];
        moment[1][j] = 0.99 * (number == 1 ? 0 : moment[1][j]) + 0.01 * gradient[j] * gradient[j];
        w[j] -= 0.05 * (moment[0][j] / (1 - pow(0.9, number))) /
                (sqrt(moment[1][j] / (1 - pow(0.99, number))) + 1e-8);
    }
}

static void adamw_update(double *w, const double *gradient, int number)
{
    for (int j = 0; j < IN; j++)
        w[j] -= 0.05 * 0.5 * w[j];
    adam_update(w, gradient, number);
}

static void clipped_update(double *w, const double *gradient, int number)
{
    double norm = 0;
    for (int j = 0; j < IN; j++)
        norm += gradient[j] * gradient[j];
    norm = sqrt(norm);
    ck_assert(number > 1 || norm > 1);
    for (int j = 0; j < IN; j++)
        w[j] -= 0.05 * gradient[j] / fmax(norm, 1);
}

static const struct {
    const char *fields;
    void (*update)(double *w, const double *gradient, int number);
} rules[] = {
    {"optimizer sgd(0.05);", plain_update},
    {"optimizer sgd(0.05, momentum = 0.9, nesterov = true);", nesterov_update},
    {"optimizer adam(0.05, beta2 = 0.99);", adam_update},
    {"optimizer adamw(0.05, beta2 = 0.99, decay = 0.5);", adamw_update},
    {"clip norm = 1.0; optimizer sgd(0.05);", clipped_update},
    {"optimizer sgd(lr = 0.1 * step_decay(epoch + 1, 1, factor = 0.5));", plain_update},
};

START_TEST(optimizers_step)
{
    Run run = start_training(line, line_loss, rules[_i].fields);
    double w[IN] = {0.5, -1, 2};
    check_steps(&run, w, rules[_i].update);
}
END_TEST

START_TEST(lr_scale_scales)
{
    Run run = start_training("param w: f32[3] = zeros(), lr_scale = 0.5; y = x @ w;", line_loss,
                             "optimizer sgd(0.1);");
    double w[IN] = {0.5, -1, 2};
    check_steps(&run, w, plain_update);
}
END_TEST

START_TEST(the_command_line_overrides)
{
    Run run = start_training(line, line_loss, "optimizer sgd(lr = 3.0 * cosine(progress));");
    double w[IN] = {0.5, -1, 2};
    set_all(&run, "option.lr", 0.05);
    check_steps(&run, w, plain_update);
}
END_TEST

/* ---- losses and metrics, over batches of which the last is short ---- */

START_TEST(cross_entropy_and_accuracy)
{
    Run run = start_training(
        "param w: f32[3] = ones(); y = x * w;", "cross_entropy(y, label)",
        "metric top1 = accuracy(y, label), top2 = accuracy(y, label, k = 2); optimizer sgd(0.1);");
    /* Rows 0 … 3, then rows 0 and 1 again as a batch of two. Ties: the lower index comes first. */
    static const int first[BATCH] = {2, 0, 1, 0}, second[BATCH] = {0, 1, 2, 1};
    double loss = 0, top1 = 0, top2 = 0, got;
    for (int n = 0; n < BATCH + 2; n++) {
        int i = n % BATCH, label = (int)labels[i];
        double sum = 0;
        for (int j = 0; j < IN; j++)
            sum += exp(images[i * IN + j]);
        loss += (log(sum) - images[i * IN + label]) / (BATCH + 2);
        top1 += (first[i] == label) / (BATCH + 2.0);
        top2 += (first[i] == label || second[i] == label) / (BATCH + 2.0);
    }
    static const char *const sums[] = {"metric.loss", "metric.top1", "metric.top2"};
    for (int i = 0; i < 3; i++)
        set_all(&run, sums[i], 0);
    set_all(&run, "w", 1);
    run_phase(&run, PHASE_TEST, 2);
    run.batch = 2;
    run_phase(&run, PHASE_TEST, 2);
    run.batch = BATCH + 2;
    run_phase(&run, PHASE_FINISH, 1);
    get(&run, PHASE_FINISH, "loss", &got);
    close_to(&got, &loss, 1, 1e-6);
    get(&run, PHASE_FINISH, "top1", &got);
    close_to(&got, &top1, 1, 1e-6);
    get(&run, PHASE_FINISH, "top2", &got);
    close_to(&got, &top2, 1, 1e-6);
    run_stop(&run);
}
END_TEST

/* What is left of 4,096 ones: zeros and 4/3, as many as the rate says; another step leaves others. */
START_TEST(dropout_keeps_the_mean)
{
    Run run =
        start("net n(image: f32[batch, 1, 64, 64]) {\n    param w: f32[] = ones();\n    y = dropout(image * "
              "w, 0.25);\n"
              "    return y = y;\n}\n"
              "train n {\n    data mnist(\"d\") as (pixels: u8[batch, 1, 64, 64], label: i32[batch]);\n"
              "    image = f32(pixels);\n    loss mean(y ^ 2);\n    batch 1;\n    optimizer sgd(0.0);\n}\n");
    double seed[2] = {3, 0}, loss[2], test;
    set(&run, "seed", seed);
    set_all(&run, "w", 1);
    set_all(&run, "pixels", 1);
    set_all(&run, "option.lr", NAN);
    for (int i = 0; i < 2; i++) {
        step(&run, i + 1);
        get(&run, PHASE_STEP, "loss", &loss[i]); /* the share that is left, times 16/9 */
        double left = loss[i] * 9 / 16;
        ck_assert_double_eq_tol(left, 0.75, 0.03);
        ck_assert_double_eq_tol(left * 4096, round(left * 4096), 0.01);
    }
    ck_assert(loss[0] != loss[1]);
    set_all(&run, "metric.loss", 0);
    run_phase(&run, PHASE_TEST, 1);
    run_phase(&run, PHASE_FINISH, 1);
    get(&run, PHASE_FINISH, "loss", &test);
    ck_assert_double_eq(test, 1);
    run_stop(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prelude");
    TCase *cases = tcase_create("values");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, softmax_and_its_logarithm);
    tcase_add_test(cases, layer_norm_normalises_rows);
    tcase_add_test(cases, only_what_is_too_small_fades);
    tcase_add_test(cases, avg_pool_counts_its_padding);
    tcase_add_test(cases, max_pool_ignores_its_padding);
    tcase_add_test(cases, pools_with_a_rest);
    tcase_add_test(cases, upsample_repeats_pixels);
    tcase_add_test(cases, conv_in_groups);
    tcase_add_loop_test(cases, orthogonal_is_orthogonal, 0, 3);
    tcase_add_loop_test(cases, initialisers_have_their_spread, 0, 5);
    tcase_add_test(cases, batch_norm_trains_and_tests);
    tcase_add_loop_test(cases, optimizers_step, 0, (int)(sizeof rules / sizeof rules[0]));
    tcase_add_test(cases, lr_scale_scales);
    tcase_add_test(cases, the_command_line_overrides);
    tcase_add_test(cases, cross_entropy_and_accuracy);
    tcase_add_test(cases, dropout_keeps_the_mean);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
