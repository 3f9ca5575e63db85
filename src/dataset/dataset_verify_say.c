/* What the checks of a dataset share: how damage is said, how a clip is found, and whether its sound is
 * whole. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "clip_metadata.h"
#include "dataset_verify_impl.h"
#include "show.h"
#include "text.h"

enum {
    LOSSY_SLACK = 4800,
    MOST_TOLD = 10000, /* lines beyond are counted, and may repeat a subject */
};

/* NULL: as the layout says. */
static const char *const list_names[MG_N_LISTS] = {"SHA256SUMS", "manifest.jsonl", NULL, "failures.jsonl",
                                                   "README.md"};

const char *mg_verify_list_name(const mg_dataset_check *c, mg_verify_list list)
{
    if (list_names[list]) return list_names[list];
    return c->v->layout == MG_LAYOUT_AUDIOCRAFT ? "egs/train/data.jsonl" : "train/metadata.jsonl";
}

mg_status mg_verify_path(char out[MG_PATH_SIZE], const mg_dataset_check *c, const char *name)
{
    return mg_path_format(out, "%s/%s", c->dir, name);
}

const char *mg_verify_last_error(const mg_dataset_check *c)
{
    const char *text = mg_last_error();
    const size_t n = strlen(c->dir);

    return strncmp(text, c->dir, n) == 0 && text[n] == '/' ? text + n + 1 : text;
}

static const char *remedy_text(const mg_dataset_check *c, mg_verify_remedy remedy)
{
    switch (remedy) {
    case MG_REMEDY_CLIP:
        return c->db ? "; copy it from where it is whole, or mg-dist verify --again and then the same run"
                     : "; copy it from where it is whole";
    case MG_REMEDY_LISTS:
        return c->db ? "; the same mg-dist run again writes all lists anew"
                     : "; copy it from where it is whole";
    case MG_REMEDY_REMOVE: return "; remove it";
    case MG_REMEDY_NONE: break;
    }
    return "";
}

bool mg_verify_was_told(const mg_dataset_check *c, const char *subject)
{
    for (size_t i = 0; i < c->n_told; i++)
        if (strcmp(c->told[i], subject) == 0) return true;
    return false;
}

mg_status mg_verify_say(mg_dataset_check *c, const char *subject, mg_verify_list list,
                        mg_verify_remedy remedy, const char *format, ...)
{
    mg_text t = {0};
    va_list args;
    char *text;

    if (list < MG_N_LISTS) c->told_list[list] = true;
    if (mg_verify_was_told(c, subject)) return MG_OK;
    if (c->n_told < MOST_TOLD) {
        MG_RETURN(mg_grow(&c->told, &c->told_capacity, c->n_told + 1, sizeof *c->told, "verify"));
        if (!(c->told[c->n_told] = strdup(subject))) return mg_fail(MG_ENOMEM, "verify: no memory");
        c->n_told++;
    }
    va_start(args, format);
    mg_text_vshow(&t, format, args);
    va_end(args);
    mg_text_add(&t, remedy_text(c, remedy));
    MG_RETURN(mg_text_end(&t, &text, "verify"));
    c->v->n_damaged++;
    c->say(c->say_arg, text);
    free(text);
    return MG_OK;
}

static int compare_files(const void *a, const void *b)
{
    const mg_verify_clip *const *x = a, *const *y = b;

    return strcmp((*x)->file, (*y)->file);
}

static int compare_ids(const void *a, const void *b)
{
    const mg_verify_clip *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

mg_verify_clip *mg_verify_find_file(const mg_dataset_check *c, const char *file)
{
    const mg_verify_clip key = {.file = (char *)file}, *at = &key;
    mg_verify_clip **found =
        c->n_clips ? bsearch(&at, c->by_file, c->n_clips, sizeof *c->by_file, compare_files) : NULL;

    return found ? *found : NULL;
}

mg_verify_clip *mg_verify_find_id(const mg_dataset_check *c, const char *id)
{
    const mg_verify_clip key = {.id = (char *)id}, *at = &key;
    mg_verify_clip **found =
        c->n_clips ? bsearch(&at, c->by_id, c->n_clips, sizeof *c->by_id, compare_ids) : NULL;

    return found ? *found : NULL;
}

mg_status mg_verify_read_line(mg_clip_line *line, const mg_dataset_check *c, const mg_verify_clip *clip)
{
    return mg_clip_line_parse(line, clip->file, c->manifest.file.data + clip->at, clip->bytes);
}

static bool is_lossy(const char *path)
{
    return mg_text_ends_with(path, ".mp3") || mg_text_ends_with(path, ".ogg") ||
           mg_text_ends_with(path, ".opus");
}

mg_status mg_verify_sound(const mg_clip_line *line, const char *path, const char *shown)
{
    mg_status st = MG_OK;
    mg_sound sound = {0};
    mg_clip_metadata m = {0};
    int64_t n = -1;

    st = mg_audio_file_read(&sound, path, INFINITY);
    if (st != MG_OK) { /* the path may be a temporary one */
        const char *why = strstr(mg_last_error(), ": ");
        st = mg_fail(MG_EFAIL, "does not decode: %s", why ? why + 2 : mg_last_error());
        goto done;
    }
    if (line->recipe) {
        MG_TRY(mg_clip_metadata_parse(&m, shown, line->recipe, (int64_t)strlen(line->recipe)));
        n = m.n_frames_pcm;
    }
    const int64_t off = n >= 0 ? llabs(sound.n_frames - n) : 0;
    if (off > (is_lossy(shown) ? LOSSY_SLACK : 0))
        MG_TRY(mg_fail(MG_EFAIL, "has %lld sample%s, recorded is %lld", (long long)sound.n_frames,
                       mg_plural(sound.n_frames), (long long)n));
    if (line->sampling_rate > 0 && line->sampling_rate != sound.rate_hz)
        MG_TRY(mg_fail(MG_EFAIL, "has %lld Hz, recorded is %lld", (long long)sound.rate_hz,
                       (long long)line->sampling_rate));
    if (line->channels > 0 && line->channels != sound.n_channels)
        MG_TRY(mg_fail(MG_EFAIL, "has %lld channel%s, recorded is %lld", (long long)sound.n_channels,
                       mg_plural(sound.n_channels), (long long)line->channels));
done:
    mg_clip_metadata_close(&m);
    mg_sound_close(&sound);
    return st;
}

mg_status mg_verify_sort_clips(mg_dataset_check *c)
{
    const size_t n = c->n_clips;

    c->by_file = calloc(n + 1, sizeof *c->by_file);
    c->by_id = calloc(n + 1, sizeof *c->by_id);
    if (!c->by_file || !c->by_id) return mg_fail(MG_ENOMEM, "verify: %zu clips", n);
    for (size_t i = 0; i < n; i++) c->by_file[i] = c->by_id[i] = &c->clip[i];
    qsort(c->by_file, n, sizeof *c->by_file, compare_files);
    qsort(c->by_id, n, sizeof *c->by_id, compare_ids);
    for (size_t i = 1; i < n; i++) {
        const mg_verify_clip *a = c->by_id[i - 1], *b = c->by_id[i];
        if (strcmp(a->id, b->id) == 0)
            MG_RETURN(mg_verify_say(c, b->id, MG_LIST_MANIFEST, MG_REMEDY_LISTS,
                                    "manifest.jsonl: lines %lld and %lld: id %s is there twice",
                                    (long long)(a->line < b->line ? a->line : b->line),
                                    (long long)(a->line < b->line ? b->line : a->line), b->id));
    }
    return MG_OK;
}
