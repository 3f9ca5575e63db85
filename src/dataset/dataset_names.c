/* Where things stand. */
#include <inttypes.h>
#include <string.h>

#include "dataset_impl.h"

bool mg_dataset_name_fits(const char *name)
{
    if (!*name || *name == '.' || strpbrk(name, "/\"")) return false;
    for (; *name; name++)
        if ((unsigned char)*name < ' ' || *name == 0x7F) return false;
    return true;
}

mg_status mg_dataset_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name)
{
    return mg_path_format(out, "%s/%s", d->out, name);
}

mg_status mg_dataset_own_path(char out[MG_PATH_SIZE], const mg_dataset *d, const char *name)
{
    return mg_path_format(out, "%s/%s", d->own, name);
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
        return mg_path_format(out, ".mg-dist/parts/%010" PRId64 "%s", n, suffix);
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
