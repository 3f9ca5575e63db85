#include "scaling_results.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "json.h"
#include "numbers.h"
#include "path.h"

enum { DELAY_STEPS = 3 }; /* of the codebooks' delay pattern, beside a step for each frame */
enum { MAX_FILE_BYTES = 64 << 20, MAX_COUNT = 1 << 20 };

static const char *const part_names[MG_SCALING_PARTS] = {"products", "attention", "all_reduce",
                                                         "waiting",  "sampling",  "rest"};
const char *const mg_scaling_status_name[] = {"ok", "skipped", "failed"};

/* One key after the other; the first failure stays. */
typedef struct reader {
    const cJSON *object;
    const char *name;
    mg_status st;
} reader;

static void get_text(reader *r, const char *key, char *out, size_t size)
{
    const char *text = NULL;

    if (r->st == MG_OK) r->st = mg_json_string(r->object, r->name, key, &text);
    if (r->st == MG_OK) (void)snprintf(out, size, "%s", text ? text : "");
}

static void get_count(reader *r, const char *key, int64_t low, int64_t *out)
{
    bool found = false;

    *out = -1;
    if (r->st == MG_OK) r->st = mg_json_int(r->object, r->name, key, out, &found);
    if (r->st == MG_OK && !found) r->st = mg_fail(MG_EFAIL, "%s: %s: missing", r->name, key);
    if (r->st == MG_OK && (*out < low || *out > MAX_COUNT))
        r->st = mg_fail(MG_EFAIL, "%s: %s: %" PRId64 ": not between %" PRId64 " and %d", r->name, key, *out,
                        low, MAX_COUNT);
}

/* Not negative and finite; `must`: above 0. */
static double get_number(reader *r, const char *key, bool must)
{
    double v = NAN;
    bool found = false;

    if (r->st == MG_OK) r->st = mg_json_double(r->object, r->name, key, &v, &found);
    if (r->st == MG_OK && !found && must) r->st = mg_fail(MG_EFAIL, "%s: %s: missing", r->name, key);
    if (r->st == MG_OK && (isinf(v) || v < 0 || (must && !(v > 0))))
        r->st = mg_fail(MG_EFAIL, "%s: %s: %g: must be finite and %s 0", r->name, key, v,
                        must ? "above" : "at least");
    return v;
}

static void get_status(reader *r, mg_scaling_status *out)
{
    char word[16] = "";
    int i = MG_SCALING_FAILED;

    get_text(r, "status", word, sizeof word);
    while (i >= 0 && strcmp(word, mg_scaling_status_name[i]) != 0) i--;
    if (r->st == MG_OK && i < 0) r->st = mg_fail(MG_EFAIL, "%s: status: \"%s\": unknown", r->name, word);
    *out = i < 0 ? MG_SCALING_FAILED : (mg_scaling_status)i;
}

static void get_sizes(reader *r, mg_scaling_sizes *out)
{
    const struct {
        const char *key;
        int64_t *to;
    } all[] = {{"layers", &out->n_layers},           {"width", &out->width},
               {"feed_forward", &out->feed_forward}, {"codebooks", &out->n_books},
               {"entries", &out->n_entries},         {"rows", &out->n_rows},
               {"position", &out->n_keys},           {"text_tokens", &out->n_tokens}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (r->st == MG_OK) r->st = mg_json_int(r->object, r->name, all[i].key, all[i].to, NULL);
        if (r->st == MG_OK && (*all[i].to < 0 || *all[i].to > MAX_COUNT))
            r->st = mg_fail(MG_EFAIL, "%s: %s: %" PRId64 ": not between 0 and %d", r->name, all[i].key,
                            *all[i].to, MAX_COUNT);
    }
    out->n_keys++; /* a column attends to itself too */
}

static void get_binding(reader *r, char **out)
{
    const char *text = NULL;

    if (r->st == MG_OK) r->st = mg_json_string(r->object, r->name, "binding", &text);
    if (r->st != MG_OK || !text) return;
    *out = strdup(text);
    if (!*out) r->st = mg_fail(MG_ENOMEM, "%s: binding: no memory", r->name);
}

/* What bench step has printed. */
static void get_figures(reader *r, mg_scaling_result *out)
{
    get_text(r, "host", out->host, sizeof out->host);
    get_text(r, "backend", out->backend, sizeof out->backend);
    get_text(r, "device", out->device, sizeof out->device);
    get_text(r, "shape", out->shape, sizeof out->shape);
    get_text(r, "dtype", out->dtype, sizeof out->dtype);
    get_text(r, "codes", out->codes, sizeof out->codes);
    get_sizes(r, &out->sizes);
    out->step_ms = get_number(r, "ms_per_step", true);
    out->step_min_ms = get_number(r, "ms_per_step_min", true);
    out->step_p95_ms = get_number(r, "ms_per_step_p95", true);
    out->bytes = get_number(r, "bytes_per_step", true);
    out->read_gbps = get_number(r, "read_gbps", true);
    out->fraction = get_number(r, "fraction_of_floor", true);
    out->x_real_time = get_number(r, "x_real_time", true);
    out->n_threads = get_number(r, "threads", false);
    out->split_step_ms = get_number(r, "split_step_ms", false);
    out->n_sums = get_number(r, "sums_per_step", false);
    out->sum_bytes = get_number(r, "sum_bytes_per_step", false);
    out->bare_ms = get_number(r, "bare_all_reduce_ms", false);
    out->decode_first_ms = get_number(r, "decode_first_ms", false);
    out->decode_batch_ms = get_number(r, "decode_batch_ms", false);
    out->joules = get_number(r, "joules_per_step", false);
    get_text(r, "energy_from", out->energy_from, sizeof out->energy_from);
    get_binding(r, &out->binding);
    for (int i = 0; i < MG_SCALING_PARTS; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "split_%s_ms", part_names[i]);
        double v = NAN; /* the rest is a difference: clocks may leave it a little below 0 */
        if (r->st == MG_OK) r->st = mg_json_double(r->object, r->name, key, &v, NULL);
        out->part_ms[i] = v < 0 ? 0 : v;
        if (r->st == MG_OK && isinf(v)) r->st = mg_fail(MG_EFAIL, "%s: %s: not finite", r->name, key);
    }
}

void mg_scaling_result_close(mg_scaling_result *r)
{
    free(r->binding);
    r->binding = NULL;
}

mg_status mg_scaling_parse(mg_scaling_result *out, const char *name, const char *text, int64_t bytes)
{
    cJSON *json = NULL;

    *out = (mg_scaling_result){.dur_s = NAN, .step_ms = NAN, .fraction = NAN};
    mg_status st = mg_json_parse(&json, name, text, bytes);
    if (st == MG_OK && !cJSON_IsObject(json)) st = mg_fail(MG_EFAIL, "%s: is no JSON object", name);
    reader r = {json, name, st};
    get_count(&r, "np", 1, &out->point.np);
    get_count(&r, "tp", 1, &out->point.tp);
    get_count(&r, "batch", 1, &out->point.batch);
    get_count(&r, "repeat", 0, &out->repeat);
    get_status(&r, &out->status);
    get_text(&r, "reason", out->reason, sizeof out->reason);
    get_text(&r, "version", out->version, sizeof out->version);
    get_text(&r, "settings", out->settings, sizeof out->settings);
    out->dur_s = get_number(&r, "duration", true);
    if (r.st == MG_OK && out->status == MG_SCALING_OK) {
        const cJSON *result = NULL;
        r.st = mg_json_object(json, name, "result", &result);
        if (r.st == MG_OK && !result) r.st = mg_fail(MG_EFAIL, "%s: result: missing", name);
        r.object = result;
        get_figures(&r, out);
    }
    cJSON_Delete(json);
    if (r.st != MG_OK) mg_scaling_result_close(out);
    return r.st == MG_ECHECKPOINT ? MG_EFAIL : r.st; /* json.h takes every file for a checkpoint's */
}

static mg_status read_line(mg_scaling_results *r, const char *path, int64_t line, const char *text,
                           int64_t bytes)
{
    char name[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(name, "%s: line %" PRId64, path, line));
    MG_RETURN(mg_grow(&r->item, &r->capacity, r->n + 1, sizeof *r->item, "results"));
    MG_RETURN(mg_scaling_parse(&r->item[r->n], name, text, bytes));
    r->n++;
    return MG_OK;
}

mg_status mg_scaling_read(mg_scaling_results *r, const char *dir)
{
    char path[MG_PATH_SIZE], *data = NULL;
    int64_t bytes = 0, line = 0;
    mg_status st = MG_OK;

    *r = (mg_scaling_results){0};
    MG_RETURN(mg_path_format(path, "%s/results.jsonl", dir));
    if (!mg_path_exists(path)) return MG_OK;
    MG_RETURN(mg_in_file_read(&data, &bytes, path, MAX_FILE_BYTES));
    while (r->whole_bytes < bytes) {
        const char *begin = data + r->whole_bytes;
        const char *end = memchr(begin, '\n', (size_t)(bytes - r->whole_bytes));
        if (!end) {
            r->was_cut = true;
            break;
        }
        line++;
        if (end > begin) MG_TRY(read_line(r, path, line, begin, end - begin));
        r->whole_bytes = end + 1 - data;
    }
done:
    free(data);
    if (st != MG_OK) mg_scaling_close(r);
    return st;
}

void mg_scaling_close(mg_scaling_results *r)
{
    for (size_t i = 0; i < r->n; i++) mg_scaling_result_close(&r->item[i]);
    free(r->item);
    *r = (mg_scaling_results){0};
}

static bool is_of(const mg_scaling_result *a, const mg_scaling_point *p, int64_t repeat)
{
    return a->point.np == p->np && a->point.tp == p->tp && a->point.batch == p->batch && a->repeat == repeat;
}

const mg_scaling_result *mg_scaling_find(const mg_scaling_results *r, const mg_scaling_point *p,
                                         int64_t repeat)
{
    for (size_t i = r->n; i > 0; i--)
        if (is_of(&r->item[i - 1], p, repeat)) return &r->item[i - 1];
    return NULL;
}

double mg_scaling_steps_s(const mg_scaling_result *r)
{
    const double draws_ms = r->part_ms[MG_SCALING_SAMPLING];

    return (r->step_ms + (isnan(draws_ms) ? 0 : draws_ms)) *
           (r->dur_s * MG_SCALING_FRAME_RATE + DELAY_STEPS) / 1e3;
}

double mg_scaling_first_s(const mg_scaling_result *r)
{
    return mg_scaling_steps_s(r) + r->decode_first_ms / 1e3;
}

double mg_scaling_last_s(const mg_scaling_result *r)
{
    return mg_scaling_steps_s(r) + r->decode_batch_ms / 1e3;
}

double mg_scaling_width(const mg_scaling_result *r)
{
    const bool on_cpu = strncmp(r->backend, "cpu", 3) == 0;

    return (double)r->point.np * (on_cpu && r->n_threads > 0 ? r->n_threads : 1);
}

double mg_scaling_rate(double *step_s, int64_t n_steps, int n_ranks, int tp)
{
    const int64_t n = n_steps * tp;
    double rate = 0;

    for (double *of = step_s; of < step_s + n_steps * n_ranks; of += n) rate += 1 / mg_numbers_median(of, n);
    return rate;
}

const char *mg_scaling_point_name(char out[64], const mg_scaling_point *p)
{
    (void)snprintf(out, 64, "np%" PRId64 "-tp%" PRId64 "-b%" PRId64, p->np, p->tp, p->batch);
    return out;
}

void mg_scaling_csv_field(mg_text *t, const char *text)
{
    mg_text_add(t, ",\"");
    for (; *text; text++) {
        if (*text == '"') mg_text_add(t, "\"");
        if (*text != '\n' && *text != '\r') mg_text_add_bytes(t, text, 1);
    }
    mg_text_add(t, "\"");
}

void mg_scaling_csv_number(mg_text *t, double v)
{
    if (isnan(v))
        mg_text_add(t, ",");
    else
        mg_text_format(t, ",%.*g", mg_double_shown_digits(v), v);
}

void mg_scaling_csv(mg_text *t, const mg_scaling_results *r)
{
    mg_text_add(t,
                "np,tp,replicas,batch,repeat,status,duration_s,step_ms,step_min_ms,step_p95_ms,x_real_time,"
                "bytes_per_step,read_gbps,fraction_of_floor");
    for (int p = 0; p < MG_SCALING_PARTS; p++) mg_text_format(t, ",%s_ms", part_names[p]);
    mg_text_add(t, ",split_step_ms,sums_per_step,sum_bytes_per_step,bare_all_reduce_ms,joules_per_step,"
                   "energy_from,decode_first_ms,decode_batch_ms,clip_steps_s,first_sample_s,last_sample_s,"
                   "codes,shape,dtype,backend,device,host,binding,version,reason,threads\n");
    for (size_t i = 0; i < r->n; i++) {
        const mg_scaling_result *a = &r->item[i];
        const bool ok = a->status == MG_SCALING_OK;
        if (mg_scaling_find(r, &a->point, a->repeat) != a) continue;
        mg_text_format(t, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%s", a->point.np,
                       a->point.tp, a->point.np / a->point.tp, a->point.batch, a->repeat,
                       mg_scaling_status_name[a->status]);
        mg_scaling_csv_number(t, a->dur_s);
        const double figures[] = {a->step_ms, a->step_min_ms, a->step_p95_ms, a->x_real_time,
                                  a->bytes,   a->read_gbps,   a->fraction};
        for (size_t k = 0; k < sizeof figures / sizeof *figures; k++)
            mg_scaling_csv_number(t, ok ? figures[k] : NAN);
        for (int p = 0; p < MG_SCALING_PARTS; p++) mg_scaling_csv_number(t, ok ? a->part_ms[p] : NAN);
        const double more[] = {a->split_step_ms, a->n_sums, a->sum_bytes, a->bare_ms, a->joules};
        for (size_t k = 0; k < sizeof more / sizeof *more; k++) mg_scaling_csv_number(t, ok ? more[k] : NAN);
        mg_scaling_csv_field(t, a->energy_from);
        const double latency[] = {a->decode_first_ms, a->decode_batch_ms, mg_scaling_steps_s(a),
                                  mg_scaling_first_s(a), mg_scaling_last_s(a)};
        for (size_t k = 0; k < sizeof latency / sizeof *latency; k++)
            mg_scaling_csv_number(t, ok ? latency[k] : NAN);
        const char *const words[] = {
            a->codes,   a->shape, a->dtype, a->backend, a->device, a->host, a->binding ? a->binding : "",
            a->version, a->reason};
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) mg_scaling_csv_field(t, words[k]);
        mg_scaling_csv_number(t, ok ? a->n_threads : NAN);
        mg_text_add(t, "\n");
    }
}
