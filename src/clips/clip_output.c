/* The account of a call: which clips were delivered, which failed, and who says so. */
#include "clip_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clip_index.h"
#include "file_lock.h"
#include "in_file.h"
#include "json_text.h"
#include "log.h"
#include "show.h"
#include "write_out.h"

#define MAX_METADATA_BYTES ((int64_t)64 << 20)

mg_status mg_clip_output_open(mg_clip_output **out, const mg_call *call, const mg_clip_list *list,
                              const mg_replica *replica, const mg_world *world)
{
    mg_status st = MG_OK;
    mg_clip_output *o = calloc(1, sizeof *o);

    *out = NULL;
    if (!o) return mg_fail(MG_ENOMEM, "outcomes: no memory");
    *o = (mg_clip_output){.call = call, .list = list, .replica = replica, .world = world};
    o->outcome = calloc((size_t)list->n, sizeof *o->outcome);
    o->applied = calloc(replica->renames.n + 1, sizeof *o->applied);
    if (!o->outcome || !o->applied) MG_TRY(mg_fail(MG_ENOMEM, "outcomes: %lld clips", (long long)list->n));
    for (int64_t i = 0; i < list->n; i++)
        o->outcome[i] = list->job[i].refused    ? MG_OUTCOME_FAILED
                        : list->job[i].is_there ? MG_OUTCOME_DELIVERED
                                                : MG_OUTCOME_NONE;
    for (size_t i = 0; i < replica->renames.n; i++)
        o->applied[i] = (mg_renamed){replica->renames.list[i].target, replica->renames.list[i].source};
    if (replica->is_leader) MG_TRY(mg_input_hashes_open(&o->hashes, replica->files, &list->requests));
    *out = o;
done:
    if (st != MG_OK) mg_clip_output_close(o);
    return st;
}

void mg_clip_output_close(mg_clip_output *o)
{
    if (!o) return;
    mg_input_hashes_close(&o->hashes);
    free(o->applied);
    free(o->outcome);
    free(o);
}

/* Under a lock, or of two calls at once a sound of one might stand beside the metadata of the other. */
static mg_status write_files(mg_clip_output *o, const mg_clip *clip, const mg_clip_result *result)
{
    const char *name = o->list->job[clip->index].name;
    mg_file_lock lock;

    if (mg_call_is_to_stdout(o->call)) return mg_clip_files_write(o, clip, result);
    MG_RETURN(mg_file_lock_take_name(&lock, o->call->out_dir, name));
    mg_status st = o->call->overwrite ? MG_OK : mg_clip_list_check_free(o->call, name);
    if (st == MG_OK) st = mg_clip_files_write(o, clip, result);
    mg_file_lock_release(&lock);
    return st;
}

mg_status mg_clip_output_take(void *arg, const mg_clip *clip, const mg_clip_result *result)
{
    mg_clip_output *o = arg;
    mg_status st = mg_fault_raise(&result->fault);

    if (st == MG_OK) st = write_files(o, clip, result);
    if (mg_status_is_common(st)) return st;
    o->outcome[clip->index] = st == MG_OK ? MG_OUTCOME_DELIVERED : MG_OUTCOME_FAILED;
    if (st != MG_OK) mg_log_error("clip %s: %s", o->list->job[clip->index].name, mg_last_error());
    mg_clear_error();
    return MG_OK;
}

/* "000001, 000003 …" of what failed. */
static void list_failed(char *out, size_t out_bytes, const mg_clip_output *o)
{
    size_t n = 0;

    for (int64_t i = 0; i < o->list->n; i++) {
        if (o->outcome[i] == MG_OUTCOME_DELIVERED) continue;
        const char *name = o->list->job[i].name ? o->list->job[i].name : "";
        if (n + strlen(name) + sizeof ", , …" > out_bytes) {
            snprintf(out + n, out_bytes - n, ", …");
            return;
        }
        n += (size_t)snprintf(out + n, out_bytes - n, "%s%s", n ? ", " : "", name);
    }
}

static mg_status verdict(const mg_clip_output *o)
{
    const int64_t n_delivered = mg_outcomes_count(o->outcome, o->list->n, MG_OUTCOME_DELIVERED);
    char failed[400] = "";

    if (n_delivered == o->list->n) return MG_OK;
    list_failed(failed, sizeof failed, o);
    return mg_fail(n_delivered > 0 ? MG_EPARTIAL : MG_EFAIL, "generate: %lld of %lld clips failed: %s",
                   (long long)(o->list->n - n_delivered), (long long)o->list->n, failed);
}

/* A clip's metadata in one line, its path first. The file is JSON with line breaks and tabs between its
 * tokens, and a string holds neither. */
static mg_status print_metadata(const mg_clip_output *o, int64_t index, const char *path)
{
    mg_json_text head = {.layout = MG_JSON_LINE};
    char file[MG_PATH_SIZE], *text = NULL, *start = NULL;
    mg_status st = MG_OK;
    int64_t bytes;

    MG_RETURN(mg_path_format(file, "%s/%s.json", o->call->out_dir, o->list->job[index].name));
    MG_TRY(mg_in_file_read(&text, &bytes, file, MAX_METADATA_BYTES));
    mg_json_text_object(&head, NULL);
    mg_json_text_string(&head, "path", path);
    mg_json_text_close(&head);
    MG_TRY(mg_json_text_end(&head, &start));
    start[strlen(start) - 1] = ',';
    fputs(start, stdout);
    char *to = text; /* what stands behind the brace, on one line */
    for (const char *p = text + 1; bytes > 0 && *p; p++)
        if (*p != '\n' && *p != '\t') *to++ = *p;
    *to = '\0';
    fprintf(stdout, "%s\n", text);
done:
    free(text);
    free(start);
    return st;
}

static mg_status print_paths(const mg_clip_output *o)
{
    char path[MG_PATH_SIZE];

    for (int64_t i = 0; i < o->list->n; i++) {
        if (o->outcome[i] != MG_OUTCOME_DELIVERED) continue;
        MG_RETURN(mg_clip_files_path(path, o, i));
        if (mg_call_is_to_stdout(o->call))
            mg_log_info("%s", path);
        else if (o->call->as_json)
            MG_RETURN(print_metadata(o, i, path));
        else
            mg_print(stdout, "%s\n", path);
    }
    return mg_write_out_end();
}

/* metadata.jsonl, for the clips of a folder. A clip that is made again for a comparison has none. */
static mg_status list_sounds(const mg_call *call)
{
    if (call->codes_only || call->n_more > 0 || mg_call_is_to_stdout(call)) return MG_OK;
    return mg_clip_index_write(call->out_dir);
}

void mg_clip_output_stopped(mg_clip_output *o)
{
    if (o->world->rank == 0 && list_sounds(o->call) != MG_OK) mg_log_warn("%s", mg_last_error());
}

mg_status mg_clip_output_conclude(mg_clip_output *o)
{
    const mg_world *w = o->world;
    mg_status st = MG_OK;

    MG_RETURN(mg_outcomes_share(o->outcome, o->list->n, w->all));
    if (w->rank == 0) st = list_sounds(o->call);
    if (st == MG_OK && w->rank == 0 && !o->call->no_paths) st = print_paths(o);
    if (st == MG_OK && w->rank == 0) st = verdict(o); /* it has the names */
    return mg_world_await_first(w, st);               /* a large folder on a slow disk */
}
