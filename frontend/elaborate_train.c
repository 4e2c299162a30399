/* A train block's fields: which there are, and those that are numbers and names. */
#include "elaborate.h"
#include "sources.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    bool many;
    const char *form;
} rows[PLAN_FIELDS] = {
#define TRAIN_FIELD(kind, name, many, form) [PLAN_##kind] = {name, many, form},
#include "train_fields.def"
#undef TRAIN_FIELD
};

/* ---- sorting the fields ---- */

static PlanField row_find(const char *name)
{
    int row = 0;
    while (row < PLAN_FIELDS && strcmp(rows[row].name, name))
        row++;
    return (PlanField)row;
}

static bool has_input(const Item *net, const char *name)
{
    for (int i = 0; i < net->params.count; i++)
        if (!strcmp(net->params.at[i].name.text, name))
            return true;
    return false;
}

static bool refuse_input(Elaborator *e, const Plan *plan, const TrainField *field)
{
    PlanField row = row_find(field->name.text);
    if (row < PLAN_FIELDS) {
        report(e, field->name.span, "the field '%s' has no '='", field->name.text);
        report_help(e, "%s", rows[row].form);
        return false;
    }
    Nearest nearest = nearest_of(field->name.text);
    for (int i = 0; i < plan->net->params.count; i++)
        nearest_try(&nearest, plan->net->params.at[i].name.text);
    report(e, field->name.span, "the net '%s' has no input '%s'%s", plan->net->name.text, field->name.text,
           nearest_text(e, &nearest));
    return false;
}

static bool add_input(Elaborator *e, Plan *plan, const TrainField *field)
{
    if (!has_input(plan->net, field->name.text))
        return refuse_input(e, plan, field);
    for (int i = 0; i < plan->input.count; i++)
        if (!strcmp(plan->input.at[i]->name.text, field->name.text)) {
            report(e, field->name.span, "the input '%s' is given twice", field->name.text);
            report_note(e, plan->input.at[i]->name.span, "here is the first");
            return false;
        }
    list_add(e->arena, &plan->input, field);
    return true;
}

static bool add_field(Elaborator *e, Plan *plan, const TrainField *field)
{
    if (field->value)
        return add_input(e, plan, field);
    PlanField row = row_find(field->name.text);
    if (row == PLAN_FIELDS) {
        Nearest nearest = nearest_of(field->name.text);
        for (int i = 0; i < PLAN_FIELDS; i++)
            nearest_try(&nearest, rows[i].name);
        report(e, field->name.span, "a train block has no field '%s'%s", field->name.text,
               nearest_text(e, &nearest));
        return false;
    }
    if (row == PLAN_AUGMENT)
        list_add(e->arena, &plan->augment, field);
    if (plan->field[row] && !rows[row].many) {
        report(e, field->name.span, "the field '%s' is given twice", rows[row].name);
        report_note(e, plan->field[row]->name.span, "here is the first");
        return false;
    }
    if (!plan->field[row])
        plan->field[row] = field;
    return true;
}

static bool check_present(Elaborator *e, const Plan *plan)
{
    static const PlanField needed[] = {PLAN_DATA, PLAN_LOSS, PLAN_OPTIMIZER, PLAN_BATCH};
    const char *missing = NULL;
    for (int i = 0; i < 4; i++)
        if (!plan->field[needed[i]])
            missing = format_text(e, "%s%sno %s", missing ? missing : "", missing ? ", " : "",
                                  rows[needed[i]].name);
    if (!missing)
        return true;
    report(e, plan->train->head, "train '%s' has %s", plan->train->name.text, missing);
    for (int i = 0; i < 4; i++)
        if (!plan->field[needed[i]])
            report_help(e, "%s", rows[needed[i]].form);
    return false;
}

/* ---- entries ---- */

static bool refuse_form(Elaborator *e, PlanField row, Span span)
{
    report(e, span, "the field '%s' is not written so", rows[row].name);
    report_help(e, "%s", rows[row].form);
    return false;
}

/* A field of one plain expression. */
static const Term *single(Elaborator *e, const Plan *plan, PlanField row)
{
    const TrainField *field = plan->field[row];
    const Entry *entry = &field->entry.at[0];
    if (field->entry.count == 1 && !entry->name.text && !entry->on.text && !entry->declares)
        return entry->value;
    refuse_form(e, row, field->span);
    return NULL;
}

static bool whole_number(Elaborator *e, const Plan *plan, PlanField row, int64_t least, int64_t most,
                         int64_t *value)
{
    if (!plan->field[row])
        return true;
    const Term *term = single(e, plan, row);
    if (!term || !evaluate_int(e, term, format_text(e, "'%s'", rows[row].name), value))
        return false;
    if (*value >= least && *value <= most)
        return true;
    report(e, term->span, "'%s' must be from %lld to %lld, but is %lld", rows[row].name, (long long)least,
           (long long)most, (long long)*value);
    return false;
}

/* ---- data ---- */

/* `window` is the argument's value, where the source has one. */
static bool check_column(Elaborator *e, const SourceInfo *source, int index, int64_t window,
                         const Parameter *param, const Type *type)
{
    const SourceColumn *column = &source->column[index];
    static const char *const free_size[] = {"batch", "channels", "height", "width"};
    const char *want = format_text(e, "%s[batch", dtype_info[column->dtype].name);
    bool good =
        type->rank == column->rank && type->dtype == column->dtype && size_equal(type->dim[0], (Size){1, 1});
    for (int d = 1; d < column->rank; d++) {
        int64_t size = column->dim[d] == SIZE_ANY && source->window ? window : column->dim[d];
        want = size == SIZE_ANY ? format_text(e, "%s, %s", want, free_size[d])
                                : format_text(e, "%s, %lld", want, (long long)size);
        good = good && !type->dim[d].power && (size == SIZE_ANY || size == type->dim[d].count);
    }
    if (!good)
        report(e, param->type->span, "the %s of %s are %s], not %s", column->what, source->name, want,
               type_text(e, type));
    return good;
}

static bool declare_field(Elaborator *e, Plan *plan, const SourceInfo *source, int index, int64_t window,
                          const Parameter *param)
{
    Type type;
    if (!param->type || param->value) {
        report(e, param->name.span,
               "a field of the data has a type, as in `digit: i32[batch]`, and no default");
        return false;
    }
    if (!evaluate_type(e, param->type, &type) || !check_column(e, source, index, window, param, &type))
        return false;
    if (model_find(e->model, param->name.text)) {
        report(e, param->name.span, "a field of the data cannot be named '%s': the name is taken",
               param->name.text);
        return false;
    }
    Variable *v = model_variable(e->model, VARIABLE_INPUT, param->name.text, type);
    v->span = param->name.span;
    list_add(e->arena, &e->model->training->field, ((Field){v}));
    if (source->column[index].label)
        plan->label[plan->labels++] = v;
    return true;
}

static bool declare_fields(Elaborator *e, Plan *plan, const SourceInfo *source, const DataSource *data,
                           const Entry *entry)
{
    bool good = true;
    int64_t window = SIZE_ANY;
    for (int i = 0; source->window && i < data->argument.count; i++)
        if (!strcmp(data->argument.at[i].name, source->window))
            window = (int64_t)data->argument.at[i].number;
    if (entry->params.count > source->columns) {
        report(e, entry->params.at[source->columns].name.span, "%s has %d fields, and here is one more",
               source->name, source->columns);
        return false;
    }
    for (int i = 0; i < entry->params.count; i++)
        good = declare_field(e, plan, source, i, window, &entry->params.at[i]) && good;
    return good;
}

static const SourceInfo *entry_source(Elaborator *e, const Entry *entry)
{
    const Term *call = entry->value;
    if (call->kind != TERM_CALL || call->left || call->as.text) {
        refuse_form(e, PLAN_DATA, call->span);
        return NULL;
    }
    const SourceInfo *source = source_find(call->text);
    if (source)
        return source;
    Nearest nearest = nearest_of(call->text);
    for (const SourceInfo *s = source_info; s->name; s++)
        nearest_try(&nearest, s->name);
    report(e, call->span, "there is no data source '%s'%s", call->text, nearest_text(e, &nearest));
    return NULL;
}

enum { ARGUMENT_PATH, ARGUMENT_SPLIT, ARGUMENT_LIMIT, ARGUMENT_WINDOW, SOURCE_ARGUMENTS };

static bool source_argument(Elaborator *e, DataSource *data, const SourceInfo *source, const Arg *arg,
                            int position)
{
    const char *const names[SOURCE_ARGUMENTS] = {"path", "split", "limit", source->window};
    int count = source->window ? SOURCE_ARGUMENTS : ARGUMENT_WINDOW;
    const char *name = arg->name.text ? arg->name.text : position < count ? names[position] : "";
    int i = 0;
    while (i < count && strcmp(names[i], name))
        i++;
    Value value = evaluate(e, arg->value);
    if (value.kind == VALUE_POISON)
        return false;
    if (i == count) {
        if (arg->name.text)
            report(e, arg->name.span, "%s has no argument '%s'", source->name, name);
        else
            report(e, arg->value->span, "%s takes %d arguments, and here is one more", source->name, count);
        report_help(e, "%s(path, split = \"train\", limit = 1000%s%s%s)", source->name,
                    source->window ? ", " : "", source->window ? source->window : "",
                    source->window ? " = 128" : "");
        return false;
    }
    for (int a = 0; a < data->argument.count; a++)
        if (!strcmp(data->argument.at[a].name, names[i])) {
            report(e, arg->value->span, "%s: the argument '%s' is given twice", source->name, names[i]);
            return false;
        }
    bool number = i >= ARGUMENT_LIMIT;
    bool split = i != ARGUMENT_SPLIT || (value.kind == VALUE_STRING &&
                                         (!strcmp(value.string, "train") || !strcmp(value.string, "test")));
    if (number ? value.kind != VALUE_INT || value.integer.power || value.integer.count < 1
               : value.kind != VALUE_STRING || !split) {
        report(e, arg->value->span, "%s: %s must be %s, but is %s", source->name, names[i],
               number                ? "an int of at least 1"
               : i == ARGUMENT_SPLIT ? "\"train\" or \"test\""
                                     : "a string",
               described_text(e, value));
        return false;
    }
    Argument argument = {.name = names[i], .string = number ? NULL : value.string};
    argument.number = number ? (double)value.integer.count : 0;
    list_add(e->arena, &data->argument, argument);
    return true;
}

static bool source_arguments(Elaborator *e, DataSource *data, const SourceInfo *source, const Term *call)
{
    bool good = true, windowed = !source->window;
    for (int i = 0; i < call->args.count; i++)
        good = source_argument(e, data, source, &call->args.at[i], i) && good;
    for (int i = 0; i < data->argument.count; i++)
        windowed = windowed || !strcmp(data->argument.at[i].name, source->window);
    bool path = data->argument.count && !strcmp(data->argument.at[0].name, "path");
    if (good && !path)
        report(e, call->span, "%s: the argument 'path' comes first, and is missing", call->text);
    else if (good && !windowed)
        report(e, call->span, "%s: the argument '%s' is missing: how many a sample has", call->text,
               source->window);
    return good && path && windowed;
}

static bool entry_split(Elaborator *e, const TrainField *field, int index, DataSource *data)
{
    const Entry *entry = &field->entry.at[index];
    data->split = entry->name.text ? entry->name.text : "train";
    if (strcmp(data->split, "train") && strcmp(data->split, "valid") && strcmp(data->split, "test")) {
        report(e, entry->name.span, "the data are train, valid and test, not '%s'", data->split);
        return false;
    }
    if (!entry->name.text && field->entry.count > 1) {
        for (int i = 0; i < index; i++)
            if (!field->entry.at[i].name.text)
                return false; /* one rule, one report */
        report(e, entry->span, "of several sources each has a name: train = …, valid = …, test = …");
        return false;
    }
    for (int i = 0; i < e->model->training->source.count; i++)
        if (!strcmp(e->model->training->source.at[i].split, data->split)) {
            report(e, entry->span, "the data for '%s' are given twice", data->split);
            return false;
        }
    return true;
}

static bool read_data(Elaborator *e, Plan *plan)
{
    const TrainField *field = plan->field[PLAN_DATA];
    const SourceInfo *first = NULL;
    bool good = true;
    for (int i = 0; i < field->entry.count; i++) {
        const Entry *entry = &field->entry.at[i];
        DataSource data = {0};
        const SourceInfo *source = entry_source(e, entry);
        if (!source || !entry_split(e, field, i, &data) ||
            !source_arguments(e, &data, source, entry->value)) {
            good = false;
            continue;
        }
        data.source = source->name;
        list_add(e->arena, &e->model->training->source, data);
        if (!first && entry->declares)
            good = declare_fields(e, plan, source, &data, entry) && good;
        else if (first && entry->declares) {
            report(e, entry->span, "the fields are those of the first source: they are not declared again");
            good = false;
        }
        first = first || entry->declares ? source : first;
    }
    if (good && !e->model->training->field.count) {
        report(e, field->span, "the data's fields are not declared");
        report_help(e, "%s", rows[PLAN_DATA].form);
        good = false;
    }
    if (good && strcmp(e->model->training->source.at[0].split, "train")) {
        report(e, field->entry.at[0].span, "the first source must be the one for 'train'");
        good = false;
    }
    return good;
}

/* ---- keep, stop, init, freeze ---- */

static bool metric_known(Elaborator *e, const Plan *plan, const char *name, Span span)
{
    const TrainField *metric = plan->field[PLAN_METRIC];
    Nearest nearest = nearest_of(name);
    for (int i = 0; metric && i < metric->entry.count; i++) {
        const char *known = metric->entry.at[i].name.text;
        if (known && !strcmp(known, name))
            return true;
        if (known)
            nearest_try(&nearest, known);
    }
    report(e, span, "there is no metric '%s'%s", name, nearest_text(e, &nearest));
    return false;
}

static bool read_keep(Elaborator *e, const Plan *plan)
{
    const TrainField *field = plan->field[PLAN_KEEP];
    for (int i = 0; field && i < field->entry.count; i++) {
        const Term *term = field->entry.at[i].value;
        bool plain = term->kind == TERM_NAME && (!strcmp(term->text, "last") || !strcmp(term->text, "best"));
        bool best = term->kind == TERM_CALL && !strcmp(term->text, "best") && !term->left &&
                    term->args.count == 1 && term->args.at[0].value->kind == TERM_NAME &&
                    !term->args.at[0].name.text;
        if (field->entry.at[i].name.text || (!plain && !best))
            return refuse_form(e, PLAN_KEEP, field->entry.at[i].span);
        if (!best)
            continue;
        const Term *name = term->args.at[0].value;
        if (!metric_known(e, plan, name->text, name->span))
            return false;
        e->model->training->best = name->text;
    }
    return true;
}

static bool read_stop(Elaborator *e, const Plan *plan)
{
    const TrainField *field = plan->field[PLAN_STOP];
    Training *t = e->model->training;
    if (!field)
        return true;
    const Entry *entry = &field->entry.at[0];
    if (field->entry.count != 1 || !entry->name.text || strcmp(entry->name.text, "patience"))
        return refuse_form(e, PLAN_STOP, field->span);
    if (!evaluate_int(e, entry->value, "'patience'", &t->patience))
        return false;
    if (t->patience < 1) {
        report(e, entry->value->span, "'patience' must be at least 1, but is %lld", (long long)t->patience);
        return false;
    }
    if (!entry->on.text)
        return true;
    if (!metric_known(e, plan, entry->on.text, entry->on.span))
        return false;
    if (t->best && strcmp(t->best, entry->on.text)) {
        report(e, entry->on.span, "`keep` goes by '%s': `stop` must go by the same", t->best);
        return false;
    }
    t->best = entry->on.text;
    return true;
}

static bool refuse_init(Elaborator *e, const Plan *plan)
{
    if (plan->field[PLAN_INIT])
        report(e, plan->field[PLAN_INIT]->span,
               "`init` is not supported yet: parameters begin with their initialisers");
    return !plan->field[PLAN_INIT];
}

bool glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *after = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            after = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++after;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

/* ---- the whole ---- */

bool plan_read(Elaborator *e, Plan *plan)
{
    Training *t = e->model->training;
    bool good = true;
    for (int i = 0; i < plan->train->field.count; i++)
        good = add_field(e, plan, &plan->train->field.at[i]) && good;
    if (!good || !check_present(e, plan)) /* what is misspelt is not missing too */
        return false;
    t->batch = 1;
    t->epochs = 1;
    t->seed = 1;
    good = read_data(e, plan);
    good = whole_number(e, plan, PLAN_BATCH, 1, 1 << 20, &t->batch) && good;
    good = whole_number(e, plan, PLAN_EPOCHS, 1, 1 << 30, &t->epochs) && good;
    good = whole_number(e, plan, PLAN_SEED, 0, INT64_MAX, &t->seed) && good;
    good = read_keep(e, plan) && good;
    good = read_stop(e, plan) && good;
    good = refuse_init(e, plan) && good;
    e->model->batch = t->batch;
    return good;
}
