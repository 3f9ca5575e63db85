/* What libsndfile calls MP3 since 1.1, by its numbers, for headers that are older (Rocky 9, Ubuntu 22.04):
 * such a library refuses the format, and says so. */
#ifndef MG_SNDFILE_MPEG_H
#define MG_SNDFILE_MPEG_H

#include <sndfile.h>

#ifdef MG_SNDFILE_BEFORE_MPEG
enum {
    SF_FORMAT_MPEG = 0x230000,
    SF_FORMAT_MPEG_LAYER_III = 0x0082,
    SFC_SET_BITRATE_MODE = 0x1305,
    SF_BITRATE_MODE_CONSTANT = 0,
    SF_BITRATE_MODE_VARIABLE = 2
};
#endif

#endif
