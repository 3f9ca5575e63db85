#include "pack_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in_file.h"
#include "out_file.h"
#include "stop.h"

enum {
    KEY_AT = 32,
    MODEL_AT = 96,
    SUM_AT = MODEL_AT + MG_PACK_MODEL_SIZE,
    TABLE_AT = 384,
    DATA_ALIGN = 4096,
    PIECE_BYTES = 256 << 10, /* read and summed at once: it stays in a second-level cache */
    LANES = 8
};

static const char magic[8] = {'M', 'G', 'D', 'P', 'A', 'C', 'K', '\n'};
static const uint32_t byte_order = 0x01020304;

/* Eight lanes of 64 bits. Each step is one to one in the word and in the lane, so no single change of a word
 * is lost. */
typedef struct checksum {
    uint64_t lane[LANES], n_bytes;
} checksum;

static const uint64_t prime = 0x9E3779B185EBCA87;

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * prime;
    return h << 29 | h >> 35;
}

static checksum sum_begin(void)
{
    checksum s = {.n_bytes = 0};

    for (int i = 0; i < LANES; i++) s.lane[i] = prime * (uint64_t)(i + 1);
    return s;
}

/* `bytes` is a multiple of 64 but in the last call. */
static void sum_add(checksum *s, const char *data, int64_t bytes)
{
    checksum t = *s;
    uint64_t word[LANES];

    t.n_bytes += (uint64_t)bytes;
    for (; bytes > 0; data += sizeof word, bytes -= (int64_t)sizeof word) {
        if (bytes < (int64_t)sizeof word) memset(word, 0, sizeof word);
        memcpy(word, data, bytes < (int64_t)sizeof word ? (size_t)bytes : sizeof word);
        for (int i = 0; i < LANES; i++) t.lane[i] = mix(t.lane[i], word[i]);
    }
    *s = t;
}

static uint64_t sum_end(const checksum *s)
{
    uint64_t h = mix(prime, s->n_bytes);

    for (int i = 0; i < LANES; i++) h = mix(h, s->lane[i]);
    return h ^ h >> 32;
}

static uint64_t sum_of_head(const char *head, const char *table, int64_t table_bytes)
{
    checksum s = sum_begin();
    char first[TABLE_AT] = "";

    memcpy(first, head, SUM_AT);
    sum_add(&s, first, sizeof first);
    sum_add(&s, table, table_bytes);
    return sum_end(&s);
}

static int64_t count_chunks(int64_t data_bytes)
{
    return data_bytes / MG_PACK_CHUNK_BYTES + (data_bytes % MG_PACK_CHUNK_BYTES > 0);
}

int64_t mg_pack_head_bytes(int64_t data_bytes)
{
    const int64_t bytes = TABLE_AT + count_chunks(data_bytes) * (int64_t)sizeof(uint64_t);

    return (bytes + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
}

static uint64_t word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

mg_status mg_pack_head_parse(mg_pack_head *out, const char *name, const void *data, int64_t bytes,
                             int64_t file_bytes, const char *key, int64_t data_bytes)
{
    const char *head = data;
    uint32_t version, order;

    if (bytes < TABLE_AT || memcmp(head, magic, sizeof magic) != 0)
        return mg_fail(MG_EFAIL, "%s: is no pack of weights", name);
    memcpy(&version, head + 8, sizeof version);
    memcpy(&order, head + 12, sizeof order);
    if (order != byte_order)
        return mg_fail(MG_EFAIL, "%s: was made on a machine of another byte order", name);
    if (version != MG_PACK_VERSION)
        return mg_fail(MG_EFAIL, "%s: is stale: packs are of version %d now, this one is of %u", name,
                       MG_PACK_VERSION, version);
    if (strncmp(head + KEY_AT, key, strnlen(key, 64)) != 0)
        return mg_fail(MG_EFAIL, "%s: is a pack of other weights or settings", name);
    if (data_bytes < 0 && word_at(head + 16) <= (uint64_t)file_bytes)
        data_bytes = (int64_t)word_at(head + 16);
    if (data_bytes < 0) return mg_fail(MG_EFAIL, "%s: has %lld bytes, too few", name, (long long)file_bytes);
    const int64_t first = mg_pack_head_bytes(data_bytes), n_chunks = count_chunks(data_bytes);
    if (word_at(head + 16) != (uint64_t)data_bytes || word_at(head + 24) != MG_PACK_CHUNK_BYTES)
        return mg_fail(MG_EFAIL, "%s: holds %llu bytes of weights, expected %lld", name,
                       (unsigned long long)word_at(head + 16), (long long)data_bytes);
    if (file_bytes != first + data_bytes || bytes < first)
        return mg_fail(MG_EFAIL, "%s: has %lld bytes of %lld", name, (long long)file_bytes,
                       (long long)(first + data_bytes));
    if (word_at(head + SUM_AT) != sum_of_head(head, head + TABLE_AT, n_chunks * (int64_t)sizeof(uint64_t)))
        return mg_fail(MG_EFAIL, "%s: is damaged: the checksum of its head is wrong", name);
    if (!memchr(head + MODEL_AT, '\0', MG_PACK_MODEL_SIZE))
        return mg_fail(MG_EFAIL, "%s: is damaged: its model's name has no end", name);
    *out = (mg_pack_head){data_bytes, first, n_chunks, head + MODEL_AT, head + TABLE_AT};
    return MG_OK;
}

/* Chunks of a file that are read, or of memory that is summed. */
typedef struct chunk_job {
    int fd; /* -1: the data are there already */
    mg_pack_head head;
    char *data;
    uint64_t *sum; /* [n_chunks] */
    int error;     /* an errno */
    int64_t n_threads, n_each;
} chunk_job;

static void run_chunk(chunk_job *j, int64_t c)
{
    const int64_t begin = c * MG_PACK_CHUNK_BYTES, left = j->head.data_bytes - begin;
    const int64_t n = left < MG_PACK_CHUNK_BYTES ? left : MG_PACK_CHUNK_BYTES;
    checksum s = sum_begin();

    for (int64_t at = begin; at < begin + n; at += PIECE_BYTES) {
        const int64_t piece = begin + n - at < PIECE_BYTES ? begin + n - at : PIECE_BYTES;
        int error = mg_stop_requested() ? ECANCELED : 0;
        if (!error && j->fd >= 0)
            error = mg_in_file_copy(j->fd, j->data + at, j->head.first_byte + at, piece);
        if (error) {
            __atomic_store_n(&j->error, error, __ATOMIC_RELAXED);
            return;
        }
        sum_add(&s, j->data + at, piece);
    }
    j->sum[c] = sum_end(&s);
}

/* A thread's share is every n_threads-th chunk: who touches memory first decides the NUMA node it is on, and
 * a matrix on one node alone has half the speed of two. */
static void run_share(void *arg, int64_t first, int64_t end, int i_thread)
{
    chunk_job *j = arg;

    (void)i_thread;
    for (int64_t i = first; i < end; i++) {
        const int64_t c = i % j->n_each * j->n_threads + i / j->n_each;
        if (c < j->head.n_chunks && !__atomic_load_n(&j->error, __ATOMIC_RELAXED)) run_chunk(j, c);
    }
}

/* Of many gigabytes: a signal to stop ends it. */
static mg_status run_chunks(chunk_job *j, mg_threads *threads)
{
    j->n_threads = mg_threads_count(threads);
    j->n_each = (j->head.n_chunks + j->n_threads - 1) / j->n_threads;
    mg_threads_run(threads, run_share, j, j->n_threads * j->n_each);
    return mg_stop_check();
}

static mg_status read_head(chunk_job *j, char **head, const char *path, const char key[65],
                           int64_t data_bytes)
{
    const int64_t bytes = mg_pack_head_bytes(data_bytes);
    struct stat info;

    j->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not make us wait */
    if (j->fd < 0 || fstat(j->fd, &info) != 0)
        return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
    const int64_t n = info.st_size < bytes ? info.st_size : bytes;
    *head = calloc(1, (size_t)bytes);
    j->sum = calloc((size_t)count_chunks(data_bytes) + 1, sizeof *j->sum);
    if (!*head || !j->sum) return mg_fail(MG_ENOMEM, "%s: %lld bytes", path, (long long)bytes);
    const int error = mg_in_file_copy(j->fd, *head, 0, n);
    if (error) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(error));
    return mg_pack_head_parse(&j->head, path, *head, n, info.st_size, key, data_bytes);
}

mg_status mg_pack_read(const char *path, const char key[65], void *dst, int64_t data_bytes,
                       mg_threads *threads)
{
    chunk_job job = {.fd = -1, .data = dst};
    char *head = NULL;
    mg_status st = MG_OK;

    MG_TRY(read_head(&job, &head, path, key, data_bytes));
    MG_TRY(run_chunks(&job, threads));
    if (job.error)
        MG_TRY(mg_fail(MG_EFAIL, "%s: cannot read: %s", path,
                       job.error == ENODATA ? "it was cut short meanwhile" : strerror(job.error)));
    for (int64_t c = 0; c < job.head.n_chunks; c++)
        if (job.sum[c] != word_at(job.head.sums + c * (int64_t)sizeof(uint64_t)))
            MG_TRY(mg_fail(MG_EFAIL, "%s: is damaged: the checksum of its chunk %lld is wrong", path,
                           (long long)c));
done:
    if (job.fd >= 0) close(job.fd);
    free(job.sum);
    free(head);
    return st;
}

mg_status mg_pack_look(char model[MG_PACK_MODEL_SIZE], const char *path, const char *key)
{
    mg_status st = MG_OK;
    mg_mapped_file f;
    mg_pack_head head = {.model = ""};

    MG_RETURN(mg_in_file_map(&f, path));
    MG_TRY(mg_pack_head_parse(&head, path, f.data, f.bytes, f.bytes, key, -1));
    memcpy(model, head.model, MG_PACK_MODEL_SIZE);
    st = mg_in_file_check(&f);
done:
    mg_in_file_unmap(&f);
    return st;
}

/* It may take minutes, as above. */
static mg_status write_data(mg_out_file *f, const char *data, int64_t data_bytes)
{
    for (int64_t at = 0, n; at < data_bytes; at += n) {
        n = data_bytes - at < MG_PACK_CHUNK_BYTES ? data_bytes - at : MG_PACK_CHUNK_BYTES;
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_out_file_write(f, data + at, (size_t)n));
    }
    return MG_OK;
}

mg_status mg_pack_write(const char *path, const char key[65], const char *model, const void *data,
                        int64_t data_bytes, mg_threads *threads)
{
    const int64_t bytes = mg_pack_head_bytes(data_bytes), n_chunks = count_chunks(data_bytes);
    const uint32_t version = MG_PACK_VERSION;
    const uint64_t n_data = (uint64_t)data_bytes, n_chunk = MG_PACK_CHUNK_BYTES;
    mg_out_file f = {.fd = -1};
    mg_status st = MG_OK;

    MG_REQUIRE(strlen(model) < MG_PACK_MODEL_SIZE);
    char *head = calloc(1, (size_t)bytes);
    if (!head) return mg_fail(MG_ENOMEM, "%s: %lld bytes", path, (long long)bytes);
    chunk_job job = {.fd = -1, /* only read: */ .data = (char *)(uintptr_t)data};
    job.head.data_bytes = data_bytes;
    job.head.n_chunks = n_chunks;
    job.sum = (uint64_t *)(void *)(head + TABLE_AT);
    MG_TRY(run_chunks(&job, threads));
    memcpy(head, magic, sizeof magic);
    memcpy(head + 8, &version, sizeof version);
    memcpy(head + 12, &byte_order, sizeof byte_order);
    memcpy(head + 16, &n_data, sizeof n_data);
    memcpy(head + 24, &n_chunk, sizeof n_chunk);
    memcpy(head + KEY_AT, key, 64);
    memcpy(head + MODEL_AT, model, strlen(model));
    const uint64_t sum = sum_of_head(head, head + TABLE_AT, n_chunks * (int64_t)sizeof(uint64_t));
    memcpy(head + SUM_AT, &sum, sizeof sum);
    MG_TRY(mg_out_file_begin(&f, path));
    MG_TRY(mg_out_file_write(&f, head, (size_t)bytes));
    MG_TRY(write_data(&f, data, data_bytes));
    MG_TRY(mg_out_file_commit(&f));
done:
    mg_out_file_abandon(&f);
    free(head);
    return st;
}
