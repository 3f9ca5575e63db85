#include "dotless.h"

#include <stdlib.h>
#include <string.h>

#include "averaged.h"
#include "text.h"

enum { MOST_NAMES = 20000, MOST_COMPONENTS = 4 };

/* The end of a name from one of its first components on. */
typedef struct tail {
    const char *text;
    char *dotless; /* owned */
} tail;

static int by_dotless(const void *a, const void *b)
{
    return strcmp(((const tail *)a)->dotless, ((const tail *)b)->dotless);
}

/* Bytes of an averaged beginning of one component with no dot behind it; 0: it is no such name. */
static size_t beginning_of(const char *name)
{
    const char *dot = strchr(name, '.');

    if (!dot || !dot[1] || strchr(dot + 1, '.') || !mg_averaged_is_word(name, (size_t)(dot - name))) return 0;
    return (size_t)(dot + 1 - name);
}

static char *without_dots(const char *text)
{
    char *out = strdup(text), *to = out;

    if (!out) return NULL;
    for (const char *p = text; *p; p++)
        if (*p != '.') *to++ = *p;
    *to = '\0';
    return out;
}

static mg_status list_tails(tail *list, size_t *n_list, const char *const *names, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++) {
        const char *at = beginning_of(names[i]) ? NULL : names[i];
        for (int k = 0; k < MOST_COMPONENTS && at && strchr(at, '.'); k++) {
            list[*n_list] = (tail){at, without_dots(at)};
            if (!list[*n_list].dotless) return mg_fail(MG_ENOMEM, "%s: %zu names", path, n);
            ++*n_list;
            at = strchr(at, '.') + 1;
        }
    }
    if (*n_list) qsort(list, *n_list, sizeof *list, by_dotless);
    return MG_OK;
}

/* The one end that is this text without dots; NULL: there is none, or there are several. */
static const char *find(const tail *list, size_t n_list, const char *text)
{
    const tail key = {.dotless = (char *)(uintptr_t)text};
    const tail *found = n_list ? bsearch(&key, list, n_list, sizeof *list, by_dotless) : NULL;

    if (!found) return NULL;
    const bool has_twin = (found > list && strcmp(found[-1].dotless, text) == 0) ||
                          (found + 1 < list + n_list && strcmp(found[1].dotless, text) == 0);
    return has_twin ? NULL : found->text;
}

mg_status mg_dotless_restore(const char **names, size_t n, char ***made, size_t *n_made, const char *path)
{
    mg_status st = MG_OK;
    tail *list = NULL;
    size_t n_list = 0, n_dotless = 0;

    *made = NULL, *n_made = 0;
    for (size_t i = 0; i < n; i++) n_dotless += beginning_of(names[i]) > 0;
    if (n_dotless == 0 || n > MOST_NAMES) return MG_OK;
    *made = calloc(n_dotless, sizeof **made);
    list = calloc(n * MOST_COMPONENTS, sizeof *list);
    if (!*made || !list) MG_TRY(mg_fail(MG_ENOMEM, "%s: %zu names", path, n));
    MG_TRY(list_tails(list, &n_list, names, n, path));
    for (size_t i = 0; i < n; i++) {
        const size_t n_begin = beginning_of(names[i]);
        const char *end = n_begin ? find(list, n_list, names[i] + n_begin) : NULL;
        mg_text text = {0};
        if (!end) continue;
        mg_text_format(&text, "%.*s%s", (int)n_begin, names[i], end);
        MG_TRY(mg_text_end(&text, &(*made)[*n_made], path));
        names[i] = (*made)[(*n_made)++];
    }
done:
    for (size_t i = 0; i < n_list; i++) free(list[i].dotless);
    free(list);
    return st;
}
