/* The lists: what they say of each other and of the files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_verify_impl.h"
#include "hash.h"
#include "stop.h"

/* The shard that a line names. Mostly it is that of the line before. */
static mg_status find_shard(mg_dataset_check *c, int64_t *i_shard, const char *name)
{
    *i_shard = -1;
    if (!name) return MG_OK;
    for (size_t i = c->n_shards; i-- > 0;)
        if (strcmp(c->shard[i].name, name) == 0) {
            *i_shard = (int64_t)i;
            return MG_OK;
        }
    MG_RETURN(mg_grow(&c->shard, &c->shard_capacity, c->n_shards + 1, sizeof *c->shard, "verify"));
    c->shard[c->n_shards] = (mg_verify_shard){.name = strdup(name)};
    if (!c->shard[c->n_shards].name) return mg_fail(MG_ENOMEM, "verify: no memory");
    *i_shard = (int64_t)c->n_shards++;
    return MG_OK;
}

static int compare_shards(const void *a, const void *b)
{
    const mg_verify_clip *x = a, *y = b;

    if (x->i_shard != y->i_shard) return x->i_shard < y->i_shard ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* The clips of a shard stand together from now on. In the manifest they need not: a job that failed and was
 * tried again later is in a shard behind those of its neighbours. */
static void group_clips(mg_dataset_check *c)
{
    if (c->n_shards == 0) return;
    qsort(c->clip, c->n_clips, sizeof *c->clip, compare_shards);
    for (size_t i = 0; i < c->n_clips; i++) {
        if (c->clip[i].i_shard < 0) continue;
        mg_verify_shard *s = &c->shard[c->clip[i].i_shard];
        if (s->end == 0) s->first = i;
        s->end = i + 1;
    }
}

static mg_status check_line(const mg_clip_line *line, const char *where)
{
    if (!line->id || !line->file || !line->sha256 || line->bytes < 0)
        return mg_fail(MG_EFAIL, "%s: has no %s", where,
                       !line->id       ? "id"
                       : !line->file   ? "file"
                       : !line->sha256 ? "sha256"
                                       : "bytes");
    if (strlen(line->sha256) != 64) return mg_fail(MG_EFAIL, "%s: sha256: is none", where);
    if (!mg_dataset_file_fits(line->file))
        return mg_fail(MG_EFAIL, "%s: file: %.200s: is no name in this folder", where, line->file);
    if (line->shard && !mg_dataset_shard_fits(line->shard))
        return mg_fail(MG_EFAIL, "%s: shard: %.200s: is no name in this folder", where, line->shard);
    return MG_OK;
}

static mg_status take_line(mg_dataset_check *c, const mg_json_lines *l)
{
    mg_status st = MG_OK;
    mg_clip_line line = {0};
    mg_verify_clip clip = {.at = l->text - l->file.data, .bytes = l->bytes, .line = l->line};
    char where[64];

    MG_RETURN(mg_stop_check());
    snprintf(where, sizeof where, "manifest.jsonl: line %lld", (long long)l->line);
    st = mg_clip_line_parse(&line, where, l->text, l->bytes);
    if (st == MG_OK) st = check_line(&line, where);
    if (st == MG_EFAIL) {
        st = mg_verify_say(c, where, MG_LIST_MANIFEST, MG_REMEDY_LISTS, "%s", mg_last_error());
        goto done;
    }
    MG_TRY(st);
    MG_TRY(find_shard(c, &clip.i_shard, line.shard));
    MG_TRY(mg_grow(&c->clip, &c->clip_capacity, c->n_clips + 1, sizeof *c->clip, "verify"));
    clip.file_bytes = line.bytes;
    snprintf(clip.sha256, sizeof clip.sha256, "%s", line.sha256);
    clip.file = strdup(line.file);
    clip.id = strdup(line.id);
    c->clip[c->n_clips++] = clip;
    if (!clip.file || !clip.id) MG_TRY(mg_fail(MG_ENOMEM, "verify: no memory"));
    if (line.dur_s > 0) c->v->dur_s += line.dur_s;
done:
    mg_clip_line_close(&line);
    return st;
}

static mg_status read_manifest(mg_dataset_check *c)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(mg_verify_path(path, c, "manifest.jsonl"));
    MG_RETURN(mg_json_lines_open(&c->manifest, path));
    while (mg_json_lines_next(&c->manifest)) MG_RETURN(take_line(c, &c->manifest));
    c->v->n_clips = (int64_t)c->n_clips;
    group_clips(c);
    return MG_OK;
}

/* Without the state the files say which it is. */
static void guess_layout(mg_dataset_check *c)
{
    bool has_tar = c->n_shards > 0;

    if (c->db) return;
    for (size_t i = 0; i < c->sums.n && !has_tar; i++)
        has_tar = mg_text_ends_with(c->sums.sum[i].name, ".tar");
    if (has_tar)
        c->v->layout = MG_LAYOUT_WEBDATASET;
    else if (mg_path_has(c->dir, "egs/train/data.jsonl"))
        c->v->layout = MG_LAYOUT_AUDIOCRAFT;
}

static bool has_list(const mg_dataset_check *c, mg_verify_list list)
{
    return list != MG_LIST_METADATA || c->v->layout != MG_LAYOUT_WEBDATASET;
}

/* There, and with the hash that SHA256SUMS says? What is wrong in one that has not is said later, or its
 * hash. */
static mg_status look_at_list(mg_dataset_check *c, mg_verify_list list)
{
    const char *name = mg_verify_list_name(c, list);
    char path[MG_PATH_SIZE], seen[65];
    mg_sum *sum = mg_sum_list_find(&c->sums, name);

    c->there[list] = mg_path_has(c->dir, name);
    if (!has_list(c, list)) return MG_OK;
    if (!c->there[list]) return mg_verify_say(c, name, list, MG_REMEDY_LISTS, "%s: missing", name);
    c->v->n_files++;
    if (list == MG_LIST_SUMS) return MG_OK;
    MG_RETURN(mg_verify_path(path, c, name));
    MG_RETURN(mg_hash_file(seen, path));
    c->intact[list] = sum && strcmp(sum->sha256, seen) == 0;
    if (sum) sum->seen = true;
    if (!sum && c->there[MG_LIST_SUMS] && !c->told_list[MG_LIST_SUMS])
        return mg_verify_say(c, name, MG_LIST_SUMS, MG_REMEDY_LISTS, "SHA256SUMS: no line for %s", name);
    return MG_OK;
}

mg_status mg_verify_open_lists(mg_dataset_check *c)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(look_at_list(c, MG_LIST_SUMS));
    if (c->there[MG_LIST_SUMS]) {
        MG_RETURN(mg_verify_path(path, c, "SHA256SUMS"));
        const mg_status st = mg_sum_list_load(&c->sums, path);
        if (st != MG_OK && st != MG_EFAIL) return st;
        if (st == MG_EFAIL)
            MG_RETURN(
                mg_verify_say(c, "SHA256SUMS", MG_LIST_SUMS, MG_REMEDY_LISTS, "%s", mg_verify_last_error(c)));
    }
    MG_RETURN(look_at_list(c, MG_LIST_MANIFEST));
    if (c->there[MG_LIST_MANIFEST]) MG_RETURN(read_manifest(c));
    guess_layout(c);
    for (mg_verify_list list = MG_LIST_METADATA; list < MG_N_LISTS; list++) MG_RETURN(look_at_list(c, list));
    return MG_OK;
}

/* What a line of the metadata's list says, against the clip's line of the manifest. */
static mg_status compare_line(mg_dataset_check *c, const mg_clip_line *line, const mg_verify_clip *clip,
                              const char *where)
{
    mg_status st = MG_OK;
    mg_clip_line of_manifest;
    const char *key = NULL;

    MG_RETURN(mg_verify_read_line(&of_manifest, c, clip));
    if (c->v->layout == MG_LAYOUT_AUDIOFOLDER)
        key = mg_clip_line_difference(line, &of_manifest);
    else if (line->sample_rate != of_manifest.sampling_rate)
        key = "sample_rate";
    else if (!(fabs(line->dur_s - of_manifest.dur_s) < 1e-6))
        key = "duration";
    if (key) { /* the list that is not what it was is the wrong one */
        const bool manifest = c->intact[MG_LIST_METADATA] && !c->intact[MG_LIST_MANIFEST];
        st = manifest ? mg_verify_say(c, clip->file, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                                      "manifest.jsonl: line %lld: %s of %s: is not that of %s",
                                      (long long)clip->line, key, clip->file,
                                      mg_verify_list_name(c, MG_LIST_METADATA))
                      : mg_verify_say(c, clip->file, MG_LIST_METADATA, MG_REMEDY_LISTS,
                                      "%s: %s of %s: is not that of manifest.jsonl", where, key, clip->file);
    }
    mg_clip_line_close(&of_manifest);
    return st;
}

static mg_status check_metadata_line(mg_dataset_check *c, const mg_json_lines *l)
{
    const char *list = mg_verify_list_name(c, MG_LIST_METADATA);
    char where[96], file[MG_PATH_SIZE];
    mg_status st = MG_OK;
    mg_clip_line line = {0};

    MG_RETURN(mg_stop_check());
    snprintf(where, sizeof where, "%s: line %lld", list, (long long)l->line);
    st = mg_clip_line_parse(&line, where, l->text, l->bytes);
    if (st == MG_EFAIL) {
        st = mg_verify_say(c, where, MG_LIST_METADATA, MG_REMEDY_LISTS, "%s", mg_last_error());
        goto done;
    }
    MG_TRY(st);
    const char *name = c->v->layout == MG_LAYOUT_AUDIOCRAFT ? line.path : line.file_name;
    MG_TRY(
        mg_path_format(file, "%s%s", c->v->layout == MG_LAYOUT_AUDIOCRAFT ? "" : "train/", name ? name : ""));
    mg_verify_clip *clip = name ? mg_verify_find_file(c, file) : NULL;
    if (!name)
        st = mg_verify_say(c, where, MG_LIST_METADATA, MG_REMEDY_LISTS, "%s: names no file", where);
    else if (clip && clip->listed)
        st = mg_verify_say(c, where, MG_LIST_METADATA, MG_REMEDY_LISTS, "%s: %s is there twice", where, file);
    else if (clip)
        clip->listed = true, st = compare_line(c, &line, clip, where);
    else if (c->there[MG_LIST_MANIFEST] && c->intact[MG_LIST_METADATA] && !c->intact[MG_LIST_MANIFEST])
        st =
            mg_verify_say(c, file, MG_LIST_MANIFEST, MG_REMEDY_LISTS, "manifest.jsonl: no line for %s", file);
    else if (c->there[MG_LIST_MANIFEST])
        st = mg_verify_say(c, file, MG_LIST_METADATA, MG_REMEDY_LISTS,
                           "%s: %s, which manifest.jsonl does not have", where, file);
done:
    mg_clip_line_close(&line);
    return st;
}

static mg_status check_metadata(mg_dataset_check *c)
{
    const char *list = mg_verify_list_name(c, MG_LIST_METADATA);
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    mg_json_lines l = {0};

    if (!has_list(c, MG_LIST_METADATA) || !c->there[MG_LIST_METADATA]) return MG_OK;
    MG_RETURN(mg_verify_path(path, c, list));
    MG_TRY(mg_json_lines_open(&l, path));
    while (mg_json_lines_next(&l)) MG_TRY(check_metadata_line(c, &l));
    for (size_t i = 0; i < c->n_clips; i++)
        if (!c->clip[i].listed)
            MG_TRY(mg_verify_say(c, c->clip[i].file, MG_LIST_METADATA, MG_REMEDY_LISTS, "%s: no line for %s",
                                 list, c->clip[i].file));
done:
    mg_json_lines_close(&l);
    return st;
}

static mg_status check_failure_line(mg_dataset_check *c, const mg_json_lines *l)
{
    char where[96];
    mg_clip_line line = {0};

    MG_RETURN(mg_stop_check());
    snprintf(where, sizeof where, "failures.jsonl: line %lld", (long long)l->line);
    mg_status st = mg_clip_line_parse(&line, where, l->text, l->bytes);
    if (st == MG_OK && (!line.id || !line.reason))
        st = mg_fail(MG_EFAIL, "%s: has no id or no reason", where);
    if (st == MG_OK && mg_verify_find_id(c, line.id))
        st = mg_fail(MG_EFAIL, "%s: %s failed, and is in manifest.jsonl too", where, line.id);
    if (st == MG_EFAIL)
        st = mg_verify_say(c, where, MG_LIST_FAILURES, MG_REMEDY_LISTS, "%s", mg_last_error());
    else
        c->v->n_failed++;
    mg_clip_line_close(&line);
    return st;
}

static mg_status check_failures(mg_dataset_check *c)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    mg_json_lines l = {0};

    if (!c->there[MG_LIST_FAILURES]) return MG_OK;
    c->v->n_failed = 0;
    MG_RETURN(mg_verify_path(path, c, "failures.jsonl"));
    MG_TRY(mg_json_lines_open(&l, path));
    while (mg_json_lines_next(&l)) MG_TRY(check_failure_line(c, &l));
done:
    mg_json_lines_close(&l);
    return st;
}

static mg_status check_sum(mg_dataset_check *c, const char *file, const char *sha256)
{
    mg_sum *sum = mg_sum_list_find(&c->sums, file);

    if (!sum)
        return mg_verify_say(c, file, MG_LIST_SUMS, MG_REMEDY_LISTS, "SHA256SUMS: no line for %s", file);
    sum->seen = true;
    if (!sha256 || strcmp(sum->sha256, sha256) == 0) return MG_OK;
    return mg_verify_say(c, file, MG_LIST_SUMS, MG_REMEDY_LISTS,
                         "SHA256SUMS: line %lld: is not the hash of %s, which is whole", (long long)sum->line,
                         file);
}

/* A line of SHA256SUMS for each file, and no other. */
static mg_status check_sums(mg_dataset_check *c)
{
    char path[MG_PATH_SIZE], seen[65];

    if (!c->there[MG_LIST_SUMS] || !c->sums.text) return MG_OK;
    if (c->v->layout == MG_LAYOUT_WEBDATASET)
        for (size_t i = 0; i < c->n_shards; i++) MG_RETURN(check_sum(c, c->shard[i].name, NULL));
    else
        for (size_t i = 0; i < c->n_clips; i++) MG_RETURN(check_sum(c, c->clip[i].file, c->clip[i].sha256));
    for (size_t i = 0; i < c->sums.n; i++) {
        const mg_sum *s = &c->sums.sum[i];
        if (s->seen) continue;
        MG_RETURN(mg_verify_path(path, c, s->name));
        if (mg_path_bytes(path) < 0)
            MG_RETURN(mg_verify_say(c, s->name, MG_N_LISTS, MG_REMEDY_CLIP, "%s: missing", s->name));
        else if (c->there[MG_LIST_MANIFEST])
            MG_RETURN(mg_verify_say(c, s->name, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                                    "SHA256SUMS: line %lld: %s, which no other list has", (long long)s->line,
                                    s->name));
        else { /* its line is all that is known of it */
            MG_RETURN(mg_hash_file(seen, path));
            if (strcmp(seen, s->sha256) != 0)
                MG_RETURN(mg_verify_say(c, s->name, MG_N_LISTS, MG_REMEDY_CLIP,
                                        "%s: damaged: its sha256 is %.12s…, recorded is %.12s…", s->name,
                                        seen, s->sha256));
        }
    }
    return MG_OK;
}

/* A list that is not what SHA256SUMS says, and nothing more was found in it. */
mg_status mg_verify_lists_themselves(mg_dataset_check *c)
{
    for (mg_verify_list list = MG_LIST_MANIFEST; list < MG_N_LISTS; list++) {
        const char *name = mg_verify_list_name(c, list);
        if (!has_list(c, list) || !c->there[list] || c->intact[list] || c->told_list[list]) continue;
        if (!mg_sum_list_find(&c->sums, name)) continue;
        MG_RETURN(
            mg_verify_say(c, name, list, MG_REMEDY_LISTS, "%s: its sha256 is not that of SHA256SUMS", name));
    }
    return MG_OK;
}

mg_status mg_verify_lists(mg_dataset_check *c)
{
    MG_RETURN(check_metadata(c));
    MG_RETURN(check_failures(c));
    return check_sums(c);
}
