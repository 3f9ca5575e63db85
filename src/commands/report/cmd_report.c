/* mg-dist report: one HTML page that says what a dataset is and how it came to be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "dataset.h"
#include "log.h"
#include "path.h"
#include "report.h"
#include "report_compare.h"
#include "report_scaling.h"
#include "sealed_file.h"

typedef struct settings {
    const char *dir, *other, *out;
    int64_t n_clips, n_measured;
} settings;

#define AT(field) offsetof(settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "DIR", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(dir), .group = "Operand",
     .help = "the folder of a dataset, or of a sweep (bench scaling)"},
    {.name = "OTHER", .type = MG_OPT_STRING, .is_operand = true, .is_optional = true, .offset = AT(other), .group = "Operand",
     .help = "a second sweep: compare the two, point by point"},
    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out), .arg = "FILE", .group = "Output",
     .help = "the page (default: DIR/report.html, of two sweeps OTHER/compare.html); one that is there is replaced "
             "if it is as this program wrote it"},
    {.name = "clips", .type = MG_OPT_INT, .offset = AT(n_clips), .arg = "N", .preset = "6", .low = 0, .high = 1000, .group = "Output",
     .help = "clips to listen to, evenly spread; their sound is in the page"},
    {.name = "measure", .type = MG_OPT_INT, .offset = AT(n_measured), .arg = "N", .preset = "200", .low = 0, .high = 1e7,
     .group = "Output", .help = "clips whose loudness is measured, evenly spread"},
};
/* clang-format on */

/* DATASET/report.html is beside its lists and none of them. */
static mg_status check_out(const char *path)
{
    char folder[MG_PATH_SIZE];

    MG_RETURN(mg_path_folder(folder, path));
    MG_RETURN(mg_dataset_check_outside(folder, strcmp(mg_path_name(path), "report.html") == 0));
    return mg_sealed_check(path, "name another file with --out");
}

static mg_status check_sweep(const char *dir)
{
    return mg_path_has(dir, "results.jsonl")
               ? MG_OK
               : mg_fail(MG_EUSAGE,
                         "%s: no results.jsonl, so no sweep of bench scaling; sweeps alone are compared",
                         dir);
}

static mg_status compare(const settings *s)
{
    char path[MG_PATH_SIZE];

    MG_RETURN(check_sweep(s->dir));
    MG_RETURN(check_sweep(s->other));
    MG_RETURN(s->out ? mg_path_format(path, "%s", s->out)
                     : mg_path_format(path, "%s/compare.html", s->other));
    MG_RETURN(check_out(path));
    return mg_report_compare(s->dir, s->other, path);
}

static mg_status make(const settings *s)
{
    mg_status st = MG_OK;
    mg_report r = {.dir = s->dir};
    mg_text t = {0};
    char path[MG_PATH_SIZE];

    if (s->other) return compare(s);
    MG_TRY(s->out ? mg_path_format(path, "%s", s->out) : mg_path_format(path, "%s/report.html", s->dir));
    if (mg_path_has(s->dir, "results.jsonl")) {
        MG_TRY(check_out(path));
        return mg_report_scaling(s->dir, path);
    }
    MG_TRY(mg_report_gather(&r));
    MG_TRY(check_out(path));
    MG_TRY(mg_report_listen(&r, s->n_measured, s->n_clips));
    MG_TRY(mg_report_page(&t, &r));
    MG_TRY(mg_sealed_put(path, t.data, t.n));
    mg_log_info("report: %s: %lld of %lld clips, %lld failed; %.1f MB", path, (long long)r.count.done,
                (long long)(r.count.done + r.count.failed + r.count.waiting), (long long)r.count.failed,
                (double)t.n / 1e6);
done:
    mg_text_reset(&t);
    mg_report_close(&r);
    return st;
}

static mg_status run(mg_context *context, const void *arg)
{
    return mg_world_await_first(context->world, context->world->rank > 0 ? MG_OK : make(arg));
}

const mg_command mg_cmd_report = {
    .name = "report",
    .summary = "one HTML page on a dataset or a sweep: figures, failures, clips to listen to",
    .usage = "DIR [OTHER] [--out FILE] [--clips N]",
    .details =
        "The page opens without a network: its figures, its style and the sound of some clips are in it. It "
        "shows\n"
        "counts, progress over time, lengths, loudness, what the quality gate said, and failures by reason.\n"
        "\n"
        "Of a sweep it also writes report.md and, where gnuplot is installed, plots/ as SVG and PDF.\n"
        "Of two sweeps it compares the points that both have, and says which differ by more than their "
        "spread;\n"
        "compare.md, compare.csv, compare.json and the plot are written to OTHER.\n"
        "\n"
        "  mg-dist report dataset --out report.html --clips 12\n"
        "  mg-dist report scaling\n"
        "  mg-dist report scaling-before scaling-after",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(settings),
    .is_single = true,
    .run = run,
};
