/* mg-dist verify of a dataset: rank 0 reads it, all ranks make clips again. */
#include "verify_dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_text.h"
#include "log.h"
#include "show.h"
#include "text.h"
#include "write_out.h"

static void say(void *arg, const char *fault)
{
    mg_verify_account_add(arg, true, "%s", fault);
}

static void print_json(const mg_verify_account *a, const mg_dataset_verdict *d, const char *layout)
{
    mg_json_text t = {0};
    char *text;

    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "source", a->settings->source);
    mg_json_text_bool(&t, "passed", a->n_damaged == 0);
    mg_json_text_string(&t, "layout", layout);
    mg_json_text_int(&t, "clips", d->n_clips);
    mg_json_text_number(&t, "sound_s", d->dur_s);
    mg_json_text_int(&t, "files", d->n_files);
    mg_json_text_int(&t, "bytes", d->n_bytes);
    mg_json_text_int(&t, "failed", d->n_failed);
    mg_json_text_int(&t, "waiting", d->n_waiting);
    mg_json_text_int(&t, "made_again", a->n_replayed);
    mg_json_text_int(&t, "damaged", a->n_damaged);
    mg_json_text_array(&t, "findings");
    for (size_t i = 0; i < a->n; i++) mg_json_text_string(&t, NULL, a->line[i]);
    mg_json_text_close(&t);
    mg_json_text_close(&t);
    if (mg_json_text_end(&t, &text) != MG_OK) return;
    fputs(text, stdout);
    free(text);
}

static void print_summary(const mg_verify_account *a, const mg_dataset_verdict *d, const char *layout)
{
    mg_print(stdout, "%s: %lld clip%s, %.1f s of sound, %lld file%s, %.1f MB%s", layout,
             (long long)d->n_clips, mg_plural(d->n_clips), d->dur_s, (long long)d->n_files,
             mg_plural(d->n_files), (double)d->n_bytes / 1e6,
             d->with_state ? "" : "; without .mg-dist, so the state was not compared");
    if (d->n_failed > 0)
        mg_print(stdout, "; %lld job%s failed, as failures.jsonl says", (long long)d->n_failed,
                 mg_plural(d->n_failed));
    if (d->n_waiting > 0)
        mg_print(stdout, "; not complete: %lld clip%s for the next mg-dist run", (long long)d->n_waiting,
                 d->n_waiting == 1 ? " waits" : "s wait");
    if (a->n_replayed > 0)
        mg_print(stdout, "; %lld clip%s made again", (long long)a->n_replayed, mg_plural(a->n_replayed));
    mg_print(stdout, "\n");
}

static mg_status conclude(const mg_verify_account *a, const mg_dataset_verdict *d)
{
    static const char *const layouts[] = {"audiofolder", "webdataset", "audiocraft"};
    const char *layout = layouts[d->layout];

    if (a->failed) return mg_fail(MG_ENOMEM, "verify: no memory for all lines");
    if (a->settings->json)
        print_json(a, d, layout);
    else
        print_summary(a, d, layout);
    MG_RETURN(mg_write_out_end());
    if (a->n_damaged == 0) return MG_OK;
    return mg_fail(MG_EFAIL, "verify: %s: %lld thing%s wrong; see above", a->settings->source,
                   (long long)a->n_damaged, a->n_damaged == 1 ? " is" : "s are");
}

/* --again: damaged clips wait for the next run. */
static mg_status make_again(const mg_verify_settings *s, const mg_dataset_verdict *d)
{
    int64_t n;

    if (d->n_again == 0) return MG_OK;
    if (!d->with_state)
        return mg_fail(MG_EUSAGE, "option --again: %s: has no .mg-dist, so no run can go on with it",
                       s->source);
    MG_RETURN(mg_dataset_again(&n, s->source, d->again, d->n_again));
    if (n > 0)
        mg_log_info("verify: %s: %lld clip%s for the next mg-dist run", s->source, (long long)n,
                    n == 1 ? " waits" : "s wait");
    else
        mg_log_info("verify: %s: no clip waits, for the jobs of the damaged ones have left the list; the "
                    "same mg-dist run takes them out of all lists",
                    s->source);
    return MG_OK;
}

mg_status mg_verify_dataset(mg_context *context, const mg_verify_settings *settings)
{
    mg_world *w = context->world;
    mg_status st = MG_OK;
    mg_verify_account a = {.settings = settings};
    mg_dataset_verdict d = {0};
    const int n_threads = settings->machine.threads > 0 ? (int)settings->machine.threads : 0;

    if (w->rank == 0) st = mg_dataset_verify(&d, settings->source, n_threads, say, &a);
    MG_TRY(mg_world_await_first(w, st));
    if (settings->n_replay > 0) MG_TRY(mg_verify_replay(&a, context));
    if (w->rank == 0) st = conclude(&a, &d);
    if (w->rank == 0 && st == MG_EFAIL && a.n_damaged > 0 && settings->again) {
        const mg_status made = make_again(settings, &d);
        st = made != MG_OK ? made
                           : mg_fail(MG_EFAIL, "verify: %s: %lld thing%s wrong; see above", settings->source,
                                     (long long)a.n_damaged, a.n_damaged == 1 ? " was" : "s were");
    }
    st = mg_world_await_first(w, st);
done:
    for (size_t i = 0; i < a.n; i++) free(a.line[i]);
    free(a.line);
    mg_dataset_verdict_close(&d);
    return st;
}
