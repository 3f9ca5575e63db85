#include "recorded_machine.h"

#include <string.h>

#include "choice_words.h"
#include "cpu.h"
#include "log.h"

static mg_status find_word(int *out, const char *where, const char *key, const char *choices,
                           const char *word)
{
    const int i = mg_choice_find(choices, word);

    if (i >= 0) *out = i;
    if (i >= 0 || !word) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: %s: \"%.80s\": must be one of %s", where, key, word, choices);
}

static bool is_cpu(const char *backend)
{
    return backend && strncmp(backend, "cpu/", 4) == 0;
}

/* "cuda/sm_90/fast" */
static bool is_fast(const char *backend)
{
    const char *last = backend ? strrchr(backend, '/') : NULL;

    return last && strcmp(last, "/fast") == 0;
}

static void choose_level(mg_machine *machine, const mg_clip_metadata *m)
{
    const char *backend = is_cpu(m->text_backend)    ? m->text_backend
                          : is_cpu(m->codec_backend) ? m->codec_backend
                                                     : m->backend;
    const int level = is_cpu(backend) ? mg_choice_find(MG_CPU_LEVEL_WORDS, strchr(backend, '/') + 1) : -1;

    if (level < 0 || machine->cpu_level != MG_CPU_AUTO) return;
    if (mg_cpu_has_level((mg_cpu_level)level))
        machine->cpu_level = level;
    else
        mg_log_info("the clip was made on %s, which this machine has not", backend);
}

mg_status mg_recorded_machine(mg_machine *machine, const mg_clip_metadata *m, const char *where)
{
    if (is_cpu(m->text_backend)) machine->text_device = MG_MACHINE_PART_CPU;
    if (is_cpu(m->codec_backend)) machine->codec_device = MG_MACHINE_PART_CPU;
    if (machine->dtype == MG_MACHINE_DTYPE_AUTO)
        MG_RETURN(find_word(&machine->dtype, where, "run.dtype", MG_DTYPE_WORDS, m->dtype));
    if (machine->gemm == MG_MACHINE_GEMM_AUTO &&
        (is_fast(m->backend) || is_fast(m->text_backend) || is_fast(m->codec_backend)))
        machine->gemm = MG_MACHINE_GEMM_FAST;
    if (machine->kv == MG_MACHINE_KV_AUTO && m->kv)
        MG_RETURN(find_word(&machine->kv, where, "run.kv", MG_KV_WORDS, m->kv));
    choose_level(machine, m);
    return MG_OK;
}
