#include "lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBERS = 8 };

/* A line and what belongs to it: where it stands, and its numbers. */
typedef struct item {
    const char *begin, *end;
    size_t index;
    int n_numbers;
    struct {
        const char *begin, *end;
    } number[MAX_NUMBERS];
} item;

static bool parts_words(char c)
{
    return c == '.' || c == '-' || c == '_' || c == '/' || c == ' ' || c == '\n';
}

static void find_numbers(item *it)
{
    int depth = 0;

    for (const char *p = it->begin; p < it->end; p++) {
        depth += *p == '[' || *p == '(';
        depth -= *p == ']' || *p == ')';
        if (!isdigit((unsigned char)*p) || depth > 0 || (p > it->begin && !parts_words(p[-1]))) continue;
        const char *end = p;
        while (end < it->end && isdigit((unsigned char)*end)) end++;
        if ((end == it->end || parts_words(*end)) && it->n_numbers < MAX_NUMBERS && end - p < 10) {
            it->number[it->n_numbers].begin = p;
            it->number[it->n_numbers++].end = end;
        }
        p = end - 1;
    }
}

/* Stretch k of an item: what stands before its number k, or behind its last. */
static size_t stretch(const item *it, int k, const char **begin)
{
    *begin = k ? it->number[k - 1].end : it->begin;
    return (size_t)((k < it->n_numbers ? it->number[k].begin : it->end) - *begin);
}

/* By all but the numbers. */
static int compare_patterns(const item *a, const item *b)
{
    if (a->n_numbers != b->n_numbers) return a->n_numbers < b->n_numbers ? -1 : 1;
    for (int k = 0; k <= a->n_numbers; k++) {
        const char *x, *y;
        const size_t n = stretch(a, k, &x), m = stretch(b, k, &y);
        const int order = memcmp(x, y, n < m ? n : m);
        if (order) return order;
        if (n != m) return n < m ? -1 : 1;
    }
    return 0;
}

static int by_pattern(const void *a, const void *b)
{
    const item *x = a, *y = b;
    const int order = compare_patterns(x, y);

    return order ? order : x->index < y->index ? -1 : 1;
}

/* A group: items [first, first + n) once they are sorted. */
typedef struct group {
    size_t first, n, index; /* of its first line */
} group;

static int by_index(const void *a, const void *b)
{
    const group *x = a, *y = b;

    return x->index < y->index ? -1 : 1;
}

/* Number k of a group: one, or "{0..23}". */
static void add_number(mg_text *out, const item *items, const group *g, int k)
{
    long low = strtol(items[g->first].number[k].begin, NULL, 10), high = low;

    for (size_t i = 1; i < g->n; i++) {
        const long v = strtol(items[g->first + i].number[k].begin, NULL, 10);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    const char *begin = items[g->first].number[k].begin, *end = items[g->first].number[k].end;
    if (low == high)
        mg_text_add_bytes(out, begin, (size_t)(end - begin));
    else
        mg_text_format(out, "{%ld..%ld}", low, high);
}

static void add_group(mg_text *out, const item *items, const group *g)
{
    const item *it = &items[g->first];
    const char *first_end = memchr(it->begin, '\n', (size_t)(it->end - it->begin));
    bool is_counted = g->n == 1;

    if (!first_end) first_end = it->end;
    for (int k = 0; k <= it->n_numbers; k++) {
        const char *begin;
        const size_t n = stretch(it, k, &begin);
        const size_t before = first_end >= begin && first_end <= begin + n ? (size_t)(first_end - begin) : n;
        mg_text_add_bytes(out, begin, before);
        if (!is_counted && begin + before == first_end) {
            mg_text_format(out, "  (%zu)", g->n);
            is_counted = true;
        }
        mg_text_add_bytes(out, begin + before, n - before);
        if (k < it->n_numbers) add_number(out, items, g, k);
    }
    mg_text_add(out, "\n");
}

static size_t count_items(const char *text)
{
    size_t n = *text != '\0';

    for (const char *p = text; *p; p++) n += *p == '\n' && p[1] && strncmp(p + 1, "    ", 4) != 0;
    return n;
}

static void split(item *items, const char *text)
{
    size_t n = 0;

    for (const char *p = text; *p;) {
        const char *end = p + strcspn(p, "\n");
        while (*end && strncmp(end + 1, "    ", 4) == 0) end += 1 + strcspn(end + 1, "\n");
        items[n] = (item){.begin = p, .end = end, .index = n};
        find_numbers(&items[n++]);
        p = *end ? end + 1 : end;
    }
}

static void add_groups(mg_text *out, item *items, size_t n, group *groups, size_t most)
{
    size_t n_groups = 0, n_told = 0;

    qsort(items, n, sizeof *items, by_pattern);
    for (size_t i = 0; i < n; i++) {
        if (n_groups && compare_patterns(&items[groups[n_groups - 1].first], &items[i]) == 0)
            groups[n_groups - 1].n++;
        else
            groups[n_groups++] = (group){i, 1, items[i].index};
    }
    qsort(groups, n_groups, sizeof *groups, by_index);
    for (size_t i = 0; i < n_groups && i < most; i++) {
        add_group(out, items, &groups[i]);
        n_told += groups[i].n;
    }
    if (n_told < n) mg_text_format(out, "  ... and %zu more; -v lists all\n", n - n_told);
}

mg_status mg_lines_group(mg_text *out, const char *text, size_t most)
{
    mg_status st = MG_OK;
    const size_t n = count_items(text);
    item *items = NULL;
    group *groups = NULL;

    if (n <= most) {
        mg_text_add(out, text);
        if (n && out->n && out->data[out->n - 1] != '\n') mg_text_add(out, "\n");
        return MG_OK;
    }
    items = calloc(n, sizeof *items);
    groups = calloc(n, sizeof *groups);
    if (!items || !groups) MG_TRY(mg_fail(MG_ENOMEM, "no memory for a list of %zu lines", n));
    split(items, text);
    add_groups(out, items, n, groups, most);
done:
    free(items);
    free(groups);
    return st;
}
