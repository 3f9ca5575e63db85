/* A clip's sound, wherever the layout keeps it. */
#ifndef MG_DATASET_SOUND_H
#define MG_DATASET_SOUND_H

#include "json_lines.h"
#include "sound.h"

/* The bytes of its file, malloc'ed. `line` is of manifest.jsonl. MG_EFAIL if it is not there. */
mg_status mg_dataset_read_clip(char **data, int64_t *bytes, const char *dir, const mg_clip_line *line);

/* A path under which these bytes can be read as a file until it is closed; *fd is for mg_dataset_unshow. */
enum { MG_SHOWN_PATH_SIZE = 64 };
mg_status mg_dataset_show_bytes(char path[MG_SHOWN_PATH_SIZE], int *fd, const void *data, int64_t bytes);
void mg_dataset_unshow(int fd);

/* Decoded. `shown` is what messages call it. */
mg_status mg_dataset_decode(mg_sound *out, const void *data, int64_t bytes, const char *shown);

#endif
