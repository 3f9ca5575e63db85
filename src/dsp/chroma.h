/* Which of the twelve pitch classes is loudest, frame by frame: what a melody model follows. STFT of 16384
 * samples every 4096, a chroma filterbank, the largest bin. Spec: docs/MODEL.md §Melody (AudioCraft's
 * ChromaExtractor, transformers' MusicgenMelodyFeatureExtractor without its stems). */
#ifndef MG_CHROMA_H
#define MG_CHROMA_H

#include <stdint.h>

#include "status.h"

enum { MG_CHROMA_HOP = 4096 }; /* samples from one frame to the next */

typedef struct mg_chroma mg_chroma; /* the filterbank, the window and the room for a transform */

/* rate_hz: of the codec, 32000. n_chroma: 12. */
mg_status mg_chroma_open(mg_chroma **out, int64_t rate_hz, int64_t n_chroma);
void mg_chroma_close(mg_chroma *c);

/* The filterbank [n_chroma, *n_bins], as librosa makes it; borrowed. */
const float *mg_chroma_filters(const mg_chroma *c, int64_t *n_bins);

/* Frames of a melody of n samples: 1 + n / 4096, where n is at least the transform's 16384. A shorter melody
 * is padded with zeros on both sides. */
int64_t mg_chroma_count(int64_t n_samples);

/* bins [mg_chroma_count]: 0 = C … 11 = B, and 0 for silence. pcm [n_samples] mono at the extractor's rate. */
mg_status mg_chroma_bins(mg_chroma *c, int32_t *bins, const float *pcm, int64_t n_samples);

#endif
