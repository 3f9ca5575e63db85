/* A clip of a dataset is known by its line in metadata.jsonl or manifest.jsonl, alone in a file. It has the
 * recipe as the sound file's tag has it, and in manifest.jsonl the file's hash. */
#include <string.h>

#include "hash.h"
#include "replay.h"

bool mg_replay_is_line(const char *text, int64_t bytes)
{
    static const char key[] = "\"recipe\""; /* in a text its quotes would be escaped */
    const char *p = text, *const end = text + bytes;

    while ((p = memmem(p, (size_t)(end - p), key, sizeof key - 1))) {
        p += sizeof key - 1;
        while (p < end && strchr(" \t\r\n", *p)) p++;
        if (p < end && *p == ':') return true; /* else it is a value */
    }
    return false;
}

/* Nobody can tell which of them is meant. */
static mg_status check_single(const char *name, const char *text, int64_t bytes)
{
    const char *newline = memchr(text, '\n', (size_t)bytes);

    if (!newline || newline + 1 >= text + bytes || newline[1] != '{') return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "%s: has the lines of several clips; give one of them in a file of its own: "
                   "grep '\"id\":\"ID\"' %s >ID.json",
                   name, name);
}

mg_status mg_replay_read_line(mg_replay *r, const char *text, int64_t bytes)
{
    const char *name = r->asked.file;
    mg_clip_line *line = &r->line;
    mg_recipe *recipe = &r->m.recipe;

    MG_RETURN(check_single(name, text, bytes));
    MG_RETURN(mg_clip_line_parse(line, name, text, bytes));
    if (!line->recipe || !line->id)
        return mg_fail(MG_EFAIL, "%s: id or recipe: missing; this is no line of a dataset", name);
    MG_RETURN(mg_clip_line_describe(&r->m, line, name));
    MG_SAY(recipe, id, line->id); /* a tag has none */
    MG_RETURN(mg_path_format(r->file_name, "%s%s", line->id,
                             mg_audio_format_suffix((mg_audio_format)recipe->format)));
    r->m.audio_file = r->file_name;
    r->m.audio_sha256 = line->sha256;
    return MG_OK;
}

/* By the name that the line has, else by its own: of a sample of a shard that was unpacked. */
static mg_status find_beside(char out[MG_PATH_SIZE], const mg_replay *r)
{
    char folder[MG_PATH_SIZE];
    const char *file = r->asked.file, *ending = strrchr(r->file_name, '.');
    const char *dot = strrchr(mg_path_name(file), '.');

    if (!r->line.file_name)
        return mg_path_format(out, "%.*s%s", (int)(dot ? dot - file : (ptrdiff_t)strlen(file)), file, ending);
    MG_RETURN(mg_path_folder(folder, file));
    return mg_path_format(out, "%s/%s", folder, r->line.file_name);
}

mg_status mg_replay_hash_beside(mg_replay *r)
{
    char path[MG_PATH_SIZE];

    if (!r->line.json || r->m.audio_sha256) return MG_OK;
    MG_RETURN(find_beside(path, r));
    if (mg_path_exists(path)) {
        MG_RETURN(mg_hash_file(r->beside_sha256, path));
        r->m.audio_sha256 = r->beside_sha256;
    } else if (!r->asked.out_dir) {
        return mg_fail(
            MG_EUSAGE,
            "%s: nothing to compare with: the clip's line of manifest.jsonl has its hash; or put the sound "
            "beside it, or give --out DIR, which keeps the clip",
            r->asked.file);
    }
    return MG_OK;
}
