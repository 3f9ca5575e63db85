#include "git_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 16, DIGEST_BYTES = 20 };

/* "blob 123", a NUL, and the 123 bytes. */
static mg_status digest_fd(unsigned char digest[EVP_MAX_MD_SIZE], int fd, const char *path, EVP_MD_CTX *ctx)
{
    char chunk[CHUNK_BYTES], head[32];
    unsigned n_digest = 0;
    struct stat info;

    if (fstat(fd, &info) != 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
    const int n_head = snprintf(head, sizeof head, "blob %lld", (long long)info.st_size) + 1;
    if (!EVP_DigestInit_ex(ctx, EVP_sha1(), NULL) || !EVP_DigestUpdate(ctx, head, (size_t)n_head))
        return mg_fail(MG_EFAIL, "sha1: not available");
    for (;;) {
        const ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0) break;
        if (!EVP_DigestUpdate(ctx, chunk, (size_t)n)) return mg_fail(MG_EFAIL, "sha1: %s", path);
    }
    if (!EVP_DigestFinal_ex(ctx, digest, &n_digest) || n_digest != DIGEST_BYTES)
        return mg_fail(MG_EFAIL, "sha1: %s", path);
    return MG_OK;
}

mg_status mg_git_hash_file(char out[65], const char *path)
{
    mg_status st = MG_OK;
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    out[0] = '\0';
    if (fd < 0) MG_TRY(mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno)));
    if (!ctx) MG_TRY(mg_fail(MG_ENOMEM, "sha1: no memory"));
    MG_TRY(digest_fd(digest, fd, path, ctx));
    for (int i = 0; i < DIGEST_BYTES; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
done:
    if (fd >= 0) close(fd);
    EVP_MD_CTX_free(ctx);
    return st;
}
