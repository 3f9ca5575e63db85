/* A text in pieces: added tokens, and what lies between them. Private to tokenizer*.c. */
#ifndef MG_TOKEN_SPLIT_H
#define MG_TOKEN_SPLIT_H

#include "added_tokens.h"

typedef struct mg_token_piece {
    char *text;                  /* owned, never "" */
    const mg_added_token *token; /* that it is; NULL: text */
    bool is_first;               /* it begins the whole text */
} mg_token_piece;

typedef struct mg_token_pieces {
    mg_token_piece *list; /* [n] */
    size_t n, capacity;
} mg_token_pieces;

/* As T5Tokenizer cuts: the longest token that begins first; single_word and the blanks by its rules. */
mg_status mg_token_split_slow(mg_token_pieces *out, const mg_added_tokens *a, const char *text,
                              int64_t bytes);

/* What a fast tokenizer does to a text before it looks for the tokens that are normalized. */
typedef struct mg_token_normalizer {
    const char *charsmap; /* [charsmap_bytes], checked; NULL: none */
    int64_t charsmap_bytes;
    bool strip_right, collapse; /* blanks at the end; two spaces and more are one */
} mg_token_normalizer;

/* As tokenizers' AddedVocabulary cuts: first the tokens that are not normalized, in the text as it is, then
 * in the rest, normalised, the others. `normalizes`: the pieces of text come out normalised in any case. */
mg_status mg_token_split_fast(mg_token_pieces *out, const mg_added_tokens *a, const mg_token_normalizer *n,
                              bool normalizes, const char *text, int64_t bytes);

void mg_token_pieces_reset(mg_token_pieces *p);

/* `text` as the normalizer leaves it, malloc'ed. */
mg_status mg_token_normalize(char **out, const mg_token_normalizer *n, const char *text, int64_t bytes);

/* A letter, digit, mark or joiner: \w of Rust's regular expressions (word_ranges.c). */
bool mg_is_word_char(int32_t c);

#endif
