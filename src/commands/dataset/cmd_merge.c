/* mg-dist merge: the shards of an array (run --shard, a Slurm array) become one dataset. */
#include "cli.h"
#include "dataset_merge.h"
#include "log.h"
#include "text.h"

typedef struct settings {
    const char *out;
    mg_strings shards;
    int64_t shard_bytes, shard_clips;
    bool copies;
    int incomplete;
} settings;

enum { INCOMPLETE_REFUSE, INCOMPLETE_OK };

#define AT(field) offsetof(settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "OUT", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(out), .group = "Operands",
     .help = "the dataset's folder: a new one, or that of the same merge, which goes on"},
    {.name = "SHARD", .type = MG_OPT_STRINGS, .is_operand = true, .offset = AT(shards), .group = "Operands",
     .help = "the folders of all shards of one array, in any order"},
    {.name = "incomplete", .type = MG_OPT_CHOICE, .offset = AT(incomplete), .preset = "refuse", .choices = "refuse|ok", .group = "Output",
     .help = "shards with clips that wait: ok takes what is there, and a later merge or run the rest"},
    {.name = "copy", .type = MG_OPT_FLAG, .offset = AT(copies), .group = "Output",
     .help = "copy the sound files (default: hard links where the file system has them)"},
    {.name = "shard-clips", .type = MG_OPT_INT, .offset = AT(shard_clips), .arg = "N", .preset = "10000", .low = 1, .high = 1e9,
     .group = "Output", .help = "webdataset: most clips in a shard"},
    {.name = "shard-size", .type = MG_OPT_SIZE, .offset = AT(shard_bytes), .arg = "SIZE", .preset = "1GB", .low = 1, .high = 1e6,
     .in_mb = true, .group = "Output", .help = "webdataset: largest shard, such as 1GB or 500MB; a number alone is MB"},
};
/* clang-format on */

static mg_status merge(const settings *s)
{
    const mg_dataset_merge_call call = {.out = s->out,
                                        .source = s->shards.item,
                                        .n_sources = (int64_t)s->shards.n,
                                        .shard_clips = s->shard_clips,
                                        .shard_bytes = s->shard_bytes,
                                        .copies = s->copies,
                                        .incomplete_ok = s->incomplete == INCOMPLETE_OK};
    mg_dataset_merged m;

    MG_RETURN(mg_dataset_merge(&m, &call));
    if (m.seeds_differ)
        mg_log_warn("merge: %s: the shards were begun with seeds of their own; each clip's line has its seed",
                    s->out);
    mg_log_info(
        "merge: %s: %lld clip%s of %lld shard%s, %lld failed, %lld wait; now %lld file%s linked, %lld copied",
        s->out, (long long)m.done, mg_plural(m.done), (long long)s->shards.n, mg_plural(s->shards.n),
        (long long)m.failed, (long long)m.waiting, (long long)m.linked, mg_plural(m.linked),
        (long long)m.copied);
    return MG_OK;
}

static mg_status run(mg_context *context, const void *arg)
{
    context->resumable = true;
    return mg_world_await_first(context->world, context->world->rank > 0 ? MG_OK : merge(arg));
}

static const mg_foreign_word foreign[] = {
    {"out|output|output-dir", "OUT is the first word: merge OUT SHARD..."}, {0}};

const mg_command mg_cmd_merge = {
    .name = "merge",
    .summary = "make one dataset of the shards of an array",
    .usage = "OUT SHARD... [options]",
    .foreign = {foreign},
    .details =
        "The dataset is that of a run without --shard, byte by byte: clips in the order of the jobs, card, "
        "lists and\n"
        "state. Shards that differ in kind (model, number format, version, layout, settings, jobs) are "
        "refused, and\n"
        "so are a missing shard and one that is not complete. The shards stay as they are; a merge that was\n"
        "interrupted goes on with the same command.\n"
        "\n"
        "  mg-dist merge dataset dataset-0 dataset-1 dataset-2",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(settings),
    .is_single = true,
    .run = run,
};
