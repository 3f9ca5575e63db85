/* Tokens that stand beside a tokenizer's own pieces, because a fine-tune added them or because they are
 * special: from every file that transformers reads them of, in its order. Private to tokenizer*.c.
 *
 * `slow` is T5Tokenizer, which a spiece.model makes: tokenizer_config.json's added_tokens_decoder, else what
 * special_tokens_map.json, added_tokens.json and tokenizer.json say, each with its id. `fast` is
 * T5TokenizerFast, which tokenizer.json alone makes: its added_tokens, then the others, numbered on. */
#ifndef MG_ADDED_TOKENS_H
#define MG_ADDED_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_added_token {
    char *text; /* owned */
    char *form; /* owned: as it is looked for; `text`, but normalised in a fast tokenizer's normalized one */
    int32_t id;
    bool lstrip, rstrip; /* takes the blanks beside it */
    bool single_word, normalized, special;
} mg_added_token;

typedef struct mg_added_tokens {
    mg_added_token *list; /* [n], by text */
    size_t n, capacity;
    bool legacy;     /* slow: tokenizer_config.json's "legacy", true if it does not say */
    int64_t n_extra; /* <extra_id_n> that the class makes by itself */
    char eos[64];    /* the text of the token that ends a sequence */
    int32_t eos_id;
} mg_added_tokens;

/* What a tokenizer's folder holds beside its pieces: JSON texts, NULL where a file is not there. */
typedef struct mg_tokenizer_side {
    const char *config, *added, *special,
        *json; /* tokenizer_config, added_tokens, special_tokens_map, tokenizer */
    int64_t config_bytes, added_bytes, special_bytes, json_bytes;
} mg_tokenizer_side;

/* The id of one of the vocabulary's own pieces, -1 if there is none of this text. */
typedef int32_t mg_piece_id(const void *vocabulary, const char *text);

/* `n_vocabulary`: ids of the vocabulary itself. MG_ECHECKPOINT names the file and the token. */
mg_status mg_added_tokens_read(mg_added_tokens *out, const char *name, const mg_tokenizer_side *side,
                               bool slow, int64_t n_vocabulary, mg_piece_id *piece_id,
                               const void *vocabulary);
void mg_added_tokens_reset(mg_added_tokens *a);

/* NULL if there is none of this text. */
const mg_added_token *mg_added_tokens_find(const mg_added_tokens *a, const char *text);

#endif
