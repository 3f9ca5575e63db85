#include "style_memo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"

static bool is_same_start(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool is_same(const mg_style_key *a, const mg_style_key *b)
{
    return mg_in_file_is_same(&a->file, &b->file) && is_same_start(a->start_s, b->start_s) &&
           a->dur_s == b->dur_s && a->n_codebooks == b->n_codebooks;
}

const float *mg_style_memo_find(mg_style_memo *m, int64_t *n_rows, const mg_style_key *key)
{
    for (int i = 0; i < MG_STYLE_MEMO_PLACES; i++) {
        if (!m->place[i].rows || !is_same(&m->place[i].key, key)) continue;
        m->place[i].used = ++m->n_uses;
        *n_rows = m->place[i].n_rows;
        return m->place[i].rows;
    }
    return NULL;
}

void mg_style_memo_put(mg_style_memo *m, const mg_style_key *key, const float *rows, int64_t n_rows,
                       int64_t D)
{
    const size_t bytes = (size_t)(n_rows * D) * sizeof *rows;
    float *copy = malloc(bytes);
    int oldest = 0;

    if (!copy) return;
    memcpy(copy, rows, bytes);
    for (int i = 1; i < MG_STYLE_MEMO_PLACES; i++)
        if (m->place[i].used < m->place[oldest].used) oldest = i;
    free(m->place[oldest].rows);
    m->place[oldest].key = *key;
    m->place[oldest].rows = copy;
    m->place[oldest].n_rows = n_rows;
    m->place[oldest].used = ++m->n_uses;
}

void mg_style_memo_reset(mg_style_memo *m)
{
    for (int i = 0; i < MG_STYLE_MEMO_PLACES; i++) free(m->place[i].rows);
    *m = (mg_style_memo){0};
}
