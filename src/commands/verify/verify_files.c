#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "progress.h"
#include "stop.h"
#include "text.h"
#include "verify.h"

enum { MAX_NAMED = 6, ZEROS_BYTES = 256 << 10 };

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
static int part_folders(char folder[3][MG_PATH_SIZE], const mg_model_files *f)
{
    const mg_model_part *const parts[] = {&f->lm, &f->t5, &f->codec};
    int n = 0;

    for (int i = 0; i < 3; i++) {
        if (!parts[i]->checkpoint) continue;
        const mg_status st = mg_path_is_folder(parts[i]->path)
                                 ? mg_path_format(folder[n], "%s", parts[i]->path)
                                 : mg_path_folder(folder[n], parts[i]->path);
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
    char folder[3][MG_PATH_SIZE], wrong[1024] = "";
    const int n_folders = part_folders(folder, v->files);
    int n_hashed = 0, n_wrong = 0;

    for (int i = 0; i < n_folders; i++)
        MG_RETURN(hash_folder(folder[i], &n_hashed, &n_wrong, wrong, sizeof wrong));
    if (n_wrong)
        mg_verify_note(v, "hashes", MG_VERIFY_FAILED, "%d of %d files are not what the hub says: %s", n_wrong,
                       n_hashed, wrong);
    else if (n_hashed)
        mg_verify_note(v, "hashes", MG_VERIFY_PASSED, "%d files are what the hub says", n_hashed);
    else
        mg_verify_note(v, "hashes", MG_VERIFY_SKIPPED,
                       "no files of a cache or of hf download --local-dir, which say what they are");
    return check_sums(v);
}

/* NaN and Inf have all exponent bits set. */
typedef struct counter {
    const char *data;
    mg_dtype dtype;
    int64_t n_bad; /* of all threads */
} counter;

static void count_range(void *arg, int64_t first, int64_t end, int i_thread)
{
    counter *c = arg;
    int64_t n = 0;

    for (int64_t i = first; i < end; i++) {
        uint64_t bits = 0;
        memcpy(&bits, c->data + (size_t)i * mg_dtype_bytes(c->dtype), mg_dtype_bytes(c->dtype));
        const uint64_t mask = c->dtype == MG_F16    ? 0x7c00
                              : c->dtype == MG_BF16 ? 0x7f80
                              : c->dtype == MG_F32  ? 0x7f800000
                                                    : 0x7ff0000000000000;
        n += (bits & mask) == mask;
    }
    (void)i_thread;
    __atomic_fetch_add(&c->n_bad, n, __ATOMIC_RELAXED);
}

static int64_t count_bad(mg_verify *v, const mg_tensor *t)
{
    counter c = {.data = t->data, .dtype = t->dtype};

    if (t->dtype != MG_F16 && t->dtype != MG_BF16 && t->dtype != MG_F32 && t->dtype != MG_F64) return 0;
    mg_threads_run(v->backend.threads, count_range, &c, mg_tensor_count(t));
    return c.n_bad;
}

/* Pieces that are zeros alone. Each ends at the first byte that is none. */
static int64_t count_zeros(const mg_tensor *t)
{
    const char *data = t->data;
    int64_t bytes = 0;

    for (size_t at = 0; at + ZEROS_BYTES <= mg_tensor_bytes(t); at += ZEROS_BYTES) {
        size_t i = 0;
        while (i < ZEROS_BYTES && !data[at + i]) i++;
        if (i == ZEROS_BYTES) bytes += ZEROS_BYTES;
    }
    return bytes;
}

/* A hole in a file that has its full length. A codebook's average may be zero: only training reads it. */
static void judge_zeros(mg_verify *v)
{
    const mg_model_files *f = v->files;
    const char *first = NULL, *file = NULL;
    int64_t bytes = 0, n = 0;

    for (int k = 0; k < f->n_opened; k++)
        for (size_t i = 0; i < mg_checkpoint_count(f->opened[k]); i++) {
            const mg_checkpoint_entry *e = mg_checkpoint_at(f->opened[k], i);
            const int64_t zeros = mg_text_ends_with(e->name, ".embed_avg") ? 0 : count_zeros(&e->tensor);
            if (zeros && n++ == 0) first = e->source, file = e->file;
            bytes += zeros;
        }
    if (n)
        mg_verify_note(v, "no holes", MG_VERIFY_FAILED,
                       "%.1f MB of zeros in %lld tensors, %s of %s the first: the file was not fetched or "
                       "copied whole, though its length is right",
                       (double)bytes / 1e6, (long long)n, first, file);
    else
        mg_verify_note(v, "no holes", MG_VERIFY_PASSED, "no zeros over many pages");
}

mg_status mg_verify_finite(mg_verify *v)
{
    const mg_model_files *f = v->files;
    mg_status st = MG_OK;
    char named[1024] = "";
    int64_t n_tensors = 0, n_wrong = 0, n_bytes = 0, n_all = 0;
    mg_progress progress;

    for (int k = 0; k < f->n_opened; k++) n_all += (int64_t)mg_checkpoint_bytes(f->opened[k]);
    mg_progress_begin(&progress, "verify", "MB", n_all);
    progress.unit_size = 1000000;
    for (int k = 0; k < f->n_opened; k++) {
        for (size_t i = 0; i < mg_checkpoint_n_sources(f->opened[k]); i++) {
            const mg_checkpoint_source *s = mg_checkpoint_source_at(f->opened[k], i);
            const int64_t n_bad = count_bad(v, &s->tensor);
            const size_t used = strlen(named);
            MG_TRY(mg_stop_check());
            n_tensors++;
            n_bytes += (int64_t)mg_tensor_bytes(&s->tensor);
            mg_progress_update(&progress, n_bytes);
            if (n_bad && ++n_wrong <= MAX_NAMED)
                snprintf(named + used, sizeof named - used, "%s%s (%lld)", used ? ", " : "", s->name,
                         (long long)n_bad);
        }
    }
    MG_TRY(mg_model_files_check(f));
    if (n_wrong)
        mg_verify_note(v, "finite weights", MG_VERIFY_FAILED, "NaN or Inf in %lld of %lld tensors: %s%s",
                       (long long)n_wrong, (long long)n_tensors, named, n_wrong > MAX_NAMED ? ", …" : "");
    else
        mg_verify_note(v, "finite weights", MG_VERIFY_PASSED, "%lld tensors without NaN or Inf",
                       (long long)n_tensors);
    judge_zeros(v);
done:
    mg_progress_end(&progress);
    return st;
}
