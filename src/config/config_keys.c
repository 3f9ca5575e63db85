#include "config_keys.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yaml_doc.h"

enum { PATH_SIZE = 512, VALUE_SIZE = 64, MOST_NAMED = 12 };

/* What is to be said of one file. */
typedef struct said {
    mg_text other, unknown; /* "num_beams 4, …"; names */
    int n_other, n_unknown;
} said;

/* The word of a list that is `key`, or that stands for all below a path that `key` is in; NULL if there is
 * none. */
static const char *find_word(const char *words, const char *key, size_t *n)
{
    const size_t n_key = strlen(key);

    for (const char *at = words; at && *at; at += *n) {
        at += strspn(at, " ");
        *n = strcspn(at, " ");
        const size_t n_name = strcspn(at, " =");
        if (n_name == n_key && strncmp(at, key, n_key) == 0) return at;
        if (n_name > 2 && strncmp(at + n_name - 2, ".*", 2) == 0 && strncmp(at, key, n_name - 1) == 0)
            return at;
        if (n_name > 2 && strncmp(at + n_name - 2, ".*", 2) == 0 && n_key == n_name - 2 &&
            strncmp(at, key, n_key) == 0)
            return at;
    }
    return NULL;
}

/* A fact that a list names, as text; "" if it is not known. */
static void fact(char out[VALUE_SIZE], const mg_keys_facts *f, const char *name, size_t n)
{
    const struct {
        const char *name;
        int64_t value;
    } all[] = {
        {"@V", f->V}, {"@rate", f->sampling_rate}, {"@chroma", f->n_chroma}, {"@channels", f->n_channels}};

    out[0] = '\0';
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i].name) == n && strncmp(all[i].name, name, n) == 0 && all[i].value)
            snprintf(out, VALUE_SIZE, "%lld", (long long)all[i].value);
}

static bool same(const char *value, const char *wanted)
{
    char *end_value, *end_wanted;
    const double a = strtod(value, &end_value), b = strtod(wanted, &end_wanted);

    if (end_value != value && !*end_value && end_wanted != wanted && !*end_wanted) return a == b;
    return strcmp(value, wanted) == 0;
}

/* Is `value` one of those behind the word's "="? */
static bool is_built_in(const char *word, size_t n, const char *value, const mg_keys_facts *facts)
{
    const char *at = memchr(word, '=', n), *end = word + n;

    while (at && at < end) {
        char wanted[VALUE_SIZE];
        at++;
        const size_t n_value = strcspn(at, "| ");
        snprintf(wanted, sizeof wanted, "%.*s", (int)n_value, at);
        if (*at == '@') {
            fact(wanted, facts, at, n_value);
            if (!*wanted) return true;
        }
        if (same(value, wanted)) return true;
        at += n_value;
    }
    return false;
}

static void add_name(mg_text *t, int *n, const char *name, const char *value)
{
    if (++*n > MOST_NAMED) return;
    mg_text_show(t, "%s%.80s%s%.40s", *n > 1 ? ", " : "", name, value ? " " : "", value ? value : "");
}

/* One key with its value as text: "null" is as good as absent. */
static void judge(said *s, const mg_keys_list *list, const mg_keys_facts *facts, const char *key,
                  const char *value)
{
    size_t n;
    const char *word = find_word(list->said, key, &n);

    if (word) {
        if (strcmp(value, "null") != 0 && !is_built_in(word, n, value, facts))
            add_name(&s->other, &s->n_other, key, value);
        return;
    }
    if (find_word(list->used, key, &n) || find_word(list->refused, key, &n) ||
        find_word(list->silent, key, &n))
        return;
    if (strcmp(value, "null") != 0) add_name(&s->unknown, &s->n_unknown, key, NULL);
}

static void add_more(mg_text *t, int n)
{
    if (n > MOST_NAMED) mg_text_show(t, " and %d more", n - MOST_NAMED);
}

/* "\n" is not shown: it would be escaped. */
static void begin_note(mg_text *notes)
{
    if (notes->n) mg_text_add(notes, "\n");
}

static mg_status end_said(said *s, mg_text *notes, const char *name)
{
    if (s->n_other) {
        add_more(&s->other, s->n_other);
        begin_note(notes);
        mg_text_show(notes, "%s: not done here, where the reference does it: ", name);
        mg_text_add(notes, s->other.data ? s->other.data : "");
    }
    if (s->n_unknown) {
        add_more(&s->unknown, s->n_unknown);
        begin_note(notes);
        mg_text_show(notes, "%s: unknown key%s, not looked at: ", name, s->n_unknown == 1 ? "" : "s");
        mg_text_add(notes, s->unknown.data ? s->unknown.data : "");
    }
    notes->failed |= s->other.failed || s->unknown.failed;
    mg_text_reset(&s->other);
    mg_text_reset(&s->unknown);
    return mg_text_check(notes, name);
}

/* A JSON value as a list would have it: a string without its quotes. */
static void judge_item(said *s, const mg_keys_list *list, const mg_keys_facts *facts, const cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);
    const char *string = cJSON_GetStringValue(item);

    judge(s, list, facts, item->string, string ? string : text ? text : "?");
    cJSON_free(text);
}

mg_status mg_config_keys_check(mg_text *notes, mg_keys_file file, const mg_keys_facts *facts,
                               const cJSON *section, const char *name)
{
    const mg_keys_list *list = mg_config_keys_of(file);
    said s = {0};

    if (!cJSON_IsObject(section)) return MG_OK;
    for (const cJSON *item = section->child; item; item = item->next) judge_item(&s, list, facts, item);
    /* transformers 5 puts the whole preprocessor_config.json into processor_config.json, one level down */
    const cJSON *inner =
        file == MG_KEYS_PROCESSOR ? cJSON_GetObjectItemCaseSensitive(section, "feature_extractor") : NULL;
    for (const cJSON *item = inner ? inner->child : NULL; item; item = item->next)
        judge_item(&s, list, facts, item);
    return end_said(&s, notes, name);
}

mg_status mg_config_keys_check_legacy(mg_text *notes, const mg_keys_facts *facts, const cJSON *section,
                                      const char *name)
{
    const mg_keys_list *list = mg_config_keys_of(MG_KEYS_GENERATION);
    said s = {0};
    size_t n;

    if (!cJSON_IsObject(section)) return MG_OK;
    for (const cJSON *item = section->child; item; item = item->next)
        if (find_word(list->said, item->string, &n) && !strstr(item->string, "_token_id"))
            judge_item(&s, list, facts, item);
    return end_said(&s, notes, name);
}

/* The leaves below a node of YAML, and a list or mapping where it is empty. */
static mg_status judge_yaml(said *s, const mg_keys_list *list, mg_yaml *y, const mg_yaml_node *node,
                            const char *path)
{
    const mg_keys_facts none = {0};
    char below[PATH_SIZE], value[VALUE_SIZE];
    size_t n;

    if (node->kind == MG_YAML_DICT && node->child && !find_word(list->silent, path, &n) &&
        !find_word(list->said, path, &n) && !find_word(list->refused, path, &n)) {
        for (const mg_yaml_node *c = node->child; c; c = c->next) {
            if (snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", c->key) >= (int)sizeof below)
                continue;
            MG_RETURN(judge_yaml(s, list, y, c, below));
        }
        return MG_OK;
    }
    if (node->kind == MG_YAML_STRING && strstr(node->text, "${")) { /* followed where it is read */
        judge(s, list, &none, path, "${}");
        return MG_OK;
    }
    if (node->kind == MG_YAML_DICT || node->kind == MG_YAML_LIST)
        snprintf(value, sizeof value, "%s", node->child ? "[...]" : "{}");
    else if (node->kind == MG_YAML_NULL || node->kind == MG_YAML_BOOL)
        snprintf(value, sizeof value, "%s",
                 node->kind == MG_YAML_NULL ? "null"
                 : node->boolean            ? "true"
                                            : "false");
    else
        snprintf(value, sizeof value, "%.60s", node->text);
    judge(s, list, &none, path, value);
    return MG_OK;
}

mg_status mg_config_keys_check_xp(mg_text *notes, mg_keys_file file, const char *yaml, const char *name)
{
    mg_status st = MG_OK;
    char full[PATH_SIZE * 9];
    mg_yaml *y = NULL;
    said s = {0};

    snprintf(full, sizeof full, "%.4096s: xp.cfg", name);
    MG_TRY(mg_yaml_parse(&y, full, yaml, strlen(yaml)));
    MG_TRY(judge_yaml(&s, mg_config_keys_of(file), y, mg_yaml_root(y), ""));
    st = end_said(&s, notes, full);
done:
    mg_yaml_close(y);
    return st;
}

/* `key`, `key` = 1 or null, … of the words of one list. */
static void put_cell(mg_text *t, const char *words)
{
    const char *comma = "";

    for (const char *at = words; *at;) {
        at += strspn(at, " ");
        const size_t n = strcspn(at, " "), n_name = strcspn(at, " =");
        if (n == 0) break;
        mg_text_format(t, "%s`%.*s`", comma, (int)n_name, at);
        const char *value = n_name < n ? at + n_name + 1 : at + n, *end = at + n;
        for (const char *join = " = "; value < end; join = " or ") {
            const size_t n_value = strcspn(value, "| ");
            mg_text_format(t, "%s%.*s", join, (int)n_value, value);
            value += n_value + 1;
        }
        comma = ", ";
        at += n;
    }
}

mg_status mg_config_keys_table(char **out)
{
    mg_text t = {0};

    mg_text_add(
        &t,
        "| file | used | refused unless | said by name unless | without effect |\n|---|---|---|---|---|\n");
    for (int i = 0; i < MG_KEYS_FILES; i++) {
        const mg_keys_list *list = mg_config_keys_of((mg_keys_file)i);
        const char *const cells[] = {list->used, list->refused, list->said, list->silent};
        mg_text_format(&t, "| %s", list->file);
        for (int k = 0; k < 4; k++) {
            mg_text_add(&t, cells[k][0] ? " | " : " |");
            put_cell(&t, cells[k]);
        }
        mg_text_add(&t, " |\n");
    }
    return mg_text_end(&t, out, "keys");
}
