/* Files as a Linux system has them, below a folder of a test's own. */
#ifndef MG_SYSTEM_FILES_H
#define MG_SYSTEM_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* The file at `path` below `root`, and its folders. */
static inline void put_below(const char *root, const char *path, const char *text)
{
    char command[4000];

    snprintf(command, sizeof command, "mkdir -p '%s/%s' && rmdir '%s/%s'", root, path, root, path);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof command, "%s/%s", root, path);
    FILE *f = fopen(command, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void remove_folder(const char *folder)
{
    char command[300];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

#endif
