/* metadata.jsonl beside the clips of a folder: a line a sound, with its file_name and its prompt, as Hugging
 * Face's AudioFolder reads it. What it says follows from the clips' own metadata, so it is right again after
 * every run, whatever was added, overwritten or removed. Lines of sounds that are not ours stay, and so does
 * a line of ours to which somebody has added. */
#ifndef MG_CLIP_INDEX_H
#define MG_CLIP_INDEX_H

#include "status.h"

#define MG_CLIP_INDEX_NAME "metadata.jsonl"

/* MG_EUSAGE if a file of this name is there that is no such list: it would be lost. */
mg_status mg_clip_index_check(const char *folder);

/* Make it right. Nothing is written for a folder without sounds of ours. Other processes wait. */
mg_status mg_clip_index_write(const char *folder);

#endif
