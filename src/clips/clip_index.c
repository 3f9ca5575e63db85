#include "clip_index.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audio_file.h"
#include "clip_metadata.h"
#include "file_lock.h"
#include "in_file.h"
#include "json.h"
#include "json_text.h"
#include "out_file.h"
#include "path.h"
#include "text.h"

#define MAX_BYTES ((int64_t)1 << 30)

/* A line. */
typedef struct row {
    char *text; /* without its end; owned */
    char *file; /* its file_name; owned */
} row;

typedef struct rows {
    row *item; /* [n] */
    size_t n, capacity;
} rows;

static void close_rows(rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->item[i].text);
        free(r->item[i].file);
    }
    free(r->item);
    *r = (rows){0};
}

/* Takes `text`. */
static mg_status add_row(rows *r, char *text, const char *file)
{
    mg_status st = mg_grow(&r->item, &r->capacity, r->n + 1, sizeof *r->item, MG_CLIP_INDEX_NAME);
    char *name = strdup(file);

    if (st == MG_OK && !name) st = mg_fail(MG_ENOMEM, MG_CLIP_INDEX_NAME ": no memory");
    if (st == MG_OK) {
        r->item[r->n++] = (row){text, name};
        return MG_OK;
    }
    free(text);
    free(name);
    return st;
}

/* One line [bytes]; MG_ECHECKPOINT if it is none of a list of sounds. */
static mg_status read_line(rows *r, const char *line, int64_t bytes)
{
    const char *file = NULL;
    cJSON *root;

    MG_RETURN(mg_json_parse(&root, MG_CLIP_INDEX_NAME, line, bytes));
    mg_status st = mg_json_string(root, MG_CLIP_INDEX_NAME, "file_name", &file);
    if (st == MG_OK && !file) st = mg_fail(MG_ECHECKPOINT, MG_CLIP_INDEX_NAME ": file_name: missing");
    if (st == MG_OK) {
        char *text = strndup(line, (size_t)bytes);
        st = text ? add_row(r, text, file) : mg_fail(MG_ENOMEM, MG_CLIP_INDEX_NAME ": no memory");
    }
    cJSON_Delete(root);
    return st;
}

/* The lines that are there; of those that are none the first is *bad (0: all are good), and they are left
 * out.
 */
static mg_status read_rows(rows *r, int64_t *bad, const char *path)
{
    mg_status st = MG_OK;
    char *data = NULL;
    int64_t bytes = 0, line = 0;

    *bad = 0;
    if (!mg_path_exists(path)) return MG_OK;
    MG_TRY(mg_in_file_read(&data, &bytes, path, MAX_BYTES));
    for (const char *p = data, *end; p < data + bytes; p = end + 1) {
        end = memchr(p, '\n', (size_t)(data + bytes - p));
        if (!end) end = data + bytes;
        line++;
        if (strspn(p, " \t\r") >= (size_t)(end - p)) continue;
        st = read_line(r, p, end - p);
        if (st == MG_ENOMEM) goto done;
        if (st != MG_OK && *bad == 0) *bad = line;
        mg_clear_error();
        st = MG_OK;
    }
done:
    free(data);
    return st;
}

mg_status mg_clip_index_check(const char *folder)
{
    char path[MG_PATH_SIZE];
    rows r = {0};
    int64_t bad;

    MG_RETURN(mg_path_format(path, "%s/" MG_CLIP_INDEX_NAME, folder));
    const mg_status st = read_rows(&r, &bad, path);
    close_rows(&r);
    if (st != MG_OK || bad == 0) return st;
    return mg_fail(MG_EUSAGE,
                   "%s: is there already (line %lld is no JSON object with a file_name); give --overwrite or "
                   "another --out",
                   path, (long long)bad);
}

/* A clip's line. */
static mg_status describe(char **text, const mg_clip_metadata *m)
{
    mg_json_text t = {.layout = MG_JSON_LINE};
    const mg_recipe *r = &m->recipe;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "file_name", m->audio_file);
    if (r->id) mg_json_text_string(&t, "id", r->id);
    if (r->title) mg_json_text_string(&t, "title", r->title);
    mg_json_text_string(&t, "prompt", r->prompt ? r->prompt : "");
    if (r->negative_prompt) mg_json_text_string(&t, "negative_prompt", r->negative_prompt);
    mg_json_text_int(&t, "seed", r->seed);
    mg_json_text_number(&t, "duration", m->dur_s);
    mg_json_text_int(&t, "sampling_rate", m->sampling_rate);
    mg_json_text_int(&t, "channels", m->n_channels);
    return mg_json_text_end(&t, text);
}

static int by_file(const void *a, const void *b)
{
    return strcmp(((const row *)a)->file, ((const row *)b)->file);
}

static const row *find(const rows *r, const char *file)
{
    const row key = {.file = (char *)(uintptr_t)file};

    return r->n ? bsearch(&key, r->item, r->n, sizeof *r->item, by_file) : NULL;
}

/* Does the line that is there say all that ours says? Then somebody may have added to it. */
static bool says_all(const row *theirs, const char *ours)
{
    cJSON *a = cJSON_Parse(theirs->text), *b = cJSON_Parse(ours);
    bool all = a && b;

    for (const cJSON *item = b ? b->child : NULL; item && all; item = item->next)
        all = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, item->string), item, true);
    cJSON_Delete(a);
    cJSON_Delete(b);
    return all;
}

/* The clip of one .json: its line, unless what it says is there. What is no clip's metadata is passed over.
 */
static mg_status add_clip(rows *ours, const rows *there, const char *folder, const char *json)
{
    char path[MG_PATH_SIZE], *text;
    mg_clip_metadata m;
    mg_status st = MG_OK;

    MG_RETURN(mg_path_format(path, "%s/%s", folder, json));
    if (mg_clip_metadata_load(&m, path) != MG_OK) {
        mg_clear_error();
        return MG_OK;
    }
    if (m.audio_file && mg_path_has(folder, m.audio_file)) {
        MG_TRY(describe(&text, &m));
        const row *theirs = find(there, m.audio_file);
        if (!theirs || !says_all(theirs, text))
            st = add_row(ours, text, m.audio_file);
        else
            free(text);
    }
done:
    mg_clip_metadata_close(&m);
    return st;
}

static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec < b->st_mtim.tv_sec
                                                  : a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

/* Is there a line for the sound beside STEM.json? */
static bool has_line(const rows *there, const char *json)
{
    const size_t n = strlen(json) - strlen(".json");

    for (int i = 0; i < MG_AUDIO_N_FORMATS; i++) {
        char file[MG_PATH_SIZE];
        if (mg_path_format(file, "%.*s%s", (int)n, json, mg_audio_format_suffix((mg_audio_format)i)) ==
                MG_OK &&
            find(there, file))
            return true;
    }
    return false;
}

/* Every clip whose metadata is newer than the list, or that has no line in it: a folder of many is not read
 * again and again. */
static mg_status add_clips(rows *ours, const rows *there, const char *folder, const struct stat *list)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    DIR *d = opendir(folder);

    if (!d) return MG_OK;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat info;
        if (e->d_name[0] == '.' || !mg_text_ends_with(e->d_name, ".json")) continue;
        MG_TRY(mg_path_format(path, "%s/%s", folder, e->d_name));
        if (stat(path, &info) != 0) continue;
        if (is_older(&info, list) && has_line(there, e->d_name)) continue;
        MG_TRY(add_clip(ours, there, folder, e->d_name));
    }
done:
    closedir(d);
    return st;
}

static void add_line(mg_text *t, const char *text)
{
    mg_text_add(t, text);
    mg_text_add(t, "\n");
}

/* Both lists in the order of the files, ours where both have a line; of theirs those whose file is there,
 * once.
 */
static mg_status merge(mg_text *t, const rows *ours, const rows *there, const char *folder)
{
    size_t i = 0, k = 0;

    while (i < ours->n || k < there->n) {
        const int order = i == ours->n ? 1 : k == there->n ? -1 : by_file(&ours->item[i], &there->item[k]);
        const bool again = order > 0 && k > 0 && by_file(&there->item[k - 1], &there->item[k]) == 0;
        if (order <= 0) add_line(t, ours->item[i].text);
        if (order > 0 && !again && mg_path_has(folder, there->item[k].file)) add_line(t, there->item[k].text);
        i += order <= 0;
        k += order >= 0;
    }
    return mg_text_check(t, MG_CLIP_INDEX_NAME);
}

static mg_status write_rows(const char *folder, const char *path)
{
    mg_status st = MG_OK;
    struct stat list = {0};
    rows there = {0}, ours = {0};
    mg_text text = {0};
    int64_t bad;

    if (stat(path, &list) != 0) list = (struct stat){0};
    MG_TRY(read_rows(&there, &bad, path));
    if (there.n) qsort(there.item, there.n, sizeof *there.item, by_file);
    MG_TRY(add_clips(&ours, &there, folder, &list));
    if (ours.n) qsort(ours.item, ours.n, sizeof *ours.item, by_file);
    MG_TRY(merge(&text, &ours, &there, folder));
    if (text.n || there.n || bad) st = mg_out_file_put(path, text.n ? text.data : "", text.n);
done:
    mg_text_reset(&text);
    close_rows(&there);
    close_rows(&ours);
    return st;
}

mg_status mg_clip_index_write(const char *folder)
{
    char path[MG_PATH_SIZE];
    mg_file_lock lock;

    MG_RETURN(mg_path_format(path, "%s/" MG_CLIP_INDEX_NAME, folder));
    MG_RETURN(mg_file_lock_take(&lock, path));
    const mg_status st = write_rows(folder, path);
    mg_file_lock_release(&lock);
    return st;
}
