#include "job_id.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "hash.h"
#include "text.h"
#include "utf8.h"

enum { MOST_BYTES = 200 };

static mg_status refuse(const char *where, const char *id, const char *why)
{
    return mg_fail(MG_EUSAGE, "%s: id: \"%.64s\": %s", where, id, why);
}

static mg_status map(char **out, const char *id, utf8proc_option_t options)
{
    utf8proc_uint8_t *mapped = NULL;
    const utf8proc_ssize_t n =
        utf8proc_map((const utf8proc_uint8_t *)id, 0, &mapped, UTF8PROC_NULLTERM | options);

    *out = (char *)mapped;
    return n >= 0 ? MG_OK : mg_fail(MG_ENOMEM, "id: %s", utf8proc_errmsg(n));
}

static bool is_plain(const char *id)
{
    for (; *id; id++)
        if ((unsigned char)*id >= 0x80) return false;
    return true;
}

mg_status mg_job_id_check(char out[MG_JOB_ID_SIZE], const char *where, const char *id)
{
    const size_t n = strlen(id);
    char *composed;

    if (n == 0) return refuse(where, id, "is empty");
    if (mg_utf8_bad_offset(id, (int64_t)n) >= 0) return refuse(where, id, "is not UTF-8");
    if (n > MOST_BYTES) return refuse(where, id, "longer than 200 bytes, which a file's name can hold");
    for (const char *p = id; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F) return refuse(where, id, "holds a control character");
        if (strchr("/\\:*?\"<>|", *p))
            return refuse(where, id, "may not hold / \\ : * ? \" < > |, for it names a file");
    }
    if (id[0] == '.') return refuse(where, id, "may not begin with '.', for it names a file");
    if (id[n - 1] == '.' || id[n - 1] == ' ' || id[0] == ' ')
        return refuse(where, id, "may not begin with a blank nor end in '.' or a blank, for it names a file");
    if (is_plain(id)) {
        memcpy(out, id, n + 1);
        return MG_OK;
    }
    MG_RETURN(map(&composed, id, UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    const size_t n_composed = strlen(composed);
    if (n_composed <= MOST_BYTES) memcpy(out, composed, n_composed + 1);
    free(composed);
    return n_composed <= MOST_BYTES
               ? MG_OK
               : refuse(where, id, "longer than 200 bytes, which a file's name can hold");
}

mg_status mg_job_id_fold(char out[4 * MG_JOB_ID_SIZE], const char *id)
{
    char *folded;

    if (is_plain(id)) {
        size_t i = 0;
        for (; id[i] && i < MG_JOB_ID_SIZE; i++)
            out[i] = id[i] >= 'A' && id[i] <= 'Z' ? (char)(id[i] + 32) : id[i];
        out[i] = '\0';
        return MG_OK;
    }
    MG_RETURN(map(&folded, id, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD));
    snprintf(out, 4 * MG_JOB_ID_SIZE, "%s", folded);
    free(folded);
    return MG_OK;
}

/* 63 bits: SQLite's numbers have a sign. */
mg_status mg_job_id_fold_hash(int64_t *out, const char *id)
{
    char folded[4 * MG_JOB_ID_SIZE];

    MG_RETURN(mg_job_id_fold(folded, id));
    *out = (int64_t)(mg_text_hash(folded) >> 1);
    return MG_OK;
}

/* The first 53 bits of a SHA-256 of all three, in text. */
mg_status mg_job_id_seed(int64_t *out, int64_t run_seed, const char *id, int64_t attempt)
{
    char text[MG_JOB_ID_SIZE + 80], digest[65];

    const int n = snprintf(text, sizeof text, "mg-dist seed\n%lld\n%s\n%lld\n", (long long)run_seed, id,
                           (long long)attempt);
    MG_RETURN(mg_hash_bytes(digest, text, (size_t)n));
    digest[16] = '\0';
    *out = (int64_t)(strtoull(digest, NULL, 16) >> 11);
    return MG_OK;
}
