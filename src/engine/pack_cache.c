#include "pack_cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "file_lock.h"
#include "hash.h"
#include "hash_memo.h"
#include "log.h"
#include "lora_change.h"
#include "out_file.h"
#include "pack_list.h"
#include "stop.h"
#include "text.h"

/* The hash of each file that tensors of the language model are read from, once. */
static mg_status describe_files(mg_text *t, const mg_checkpoint *lm, const char *folder)
{
    const char **seen = NULL;
    size_t n = 0, capacity = 0, k;
    mg_status st = MG_OK;
    char sha256[65];
    bool known;

    for (size_t i = 0; i < mg_checkpoint_count(lm); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(lm, i);
        for (k = 0; k < n && strcmp(seen[k], e->file) != 0; k++) continue;
        if (k < n || e->fd < 0) continue;
        MG_TRY(mg_grow(&seen, &capacity, n + 1, sizeof *seen, "pack cache"));
        seen[n++] = e->file;
        MG_TRY(mg_hash_memo_file(sha256, &known, e->file, e->fd, folder));
        mg_text_format(t, "file %s\n", sha256);
    }
done:
    free(seen);
    return st;
}

static mg_status describe_data(mg_text *t, const char *what, const mg_tensor *x)
{
    char sha256[65];

    MG_RETURN(mg_stop_check());
    MG_RETURN(mg_hash_bytes(sha256, x->data, mg_tensor_bytes(x)));
    mg_text_format(t, "%s %s", what, sha256);
    return MG_OK;
}

/* What an adapter does to a tensor, the last first. */
static mg_status describe_changes(mg_text *t, const mg_lora_change *x)
{
    for (; x; x = x->before)
        if (x->is_whole) {
            mg_text_format(t, " but %s", mg_dtype_name(x->whole.dtype));
            MG_RETURN(describe_data(t, "", &x->whole));
        } else {
            mg_text_format(t, " plus %a%s of %lld", (double)x->scale, x->is_embedding ? " turned" : "",
                           (long long)x->a.dim[0]);
            MG_RETURN(describe_data(t, mg_dtype_name(x->b.dtype), &x->b));
            MG_RETURN(describe_data(t, mg_dtype_name(x->a.dtype), &x->a));
        }
    return MG_OK;
}

/* Which bytes of the files each tensor is; what is in memory alone by its hash. */
static mg_status describe_tensors(mg_text *t, const mg_checkpoint *lm)
{
    char dims[MG_DIMS_SIZE];

    for (size_t i = 0; i < mg_checkpoint_count(lm); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(lm, i);
        MG_RETURN(mg_stop_check());
        mg_text_format(t, "%s %s %s %s ", e->name, e->source, mg_dtype_name(e->tensor.dtype),
                       mg_dims_format(dims, e->tensor.n_dims, e->tensor.dim));
        if (e->fd >= 0)
            mg_text_format(t, "at %lld", (long long)e->offset);
        else
            MG_RETURN(describe_data(t, "is", &e->tensor));
        MG_RETURN(describe_changes(t, e->change));
        mg_text_add(t, "\n");
    }
    return MG_OK;
}

static mg_status find_key(char key[65], const mg_model_files *files, const mg_backend *lm, const char *folder)
{
    const mg_lm_config *c = &files->config.lm;
    const mg_checkpoint *checkpoint = files->lm.checkpoint;
    mg_status st = MG_OK;
    mg_text t = {0};

    mg_text_format(&t, "lm %lld %lld %lld %lld %lld %lld %lld %lld %d %lld %lld\n", (long long)c->D,
                   (long long)c->L, (long long)c->H, (long long)c->F, (long long)c->V, (long long)c->K,
                   (long long)c->max_positions, (long long)c->d_text, c->project_text, (long long)c->n_chroma,
                   (long long)c->chroma_length);
    mg_text_format(&t, "%s %s rank %d of %d\n", mg_format_name(lm->formats.weights), lm->ops->name,
                   lm->group->rank, lm->group->size);
    MG_TRY(describe_tensors(&t, checkpoint));
    MG_TRY(describe_files(&t, checkpoint, folder));
    MG_TRY(mg_text_check(&t, "pack cache"));
    MG_TRY(mg_hash_bytes(key, t.data, t.n));
done:
    mg_text_reset(&t);
    return st;
}

/* For people: the id of a cached model, else the folder of the weights, whole. */
static void name_model(char out[MG_PACK_MODEL_SIZE], const char *weights)
{
    char folder[MG_PATH_SIZE], id[MG_HUB_ID_SIZE], *whole = NULL;

    if (mg_path_folder(folder, weights) != MG_OK) folder[0] = '\0';
    const bool is_cached = mg_hub_id_of_snapshot(id, folder);
    if (!is_cached) whole = realpath(folder, NULL);
    const char *name = is_cached ? id : whole ? whole : folder;
    const size_t n = strlen(name);
    snprintf(out, MG_PACK_MODEL_SIZE, "%s",
             n < MG_PACK_MODEL_SIZE ? name : name + n - MG_PACK_MODEL_SIZE + 1);
    free(whole);
    mg_clear_error();
}

static mg_status find_pack(mg_pack_cache *c, const mg_model_files *files, const mg_backend *lm)
{
    const char *weights = mg_checkpoint_file(files->lm.checkpoint, 0), *level = strchr(lm->ops->name, '/');
    mg_pack_name name = {.rank = lm->group->rank + 1, .n_ranks = lm->group->size};
    char file[MG_PACK_NAME_SIZE];

    name_model(c->model, weights);
    MG_RETURN(mg_pack_folder(c->folder, lm->pack_cache, weights));
    c->folder_fault = mg_fault_take(mg_out_dir_open(c->folder)); /* a pack may be there all the same */
    MG_RETURN(find_key(c->key, files, lm, c->folder));
    snprintf(name.format, sizeof name.format, "%s", mg_format_name(lm->formats.weights));
    snprintf(name.level, sizeof name.level, "%s", level ? level + 1 : lm->ops->name);
    snprintf(name.key, sizeof name.key, "%.*s", MG_PACK_KEY_DIGITS, c->key);
    mg_pack_name_format(file, &name);
    return mg_path_format(c->path, "%s/%s", c->folder, file);
}

void mg_pack_cache_open(mg_pack_cache *c, const mg_model_files *files, const mg_backend *lm,
                        int64_t n_outside)
{
    const double begin_s = mg_clock_s();

    *c = (mg_pack_cache){.is_on = false};
    if (!lm->pack_cache) return;
    if (lm->ops->space != MG_HOST || n_outside > 0) {
        mg_log_info("pack cache: not used: %s",
                    n_outside > 0 ? "layers stay outside the memory" : "it is for the CPU");
        return;
    }
    c->fault = mg_fault_take(find_pack(c, files, lm));
    c->is_on = c->fault.st == MG_OK;
    c->key_s = mg_clock_s() - begin_s;
}

bool mg_pack_cache_read(mg_pack_cache *c, const mg_backend *lm, void *block, size_t bytes)
{
    const double begin_s = mg_clock_s();

    if (!c->is_on || !mg_path_exists(c->path)) return false;
    c->is_read = mg_pack_read(c->path, c->key, block, (int64_t)bytes, lm->threads) == MG_OK;
    c->read_s = mg_clock_s() - begin_s;
    if (c->is_read) {
        mg_log_detail("pack cache: %s: %.0f MB in %.2f s", c->path, (double)bytes / 1e6, c->read_s);
    } else {
        c->is_refused = !mg_stop_requested();
        if (c->is_refused) mg_log_warn("pack cache: %s; it is made again", mg_last_error());
        mg_clear_error();
    }
    return c->is_read;
}

mg_status mg_pack_cache_write(mg_pack_cache *c, const mg_backend *lm, const void *block, size_t bytes)
{
    const double begin_s = mg_clock_s();
    mg_file_lock lock = {.fd = -1};
    mg_status st = MG_OK;

    MG_RETURN(mg_fault_raise(&c->fault));
    if (!c->is_on || c->is_read) return MG_OK;
    MG_RETURN(mg_fault_raise(&c->folder_fault));
    if (mg_file_lock_try(&lock, c->path) == MG_OK && lock.fd < 0) return MG_OK;
    mg_clear_error(); /* file systems without locks: two may make the same one, and each is whole */
    if (!c->is_refused && mg_path_exists(c->path)) goto done;
    MG_TRY(mg_pack_write(c->path, c->key, c->model, block, (int64_t)bytes, lm->threads));
    c->write_s = mg_clock_s() - begin_s;
    mg_log_info("pack cache: %s: %.0f MB made in %.1f s", c->path, (double)bytes / 1e6, c->write_s);
done:
    mg_file_lock_release(&lock);
    return st;
}
