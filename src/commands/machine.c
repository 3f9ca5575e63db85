#include "machine.h"

#include "cpu.h"
#include "door.h"
#include "log.h"

/* exact everywhere; half precision is the user's choice, and worth a hint */
static mg_format choose_format(int wanted)
{
    switch (wanted) {
    case MG_MACHINE_BF16: return MG_FORMAT_BF16;
    case MG_MACHINE_FP16: return MG_FORMAT_F16;
    case MG_MACHINE_INT8: return MG_FORMAT_Q8;
    case MG_MACHINE_DTYPE_AUTO:
        mg_log_detail(
            "--dtype auto: fp32 on a CPU, the reference's numbers; --dtype bf16 is about twice as fast");
        return MG_FORMAT_F32;
    default: return MG_FORMAT_F32;
    }
}

static mg_status open_one(mg_backend *out, const mg_machine *machine, const mg_world *world, bool says)
{
    mg_status st = MG_OK;
    const int n_threads = machine->threads > 0 ? (int)machine->threads : world->n_cores;
    const int may_spin = !world->oversubscribed && n_threads <= world->n_cores;

    mg_cpu_level level = (mg_cpu_level)machine->cpu_level;

    *out = (mg_backend){0};
    if (machine->device == MG_MACHINE_CUDA)
        return mg_fail(MG_EFIT,
                       "option --device: cuda: this build computes on the CPU only; use --device cpu");
    MG_TRY(mg_door_level(&level, world, says));
    MG_TRY(mg_threads_open(&out->threads, n_threads, may_spin));
    MG_TRY(mg_cpu_open(&out->ops, level, out->threads));
done:
    if (st != MG_OK) mg_machine_close(out);
    return st;
}

mg_status mg_machine_open(mg_backend *out, const mg_machine *machine, const mg_world *world)
{
    MG_RETURN(open_one(out, machine, world, true));
    out->group = world->group;
    out->formats.weights = choose_format(machine->dtype);
    out->formats.kv = out->formats.weights == MG_FORMAT_Q8 ? MG_FORMAT_BF16 : out->formats.weights;
    return MG_OK;
}

mg_status mg_machine_open_beside(mg_backend *out, const mg_machine *machine, const mg_world *world)
{
    return open_one(out, machine, world, false);
}

void mg_machine_close(mg_backend *b)
{
    mg_ops_close(b->ops);
    mg_threads_close(b->threads);
    *b = (mg_backend){0};
}
