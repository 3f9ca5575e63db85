/* After transformers 4.46: tokenization_utils_base.py (_from_pretrained), tokenization_utils.py
 * (_add_tokens), T5Tokenizer.__init__; and tokenizers 0.20: added_vocabulary.rs (add_tokens). */
#include "added_tokens.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"

enum { MAX_TOKENS = 1 << 14, MAX_ID = 1 << 24, MAX_TEXT_BYTES = 1 << 10, MAX_EXTRA = 1000 };

/* In the order in which transformers adds them. */
static const char *const attributes[] = {"bos_token", "eos_token", "unk_token",  "sep_token",
                                         "pad_token", "cls_token", "mask_token", "additional_special_tokens"};
enum { EOS = 1, ADDITIONAL = 7, N_ATTRIBUTES = 8 };

typedef struct reader {
    mg_added_tokens *out;
    const char *name;
    bool slow;
    int64_t n_vocabulary;
    mg_piece_id *piece_id;
    const void *vocabulary;
    cJSON *config, *added, *special, *json; /* NULL: not there */
    const cJSON *attribute[N_ATTRIBUTES];
} reader;

static void close_token(mg_added_token *t)
{
    free(t->text);
    free(t->form);
    *t = (mg_added_token){0};
}

/* Under its id, in the place of what had it. Takes the token's text. */
static mg_status keep(reader *r, mg_added_token *t)
{
    mg_added_tokens *a = r->out;
    mg_status st = MG_OK;

    for (size_t i = 0; i < a->n; i++) {
        if (a->list[i].id != t->id) continue;
        close_token(&a->list[i]);
        a->list[i] = *t;
        *t = (mg_added_token){0};
        return MG_OK;
    }
    if (a->n >= MAX_TOKENS)
        MG_TRY(
            mg_fail(MG_ECHECKPOINT, "%s: more than %d added tokens are not supported", r->name, MAX_TOKENS));
    MG_TRY(mg_grow(&a->list, &a->capacity, a->n + 1, sizeof *a->list, "tokenizer"));
    a->list[a->n++] = *t;
    *t = (mg_added_token){0};
done:
    close_token(t);
    return st;
}

static mg_status set_text(const reader *r, mg_added_token *t, const char *text)
{
    if (strlen(text) > MAX_TEXT_BYTES)
        return mg_fail(MG_ECHECKPOINT, "%s: an added token of more than %d bytes: %.40s…", r->name,
                       MAX_TEXT_BYTES, text);
    t->text = strdup(text);
    return t->text ? MG_OK : mg_fail(MG_ENOMEM, "%s: %zu bytes", r->name, strlen(text));
}

/* One token as JSON has it: its text, or an object of its text and flags. */
static mg_status read_token(const reader *r, mg_added_token *t, const cJSON *item)
{
    const char *content = cJSON_GetStringValue(item);

    *t = (mg_added_token){0};
    if (cJSON_IsObject(item)) {
        MG_RETURN(mg_json_string(item, r->name, "content", &content));
        MG_RETURN(mg_json_bool(item, r->name, "lstrip", &t->lstrip, NULL));
        MG_RETURN(mg_json_bool(item, r->name, "rstrip", &t->rstrip, NULL));
        MG_RETURN(mg_json_bool(item, r->name, "single_word", &t->single_word, NULL));
        MG_RETURN(mg_json_bool(item, r->name, "special", &t->special, NULL));
        t->normalized = !t->special;
        MG_RETURN(mg_json_bool(item, r->name, "normalized", &t->normalized, NULL));
    }
    if (!content) return mg_fail(MG_ECHECKPOINT, "%s: an added token without text", r->name);
    return set_text(r, t, content);
}

static mg_status check_id(const reader *r, int64_t id, const char *text)
{
    if (id >= 0 && id < MAX_ID) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: added token \"%.64s\": %lld is no id", r->name, text, (long long)id);
}

/* {"1100": {"content": …}, …} */
static mg_status read_decoder(reader *r, const cJSON *decoder)
{
    for (const cJSON *item = decoder->child; item; item = item->next) {
        char *end;
        const long long id = strtoll(item->string, &end, 10);
        mg_added_token t;
        if (end == item->string || *end) return check_id(r, -1, item->string);
        MG_RETURN(check_id(r, id, item->string));
        MG_RETURN(read_token(r, &t, item));
        t.id = (int32_t)id;
        MG_RETURN(keep(r, &t));
    }
    return MG_OK;
}

/* Is it the text of one of the special tokens? */
static bool is_special(const reader *r, const char *text)
{
    for (int i = 0; i < N_ATTRIBUTES; i++) {
        const cJSON *a = r->attribute[i], *first = cJSON_IsArray(a) ? a->child : a;
        for (const cJSON *item = first; item; item = cJSON_IsArray(a) ? item->next : NULL) {
            const cJSON *content =
                cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "content") : item;
            if (cJSON_IsString(content) && strcmp(content->valuestring, text) == 0) return true;
        }
    }
    return false;
}

/* {"TEXT": 1100, …} */
static mg_status read_added(reader *r)
{
    for (const cJSON *item = r->added ? r->added->child : NULL; item; item = item->next) {
        mg_added_token t = {.special = is_special(r, item->string)};
        int64_t id = -1;
        if (!mg_json_exact_int(item, &id)) id = -1;
        MG_RETURN(check_id(r, id, item->string));
        t.id = (int32_t)id;
        t.normalized = !t.special;
        MG_RETURN(set_text(r, &t, item->string));
        MG_RETURN(keep(r, &t));
    }
    return MG_OK;
}

static const cJSON *json_tokens(const reader *r)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(r->json, "added_tokens");

    return cJSON_IsArray(list) ? list : NULL;
}

/* tokenizer.json's, under their own ids. */
static mg_status read_json(reader *r)
{
    const cJSON *list = json_tokens(r);

    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        mg_added_token t;
        int64_t id = -1;
        MG_RETURN(mg_json_int(item, r->name, "id", &id, NULL));
        MG_RETURN(check_id(r, id, "of tokenizer.json"));
        MG_RETURN(read_token(r, &t, item));
        t.id = (int32_t)id;
        MG_RETURN(keep(r, &t));
    }
    return MG_OK;
}

static const mg_added_token *find_in_list(const mg_added_tokens *a, const char *text)
{
    for (size_t i = a->n; i-- > 0;)
        if (strcmp(a->list[i].text, text) == 0) return &a->list[i];
    return NULL;
}

/* The first id that nothing has: as a slow tokenizer counts, all texts there are; as a fast one, one more
 * than the last. */
static int64_t next_id(const reader *r)
{
    int64_t n = r->n_vocabulary;

    for (size_t i = 0; i < r->out->n; i++) {
        if (r->slow)
            n += r->piece_id(r->vocabulary, r->out->list[i].text) < 0;
        else if (r->out->list[i].id >= n)
            n = r->out->list[i].id + 1;
    }
    return n;
}

/* One more, under the id of the piece of its text, else under a new one; none if it is there already. */
static mg_status add(reader *r, const cJSON *item, bool special)
{
    mg_added_token t;

    MG_RETURN(read_token(r, &t, item));
    if (!*t.text || find_in_list(r->out, t.text)) {
        close_token(&t);
        return MG_OK;
    }
    if (cJSON_IsString(item)) t.normalized = !special;
    t.special |= special;
    const int32_t known = r->piece_id(r->vocabulary, t.text);
    t.id = known >= 0 ? known : (int32_t)next_id(r);
    return keep(r, &t);
}

static mg_status add_extra(reader *r, int64_t i)
{
    char text[32];
    cJSON item = {.type = cJSON_String, .valuestring = text};

    snprintf(text, sizeof text, "<extra_id_%lld>", (long long)i);
    return add(r, &item, true);
}

static bool names_extra(const cJSON *item)
{
    const cJSON *content = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "content") : item;

    return cJSON_IsString(content) && strstr(content->valuestring, "<extra_id_");
}

/* How many <extra_id_n> the class makes and puts behind its pieces: none, if others are special and none of
 * these, which then follow those. */
static mg_status count_extra(const reader *r, int64_t *n_known, int64_t *n_new)
{
    const cJSON *list = r->attribute[ADDITIONAL];
    int64_t n_named = 0;

    *n_known = r->out->n_extra, *n_new = 0;
    if (!cJSON_IsArray(list)) return MG_OK;
    for (const cJSON *item = list->child; item; item = item->next) n_named += names_extra(item);
    if (n_named == 0) {
        *n_new = *n_known;
        *n_known = 0;
    } else if (r->out->n_extra > 0 && n_named != r->out->n_extra) {
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: additional_special_tokens names %lld <extra_id_n>, and extra_ids is %lld: they must "
            "be as many",
            r->name, (long long)n_named, (long long)r->out->n_extra);
    }
    return MG_OK;
}

/* T5Tokenizer's own, before the files are read: the last number comes first. */
static mg_status keep_extra(reader *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        mg_added_token t = {.lstrip = true, .rstrip = true, .special = true};
        char text[32];
        snprintf(text, sizeof text, "<extra_id_%lld>", (long long)i);
        t.id = (int32_t)(r->n_vocabulary - 1 + r->out->n_extra - i);
        MG_RETURN(set_text(r, &t, text));
        MG_RETURN(keep(r, &t));
    }
    return MG_OK;
}

static mg_status add_attributes(reader *r, int64_t n_extra)
{
    static const char *const defaults[N_ATTRIBUTES] = {[1] = "</s>", [2] = "<unk>", [4] = "<pad>"};

    for (int i = 0; i < N_ATTRIBUTES; i++) {
        const cJSON *a = r->attribute[i];
        cJSON item = {.type = cJSON_String, .valuestring = (char *)(uintptr_t)defaults[i]};
        if (cJSON_IsString(a) || cJSON_IsObject(a))
            MG_RETURN(add(r, a, true));
        else if (cJSON_IsArray(a))
            for (const cJSON *one = a->child; one; one = one->next) MG_RETURN(add(r, one, true));
        else if (defaults[i])
            MG_RETURN(add(r, &item, true));
    }
    for (int64_t i = 0; i < n_extra; i++) MG_RETURN(add_extra(r, i));
    return MG_OK;
}

/* What the config says, and, where that does not list the tokens, special_tokens_map.json over it. */
static void find_attributes(reader *r, bool by_map)
{
    for (int i = 0; i < N_ATTRIBUTES; i++) {
        const cJSON *mapped = by_map ? cJSON_GetObjectItemCaseSensitive(r->special, attributes[i]) : NULL;
        r->attribute[i] = mapped ? mapped : cJSON_GetObjectItemCaseSensitive(r->config, attributes[i]);
        if (cJSON_IsNull(r->attribute[i])) r->attribute[i] = NULL;
    }
}

static mg_status read_slow(reader *r, const cJSON *decoder)
{
    int64_t n_known, n_new;

    MG_RETURN(count_extra(r, &n_known, &n_new));
    MG_RETURN(keep_extra(r, n_known));
    if (decoder) {
        MG_RETURN(read_decoder(r, decoder));
    } else {
        MG_RETURN(read_added(r));
        MG_RETURN(read_json(r));
    }
    return add_attributes(r, n_new);
}

static int by_number(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    const long long m = strtoll((*x)->string, NULL, 10), n = strtoll((*y)->string, NULL, 10);

    return (m > n) - (m < n);
}

/* The config's tokens by their ids, which a fast tokenizer looks at for their order alone. */
static mg_status add_sorted(reader *r, const cJSON *decoder)
{
    const int n = cJSON_GetArraySize(decoder);
    const cJSON **sorted = calloc((size_t)n + 1, sizeof *sorted);
    mg_status st = MG_OK;
    int i = 0;

    if (!sorted) return mg_fail(MG_ENOMEM, "%s: %d tokens", r->name, n);
    for (const cJSON *item = decoder->child; item; item = item->next) sorted[i++] = item;
    if (n) qsort(sorted, (size_t)n, sizeof *sorted, by_number);
    for (i = 0; i < n; i++) MG_TRY(add(r, sorted[i], false));
done:
    free(sorted);
    return st;
}

static int by_value(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;

    return ((*x)->valuedouble > (*y)->valuedouble) - ((*x)->valuedouble < (*y)->valuedouble);
}

static mg_status add_added(reader *r)
{
    const int n = cJSON_GetArraySize(r->added);
    const cJSON **sorted = calloc((size_t)n + 1, sizeof *sorted);
    mg_status st = MG_OK;
    int i = 0;

    if (!sorted) return mg_fail(MG_ENOMEM, "%s: %d tokens", r->name, n);
    for (const cJSON *item = r->added ? r->added->child : NULL; item; item = item->next) sorted[i++] = item;
    if (n) qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (i = 0; i < n; i++) {
        cJSON item = {.type = cJSON_String, .valuestring = sorted[i]->string};
        MG_TRY(add(r, &item, is_special(r, sorted[i]->string)));
    }
done:
    free(sorted);
    return st;
}

static mg_status read_fast(reader *r, const cJSON *decoder)
{
    const cJSON *list = json_tokens(r);
    int64_t n_known, n_new;

    MG_RETURN(count_extra(r, &n_known, &n_new));
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next)
        MG_RETURN(add(r, item, false));
    if (decoder)
        MG_RETURN(add_sorted(r, decoder));
    else
        MG_RETURN(add_added(r));
    return add_attributes(r, n_known + n_new);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const mg_added_token *)a)->text, ((const mg_added_token *)b)->text);
}

/* By text, each text once: of two ids the one that came last. */
static void sort_tokens(mg_added_tokens *a)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n; i++) {
        bool again = !*a->list[i].text;
        for (size_t k = i + 1; k < a->n && !again; k++) again = strcmp(a->list[k].text, a->list[i].text) == 0;
        if (again)
            close_token(&a->list[i]);
        else
            a->list[n++] = a->list[i];
    }
    a->n = n;
    if (n) qsort(a->list, n, sizeof *a->list, by_text);
}

static mg_status find_end(reader *r)
{
    const cJSON *item = r->attribute[EOS];
    const cJSON *content = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "content") : item;
    const char *text = cJSON_IsString(content) ? content->valuestring : "</s>";
    const mg_added_token *t = mg_added_tokens_find(r->out, text);

    if (!t || strlen(text) >= sizeof r->out->eos)
        return mg_fail(MG_ECHECKPOINT, "%s: eos_token: \"%.64s\" is no token", r->name, text);
    snprintf(r->out->eos, sizeof r->out->eos, "%s", text);
    r->out->eos_id = t->id;
    return MG_OK;
}

static mg_status read_all(reader *r)
{
    const cJSON *decoder = NULL;

    if (r->config) {
        MG_RETURN(mg_json_object(r->config, r->name, "added_tokens_decoder", &decoder));
        MG_RETURN(mg_json_bool(r->config, r->name, "legacy", &r->out->legacy, NULL));
        MG_RETURN(mg_json_int(r->config, r->name, "extra_ids", &r->out->n_extra, NULL));
        if (r->out->n_extra < 0 || r->out->n_extra > MAX_EXTRA)
            return mg_fail(MG_ECHECKPOINT, "%s: extra_ids: %lld is not possible", r->name,
                           (long long)r->out->n_extra);
    }
    find_attributes(r, !decoder);
    MG_RETURN(r->slow ? read_slow(r, decoder) : read_fast(r, decoder));
    for (size_t i = 0; i < r->out->n; i++) r->out->list[i].special = is_special(r, r->out->list[i].text);
    sort_tokens(r->out);
    return find_end(r);
}

static mg_status parse(cJSON **root, const char *name, const char *file, const char *text, int64_t bytes)
{
    char full[4200];

    *root = NULL;
    if (!text) return MG_OK;
    snprintf(full, sizeof full, "%.4000s: %s", name, file);
    MG_RETURN(mg_json_parse(root, full, text, bytes));
    return cJSON_IsObject(*root) ? MG_OK : mg_fail(MG_ECHECKPOINT, "%s: must be a JSON object", full);
}

mg_status mg_added_tokens_read(mg_added_tokens *out, const char *name, const mg_tokenizer_side *side,
                               bool slow, int64_t n_vocabulary, mg_piece_id *piece_id, const void *vocabulary)
{
    mg_status st = MG_OK;
    reader r = {.out = out,
                .name = name,
                .slow = slow,
                .n_vocabulary = n_vocabulary,
                .piece_id = piece_id,
                .vocabulary = vocabulary};

    *out = (mg_added_tokens){.legacy = true, .n_extra = 100};
    MG_TRY(parse(&r.config, name, "tokenizer_config.json", side->config, side->config_bytes));
    MG_TRY(parse(&r.added, name, "added_tokens.json", side->added, side->added_bytes));
    MG_TRY(parse(&r.special, name, "special_tokens_map.json", side->special, side->special_bytes));
    MG_TRY(parse(&r.json, name, "tokenizer.json", side->json, side->json_bytes));
    MG_TRY(read_all(&r));
done:
    cJSON_Delete(r.config);
    cJSON_Delete(r.added);
    cJSON_Delete(r.special);
    cJSON_Delete(r.json);
    if (st != MG_OK) mg_added_tokens_reset(out);
    return st;
}

void mg_added_tokens_reset(mg_added_tokens *a)
{
    for (size_t i = 0; i < a->n; i++) close_token(&a->list[i]);
    free(a->list);
    *a = (mg_added_tokens){0};
}

const mg_added_token *mg_added_tokens_find(const mg_added_tokens *a, const char *text)
{
    const mg_added_token key = {.text = (char *)(uintptr_t)text};

    return a->n ? bsearch(&key, a->list, a->n, sizeof *a->list, by_text) : NULL;
}
