/* The stages of a check. */
#include "dataset_verify.h"

#include <stdlib.h>
#include <string.h>

#include "dataset_verify_impl.h"

bool mg_dataset_is_one(const char *dir)
{
    return mg_path_has(dir, MG_DATASET_OWN "/run.db") || mg_path_has(dir, "manifest.jsonl") ||
           mg_path_has(dir, "SHA256SUMS") || mg_path_has(dir, "train/metadata.jsonl") ||
           mg_path_has(dir, "egs/train/data.jsonl");
}

static mg_status add_again(mg_dataset_verdict *v, const char *id)
{
    MG_RETURN(mg_grow(&v->again, &v->again_capacity, v->n_again + 1, sizeof *v->again, "verify"));
    v->again[v->n_again] = strdup(id);
    return v->again[v->n_again++] ? MG_OK : mg_fail(MG_ENOMEM, "verify: no memory");
}

static mg_status list_again(const mg_dataset_check *c)
{
    for (size_t i = 0; i < c->n_clips; i++)
        if (c->clip[i].finding && !c->clip[i].list_is_wrong) MG_RETURN(add_again(c->v, c->clip[i].id));
    for (size_t i = 0; i < c->n_shards; i++) {
        const mg_verify_shard *s = &c->shard[i];
        if (!s->finding || s->list_is_wrong || strncmp(s->finding, "SHA256SUMS", 10) == 0) continue;
        for (size_t k = s->first; k < s->end && k < c->n_clips; k++)
            MG_RETURN(add_again(c->v, c->clip[k].id));
    }
    return MG_OK;
}

void mg_dataset_verdict_close(mg_dataset_verdict *v)
{
    for (size_t i = 0; i < v->n_again; i++) free(v->again[i]);
    free(v->again);
    v->again = NULL;
    v->n_again = v->again_capacity = 0;
}

static void close_check(mg_dataset_check *c)
{
    for (size_t i = 0; i < c->n_clips; i++) {
        free(c->clip[i].file);
        free(c->clip[i].id);
        free(c->clip[i].finding);
    }
    for (size_t i = 0; i < c->n_shards; i++) {
        free(c->shard[i].name);
        free(c->shard[i].finding);
    }
    for (size_t i = 0; i < c->n_told; i++) free(c->told[i]);
    free(c->told);
    free(c->clip);
    free(c->shard);
    free(c->by_file);
    free(c->by_id);
    mg_sum_list_close(&c->sums);
    mg_json_lines_close(&c->manifest);
    mg_run_db_close(c->db);
    mg_threads_close(c->threads);
}

mg_status mg_dataset_verify(mg_dataset_verdict *v, const char *dir, int n_threads, mg_dataset_say *say,
                            void *arg)
{
    mg_status st = MG_OK;
    mg_dataset_check c = {.v = v, .say = say, .say_arg = arg};

    *v = (mg_dataset_verdict){.layout = MG_LAYOUT_AUDIOFOLDER};
    MG_TRY(mg_path_format(c.dir, "%s", dir));
    for (size_t n = strlen(c.dir); n > 1 && c.dir[n - 1] == '/'; n--) c.dir[n - 1] = '\0';
    MG_TRY(mg_threads_open(&c.threads, n_threads > 0 ? n_threads : mg_threads_available(), false));
    MG_TRY(mg_verify_open_state(&c));
    if (v->n_damaged > 0) goto done; /* the lists are not those of the files */
    MG_TRY(mg_verify_open_lists(&c));
    MG_TRY(mg_verify_sort_clips(&c));
    MG_TRY(v->layout == MG_LAYOUT_WEBDATASET ? mg_verify_shards(&c) : mg_verify_clips(&c));
    MG_TRY(mg_verify_lists(&c));
    MG_TRY(mg_verify_state(&c));
    MG_TRY(mg_verify_lists_themselves(&c));
    MG_TRY(mg_verify_strangers(&c));
    st = list_again(&c);
done:
    close_check(&c);
    return st;
}
