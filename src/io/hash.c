#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, DIGEST_BYTES = 32 };

static mg_status digest_fd(unsigned char digest[EVP_MAX_MD_SIZE], int fd, const char *path, EVP_MD_CTX *ctx,
                           char *chunk, const atomic_bool *stop)
{
    unsigned n_digest = 0;

    if (!EVP_DigestInit_ex(ctx, EVP_sha256(), NULL)) return mg_fail(MG_EFAIL, "sha256: not available");
    for (;;) {
        if (stop && atomic_load(stop)) return mg_fail(MG_ESTOPPED, "%s: hashing was stopped", path);
        const ssize_t n = read(fd, chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) break;
        if (!EVP_DigestUpdate(ctx, chunk, (size_t)n)) return mg_fail(MG_EFAIL, "sha256: %s", path);
    }
    if (!EVP_DigestFinal_ex(ctx, digest, &n_digest) || n_digest != DIGEST_BYTES)
        return mg_fail(MG_EFAIL, "sha256: %s", path);
    return MG_OK;
}

static void print_digest(char out[65], const unsigned char digest[DIGEST_BYTES])
{
    for (int i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[2 * DIGEST_BYTES] = '\0';
}

mg_status mg_hash_bytes(char out[65], const void *data, size_t bytes)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n_digest = 0;

    out[0] = '\0';
    if (!EVP_Digest(data, bytes, digest, &n_digest, EVP_sha256(), NULL) || n_digest != DIGEST_BYTES)
        return mg_fail(MG_EFAIL, "sha256: not available");
    print_digest(out, digest);
    return MG_OK;
}

mg_status mg_hash_file(char out[65], const char *path)
{
    return mg_hash_file_unless(out, path, NULL);
}

mg_status mg_hash_file_unless(char out[65], const char *path, const atomic_bool *stop)
{
    mg_status st = MG_OK;
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *chunk = malloc(CHUNK_BYTES);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    out[0] = '\0';
    if (fd < 0) MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno)));
    if (!ctx || !chunk) MG_TRY(mg_fail(MG_ENOMEM, "sha256: %d bytes", CHUNK_BYTES));
    MG_TRY(digest_fd(digest, fd, path, ctx, chunk, stop));
    print_digest(out, digest);
done:
    if (fd >= 0) close(fd);
    free(chunk);
    EVP_MD_CTX_free(ctx);
    return st;
}
