/* The shards of an array: are they all there, complete and of one kind? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataset.h"
#include "dataset_merge_impl.h"
#include "job_id.h"
#include "log.h"
#include "stop.h"
#include "text.h"

const char *mg_merge_note_of(const mg_merge_source *s, const char *name)
{
    for (size_t i = 0; i < s->n_notes; i++)
        if (strcmp(s->note[i].name, name) == 0) return s->note[i].value;
    return NULL;
}

static mg_status take_note(void *arg, const char *name, const char *value)
{
    mg_merge_source *s = arg;
    mg_merge_note note = {strdup(name), strdup(value ? value : "")};

    MG_RETURN(mg_grow(&s->note, &s->note_capacity, s->n_notes + 1, sizeof *s->note, "merge"));
    s->note[s->n_notes++] = note;
    return note.name && note.value ? MG_OK : mg_fail(MG_ENOMEM, "merge: no memory");
}

static mg_status open_source(mg_merge_source *s, const char *dir)
{
    char path[MG_PATH_SIZE], *end = NULL;

    *s = (mg_merge_source){.dir = dir};
    MG_RETURN(mg_dataset_own_path(path, dir, "run.db"));
    if (!mg_path_exists(path)) return mg_fail(MG_EUSAGE, "%s: is no dataset of mg-dist run", dir);
    MG_RETURN(mg_run_db_open_to_read(&s->db, path));
    MG_RETURN(mg_run_db_each_note(s->db, take_note, s));
    MG_RETURN(mg_run_db_count(s->db, &s->count));
    s->name = mg_merge_note_of(s, "name");
    MG_RETURN(mg_merge_open_tars(s));
    const char *part = mg_merge_note_of(s, "shard");
    if (part && *part) {
        s->part = strtoll(part, &end, 10);
        if (*end == '/') s->n_parts = strtoll(end + 1, &end, 10);
    }
    if (s->n_parts < 1 || s->part < 0 || s->part >= s->n_parts)
        return mg_fail(MG_EUSAGE, "%s: is no shard of an array: it was not made by run --shard", dir);
    return MG_OK;
}

static int compare_parts(const void *a, const void *b)
{
    const mg_merge_source *x = a, *y = b;

    return x->part < y->part ? -1 : x->part > y->part;
}

/* Each part once, and all of them. */
static mg_status check_parts(const mg_merge *m)
{
    const int64_t n = m->call->n_sources;

    for (int64_t i = 0; i < n; i++) {
        const mg_merge_source *s = &m->source[i];
        if (s->n_parts != m->source[0].n_parts)
            return mg_fail(MG_EUSAGE,
                           "%s: is shard %" PRId64 "/%" PRId64 ", and %s is of an array of %" PRId64, s->dir,
                           s->part, s->n_parts, m->source[0].dir, m->source[0].n_parts);
        if (i > 0 && s->part == m->source[i - 1].part)
            return mg_fail(MG_EUSAGE, "%s: is shard %" PRId64 "/%" PRId64 ", and so is %s; name one of them",
                           s->dir, s->part, s->n_parts, m->source[i - 1].dir);
    }
    for (int64_t i = 0; i < m->source[0].n_parts; i++)
        if (i >= n || m->source[i].part != i)
            return mg_fail(MG_EUSAGE,
                           "shard %" PRId64 "/%" PRId64 ": is not among those named; name its folder too", i,
                           m->source[0].n_parts);
    return MG_OK;
}

/* Of one run alone, or of one shard. */
static bool may_differ(const char *name)
{
    static const char *const names[] = {"shard", "state", "seed", "needs"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return false;
}

static mg_status compare_kinds(const mg_merge_source *a, const mg_merge_source *b)
{
    for (size_t i = 0; i < a->n_notes; i++) {
        const char *name = a->note[i].name, *value = a->note[i].value, *other = mg_merge_note_of(b, name);
        if (may_differ(name) || (other && strcmp(value, other) == 0)) continue;
        if (strcmp(name, "jobs") == 0)
            return mg_fail(MG_EUSAGE, "%s: was made from other jobs than %s", b->dir, a->dir);
        return mg_fail(MG_EUSAGE,
                       "%s: was made with %s %.200s, and %s with %.200s: the dataset would be of two kinds",
                       b->dir, name, other && *other ? other : "none", a->dir, *value ? value : "none");
    }
    return MG_OK;
}

static mg_status check_kinds(mg_merge *m)
{
    const mg_merge_source *first = &m->source[0];
    const char *seed = mg_merge_note_of(first, "seed");

    for (int64_t i = 1; i < m->call->n_sources; i++) {
        const mg_merge_source *s = &m->source[i];
        const char *other = mg_merge_note_of(s, "seed");
        MG_RETURN(compare_kinds(first, s));
        MG_RETURN(compare_kinds(s, first));
        m->done->seeds_differ |= !seed || !other || strcmp(seed, other) != 0;
    }
    return MG_OK;
}

/* All that are not, one line each. */
static mg_status check_complete(const mg_merge *m)
{
    mg_text t = {0};

    if (m->call->incomplete_ok) return MG_OK;
    for (int64_t i = 0; i < m->call->n_sources; i++) {
        const mg_merge_source *s = &m->source[i];
        const mg_run_counts *c = &s->count;
        if (c->waiting > 0)
            mg_text_show(&t, "%s: is not complete: %" PRId64 " of %" PRId64 " clips wait\n", s->dir,
                         c->waiting, c->waiting + c->done + c->failed);
    }
    if (!t.n) return MG_OK;
    mg_text_add(&t, "run these shards to their end, or take what is there with --incomplete ok\n");
    const mg_status st = mg_text_fail(&t, MG_EUSAGE);
    mg_text_reset(&t);
    return st;
}

#define IN_NO_LIST INT64_MAX /* jobs that are gone come last */

/* What two clips may not share. In a shard names are others than ids: "a.b" and "a_b" are one. */
typedef enum name_kind { OF_ID, IN_SHARD } name_kind;

static mg_status name_of(char out[MG_PATH_SIZE], name_kind kind, const char *id)
{
    char file[MG_PATH_SIZE];

    if (kind == OF_ID) return mg_job_id_fold(out, id);
    MG_RETURN(mg_path_format(file, "%s.", id));
    return mg_dataset_member_name(out, file, NULL);
}

typedef struct lister {
    mg_merge *m;
    int64_t i_source;
} lister;

static mg_status list_clip(void *arg, const mg_job_row *row)
{
    const lister *l = arg;
    mg_merge *m = l->m;
    char key[MG_PATH_SIZE];

    MG_RETURN(mg_stop_check());
    MG_RETURN(name_of(key, IN_SHARD, row->id));
    MG_RETURN(mg_grow(&m->item, &m->item_capacity, m->n_items + 1, sizeof *m->item, "merge"));
    m->item[m->n_items++] = (mg_merge_item){.at = row->at >= 0 ? row->at : IN_NO_LIST,
                                            .copy = row->copy,
                                            .i_source = l->i_source,
                                            .n = row->n,
                                            .fold = row->fold,
                                            .key = (int64_t)mg_text_hash(key)};
    return MG_OK;
}

static int compare_order(const void *a, const void *b)
{
    const mg_merge_item *x = a, *y = b;

    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    if (x->copy != y->copy) return x->copy < y->copy ? -1 : 1;
    if (x->i_source != y->i_source) return x->i_source < y->i_source ? -1 : 1;
    return x->n < y->n ? -1 : x->n > y->n;
}

/* Of equal ones first those that are in the list. */
static int compare_folds(const void *a, const void *b)
{
    const mg_merge_item *x = *(const mg_merge_item *const *)a, *y = *(const mg_merge_item *const *)b;

    return x->fold == y->fold ? compare_order(x, y) : x->fold < y->fold ? -1 : 1;
}

static int compare_keys(const void *a, const void *b)
{
    const mg_merge_item *x = *(const mg_merge_item *const *)a, *y = *(const mg_merge_item *const *)b;

    return x->key == y->key ? compare_order(x, y) : x->key < y->key ? -1 : 1;
}

/* Two clips whose hashes agree: have they one name? In a changed list jobs may have moved to other parts, or
 * have left it, and what was made of them stays where it was: that one is passed over. */
static mg_status compare_clips(const mg_merge *m, name_kind kind, const mg_merge_item *x, mg_merge_item *y)
{
    const mg_merge_source *a = &m->source[x->i_source], *b = &m->source[y->i_source];
    char id[MG_JOB_ID_SIZE], name[2][MG_PATH_SIZE];
    mg_job_row row;
    bool found;

    MG_RETURN(mg_run_db_find(a->db, x->n, &row, &found));
    snprintf(id, sizeof id, "%s", found ? row.id : "");
    MG_RETURN(mg_run_db_find(b->db, y->n, &row, &found));
    if (!found) return MG_OK;
    MG_RETURN(name_of(name[0], kind, id));
    MG_RETURN(name_of(name[1], kind, row.id));
    if (strcmp(name[0], name[1]) != 0) return MG_OK;
    y->is_left_over = y->at == IN_NO_LIST;
    if (y->is_left_over) return MG_OK;
    if (kind == OF_ID)
        return mg_fail(MG_EUSAGE, "clip %.200s: is in %s and in %s; a dataset has each id once", id, a->dir,
                       b->dir);
    return mg_fail(MG_EUSAGE,
                   "clips %.200s and %.200s: have one name in a shard, where a '.' is a '_' and \"__\" in "
                   "front \"-_\"; rename one in its jobs, and make that part again",
                   id, row.id);
}

static void drop_left_over(mg_merge *m, name_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_items; i++)
        if (!m->item[i].is_left_over) m->item[n++] = m->item[i];
    if (n < m->n_items)
        mg_log_info("merge: %zu clip%s left out: %s", m->n_items - n, mg_plural((int64_t)(m->n_items - n)),
                    kind == OF_ID ? "another part has the same id now"
                                  : "no job asks for them, and another clip has their name in a shard");
    m->n_items = n;
}

/* Each array's task has looked at its own clips alone. */
static mg_status check_names(mg_merge *m, name_kind kind)
{
    mg_status st = MG_OK;
    mg_merge_item **sorted = calloc(m->n_items + 1, sizeof *sorted);

    if (!sorted) return mg_fail(MG_ENOMEM, "merge: %zu clips", m->n_items);
    for (size_t i = 0; i < m->n_items; i++) sorted[i] = &m->item[i];
    qsort(sorted, m->n_items, sizeof *sorted, kind == OF_ID ? compare_folds : compare_keys);
    for (size_t i = 1; i < m->n_items && st == MG_OK; i++) {
        const mg_merge_item *x = sorted[i - 1];
        mg_merge_item *y = sorted[i];
        if (kind == OF_ID ? x->fold == y->fold : x->key == y->key) st = compare_clips(m, kind, x, y);
    }
    free(sorted);
    if (st == MG_OK) drop_left_over(m, kind);
    return st;
}

mg_status mg_merge_open_sources(mg_merge *m)
{
    const int64_t n = m->call->n_sources;

    m->source = calloc((size_t)n + 1, sizeof *m->source);
    if (!m->source) return mg_fail(MG_ENOMEM, "merge: no memory");
    for (int64_t i = 0; i < n; i++) MG_RETURN(open_source(&m->source[i], m->call->source[i]));
    qsort(m->source, (size_t)n, sizeof *m->source, compare_parts);
    MG_RETURN(check_parts(m));
    MG_RETURN(check_kinds(m));
    MG_RETURN(check_complete(m));
    for (int64_t i = 0; i < n; i++) {
        lister l = {m, i};
        for (mg_job_state state = MG_JOB_WAITING; state <= MG_JOB_FAILED; state++)
            MG_RETURN(mg_run_db_each(m->source[i].db, state, list_clip, &l));
    }
    if (m->n_items > 0) qsort(m->item, m->n_items, sizeof *m->item, compare_order);
    const char *layout = n > 0 ? mg_merge_note_of(&m->source[0], "layout") : NULL;
    MG_RETURN(check_names(m, OF_ID));
    return layout && strcmp(layout, "webdataset") == 0 ? check_names(m, IN_SHARD) : MG_OK;
}

void mg_merge_close_sources(mg_merge *m)
{
    for (int64_t i = 0; m->source && i < m->call->n_sources; i++) {
        mg_merge_source *s = &m->source[i];
        for (size_t k = 0; k < s->n_notes; k++) {
            free(s->note[k].name);
            free(s->note[k].value);
        }
        free(s->note);
        mg_run_db_close(s->db);
        mg_merge_close_tars(s);
    }
    free(m->source);
    free(m->item);
}
