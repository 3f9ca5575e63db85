/* Confidence: 0.47 spelling, 0.25 components that agree at both ends, 0.25 shape (without it nothing is
 * proposed), 0.03 place in the file; a quarter is taken off where the numbers in the names differ, for layer
 * 3 is not layer 4 however alike they are written. */
#include "mapping_propose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters put in, left out, changed, and neighbours in the wrong order (optimal string alignment). */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][MG_KEY_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= n_b; j++) row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *const oldest = before;
        before = last, last = row, row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            row[j] = smaller(smaller(last[j], row[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
    }
    return row[n_b];
}

/* 1 - distance over the longer length. */
static double likeness(size_t n_apart, size_t n_a, size_t n_b)
{
    const size_t longer = n_a > n_b ? n_a : n_b;

    return longer ? 1 - (double)n_apart / (double)longer : 1;
}

/* Whole components that agree at the end, and how many bytes they take. */
static int common_end(const char *a, const char *b, size_t *n_bytes)
{
    const size_t n_a = strlen(a), n_b = strlen(b);
    size_t n = 0;
    int n_components = 0;

    *n_bytes = 0;
    while (n < n_a && n < n_b && a[n_a - n - 1] == b[n_b - n - 1]) {
        n++;
        const bool a_edge = n == n_a || a[n_a - n - 1] == '.', b_edge = n == n_b || b[n_b - n - 1] == '.';
        if (a_edge && b_edge && a[n_a - n] != '.') n_components++, *n_bytes = n;
    }
    return n_components;
}

/* The same at the beginning: never more than `limit` bytes. */
static int common_begin(const char *a, const char *b, size_t limit, size_t *n_bytes)
{
    int n_components = 0;

    *n_bytes = 0;
    for (size_t n = 0; n < limit && a[n] && a[n] == b[n]; n++)
        if (a[n] == '.') *n_bytes = n + 1, n_components++;
    return n_components;
}

static int count_components(const char *name)
{
    int n = 1;

    for (; *name; name++) n += *name == '.';
    return n;
}

/* The next component that is a number, or -1. */
static int64_t next_number(const char **at)
{
    while (**at) {
        const size_t n = strcspn(*at, "."), n_digits = strspn(*at, "0123456789");
        const char *component = *at;
        int64_t value = 0;
        *at += n + ((*at)[n] == '.');
        if (n == 0 || n_digits != n || n > 9) continue;
        for (size_t i = 0; i < n; i++) value = 10 * value + (component[i] - '0');
        return value;
    }
    return -1;
}

static bool same_numbers(const char *a, const char *b)
{
    for (;;) {
        const int64_t x = next_number(&a), y = next_number(&b);
        if (x != y) return false;
        if (x < 0) return true;
    }
}

/* Are the target's components all in the source, in order, and others put between them? */
static bool is_inside(const char *target, const char *source)
{
    while (*target) {
        const size_t n = strcspn(target, "."), n_source = strcspn(source, ".");
        if (n_source == 0 && !*source) return false;
        const bool same = n == n_source && strncmp(target, source, n) == 0;
        if (same) target += n + (target[n] == '.');
        source += n_source + (source[n_source] == '.');
    }
    return true;
}

/* 0 if it cannot come to `least`: then the distance is not worth counting. */
static double name_confidence(const char *target, const char *source, double least)
{
    const size_t n_target = strlen(target), n_source = strlen(source);
    const int n_components = count_components(target), n_longer = count_components(source);
    size_t begin, end;
    const int n_end = common_end(target, source, &end);
    const int n_begin = common_begin(target, source, smaller(n_target, n_source) - end, &begin);
    const double context = (double)(n_begin + n_end) / (n_components > n_longer ? n_components : n_longer);
    if (is_inside(target, source) && same_numbers(target, source))
        return 0.47 * 0.97 + 0.25 * n_components / n_longer;
    const double rest = 0.25 * context - (same_numbers(target, source) ? 0 : 0.25);

    /* another or one more word before the same rest */
    if (n_end == n_components || (n_end >= 3 && n_end + 1 >= n_components)) return 0.47 * 0.95 + rest;
    const size_t n_a = n_target - begin - end, n_b = n_source - begin - end;
    const size_t n_apart_least = n_a > n_b ? n_a - n_b : n_b - n_a;
    if (n_b >= MG_KEY_MAX || 0.47 * likeness(n_apart_least, n_target, n_source) + rest < least) return 0;
    /* all of it, and what differs: long names are alike by what they share */
    const size_t n_apart = distance(target + begin, n_a, source + begin, n_b);
    return 0.47 * (0.3 * likeness(n_apart, n_target, n_source) + 0.7 * likeness(n_apart, n_a, n_b)) + rest;
}

void mg_mapping_target_init(mg_mapping_target *t, mg_dialect dialect, const char *name, int n_dims,
                            const int64_t *dim, double place)
{
    *t = (mg_mapping_target){.name = name, .n_dims = n_dims, .dim = dim, .place = place};
    snprintf(t->spelling[0].name, sizeof t->spelling[0].name, "%s", name);
    t->spelling[0].n_parts = 1;
    t->n_spellings = 1 + mg_key_map_back(t->spelling + 1, dialect, name);
}

static bool has_shape(const mg_mapping_target *t, int n_parts, const mg_tensor *tensor)
{
    if (tensor->n_dims != t->n_dims) return false;
    for (int i = 0; i < t->n_dims; i++)
        if (tensor->dim[i] != (i == 0 ? n_parts : 1) * t->dim[i]) return false;
    return true;
}

double mg_mapping_confidence(const mg_mapping_target *t, int *i_spelling, const char *source,
                             const mg_tensor *tensor, size_t place, double least)
{
    double best = 0;

    *i_spelling = 0;
    if (tensor->dtype != MG_F32 && tensor->dtype != MG_BF16 && tensor->dtype != MG_F16) return 0;
    for (int i = 0; i < t->n_spellings; i++) {
        if (!has_shape(t, t->spelling[i].n_parts, tensor)) continue;
        const double c = name_confidence(t->spelling[i].name, source, least - 0.28);
        if (c > best) best = c, *i_spelling = i;
    }
    if (best <= 0) return 0;
    const double distance = t->place < 0 ? 4 : fmin(8, fabs((double)place - t->place));
    return best + 0.25 + 0.03 * (1 - distance / 8);
}
