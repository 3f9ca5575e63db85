/* The styles that were heard last. Many clips may follow one sound, and what is heard in an excerpt depends
 * on nothing else of a clip: it is computed once. */
#ifndef MG_STYLE_MEMO_H
#define MG_STYLE_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { MG_STYLE_MEMO_PLACES = 32 };

/* Which excerpt of which state of a file, and how closely it is followed. */
typedef struct mg_style_key {
    struct stat file;
    double start_s, dur_s; /* start_s NaN: the middle */
    int64_t n_codebooks;
} mg_style_key;

typedef struct mg_style_memo {
    struct {
        mg_style_key key;
        float *rows; /* [n_rows, D]; NULL: the place is free */
        int64_t n_rows;
        int64_t used; /* when, by n_uses */
    } place[MG_STYLE_MEMO_PLACES];
    int64_t n_uses;
} mg_style_memo; /* all zero: nothing is known */

/* The rows of a style, which the memo keeps until the next mg_style_memo_put; NULL: it is not known. */
const float *mg_style_memo_find(mg_style_memo *m, int64_t *n_rows, const mg_style_key *key);

/* Keep a copy of rows [n_rows, D], in the place of those that were used longest ago. Without memory for it
 * nothing is kept. */
void mg_style_memo_put(mg_style_memo *m, const mg_style_key *key, const float *rows, int64_t n_rows,
                       int64_t D);
void mg_style_memo_reset(mg_style_memo *m);

#endif
