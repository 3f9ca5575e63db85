/* Text to T5 token ids, exactly as transformers' T5Tokenizer: special and added tokens are cut out first, the
 * rest goes through SentencePiece, and </s> ends the sequence. Without a spiece.model the added tokens are
 * cut out as T5TokenizerFast does it. */
#ifndef MG_TOKENIZER_H
#define MG_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

typedef struct mg_tokenizer mg_tokenizer;

/* `path`: a folder with spiece.model or, failing that, tokenizer.json, and what stands beside it:
 * tokenizer_config.json, added_tokens.json, special_tokens_map.json; or one of the first two, alone. */
mg_status mg_tokenizer_open(mg_tokenizer **out, const char *path);
void mg_tokenizer_close(mg_tokenizer *t);

/* The same from memory, for the loader and the fuzzer: the bytes of a spiece.model or of a tokenizer.json.
 * `name` is for messages. */
mg_status mg_tokenizer_parse(mg_tokenizer **out, const char *name, const char *data, int64_t bytes,
                             bool is_json);

/* The same with what stands beside it. */
struct mg_tokenizer_side;
mg_status mg_tokenizer_parse_side(mg_tokenizer **out, const char *name, const char *data, int64_t bytes,
                                  bool is_json, const struct mg_tokenizer_side *side);

/* ids of `text` with the closing </s>. *ids is malloc'ed: the caller frees it. Text that is not UTF-8
 * is MG_EUSAGE. "" gives just that. */
mg_status mg_tokenizer_encode(const mg_tokenizer *t, const char *text, int32_t **ids, int64_t *n_ids);

/* Number of ids: every id is below it. */
int64_t mg_tokenizer_size(const mg_tokenizer *t);

#endif
