/* Writes codes of the golden data, item ITEM of [B,K,T] or a whole [K,T], as an .npy file for the program to
 * read or to be compared with.
 *
 *     golden_npy GOLDEN.safetensors ARRAY ITEM FRAMES OUT.npy      the first FRAMES frames; 0: all
 *
 * Exit code 0, or 2 with a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "npy.h"

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "golden_npy: %s: %s\n", what, why);
    return 2;
}

static mg_status write_item(const mg_tensor *t, int64_t item, int64_t n_frames, const char *path)
{
    const int64_t K = t->dim[t->n_dims - 2], T = t->dim[t->n_dims - 1], n = n_frames ? n_frames : T;
    int32_t *codes = malloc((size_t)(K * n) * sizeof *codes);

    if (!codes) return mg_fail(MG_ENOMEM, "%lld codes", (long long)(K * n));
    for (int64_t k = 0; k < K; k++)
        memcpy(codes + k * n, (const char *)t->data + ((item * K + k) * T) * (int64_t)sizeof *codes,
               (size_t)n * sizeof *codes);
    const mg_status st = mg_npy_write_i32(path, codes, K, n);
    free(codes);
    return st;
}

int main(int argc, char **argv)
{
    mg_checkpoint *golden = NULL;
    int rc = 0;

    if (argc != 6) return refuse("usage", "GOLDEN.safetensors ARRAY ITEM FRAMES OUT.npy");
    const long item = strtol(argv[3], NULL, 10), n_frames = strtol(argv[4], NULL, 10);
    if (mg_checkpoint_open(&golden, argv[1]) != MG_OK) return refuse(argv[1], mg_last_error());
    const mg_checkpoint_entry *e = mg_checkpoint_find(golden, argv[2]);
    const mg_tensor *t = e ? &e->tensor : NULL;
    if (!t || t->dtype != MG_I32 || t->n_dims < 2 || item < 0 || n_frames < 0 ||
        item >= (t->n_dims > 2 ? t->dim[0] : 1) || n_frames > t->dim[t->n_dims - 1])
        rc = refuse(argv[2], "no such codes");
    else if (write_item(t, item, n_frames, argv[5]) != MG_OK)
        rc = refuse(argv[5], mg_last_error());
    mg_checkpoint_close(golden);
    return rc;
}
