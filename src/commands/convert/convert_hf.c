/* Hugging Face's form: weights in safetensors, one file or shards, and the files that transformers reads
 * beside them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_text.h"
#include "convert.h"
#include "in_file.h"
#include "safetensors_writer.h"
#include "text.h"

enum { PIECE_BYTES = 1 << 20 };
#define MAX_SIDE_FILE_BYTES ((int64_t)64 << 20)

static mg_status put_text(const char *dir, const char *name, const char *text)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(path, "%s/%s", dir, name));
    return mg_out_file_put(path, text, strlen(text));
}

/* Wide elements first, then by name, as the safetensors library lays them out. */
static int by_layout(const void *a, const void *b)
{
    const mg_convert_tensor *x = a, *y = b;
    const size_t x_bytes = mg_dtype_bytes(x->tensor.dtype), y_bytes = mg_dtype_bytes(y->tensor.dtype);

    return x_bytes != y_bytes ? (x_bytes < y_bytes ? 1 : -1) : strcmp(x->name, y->name);
}

static mg_status write_tensor(mg_convert *c, mg_safetensors_writer *w, const mg_convert_tensor *t,
                              char *piece)
{
    const int64_t n = mg_tensor_count(&t->tensor);
    const int64_t n_piece = PIECE_BYTES / (int64_t)mg_dtype_bytes(t->tensor.dtype);

    for (int64_t first = 0; first < n; first += n_piece) {
        const int64_t n_now = n - first < n_piece ? n - first : n_piece;
        const size_t bytes = (size_t)n_now * mg_dtype_bytes(t->tensor.dtype);
        MG_RETURN(mg_convert_read(c, t, piece, first, n_now));
        MG_RETURN(mg_safetensors_writer_add(w, piece, bytes));
        MG_RETURN(mg_convert_advance(c, (int64_t)bytes));
    }
    return MG_OK;
}

static mg_status write_shard(mg_convert *c, const char *name, const mg_safetensors_item *items, int64_t first,
                             int64_t n)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    mg_safetensors_writer w = {.file = {.fd = -1}};
    char *piece = malloc(PIECE_BYTES);

    if (!piece) MG_TRY(mg_fail(MG_ENOMEM, "%s: %d bytes", name, PIECE_BYTES));
    MG_TRY(mg_path_format(path, "%s/%s", c->folder.temp, name));
    MG_TRY(mg_safetensors_writer_open(&w, path, items + first, n));
    for (int64_t i = first; i < first + n; i++) MG_TRY(write_tensor(c, &w, &c->lm.tensor[i], piece));
    MG_TRY(mg_safetensors_writer_commit(&w));
done:
    mg_safetensors_writer_close(&w);
    free(piece);
    return st;
}

static mg_status write_weights(mg_convert *c)
{
    mg_status st = MG_OK;
    const int64_t n = c->lm.n;
    mg_safetensors_item *items = calloc((size_t)n, sizeof *items);
    int64_t *i_shard = calloc((size_t)n, sizeof *i_shard), n_shards = 0, first = 0;
    char name[MG_SHARD_NAME_SIZE];

    if (!items || !i_shard) MG_TRY(mg_fail(MG_ENOMEM, "convert: no memory for %lld tensors", (long long)n));
    qsort(c->lm.tensor, (size_t)n, sizeof *c->lm.tensor, by_layout);
    for (int64_t i = 0; i < n; i++)
        items[i] = (mg_safetensors_item){c->lm.tensor[i].name, c->lm.tensor[i].tensor};
    mg_safetensors_cut(i_shard, &n_shards, items, n, c->shard_bytes);
    for (int64_t i = 1; i <= n; i++) {
        if (i < n && i_shard[i] == i_shard[first]) continue;
        mg_safetensors_shard_name(name, i_shard[first], n_shards);
        MG_TRY(write_shard(c, name, items, first, i - first));
        first = i;
    }
    if (n_shards > 1) MG_TRY(mg_safetensors_write_index(c->folder.temp, items, n, i_shard, n_shards));
done:
    free(items);
    free(i_shard);
    return st;
}

/* The language model's own, which most of its tensors have. */
static mg_dtype model_dtype(const mg_convert *c)
{
    for (int64_t i = 0; i < c->lm.n; i++)
        if (strcmp(c->lm.tensor[i].name, "decoder.lm_heads.0.weight") == 0)
            return c->lm.tensor[i].tensor.dtype;
    return MG_F32;
}

static mg_status copy_file(const char *from, const char *to)
{
    char *data = NULL;
    int64_t bytes;

    MG_RETURN(mg_in_file_read(&data, &bytes, from, MAX_SIDE_FILE_BYTES));
    const mg_status st = mg_out_file_put(to, data, (size_t)bytes);
    free(data);
    return st;
}

/* The source's own, with the keys that mean nothing here; else what is known. */
static mg_status put_generation(const mg_convert *c, const char *made)
{
    const char *folder = c->files->lm_folder;
    char from[MG_PATH_SIZE], to[MG_PATH_SIZE];

    if (!*folder || !mg_path_has(folder, "generation_config.json"))
        return put_text(c->folder.temp, "generation_config.json", made);
    MG_RETURN(mg_path_format(from, "%s/generation_config.json", folder));
    MG_RETURN(mg_path_format(to, "%s/generation_config.json", c->folder.temp));
    return copy_file(from, to);
}

/* AudioCraft plays every model by these rules. What its xp.cfg says under generate.lm is how the trainer made
 * samples to look at: greedy, as a rule. */
static mg_config playing_config(const mg_convert *c)
{
    mg_config config = c->config;
    mg_generation_config *g = &config.generation;

    if (!c->files->lm_yaml) return config;
    g->has_guidance_scale = g->has_do_sample = g->has_top_k = g->has_temperature = true;
    g->guidance_scale = 3, g->do_sample = true, g->top_k = 250, g->temperature = 1;
    g->has_top_p = false;
    return config;
}

static mg_status write_configs(const mg_convert *c)
{
    mg_status st = MG_OK;
    const mg_config playing = playing_config(c);
    char *config = NULL, *generation = NULL, *preprocessor = NULL;

    MG_TRY(mg_config_text(&config, &c->config, model_dtype(c)));
    MG_TRY(mg_config_text_generation(&generation, &playing, c->files->window_s));
    MG_TRY(mg_config_text_preprocessor(&preprocessor, &c->config));
    MG_TRY(put_text(c->folder.temp, "config.json", config));
    MG_TRY(put_generation(c, generation));
    MG_TRY(put_text(c->folder.temp, "preprocessor_config.json", preprocessor));
done:
    free(config);
    free(generation);
    free(preprocessor);
    return st;
}

static mg_status copy_tokenizer(const mg_convert *c)
{
    static const char *const names[] = {"spiece.model", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json"};
    const char *tokenizer = c->files->tokenizer;
    char from[MG_PATH_SIZE], to[MG_PATH_SIZE];

    if (!mg_path_is_folder(tokenizer)) {
        MG_RETURN(mg_path_format(to, "%s/%s", c->folder.temp,
                                 mg_text_ends_with(tokenizer, ".json") ? "tokenizer.json" : "spiece.model"));
        return copy_file(tokenizer, to);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!mg_path_has(tokenizer, names[i])) continue;
        MG_RETURN(mg_path_format(from, "%s/%s", tokenizer, names[i]));
        MG_RETURN(mg_path_format(to, "%s/%s", c->folder.temp, names[i]));
        MG_RETURN(copy_file(from, to));
    }
    return MG_OK;
}

mg_status mg_convert_write_hf(mg_convert *c)
{
    MG_RETURN(write_weights(c));
    MG_RETURN(write_configs(c));
    return copy_tokenizer(c);
}
