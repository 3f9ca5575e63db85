/* tokenizer.json of a T5 model (a Unigram model of Hugging Face's tokenizers library) written out again as
 * the SentencePiece ModelProto that it was made from: so both forms meet the same code, and give the same
 * ids by construction. What the two describe differently must be as T5's is, or it is refused by name.
 *
 * By hand: protobuf-c 1.4 could write the message, 60 lines less, but needs the .proto and its generator
 * here. */
#include <cjson/cJSON.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "text.h"
#include "tokenizer_impl.h"

#define BLANK_MARK "\xE2\x96\x81" /* stands for a space in a piece */

enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3 }; /* types of a piece */
enum { PAD_ID, EOS_ID, UNK_ID, N_SPECIAL };    /* T5's */
enum { VARINT = 0, BYTES = 2, FIXED32 = 5 };   /* wire types */
enum { MAX_EXTRA = 1000, MAX_VOCAB = 1 << 20 };

static void put_varint(mg_text *m, uint64_t v)
{
    unsigned char out[10];
    int n = 0;

    for (; v >= 128; v >>= 7) out[n++] = (unsigned char)(v | 128);
    out[n++] = (unsigned char)v;
    mg_text_add_bytes(m, out, (size_t)n);
}

static void put_int(mg_text *m, unsigned number, int64_t value)
{
    put_varint(m, number << 3 | VARINT);
    put_varint(m, (uint64_t)value);
}

static void put_block(mg_text *m, unsigned number, const void *data, int64_t n)
{
    put_varint(m, number << 3 | BYTES);
    put_varint(m, (uint64_t)n);
    mg_text_add_bytes(m, data, (size_t)n);
}

static void put_piece(mg_text *m, mg_text *scratch, const char *text, float score, int type)
{
    scratch->n = 0;
    put_block(scratch, 1, text, (int64_t)strlen(text));
    put_varint(scratch, 2 << 3 | FIXED32);
    mg_text_add_bytes(scratch, &score, sizeof score); /* little-endian, as every machine of ours */
    put_int(scratch, 3, type);
    if (scratch->failed) m->failed = true;
    put_block(m, 1, scratch->data, (int64_t)scratch->n);
}

/* Text and score of one entry ["▁the", -3.46] of the vocabulary. */
static bool read_piece(const cJSON *entry, const char **text, double *score)
{
    if (!cJSON_IsArray(entry) || !cJSON_IsString(entry->child) || !cJSON_IsNumber(entry->child->next))
        return false;
    *text = entry->child->valuestring;
    *score = entry->child->next->valuedouble;
    return isfinite(*score);
}

/* n of "<extra_id_n>", or -1. */
static int extra_number(const char *text)
{
    int n = -1, length = 0;

    if (sscanf(text, "<extra_id_%d>%n", &n, &length) != 1 || text[length] || length == 0) return -1;
    return n;
}

static mg_status put_vocab(mg_text *m, int64_t *n_extra, const cJSON *vocab, const char *name)
{
    static const char *const special[N_SPECIAL] = {"<pad>", "</s>", "<unk>"};
    static const int special_type[N_SPECIAL] = {CONTROL, CONTROL, UNKNOWN};
    mg_text scratch = {0};
    mg_status st = MG_OK;
    const char *text = NULL;
    double score = 0;
    int64_t id = 0;
    const int n_all = cJSON_GetArraySize(vocab);

    *n_extra = 0;
    for (const cJSON *entry = vocab->child; entry; entry = entry->next, id++) {
        if (!read_piece(entry, &text, &score))
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: model.vocab: entry %lld is no [text, score]", name,
                           (long long)id));
        if (id < N_SPECIAL && strcmp(text, special[id]) != 0)
            MG_TRY(mg_fail(MG_ECHECKPOINT,
                           "%s: model.vocab: entry %lld is \"%.64s\", but \"%s\" in a T5 tokenizer", name,
                           (long long)id, text, special[id]));
        const int extra = extra_number(text);
        if (extra >= 0) { /* they end the vocabulary, the highest number first */
            if (extra != n_all - 1 - id || extra >= MAX_EXTRA)
                MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: model.vocab: %s has the id %lld, not T5's", name, text,
                               (long long)id));
            ++*n_extra;
            continue;
        }
        if (*n_extra)
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: model.vocab: \"%.64s\" behind the <extra_id_n>", name, text));
        put_piece(m, &scratch, text, (float)score, id < N_SPECIAL ? special_type[id] : NORMAL);
    }
    if (id <= N_SPECIAL || id > MAX_VOCAB)
        MG_TRY(
            mg_fail(MG_ECHECKPOINT, "%s: model.vocab: %lld entries are not possible", name, (long long)id));
done:
    mg_text_reset(&scratch);
    return st;
}

static mg_status put_trainer(mg_text *m)
{
    mg_text spec = {0};

    put_int(&spec, 3, 1); /* unigram */
    put_int(&spec, 40, UNK_ID);
    put_int(&spec, 41, -1); /* no start token */
    put_int(&spec, 42, EOS_ID);
    put_int(&spec, 43, PAD_ID);
    put_block(&spec, 45, "<unk>", 5);
    put_block(&spec, 47, "</s>", 4);
    put_block(&spec, 48, "<pad>", 5);
    put_block(m, 2, spec.data, (int64_t)spec.n);
    if (spec.failed) m->failed = true;
    mg_text_reset(&spec);
    return MG_OK;
}

/* Two blanks and more become one: {"Regex": " {2,}"} by a blank, or by the mark that it becomes anyway. */
static bool collapses(const cJSON *replace)
{
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(replace, "pattern");
    const char *regex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(pattern, "Regex"));
    const char *by = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(replace, "content"));

    return regex && strcmp(regex, " {2,}") == 0 && by &&
           (strcmp(by, " ") == 0 || strcmp(by, BLANK_MARK) == 0);
}

/* Blanks at the end go, and none at the beginning. */
static bool strips(const cJSON *strip)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(strip, "strip_right")) &&
           !cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(strip, "strip_left"));
}

/* The normalizer: `Precompiled`, alone or in a sequence with what T5's does to blanks. *charsmap is base64,
 * or NULL. */
static mg_status read_normalizer(const char **charsmap, mg_tokenizer_json_facts *facts,
                                 const cJSON *normalizer, const char *name)
{
    const char *type;
    const cJSON *members;

    MG_RETURN(mg_json_string(normalizer, name, "type", &type));
    if (!type) type = "";
    if (strcmp(type, "Precompiled") == 0)
        return mg_json_string(normalizer, name, "precompiled_charsmap", charsmap);
    if (strcmp(type, "Strip") == 0 && strips(normalizer)) {
        facts->strips_right = true;
        return MG_OK;
    }
    if (strcmp(type, "Replace") == 0 && collapses(normalizer)) {
        facts->collapses = true;
        return MG_OK;
    }
    if (strcmp(type, "Sequence") == 0) {
        MG_RETURN(mg_json_array(normalizer, name, "normalizers", &members));
        for (const cJSON *member = members ? members->child : NULL; member; member = member->next)
            MG_RETURN(read_normalizer(charsmap, facts, member, name));
        return MG_OK;
    }
    return mg_fail(MG_ECHECKPOINT,
                   "%s: normalizer: type \"%.64s\" is not supported as it is there: T5's is \"Precompiled\"",
                   name, type);
}

/* Metaspace, alone or in a sequence with WhitespaceSplit, and with a space put before the text. */
static mg_status check_pre_tokenizer(mg_tokenizer_json_facts *facts, const cJSON *pre, const char *name)
{
    const char *type, *prepend, *blank;
    const cJSON *members;
    bool add_prefix = true;

    MG_RETURN(mg_json_string(pre, name, "type", &type));
    if (type && strcmp(type, "WhitespaceSplit") == 0) {
        facts->splits_blanks = true;
        return MG_OK;
    }
    if (type && strcmp(type, "Sequence") == 0) {
        MG_RETURN(mg_json_array(pre, name, "pretokenizers", &members));
        for (const cJSON *member = members ? members->child : NULL; member; member = member->next)
            MG_RETURN(check_pre_tokenizer(facts, member, name));
        return MG_OK;
    }
    if (!type || strcmp(type, "Metaspace") != 0)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: pre_tokenizer: type \"%.64s\" is not supported: T5's is \"Metaspace\"", name,
                       type ? type : "");
    MG_RETURN(mg_json_string(pre, name, "replacement", &blank));
    if (blank && strcmp(blank, BLANK_MARK) != 0)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: pre_tokenizer: replacement \"%.16s\" is not supported: T5's is U+2581", name,
                       blank);
    MG_RETURN(mg_json_string(pre, name, "prepend_scheme", &prepend));
    MG_RETURN(mg_json_bool(pre, name, "add_prefix_space", &add_prefix, NULL));
    if (!add_prefix || (prepend && strcmp(prepend, "never") == 0))
        return mg_fail(MG_ECHECKPOINT, "%s: pre_tokenizer: no space before the text: T5's has one", name);
    facts->first_only = prepend && strcmp(prepend, "first") == 0;
    return MG_OK;
}

/* Which id the template puts for </s>. */
static bool ends_in_eos(const cJSON *post)
{
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(post, "special_tokens");
    const cJSON *ids =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(tokens, "</s>"), "ids");

    return !ids ||
           (cJSON_GetArraySize(ids) == 1 && cJSON_IsNumber(ids->child) && ids->child->valueint == EOS_ID);
}

/* Text, then the closing </s>, as tokenizers' TemplateProcessing has it. */
static mg_status check_post_processor(const cJSON *root, const char *name)
{
    const cJSON *post, *single, *special = NULL;
    const char *type, *id = NULL;

    MG_RETURN(mg_json_object(root, name, "post_processor", &post));
    if (!post)
        return mg_fail(MG_ECHECKPOINT, "%s: post_processor: missing: T5's puts </s> behind a text", name);
    MG_RETURN(mg_json_string(post, name, "type", &type));
    MG_RETURN(mg_json_array(post, name, "single", &single));
    if (single && cJSON_GetArraySize(single) == 2 &&
        cJSON_GetObjectItemCaseSensitive(single->child, "Sequence"))
        special = cJSON_GetObjectItemCaseSensitive(single->child->next, "SpecialToken");
    if (special) MG_RETURN(mg_json_string(special, name, "id", &id));
    if (type && strcmp(type, "TemplateProcessing") == 0 && id && strcmp(id, "</s>") == 0 && ends_in_eos(post))
        return MG_OK;
    return mg_fail(
        MG_ECHECKPOINT,
        "%s: post_processor: is not supported: T5's is a TemplateProcessing that puts </s> behind a text",
        name);
}

static mg_status put_normalizer(mg_text *m, mg_tokenizer_json_facts *facts, const cJSON *root,
                                const char *name)
{
    mg_status st = MG_OK;
    const char *base64 = NULL;
    const cJSON *normalizer, *pre;
    mg_text spec = {0};
    unsigned char *charsmap = NULL;

    MG_RETURN(mg_json_object(root, name, "normalizer", &normalizer));
    if (normalizer) MG_RETURN(read_normalizer(&base64, facts, normalizer, name));
    MG_RETURN(mg_json_object(root, name, "pre_tokenizer", &pre));
    if (!pre) return mg_fail(MG_ECHECKPOINT, "%s: pre_tokenizer: missing: T5's is \"Metaspace\"", name);
    MG_RETURN(check_pre_tokenizer(facts, pre, name));
    if (!base64 && facts->splits_blanks)
        return mg_fail(MG_ECHECKPOINT, "%s: normalizer: missing: T5's is \"Precompiled\"", name);
    put_block(&spec, 1, "nmt_nfkc", 8);
    const size_t n = base64 ? strlen(base64) : 0;
    if (n > 0) {
        charsmap = malloc(n);
        if (!charsmap) MG_TRY(mg_fail(MG_ENOMEM, "%s: %zu bytes", name, n));
        int n_bytes = n < (1u << 30) ? EVP_DecodeBlock(charsmap, (const unsigned char *)base64, (int)n) : -1;
        if (n_bytes < 3)
            MG_TRY(mg_fail(MG_ECHECKPOINT, "%s: normalizer: precompiled_charsmap: not base64", name));
        n_bytes -= (base64[n - 1] == '=') + (base64[n - 2] == '=');
        put_block(&spec, 2, charsmap, n_bytes);
        facts->charsmap_bytes = n_bytes; /* the last bytes of the model */
    }
    put_block(m, 3, spec.data, (int64_t)spec.n);
    if (spec.failed) m->failed = true;
done:
    free(charsmap);
    mg_text_reset(&spec);
    return st;
}

static mg_status write_model(mg_text *m, mg_tokenizer_json_facts *facts, const cJSON *root, const char *name)
{
    const cJSON *model, *vocab;
    const char *type;
    int64_t unk_id = -1;
    bool byte_fallback = false;

    MG_RETURN(mg_json_object(root, name, "model", &model));
    if (!model) return mg_fail(MG_ECHECKPOINT, "%s: model: missing: not a tokenizer", name);
    MG_RETURN(mg_json_string(model, name, "type", &type));
    if (!type || strcmp(type, "Unigram") != 0)
        return mg_fail(MG_ECHECKPOINT, "%s: model.type: \"%.64s\" is not supported: T5's is \"Unigram\"",
                       name, type ? type : "");
    MG_RETURN(mg_json_int(model, name, "unk_id", &unk_id, NULL));
    MG_RETURN(mg_json_bool(model, name, "byte_fallback", &byte_fallback, NULL));
    if (unk_id != UNK_ID || byte_fallback)
        return mg_fail(MG_ECHECKPOINT, "%s: model: a T5 tokenizer has unk_id 2 and no byte_fallback", name);
    MG_RETURN(mg_json_array(model, name, "vocab", &vocab));
    if (!vocab) return mg_fail(MG_ECHECKPOINT, "%s: model.vocab: missing", name);
    MG_RETURN(put_vocab(m, &facts->n_extra, vocab, name));
    MG_RETURN(put_trainer(m));
    MG_RETURN(check_post_processor(root, name));
    MG_RETURN(put_normalizer(m, facts, root, name));
    return mg_text_check(m, name);
}

mg_status mg_tokenizer_json_model(char **model, int64_t *bytes, mg_tokenizer_json_facts *facts,
                                  const char *name, const char *text, int64_t text_bytes)
{
    cJSON *root;
    mg_text m = {0};

    *model = NULL, *bytes = 0, *facts = (mg_tokenizer_json_facts){0};
    MG_RETURN(mg_json_parse(&root, name, text, text_bytes));
    const mg_status st = write_model(&m, facts, root, name);
    cJSON_Delete(root);
    if (st != MG_OK) {
        mg_text_reset(&m);
        return st;
    }
    *model = m.data, *bytes = (int64_t)m.n;
    if (facts->charsmap_bytes > 0) facts->charsmap = m.data + m.n - facts->charsmap_bytes;
    return MG_OK;
}
