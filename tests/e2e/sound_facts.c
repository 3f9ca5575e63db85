/* What is in a sound file, in one line:   sound_facts FILE
 *
 *     FRAMES CHANNELS RATE PEAK RMS SHA256-OF-THE-SAMPLES
 *
 * Exit code 0, or 2 if it cannot be read. */
#include <math.h>
#include <stdio.h>

#include "audio_file.h"
#include "hash.h"

int main(int argc, char **argv)
{
    mg_sound s = {0};
    char sha256[65];
    double peak = 0, sum = 0;

    if (argc != 2) return 2;
    if (mg_audio_file_read(&s, argv[1], INFINITY) != MG_OK ||
        mg_hash_bytes(sha256, s.pcm, (size_t)(s.n_frames * s.n_channels) * sizeof *s.pcm) != MG_OK) {
        fprintf(stderr, "sound_facts: %s\n", mg_last_error());
        return 2;
    }
    for (int64_t i = 0; i < s.n_frames * s.n_channels; i++) {
        peak = fmax(peak, fabs((double)s.pcm[i]));
        sum += (double)s.pcm[i] * (double)s.pcm[i];
    }
    printf("%lld %lld %lld %.4f %.4f %s\n", (long long)s.n_frames, (long long)s.n_channels,
           (long long)s.rate_hz, peak, sqrt(sum / (double)(s.n_frames * s.n_channels)), sha256);
    mg_sound_close(&s);
    return 0;
}
