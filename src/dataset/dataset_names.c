/* Where things stand. */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_impl.h"
#include "utf8.h"

/* It begins files' names, stands in a pattern, in YAML, and in what WebDataset takes for an address. */
bool mg_dataset_name_fits(const char *name)
{
    const size_t n = strlen(name);

    if (n == 0 || n > 200 || *name == '.' || mg_utf8_bad_offset(name, (int64_t)n) >= 0) return false;
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7F || strchr("/\\:;#*?\"[]{}", *name)) return false;
    return true;
}

bool mg_dataset_file_fits(const char *name)
{
    for (const char *p = name; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7F) return false;
    const char *dot = strrchr(name, '.');
    return mg_path_stays(name) && dot && dot > mg_path_name(name);
}

bool mg_dataset_shard_fits(const char *name)
{
    return mg_dataset_file_fits(name) && !strchr(name, '/');
}

/* "/a/b" becomes "/a", and "/a" becomes "/"; of "a" nothing is left. */
static void cut_name(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        *path = '\0';
    else
        slash[slash == path] = '\0';
}

mg_status mg_dataset_check_outside(const char *folder, bool itself)
{
    char path[MG_PATH_SIZE], real[PATH_MAX];
    bool above = false; /* `folder` itself was looked at, or is not there */

    MG_RETURN(mg_path_format(path, "%s", folder));
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = '\0';
    while (!realpath(*path ? path : ".", real)) {
        if (!*path || strcmp(path, "/") == 0) return MG_OK; /* who makes it says what is wrong */
        cut_name(path);
        above = true;
    }
    for (; (!above && itself) || !mg_path_has(real, MG_DATASET_OWN "/run.db"); above = true) {
        if (strcmp(real, "/") == 0) return MG_OK;
        cut_name(real);
    }
    return mg_fail(MG_EUSAGE,
                   "%s: is in the dataset %s, whose files are those of its jobs; name "
                   "a folder elsewhere",
                   folder, real);
}

mg_status mg_dataset_check_file_outside(const char *file)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_folder(folder, file));
    return mg_dataset_check_outside(folder, false);
}

mg_status mg_dataset_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name)
{
    return mg_path_format(out, "%s/%s", d->out, name);
}

mg_status mg_dataset_own_path(char out[MG_PATH_SIZE], const char *dir, const char *name)
{
    return mg_path_format(out, "%s/" MG_DATASET_OWN "/%s", dir, name);
}

mg_status mg_dataset_file_name(char out[MG_PATH_SIZE], mg_layout layout, const char *suffix, int64_t n,
                               const char *id)
{
    const int64_t folder = n / MG_DATASET_FOLDER_FILES;

    if (layout == MG_LAYOUT_WEBDATASET) return mg_path_format(out, "%s%s", id, suffix);
    if (folder == 0) return mg_path_format(out, "train/%s%s", id, suffix);
    return mg_path_format(out, "train/%05" PRId64 "/%s%s", folder, id, suffix);
}

mg_status mg_dataset_maker_name(char out[MG_PATH_SIZE], mg_layout layout, const char *suffix, int64_t n,
                                const char *id)
{
    if (layout == MG_LAYOUT_WEBDATASET)
        return mg_path_format(out, MG_DATASET_OWN "/parts/%010" PRId64 "%s", n, suffix);
    return mg_dataset_file_name(out, layout, suffix, n, id);
}

mg_status mg_dataset_member_name(char out[MG_PATH_SIZE], const char *file, const char *ending)
{
    char key[MG_PATH_SIZE];
    const char *dot = strrchr(file, '.');

    MG_REQUIRE(dot);
    MG_RETURN(mg_path_format(key, "%.*s", (int)(dot - file), file));
    for (char *p = key; *p; p++)
        if (*p == '.') *p = '_';
    if (key[0] == '_' && key[1] == '_') key[0] = '-';
    return mg_path_format(out, "%s%s", key, ending ? ending : dot);
}

bool mg_dataset_is_member(const char *member, const char *name)
{
    if (strcmp(member, name) == 0) return true;
    return name[0] == '-' && name[1] == '_' && member[0] == '_' && strcmp(member + 1, name + 1) == 0;
}
