#include "sum_list.h"

#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "path.h"
#include "text.h"

enum { DIGITS = 64, HEAD = DIGITS + 2 };
#define MOST_BYTES ((int64_t)1 << 32)

static int compare(const void *a, const void *b)
{
    const mg_sum *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static mg_status add_line(mg_sum_list *l, const char *name, const char *line, size_t bytes, int64_t number)
{
    mg_sum s = {.line = number, .name = line + HEAD};

    if (bytes <= HEAD || strlen(line) != bytes || strspn(line, "0123456789abcdef") != DIGITS ||
        line[DIGITS] != ' ' || (line[DIGITS + 1] != ' ' && line[DIGITS + 1] != '*'))
        return mg_fail(MG_EFAIL, "%s: line %lld: is no hash, two blanks and a name", name, (long long)number);
    if (!mg_path_stays(s.name))
        return mg_fail(MG_EFAIL, "%s: line %lld: %.200s: leads out of the folder", name, (long long)number,
                       s.name);
    memcpy(s.sha256, line, DIGITS);
    MG_RETURN(mg_grow(&l->sum, &l->capacity, l->n + 1, sizeof *l->sum, "sums"));
    l->sum[l->n++] = s;
    return MG_OK;
}

mg_status mg_sum_list_parse(mg_sum_list *l, const char *name, char *text, int64_t bytes)
{
    mg_status st = MG_OK;
    int64_t number = 0;

    *l = (mg_sum_list){.text = text};
    for (char *p = text, *end = text + bytes, *next; p < end; p = next) {
        char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop) stop = end;
        next = stop + 1;
        *stop = '\0';
        if (stop > p && stop[-1] == '\r') *--stop = '\0'; /* of a checkout that changes line ends */
        MG_TRY(add_line(l, name, p, (size_t)(stop - p), ++number));
    }
    if (l->n) qsort(l->sum, l->n, sizeof *l->sum, compare);
    for (size_t i = 1; i < l->n; i++)
        if (strcmp(l->sum[i - 1].name, l->sum[i].name) == 0)
            MG_TRY(mg_fail(MG_EFAIL, "%s: line %lld: %.200s: is there twice", name, (long long)l->sum[i].line,
                           l->sum[i].name));
done:
    if (st != MG_OK) mg_sum_list_close(l);
    return st;
}

mg_status mg_sum_list_load(mg_sum_list *l, const char *path)
{
    char *text;
    int64_t bytes;

    *l = (mg_sum_list){0};
    MG_RETURN(mg_in_file_read(&text, &bytes, path, MOST_BYTES));
    return mg_sum_list_parse(l, path, text, bytes);
}

void mg_sum_list_close(mg_sum_list *l)
{
    free(l->sum);
    free(l->text);
    *l = (mg_sum_list){0};
}

mg_sum *mg_sum_list_find(const mg_sum_list *l, const char *name)
{
    const mg_sum key = {.name = name};

    return l->n ? bsearch(&key, l->sum, l->n, sizeof *l->sum, compare) : NULL;
}
