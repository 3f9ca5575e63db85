#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stop.h"

enum { CHUNK_BYTES = 1 << 20 };

static atomic_bool a_signal; /* its place alone: who passes it is stopped by a signal */

static mg_status check_stop(const atomic_bool *stop, const char *path)
{
    if (stop == &a_signal) return mg_stop_check();
    return stop && atomic_load(stop) ? mg_fail(MG_ESTOPPED, "%s: hashing was stopped", path) : MG_OK;
}

/* What runs over `head`, which may be "", and then the file. */
static mg_status digest_fd(EVP_MD_CTX *ctx, const EVP_MD *kind, const char *head, size_t head_bytes, int fd,
                           const char *path, char *chunk, const atomic_bool *stop)
{
    if (!EVP_DigestInit_ex(ctx, kind, NULL) || !EVP_DigestUpdate(ctx, head, head_bytes))
        return mg_fail(MG_EFAIL, "%s: not available", EVP_MD_get0_name(kind));
    for (;;) {
        MG_RETURN(check_stop(stop, path));
        const ssize_t n = read(fd, chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) return MG_OK;
        if (!EVP_DigestUpdate(ctx, chunk, (size_t)n)) return mg_fail(MG_EFAIL, "%s: cannot hash", path);
    }
}

static void print_digest(char out[65], const unsigned char *digest, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[2 * n] = '\0';
}

/* A file that is open, from its begin, whatever its name leads to by now; without /proc by its name. */
static int open_again(int open_fd, const char *path)
{
    char name[32];

    snprintf(name, sizeof name, "/proc/self/fd/%d", open_fd);
    const int fd = open_fd >= 0 ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

static mg_status hash_file(char out[65], const EVP_MD *kind, bool as_git, const char *path, int open_fd,
                           const atomic_bool *stop)
{
    mg_status st = MG_OK;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char head[32] = "";
    unsigned n_digest = 0;
    struct stat info;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *chunk = malloc(CHUNK_BYTES);
    const int fd = open_again(open_fd, path);

    out[0] = '\0';
    if (fd < 0 || fstat(fd, &info) != 0)
        MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno)));
    if (!ctx || !chunk) MG_TRY(mg_fail(MG_ENOMEM, "hash: %d bytes", CHUNK_BYTES));
    /* git: "blob 123", a NUL, and the 123 bytes */
    const int n_head = as_git ? snprintf(head, sizeof head, "blob %lld", (long long)info.st_size) + 1 : 0;
    MG_TRY(digest_fd(ctx, kind, head, (size_t)n_head, fd, path, chunk, stop));
    if (!EVP_DigestFinal_ex(ctx, digest, &n_digest) || n_digest > 32)
        MG_TRY(mg_fail(MG_EFAIL, "%s: cannot hash", path));
    print_digest(out, digest, n_digest);
done:
    if (fd >= 0) close(fd);
    free(chunk);
    EVP_MD_CTX_free(ctx);
    return st;
}

mg_status mg_hash_bytes(char out[65], const void *data, size_t bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;

    out[0] = '\0';
    if (!EVP_Digest(data, bytes, digest, &n_digest, EVP_sha256(), NULL) || n_digest != 32)
        return mg_fail(MG_EFAIL, "SHA256: not available");
    print_digest(out, digest, n_digest);
    return MG_OK;
}

mg_status mg_hash_file(char out[65], const char *path)
{
    return hash_file(out, EVP_sha256(), false, path, -1, &a_signal);
}

mg_status mg_hash_file_unless(char out[65], const char *path, const atomic_bool *stop)
{
    return hash_file(out, EVP_sha256(), false, path, -1, stop);
}

mg_status mg_hash_open_file(char out[65], int fd, const char *path, const atomic_bool *stop)
{
    return hash_file(out, EVP_sha256(), false, path, fd, stop);
}

mg_status mg_hash_git_file(char out[65], const char *path)
{
    return hash_file(out, EVP_sha1(), true, path, -1, &a_signal);
}

struct mg_hash {
    EVP_MD_CTX *ctx;
};

mg_status mg_hash_open(mg_hash **out)
{
    mg_hash *h = calloc(1, sizeof *h);

    *out = NULL;
    if (h) h->ctx = EVP_MD_CTX_new();
    if (h && h->ctx && EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL)) {
        *out = h;
        return MG_OK;
    }
    mg_hash_close(h);
    return mg_fail(MG_ENOMEM, "hash: no memory");
}

mg_status mg_hash_add(mg_hash *h, const void *data, size_t bytes)
{
    return EVP_DigestUpdate(h->ctx, data, bytes) ? MG_OK : mg_fail(MG_EFAIL, "SHA256: cannot hash");
}

mg_status mg_hash_end(mg_hash *h, char out[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;
    const bool done = EVP_DigestFinal_ex(h->ctx, digest, &n_digest) && n_digest == 32;

    out[0] = '\0';
    if (done) print_digest(out, digest, n_digest);
    mg_hash_close(h);
    return done ? MG_OK : mg_fail(MG_EFAIL, "SHA256: cannot hash");
}

void mg_hash_close(mg_hash *h)
{
    if (!h) return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}
