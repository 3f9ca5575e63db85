/* From a bit rate or a quality to libsndfile's level of compression. */
#ifndef MG_AUDIO_CODING_H
#define MG_AUDIO_CODING_H

#include "audio_file.h"

/* 0 is best, 1 is smallest; NaN: libsndfile's own. */
double mg_audio_coding_level(const mg_audio_coding *coding, int64_t rate_hz, int64_t n_channels);

/* MG_EUSAGE if the format, called `word`, has no such bit rate or quality. */
mg_status mg_audio_coding_check_rates(const mg_audio_coding *coding, const char *word, int64_t rate_hz,
                                      int64_t n_channels);

#endif
