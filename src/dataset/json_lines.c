#include "json_lines.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "json.h"

mg_status mg_json_lines_open(mg_json_lines *l, const char *path)
{
    *l = (mg_json_lines){0};
    return mg_in_file_map(&l->file, path);
}

void mg_json_lines_close(mg_json_lines *l)
{
    mg_in_file_unmap(&l->file);
    *l = (mg_json_lines){0};
}

bool mg_json_lines_next(mg_json_lines *l)
{
    while (l->at < l->file.bytes) {
        const char *begin = l->file.data + l->at;
        const char *end = memchr(begin, '\n', (size_t)(l->file.bytes - l->at));
        l->text = begin;
        l->bytes = end ? end - begin : l->file.bytes - l->at;
        l->at += l->bytes + (end != NULL);
        l->line++;
        if (l->bytes > 0) return true;
    }
    return false;
}

/* One key after the other; the first failure stays. */
typedef struct reader {
    const cJSON *object;
    const char *name;
    mg_status st;
} reader;

static const char *get_text(reader *r, const char *key)
{
    const char *text = NULL;

    if (r->st == MG_OK) r->st = mg_json_string(r->object, r->name, key, &text);
    return text;
}

static int64_t get_int(reader *r, const char *key)
{
    int64_t value = -1;

    if (r->st == MG_OK) r->st = mg_json_int(r->object, r->name, key, &value, NULL);
    return value;
}

mg_status mg_clip_line_parse(mg_clip_line *c, const char *name, const char *text, int64_t bytes)
{
    *c = (mg_clip_line){.dur_s = NAN};
    mg_status st = mg_json_parse(&c->json, name, text, bytes);
    if (st == MG_OK && !cJSON_IsObject(c->json)) st = mg_fail(MG_EFAIL, "%s: is no JSON object", name);
    reader r = {c->json, name, st};
    c->file = get_text(&r, "file");
    c->shard = get_text(&r, "shard");
    c->sha256 = get_text(&r, "sha256");
    c->bytes = get_int(&r, "bytes");
    c->file_name = get_text(&r, "file_name");
    c->path = get_text(&r, "path");
    c->description = get_text(&r, "description");
    c->reason = get_text(&r, "reason");
    c->id = get_text(&r, "id");
    c->name = get_text(&r, "name");
    c->prompt = get_text(&r, "prompt");
    c->negative_prompt = get_text(&r, "negative_prompt");
    c->title = get_text(&r, "title");
    c->recipe = get_text(&r, "recipe");
    c->seed = get_int(&r, "seed");
    c->sampling_rate = get_int(&r, "sampling_rate");
    c->sample_rate = get_int(&r, "sample_rate");
    c->channels = get_int(&r, "channels");
    if (r.st == MG_OK) r.st = mg_json_double(c->json, name, "duration", &c->dur_s, NULL);
    const cJSON *gate = NULL;
    if (r.st == MG_OK) r.st = mg_json_object(c->json, name, "gate", &gate);
    r.object = gate;
    c->gate_found = gate ? get_text(&r, "found") : NULL;
    c->gate_attempt = gate ? get_int(&r, "attempt") : -1;
    if (r.st != MG_OK) mg_clip_line_close(c);
    return r.st == MG_ECHECKPOINT ? MG_EFAIL : r.st; /* json.h takes every file for a checkpoint's */
}

mg_status mg_clip_line_describe(mg_clip_metadata *m, const mg_clip_line *line, const char *name)
{
    mg_recipe *r = &m->recipe;

    MG_RETURN(mg_clip_metadata_parse(m, name, line->recipe, (int64_t)strlen(line->recipe)));
    if (line->prompt && *line->prompt) MG_SAY(r, prompt, line->prompt);
    if (line->negative_prompt && *line->negative_prompt) MG_SAY(r, negative_prompt, line->negative_prompt);
    if (line->title && *line->title) MG_SAY(r, title, line->title);
    if (m->sampling_rate > 0) MG_SAY(r, rate_hz, m->sampling_rate);
    return MG_OK;
}

void mg_clip_line_close(mg_clip_line *c)
{
    cJSON_Delete(c->json);
    *c = (mg_clip_line){.dur_s = NAN};
}

static bool is_of_place(const char *key)
{
    static const char *const keys[] = {"file", "shard", "sha256", "bytes", "file_name"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return false;
}

static const char *lacks(const cJSON *a, const cJSON *b)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, a)
    {
        if (is_of_place(item->string)) continue;
        if (!cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(b, item->string), true))
            return item->string;
    }
    return NULL;
}

const char *mg_clip_line_difference(const mg_clip_line *a, const mg_clip_line *b)
{
    const char *key = lacks(a->json, b->json);

    return key ? key : lacks(b->json, a->json);
}
