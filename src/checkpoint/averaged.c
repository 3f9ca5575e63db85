#include "averaged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dotless.h"

enum { MOST_COMPONENTS = 8, MOST_BEGINNINGS = 32 };

/* Bytes of the beginning of a name up to its last component that says so; 0: none does. */
static size_t averaged_bytes(const char *name)
{
    size_t found = 0;
    const char *at = name;

    for (int i = 0; i < MOST_COMPONENTS; i++) {
        const char *dot = strchr(at, '.');
        if (!dot || dot + 1 - name >= MG_KEY_MAX) break;
        if (mg_averaged_is_word(at, (size_t)(dot - at))) found = (size_t)(dot + 1 - name);
        at = dot + 1;
    }
    return found;
}

/* Counters that keep an average going. */
static bool is_counter(const char *name)
{
    static const char *const ends[] = {"initted", "step", "n_averaged", "num_updates", "decay"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(dot ? dot + 1 : name, ends[i]) == 0) return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A component that torch's own wrappers put before all names is off. */
static bool strip_wrapper(char prefix[MG_KEY_MAX], const char **part, size_t n)
{
    static const char *const wrappers[] = {"module.", "_orig_mod."};

    for (size_t w = 0; w < sizeof wrappers / sizeof *wrappers; w++) {
        const size_t n_wrapper = strlen(wrappers[w]);
        size_t n_has = 0;
        while (n_has < n && strncmp(part[n_has], wrappers[w], n_wrapper) == 0) n_has++;
        if (n == 0 || n_has < n) continue;
        for (size_t i = 0; i < n; i++) part[i] += n_wrapper;
        strcat(prefix, wrappers[w]);
        return true;
    }
    return false;
}

/* Is what a rule is asked for one of part[n], sorted, whatever components stand before it? Parts of a whole
 * model are no such components. */
static bool is_twin(const char *const *part, size_t n, const char *name)
{
    for (int i = 0; i < MOST_COMPONENTS && name; i++) {
        if (bsearch(&name, part, n, sizeof *part, by_text)) return true;
        const char *dot = strchr(name, '.');
        if (dot && dot - name >= 7 && (!strncmp(dot - 7, "encoder", 7) || !strncmp(dot - 7, "decoder", 7)))
            break;
        name = dot ? dot + 1 : NULL;
    }
    return false;
}

/* The names that have this beginning, without it and what else stands before all of them, into part[]; true
 * if a rule knows each. */
static bool is_whole(char prefix[MG_KEY_MAX], const char **part, size_t *n_part, const char *const *names,
                     size_t n, const char *begin, size_t n_begin)
{
    char inner[MG_KEY_MAX];
    mg_key_target target[MG_KEY_PARTS];

    *n_part = 0;
    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], begin, n_begin) == 0 && !is_counter(names[i]))
            part[(*n_part)++] = names[i] + n_begin;
    mg_key_map_prefix(inner, part, *n_part);
    const size_t n_inner = strlen(inner);
    for (size_t i = 0; i < *n_part; i++)
        if (strncmp(part[i], inner, n_inner) == 0) part[i] += n_inner;
    if (n_begin + n_inner + MG_KEY_PARTS * sizeof "_orig_mod." >= MG_KEY_MAX) return false;
    memcpy(prefix, begin, n_begin);
    memcpy(prefix + n_begin, inner, n_inner + 1);
    for (int i = 0; i < MG_KEY_PARTS && strip_wrapper(prefix, part, *n_part); i++) {}
    const mg_dialect d = mg_key_map_detect(part, *n_part);
    if (d == MG_DIALECT_UNKNOWN) return false;
    for (size_t i = 0; i < *n_part; i++)
        if (mg_key_map(target, d, part[i]) == 0 && !mg_key_map_is_ignorable(part[i])) return false;
    return true;
}

/* The beginning of the averaged copy; "" if there is none, or none that a rule knows. */
static mg_status find_averaged(mg_plain_names *out, const char **part, const char *const *names, size_t n,
                               const char *path)
{
    char prefix[MG_KEY_MAX], tried[MG_KEY_MAX] = "";
    size_t n_part;
    int n_tried = 0;

    for (size_t i = 0; i < n && n_tried < MOST_BEGINNINGS; i++) {
        const size_t bytes = averaged_bytes(names[i]);
        if (!bytes || (strlen(tried) == bytes && strncmp(tried, names[i], bytes) == 0)) continue;
        snprintf(tried, sizeof tried, "%.*s", (int)bytes, names[i]);
        if (*out->averaged && strncmp(out->averaged, tried, bytes) == 0) continue;
        n_tried++;
        if (!is_whole(prefix, part, &n_part, names, n, tried, bytes)) continue;
        if (*out->averaged)
            return mg_fail(MG_ECHECKPOINT,
                           "%s: holds two averaged copies of its weights, %s and %s, and does not say which "
                           "is to be used: save it with one of them",
                           path, out->averaged, prefix);
        memcpy(out->averaged, prefix, sizeof prefix);
    }
    return MG_OK;
}

/* The averaged names into part[], sorted; the optimiser's copy of each is left out. */
static void leave_out(mg_plain_names *out, const char **part, const char *const *names, size_t n)
{
    const size_t n_prefix = strlen(out->prefix), n_averaged = strlen(out->averaged);
    size_t n_part = 0, n_twins = 0;

    for (size_t i = 0; i < n; i++)
        if (strncmp(names[i], out->averaged, n_averaged) == 0 && !is_counter(names[i]))
            part[n_part++] = names[i] + n_averaged;
    if (n_part) qsort(part, n_part, sizeof *part, by_text);
    for (size_t i = 0; i < n; i++) {
        const char *name = names[i];
        if (strncmp(name, out->averaged, n_averaged) == 0) {
            if (!is_counter(name)) out->list[i] = name + n_averaged;
            continue;
        }
        const bool has_twin = is_twin(part, n_part, name);
        n_twins += has_twin;
        if (has_twin || (averaged_bytes(name) && is_counter(name))) continue;
        out->n_others++;
        out->list[i] = n_prefix && strncmp(name, out->prefix, n_prefix) == 0 ? name + n_prefix : name;
    }
    out->n_averaged = n_part;
    if (n_twins == 0) *out->averaged = '\0'; /* nothing is there twice */
}

/* What stands before those names that are of no averaged copy. */
static void find_prefix(mg_plain_names *out, const char **part, const char *const *names, size_t n)
{
    size_t n_part = 0;

    for (size_t i = 0; i < n; i++)
        if (!averaged_bytes(names[i])) part[n_part++] = names[i];
    mg_key_map_prefix(out->prefix, part, n_part);
}

static void take_all(mg_plain_names *out, const char *const *names, size_t n)
{
    mg_key_map_prefix(out->prefix, names, n);
    const size_t n_prefix = strlen(out->prefix);
    for (size_t i = 0; i < n; i++)
        out->list[i] =
            n_prefix && strncmp(names[i], out->prefix, n_prefix) == 0 ? names[i] + n_prefix : names[i];
    out->n_averaged = out->n_others = 0;
}

mg_status mg_plain_names_make(mg_plain_names *out, const char *const *given, size_t n, const char *path)
{
    mg_status st = MG_OK;
    const char **part = calloc(n + 1, sizeof *part), **names = calloc(n + 1, sizeof *names);

    *out = (mg_plain_names){.list = calloc(n + 1, sizeof *out->list)};
    if (!out->list || !part || !names) MG_TRY(mg_fail(MG_ENOMEM, "%s: %zu names", path, n));
    for (size_t i = 0; i < n; i++) names[i] = given[i];
    MG_TRY(mg_dotless_restore(names, n, &out->made, &out->n_made, path));
    MG_TRY(find_averaged(out, part, names, n, path));
    if (*out->averaged) {
        find_prefix(out, part, names, n);
        leave_out(out, part, names, n);
    }
    if (!*out->averaged) take_all(out, names, n);
done:
    free(part);
    free(names);
    return st;
}

void mg_plain_names_close(mg_plain_names *p)
{
    for (size_t i = 0; i < p->n_made; i++) free(p->made[i]);
    free(p->made);
    free(p->list);
    *p = (mg_plain_names){0};
}
