#include "recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "audio_file.h"
#include "choice_words.h"
#include "job_id.h"
#include "normalize.h"
#include "prompt_text.h"
#include "recipe_keys.h"

#define ROW(type, field, low, high, choices, key, place, record, flags, option, ...)                   \
    {MG_KEY_##type, offsetof(mg_recipe, field), low, high, choices, key, MG_AT_##place, record, flags, \
     option},
const mg_recipe_key mg_recipe_keys[] = {MG_RECIPE_KEYS(ROW, ROW, ROW)};
const int mg_recipe_n_keys = sizeof mg_recipe_keys / sizeof *mg_recipe_keys;

_Static_assert(sizeof mg_recipe_keys / sizeof *mg_recipe_keys <= MG_RECIPE_MAX_KEYS, "a bit for each");

static uint64_t bit_of(const mg_recipe_key *key)
{
    return (uint64_t)1 << (key - mg_recipe_keys);
}

bool mg_recipe_is_string(const mg_recipe_key *key)
{
    return key->type == MG_KEY_TEXT || key->type == MG_KEY_ID || key->type == MG_KEY_PATH;
}

void *mg_recipe_at(mg_recipe *r, const mg_recipe_key *key)
{
    return (char *)r + key->offset;
}

const void *mg_recipe_get(const mg_recipe *r, const mg_recipe_key *key)
{
    return (const char *)r + key->offset;
}

bool mg_recipe_says(const mg_recipe *r, const mg_recipe_key *key)
{
    return (r->said & bit_of(key)) != 0;
}

const mg_recipe_key *mg_recipe_key_of(size_t offset)
{
    int i = 0;

    while (i + 1 < mg_recipe_n_keys && mg_recipe_keys[i].offset != offset) i++;
    return &mg_recipe_keys[i];
}

const mg_recipe_key *mg_recipe_find(const char *key)
{
    for (int i = 0; i < mg_recipe_n_keys; i++)
        if (mg_recipe_keys[i].key && strcmp(mg_recipe_keys[i].key, key) == 0) return &mg_recipe_keys[i];
    return NULL;
}

const mg_recipe_key *mg_recipe_input(int i)
{
    const mg_recipe_key *key = mg_recipe_keys;

    while (key->place != MG_AT_INPUTS || i-- > 0) key++;
    return key;
}

void mg_recipe_say(mg_recipe *r, const mg_recipe_key *key)
{
    r->said |= bit_of(key);
}

void mg_recipe_unsay(mg_recipe *r, const mg_recipe_key *key)
{
    void *at = mg_recipe_at(r, key);

    r->said &= ~bit_of(key);
    switch (key->type) {
    case MG_KEY_TEXT:
    case MG_KEY_ID:
    case MG_KEY_PATH: *(const char **)at = NULL; break;
    case MG_KEY_NUMBER: *(double *)at = NAN; break;
    case MG_KEY_INT: *(int64_t *)at = -1; break;
    case MG_KEY_BOOL: *(bool *)at = false; break;
    case MG_KEY_CHOICE: *(int *)at = -1; break;
    }
}

void mg_recipe_init(mg_recipe *r)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < mg_recipe_n_keys; i++) mg_recipe_unsay(r, &mg_recipe_keys[i]);
}

bool mg_recipe_is_absent(const mg_recipe *r, const mg_recipe_key *key)
{
    const void *at = mg_recipe_get(r, key);

    switch (key->type) {
    case MG_KEY_NUMBER: return isnan(*(const double *)at);
    case MG_KEY_INT: return *(const int64_t *)at < 0;
    case MG_KEY_BOOL: return !*(const bool *)at;
    case MG_KEY_CHOICE: return *(const int *)at < 0;
    default: return *(const char *const *)at == NULL;
    }
}

void mg_recipe_see(mg_recipe *r)
{
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if (!key->option || mg_recipe_is_absent(r, key))
            mg_recipe_unsay(r, key);
        else
            mg_recipe_say(r, key);
    }
}

/* Of a number: is it said and not 0? */
static bool is_on(const mg_recipe *r, const mg_recipe_key *key)
{
    const void *at = mg_recipe_get(r, key);

    if (!mg_recipe_says(r, key)) return false;
    return key->type == MG_KEY_INT ? *(const int64_t *)at != 0 : *(const double *)at != 0;
}

static size_t size_of(const mg_recipe_key *key)
{
    static const size_t sizes[] = {
        [MG_KEY_TEXT] = sizeof(char *),   [MG_KEY_ID] = sizeof(char *),   [MG_KEY_PATH] = sizeof(char *),
        [MG_KEY_NUMBER] = sizeof(double), [MG_KEY_INT] = sizeof(int64_t), [MG_KEY_BOOL] = sizeof(bool),
        [MG_KEY_CHOICE] = sizeof(int)};

    return sizes[key->type];
}

void mg_recipe_fill(mg_recipe *r, const mg_recipe *from)
{
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if ((key->flags & MG_KEY_OWN) || mg_recipe_says(r, key) || !mg_recipe_says(from, key)) continue;
        memcpy(mg_recipe_at(r, key), mg_recipe_get(from, key), size_of(key));
        mg_recipe_say(r, key);
    }
}

static mg_status check_text(const mg_recipe_key *key, const char *name, const char *where, const char *text)
{
    char all[4200], id[MG_JOB_ID_SIZE];

    snprintf(all, sizeof all, "%.4100s: %s", where, name);
    MG_RETURN(mg_prompt_check(all, text));
    return key->type == MG_KEY_ID ? mg_job_id_check(id, where, text) : MG_OK;
}

static const char *name_of(const mg_recipe_key *key)
{
    return key->key ? key->key : key->record ? key->record : "where";
}

mg_status mg_recipe_refuse(const mg_recipe_key *key, const char *where, const char *value)
{
    char what[160] = "a string";

    if (key->type == MG_KEY_NUMBER)
        snprintf(what, sizeof what, "a number from %g to %g", key->low, key->high);
    else if (key->type == MG_KEY_INT)
        snprintf(what, sizeof what, "a whole number from %.0f to %.0f", key->low, key->high);
    else if (key->type == MG_KEY_CHOICE)
        snprintf(what, sizeof what, "one of %s", key->choices);
    else if (key->type == MG_KEY_BOOL)
        snprintf(what, sizeof what, "true or false");
    return mg_fail(MG_EUSAGE, "%s: %s: %s: must be %s", where, name_of(key), value, what);
}

mg_status mg_recipe_check_key(const mg_recipe *r, const mg_recipe_key *key, const char *where)
{
    const void *at = mg_recipe_get(r, key);
    char shown[MG_CHOICE_WORD_SIZE];

    if (mg_recipe_is_string(key)) return check_text(key, name_of(key), where, *(const char *const *)at);
    if (key->type == MG_KEY_NUMBER) {
        const double value = *(const double *)at;
        if (value >= key->low && value <= key->high) return MG_OK;
        snprintf(shown, sizeof shown, "%.15g", value);
        return mg_recipe_refuse(key, where, shown);
    }
    if (key->type == MG_KEY_INT) {
        const int64_t value = *(const int64_t *)at;
        if ((double)value >= key->low && (double)value <= key->high) return MG_OK;
        snprintf(shown, sizeof shown, "%lld", (long long)value);
        return mg_recipe_refuse(key, where, shown);
    }
    if (key->type == MG_KEY_CHOICE) {
        const int value = *(const int *)at;
        mg_choice_word(shown, key->choices, value);
        if (value >= 0 && *shown) return MG_OK;
        snprintf(shown, sizeof shown, "%d", value);
        return mg_recipe_refuse(key, where, shown);
    }
    return MG_OK;
}

mg_status mg_recipe_check(const mg_recipe *r, const char *where)
{
    for (int i = 0; i < mg_recipe_n_keys; i++)
        if (mg_recipe_says(r, &mg_recipe_keys[i]))
            MG_RETURN(mg_recipe_check_key(r, &mg_recipe_keys[i], where));
    if (MG_SAID(r, dur_s) && MG_SAID(r, n_frames))
        return mg_fail(MG_EUSAGE, "%s: duration and frames both say how long; give one", where);
    return MG_OK;
}

bool mg_recipe_encodes_text(const mg_recipe *r)
{
    return (r->prompt && *r->prompt && !r->text_states) || (r->negative_prompt && *r->negative_prompt);
}

bool mg_recipe_is_of_sampling(const mg_recipe_key *key)
{
    return key->offset >= offsetof(mg_recipe, sampling) &&
           key->offset < offsetof(mg_recipe, sampling) + sizeof(mg_sampling);
}

bool mg_recipe_is_recorded(const mg_recipe *r, const mg_recipe_key *key)
{
    const bool windowed = r->n_window_frames > 0 && r->n_frames > r->n_window_frames;

    if (!key->record) return false;
    if ((key->flags & MG_KEY_WITH_PROMPT) && !r->audio_prompt) return false;
    if ((key->flags & MG_KEY_WITH_MELODY) && !r->melody) return false;
    if ((key->flags & MG_KEY_WHEN_SAID) && !mg_recipe_says(r, key)) return false;
    if ((key->flags & MG_KEY_WITH_WINDOWS) && !windowed) return false;
    return !(key->flags & MG_KEY_WHEN_ON) || is_on(r, key);
}

static bool same_value(const mg_recipe *a, const mg_recipe *b, const mg_recipe_key *key)
{
    const void *x = mg_recipe_get(a, key), *y = mg_recipe_get(b, key);

    if (key->type == MG_KEY_BOOL) return *(const bool *)x == *(const bool *)y;
    if (!mg_recipe_says(a, key) || !mg_recipe_says(b, key))
        return mg_recipe_says(a, key) == mg_recipe_says(b, key);
    if (mg_recipe_is_string(key)) return strcmp(*(const char *const *)x, *(const char *const *)y) == 0;
    return memcmp(x, y, size_of(key)) == 0;
}

bool mg_recipe_same_record(const mg_recipe *a, const mg_recipe *b, const mg_recipe_key *key)
{
    const bool recorded = mg_recipe_is_recorded(a, key);

    return recorded == mg_recipe_is_recorded(b, key) && (!recorded || same_value(a, b, key));
}

bool mg_recipe_same_asked(const mg_recipe *a, const mg_recipe *b)
{
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if (!key->key || key->type == MG_KEY_ID || key->offset == offsetof(mg_recipe, n)) continue;
        if (!same_value(a, b, key)) return false;
    }
    return true;
}

bool mg_recipe_same_sampling(const mg_recipe *a, const mg_recipe *b)
{
    for (int i = 0; i < mg_recipe_n_keys; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        if (!mg_recipe_is_of_sampling(key) && key->offset != offsetof(mg_recipe, cfg_coef)) continue;
        if (!mg_recipe_same_record(a, b, key)) return false;
    }
    return true;
}

/* Does this key take part in the draw? By AudioCraft's rules top-p disables top-k. */
static bool has_effect(const mg_recipe *r, const mg_recipe_key *key)
{
    const bool hf = r->sampling.rules == MG_RULES_HF, top_p = r->sampling.top_p > 0;

    if (!mg_recipe_is_of_sampling(key) || !mg_recipe_says(r, key)) return false;
    if (key->offset == offsetof(mg_recipe, sampling.top_k)) return hf || !top_p;
    if (key->offset == offsetof(mg_recipe, sampling.top_p)) return top_p && !(hf && r->sampling.top_p >= 1);
    if (key->flags & MG_KEY_WHEN_ON) return is_on(r, key);
    return key->type == MG_KEY_NUMBER || key->type == MG_KEY_INT;
}

void mg_recipe_describe_sampling(char *out, size_t out_bytes, const mg_recipe *r)
{
    size_t n = 0;

    if (r->sampling.greedy || r->sampling.temperature == 0) {
        snprintf(out, out_bytes, "greedy");
        return;
    }
    *out = '\0';
    for (int i = 0; i < mg_recipe_n_keys && n < out_bytes; i++) {
        const mg_recipe_key *key = &mg_recipe_keys[i];
        const void *at = mg_recipe_get(r, key);
        if (!has_effect(r, key)) continue;
        const double value = key->type == MG_KEY_INT ? (double)*(const int64_t *)at : *(const double *)at;
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s %.10g", n ? ", " : "", key->option, value);
    }
    if (r->sampling.rules == MG_RULES_HF && n < out_bytes) snprintf(out + n, out_bytes - n, ", sampler hf");
}
