/* Writes a sound of the golden data, [N] or [C,N], as a 32-bit float WAV file for the program to read.
 *
 *     golden_wav GOLDEN.safetensors ARRAY RATE_HZ OUT.wav
 *
 * Exit code 0, or 2 with a sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "checkpoint.h"

static int refuse(const char *what, const char *why)
{
    fprintf(stderr, "golden_wav: %s: %s\n", what, why);
    return 2;
}

/* Time-major copy of a planar array. */
static mg_status interleave(mg_sound *sound, const mg_tensor *t, int64_t rate_hz)
{
    const int64_t C = t->n_dims > 1 ? t->dim[0] : 1, N = mg_tensor_count(t) / C;

    *sound =
        (mg_sound){.pcm = malloc(mg_tensor_bytes(t)), .n_frames = N, .n_channels = C, .rate_hz = rate_hz};
    if (!sound->pcm) return mg_fail(MG_ENOMEM, "%lld samples", (long long)N);
    for (int64_t i = 0; i < N * C; i++)
        memcpy(&sound->pcm[i % N * C + i / N], (const char *)t->data + i * (int64_t)sizeof(float),
               sizeof(float));
    return MG_OK;
}

int main(int argc, char **argv)
{
    mg_checkpoint *golden = NULL;
    mg_sound sound = {0};
    int rc = 0;

    if (argc != 5) return refuse("usage", "GOLDEN.safetensors ARRAY RATE_HZ OUT.wav");
    if (mg_checkpoint_open(&golden, argv[1]) != MG_OK) return refuse(argv[1], mg_last_error());
    const mg_checkpoint_entry *e = mg_checkpoint_find(golden, argv[2]);
    if (!e || e->tensor.dtype != MG_F32)
        rc = refuse(argv[2], "no such sound");
    else if (interleave(&sound, &e->tensor, strtol(argv[3], NULL, 10)) != MG_OK ||
             mg_audio_file_write(argv[4], MG_AUDIO_WAV_F32, &sound, NULL) != MG_OK)
        rc = refuse(argv[4], mg_last_error());
    mg_sound_close(&sound);
    mg_checkpoint_close(golden);
    return rc;
}
