#include "request_list.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "json.h"
#include "json_text.h"
#include "path.h"
#include "prompt_list.h"

#define MAX_FILE_BYTES ((int64_t)1 << 30)
enum { ID_BYTES = 128, WHERE_SIZE = MG_PATH_SIZE + 64 };

typedef enum key_type { KEY_TEXT, KEY_PATH, KEY_NUMBER, KEY_INT, KEY_BOOL } key_type;

/* The JSON keys. Bounds are inclusive, as on the command line. */
typedef struct key {
    const char *name;
    key_type type;
    size_t offset;
    double low, high;
} key;

#define AT(field) offsetof(mg_request, field)
static const key keys[] = {
    {"id", KEY_TEXT, AT(id), 0, 0},
    {"title", KEY_TEXT, AT(title), 0, 0},
    {"prompt", KEY_TEXT, AT(prompt), 0, 0},
    {"negative_prompt", KEY_TEXT, AT(negative_prompt), 0, 0},
    {"text_states", KEY_PATH, AT(text_states), 0, 0},
    {"audio_prompt", KEY_PATH, AT(audio_prompt), 0, 0},
    {"melody", KEY_PATH, AT(melody), 0, 0},
    {"prompt_duration", KEY_NUMBER, AT(prompt_duration_s), 1e-3, 1e6},
    {"duration", KEY_NUMBER, AT(duration_s), 1e-3, 1e6},
    {"window", KEY_NUMBER, AT(window_s), 1e-3, 1e6},
    {"extend_stride", KEY_NUMBER, AT(extend_stride_s), 1e-3, 1e6},
    {"cfg_coef", KEY_NUMBER, AT(cfg_coef), 0, 1000},
    {"cfg_coef_beta", KEY_NUMBER, AT(cfg_coef_beta), 0, 1000},
    {"top_p", KEY_NUMBER, AT(top_p), 0, 1},
    {"temperature", KEY_NUMBER, AT(temperature), 0, 1000},
    {"frames", KEY_INT, AT(n_frames), 1, 1e8},
    {"top_k", KEY_INT, AT(top_k), 0, 1e9},
    {"seed", KEY_INT, AT(seed), 0, 9007199254740991.0},
    {"n", KEY_INT, AT(n), 1, 1e9},
    {"greedy", KEY_BOOL, AT(greedy), 0, 0},
};
enum { N_KEYS = sizeof keys / sizeof *keys };

/* Every string of a request, whichever way it came. */
static char **strings_of(mg_request *r, int i)
{
    char **const all[] = {&r->id,          &r->title,        &r->prompt, &r->negative_prompt,
                          &r->text_states, &r->audio_prompt, &r->melody, &r->where};

    return i < (int)(sizeof all / sizeof *all) ? all[i] : NULL;
}

void mg_request_init(mg_request *r)
{
    *r = (mg_request){.duration_s = NAN,
                      .prompt_duration_s = NAN,
                      .window_s = NAN,
                      .extend_stride_s = NAN,
                      .cfg_coef = NAN,
                      .cfg_coef_beta = NAN,
                      .top_p = NAN,
                      .temperature = NAN,
                      .n_frames = -1,
                      .top_k = -1,
                      .seed = -1,
                      .n = -1,
                      .greedy = -1};
}

static void reset(mg_request *r)
{
    for (int i = 0; strings_of(r, i); i++) free(*strings_of(r, i));
    mg_request_init(r);
}

mg_status mg_request_list_append(mg_request_list *list, const mg_request *r)
{
    mg_request from = *r, copy = *r;
    bool whole = true;

    if (list->n == list->room) {
        const int64_t room = list->room ? 2 * list->room : 16;
        mg_request *larger = realloc(list->request, (size_t)room * sizeof *larger);
        if (!larger) return mg_fail(MG_ENOMEM, "requests: room for %lld", (long long)room);
        list->request = larger, list->room = room;
    }
    for (int i = 0; strings_of(&copy, i); i++) {
        const char *text = *strings_of(&from, i);
        *strings_of(&copy, i) = text ? strdup(text) : NULL;
        whole = whole && (!text || *strings_of(&copy, i));
    }
    if (!whole) {
        reset(&copy);
        return mg_fail(MG_ENOMEM, "requests: no memory for the texts");
    }
    list->request[list->n++] = copy;
    return MG_OK;
}

void mg_request_list_close(mg_request_list *list)
{
    for (int64_t i = 0; i < list->n; i++) reset(&list->request[i]);
    free(list->request);
    *list = (mg_request_list){0};
}

/* What a message can quote: one line. */
static void quote(char out[80], const char *text)
{
    snprintf(out, 80, "%.64s", text);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7F) *p = '?';
}

/* An id names files: nothing that a shell or a file system reads in its own way. */
static mg_status check_id(const char *where, const char *id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const size_t n = strlen(id);
    char quoted[80];

    if (n >= 1 && n <= ID_BYTES && strspn(id, allowed) == n && id[0] != '.' && id[0] != '-') return MG_OK;
    quote(quoted, id);
    return mg_fail(MG_EUSAGE,
                   "%s: id: \"%s\": must be 1 to %d letters, digits, '.', '_' and '-', and begin with a "
                   "letter, a digit or '_'",
                   where, quoted, ID_BYTES);
}

/* `folder` is "" or ends in '/'. */
static mg_status read_text(char **out, const key *k, const cJSON *item, const char *where, const char *folder)
{
    char name[WHERE_SIZE + 32];
    const char *text = item->valuestring;

    if (!cJSON_IsString(item)) return mg_fail(MG_EUSAGE, "%s: %s: must be a string", where, k->name);
    snprintf(name, sizeof name, "%s: %s", where, k->name);
    MG_RETURN(mg_prompt_check(name, text));
    if (k->offset == AT(id)) MG_RETURN(check_id(where, text));
    const char *begin = k->type == KEY_PATH && *text && *text != '/' ? folder : "";
    const size_t bytes = strlen(begin) + strlen(text) + 1;
    *out = malloc(bytes);
    if (!*out) return mg_fail(MG_ENOMEM, "%s: %zu bytes", name, bytes);
    snprintf(*out, bytes, "%s%s", begin, text);
    return MG_OK;
}

static mg_status read_number(void *at, const key *k, const cJSON *item, const char *where)
{
    int64_t whole = 0;

    if (k->type == KEY_INT) {
        if (!mg_json_exact_int(item, &whole) || (double)whole < k->low || (double)whole > k->high)
            return mg_fail(MG_EUSAGE, "%s: %s: must be a whole number from %.0f to %.0f", where, k->name,
                           k->low, k->high);
        *(int64_t *)at = whole;
        return MG_OK;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= k->low && item->valuedouble <= k->high))
        return mg_fail(MG_EUSAGE, "%s: %s: must be a number from %g to %g", where, k->name, k->low, k->high);
    *(double *)at = item->valuedouble;
    return MG_OK;
}

static mg_status read_key(mg_request *r, const key *k, const cJSON *item, const char *where,
                          const char *folder)
{
    void *at = (char *)r + k->offset;

    if (cJSON_IsNull(item)) return MG_OK;
    if (k->type == KEY_TEXT || k->type == KEY_PATH) return read_text(at, k, item, where, folder);
    if (k->type != KEY_BOOL) return read_number(at, k, item, where);
    if (!cJSON_IsBool(item)) return mg_fail(MG_EUSAGE, "%s: %s: must be true or false", where, k->name);
    *(int *)at = cJSON_IsTrue(item);
    return MG_OK;
}

static const key *find_key(const char *name)
{
    for (int i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].name, name) == 0) return &keys[i];
    return NULL;
}

static mg_status read_object(mg_request *r, const cJSON *object, const char *where, const char *folder)
{
    bool seen[N_KEYS] = {false};
    char quoted[80];

    if (!cJSON_IsObject(object)) return mg_fail(MG_EUSAGE, "%s: must be a JSON object", where);
    for (const cJSON *item = object->child; item; item = item->next) {
        const key *k = find_key(item->string);
        if (!k) {
            quote(quoted, item->string);
            return mg_fail(MG_EUSAGE, "%s: %s: no such key; docs/GENERATE.md lists them", where, quoted);
        }
        if (seen[k - keys]) return mg_fail(MG_EUSAGE, "%s: %s: given twice", where, k->name);
        seen[k - keys] = true;
        MG_RETURN(read_key(r, k, item, where, folder));
    }
    if (!isnan(r->duration_s) && r->n_frames > 0)
        return mg_fail(MG_EUSAGE, "%s: duration and frames both say how long; give one", where);
    return MG_OK;
}

static mg_status add_object(mg_request_list *list, const char *where, const char *folder, const char *line,
                            int64_t bytes)
{
    mg_request r;
    cJSON *object = NULL;
    mg_status st = mg_json_parse(&object, where, line, bytes);

    mg_request_init(&r);
    if (st == MG_ECHECKPOINT) { /* JSON's reader takes all for checkpoints */
        char why[WHERE_SIZE + 256];
        snprintf(why, sizeof why, "%s", mg_last_error());
        st = mg_fail(MG_EUSAGE, "%s", why);
    }
    MG_TRY(st);
    MG_TRY(read_object(&r, object, where, folder));
    r.where = strdup(where);
    if (!r.where) MG_TRY(mg_fail(MG_ENOMEM, "requests: no memory"));
    st = mg_request_list_append(list, &r);
done:
    cJSON_Delete(object);
    reset(&r);
    return st;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p) && *p) p++;
    return p;
}

static mg_status parse_objects(mg_request_list *list, const char *name, const char *text, int64_t text_bytes)
{
    const char *p = text, *end = text + text_bytes, *slash = strrchr(name, '/');
    char where[WHERE_SIZE], folder[MG_PATH_SIZE] = "";

    if (slash) MG_RETURN(mg_path_format(folder, "%.*s/", (int)(slash - name), name));
    for (int64_t i_line = 1; p < end; i_line++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline ? newline : end;
        snprintf(where, sizeof where, "%.4000s: line %lld", name, (long long)i_line);
        if (skip_blanks(p, line_end) < line_end) MG_RETURN(add_object(list, where, folder, p, line_end - p));
        p = newline ? newline + 1 : end;
    }
    return MG_OK;
}

static mg_status parse_lines(mg_request_list *list, const char *name, const char *text, int64_t text_bytes)
{
    mg_status st = MG_OK;
    mg_prompt_list prompts = {0};
    mg_request r;
    char where[WHERE_SIZE];

    MG_TRY(mg_prompt_list_parse(&prompts, name, text, text_bytes));
    for (int64_t i = 0; i < prompts.n; i++) {
        snprintf(where, sizeof where, "%.4000s: line %lld", name, (long long)prompts.line[i]);
        mg_request_init(&r);
        r.prompt = prompts.text[i], r.where = where;
        MG_TRY(mg_request_list_append(list, &r));
    }
done:
    mg_prompt_list_close(&prompts);
    return st;
}

mg_status mg_request_list_parse(mg_request_list *list, const char *name, const char *text, int64_t text_bytes)
{
    const size_t n = strlen(name);
    const bool named = n >= 6 && strcmp(name + n - 6, ".jsonl") == 0;
    const bool marked = text_bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    const char *first = skip_blanks(text + (marked ? 3 : 0), text + text_bytes);

    if (named || (first < text + text_bytes && *first == '{'))
        return parse_objects(list, name, text + (marked ? 3 : 0), text_bytes - (marked ? 3 : 0));
    return parse_lines(list, name, text, text_bytes);
}

mg_status mg_request_list_load(mg_request_list *list, const char *path)
{
    char *text;
    int64_t bytes;

    MG_RETURN(mg_in_file_read(&text, &bytes, path, MAX_FILE_BYTES));
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    const mg_status st = mg_request_list_parse(list, name, text, bytes);
    free(text);
    return st;
}

/* A request as one line: what breaks lines is JSON's layout alone, for a string has its own escaped. */
static mg_status print_request(char **line, const mg_request *r)
{
    mg_json_text t = {0};

    mg_json_text_object(&t, NULL);
    for (int i = 0; i < N_KEYS; i++) {
        const key *k = &keys[i];
        const void *at = (const char *)r + k->offset;
        if (k->type == KEY_TEXT || k->type == KEY_PATH) {
            if (*(char *const *)at) mg_json_text_string(&t, k->name, *(char *const *)at);
        } else if (k->type == KEY_NUMBER) {
            if (!isnan(*(const double *)at)) mg_json_text_number(&t, k->name, *(const double *)at);
        } else if (k->type == KEY_INT) {
            if (*(const int64_t *)at >= 0) mg_json_text_int(&t, k->name, *(const int64_t *)at);
        } else if (*(const int *)at >= 0) {
            mg_json_text_bool(&t, k->name, *(const int *)at != 0);
        }
    }
    MG_RETURN(mg_json_text_end(&t, line));
    for (char *p = *line; p[0] && p[1]; p++)
        if (*p == '\n') *p = ' ';
    return MG_OK;
}

mg_status mg_request_list_print(char **text, int64_t *text_bytes, const mg_request_list *list)
{
    mg_status st = MG_OK;
    char *line = NULL, *larger;
    size_t n = 0, room = 1;

    *text = malloc(1), *text_bytes = 0;
    if (!*text) MG_TRY(mg_fail(MG_ENOMEM, "requests: no memory"));
    for (int64_t i = 0; i < list->n; i++) {
        MG_TRY(print_request(&line, &list->request[i]));
        const size_t n_line = strlen(line);
        if (n + n_line + 1 > room) {
            room = 2 * room + n_line + 1;
            larger = realloc(*text, room);
            if (!larger) MG_TRY(mg_fail(MG_ENOMEM, "requests: %zu bytes", room));
            *text = larger;
        }
        memcpy(*text + n, line, n_line);
        n += n_line;
        free(line);
        line = NULL;
    }
    (*text)[n] = '\0';
    *text_bytes = (int64_t)n;
done:
    free(line);
    if (st != MG_OK) {
        free(*text);
        *text = NULL;
    }
    return st;
}
