/* The tags of an MP3 file: ID3 2.4, UTF-8, at the file's beginning. (libsndfile's own way writes Latin-1 and
 * has no software.) */
#ifndef MG_ID3_TAG_H
#define MG_ID3_TAG_H

#include <stdint.h>

#include "audio_file.h"
#include "status.h"

/* *out, malloc'ed, of *bytes; NULL and 0 if there is nothing to say. */
mg_status mg_id3_tag_make(uint8_t **out, int64_t *bytes, const mg_audio_tags *tags);

#endif
