#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "progress.h"
#include "stop.h"
#include "text.h"
#include "verify.h"

enum { MAX_NAMED = 6, N_PARTS = 4 };

/* One file of a cache or of a download: is its content what its blob's name, or the note beside it, says? */
static mg_status check_hash(const char *folder, const char *name, char seen[65], bool *same)
{
    char path[MG_PATH_SIZE], claimed[65];

    *same = true;
    seen[0] = '\0';
    MG_RETURN(mg_path_format(path, "%s/%s", folder, name));
    if (!mg_hub_blob_hash(claimed, path) && !mg_hub_local_hash(claimed, folder, name)) return MG_OK;
    MG_RETURN(mg_stop_check());
    MG_RETURN(strlen(claimed) == 64 ? mg_hash_file(seen, path) : mg_hash_git_file(seen, path));
    *same = strcmp(seen, claimed) == 0;
    return MG_OK;
}

/* All files of the folder that say what they are. */
static mg_status hash_folder(const char *folder, int *n_hashed, int *n_wrong, char *wrong, size_t wrong_bytes)
{
    mg_status st = MG_OK;
    char seen[65];
    DIR *d = opendir(folder);
    bool same;

    if (!d) return MG_OK;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        MG_TRY(check_hash(folder, e->d_name, seen, &same));
        *n_hashed += seen[0] != '\0';
        if (same) continue;
        const size_t used = strlen(wrong);
        if (++*n_wrong <= MAX_NAMED)
            snprintf(wrong + used, wrong_bytes - used, "%s%s is %s", used ? ", " : "", e->d_name, seen);
    }
done:
    closedir(d);
    return st;
}

/* The folders that the parts lie in, each once. */
static int part_folders(char folder[N_PARTS][MG_PATH_SIZE], const mg_model_files *f)
{
    const mg_model_part *const parts[N_PARTS] = {&f->lm, &f->t5, &f->codec, &f->mert};
    int n = 0;

    for (int i = 0; i < N_PARTS; i++) {
        if (!parts[i]->checkpoint) continue;
        const mg_status st = mg_path_as_folder(folder[n], parts[i]->path);
        bool known = st != MG_OK;
        for (int k = 0; k < n; k++) known = known || strcmp(folder[k], folder[n]) == 0;
        n += !known;
    }
    return n;
}

/* What torch saved has a checksum for each record, where no hub says anything. */
static mg_status check_sums(mg_verify *v)
{
    mg_status st = MG_OK;
    int64_t n = 0;

    for (int k = 0; k < v->files->n_opened && st == MG_OK; k++)
        st = mg_checkpoint_check_sums(v->files->opened[k], &n);
    if (st == MG_ECHECKPOINT) {
        mg_verify_note_error(v, "checksums");
        return MG_OK;
    }
    if (st == MG_OK && n)
        mg_verify_note(v, "checksums", MG_VERIFY_PASSED, "%lld records of torch.save are what theirs say",
                       (long long)n);
    return st;
}

mg_status mg_verify_hashes(mg_verify *v)
{
    char folder[N_PARTS][MG_PATH_SIZE], wrong[1024] = "";
    const int n_folders = part_folders(folder, v->files);
    int n_hashed = 0, n_wrong = 0;

    for (int i = 0; i < n_folders; i++)
        MG_RETURN(hash_folder(folder[i], &n_hashed, &n_wrong, wrong, sizeof wrong));
    if (n_wrong)
        mg_verify_note(v, "hashes", MG_VERIFY_FAILED,
                       "%d of %d files are not what the hub says; fetch them again: %s", n_wrong, n_hashed,
                       wrong);
    else if (n_hashed)
        mg_verify_note(v, "hashes", MG_VERIFY_PASSED, "%d file%s what the hub says", n_hashed,
                       n_hashed == 1 ? " is" : "s are");
    else
        mg_verify_note(v, "hashes", MG_VERIFY_SKIPPED,
                       "no files of a cache or of hf download --local-dir, which say what they are");
    return check_sums(v);
}

/* One walk over a tensor, by all threads, in pieces of MG_HOLE_BYTES. */
typedef struct walk {
    const char *data;
    int64_t bytes;
    mg_dtype dtype;
    int64_t n_bad, zero_bytes; /* NaN and Inf; whole pieces of zeros */
} walk;

/* NaN and Inf have all exponent bits set. */
static int64_t count_bad(const char *data, mg_dtype dtype, int64_t bytes)
{
    const int64_t size = (int64_t)mg_dtype_bytes(dtype);
    const uint64_t mask = dtype == MG_F16    ? 0x7c00
                          : dtype == MG_BF16 ? 0x7f80
                          : dtype == MG_F32  ? 0x7f800000
                                             : 0x7ff0000000000000;
    int64_t n = 0;

    if (dtype != MG_F16 && dtype != MG_BF16 && dtype != MG_F32 && dtype != MG_F64) return 0;
    for (int64_t at = 0; at < bytes; at += size) {
        uint64_t bits = 0;
        memcpy(&bits, data + at, (size_t)size);
        n += (bits & mask) == mask;
    }
    return n;
}

static void walk_pieces(void *arg, int64_t first, int64_t end, int i_thread)
{
    walk *w = arg;
    int64_t n_bad = 0, zero_bytes = 0;

    (void)i_thread;
    for (int64_t i = first; i < end && !mg_stop_requested(); i++) {
        const char *piece = w->data + i * MG_HOLE_BYTES;
        const int64_t left = w->bytes - i * MG_HOLE_BYTES, n = left < MG_HOLE_BYTES ? left : MG_HOLE_BYTES;
        if (n == MG_HOLE_BYTES && mg_is_zeros(piece, (size_t)n))
            zero_bytes += n;
        else
            n_bad += count_bad(piece, w->dtype, n);
    }
    __atomic_fetch_add(&w->n_bad, n_bad, __ATOMIC_RELAXED);
    __atomic_fetch_add(&w->zero_bytes, zero_bytes, __ATOMIC_RELAXED);
}

static walk walk_tensor(mg_verify *v, const mg_tensor *t)
{
    walk w = {.data = t->data, .bytes = (int64_t)mg_tensor_bytes(t), .dtype = t->dtype};

    mg_threads_run(v->backend.threads, walk_pieces, &w, (w.bytes + MG_HOLE_BYTES - 1) / MG_HOLE_BYTES);
    return w;
}

/* What zeros in a tensor of the files mean. */
enum meaning { MAY_BE_ZEROS, IS_HOLE, IS_UNTRAINED };

/* A codebook that no training has begun on is zeros, and says so. */
static bool is_untrained(const mg_checkpoint *c, const mg_checkpoint_entry *e)
{
    static const char codebook[] = ".codebook.embed";
    char name[MG_KEY_MAX];

    if (!mg_text_ends_with(e->name, codebook)) return false;
    snprintf(name, sizeof name, "%.*sinited", (int)(strlen(e->name) - strlen("embed")), e->name);
    const mg_checkpoint_entry *inited = mg_checkpoint_find(c, name);
    return inited && mg_is_zeros(inited->tensor.data, mg_tensor_bytes(&inited->tensor)) &&
           mg_is_zeros(e->tensor.data, mg_tensor_bytes(&e->tensor));
}

/* [n_sources], malloc'ed. What no part of a model is called by may be anything, and so may a codebook's
 * average, which only training reads. */
static mg_status find_meanings(char **out, const mg_checkpoint *c)
{
    *out = calloc(mg_checkpoint_n_sources(c) + 1, 1);
    if (!*out) return mg_fail(MG_ENOMEM, "verify: %zu tensors", mg_checkpoint_n_sources(c));
    for (size_t i = 0; i < mg_checkpoint_count(c); i++) {
        const mg_checkpoint_entry *e = mg_checkpoint_at(c, i);
        if (mg_text_ends_with(e->name, ".embed_avg")) continue;
        (*out)[e->i_source] = is_untrained(c, e) ? IS_UNTRAINED : IS_HOLE;
    }
    return MG_OK;
}

/* What was found in all tensors. */
typedef struct findings {
    int64_t n_tensors, n_bytes, n_wrong, n_hollow, hollow_bytes, n_untrained;
    char named[1024];                               /* of the wrong ones */
    const mg_checkpoint_source *hollow, *untrained; /* the first hollow one, the first untrained one */
} findings;

static void add_tensor(findings *f, const mg_checkpoint_source *s, const walk *w, int meaning)
{
    const size_t used = strlen(f->named);

    f->n_tensors++;
    f->n_bytes += w->bytes;
    if (w->n_bad && ++f->n_wrong <= MAX_NAMED)
        snprintf(f->named + used, sizeof f->named - used, "%s%s (%lld)", used ? ", " : "", s->name,
                 (long long)w->n_bad);
    if (!w->zero_bytes) return;
    if (meaning == IS_UNTRAINED && f->n_untrained++ == 0) f->untrained = s;
    if (meaning != IS_HOLE) return;
    if (f->n_hollow++ == 0) f->hollow = s;
    f->hollow_bytes += w->zero_bytes;
}

static void judge(mg_verify *v, const findings *f)
{
    if (f->n_wrong)
        mg_verify_note(v, "finite weights", MG_VERIFY_FAILED, "NaN or Inf in %lld of %lld tensors: %s%s",
                       (long long)f->n_wrong, (long long)f->n_tensors, f->named,
                       f->n_wrong > MAX_NAMED ? ", …" : "");
    else
        mg_verify_note(v, "finite weights", MG_VERIFY_PASSED, "%lld tensors without NaN or Inf",
                       (long long)f->n_tensors);
    if (f->n_hollow)
        mg_verify_note(v, "no holes", MG_VERIFY_FAILED,
                       "%.1f MB of zeros in %lld tensors, %s of %s the first: the file was not fetched or "
                       "copied whole, though its length is right",
                       (double)f->hollow_bytes / 1e6, (long long)f->n_hollow, f->hollow->name,
                       f->hollow->file);
    else if (f->n_untrained)
        mg_verify_note(v, "no holes", MG_VERIFY_PASSED,
                       "no zeros over many pages, but in %lld codebook%s never trained (inited is 0), %s the "
                       "first",
                       (long long)f->n_untrained, f->n_untrained == 1 ? " that was" : "s that were",
                       f->untrained->name);
    else
        mg_verify_note(v, "no holes", MG_VERIFY_PASSED, "no zeros over many pages");
}

static mg_status walk_checkpoint(mg_verify *v, findings *f, const mg_checkpoint *c, mg_progress *progress)
{
    char *meaning;
    mg_status st = find_meanings(&meaning, c);

    for (size_t i = 0; st == MG_OK && i < mg_checkpoint_n_sources(c); i++) {
        const mg_checkpoint_source *s = mg_checkpoint_source_at(c, i);
        const walk w = walk_tensor(v, &s->tensor);
        add_tensor(f, s, &w, meaning[i]);
        mg_progress_update(progress, f->n_bytes);
        st = mg_stop_check();
    }
    free(meaning);
    return st;
}

mg_status mg_verify_finite(mg_verify *v)
{
    const mg_model_files *files = v->files;
    mg_status st = MG_OK;
    findings found = {0};
    int64_t n_all = 0;
    mg_progress progress;

    for (int k = 0; k < files->n_opened; k++) n_all += (int64_t)mg_checkpoint_bytes(files->opened[k]);
    mg_progress_begin(&progress, "verify", "MB", n_all);
    progress.unit_size = 1000000;
    for (int k = 0; k < files->n_opened; k++) MG_TRY(walk_checkpoint(v, &found, files->opened[k], &progress));
    MG_TRY(mg_model_files_check(files));
    judge(v, &found);
done:
    mg_progress_end(&progress);
    return st;
}
