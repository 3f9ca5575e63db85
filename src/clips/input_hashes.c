#include "input_hashes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "beside.h"
#include "hash.h"
#include "hub.h"
#include "stop.h"

/* A cached file is already named by its hash, and reading it all again costs a minute for a large model:
 * `mg-dist verify` compares. */
static mg_status hash_weights(mg_file_hash *w, int fd, const atomic_bool *stop)
{
    w->of_blob_name = mg_hub_blob_hash(w->sha256, w->path) && strlen(w->sha256) == 64;
    return w->of_blob_name ? MG_OK : mg_hash_open_file(w->sha256, fd, w->path, stop);
}

/* The file that mg_tokenizer_open takes. A clip can be made again without knowing it. */
static void hash_tokenizer(mg_input_hashes *h)
{
    const char *const names[] = {"/spiece.model", "/tokenizer.json", ""};
    char path[MG_PATH_SIZE];

    for (int i = 0; *h->tokenizer && i < 3; i++)
        if (mg_path_format(path, "%s%s", h->tokenizer, names[i]) == MG_OK && mg_path_bytes(path) >= 0 &&
            mg_hash_file_unless(h->tokenizer_sha256, path, &h->stop) == MG_OK)
            return;
}

/* What was hashed is what was loaded, if nobody has written into the files since. */
static mg_status check_weights(const mg_input_hashes *h)
{
    for (int i = 0; i < h->n_weights; i++)
        if (!h->weights[i].of_blob_name) return mg_model_files_check(h->files);
    return MG_OK;
}

static void *hash_all(void *arg)
{
    mg_input_hashes *h = arg;
    mg_status st = MG_OK;

    setpriority(PRIO_PROCESS, 0, MG_BESIDE_NICENESS); /* Linux: of this thread alone */
    for (int64_t i = 0; i < h->n_inputs; i++)
        if (mg_hash_file_unless(h->inputs[i].sha256, h->inputs[i].path, &h->stop) != MG_OK)
            h->inputs[i].sha256[0] = '\0';
    hash_tokenizer(h);
    for (int i = 0; i < h->n_weights && st == MG_OK; i++)
        st = hash_weights(&h->weights[i], h->fds[i], &h->stop);
    if (st == MG_OK) st = check_weights(h);
    pthread_mutex_lock(&h->lock);
    h->fault = mg_fault_take(st);
    h->is_over = true;
    pthread_cond_signal(&h->finished);
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static mg_status list_weights(mg_input_hashes *h, const mg_model_files *files)
{
    size_t n = 1;

    for (int i = 0; i < files->n_opened; i++) n += mg_checkpoint_n_files(files->opened[i]);
    h->weights = calloc(n, sizeof *h->weights);
    h->fds = calloc(n, sizeof *h->fds);
    if (!h->weights || !h->fds) return mg_fail(MG_ENOMEM, "hashes: %zu files", n);
    for (int i = 0; i < files->n_opened; i++) {
        const mg_checkpoint *c = files->opened[i];
        for (size_t f = 0; f < mg_checkpoint_n_files(c); f++) {
            h->fds[h->n_weights] = mg_checkpoint_file_fd(c, f);
            mg_file_hash *w = &h->weights[h->n_weights++];
            snprintf(w->path, sizeof w->path, "%s", mg_checkpoint_file(c, f));
            w->use = mg_model_files_use(files, c);
        }
    }
    return MG_OK;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const mg_input_hash *)a)->path, ((const mg_input_hash *)b)->path);
}

static mg_status list_inputs(mg_input_hashes *h, const mg_request_list *requests)
{
    int64_t n = 0;

    h->inputs = calloc((size_t)(MG_RECIPE_INPUTS * requests->n) + 1, sizeof *h->inputs);
    if (!h->inputs) return mg_fail(MG_ENOMEM, "hashes: %lld requests", (long long)requests->n);
    for (int64_t i = 0; i < requests->n; i++)
        for (int k = 0; k < MG_RECIPE_INPUTS; k++) {
            const char *path = *(const char *const *)mg_recipe_get(&requests->recipe[i], mg_recipe_input(k));
            if (path) h->inputs[n++].path = path;
        }
    qsort(h->inputs, (size_t)n, sizeof *h->inputs, compare_paths);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || strcmp(h->inputs[i].path, h->inputs[h->n_inputs - 1].path) != 0)
            h->inputs[h->n_inputs++].path = h->inputs[i].path;
    return MG_OK;
}

mg_status mg_input_hashes_open(mg_input_hashes *h, const mg_model_files *files,
                               const mg_request_list *requests)
{
    *h = (mg_input_hashes){.files = files, .tokenizer = files->tokenizer, .is_open = true};
    pthread_mutex_init(&h->lock, NULL);
    mg_beside_cond_init(&h->finished);
    MG_RETURN(list_weights(h, files));
    MG_RETURN(list_inputs(h, requests));
    MG_RETURN(mg_beside_start(&h->thread, "hashes", hash_all, h));
    h->runs = true;
    return MG_OK;
}

mg_status mg_input_hashes_wait(mg_input_hashes *h)
{
    mg_status st = MG_OK;

    pthread_mutex_lock(&h->lock);
    while (!h->is_over && st == MG_OK) {
        mg_beside_wait(&h->finished, &h->lock, 1.0);
        if (!h->is_over) st = mg_stop_check();
    }
    if (st == MG_OK) st = mg_fault_raise(&h->fault);
    pthread_mutex_unlock(&h->lock);
    return st;
}

void mg_input_hashes_close(mg_input_hashes *h)
{
    if (!h->is_open) return;
    atomic_store(&h->stop, true);
    if (h->runs) pthread_join(h->thread, NULL);
    pthread_cond_destroy(&h->finished);
    pthread_mutex_destroy(&h->lock);
    free(h->weights);
    free(h->fds);
    free(h->inputs);
    *h = (mg_input_hashes){0};
}

const char *mg_input_hashes_find(const mg_input_hashes *h, const char *path)
{
    const mg_input_hash key = {.path = path};
    const mg_input_hash *found =
        path ? bsearch(&key, h->inputs, (size_t)h->n_inputs, sizeof key, compare_paths) : NULL;

    return found && found->sha256[0] ? found->sha256 : NULL;
}
