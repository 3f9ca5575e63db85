/* How fast a model loads, as `generate` loads it: every rank its slice, converted, checked for NaN. Held
 * against what reading the same files with read(2) reaches, as cat does, before and after: the best counts.
 * On GPUs also against the links of all ranks to their devices: the slower of the two is what a load can
 * reach. And how much memory of the host a rank has at its worst, against what the plan said.
 *
 * Both are warm: the files are in the page cache, and the memory has been taken and given back once. In a
 * virtual machine whose host lends it memory page by page the first taking may last longer than the load.
 *
 * Then the model's first step, so that the parts of a start add up: from the beginning of the process, with
 * MPI where there is one, to that step's end. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agreement.h"
#include "bench.h"
#include "clock.h"
#include "process.h"
#include "replica.h"
#include "stop.h"

enum { CAT_BYTES = 128 << 10, PAGE_BYTES = 4096, CLIP_FRAMES = 500, TEXT_TOKENS = 16 };

/* What each rank tells rank 0. */
typedef struct load_account {
    int64_t planned_bytes, peak_bytes, base_bytes, read_bytes;
    int64_t link_bps; /* bytes a second to its device; 0 on a CPU */
} load_account;

enum { ACCOUNT_INTS = sizeof(load_account) / sizeof(int64_t) };

/* A line of /proc/self/status in bytes; 0 if the system does not say. */
static int64_t memory_of(const char *key)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long long kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), ": %lld", &kb) == 1) break;
    if (f) fclose(f);
    return (int64_t)kb * 1024;
}

/* Since this process began; NaN if the system does not say. The kernel counts in hundredths of a second. */
static double since_start_s(void)
{
    const uint64_t ticks = mg_process_start_ticks(getpid());
    struct timespec now;

    if (!ticks || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return NAN;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* A step of one clip with guidance, and its logits. */
static mg_status run_first_step(mg_replica *r, const mg_replica_limits *limits, double *step_s)
{
    const mg_lm_config *c = &r->config.lm;
    const int32_t row[2] = {0, 1}, position[2] = {0, 0}, text[1] = {0};
    const size_t n_states = (size_t)(limits->S_max * c->d_text), n_logits = (size_t)(2 * c->K * c->V);
    float *states = calloc(n_states, sizeof *states), *logits = calloc(n_logits, sizeof *logits);
    int32_t cells[2 * MG_MAX_CODEBOOKS];
    const mg_lm_batch batch = {2, c->n_chroma ? 0 : 1, true, cells, row, position, text};
    const double begin_s = mg_clock_s();
    mg_status st = MG_OK;

    if (!states || !logits) MG_TRY(mg_fail(MG_ENOMEM, "bench: %zu numbers", n_states + n_logits));
    for (int i = 0; i < 2 * MG_MAX_CODEBOOKS; i++) cells[i] = -1;
    if (!c->n_chroma) MG_TRY(mg_lm_set_text(r->lm, 0, states, limits->S_max));
    MG_TRY(mg_lm_step(r->lm, &batch, NULL, 0));
    MG_TRY(mg_lm_logits(r->lm, logits));
    *step_s = mg_clock_s() - begin_s;
done:
    free(states);
    free(logits);
    return st;
}

/* Where the time of a start goes. */
static void report_start(mg_figures *r, const mg_replica *replica, double start_s, double open_s,
                         double load_s, double step_s)
{
    const mg_replica_times *t = &replica->times;
    const mg_pack_cache *pack = &replica->pack;

    mg_figures_text(r, "pack_cache", pack->is_read ? "read" : pack->write_s > 0 ? "made" : "none");
    if (pack->write_s > 0) mg_figures_number(r, "pack_write_s", pack->write_s, 3);
    mg_figures_number(r, "start_process_s", start_s, 3);
    mg_figures_number(r, "start_open_s", open_s, 3);
    mg_figures_number(r, "start_memory_s", t->memory, 3);
    mg_figures_number(r, "start_key_s", pack->key_s, 3);
    mg_figures_number(r, "start_text_encoder_s", t->t5, 3);
    mg_figures_number(r, "start_language_model_s", t->lm, 3);
    mg_figures_number(r, "start_codec_s", t->codec, 3);
    mg_figures_number(r, "start_first_step_s", step_s, 3);
    mg_figures_number(r, "start_to_first_step_s", start_s + open_s + load_s + step_s, 3);
}

/* Forget the peak so far: reading files left it behind. Where the kernel does not, the peak is only higher.
 */
static void reset_peak(void)
{
    const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd < 0) return;
    const ssize_t n = write(fd, "5", 1);
    (void)n;
    close(fd);
}

static mg_status read_file(const char *path, char *room, int64_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0) return mg_fail(MG_EFAIL, "%s: cannot open: %s", path, strerror(errno));
    while (!mg_stop_requested() && (n = read(fd, room, CAT_BYTES)) > 0) *bytes += n;
    const int error = n < 0 ? errno : 0;
    close(fd);
    return error ? mg_fail(MG_EFAIL, "%s: cannot read: %s", path, strerror(error)) : mg_stop_check();
}

/* All files of the model, one behind the other. */
static mg_status cat(const mg_model_files *files, double *gbps, int64_t *bytes)
{
    char *room = malloc(CAT_BYTES);
    mg_status st = MG_OK;
    const double begin_s = mg_clock_s();

    *bytes = 0;
    if (!room) MG_TRY(mg_fail(MG_ENOMEM, "bench: %d bytes", CAT_BYTES));
    for (int i = 0; i < files->n_opened; i++)
        for (size_t k = 0; k < mg_checkpoint_n_files(files->opened[i]); k++)
            MG_TRY(read_file(mg_checkpoint_file(files->opened[i], k), room, bytes));
    *gbps = (double)*bytes / (mg_clock_s() - begin_s) / 1e9;
done:
    free(room);
    return st;
}

/* Rank 0 reads while the others wait; *best keeps the better. */
static mg_status probe(const mg_bench *b, const mg_replica *r, double *best, int64_t *bytes)
{
    double gbps = 0;
    mg_status st = MG_OK;

    if (b->comm->rank == 0) st = cat(r->files, &gbps, bytes);
    if (gbps > *best) *best = gbps;
    return mg_comm_agree(b->comm, st);
}

static void touch(void *arg, int64_t first, int64_t end, int i_thread)
{
    volatile char *block = arg;

    (void)i_thread;
    for (int64_t page = first; page < end && !mg_stop_requested(); page++) block[page * PAGE_BYTES] = 1;
}

/* Take the memory that the load will take, and give it back: *first_s the first time, *warm_s the second. */
static mg_status warm_memory(const mg_bench *b, size_t bytes, double *first_s, double *warm_s)
{
    const mg_ops *ops = b->backend.ops;

    for (int i = 0; i < 2; i++) {
        const double begin_s = mg_clock_s();
        void *block;
        MG_RETURN(mg_ops_alloc(ops, &block, bytes));
        if (ops->space == MG_HOST)
            mg_threads_run(b->backend.threads, touch, block, (int64_t)bytes / PAGE_BYTES);
        *(i ? warm_s : first_s) = mg_clock_s() - begin_s;
        mg_ops_release(ops, block, bytes);
        MG_RETURN(mg_stop_check());
    }
    return MG_OK;
}

/* *bps: bytes a second to the device; it stays 0 on a CPU. */
static mg_status measure_link(const mg_bench *b, int64_t *bps)
{
    double gbps = 0;

    if (b->backend.ops->space == MG_HOST) return MG_OK;
    MG_RETURN(mg_machine_link(&b->backend, &gbps));
    *bps = (int64_t)(gbps * 1e9);
    return MG_OK;
}

static void report_load(mg_bench *b, const mg_replica *replica, const load_account *all, int64_t file_bytes,
                        double load_s, double cat_gbps)
{
    mg_figures *r = &b->report;
    int64_t read_bytes = 0, n_worst = 0;
    double worst = 0, link_gbps = 0;

    for (int i = 0; i < b->comm->size; i++) {
        link_gbps += (double)all[i].link_bps / 1e9;
        const double share = (double)all[i].peak_bytes / (double)all[i].planned_bytes;
        if (share > worst) worst = share, n_worst = i;
        read_bytes += all[i].read_bytes;
    }
    mg_figures_text(r, "dtype", mg_format_name(replica->backend.formats.weights));
    mg_figures_number(r, "file_mb", (double)file_bytes / 1e6, 1);
    mg_figures_number(r, "read_mb", (double)read_bytes / 1e6, 1);
    mg_figures_number(r, "load_s", load_s, 3);
    mg_figures_number(r, "load_gbps", (double)file_bytes / load_s / 1e9, 2);
    mg_figures_number(r, "cat_gbps", cat_gbps, 2);
    mg_figures_number(r, "fraction_of_cat", (double)file_bytes / load_s / 1e9 / cat_gbps, 3);
    if (link_gbps > 0) {
        const double slower_gbps = cat_gbps < link_gbps ? cat_gbps : link_gbps;
        mg_figures_number(r, "link_gbps", link_gbps, 2);
        mg_figures_number(r, "fraction_of_slower", (double)file_bytes / load_s / 1e9 / slower_gbps, 3);
    }
    mg_figures_int(r, "worst_rank", n_worst);
    mg_figures_number(r, "planned_mb", (double)all[n_worst].planned_bytes / 1e6, 1);
    mg_figures_number(r, "before_mb", (double)all[n_worst].base_bytes / 1e6, 1);
    mg_figures_number(r, "peak_mb", (double)all[n_worst].peak_bytes / 1e6, 1);
    mg_figures_number(r, "peak_over_plan", worst, 3);
}

mg_status mg_bench_load(mg_bench *b)
{
    const mg_bench_settings *s = b->settings;
    const mg_replica_source source = {.model.model = s->model,
                                      .model.text_encoder = s->text_encoder,
                                      .model.codec = s->codec,
                                      .with_text = true,
                                      .with_decoder = true};
    const mg_replica_limits limits = {.n_slots = 1,
                                      .n_rows = 2,
                                      .n_texts = 1,
                                      .n_tokens = 2,
                                      .T_max = CLIP_FRAMES,
                                      .P_max = CLIP_FRAMES + 4,
                                      .S_max = TEXT_TOKENS};
    mg_status st = MG_OK;
    mg_replica *r = NULL;
    load_account mine = {0}, *all = calloc((size_t)b->comm->size, sizeof *all);
    double cat_gbps = 0, load_s, open_s, step_s = 0, first_s = 0, warm_s = 0;
    const double start_s = since_start_s();
    int64_t file_bytes = 0;

    MG_TRY(mg_comm_agree(b->comm, all ? MG_OK : mg_fail(MG_ENOMEM, "bench: %d ranks", b->comm->size)));
    load_s = mg_clock_s();
    MG_TRY(mg_comm_agree(b->comm, mg_replica_open(&r, &source, &b->backend, &b->beside, b->comm)));
    MG_TRY(mg_agree_model(b->world, r->files, mg_format_name(b->backend.formats.weights), MG_NEED_LM));
    open_s = mg_clock_s() - load_s;
    MG_TRY(probe(b, r, &cat_gbps, &file_bytes)); /* the first fills the page cache */
    MG_TRY(probe(b, r, &cat_gbps, &file_bytes));
    MG_TRY(mg_comm_agree(b->comm, warm_memory(b, mg_replica_bytes_weights(&r->bytes), &first_s, &warm_s)));
    mg_figures_number(&b->report, "take_memory_first_s", first_s, 3);
    mg_figures_number(&b->report, "take_memory_s", warm_s, 3);
    MG_TRY(mg_comm_agree(b->comm, measure_link(b, &mine.link_bps)));
    reset_peak();
    mine.base_bytes = memory_of("VmRSS");
    load_s = mg_clock_s();
    MG_TRY(mg_comm_agree(b->comm, mg_replica_load(r, &limits)));
    load_s = mg_clock_s() - load_s;
    MG_TRY(mg_replica_keep_pack(r, b->world));
    mine.planned_bytes = (int64_t)mg_replica_bytes_all(&r->bytes);
    mine.peak_bytes = memory_of("VmHWM");
    mine.read_bytes = r->read_bytes;
    MG_TRY(mg_comm_agree(b->comm, run_first_step(r, &limits, &step_s)));
    MG_TRY(probe(b, r, &cat_gbps, &file_bytes));
    MG_TRY(mg_comm_all_gather(b->comm, all, &mine, ACCOUNT_INTS, MG_I64));
    report_load(b, r, all, file_bytes, load_s, cat_gbps);
    report_start(&b->report, r, start_s, open_s, load_s, step_s);
done:
    mg_replica_close(r);
    free(all);
    return st;
}
