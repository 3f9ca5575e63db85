#include "models_packs.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json_text.h"
#include "log.h"
#include "out_file.h"
#include "pack_list.h"
#include "show.h"
#include "text.h"

typedef char path_text[MG_PATH_SIZE];

typedef struct places {
    path_text *path; /* [n] folders, each once */
    size_t n, capacity;
} places;

typedef struct sums {
    int64_t n, bytes, n_useless, useless_bytes;
} sums;

/* Nothing if there is no such folder. */
static mg_status add_folder(places *p, const char *folder)
{
    char *whole = realpath(folder, NULL);
    mg_status st = MG_OK;

    if (!whole) return MG_OK;
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->path[i], whole) == 0) goto done;
    MG_TRY(mg_grow(&p->path, &p->capacity, p->n + 1, sizeof *p->path, "models packs"));
    MG_TRY(mg_path_format(p->path[p->n], "%s", whole));
    p->n++;
done:
    free(whole);
    return st;
}

/* Beside the weights of a model that is a folder or a file; "": it is not here. */
static mg_status add_model(places *p, const char *model)
{
    path_text weights, folder;

    if (!*model) return MG_OK;
    MG_RETURN(mg_path_format(weights, "%s%s", model, mg_path_is_folder(model) ? "/weights" : ""));
    MG_RETURN(mg_pack_folder(folder, "model", weights));
    return add_folder(p, folder);
}

static mg_status add_keys(places *p, const mg_manifest *m)
{
    path_text path;

    for (size_t i = 0; i < mg_manifest_count(m); i++) {
        const mg_manifest_entry e = mg_manifest_at(m, i);
        if (mg_manifest_locate(path, m, &e) == MG_OK) MG_RETURN(add_model(p, path));
        if (mg_manifest_locate_part(path, m, e.lm) == MG_OK) MG_RETURN(add_model(p, path));
        mg_clear_error(); /* mg-dist models says which are not here */
    }
    return MG_OK;
}

/* Beside the snapshots, also where these are gone. */
static mg_status add_cache(places *p, const char *root)
{
    path_text folder, snapshot;
    mg_status st = MG_OK;
    DIR *d = opendir(root);

    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, "models--", 8) != 0) continue;
        MG_TRY(mg_path_format(snapshot, "%s/%s/snapshots/any/weights", root, e->d_name));
        MG_TRY(mg_pack_folder(folder, "model", snapshot));
        MG_TRY(add_folder(p, folder));
    }
done:
    if (d) closedir(d);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const path_text *)a, *(const path_text *)b);
}

static mg_status find_places(places *p, const mg_models_packs_call *call)
{
    const char *own = call->pack_cache;
    mg_hub_root roots[MG_HUB_MAX_ROOTS];
    const int n_roots = mg_hub_roots(roots);

    if (own && strcmp(own, "none") != 0 && strcmp(own, "model") != 0) {
        if (!mg_path_is_folder(own)) mg_log_warn("models packs: %s: there is no such folder", own);
        MG_RETURN(add_folder(p, own));
    }
    MG_RETURN(add_keys(p, call->manifest));
    for (int i = 0; i < n_roots; i++) MG_RETURN(add_cache(p, roots[i].path));
    if (p->n) qsort(p->path, p->n, sizeof *p->path, by_path);
    return MG_OK;
}

static void print_json_pack(mg_json_text *t, const mg_pack_entry *e, bool is_removed)
{
    mg_json_text_object(t, NULL);
    mg_json_text_string(t, "file", e->file);
    mg_json_text_int(t, "bytes", e->bytes);
    mg_json_text_string(t, "dtype", e->name.format);
    mg_json_text_string(t, "cpu_level", e->name.level);
    mg_json_text_int(t, "rank", e->name.rank - 1);
    mg_json_text_int(t, "ranks", e->name.n_ranks);
    mg_json_text_string(t, "model", *e->model ? e->model : NULL);
    mg_json_text_bool(t, "usable", !*e->refusal);
    mg_json_text_string(t, "state", *e->refusal ? e->refusal : "complete");
    mg_json_text_bool(t, "removed", is_removed);
    mg_json_text_close(t);
}

static mg_status take_pack(mg_json_text *json, sums *s, const char *folder, const mg_pack_entry *e,
                           bool prune)
{
    const bool is_useless = *e->refusal != '\0';
    path_text path;

    MG_RETURN(mg_path_format(path, "%s/%s", folder, e->file));
    const bool is_removed = is_useless && prune && access(path, R_OK) == 0; /* else it cannot be judged */
    if (is_removed && unlink(path) != 0)
        return mg_fail(MG_EFAIL, "%s: cannot remove: %s", path, strerror(errno));
    s->n++, s->bytes += e->bytes;
    const bool counts = prune ? is_removed : is_useless;
    s->n_useless += counts, s->useless_bytes += counts ? e->bytes : 0;
    if (json)
        print_json_pack(json, e, is_removed);
    else
        mg_print(stdout, "  %-42s %9.1f MB  %-4s  %-32s %s%s\n", e->file, (double)e->bytes / 1e6,
                 e->name.format, *e->model ? e->model : "-", is_useless ? e->refusal : "complete",
                 is_removed ? "; removed" : "");
    return MG_OK;
}

static mg_status take_folder(mg_json_text *json, sums *s, const char *folder, bool prune)
{
    mg_pack_entry *packs = NULL;
    mg_status st = MG_OK;
    size_t n;

    if (prune) mg_out_sweep(folder); /* what was half written */
    MG_TRY(mg_pack_list(&packs, &n, folder));
    if (json) {
        mg_json_text_object(json, NULL);
        mg_json_text_string(json, "path", folder);
        mg_json_text_array(json, "packs");
    } else {
        mg_print(stdout, "%s%s\n", folder, n ? "" : " (empty)");
    }
    for (size_t i = 0; i < n; i++) MG_TRY(take_pack(json, s, folder, &packs[i], prune));
    if (json) mg_json_text_close(json), mg_json_text_close(json);
done:
    free(packs);
    return st;
}

static void print_sums(const sums *s, bool prune)
{
    mg_print(stdout, "%lld pack%s, %.1f MB", (long long)s->n, s->n == 1 ? "" : "s", (double)s->bytes / 1e6);
    if (s->n_useless > 0)
        mg_print(stdout, "; %lld, %.1f MB, %s", (long long)s->n_useless, (double)s->useless_bytes / 1e6,
                 prune ? "removed" : "of no use to this build: mg-dist models packs --prune removes them");
    mg_print(stdout, "\n");
}

/* {"folders": [{"path", "packs": [...]}]} */
mg_status mg_models_packs(const mg_models_packs_call *call)
{
    mg_status st = MG_OK;
    mg_json_text t = {0}, *json = call->json ? &t : NULL;
    places p = {0};
    sums s = {0};
    char *text = NULL;

    MG_TRY(find_places(&p, call));
    if (json) {
        mg_json_text_object(json, NULL);
        mg_json_text_array(json, "folders");
    }
    for (size_t i = 0; i < p.n; i++) MG_TRY(take_folder(json, &s, p.path[i], call->prune));
    if (json) {
        MG_TRY(mg_json_text_end(json, &text));
        fputs(text, stdout);
    } else {
        print_sums(&s, call->prune);
    }
done:
    mg_text_reset(&t.text); /* if it was not ended */
    free(text);
    free(p.path);
    return st;
}
