/* Sound files one by one: there, the recorded bytes, and sound. Several threads look, and what they found is
 * said in the order of the manifest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_verify_impl.h"
#include "hash.h"
#include "in_file.h"
#include "progress.h"
#include "stop.h"

enum { BATCH = 64, MOST_INFO_BYTES = 1 << 24 };

static void note(mg_verify_clip *clip, bool list_is_wrong, const char *text)
{
    clip->finding = strdup(text); /* without memory the finding is lost, and a later one will say so */
    clip->list_is_wrong = list_is_wrong;
}

/* What AudioCraft reads beside the sound. */
static mg_status check_info(const mg_clip_line *line, const char *sound_path)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], *text = NULL;
    const char *dot = strrchr(sound_path, '.');
    mg_clip_line info = {0};
    int64_t bytes;

    MG_RETURN(mg_path_format(path, "%.*s.json", (int)(dot - sound_path), sound_path));
    MG_TRY(mg_in_file_read(&text, &bytes, path, MOST_INFO_BYTES));
    MG_TRY(mg_clip_line_parse(&info, path, text, bytes));
    if (!info.name || strcmp(info.name, line->id) != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s: name: is not the clip's id", path));
    if (!info.description || strcmp(info.description, line->prompt ? line->prompt : "") != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s: description: is not the clip's prompt", path));
    if (info.sample_rate != line->sampling_rate)
        MG_TRY(mg_fail(MG_EFAIL, "%s: sample_rate: is not the clip's", path));
done:
    mg_clip_line_close(&info);
    free(text);
    return st;
}

/* The file's hash against the manifest's and that of SHA256SUMS: two that agree are right. */
static bool judge_hash(mg_verify_clip *clip, const mg_sum *sum, const char *seen)
{
    char text[MG_PATH_SIZE];
    const bool as_manifest = strcmp(seen, clip->sha256) == 0;
    const bool as_sum = sum && strcmp(seen, sum->sha256) == 0;

    if (as_manifest) return true; /* a wrong line of SHA256SUMS is said with the lists */
    if (as_sum) {
        snprintf(text, sizeof text, "manifest.jsonl: line %lld: its sha256 is not that of %s",
                 (long long)clip->line, clip->file);
        note(clip, true, text);
        return false;
    }
    snprintf(text, sizeof text, "%s: damaged: its sha256 is %.12s…, recorded is %.12s…", clip->file, seen,
             clip->sha256);
    note(clip, false, text);
    return false;
}

static mg_status check_clip(const mg_dataset_check *c, mg_verify_clip *clip)
{
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE], seen[65], text[MG_PATH_SIZE];
    mg_clip_line line = {0};

    MG_RETURN(mg_verify_path(path, c, clip->file));
    if (mg_path_bytes(path) < 0) {
        snprintf(text, sizeof text, "%s: missing", clip->file);
        note(clip, false, text);
        return MG_OK;
    }
    MG_RETURN(mg_hash_file(seen, path));
    if (!judge_hash(clip, mg_sum_list_find(&c->sums, clip->file), seen)) return MG_OK;
    MG_TRY(mg_verify_read_line(&line, c, clip));
    st = mg_verify_sound(&line, path, clip->file);
    if (st == MG_EFAIL) {
        snprintf(text, sizeof text, "%s: %s", clip->file, mg_last_error());
        note(clip, false, text);
        st = MG_OK;
    }
    if (c->v->layout == MG_LAYOUT_AUDIOCRAFT && !clip->finding) {
        st = check_info(&line, path);
        if (st == MG_EFAIL) note(clip, false, mg_verify_last_error(c));
        st = st == MG_EFAIL ? MG_OK : st;
    }
done:
    mg_clip_line_close(&line);
    return st;
}

typedef struct batch {
    mg_dataset_check *c;
    size_t first;
} batch;

static void check_range(void *arg, int64_t first, int64_t end, int i_thread)
{
    const batch *b = arg;
    (void)i_thread;

    for (int64_t i = first; i < end; i++) {
        mg_verify_clip *clip = &b->c->clip[b->first + (size_t)i];
        if (check_clip(b->c, clip) != MG_OK && !clip->finding) note(clip, false, mg_last_error());
    }
}

static mg_status say_clip(mg_dataset_check *c, const mg_verify_clip *clip)
{
    if (!clip->finding) return MG_OK;
    return mg_verify_say(c, clip->file, clip->list_is_wrong ? MG_LIST_MANIFEST : MG_N_LISTS,
                         clip->list_is_wrong ? MG_REMEDY_LISTS : MG_REMEDY_CLIP, "%s", clip->finding);
}

mg_status mg_verify_clips(mg_dataset_check *c)
{
    mg_status st = MG_OK;
    mg_progress progress;

    mg_progress_begin(&progress, "verify", "clips", (int64_t)c->n_clips);
    for (size_t i = 0; i < c->n_clips && st == MG_OK; i += BATCH) {
        const size_t n = c->n_clips - i < BATCH ? c->n_clips - i : BATCH;
        batch b = {c, i};
        mg_threads_run(c->threads, check_range, &b, (int64_t)n);
        st = mg_stop_check(); /* what was found then may be the stop */
        for (size_t k = i; k < i + n && st == MG_OK; k++) st = say_clip(c, &c->clip[k]);
        for (size_t k = i; k < i + n; k++) {
            c->v->n_files++;
            c->v->n_bytes += c->clip[k].file_bytes;
        }
        mg_progress_update(&progress, (int64_t)(i + n));
    }
    mg_progress_end(&progress);
    return st;
}
