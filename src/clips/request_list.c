#include "request_list.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choice_words.h"
#include "json.h"
#include "path.h"
#include "text.h"

/* Takes the text; NULL is no memory. */
static mg_status keep(mg_request_list *list, char *text)
{
    mg_status st =
        text ? mg_grow(&list->kept, &list->kept_capacity, list->n_kept + 1, sizeof *list->kept, "requests")
             : mg_fail(MG_ENOMEM, "requests: no memory for the texts");

    if (st == MG_OK)
        list->kept[list->n_kept++] = text;
    else
        free(text);
    return st;
}

mg_status mg_request_list_keep(mg_request_list *list, const char **out, const char *text)
{
    *out = NULL;
    MG_RETURN(keep(list, strdup(text)));
    *out = list->kept[list->n_kept - 1];
    return MG_OK;
}

/* Its strings are the list's already. */
static mg_status append(mg_request_list *list, const mg_recipe *r)
{
    MG_RETURN(mg_grow(&list->recipe, &list->capacity, (size_t)list->n + 1, sizeof *list->recipe, "requests"));
    list->recipe[list->n++] = *r;
    return MG_OK;
}

mg_status mg_request_list_append(mg_request_list *list, const mg_recipe *r)
{
    mg_recipe copy = *r;

    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if (!mg_recipe_is_string(key)) continue;
        const char **text = mg_recipe_at(&copy, key);
        if (*text) MG_RETURN(mg_request_list_keep(list, text, *text));
    }
    return append(list, &copy);
}

void mg_request_list_close(mg_request_list *list)
{
    for (size_t i = 0; i < list->n_kept; i++) free(list->kept[i]);
    free(list->kept);
    free(list->recipe);
    *list = (mg_request_list){0};
}

static mg_status refuse(const mg_recipe_key *key, const cJSON *item, const char *where)
{
    char shown[MG_JSON_SHOWN];

    mg_json_show(shown, item);
    return mg_recipe_refuse(key, where, shown);
}

/* `folder` is "" or ends in '/'. The text is checked as it stands, the path is put together. */
static mg_status read_text(mg_request_list *list, mg_recipe *r, const mg_recipe_key *key, const cJSON *item,
                           const char *where, const char *folder)
{
    const char **at = mg_recipe_at(r, key), *text = item->valuestring;
    char *path;

    if (!cJSON_IsString(item)) return refuse(key, item, where);
    *at = text;
    MG_RETURN(mg_recipe_check_key(r, key, where));
    const bool is_beside = key->type == MG_KEY_PATH && *text && *text != '/';
    if (asprintf(&path, "%s%s", is_beside ? folder : "", text) < 0) path = NULL;
    MG_RETURN(keep(list, path));
    *at = path;
    return MG_OK;
}

static mg_status read_number(mg_recipe *r, const mg_recipe_key *key, const cJSON *item, const char *where)
{
    void *at = mg_recipe_at(r, key);
    const bool is_whole = key->type == MG_KEY_INT;
    int64_t whole = 0;

    if (!cJSON_IsNumber(item) || (is_whole && !mg_json_exact_int(item, &whole)))
        return refuse(key, item, where);
    if (is_whole)
        *(int64_t *)at = whole;
    else
        *(double *)at = item->valuedouble;
    return mg_recipe_check_key(r, key, where);
}

static mg_status read_key(mg_request_list *list, mg_recipe *r, const mg_recipe_key *key, const cJSON *item,
                          const char *where, const char *folder)
{
    int i;

    if (cJSON_IsNull(item)) return MG_OK;
    mg_recipe_say(r, key);
    switch (key->type) {
    case MG_KEY_TEXT:
    case MG_KEY_ID:
    case MG_KEY_PATH: return read_text(list, r, key, item, where, folder);
    case MG_KEY_INT:
    case MG_KEY_NUMBER: return read_number(r, key, item, where);
    case MG_KEY_CHOICE:
        i = cJSON_IsString(item) ? mg_choice_find(key->choices, item->valuestring) : -1;
        *(int *)mg_recipe_at(r, key) = i;
        return i < 0 ? refuse(key, item, where) : MG_OK;
    case MG_KEY_BOOL: break;
    }
    if (!cJSON_IsBool(item)) return refuse(key, item, where);
    *(bool *)mg_recipe_at(r, key) = cJSON_IsTrue(item);
    return MG_OK;
}

/* The key of ours for one that other programs have; NULL if it is none of them. */
static const char *our_key(const char *typed)
{
    static const char *const all[][2] = {{"guidance_scale", "cfg_coef"},
                                         {"cfg", "cfg_coef"},
                                         {"temp", "temperature"},
                                         {"do_sample", "greedy"},
                                         {"use_sampling", "greedy"},
                                         {"max_new_tokens", "frames"},
                                         {"description", "prompt"},
                                         {"descriptions", "prompt"},
                                         {"file_name", "id"},
                                         {"name", "id"},
                                         {"length", "duration"},
                                         {"seconds", "duration"},
                                         {"melody_path", "melody"},
                                         {"num_samples", "n"},
                                         {"random_seed", "seed"}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i][0], typed) == 0) return all[i][1];
    return NULL;
}

static mg_status read_object(mg_request_list *list, mg_recipe *r, const cJSON *object, const char *where,
                             const char *folder)
{
    bool seen[MG_RECIPE_MAX_KEYS] = {false};

    if (!cJSON_IsObject(object)) return mg_fail(MG_EUSAGE, "%s: must be a JSON object", where);
    for (const cJSON *item = object->child; item; item = item->next) {
        const mg_recipe_key *key = mg_recipe_find(item->string);
        if (!key) {
            const char *ours = our_key(item->string);
            if (ours)
                return mg_fail(MG_EUSAGE, "%s: %.64s: no such key; here it is %s (docs/GENERATE.md)", where,
                               item->string, ours);
            return mg_fail(
                MG_EUSAGE,
                "%s: %.64s: no such key; docs/GENERATE.md lists them, and --prompt-column NAME passes over "
                "all but one",
                where, item->string);
        }
        if (seen[key - mg_recipe_keys]) return mg_fail(MG_EUSAGE, "%s: %s: given twice", where, key->key);
        seen[key - mg_recipe_keys] = true;
        MG_RETURN(read_key(list, r, key, item, where, folder));
    }
    return mg_recipe_check(r, where);
}

mg_status mg_request_list_add(mg_request_list *list, const char *where, const char *folder, const char *text,
                              int64_t text_bytes)
{
    mg_recipe r;
    cJSON *object = NULL;
    mg_status st = mg_json_parse(&object, where, text, text_bytes);

    mg_recipe_init(&r);
    if (st == MG_ECHECKPOINT)
        st = MG_EUSAGE; /* JSON's reader takes all for checkpoints; its message stands */
    MG_TRY(st);
    MG_TRY(read_object(list, &r, object, where, folder));
    MG_TRY(mg_request_list_keep(list, &r.where, where));
    st = append(list, &r);
done:
    cJSON_Delete(object);
    return st;
}

static mg_status read_all(mg_request_list *list, mg_job_reader *reader)
{
    const char *name = mg_job_reader_name(reader), *slash = strrchr(name, '/');
    char where[MG_JOB_WHERE_SIZE], folder[MG_PATH_SIZE] = "";
    mg_job_record record;
    bool over = false;

    if (slash) MG_RETURN(mg_path_format(folder, "%.*s/", (int)(slash - name), name));
    for (;;) {
        MG_RETURN(mg_job_reader_next(reader, &record, &over));
        if (over) return MG_OK;
        mg_job_where(where, name, record.line);
        MG_RETURN(mg_request_list_add(list, where, folder, record.text, record.bytes));
    }
}

mg_status mg_request_list_parse(mg_request_list *list, const char *name, const char *text, int64_t text_bytes,
                                const mg_job_format *how)
{
    mg_job_reader *reader;

    MG_RETURN(mg_job_reader_open_text(&reader, name, text, text_bytes, how));
    const mg_status st = read_all(list, reader);
    mg_job_reader_close(reader);
    return st;
}

mg_status mg_request_list_load(mg_request_list *list, const char *path, const mg_job_format *how)
{
    mg_job_reader *reader;

    MG_RETURN(mg_job_reader_open(&reader, path, how));
    const mg_status st = read_all(list, reader);
    mg_job_reader_close(reader);
    return st;
}
