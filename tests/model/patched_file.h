/* Damaged and renamed copies of a safetensors file: names in the header replaced, values in the data
 * overwritten. Offsets count from the end of the header, so a longer header harms nothing. */
#ifndef MG_PATCHED_FILE_H
#define MG_PATCHED_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct patched_file {
    char path[64];
    char *header; /* NUL-ended */
    char *data;
    size_t data_bytes;
} patched_file;

static inline void patched_read(patched_file *p, const char *src)
{
    FILE *f = fopen(src, "rb");
    uint64_t n = 0;

    if (!f || fread(&n, sizeof n, 1, f) != 1) fail_msg("%s: cannot be read", src);
    fseek(f, 0, SEEK_END);
    p->data_bytes = (size_t)ftell(f) - 8 - (size_t)n;
    p->header = calloc(1, (size_t)n + 1);
    p->data = malloc(p->data_bytes);
    if (!p->header || !p->data) fail_msg("no memory");
    fseek(f, 8, SEEK_SET);
    if (fread(p->header, 1, (size_t)n, f) != n || fread(p->data, 1, p->data_bytes, f) != p->data_bytes)
        fail_msg("%s: cannot be read", src);
    fclose(f);
}

/* Replace `from` by `to` everywhere in the header; returns how many times. */
static inline int patched_rename(patched_file *p, const char *from, const char *to)
{
    const size_t n_from = strlen(from), n_to = strlen(to);
    int n = 0;

    for (char *at = strstr(p->header, from); at; n++) {
        const size_t before = (size_t)(at - p->header);
        char *grown = malloc(strlen(p->header) + n_to + 1);
        if (!grown) fail_msg("no memory");
        memcpy(grown, p->header, before);
        strcpy(grown + before, to);
        strcpy(grown + before + n_to, at + n_from);
        free(p->header);
        p->header = grown;
        at = strstr(grown + before + n_to, from);
    }
    return n;
}

/* The bytes of tensor `name`. */
static inline char *patched_tensor(patched_file *p, const char *name)
{
    char key[256];
    long long offset = 0;

    snprintf(key, sizeof key, "\"%s\"", name);
    const char *entry = strstr(p->header, key);
    if (!entry) fail_msg("%s: not in the header", name);
    const char *offsets = strstr(entry, "\"data_offsets\":[");
    if (!offsets || sscanf(offsets, "\"data_offsets\":[%lld", &offset) != 1) fail_msg("%s: no offsets", name);
    return p->data + offset;
}

/* Write it under a temporary name, p->path. `shift` spaces behind the header put the data out of line. */
static inline void patched_write(patched_file *p, int shift)
{
    const size_t text_bytes = strlen(p->header);
    const uint64_t n = (text_bytes + 7) / 8 * 8 + (uint64_t)shift;
    FILE *f;

    snprintf(p->path, sizeof p->path, "/tmp/mg-test-%ld-XXXXXX.safetensors", (long)getpid());
    const int fd = mkstemps(p->path, (int)strlen(".safetensors"));
    f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!f) fail_msg("%s: cannot be written", p->path);
    fwrite(&n, sizeof n, 1, f);
    fwrite(p->header, 1, text_bytes, f);
    for (uint64_t i = text_bytes; i < n; i++) fputc(' ', f);
    fwrite(p->data, 1, p->data_bytes, f);
    if (fclose(f)) fail_msg("%s: cannot be written", p->path);
}

static inline void patched_close(patched_file *p)
{
    if (p->path[0]) unlink(p->path);
    free(p->header);
    free(p->data);
    *p = (patched_file){0};
}

#endif
