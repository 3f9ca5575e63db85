/* Sounds in the shards of a source. Mostly they are taken in the order in which they stand there. A changed
 * job file has another one, and a clip that was tried again stands behind its neighbours: what is not the
 * next is looked up in an index, for which the tar is gone through once. */
#include <stdlib.h>

#include "dataset_merge_impl.h"
#include "text.h"

/* Where a sound stands. */
typedef struct mg_merge_place {
    uint64_t hash; /* of its name */
    int64_t at;
} mg_merge_place;

struct mg_merge_index {
    mg_merge_place *place; /* [n] by hash; NULL: the tar was not gone through */
    size_t n, capacity;
};

/* Without the first byte: it has been written in two ways (mg_dataset_is_member). */
static uint64_t hash_of(const char *name)
{
    return mg_text_hash(name + (*name != '\0'));
}

static int compare_places(const void *a, const void *b)
{
    const mg_merge_place *x = a, *y = b;

    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static mg_status open_tar(mg_merge_source *s, int64_t shard)
{
    char path[MG_PATH_SIZE];

    if (s->i_tar == shard) return MG_OK;
    mg_tar_reader_close(&s->tar);
    s->i_tar = -1;
    MG_RETURN(mg_path_format(path, "%s/%s-%06lld.tar", s->dir, s->name, (long long)shard));
    MG_RETURN(mg_tar_reader_open(&s->tar, path));
    s->i_tar = shard;
    return MG_OK;
}

/* The next sound; its record is behind it. */
static mg_status next_sound(mg_tar_reader *t, int64_t *at, mg_tar_member *member, bool *over)
{
    do {
        *at = t->at;
        MG_RETURN(mg_tar_reader_next(t, member, over));
    } while (!*over && mg_text_ends_with(member->name, ".json"));
    return MG_OK;
}

static mg_status fill_index(mg_merge_index *index, mg_tar_reader *t)
{
    mg_tar_member member;
    bool over;
    int64_t at;

    if (index->place) return MG_OK;
    t->at = 0;
    for (;;) {
        MG_RETURN(next_sound(t, &at, &member, &over));
        MG_RETURN(mg_grow(&index->place, &index->capacity, index->n + 1, sizeof *index->place, "merge"));
        if (over) break;
        index->place[index->n++] = (mg_merge_place){hash_of(member.name), at};
    }
    qsort(index->place, index->n, sizeof *index->place, compare_places);
    return MG_OK;
}

/* The first place with this hash, or where it would be. */
static size_t find_place(const mg_merge_index *index, uint64_t hash)
{
    size_t first = 0, end = index->n;

    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        if (index->place[middle].hash < hash)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

mg_status mg_merge_find_sound(mg_tar_member *out, mg_merge_source *s, int64_t shard, const char *name)
{
    const uint64_t hash = hash_of(name);
    bool over = true;
    int64_t at;

    if (shard >= s->n_shards)
        return mg_fail(MG_EFAIL, "%s: run.db: has no shard %lld", s->dir, (long long)shard);
    MG_RETURN(open_tar(s, shard));
    MG_RETURN(next_sound(&s->tar, &at, out, &over));
    if (!over && mg_dataset_is_member(out->name, name)) return MG_OK;
    mg_merge_index *index = &s->index[shard];
    MG_RETURN(fill_index(index, &s->tar));
    for (size_t i = find_place(index, hash); i < index->n && index->place[i].hash == hash; i++) {
        s->tar.at = index->place[i].at;
        MG_RETURN(mg_tar_reader_next(&s->tar, out, &over));
        if (!over && mg_dataset_is_member(out->name, name)) return MG_OK;
    }
    return mg_fail(MG_EFAIL, "%s: %s-%06lld.tar: has no %s; mg-dist verify says what is wrong with it",
                   s->dir, s->name, (long long)shard, name);
}

static mg_status count_shard(void *arg, const mg_shard_row *row)
{
    (void)row;
    ++*(int64_t *)arg;
    return MG_OK;
}

mg_status mg_merge_open_tars(mg_merge_source *s)
{
    s->i_tar = -1;
    MG_RETURN(mg_run_db_each_shard(s->db, count_shard, &s->n_shards));
    s->index = calloc((size_t)s->n_shards + 1, sizeof *s->index);
    return s->index ? MG_OK : mg_fail(MG_ENOMEM, "merge: no memory");
}

void mg_merge_close_tars(mg_merge_source *s)
{
    for (int64_t i = 0; s->index && i < s->n_shards; i++) free(s->index[i].place);
    free(s->index);
    mg_tar_reader_close(&s->tar);
}
