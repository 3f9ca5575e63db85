/* The parts of the tokenizer: the SentencePiece library behind a C face, the check of a model before the
 * library sees it, and tokenizer.json turned into such a model. Private to tokenizer*.c. */
#ifndef MG_TOKENIZER_IMPL_H
#define MG_TOKENIZER_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mg_spm mg_spm;

/* A serialized ModelProto, already checked. `name` is for messages. */
mg_status mg_spm_open(mg_spm **out, const char *name, const void *model, int64_t bytes);
void mg_spm_close(mg_spm *m);

int64_t mg_spm_n_pieces(const mg_spm *m);
const char *mg_spm_piece(const mg_spm *m, int64_t id);       /* "" if there is none; borrowed */
int32_t mg_spm_piece_id(const mg_spm *m, const char *piece); /* -1 if there is none */

/* Ids of a piece of text, malloc'ed. */
mg_status mg_spm_encode(const mg_spm *m, const char *text, int64_t bytes, int32_t **ids, int64_t *n_ids);

/* Is this ModelProto safe for the library, which trusts its models? MG_ECHECKPOINT if not: a unigram model,
 * its pieces and scores in order, its normalisation table sound. */
mg_status mg_spm_check(const char *name, const void *model, int64_t bytes);

/* The table of a NormalizerSpec: u32 length, double-array trie, NUL-terminated replacements. */
mg_status mg_charsmap_check(const char *name, const void *blob, int64_t bytes);

/* What a tokenizer.json says besides its pieces. */
typedef struct mg_tokenizer_json_facts {
    int64_t n_extra;      /* <extra_id_n> behind its pieces */
    const char *charsmap; /* in the model; NULL: none */
    int64_t charsmap_bytes;
    bool strips_right, collapses; /* its normalizer does */
    bool splits_blanks;           /* its words are cut at blanks first */
    bool first_only;              /* a space is put before the whole text alone, not before each part of it */
} mg_tokenizer_json_facts;

/* A ModelProto, malloc'ed, of the same meaning as a tokenizer.json of a T5 model. */
mg_status mg_tokenizer_json_model(char **model, int64_t *bytes, mg_tokenizer_json_facts *facts,
                                  const char *name, const char *text, int64_t text_bytes);

#ifdef __cplusplus
}
#endif

#endif
