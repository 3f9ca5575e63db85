/* Compares a clip that the program wrote with the reference's: the codes exactly, the sound within 1e-4.
 *
 *     compare_clip GOLDEN.safetensors CASE ITEM CODES.npy SOUND.wav|-
 *
 * Exit code 0 if both agree, 1 with a sentence if not, 2 if something cannot be read. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "npy.h"

#define AUDIO_TOLERANCE 1e-4 /* the golden data's own, for codec sound */

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "compare_clip: %s: %s\n", what, why);
    return 2;
}

/* The values of a 32-bit float WAV file, malloc'ed; NULL if it is none. Its own reader: what is tested must
 * not read itself. */
static float *read_wav(const char *path, int64_t *n, int64_t *n_channels)
{
    unsigned char head[12], chunk[8], format[4] = {0};
    float *pcm = NULL;
    FILE *f = fopen(path, "rb");

    if (!f) return NULL;
    if (fread(head, 1, sizeof head, f) != sizeof head || memcmp(head, "RIFF", 4) ||
        memcmp(head + 8, "WAVE", 4))
        goto done;
    while (fread(chunk, 1, sizeof chunk, f) == sizeof chunk) {
        const long bytes = (long)chunk[4] | (long)chunk[5] << 8 | (long)chunk[6] << 16 | (long)chunk[7] << 24;
        if (memcmp(chunk, "data", 4) == 0 && format[0] == 3) { /* WAVE_FORMAT_IEEE_FLOAT */
            *n = bytes / (long)sizeof *pcm;
            pcm = malloc((size_t)bytes + 1);
            if (pcm && fread(pcm, sizeof *pcm, (size_t)*n, f) != (size_t)*n) free(pcm), pcm = NULL;
            goto done;
        }
        if (memcmp(chunk, "fmt ", 4) == 0) {
            if (fread(format, 1, 4, f) != 4 || fseek(f, bytes - 4, SEEK_CUR) != 0) goto done;
            *n_channels = format[2];
        } else if (fseek(f, bytes + (bytes & 1), SEEK_CUR) != 0) {
            goto done;
        }
    }
done:
    fclose(f);
    return pcm;
}

/* Item `item` of array CASE_WHAT [B, …], malloc'ed, *n values. */
static void *golden_item(const mg_checkpoint *c, const char *name, const char *what, int64_t item,
                         mg_dtype dtype, int64_t *n)
{
    char full[128];
    void *copy;

    snprintf(full, sizeof full, "%s_%s", name, what);
    const mg_checkpoint_entry *e = mg_checkpoint_find(c, full);
    if (!e || e->tensor.dtype != dtype || item < 0 || item >= e->tensor.dim[0]) return NULL;
    *n = mg_tensor_count(&e->tensor) / e->tensor.dim[0];
    const size_t bytes = (size_t)*n * mg_dtype_bytes(dtype);
    copy = malloc(bytes);
    if (copy) memcpy(copy, (const char *)e->tensor.data + (size_t)item * bytes, bytes);
    return copy;
}

static int compare_codes(const int32_t *got, int64_t n_got, const int32_t *want, int64_t n_want)
{
    int64_t n_wrong = 0;

    if (n_got != n_want) {
        printf("codes: %lld, expected %lld\n", (long long)n_got, (long long)n_want);
        return 1;
    }
    for (int64_t i = 0; i < n_got; i++) n_wrong += got[i] != want[i];
    if (n_wrong) printf("codes: %lld of %lld differ\n", (long long)n_wrong, (long long)n_got);
    return n_wrong > 0;
}

/* `got` is interleaved, `want` one channel behind the other. */
static int compare_sound(const float *got, int64_t n_got, int64_t n_channels, const float *want,
                         int64_t n_want)
{
    const int64_t N = n_channels > 0 ? n_got / n_channels : 0;
    double worst = 0;

    if (n_got != n_want) {
        printf("sound: %lld samples, expected %lld\n", (long long)n_got, (long long)n_want);
        return 1;
    }
    for (int64_t i = 0; i < n_got; i++) {
        const double error = fabs((double)got[i % N * n_channels + i / N] - (double)want[i]);
        if (!(error <= worst)) worst = error;
    }
    printf("sound: max error %.3g, %.1f %% of tolerance used\n", worst, 100 * worst / AUDIO_TOLERANCE);
    return !(worst <= AUDIO_TOLERANCE);
}

int main(int argc, char **argv)
{
    mg_checkpoint *golden = NULL;
    int32_t *codes = NULL, *codes_want = NULL;
    float *pcm = NULL, *pcm_want = NULL;
    int64_t K, T, n_pcm = 0, n_channels = 0, n_codes_want = 0, n_pcm_want = 0;
    int rc = 2;

    if (argc != 6) return refuse("usage", "GOLDEN.safetensors CASE ITEM CODES.npy SOUND.wav");
    const long item = strtol(argv[3], NULL, 10);
    if (mg_checkpoint_open(&golden, argv[1]) != MG_OK) return refuse(argv[1], mg_last_error());
    codes_want = golden_item(golden, argv[2], "codes", item, MG_I32, &n_codes_want);
    pcm_want = golden_item(golden, argv[2], "audio", item, MG_F32, &n_pcm_want);
    const bool with_sound = strcmp(argv[5], "-") != 0;
    if (with_sound) pcm = read_wav(argv[5], &n_pcm, &n_channels);
    if (!codes_want || (with_sound && !pcm_want))
        refuse(argv[2], "no such case or item");
    else if (mg_npy_read_i32(argv[4], &codes, &K, &T) != MG_OK)
        refuse(argv[4], mg_last_error());
    else if (with_sound && !pcm)
        refuse(argv[5], "not a float WAV file");
    else
        rc = compare_codes(codes, K * T, codes_want, n_codes_want) |
             (with_sound && compare_sound(pcm, n_pcm, n_channels, pcm_want, n_pcm_want));
    free(codes);
    free(codes_want);
    free(pcm);
    free(pcm_want);
    mg_checkpoint_close(golden);
    return rc;
}
