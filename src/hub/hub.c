#include "hub.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "in_file.h"
#include "text.h"

enum { LOOKED_SIZE = 16 * 1024, MAX_REF_BYTES = 4096, MAX_NAME = 96, MIN_COMMIT = 4 };
#define PREFIX "models--"

/* Every path that was looked at, for the message. */
typedef struct trail {
    char text[LOOKED_SIZE];
    size_t used;
} trail;

static void note(trail *t, const char *path, const char *what)
{
    const size_t room = sizeof t->text - t->used;
    const int n = snprintf(t->text + t->used, room, "%s%s%s", t->used ? ", " : "", path, what);

    t->used += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* One part of an id: the hub's rules for names. */
static bool is_name(const char *s, size_t n)
{
    if (n == 0 || n > MAX_NAME || s[0] == '.' || s[0] == '-' || s[n - 1] == '.' || s[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i])) return false;
        if (i && s[i] == s[i - 1] && (s[i] == '.' || s[i] == '-')) return false;
    }
    return true;
}

/* A branch, a tag or a commit: names with slashes between them. */
static bool is_revision(const char *text)
{
    for (;;) {
        const size_t n = strcspn(text, "/");
        if (!is_name(text, n)) return false;
        if (!text[n]) return true;
        text += n + 1;
    }
}

bool mg_hub_is_id(const char *text)
{
    const size_t n = strcspn(text, "@"), n_owner = strcspn(text, "/");

    if (text[n] && !is_revision(text + n + 1)) return false;
    if (n_owner >= n) return is_name(text, n);
    return is_name(text, n_owner) && is_name(text + n_owner + 1, n - n_owner - 1);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* A folder from the environment, with ~ as the hub client expands it. */
static bool add_root(mg_hub_root *root, const char *name, const char *below)
{
    const char *value = variable(name), *home = variable("HOME");

    if (!value) return false;
    root->source = name;
    const bool tilde = value[0] == '~' && (value[1] == '/' || !value[1]) && home;
    return mg_path_format(root->path, "%s%s%s", tilde ? home : "", tilde ? value + 1 : value, below) == MG_OK;
}

int mg_hub_roots(mg_hub_root roots[MG_HUB_MAX_ROOTS])
{
    int n = 0;

    if (add_root(&roots[n], "AUDIOCRAFT_CACHE_DIR", "")) n++;
    if (add_root(&roots[n], "TRANSFORMERS_CACHE", "")) n++;
    if (add_root(&roots[n], "HF_HUB_CACHE", "") || add_root(&roots[n], "HUGGINGFACE_HUB_CACHE", "") ||
        add_root(&roots[n], "HF_HOME", "/hub") || add_root(&roots[n], "XDG_CACHE_HOME", "/huggingface/hub") ||
        add_root(&roots[n], "HOME", "/.cache/huggingface/hub"))
        n += n == 0 || strcmp(roots[n - 1].path, roots[n].path) != 0;
    return n;
}

/* ROOT/models--OWNER--NAME */
static mg_status repo_folder(char out[MG_PATH_SIZE], const char *root, const char *id)
{
    const char *slash = strchr(id, '/');

    if (!slash) return mg_path_format(out, "%s/" PREFIX "%s", root, id);
    return mg_path_format(out, "%s/" PREFIX "%.*s--%s", root, (int)(slash - id), id, slash + 1);
}

/* The commit that refs/main names; "" if the file is not there or holds no name. */
static void read_ref(char hash[MAX_NAME], const char *ref)
{
    char *text = NULL;
    int64_t bytes;

    hash[0] = '\0';
    if (!mg_path_exists(ref)) return;
    if (mg_in_file_read(&text, &bytes, ref, MAX_REF_BYTES) == MG_OK) {
        text[strcspn(text, " \r\n\t")] = '\0';
        if (is_name(text, strlen(text))) snprintf(hash, MAX_NAME, "%s", text);
    }
    free(text);
}

/* The only snapshot whose name begins with `begin`; "" if there is none, or more than one. */
static int find_only(char name[MAX_NAME], const char *repo, const char *begin)
{
    char folder[MG_PATH_SIZE];
    DIR *d = mg_path_format(folder, "%s/snapshots", repo) == MG_OK ? opendir(folder) : NULL;
    int n = 0;

    name[0] = '\0';
    for (struct dirent *e; d && (e = readdir(d));) {
        if (!is_name(e->d_name, strlen(e->d_name)) || strncmp(e->d_name, begin, strlen(begin)) != 0) continue;
        snprintf(name, MAX_NAME, "%.95s", e->d_name);
        n++;
    }
    if (d) closedir(d);
    if (n != 1) name[0] = '\0';
    return n;
}

/* The snapshot of a model's folder that `revision` means: what refs/REVISION says, else a commit that begins
 * so; NULL is main, or the only one there is. `out` is "" if there is none, and then `t` says why. */
static mg_status find_snapshot(char out[MG_PATH_SIZE], trail *t, const char *repo, const char *revision)
{
    char path[MG_PATH_SIZE], hash[MAX_NAME];

    out[0] = '\0';
    if (!mg_path_is_folder(repo)) {
        note(t, repo, "");
        return MG_OK;
    }
    MG_RETURN(mg_path_format(path, "%s/refs/%s", repo, revision ? revision : "main"));
    read_ref(hash, path);
    if (!*hash) {
        const bool is_commit = revision && strlen(revision) >= MIN_COMMIT;
        const int n = !mg_path_exists(path) && (!revision || is_commit)
                          ? find_only(hash, repo, revision ? revision : "")
                          : 0;
        if (!*hash) {
            note(t, path,
                 n > 1                  ? " (several snapshots: give ID@COMMIT)"
                 : mg_path_exists(path) ? " (holds no commit)"
                                        : "");
            return MG_OK;
        }
    }
    MG_RETURN(mg_path_format(path, "%s/snapshots/%s", repo, hash));
    if (mg_path_is_folder(path)) return mg_path_format(out, "%s", path);
    note(t, path, "");
    return MG_OK;
}

/* The first file of a snapshot that is a link to nothing; false if there is none. */
static bool find_dangling(char name[MG_PATH_SIZE], const char *snapshot)
{
    DIR *d = opendir(snapshot);
    bool found = false;

    if (!d) return false;
    for (struct dirent *e; !found && (e = readdir(d));)
        if (!mg_path_has(snapshot, e->d_name))
            found = mg_path_format(name, "%s/%s", snapshot, e->d_name) == MG_OK;
    closedir(d);
    return found;
}

static mg_status check_whole(const char *snapshot, const char *id)
{
    char name[MG_PATH_SIZE], target[MG_PATH_SIZE];

    if (!find_dangling(name, snapshot)) return MG_OK;
    const ssize_t n = readlink(name, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return mg_fail(MG_EFAIL,
                   "model: %s: incomplete in the cache: %s is a link to %s, which is not there; on a machine "
                   "with network: " MG_HUB_FETCH " %s",
                   id, name, target, id);
}

/* Under which ids a name may be stored: t5-base is google-t5/t5-base today, and AudioCraft's "small" is
 * facebook/musicgen-small. */
static int aliases(char id[2][MG_HUB_ID_SIZE], const char *name)
{
    static const struct {
        const char *begins, *id;
    } known[] = {{"t5-", "google-t5/"},
                 {"flan-t5-", "google/"},
                 {"musicgen-", "facebook/"},
                 {"audiogen-", "facebook/"},
                 {"encodec_", "facebook/"}};
    static const char *const sizes[] = {"small", "medium", "large", "melody"};

    snprintf(id[0], MG_HUB_ID_SIZE, "%s", name);
    if (strchr(name, '/')) return 1;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(name, known[i].begins, strlen(known[i].begins)) == 0)
            return snprintf(id[1], MG_HUB_ID_SIZE, "%s%.150s", known[i].id, name), 2;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(name, sizes[i]) == 0)
            return snprintf(id[1], MG_HUB_ID_SIZE, "facebook/musicgen-%.150s", name), 2;
    return 1;
}

static mg_status find_cached(char path[MG_PATH_SIZE], trail *t, const char *name)
{
    mg_hub_root roots[MG_HUB_MAX_ROOTS];
    char id[2][MG_HUB_ID_SIZE], repo[MG_PATH_SIZE], plain[MG_HUB_ID_SIZE];
    const char *at = strchr(name, '@'), *revision = at ? at + 1 : NULL;

    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name, "@"), name);
    const int n_roots = mg_hub_roots(roots), n_ids = aliases(id, plain);

    path[0] = '\0';
    note(t, name, "");
    for (int r = 0; r < n_roots; r++) {
        for (int i = 0; i < n_ids; i++) {
            MG_RETURN(repo_folder(repo, roots[r].path, id[i]));
            MG_RETURN(find_snapshot(path, t, repo, revision));
            if (*path) return check_whole(path, id[i]);
        }
    }
    return mg_fail(MG_EFAIL,
                   "model: %s: neither a path nor in a cache; looked at: %s; to fetch it, on a machine with "
                   "network: " MG_HUB_FETCH " %s%s%s",
                   name, t->text, id[n_ids - 1], revision ? " --revision " : "", revision ? revision : "");
}

/* A folder that exists; one of a cache's, models--OWNER--NAME itself, stands for its snapshot. */
static mg_status find_folder(char path[MG_PATH_SIZE], trail *t, const char *named, const char *folder)
{
    if (!mg_path_has(folder, "snapshots") || mg_path_has(folder, "config.json"))
        return mg_path_format(path, "%s", named);
    MG_RETURN(find_snapshot(path, t, folder, NULL));
    if (*path) return check_whole(path, folder);
    return mg_fail(MG_EFAIL,
                   "model: %s: a model's folder of a cache, without a snapshot to take; looked at: %s",
                   folder, t->text);
}

/* What follows the hub's name; "" in anything else. */
static const char *id_of_address(const char *name)
{
    const char *hub = strstr(name, "huggingface.co/");

    return hub ? hub + strlen("huggingface.co/") : "";
}

mg_status mg_hub_find(char path[MG_PATH_SIZE], const char *path_or_id)
{
    char name[MG_PATH_SIZE];
    mg_status st;
    trail *t;

    path[0] = '\0';
    MG_RETURN(mg_path_format(name, "%s", path_or_id));
    const bool exists = mg_path_exists(name);
    for (size_t n = strlen(name); n > 1 && name[n - 1] == '/'; n--) name[n - 1] = '\0';
    if (!exists && mg_hub_is_id(id_of_address(name)))
        return mg_fail(MG_EFAIL, "model: %s: is an address, and nothing is fetched from it; give its id, %s",
                       path_or_id, id_of_address(name));
    if (!exists && !mg_hub_is_id(name))
        return mg_fail(MG_EFAIL, "model: %s: no such file or folder, and not an id such as OWNER/NAME",
                       path_or_id);
    if (exists && strcmp(mg_path_name(name), "config.json") == 0 && !mg_path_is_folder(name))
        return mg_path_folder(path, name);
    t = calloc(1, sizeof *t);
    if (!t) return mg_fail(MG_ENOMEM, "model: %zu bytes", sizeof *t);
    st = exists ? find_folder(path, t, path_or_id, name) : find_cached(path, t, name);
    free(t);
    if (st != MG_OK) path[0] = '\0';
    return st;
}

bool mg_hub_blob_hash(char out[65], const char *path)
{
    char target[MG_PATH_SIZE];
    const ssize_t n_target = readlink(path, target, sizeof target - 1);

    out[0] = '\0';
    if (n_target < 0) return false;
    target[n_target] = '\0';
    const char *name = mg_path_name(target);
    const size_t n = strlen(name);
    if ((n != 64 && n != 40) || strspn(name, "0123456789abcdef") != n) return false;
    memcpy(out, name, n + 1);
    return true;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const mg_hub_model *)a)->id, ((const mg_hub_model *)b)->id);
}

/* models--OWNER--NAME -> OWNER/NAME */
static bool id_of(char id[MG_HUB_ID_SIZE], const char *folder)
{
    if (strncmp(folder, PREFIX, strlen(PREFIX)) != 0) return false;
    if (snprintf(id, MG_HUB_ID_SIZE, "%s", folder + strlen(PREFIX)) >= MG_HUB_ID_SIZE) return false;
    char *dashes = strstr(id, "--");
    if (dashes) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    return mg_hub_is_id(id);
}

bool mg_hub_id_of_snapshot(char id[MG_HUB_ID_SIZE], const char *path)
{
    char snapshots[MG_PATH_SIZE], repo[MG_PATH_SIZE];

    return mg_path_folder(snapshots, path) == MG_OK && strcmp(mg_path_name(snapshots), "snapshots") == 0 &&
           mg_path_folder(repo, snapshots) == MG_OK && id_of(id, mg_path_name(repo));
}

static mg_status list_folder(mg_hub_model **models, size_t *n, DIR *d, const char *root, trail *t)
{
    char id[MG_HUB_ID_SIZE], repo[MG_PATH_SIZE];
    size_t capacity = 0;

    for (struct dirent *e; (e = readdir(d));) {
        if (!id_of(id, e->d_name)) continue;
        MG_RETURN(mg_grow(models, &capacity, *n + 1, sizeof **models, root));
        mg_hub_model *more = *models;
        snprintf(more[*n].id, sizeof more[*n].id, "%s", id);
        MG_RETURN(mg_path_format(repo, "%s/%s", root, e->d_name));
        MG_RETURN(find_snapshot(more[*n].snapshot, t, repo, NULL));
        ++*n;
    }
    if (*n) qsort(*models, *n, sizeof **models, by_id);
    return MG_OK;
}

mg_status mg_hub_list(mg_hub_model **models, size_t *n, const char *root)
{
    mg_status st = MG_OK;
    DIR *d = opendir(root);
    trail *t = calloc(1, sizeof *t);

    *models = NULL;
    *n = 0;
    if (!t) MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory", root));
    if (d) MG_TRY(list_folder(models, n, d, root, t));
done:
    if (d) closedir(d);
    free(t);
    if (st != MG_OK) {
        free(*models);
        *models = NULL;
        *n = 0;
    }
    return st;
}
