/* Special tokens and the closing </s> here; everything else is SentencePiece's (tokenizer_spm.cc). */
#include "tokenizer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "in_file.h"
#include "text.h"
#include "tokenizer_impl.h"
#include "utf8.h"

enum { PAD_ID = 0, EOS_ID = 1, UNK_ID = 2, DEFAULT_EXTRA = 100 };
#define MAX_FILE_BYTES ((int64_t)64 << 20)

struct mg_tokenizer {
    mg_spm *spm;
    int64_t n_pieces;
    int64_t n_extra; /* <extra_id_n> has the id n_pieces + n_extra - 1 - n */
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

/* Number of bytes of the special token that `text` begins with (0: none), and its id. */
static int64_t match_special(const mg_tokenizer *t, const char *text, int32_t *id)
{
    static const struct {
        const char *text;
        int32_t id;
    } fixed[] = {{"</s>", EOS_ID}, {"<unk>", UNK_ID}, {"<pad>", PAD_ID}};
    int64_t n = 0;
    const char *p = text + strlen("<extra_id_");

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const size_t length = strlen(fixed[i].text);
        if (strncmp(text, fixed[i].text, length) == 0) return *id = fixed[i].id, (int64_t)length;
    }
    if (strncmp(text, "<extra_id_", strlen("<extra_id_")) != 0) return 0;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] != '>')) return 0;
    for (; *p >= '0' && *p <= '9' && n < t->n_extra; p++) n = 10 * n + (*p - '0');
    if (*p != '>' || n >= t->n_extra) return 0;
    *id = (int32_t)(t->n_pieces + t->n_extra - 1 - n);
    return p + 1 - text;
}

static mg_status push_plain(const mg_tokenizer *t, id_list *list, const char *text, int64_t bytes)
{
    int32_t *ids;
    int64_t n;

    if (bytes == 0) return MG_OK;
    MG_RETURN(mg_spm_encode(t->spm, text, bytes, &ids, &n));
    const mg_status st = push(list, ids, n);
    free(ids);
    return st;
}

mg_status mg_tokenizer_encode(const mg_tokenizer *t, const char *text, int32_t **ids, int64_t *n_ids)
{
    mg_status st = MG_OK;
    id_list list = {0};
    const int64_t bytes = (int64_t)strlen(text), bad = mg_utf8_bad_offset(text, bytes);
    const int32_t eos = EOS_ID;
    const char *plain = text; /* where the text since the last special token begins */
    const char *p = text;
    int32_t id;

    *ids = NULL, *n_ids = 0;
    if (bad >= 0) return mg_fail(MG_EUSAGE, "prompt: byte %lld of the text is not UTF-8", (long long)bad + 1);
    while ((p = strchr(p, '<'))) {
        const int64_t n = match_special(t, p, &id);
        if (n == 0) {
            p++;
            continue;
        }
        MG_TRY(push_plain(t, &list, plain, p - plain));
        MG_TRY(push(&list, &id, 1));
        plain = p += n;
    }
    MG_TRY(push_plain(t, &list, plain, text + bytes - plain));
    if (list.n == 0 || list.ids[list.n - 1] != EOS_ID) MG_TRY(push(&list, &eos, 1));
    *ids = list.ids, *n_ids = list.n;
    list.ids = NULL;
done:
    free(list.ids);
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

mg_status mg_tokenizer_parse(mg_tokenizer **out, const char *name, const char *data, int64_t bytes,
                             bool is_json)
{
    mg_status st = MG_OK;
    mg_tokenizer *t = calloc(1, sizeof *t);
    char *made = NULL;

    *out = NULL;
    if (!t) return mg_fail(MG_ENOMEM, "tokenizer: %zu bytes", sizeof *t);
    t->n_extra = DEFAULT_EXTRA;
    if (is_json) {
        MG_TRY(mg_tokenizer_json_model(&made, &bytes, &t->n_extra, name, data, bytes));
        data = made;
    }
    MG_TRY(mg_spm_check(name, data, bytes));
    MG_TRY(mg_spm_open(&t->spm, name, data, bytes));
    MG_TRY(check_is_t5(t, name));
    *out = t;
done:
    free(made);
    if (st != MG_OK) mg_tokenizer_close(t);
    return st;
}

mg_status mg_tokenizer_open(mg_tokenizer **out, const char *path)
{
    char found[4096];
    char *data;
    int64_t bytes;
    struct stat info;
    const bool is_folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);

    *out = NULL;
    snprintf(found, sizeof found, is_folder ? "%.4000s/spiece.model" : "%.4000s", path);
    if (is_folder && stat(found, &info) != 0) {
        snprintf(found, sizeof found, "%.4000s/tokenizer.json", path);
        if (stat(found, &info) != 0)
            return mg_fail(
                MG_EFAIL,
                "%s: no tokenizer: neither spiece.model nor tokenizer.json is in this folder; name "
                "one with --tokenizer",
                path);
    }
    MG_RETURN(mg_in_file_read(&data, &bytes, found, MAX_FILE_BYTES));
    const mg_status st = mg_tokenizer_parse(out, found, data, bytes, mg_text_ends_with(found, ".json"));
    free(data);
    return st;
}

void mg_tokenizer_close(mg_tokenizer *t)
{
    if (!t) return;
    mg_spm_close(t->spm);
    free(t);
}

int64_t mg_tokenizer_size(const mg_tokenizer *t)
{
    return t->n_pieces + t->n_extra;
}
