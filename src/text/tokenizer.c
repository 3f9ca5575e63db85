/* Added tokens are cut out (token_split.h), the rest is SentencePiece's (tokenizer_spm.cc), and </s> ends it.
 */
#include "tokenizer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "added_tokens.h"
#include "in_file.h"
#include "path.h"
#include "text.h"
#include "token_split.h"
#include "tokenizer_impl.h"
#include "utf8.h"

#define MAX_FILE_BYTES ((int64_t)64 << 20)
#define MARK           "\xE2\x96\x81" /* stands for a space in a piece */

/* An added token that is also a piece of the vocabulary: its id stands for the piece's. */
typedef struct stand_in {
    int32_t piece, id;
} stand_in;

struct mg_tokenizer {
    mg_spm *spm;
    mg_spm *spm_bare; /* the same without a space put before a text; NULL: never wanted */
    mg_added_tokens added;
    mg_tokenizer_json_facts json; /* of a tokenizer.json */
    char *made;                   /* the model that it became; json looks into it */
    bool is_json;
    int64_t n_pieces;
    int64_t
        n_extra; /* in a tokenizer.json's vocabulary: <extra_id_n> has the id n_pieces + n_extra - 1 - n */
    stand_in *stand_ins;
    size_t n_stand_ins;
    size_t n_unknown; /* ids of the text "<unk>" in spm_bare */
};

/* A growing list of ids. */
typedef struct id_list {
    int32_t *ids;
    int64_t n;
    size_t capacity;
} id_list;

static mg_status push(id_list *list, const int32_t *ids, int64_t n)
{
    MG_RETURN(mg_grow(&list->ids, &list->capacity, (size_t)(list->n + n), sizeof *list->ids, "tokenizer"));
    if (n) memcpy(list->ids + list->n, ids, (size_t)n * sizeof *ids);
    list->n += n;
    return MG_OK;
}

/* The id of a text of the vocabulary itself, or -1. */
static int32_t piece_id(const void *tokenizer, const char *text)
{
    const mg_tokenizer *t = tokenizer;
    long long n = -1;
    int length = 0;

    if (t->is_json && sscanf(text, "<extra_id_%lld>%n", &n, &length) == 1 && length && !text[length] &&
        n >= 0 && n < t->n_extra)
        return (int32_t)(t->n_pieces + t->n_extra - 1 - n);
    return mg_spm_piece_id(t->spm, text);
}

static mg_status push_pieces(const mg_tokenizer *t, id_list *list, const mg_spm *spm, const char *text,
                             size_t skip)
{
    int32_t *ids;
    int64_t n;

    MG_RETURN(mg_spm_encode(spm, text, (int64_t)strlen(text), &ids, &n));
    if ((int64_t)skip > n) skip = 0;
    for (int64_t i = 0; i < n; i++)
        for (size_t k = 0; k < t->n_stand_ins; k++)
            if (ids[i] == t->stand_ins[k].piece) {
                ids[i] = t->stand_ins[k].id;
                break;
            }
    const mg_status st = push(list, ids + skip, n - (int64_t)skip);
    free(ids);
    return st;
}

/* Text without a space put before it, unless it begins with one: then behind a word that is taken away again.
 */
static mg_status push_bare(const mg_tokenizer *t, id_list *list, const char *text)
{
    mg_text behind = {0};
    char *whole = NULL;

    if (*text != ' ' && strncmp(text, MARK, strlen(MARK)) != 0)
        return push_pieces(t, list, t->spm_bare, text, 0);
    mg_text_add(&behind, "<unk>");
    mg_text_add(&behind, text);
    MG_RETURN(mg_text_end(&behind, &whole, "tokenizer"));
    const mg_status st = push_pieces(t, list, t->spm_bare, whole, t->n_unknown);
    free(whole);
    return st;
}

/* A part of a normalised text as tokenizers' Metaspace hands it on: with a mark before it, and one for each
 * space that is left. */
static mg_status push_marked(const mg_tokenizer *t, id_list *list, const mg_token_piece *p)
{
    const bool has = p->text[0] == ' ' || strncmp(p->text, MARK, strlen(MARK)) == 0;
    mg_text marked = {0};
    char *whole = NULL;

    if (!has && (p->is_first || !t->json.first_only)) mg_text_add(&marked, MARK);
    mg_text_add(&marked, p->text);
    MG_RETURN(mg_text_end(&marked, &whole, "tokenizer"));
    const mg_status st = push_pieces(t, list, t->spm_bare, whole, 0);
    free(whole);
    return st;
}

static mg_status push_text(const mg_tokenizer *t, id_list *list, const mg_token_piece *p)
{
    if (!t->spm_bare) return push_pieces(t, list, t->spm, p->text, 0);
    return t->is_json ? push_marked(t, list, p) : push_bare(t, list, p->text);
}

/* A text as T5Tokenizer with "legacy": false begins it. */
static mg_status begin_text(char **out, const char *text)
{
    mg_text t = {0};

    if (*text) mg_text_add(&t, MARK);
    for (; *text; text++) {
        const bool mark = strncmp(text, MARK, strlen(MARK)) == 0;
        mg_text_add_bytes(&t, mark ? " " : text, 1);
        if (mark) text += strlen(MARK) - 1;
    }
    return mg_text_end(&t, out, "tokenizer");
}

static mg_status encode_pieces(const mg_tokenizer *t, id_list *list, const mg_token_pieces *pieces)
{
    const int32_t mark = mg_spm_piece_id(t->spm, MARK);
    const bool new_rules = t->spm_bare && !t->is_json;

    for (size_t i = 0; i < pieces->n; i++) {
        const mg_token_piece *p = &pieces->list[i];
        if (!p->token) {
            MG_RETURN(push_text(t, list, p));
            continue;
        }
        /* the mark alone before a special token is no text */
        if (new_rules && i == 1 && list->n == 1 && list->ids[0] == mark && p->token->special) list->n = 0;
        MG_RETURN(push(list, &p->token->id, 1));
    }
    return MG_OK;
}

mg_status mg_tokenizer_encode(const mg_tokenizer *t, const char *text, int32_t **ids, int64_t *n_ids)
{
    const mg_token_normalizer normalizer = {t->json.charsmap, t->json.charsmap_bytes, t->json.strips_right,
                                            t->json.collapses};
    mg_status st = MG_OK;
    id_list list = {0};
    mg_token_pieces pieces = {0};
    char *begun = NULL;
    const int64_t bad = mg_utf8_bad_offset(text, (int64_t)strlen(text));

    *ids = NULL, *n_ids = 0;
    if (bad >= 0) return mg_fail(MG_EUSAGE, "prompt: byte %lld of the text is not UTF-8", (long long)bad + 1);
    if (t->spm_bare && !t->is_json) {
        MG_TRY(begin_text(&begun, text));
        text = begun;
    }
    MG_TRY(t->is_json ? mg_token_split_fast(&pieces, &t->added, &normalizer, t->spm_bare != NULL, text,
                                            (int64_t)strlen(text))
                      : mg_token_split_slow(&pieces, &t->added, text, (int64_t)strlen(text)));
    MG_TRY(encode_pieces(t, &list, &pieces));
    if (list.n == 0 || list.ids[list.n - 1] != t->added.eos_id) MG_TRY(push(&list, &t->added.eos_id, 1));
    *ids = list.ids, *n_ids = list.n;
    list.ids = NULL;
done:
    free(list.ids);
    free(begun);
    mg_token_pieces_reset(&pieces);
    return st;
}

/* What the rest of this file takes for granted. */
static mg_status check_is_t5(mg_tokenizer *t, const char *name)
{
    static const char *const wanted[] = {"<pad>", "</s>", "<unk>"};

    t->n_pieces = mg_spm_n_pieces(t->spm);
    for (int i = 0; i < 3; i++) {
        if (strcmp(mg_spm_piece(t->spm, i), wanted[i]) != 0)
            return mg_fail(MG_ECHECKPOINT, "%s: piece %d is \"%.64s\", but \"%s\" in a T5 tokenizer", name, i,
                           mg_spm_piece(t->spm, i), wanted[i]);
    }
    return MG_OK;
}

/* Must the text between tokens be normalised before the pieces are looked for? SentencePiece itself takes
 * away blanks as T5's normalizer does, and no others. */
static bool normalizes(const mg_tokenizer *t)
{
    bool some = t->json.first_only || !t->json.strips_right || !t->json.collapses;

    for (size_t i = 0; i < t->added.n; i++) some |= t->added.list[i].normalized;
    return some && !t->json.splits_blanks;
}

/* The form in which each token is looked for, and the pieces that are not what they are called. */
static mg_status prepare_added(mg_tokenizer *t)
{
    const mg_token_normalizer normalizer = {t->json.charsmap, t->json.charsmap_bytes, t->json.strips_right,
                                            t->json.collapses};

    t->stand_ins = calloc(t->added.n + 1, sizeof *t->stand_ins);
    if (!t->stand_ins) return mg_fail(MG_ENOMEM, "tokenizer: %zu tokens", t->added.n);
    for (size_t i = 0; i < t->added.n; i++) {
        mg_added_token *a = &t->added.list[i];
        if (t->is_json && a->normalized)
            MG_RETURN(mg_token_normalize(&a->form, &normalizer, a->text, (int64_t)strlen(a->text)));
        else if (!(a->form = strdup(a->text)))
            return mg_fail(MG_ENOMEM, "tokenizer: %zu bytes", strlen(a->text));
        const int32_t piece = t->is_json ? -1 : mg_spm_piece_id(t->spm, a->text);
        if (piece >= 0 && piece != a->id) t->stand_ins[t->n_stand_ins++] = (stand_in){piece, a->id};
    }
    return MG_OK;
}

/* The same model, told not to put a space before a text, and in a tokenizer.json's place not to take spaces
 * away: fields that come later in a message win. */
static mg_status open_bare(mg_tokenizer *t, const char *name, const char *model, int64_t bytes)
{
    /* normalizer_spec: add_dummy_prefix: false, remove_extra_whitespaces: false */
    const char bare[] = {0x1A, (char)(t->is_json ? 4 : 2), 0x18, 0, 0x20, 0};
    mg_text both = {0};
    mg_status st = MG_OK;
    int32_t *ids = NULL;
    int64_t n;

    mg_text_add_bytes(&both, model, (size_t)bytes);
    mg_text_add_bytes(&both, bare, t->is_json ? 6 : 4);
    MG_TRY(mg_text_check(&both, "tokenizer"));
    MG_TRY(mg_spm_open(&t->spm_bare, name, both.data, (int64_t)both.n));
    MG_TRY(mg_spm_encode(t->spm_bare, "<unk>", 5, &ids, &n));
    t->n_unknown = (size_t)n;
done:
    free(ids);
    mg_text_reset(&both);
    return st;
}

mg_status mg_tokenizer_parse_side(mg_tokenizer **out, const char *name, const char *data, int64_t bytes,
                                  bool is_json, const mg_tokenizer_side *side)
{
    mg_status st = MG_OK;
    mg_tokenizer *t = calloc(1, sizeof *t);

    *out = NULL;
    if (!t) return mg_fail(MG_ENOMEM, "tokenizer: %zu bytes", sizeof *t);
    t->is_json = is_json;
    if (is_json) {
        MG_TRY(mg_tokenizer_json_model(&t->made, &bytes, &t->json, name, data, bytes));
        t->n_extra = t->json.n_extra;
        data = t->made;
    }
    MG_TRY(mg_spm_check(name, data, bytes));
    MG_TRY(mg_spm_open(&t->spm, name, data, bytes));
    MG_TRY(check_is_t5(t, name));
    MG_TRY(mg_added_tokens_read(&t->added, name, side, !is_json, t->n_pieces + t->n_extra, piece_id, t));
    MG_TRY(prepare_added(t));
    if (is_json ? normalizes(t) : !t->added.legacy) MG_TRY(open_bare(t, name, data, bytes));
    *out = t;
done:
    if (st != MG_OK) mg_tokenizer_close(t);
    return st;
}

mg_status mg_tokenizer_parse(mg_tokenizer **out, const char *name, const char *data, int64_t bytes,
                             bool is_json)
{
    const mg_tokenizer_side side = {.json = is_json ? data : NULL, .json_bytes = is_json ? bytes : 0};

    return mg_tokenizer_parse_side(out, name, data, bytes, is_json, &side);
}

/* A file of the folder, NULL if it is not there. */
static mg_status read_side(char **data, int64_t *bytes, const char *folder, const char *name)
{
    char path[MG_PATH_SIZE];

    *data = NULL, *bytes = 0;
    MG_RETURN(mg_path_format(path, "%s/%s", folder, name));
    return mg_path_exists(path) ? mg_in_file_read(data, bytes, path, MAX_FILE_BYTES) : MG_OK;
}

static mg_status open_folder(mg_tokenizer **out, const char *folder)
{
    enum { SPIECE, JSON, CONFIG, ADDED, SPECIAL, N };
    static const char *const names[N] = {"spiece.model", "tokenizer.json", "tokenizer_config.json",
                                         "added_tokens.json", "special_tokens_map.json"};
    char *data[N] = {0};
    int64_t bytes[N] = {0};
    mg_status st = MG_OK;
    char name[MG_PATH_SIZE];

    for (int i = 0; i < N; i++) MG_TRY(read_side(&data[i], &bytes[i], folder, names[i]));
    if (!data[SPIECE] && !data[JSON])
        MG_TRY(mg_fail(MG_EFAIL,
                       "%s: no tokenizer: neither spiece.model nor tokenizer.json is in this folder; name "
                       "one with --tokenizer",
                       folder));
    const int main = data[SPIECE] ? SPIECE : JSON;
    const mg_tokenizer_side side = {data[CONFIG],  data[ADDED],  data[SPECIAL],  data[JSON],
                                    bytes[CONFIG], bytes[ADDED], bytes[SPECIAL], bytes[JSON]};
    MG_TRY(mg_path_format(name, "%s/%s", folder, names[main]));
    MG_TRY(mg_tokenizer_parse_side(out, name, data[main], bytes[main], main == JSON, &side));
done:
    for (int i = 0; i < N; i++) free(data[i]);
    return st;
}

mg_status mg_tokenizer_open(mg_tokenizer **out, const char *path)
{
    char *data;
    int64_t bytes;

    *out = NULL;
    if (mg_path_is_folder(path)) return open_folder(out, path);
    MG_RETURN(mg_in_file_read(&data, &bytes, path, MAX_FILE_BYTES));
    const mg_status st = mg_tokenizer_parse(out, path, data, bytes, mg_text_ends_with(path, ".json"));
    free(data);
    return st;
}

void mg_tokenizer_close(mg_tokenizer *t)
{
    if (!t) return;
    mg_spm_close(t->spm);
    mg_spm_close(t->spm_bare);
    mg_added_tokens_reset(&t->added);
    free(t->stand_ins);
    free(t->made);
    free(t);
}

int64_t mg_tokenizer_size(const mg_tokenizer *t)
{
    int64_t n = t->n_pieces + t->n_extra;

    for (size_t i = 0; i < t->added.n; i++)
        if (t->added.list[i].id >= n) n = t->added.list[i].id + 1;
    return n;
}
