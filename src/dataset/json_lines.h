/* A file of JSON objects, one a line, as manifest.jsonl and its like are; and what those lines say of clips.
 */
#ifndef MG_JSON_LINES_H
#define MG_JSON_LINES_H

#include <stdbool.h>

#include "clip_metadata.h"
#include "in_file.h"

typedef struct mg_json_lines {
    mg_mapped_file file;
    int64_t at;
    int64_t line; /* from 1 */
    const char *text;
    int64_t bytes; /* of the line, its newline not counted */
} mg_json_lines;

mg_status mg_json_lines_open(mg_json_lines *l, const char *path);
void mg_json_lines_close(mg_json_lines *l); /* legal on a zeroed one */

/* The next line; false: there is none. Empty lines are passed over. */
bool mg_json_lines_next(mg_json_lines *l);

/* What a line says, or a clip's record alone. What is not said is NULL, -1 or NaN. Strings belong to it. */
typedef struct mg_clip_line {
    const char *file, *shard, *sha256; /* manifest.jsonl */
    int64_t bytes;
    const char *file_name;          /* metadata.jsonl */
    const char *path, *description; /* AudioCraft's */
    const char *reason;             /* failures.jsonl */
    const char *id, *name, *prompt, *negative_prompt, *title, *recipe;
    int64_t seed, sampling_rate, sample_rate, channels;
    double dur_s;
    const char *gate_found; /* what the quality gate found, "silence; dc"; NULL: it was off */
    int64_t gate_attempt;   /* how often the clip was made again before; -1: it was off */
    struct cJSON *json;
} mg_clip_line;

/* MG_EFAIL "NAME: key: …" for what is no such object. The caller closes it. */
mg_status mg_clip_line_parse(mg_clip_line *c, const char *name, const char *text, int64_t bytes);
void mg_clip_line_close(mg_clip_line *c);

/* The clip as its line's recipe has it: the tag of its sound, which cuts long texts; the line has them whole,
 * and they are borrowed from it. MG_EFAIL as mg_clip_metadata_parse. The caller closes it. */
mg_status mg_clip_line_describe(mg_clip_metadata *m, const mg_clip_line *line, const char *name);

/* The first key in which they differ, but for those that say where the sound is; NULL: there is none. */
const char *mg_clip_line_difference(const mg_clip_line *a, const mg_clip_line *b);

#endif
