#include "token_split.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "utf8.h"

/* Blanks of Python's str.strip; those of Rust's \s are without the separators 1C to 1F. */
static bool is_blank(int32_t c, bool python)
{
    return (c >= 9 && c <= 13) || (python && c >= 0x1C && c <= 0x1F) || c == ' ' || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/* Bytes of the blanks that [text, +n) begins with. */
static size_t leading(const char *text, size_t n, bool python)
{
    const char *at = text;

    while (at < text + n) {
        const char *next = at;
        const int32_t c = mg_utf8_next(&next, text + n);
        if (c < 0 || !is_blank(c, python)) break;
        at = next;
    }
    return (size_t)(at - text);
}

static const char *last_char(const char *text, size_t n)
{
    const char *at = text + n - 1;

    while (at > text && ((unsigned char)*at & 0xC0) == 0x80) at--;
    return at;
}

/* Bytes of the blanks that [text, +n) ends with. */
static size_t trailing(const char *text, size_t n, bool python)
{
    size_t left = n;

    while (left > 0) {
        const char *at = last_char(text, left), *next = at;
        const int32_t c = mg_utf8_next(&next, text + left);
        if (c < 0 || !is_blank(c, python)) break;
        left = (size_t)(at - text);
    }
    return n - left;
}

static mg_status push(mg_token_pieces *p, const char *text, size_t n, const mg_added_token *token,
                      bool is_first)
{
    MG_RETURN(mg_grow(&p->list, &p->capacity, p->n + 1, sizeof *p->list, "tokenizer"));
    char *copy = strndup(text, n);
    if (!copy) return mg_fail(MG_ENOMEM, "tokenizer: %zu bytes", n);
    p->list[p->n++] = (mg_token_piece){copy, token, is_first};
    return MG_OK;
}

void mg_token_pieces_reset(mg_token_pieces *p)
{
    for (size_t i = 0; i < p->n; i++) free(p->list[i].text);
    free(p->list);
    *p = (mg_token_pieces){0};
}

/* Which tokens are looked for: all of them, or one half. */
typedef enum which { ALL, PLAIN, NORMALIZED } which;

static bool is_wanted(const mg_added_token *t, which w)
{
    return w == ALL || t->normalized == (w == NORMALIZED);
}

/* Bytes that a wanted token may begin with. */
static void find_starts(bool starts[256], const mg_added_tokens *a, which w)
{
    memset(starts, 0, 256 * sizeof *starts);
    for (size_t i = 0; i < a->n; i++)
        if (is_wanted(&a->list[i], w) && a->list[i].form[0]) starts[(unsigned char)a->list[i].form[0]] = true;
}

/* The longest wanted token that `text` begins with. */
static const mg_added_token *match(const mg_added_tokens *a, which w, const char *text, size_t *n)
{
    const mg_added_token *best = NULL;

    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        const mg_added_token *t = &a->list[i];
        if (t->form[0] != *text || !is_wanted(t, w)) continue;
        const size_t n_form = strlen(t->form);
        if (n_form > *n && strncmp(t->form, text, n_form) == 0) best = t, *n = n_form;
    }
    return best;
}

static mg_status set_piece(mg_token_piece *piece, const char *before, const char *after)
{
    mg_text t = {0};

    mg_text_add(&t, before);
    mg_text_add(&t, after);
    free(piece->text);
    return mg_text_end(&t, &piece->text, "tokenizer");
}

/* The rules of PreTrainedTokenizer.tokenize for a token between its neighbours, which it may change. */
static mg_status settle(mg_token_pieces *p, size_t i)
{
    const mg_added_token *t = p->list[i].token;
    mg_token_piece *left = i > 0 ? &p->list[i - 1] : NULL, *right = i + 1 < p->n ? &p->list[i + 1] : NULL;
    /* as they were before they were stripped */
    const char *l = left ? left->text : "", *r = right ? right->text : "";
    const bool joins_left = t->single_word && *l && l[strlen(l) - 1] != ' ';
    const bool joins_right = t->single_word && *r && *r != ' ';

    if (t->rstrip && *r) {
        const size_t n = leading(r, strlen(r), true);
        memmove(right->text, right->text + n, strlen(right->text) - n + 1);
    }
    if (t->lstrip && *l) left->text[strlen(l) - trailing(l, strlen(l), true)] = '\0';
    if (joins_left) MG_RETURN(set_piece(left, left->text, p->list[i].text));
    if (!joins_left && joins_right) MG_RETURN(set_piece(right, p->list[i].text, right->text));
    if (joins_left || joins_right) p->list[i].text[0] = '\0';
    return MG_OK;
}

mg_status mg_token_split_slow(mg_token_pieces *out, const mg_added_tokens *a, const char *text, int64_t bytes)
{
    bool starts[256];
    int64_t plain = 0, at = 0;
    size_t n;

    find_starts(starts, a, ALL);
    while (at < bytes) {
        const mg_added_token *t = starts[(unsigned char)text[at]] ? match(a, ALL, text + at, &n) : NULL;
        if (!t) {
            at++;
            continue;
        }
        if (at > plain) MG_RETURN(push(out, text + plain, (size_t)(at - plain), NULL, plain == 0));
        MG_RETURN(push(out, text + at, n, t, at == 0));
        plain = at += (int64_t)n;
    }
    if (bytes > plain) MG_RETURN(push(out, text + plain, (size_t)(bytes - plain), NULL, plain == 0));
    for (size_t i = 0; i < out->n; i++) { /* a neighbour may have become another token, or none */
        out->list[i].token = mg_added_tokens_find(a, out->list[i].text);
        if (out->list[i].token) MG_RETURN(settle(out, i));
    }
    n = 0;
    for (size_t i = 0; i < out->n; i++) {
        if (!*out->list[i].text) {
            free(out->list[i].text);
            continue;
        }
        out->list[n] = out->list[i];
        out->list[n].token = mg_added_tokens_find(a, out->list[n].text);
        n++;
    }
    out->n = n;
    return MG_OK;
}

static bool ends_with_word(const char *text, size_t n)
{
    const char *at = n ? last_char(text, n) : text;

    return n && mg_is_word_char(mg_utf8_next(&at, text + n));
}

static bool begins_with_word(const char *text, size_t n)
{
    return n && mg_is_word_char(mg_utf8_next(&text, text + n));
}

/* One pass of tokenizers' find_matches over a text. `is_first`: it begins the whole text. */
static mg_status cut_fast(mg_token_pieces *out, const mg_added_tokens *a, which w, const char *text,
                          size_t n_text, bool is_first)
{
    bool starts[256];
    size_t done = 0, n;

    find_starts(starts, a, w);
    for (size_t at = 0; at < n_text; at += n) {
        const mg_added_token *t = starts[(unsigned char)text[at]] ? match(a, w, text + at, &n) : NULL;
        if (!t) {
            n = 1;
            continue;
        }
        size_t begin = at, end = at + n;
        if (t->single_word && (ends_with_word(text, begin) || begins_with_word(text + end, n_text - end)))
            continue;
        if (t->lstrip) begin -= trailing(text, begin, false);
        if (begin < done) begin = done;
        if (t->rstrip) end += leading(text + end, n_text - end, false);
        if (done < begin) MG_RETURN(push(out, text + done, begin - done, NULL, is_first && done == 0));
        MG_RETURN(push(out, t->text, strlen(t->text), t, false));
        done = end;
    }
    return done < n_text ? push(out, text + done, n_text - done, NULL, is_first && done == 0) : MG_OK;
}

mg_status mg_token_split_fast(mg_token_pieces *out, const mg_added_tokens *a, const mg_token_normalizer *n,
                              bool normalizes, const char *text, int64_t bytes)
{
    mg_token_pieces first = {0};
    mg_status st = MG_OK;
    bool some = normalizes;

    for (size_t i = 0; i < a->n; i++) some |= a->list[i].normalized;
    MG_TRY(cut_fast(some ? &first : out, a, PLAIN, text, (size_t)bytes, true));
    for (size_t i = 0; i < first.n; i++) {
        const mg_token_piece *p = &first.list[i];
        char *normal = NULL;
        if (p->token) {
            MG_TRY(push(out, p->text, strlen(p->text), p->token, false));
            continue;
        }
        MG_TRY(mg_token_normalize(&normal, n, p->text, (int64_t)strlen(p->text)));
        st = cut_fast(out, a, NORMALIZED, normal, strlen(normal), p->is_first);
        free(normal);
        MG_TRY(st);
    }
done:
    mg_token_pieces_reset(&first);
    return st;
}

static uint32_t unit_at(const char *units, uint32_t i)
{
    const unsigned char *p = (const unsigned char *)units + 4 * (size_t)i;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 0x200u) >> 6);
}

/* What stands for the longest key that `text` begins with, and how many bytes that has; NULL: none. The table
 * is checked (tokenizer_charsmap.c): no step leaves it. */
static const char *replacement(const char *charsmap, const char *text, size_t n_text, size_t *n)
{
    const uint32_t n_trie = unit_at(charsmap, 0);
    const char *units = charsmap + 4, *found = NULL;
    uint32_t at = offset_of(unit_at(units, 0));

    *n = 0;
    for (size_t i = 0; i < n_text; i++) {
        const uint32_t byte = (unsigned char)text[i], next = at ^ byte, unit = unit_at(units, next);
        if ((unit & 0x800000FFu) != byte) break;
        at = next ^ offset_of(unit);
        if (!(unit >> 8 & 1)) continue;
        *n = i + 1;
        found = units + n_trie + (unit_at(units, at) & 0x7FFFFFFFu);
    }
    return found;
}

mg_status mg_token_normalize(char **out, const mg_token_normalizer *n, const char *text, int64_t bytes)
{
    const char *end = text + bytes;
    mg_text t = {0};

    while (text < end) {
        const char *next = text, *better = NULL;
        size_t n_key = 0;
        if (n->charsmap) better = replacement(n->charsmap, text, (size_t)(end - text), &n_key);
        if (better) {
            mg_text_add(&t, better);
            text += n_key;
            continue;
        }
        if (mg_utf8_next(&next, end) < 0) next = text + 1;
        mg_text_add_bytes(&t, text, (size_t)(next - text));
        text = next;
    }
    if (t.n && n->strip_right) t.data[t.n -= trailing(t.data, t.n, false)] = '\0';
    if (!n->collapse || !t.n) return mg_text_end(&t, out, "tokenizer");
    mg_text single = {0};
    for (const char *at = t.data; *at;) {
        const size_t n_spaces = strspn(at, " ");
        if (n_spaces >= 2)
            mg_text_add(&single, "\xE2\x96\x81"); /* the mark that stands for a space in a piece */
        else
            mg_text_add_bytes(&single, at, 1);
        at += n_spaces >= 2 ? n_spaces : 1;
    }
    single.failed |= t.failed;
    mg_text_reset(&t);
    return mg_text_end(&single, out, "tokenizer");
}
