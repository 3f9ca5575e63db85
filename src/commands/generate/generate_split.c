/* How many ranks share a model when nobody says. */
#include <stdio.h>
#include <stdlib.h>

#include "generate.h"
#include "host_memory.h"
#include "layout.h"
#include "log.h"
#include "machine.h"

/* Beside the weights a rank has caches, scratch and buffers: measured 5 to 20 % of a model's weights. */
static const double ROOM = 1.25;

static double format_bytes(const mg_machine *machine, bool on_device)
{
    switch (machine->dtype) {
    case MG_MACHINE_DTYPE_AUTO: return on_device ? 2 : 0; /* 0: as stored */
    case MG_MACHINE_BF16:
    case MG_MACHINE_FP16: return 2;
    case MG_MACHINE_INT8: return 1;
    case MG_MACHINE_INT4: return 0.75;
    default: return 4;
    }
}

/* limits[0]: the smallest group whose ranks hold the model in the memory of this host, or of a GPU each, by
 * the sizes in its files. limits[1]: the largest over which its heads can be split. A model that cannot be
 * opened fits; opening it in earnest says what is wrong. */
static void look_at_model(int32_t limits[2], const mg_world *w, const mg_model_request *model,
                          const mg_machine *machine)
{
    mg_model_files *files = NULL;
    const double of_device = (double)mg_machine_device_bytes(machine, w);
    const double width = format_bytes(machine, of_device > 0);
    double bytes = 0, others = 0;
    int tp = 1, most = mg_world_largest_group(w);

    limits[0] = 1, limits[1] = most;
    if (mg_model_files_open(&files, model, MG_NEED_LM) != MG_OK) {
        mg_clear_error();
        return;
    }
    while (files->config.lm.H % most) most /= 2;
    for (int i = 0; i < files->n_opened; i++)
        for (size_t k = 0; k < mg_checkpoint_count(files->opened[i]); k++) {
            const double n = (double)mg_tensor_count(&mg_checkpoint_at(files->opened[i], k)->tensor);
            const double stored = (double)mg_dtype_bytes(mg_checkpoint_at(files->opened[i], k)->tensor.dtype);
            if (files->opened[i] == files->lm.checkpoint)
                bytes += n * (width > 0 ? width : stored);
            else
                others += n * 4;
        }
    const double of_host = (double)mg_host_memory_available(); /* less what a merged adapter takes */
    while (tp < most && (of_device > 0 ? (bytes / tp + others) * ROOM > of_device
                                       : (bytes + others) / tp * ROOM * w->local_size > of_host))
        tp *= 2;
    mg_model_files_close(files);
    limits[0] = tp, limits[1] = most;
}

static void say_split(const mg_world *w, int tp, int64_t n_clips)
{
    char clips[32] = "a dataset";

    if (n_clips != MG_MANY_CLIPS)
        (void)snprintf(clips, sizeof clips, "%lld clip%s", (long long)n_clips, n_clips == 1 ? "" : "s");
    mg_log_info("ranks: %d replica%s of %d, --tp %d: %s for %d ranks%s", w->size / tp,
                w->size / tp == 1 ? "" : "s", tp, tp, clips, w->size,
                tp == 1 || w->size / (tp / 2) > n_clips ? "" : ", and the model does not fit fewer");
}

mg_status mg_generate_split(mg_world *w, const mg_model_request *model, const mg_machine *machine,
                            int64_t n_clips)
{
    mg_status st = MG_OK;

    if (machine->tp > 0 || w->size == 1) return mg_world_split(w, machine->tp > 0 ? (int)machine->tp : 1);
    int32_t mine[2], *all = calloc((size_t)w->size, sizeof mine);
    int tp, least = 1, most = 8;

    look_at_model(mine, w, model, machine);
    MG_TRY(mg_comm_agree(w->all, all ? MG_OK : mg_fail(MG_ENOMEM, "split: %d ranks", w->size)));
    MG_TRY(mg_comm_all_gather(w->all, all, mine, 2, MG_I32));
    for (int r = 0; r < w->size; r++) {
        if (all[2 * r] > least) least = all[2 * r];
        if (all[2 * r + 1] < most) most = all[2 * r + 1];
    }
    tp = mg_layout_tp(w->size, n_clips, least, most);
    say_split(w, tp, n_clips);
    MG_TRY(mg_world_split(w, tp));
done:
    free(all);
    return st;
}
