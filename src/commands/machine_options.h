/* Options shared by all commands that compute. machine.h opens what they ask for. */
#ifndef MG_MACHINE_OPTIONS_H
#define MG_MACHINE_OPTIONS_H

#include "cli.h"
#include "cpu.h"

/* What computes. */
typedef struct mg_machine {
    int dtype;        /* mg_machine_dtype */
    int kv;           /* mg_machine_kv */
    int device;       /* mg_machine_device */
    int cpu_level;    /* mg_cpu_level: the words stand in its order */
    int64_t threads;  /* 0: not given */
    double cpu_share; /* of the cores, where threads is 0; NaN: all */
    int64_t tp;
    int reduce;                    /* mg_cuda_reduce: the words stand in its order */
    int gemm;                      /* mg_machine_gemm */
    int codec_device, text_device; /* mg_machine_part */
    int numa;                      /* mg_machine_numa */
    bool share_gpu;
    int64_t host_memory, device_memory, memory_margin; /* bytes; the first two 0 or less: not given */
    const char *offload;                               /* "none", "auto", "layers=N" */
    const char *pack_cache;                            /* "none", "model", or a folder */
} mg_machine;

enum mg_machine_dtype {
    MG_MACHINE_DTYPE_AUTO,
    MG_MACHINE_FP32,
    MG_MACHINE_BF16,
    MG_MACHINE_FP16,
    MG_MACHINE_INT8,
    MG_MACHINE_INT4
};
enum mg_machine_kv { MG_MACHINE_KV_AUTO, MG_MACHINE_KV_INT8 };
enum mg_machine_device { MG_MACHINE_DEVICE_AUTO, MG_MACHINE_CPU, MG_MACHINE_CUDA };
enum mg_machine_numa { MG_MACHINE_NUMA_AUTO, MG_MACHINE_NUMA_OFF };
enum mg_machine_gemm { MG_MACHINE_GEMM_AUTO, MG_MACHINE_GEMM_EXACT, MG_MACHINE_GEMM_FAST };
enum mg_machine_part { MG_MACHINE_PART_SAME, MG_MACHINE_PART_CPU };

/* MG_MACHINE_OPTIONS: of all commands that run a language model; their settings have a field `mg_machine
 * machine`. MG_DEVICE_OPTIONS: those of them that are left without a language model. */
/* clang-format off */
#define MG_DTYPE_WORDS "auto|fp32|bf16|fp16|int8|int4"
#define MG_KV_WORDS    "auto|int8"
#define MG_DTYPE_SAME "float32=fp32|float=fp32|float16=fp16|half=fp16|bfloat16=bf16|torch.float32=fp32|" \
                      "torch.float16=fp16|torch.bfloat16=bf16|f32=fp32|f16=fp16"
#define MG_GEMM_WORDS "auto|exact|fast"
#define MG_GEMM_HELP                                                                                       \
    "matrix products of many rows on a GPU: exact, by kernels whose bits do not depend on the batch; fast, by " \
    "cuBLASLt, in twice the memory for matrices, and bits differ with the batch; auto is exact, for replay " \
    "what was recorded; a CPU is always exact"
#define MG_DEVICE_OPTIONS(settings)                                                                        \
    {.name = "device", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.device),                \
     .preset = "auto", .choices = "auto|cpu|cuda", .same = "gpu=cuda|cuda:0=cuda", .group = "Machine",     \
     .help = "what computes; auto is the GPU where every rank has one"},                                   \
    {.name = "share-gpu", .type = MG_OPT_FLAG, .offset = offsetof(settings, machine.share_gpu),            \
     .group = "Machine", .help = "let several ranks use one GPU (slow; for experiments)"},                 \
    {.name = "gemm", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.gemm), .preset = "auto",  \
     .choices = MG_GEMM_WORDS, .group = "Machine", .help = MG_GEMM_HELP},                                  \
    {.name = "threads", .alias = "num-threads", .type = MG_OPT_INT, .offset = offsetof(settings, machine.threads), .arg = "N",     \
     .low = 1, .high = 1024, .group = "Machine", .is_own = true,                                           \
     .help = "threads per rank (default: the cores the rank is bound to)"},                                \
    {.name = "cpu-util-target", .type = MG_OPT_FLOAT, .offset = offsetof(settings, machine.cpu_share),     \
     .arg = "F", .low = 0.01, .high = 1, .group = "Machine", .is_own = true, .rivals = "threads",          \
     .help = "without --threads: threads for this share of the cores, at least one (default: 1)"},         \
    {.name = "numa", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.numa), .preset = "auto",  \
     .choices = "auto|off", .group = "Machine", .is_own = true,                                            \
     .help = "auto: ranks that may run on several NUMA nodes, as many to a node, each keep to one"},       \
    {.name = "cpu-level", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.cpu_level),          \
     .preset = "auto", .choices = MG_CPU_LEVEL_WORDS, .group = "Machine",                           \
     .help = "instructions to use; results are the same bytes within one level"}
#define MG_MACHINE_OPTIONS(settings)                                                                       \
    {.name = "tp", .type = MG_OPT_INT, .offset = offsetof(settings, machine.tp), .arg = "N", .low = 1,      \
     .high = 8, .group = "Machine",                                                                        \
     .help = "ranks that share one model: 1, 2, 4 or 8 (default: as few as the model fits and the "         \
             "clips occupy, of one host; bench, verify: all ranks)"},                                       \
    {.name = "dtype", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.dtype),                  \
     .preset = "auto", .choices = MG_DTYPE_WORDS, .same = MG_DTYPE_SAME, .group = "Machine", \
     .help = "number format of the language model's matrices; auto is what the checkpoint holds, on a GPU "  \
             "bf16; int8 and int4 (what it hurts stays at 8 bits) are quantised when loaded; float32, float16, " \
             "half and bfloat16 are taken too"},                     \
    {.name = "kv", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.kv), .preset = "auto",       \
     .choices = MG_KV_WORDS, .group = "Machine",                                                           \
     .help = "number format of the language model's keys and values; auto is that of its matrices, bf16 "  \
             "for int8 and int4; int8 is for the CPU"},                                                    \
    MG_DEVICE_OPTIONS(settings),                                                                           \
    {.name = "host-memory", .type = MG_OPT_SIZE, .offset = offsetof(settings, machine.host_memory),        \
     .arg = "BYTES", .group = "Machine",                                                                   \
     .help = "what the ranks of a host may take of its memory, like 4G (default: what is free)"},          \
    {.name = "device-memory", .type = MG_OPT_SIZE, .offset = offsetof(settings, machine.device_memory),    \
     .arg = "BYTES", .group = "Machine",                                                                   \
     .help = "what may be taken of a GPU's memory, like 8G (default: what is free, less --memory-margin)"}, \
    {.name = "memory-margin", .type = MG_OPT_SIZE, .offset = offsetof(settings, machine.memory_margin),    \
     .arg = "BYTES", .preset = "256M", .group = "Machine",                                                 \
     .help = "of a GPU's free memory, what is left to others"},                                            \
    {.name = "offload", .type = MG_OPT_STRING, .offset = offsetof(settings, machine.offload),              \
     .arg = "none|auto|layers=N", .preset = "auto", .group = "Machine",                                    \
     .help = "layers of the language model that stay in the checkpoint's file (with a GPU: in host "       \
             "memory) and come when a step reaches them: as few as fit, or the last N; the same bytes"},   \
    {.name = "pack-cache", .type = MG_OPT_STRING, .offset = offsetof(settings, machine.pack_cache),        \
     .arg = "none|model|DIR", .preset = "none", .group = "Machine",                                        \
     .help = "keep the language model's packed weights from one start to the next: in the model's own "    \
             "folder or cache, or in DIR; on the CPU"},                                                    \
    {.name = "codec-device", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.codec_device),    \
     .preset = "same", .choices = "same|cpu", .group = "Machine",                                          \
     .help = "where the codec runs: as --device says, or on the CPU (as FORCE_CPU_COMP=1)"},               \
    {.name = "text-device", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.text_device),      \
     .preset = "same", .choices = "same|cpu", .group = "Machine",                                          \
     .help = "where the text encoder runs: as --device says, or on the CPU"},                              \
    {.name = "reduce", .type = MG_OPT_CHOICE, .offset = offsetof(settings, machine.reduce),                \
     .preset = "auto", .choices = "auto|nccl|oneshot|fast", .group = "Machine",                            \
     .help = "how GPUs sum over ranks: by NCCL, or in one kernel within a host (auto: whichever is faster "\
             "here; the same bits); fast leaves the order to NCCL, and bits differ"}
/* clang-format on */

#endif
