/* A folder of its own for each test, files to put in it, and the two questions most tests ask. */
#ifndef MG_IO_FIXTURE_H
#define MG_IO_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "in_file.h"
#include "status.h"

static char test_dir[64];

static inline int make_dir(void **state)
{
    (void)state;
    snprintf(test_dir, sizeof test_dir, "/tmp/mg-test-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int count_files(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) n++;
    }
    closedir(d);
    return n;
}

/* Removes the folder with the plain files in it, one level of folders included. */
static inline int remove_tree(const char *dir, int depth)
{
    DIR *d = opendir(dir);
    char path[512];

    if (!d) return unlink(dir);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%.200s/%.200s", dir, e->d_name);
        if (unlink(path) != 0 && depth > 0) remove_tree(path, depth - 1);
    }
    closedir(d);
    return rmdir(dir);
}

static inline int drop_dir(void **state)
{
    (void)state;
    return remove_tree(test_dir, 4);
}

/* test_dir/name; good until the fourth call from now. */
static inline const char *in_dir(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", test_dir, name);
    return path;
}

static inline void put_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

/* Never inlined: gcc 12 then takes pointers into the text for pointers to `data`. */
__attribute__((noinline, unused)) static char *get_file(const char *path, int64_t *bytes)
{
    char *data = NULL;

    assert_int_equal(mg_in_file_read(&data, bytes, path, (int64_t)1 << 30), MG_OK);
    return data;
}

/* The status, and a message that holds `part` and is one line. */
static inline void expect_failure(mg_status st, mg_status wanted, const char *part)
{
    if (st != wanted || !strstr(mg_last_error(), part))
        fail_msg("status %d, wanted %d; message \"%s\", wanted \"%s\" in it", st, wanted, mg_last_error(),
                 part);
    assert_null(strchr(mg_last_error(), '\n'));
}

static inline void expect_ok(mg_status st)
{
    if (st != MG_OK) fail_msg("%s", mg_last_error());
}

#endif
