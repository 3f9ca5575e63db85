/* Requests on one side, tensors of the files on the other. The text of it: mapping_table.c. */
#include "mapping_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mapping_propose.h"
#include "text.h"

/* From here on a proposal may be taken without a person, if no other comes within the margin: a misspelt word
 * in the right layer and of the right shape gets 0.85 to 0.95, another word there 0.65 to 0.8. */
static const double sure_confidence = 0.83, sure_margin = 0.03, shown_confidence = 0.4;

/* More pairs than two whole models make are not worth comparing: these names have nothing in common. */
enum { MAX_PAIRS = 1 << 20 };

enum { PART_REST, PART_TEXT_ENCODER, PART_AUDIO_ENCODER, PART_STYLE_ENCODER, N_PARTS };

static int part_of(const char *name)
{
    if (strncmp(name, "text_encoder.", 13) == 0) return PART_TEXT_ENCODER;
    if (strncmp(name, "audio_encoder.", 14) == 0) return PART_AUDIO_ENCODER;
    if (strncmp(name, "style_encoder.", 14) == 0) return PART_STYLE_ENCODER;
    return PART_REST;
}

/* Which codebook of the codec a tensor belongs to; -1 if to none. */
static int64_t i_codebook(const char *name)
{
    static const char stem[] = "quantizer.layers.", part[] = "audio_encoder.";

    if (strncmp(name, part, sizeof part - 1) == 0) name += sizeof part - 1;
    if (strncmp(name, stem, sizeof stem - 1) != 0) return -1;
    name += sizeof stem - 1;
    const size_t n_digits = strspn(name, "0123456789");
    if (n_digits == 0 || n_digits > 6 || strncmp(name + n_digits, ".codebook.", 10) != 0) return -1;
    return strtol(name, NULL, 10);
}

/* What one checkpoint holds and what of it was asked for. */
typedef struct coverage {
    const mg_checkpoint *checkpoint;
    bool surveyed[N_PARTS];
    int64_t n_codebooks; /* that were asked for */
    bool *used;          /* [n_sources] */
    const char **mapped; /* [n_sources] our name of each, the first of several; NULL: it was left out */
} coverage;

static void describe(char out[MG_MAPPING_SHAPE_SIZE], const char *dtype, int n_dims, const int64_t *dim)
{
    char dims[MG_DIMS_SIZE];

    snprintf(out, MG_MAPPING_SHAPE_SIZE, "%s%s%s", dtype, dtype[0] ? " " : "",
             mg_dims_format(dims, n_dims, dim));
}

static bool is_float(mg_dtype d)
{
    return d == MG_F32 || d == MG_BF16 || d == MG_F16;
}

static bool fits(const mg_weights_request *q, const mg_tensor *t)
{
    return is_float(t->dtype) && t->n_dims == q->n_dims &&
           memcmp(t->dim, q->dim, (size_t)q->n_dims * sizeof *q->dim) == 0;
}

static mg_status add_row(mg_mapping_report *r, size_t *capacity, mg_mapping_row **out)
{
    MG_RETURN(mg_grow(&r->rows, capacity, r->n_rows + 1, sizeof *r->rows, "mapping"));
    *out = &r->rows[r->n_rows++];
    **out = (mg_mapping_row){0};
    return MG_OK;
}

/* One for each checkpoint that was asked. */
static mg_status open_coverages(coverage **out, size_t *n, const mg_weights_requests *requests)
{
    coverage *list = calloc(requests->n + 1, sizeof *list);

    *out = list;
    *n = 0;
    if (!list) return mg_fail(MG_ENOMEM, "mapping: %zu requests", requests->n);
    for (size_t i = 0; i < requests->n; i++) {
        const mg_weights_request *q = &requests->list[i];
        size_t k = 0;
        while (k < *n && list[k].checkpoint != q->checkpoint) k++;
        coverage *a = &list[k];
        if (k == *n) {
            const size_t n_sources = mg_checkpoint_n_sources(q->checkpoint);
            ++*n;
            a->checkpoint = q->checkpoint;
            a->used = calloc(n_sources + 1, sizeof *a->used);
            a->mapped = calloc(n_sources + 1, sizeof *a->mapped);
            if (!a->used || !a->mapped) return mg_fail(MG_ENOMEM, "mapping: %zu tensors", n_sources);
            for (size_t j = mg_checkpoint_count(q->checkpoint); j-- > 0;) {
                const mg_checkpoint_entry *e = mg_checkpoint_at(q->checkpoint, j);
                a->mapped[e->i_source] = e->name;
            }
        }
        a->surveyed[part_of(q->prefix)] = true;
        const int64_t n_codebooks = i_codebook(q->name) + 1;
        if (n_codebooks > a->n_codebooks) a->n_codebooks = n_codebooks;
    }
    return MG_OK;
}

static void close_coverages(coverage *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].used);
        free(list[i].mapped);
    }
    free(list);
}

static int by_name(const void *a, const void *b)
{
    const mg_weights_request *const *x = a, *const *y = b;
    const int order = strcmp((*x)->name, (*y)->name);

    if (order) return order;
    if ((*x)->checkpoint != (*y)->checkpoint) return (*x)->checkpoint < (*y)->checkpoint ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

/* Which requests are the first for their tensor: *out[requests->n]. */
static mg_status find_first(bool **out, const mg_weights_requests *requests)
{
    const mg_weights_request **sorted = calloc(requests->n + 1, sizeof *sorted);

    *out = calloc(requests->n + 1, sizeof **out);
    if (!*out || !sorted) {
        free(sorted);
        return mg_fail(MG_ENOMEM, "mapping: %zu requests", requests->n);
    }
    for (size_t i = 0; i < requests->n; i++) sorted[i] = &requests->list[i];
    if (requests->n) qsort(sorted, requests->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < requests->n; i++)
        (*out)[sorted[i] - requests->list] = i == 0 || strcmp(sorted[i - 1]->name, sorted[i]->name) != 0 ||
                                             sorted[i - 1]->checkpoint != sorted[i]->checkpoint;
    free(sorted);
    return MG_OK;
}

/* Missing ones and wrong ones; marks the rest as used. */
static mg_status match_requests(mg_mapping_report *r, size_t *capacity, coverage *coverages,
                                const mg_weights_requests *requests, const bool *is_first,
                                mg_mapping_fault fault)
{
    for (size_t i = 0; i < requests->n; i++) {
        const mg_weights_request *q = &requests->list[i];
        const mg_checkpoint_entry *e = mg_checkpoint_find(q->checkpoint, q->name);
        coverage *a = coverages;
        mg_mapping_row *row = NULL;

        while (a->checkpoint != q->checkpoint) a++;
        if (e) a->used[e->i_source] = true;
        if ((e && fits(q, &e->tensor)) || (fault == MG_MAPPING_MISSING) != !e || !is_first[i]) continue;
        MG_RETURN(add_row(r, capacity, &row));
        row->fault = fault;
        row->checkpoint = q->checkpoint;
        row->name = q->name;
        const bool wrong_dtype = e && !is_float(e->tensor.dtype);
        describe(row->wanted, wrong_dtype ? "fp32, bf16 or fp16" : "", q->n_dims, q->dim);
        if (!e) continue;
        row->file = e->file;
        describe(row->found, wrong_dtype ? mg_dtype_name(e->tensor.dtype) : "", e->tensor.n_dims,
                 e->tensor.dim);
    }
    return MG_OK;
}

/* The first codebooks of a codec are a codec: the rest only makes it finer. */
static bool may_be_left(const coverage *a, const char *name)
{
    return mg_key_map_is_ignorable(name) || (a->n_codebooks && i_codebook(name) >= a->n_codebooks);
}

static mg_status add_ignored(mg_mapping_report *r, const mg_checkpoint *c, size_t i_source)
{
    MG_RETURN(mg_grow(&r->ignored, &r->ignored_capacity, r->n_ignored + 1, sizeof *r->ignored, "mapping"));
    r->ignored[r->n_ignored++] = (mg_mapping_ignored){c, i_source};
    return MG_OK;
}

static mg_status list_unexpected(mg_mapping_report *r, size_t *capacity, const coverage *a)
{
    for (size_t i = 0; i < mg_checkpoint_n_sources(a->checkpoint); i++) {
        const mg_checkpoint_source *s = mg_checkpoint_source_at(a->checkpoint, i);
        mg_mapping_row *row = NULL;

        if (a->used[i] || !a->mapped[i] || !a->surveyed[part_of(a->mapped[i])]) continue;
        if (may_be_left(a, a->mapped[i])) {
            MG_RETURN(add_ignored(r, a->checkpoint, i));
            continue;
        }
        MG_RETURN(add_row(r, capacity, &row));
        row->fault = MG_MAPPING_UNEXPECTED;
        row->checkpoint = a->checkpoint;
        row->name = s->name;
        row->file = s->file;
        row->i_source = i;
        describe(row->found, mg_dtype_name(s->tensor.dtype), s->tensor.n_dims, s->tensor.dim);
    }
    return MG_OK;
}

/* Where in its file the missing request should lie: between those that were asked for just before and just
 * after it. */
static double expected_place(const mg_weights_requests *requests, const mg_weights_request *q)
{
    const size_t at = (size_t)(q - requests->list), reach = 8;

    for (size_t d = 1; d <= reach; d++) {
        for (int side = 0; side < 2; side++) {
            if (side ? at + d >= requests->n : d > at) continue;
            const mg_weights_request *near = &requests->list[side ? at + d : at - d];
            if (near->checkpoint != q->checkpoint || strcmp(near->prefix, q->prefix) != 0) continue;
            const mg_checkpoint_entry *e = mg_checkpoint_find(near->checkpoint, near->name);
            if (e) return (double)e->i_source + (side ? -1 : 1);
        }
    }
    return -1;
}

static void keep_proposal(mg_mapping_row *row, mg_mapping_proposal p)
{
    int at = row->n_proposals;

    while (at > 0 && row->proposals[at - 1].confidence < p.confidence) at--;
    if (at == MG_MAPPING_PROPOSALS) return;
    if (row->n_proposals < MG_MAPPING_PROPOSALS) row->n_proposals++;
    for (int i = row->n_proposals - 1; i > at; i--) row->proposals[i] = row->proposals[i - 1];
    row->proposals[at] = p;
}

static const mg_weights_request *request_of(const mg_weights_requests *requests, const mg_mapping_row *row)
{
    const mg_weights_request *q = requests->list;

    while (q->name != row->name) q++; /* few rows come here: MAX_PAIRS */
    return q;
}

/* The unexpected ones of the same part, or of none, that may be the missing one. */
static void propose(mg_mapping_report *r, mg_mapping_row *row, const mg_weights_requests *requests)
{
    const mg_weights_request *q = request_of(requests, row);
    mg_mapping_target target;

    mg_mapping_target_init(&target, mg_checkpoint_get_dialect(row->checkpoint), row->name, q->n_dims, q->dim,
                           expected_place(requests, q));
    for (size_t i = r->n_missing + r->n_wrong; i < r->n_rows; i++) {
        const mg_mapping_row *u = &r->rows[i];
        const int part = part_of(u->name);
        int k;

        if (u->checkpoint != row->checkpoint || (part != PART_REST && part != part_of(row->name))) continue;
        const mg_checkpoint_source *s = mg_checkpoint_source_at(u->checkpoint, u->i_source);
        const double c =
            mg_mapping_confidence(&target, &k, s->name, &s->tensor, u->i_source, shown_confidence);
        if (c < shown_confidence) continue;
        keep_proposal(
            row, (mg_mapping_proposal){s->name, target.spelling[k].i_part, target.spelling[k].n_parts, c});
    }
}

/* Does another row want the same source, in the same share of its rows or whole, about as much, and nothing
 * else more? */
static bool is_contested(const mg_mapping_report *r, const mg_mapping_row *row)
{
    const mg_mapping_proposal *mine = &row->proposals[0];

    for (size_t i = 0; i < r->n_missing; i++) {
        const mg_mapping_row *other = &r->rows[i];
        if (other == row || other->checkpoint != row->checkpoint) continue;
        for (int k = 0; k < other->n_proposals; k++) {
            const mg_mapping_proposal *p = &other->proposals[k];
            if (strcmp(p->source, mine->source) != 0) continue;
            const bool shares = mine->n_parts > 1 && p->n_parts == mine->n_parts && p->i_part != mine->i_part;
            const bool wanted = p->confidence > other->proposals[0].confidence - sure_margin;
            if (!shares && wanted && p->confidence > mine->confidence - sure_margin) return true;
        }
    }
    return false;
}

static void mark_sure(mg_mapping_report *r)
{
    for (size_t i = 0; i < r->n_missing; i++) {
        mg_mapping_row *row = &r->rows[i];
        const mg_mapping_proposal *p = row->proposals;

        row->sure = row->n_proposals > 0 && p[0].confidence >= sure_confidence &&
                    (row->n_proposals == 1 || p[1].confidence <= p[0].confidence - sure_margin) &&
                    !is_contested(r, row);
    }
}

/* Two names that end alike: how many bytes stand before that. False if they end in nothing common. */
static bool split_names(const char *target, const char *source, size_t *n_target, size_t *n_source)
{
    const size_t n_tail = mg_mapping_common_tail(target, source);

    *n_target = strlen(target) - n_tail, *n_source = strlen(source) - n_tail;
    return n_tail > 0 && *n_source > 0 && *n_target > 0;
}

static mg_mapping_row *find_unexpected(const mg_mapping_report *r, const mg_mapping_row *row,
                                       const char *name)
{
    for (size_t i = r->n_missing + r->n_wrong; i < r->n_rows; i++)
        if (r->rows[i].checkpoint == row->checkpoint && strcmp(r->rows[i].name, name) == 0)
            return &r->rows[i];
    return NULL;
}

/* How many of the sure ones begin otherwise in the same way as `first`. */
static size_t count_like(const mg_mapping_report *r, const mg_mapping_row *first, size_t n_target,
                         size_t n_source)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_missing; i++) {
        const mg_mapping_row *row = &r->rows[i];
        const char *source = row->sure ? row->proposals[0].source : NULL;
        n += source && strncmp(row->name, first->name, n_target) == 0 &&
             strncmp(source, first->proposals[0].source, n_source) == 0 &&
             strcmp(row->name + n_target, source + n_source) == 0;
    }
    return n;
}

/* Where many of the sure ones only begin otherwise, all in the same way, so do the others that have their
 * fellow there, in the right shape: a whole part was renamed. */
static void follow_group(mg_mapping_report *r, const mg_weights_requests *requests)
{
    const mg_mapping_row *first = NULL;
    size_t n_target = 0, n_source = 0, n_most = 2, n_tried = 0;
    char name[MG_KEY_MAX];

    for (size_t i = 0; i < r->n_missing && n_tried < 64; i++) {
        const mg_mapping_row *row = &r->rows[i];
        size_t t, s;
        if (!row->sure || row->proposals[0].n_parts > 1 ||
            !split_names(row->name, row->proposals[0].source, &t, &s))
            continue;
        const size_t n_like = count_like(r, row, t, s);
        n_tried++;
        if (n_like > n_most) n_most = n_like, first = row, n_target = t, n_source = s;
    }
    if (!first) return;
    const char *from = first->name, *to = first->proposals[0].source;
    for (size_t i = 0; i < r->n_missing; i++) {
        mg_mapping_row *row = &r->rows[i];
        if (strncmp(row->name, from, n_target) != 0) continue;
        snprintf(name, sizeof name, "%.*s%s", (int)n_source, to, row->name + n_target);
        const mg_mapping_row *u = find_unexpected(r, row, name);
        if (!u ||
            !fits(request_of(requests, row), &mg_checkpoint_source_at(u->checkpoint, u->i_source)->tensor))
            continue;
        row->proposals[0] =
            (mg_mapping_proposal){u->name, 0, 1, row->sure ? row->proposals[0].confidence : 0.95};
        row->n_proposals = 1;
        row->sure = true;
    }
}

mg_status mg_mapping_report_make(mg_mapping_report *out, const mg_weights_requests *requests)
{
    mg_status st = MG_OK;
    coverage *coverages = NULL;
    bool *is_first = NULL;
    size_t n_coverages = 0, capacity = 0;

    *out = (mg_mapping_report){0};
    MG_TRY(find_first(&is_first, requests));
    MG_TRY(open_coverages(&coverages, &n_coverages, requests));
    MG_TRY(match_requests(out, &capacity, coverages, requests, is_first, MG_MAPPING_MISSING));
    out->n_missing = out->n_rows;
    MG_TRY(match_requests(out, &capacity, coverages, requests, is_first, MG_MAPPING_WRONG));
    out->n_wrong = out->n_rows - out->n_missing;
    for (size_t i = 0; i < n_coverages; i++) MG_TRY(list_unexpected(out, &capacity, &coverages[i]));
    out->n_unexpected = out->n_rows - out->n_missing - out->n_wrong;
    if (out->n_missing * out->n_unexpected <= MAX_PAIRS) {
        for (size_t i = 0; i < out->n_missing; i++) propose(out, &out->rows[i], requests);
        mark_sure(out);
        follow_group(out, requests);
    }
done:
    free(is_first);
    close_coverages(coverages, n_coverages);
    if (st != MG_OK) mg_mapping_report_close(out);
    return st;
}

void mg_mapping_report_close(mg_mapping_report *r)
{
    free(r->rows);
    free(r->ignored);
    *r = (mg_mapping_report){0};
}
