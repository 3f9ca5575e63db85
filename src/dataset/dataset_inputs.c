/* What --check finds in the files that jobs name. In a run it is its clip's failure, and good to know before.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "audio_file.h"
#include "dataset_impl.h"

#define ROUNDING_S 1e-3 /* a sound's rate and the codec's need not divide each other */

/* A style's excerpt, of which a job says where it begins or how long it is; the model says the rest. */
static mg_status check_excerpt(const mg_recipe *r)
{
    const double least_s = mg_recipe_key_of(offsetof(mg_recipe, style_dur_s))->low;
    const double end_s = (MG_SAID(r, style_start_s) ? r->style_start_s : 0) +
                         (MG_SAID(r, style_dur_s) ? r->style_dur_s : least_s);
    mg_audio_info info;

    if (!r->melody || !*r->melody || (!MG_SAID(r, style_start_s) && !MG_SAID(r, style_dur_s))) return MG_OK;
    if (mg_audio_file_probe(&info, r->melody) != MG_OK) {
        char text[2048];
        snprintf(text, sizeof text, "%s", mg_last_error());
        return mg_fail(MG_EUSAGE, "%s: melody: %s", r->where, text);
    }
    const double dur_s = (double)info.n_frames / (double)info.rate_hz;
    if (end_s <= dur_s + ROUNDING_S) return MG_OK;
    return mg_fail(MG_EUSAGE,
                   "%s: melody: %s: ends after %.2f s, and the excerpt (style_start, style_duration) after "
                   "%.2f s",
                   r->where, r->melody, dur_s, end_s);
}

void mg_dataset_check_inputs(const mg_recipe *r, void (*note)(void *arg), void *arg)
{
    bool all = true;

    for (int i = 0; i < MG_RECIPE_INPUTS; i++) {
        const mg_recipe_key *key = mg_recipe_input(i);
        const char *path = *(const char *const *)mg_recipe_get(r, key);
        if (!path || !*path || access(path, R_OK) == 0) continue;
        (void)mg_fail(MG_EUSAGE, "%s: %s: %s: cannot open: %s", r->where, key->key, path, strerror(errno));
        note(arg);
        all = false;
    }
    if (all && check_excerpt(r) != MG_OK) note(arg);
}
