#include "driver_tune_file.h"

#include "read_source.h"

#include <stdio.h>
#include <string.h>

const char *tune_path(Arena *arena, const char *input)
{
    static const char *const ending[] = {".net", ".graph"};
    size_t length = strlen(input);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        size_t tail = strlen(ending[i]);
        if (length > tail && !strcmp(input + length - tail, ending[i]))
            return arena_printf(arena, "%.*s.tune", (int)(length - tail), input);
    }
    return NULL;
}

static bool load(Driver *driver, const char *path, TuneFile *file)
{
    const Source *source = source_read(driver->arena, &driver->diag, path, (Span){0});
    return source && tune_read(driver->arena, &driver->diag, source, file);
}

bool tune_load(Driver *driver)
{
    const char *given = driver->options->tune, *path = given;
    if (given && !strcmp(given, "none"))
        return true;
    if (!path)
        path = tune_path(driver->arena, driver->options->input);
    if (!path || (!given && !source_exists(path)))
        return true;
    TuneFile *file = arena_alloc(driver->arena, sizeof *file);
    if (!load(driver, path, file))
        return false;
    driver->tune = tune_find(file, driver->target->name);
    driver->tune_path = path;
    if (!driver->tune)
        diag_report(&driver->diag, DIAG_NOTE, (Span){0}, "%s has no schedules for %s", path,
                    driver->target->name);
    return true;
}

bool tune_load_existing(Driver *driver, const char *path, TuneFile *file)
{
    return !strcmp(path, "-") || !source_exists(path) || load(driver, path, file);
}

void tune_replace(Arena *arena, TuneFile *file, const TuneSection *section)
{
    TuneSection *old = tune_find(file, section->target);
    if (old)
        *old = *section;
    else
        list_add(arena, &file->section, *section);
}

const char *tune_cpu_name(Arena *arena, const Target *target)
{
    static const char label[] = "model name";
    char line[300];
    const char *name = target->name;
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && fgets(line, sizeof line, info)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, label, sizeof label - 1) || !colon || !colon[1])
            continue;
        const char *begin = colon + 1 + strspn(colon + 1, " \t");
        size_t length = strcspn(begin, "\n");
        if (length)
            name = arena_printf(arena, "%.*s", (int)length, begin);
        break;
    }
    if (info)
        fclose(info);
    return name;
}
