#include "dataset_status.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataset.h"
#include "in_file.h"
#include "json.h"
#include "out_file.h"
#include "path.h"
#include "run_db.h"

enum { MOST_BYTES = 1 << 24, TRIES = 5 };

static double number(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

static const char *word(const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    return cJSON_IsString(item) ? item->valuestring : "";
}

static mg_status read_replicas(mg_dataset_status *s)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(s->json, "replicas"), *item;
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;

    s->replica = calloc((size_t)n + 1, sizeof *s->replica);
    if (!s->replica) return mg_fail(MG_ENOMEM, "status.json: no memory");
    if (n == 0) return MG_OK;
    cJSON_ArrayForEach(item, list) s->replica[s->n_replicas++] =
        (mg_dataset_replica){number(item, "replica"), number(item, "done"), number(item, "silent_s"),
                             word(item, "host"), word(item, "at_hand")};
    return MG_OK;
}

/* It is replaced again and again: on a network's file system the one that was opened may be gone (ESTALE). */
static mg_status read_text(mg_dataset_status *s, int64_t *bytes, const char *path)
{
    mg_status st;

    for (int i = 0; (st = mg_in_file_read(&s->text, bytes, path, MOST_BYTES)) == MG_EFAIL && i < TRIES; i++)
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    return st;
}

mg_status mg_dataset_status_load(mg_dataset_status *s, const char *dir)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    int64_t bytes;

    *s = (mg_dataset_status){0};
    MG_RETURN(mg_dataset_own_path(path, dir, "status.json"));
    if (!mg_path_exists(path))
        return mg_fail(MG_EUSAGE, "%s: no run has begun here, or it is no dataset of mg-dist run", dir);
    MG_TRY(read_text(s, &bytes, path));
    MG_TRY(mg_json_parse(&s->json, path, s->text, bytes));
    const cJSON *o = s->json;
    s->state = word(o, "state"), s->host = word(o, "host");
    s->pid = number(o, "pid"), s->time = number(o, "time");
    s->total = number(o, "total"), s->done = number(o, "done");
    s->failed = number(o, "failed"), s->left = number(o, "left");
    s->clips_per_s = number(o, "clips_per_s"), s->sound_s_per_s = number(o, "sound_s_per_s");
    s->eta_s = number(o, "eta_s");
    st = read_replicas(s);
done:
    if (st != MG_OK) mg_dataset_status_close(s);
    return st == MG_ECHECKPOINT ? MG_EFAIL : st; /* json.h takes every file for a checkpoint's */
}

char *mg_dataset_status_text_as(const mg_dataset_status *s, const char *state)
{
    cJSON *copy = cJSON_Duplicate(s->json, true);
    const bool set = cJSON_ReplaceItemInObjectCaseSensitive(copy, "state", cJSON_CreateString(state));
    char *text = set ? cJSON_Print(copy) : NULL;

    cJSON_Delete(copy);
    return text;
}

mg_status mg_dataset_status_recount(const char *dir, const mg_run_counts *counts)
{
    const struct {
        const char *key;
        int64_t value;
    } now[] = {{"done", counts->done}, {"failed", counts->failed}, {"left", counts->waiting}};
    char path[MG_PATH_SIZE];
    mg_dataset_status s;

    MG_RETURN(mg_dataset_own_path(path, dir, "status.json"));
    if (!mg_path_exists(path)) return MG_OK;
    MG_RETURN(mg_dataset_status_load(&s, dir));
    for (size_t i = 0; i < sizeof now / sizeof *now; i++) {
        cJSON *item = cJSON_GetObjectItemCaseSensitive(s.json, now[i].key);
        if (item) cJSON_SetNumberValue(item, (double)now[i].value);
    }
    cJSON *eta = cJSON_GetObjectItemCaseSensitive(s.json, "eta_s"); /* at the rate of the run before */
    if (eta && s.clips_per_s > 0) cJSON_SetNumberValue(eta, (double)counts->waiting / s.clips_per_s);
    char *text = mg_dataset_status_text_as(&s, counts->waiting > 0 ? "stopped" : s.state);
    mg_status st = text ? MG_OK : mg_fail(MG_ENOMEM, "status.json: no memory");
    if (st == MG_OK) st = mg_out_file_put(path, text, strlen(text));
    cJSON_free(text);
    mg_dataset_status_close(&s);
    return st;
}

void mg_dataset_status_close(mg_dataset_status *s)
{
    cJSON_Delete(s->json);
    free(s->text);
    free(s->replica);
    *s = (mg_dataset_status){0};
}
