/* The card: README.md with the YAML that Hugging Face's hub reads, and how to load the dataset. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataset_impl.h"
#include "log.h"
#include "sealed_file.h"
#include "text.h"

static const char *size_category(int64_t n)
{
    static const struct {
        int64_t below;
        const char *word;
    } sizes[] = {{1000, "n<1K"},           {10000, "1K<n<10K"},    {100000, "10K<n<100K"},
                 {1000000, "100K<n<1M"},   {10000000, "1M<n<10M"}, {100000000, "10M<n<100M"},
                 {1000000000, "100M<n<1B"}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (n < sizes[i].below) return sizes[i].word;
    return "1B<n<10B";
}

static void add_yaml(mg_text *t, const mg_dataset *d, int64_t n_done)
{
    const mg_dataset_call *c = &d->call;

    mg_text_format(t,
                   "---\npretty_name: \"%s\"\ntask_categories:\n- text-to-audio\ntags:\n- music\n- "
                   "synthetic\n- mg-dist\n",
                   c->name);
    mg_text_format(
        t, "size_categories:\n- %s\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n",
        size_category(n_done));
    if (c->layout == MG_LAYOUT_WEBDATASET)
        mg_text_format(t, "    path: \"%s-*.tar\"\n---\n\n", c->name);
    else if (c->layout == MG_LAYOUT_AUDIOCRAFT) /* without the .json, for which it would take all the files */
        mg_text_format(t, "    path: \"train/**/*%s\"\n---\n\n", c->suffix);
    else
        mg_text_add(t, "    path: \"train/**\"\n---\n\n");
}

static void add_loading(mg_text *t, const mg_dataset *d)
{
    const mg_dataset_call *c = &d->call;

    mg_text_add(t, "\n## Loading\n\n```python\n");
    if (c->layout == MG_LAYOUT_WEBDATASET)
        mg_text_format(t,
                       "import webdataset\nd = webdataset.WebDataset(\"%s-{000000..%06" PRId64 "}.tar\")\n",
                       c->name, d->n_shards > 0 ? d->n_shards - 1 : 0);
    else if (c->layout == MG_LAYOUT_AUDIOFOLDER)
        mg_text_add(t,
                    "from datasets import load_dataset\nd = load_dataset(\"audiofolder\", data_dir=\".\")\n");
    else
        mg_text_add(t, "from audiocraft.data.music_dataset import MusicDataset\n"
                       "d = MusicDataset.from_meta(\"egs/train\", segment_duration=10)\n");
    mg_text_add(
        t,
        "```\n\n`manifest.jsonl` has a line for every clip: its file and hash, its text, its seed, and in "
        "`recipe` all "
        "that makes it again with `mg-dist`. `failures.jsonl` has the jobs that could not be made, and why. "
        "`sha256sum -c SHA256SUMS` checks the files.\n");
}

mg_status mg_dataset_put_card(mg_dataset *d)
{
    mg_status st = MG_OK;
    mg_text t = {0};
    mg_run_counts n;
    char path[MG_PATH_SIZE], *text = NULL;

    MG_TRY(mg_run_db_count(d->db, &n));
    add_yaml(&t, d, n.done);
    mg_text_format(&t,
                   "# %s\n\nMusic made by a model from texts (MusicGen), by mg-dist.\n\n| | |\n|---|---|\n",
                   d->call.name);
    mg_text_format(
        &t, "| clips | %" PRId64 " of %" PRId64 " |\n| sound | %.2f hours |\n| failed | %" PRId64 " |\n",
        n.done, n.done + n.failed + n.waiting, n.done_s / 3600, n.failed);
    if (d->seed >= 0) /* merged shards may have several */
        mg_text_format(&t, "| seed | %" PRId64 " |\n", d->seed);
    add_loading(&t, d);
    MG_TRY(mg_text_end(&t, &text, "README.md"));
    MG_TRY(mg_dataset_path(path, d, "README.md"));
    if (!mg_sealed_is_ours(path)) {
        mg_log_warn("%s: is not as mg-dist wrote it, and is kept; remove it to have it written anew", path);
        goto done;
    }
    st = mg_sealed_put(path, text, strlen(text));
done:
    mg_text_reset(&t);
    free(text);
    return st;
}
