/* The table of devices, from their vendors' public datasheets (docs/PERFORMANCE.md, "Devices"), and what part
 * of those peaks a step is assumed to reach. */
#include <string.h>
#include <strings.h>

#include "predict.h"

/* Peaks: GB/s read, dense TFLOP/s without sparsity, GB, GB/s to its neighbours and
 * to its host in one direction; 0: its memory is the host's. PERFORMANCE.md says where each was looked up. */
typedef struct device {
    const char *name;
    double read_gbps, bf16_tflops, fp32_tflops, memory_gb, link_gbps, host_gbps;
    bool is_host;
} device;

static const device devices[] = {
    {"h100", 3350, 989, 67, 80, 450, 64, false},     /* H100 SXM5; tables give 1979 with sparsity. NVLink 4 */
    {"h100-pcie", 2000, 756, 51, 80, 64, 64, false}, /* 1513 with sparsity. PCIe Gen5 */
    {"h100-nvl", 3930, 756, 51, 94, 64, 64, false},  /* arithmetic not found: at least the PCIe card's */
    {"h200", 4800, 989, 67, 141, 450, 64, false},    /* H200 SXM: the H100's arithmetic */
    {"gh200", 4000, 989, 67, 96, 450, 450, false},   /* HBM3, the H100's arithmetic; its host by NVLink-C2C */
    {"b200", 8000, 2250, 80, 180, 900, 64, false},   /* an eighth of a DGX B200; NVLink 5 */
    {"a100", 2039, 312, 19.5, 80, 300, 32, false},   /* A100 80GB SXM4, NVLink 3 */
    {"a100-40g", 1555, 312, 19.5, 40, 300, 32, false},
    {"a100-pcie", 1935, 312, 19.5, 80, 32, 32, false},
    {"a100-pcie-40g", 1555, 312, 19.5, 40, 32, 32, false},
    {"l40s", 864, 362, 91.6, 48, 32, 32, false}, /* PCIe Gen4, as those below */
    {"l4", 300, 121, 30.3, 24, 32, 32, false},   /* 242 with sparsity */
    {"a40", 696, 149.7, 37.4, 48, 32, 32, false},
    {"a10", 600, 125, 31.2, 24, 32, 32, false}, /* bf16: four times fp32, as the A40 of the same chip */
    {"rtx-a6000", 768, 154.8, 38.7, 48, 32, 32, false},
    {"rtx6000ada", 960, 364, 91.1, 48, 32, 32,
     false},                                        /* bf16: four times fp32, as the L40S of the same chip */
    {"rtx5090", 1792, 210, 105, 32, 64, 64, false}, /* bf16: twice fp32, as the 4090. PCIe Gen5 */
    {"rtx4090", 1008, 165, 82.6, 24, 32, 32, false},
    {"rtx3090", 936, 71, 35.6, 24, 32, 32, false}, /* bf16: twice fp32, as the 3090 Ti of the same chip */
    {"rtx-pro-6000", 1792, 500, 125, 96, 64, 64, false}, /* Blackwell; 4000 in FP4 with sparsity */
    {"gb10", 273, 125, 31, 128, 25, 0, false}, /* DGX Spark; 1000 in FP4 with sparsity. ConnectX-7 */
    {"jetson-agx-orin", 204.8, 42.5, 5.3, 64, 1, 0, false}, /* of 64 GB; 170 in INT8 with sparsity */
    {"jetson-agx-thor", 273, 258.5, 8, 128, 1, 0, false},   /* T5000: 20 SMs of 128 at 1.57 GHz */
    /* A rank a socket, as a Xeon Platinum 8480+: 8 channels of DDR5-4800; 56 cores with two AVX-512 units of
     * 16 values at 2 GHz, and twice that in bf16. */
    {"cpu", 307, 14, 7, 0, 20, 0, true}, /* MG_PREDICT_HOST_CORES */
};

enum { N_DEVICES = sizeof devices / sizeof *devices };

/* Processors of those where kernels overlap and a block may have 227 KB of shared memory. */
static const struct {
    const char *name;
    int n_sms;
} overlapping[] = {{"h100", 132}, {"h100-pcie", 114}, {"h100-nvl", 132},
                   {"h200", 132}, {"gh200", 132},     {"b200", 148}};

/* What people ask for, and no kernel here runs on: compute capability below 8.0. */
static const char *const too_old[] = {"v100", "t4", "p100", "rtx8000", "rtx2080ti"};

/* Parts of the peaks. Reading: what kernels that stream matrices of some MB reach, and what this program
 * reaches of a CPU's measured bandwidth. Arithmetic: products of tens of rows fill tensor cores badly. */
static const double READ_PART = 0.7, DEVICE_PRODUCT_PART = 0.35, HOST_PRODUCT_PART = 0.6, LINK_PART = 0.6;
static const double DEVICE_LAUNCH_S = 2.5e-6, DEVICE_REDUCE_S = 10e-6; /* of a recorded step's kernel */
static const double HOST_LAUNCH_S = 2e-6, HOST_REDUCE_S = 5e-6, HOST_DRAW_S = 1e-6;
static const double DEVICE_DRAW_S =
    5e-8; /* one launch draws all of a step: some us for as many as it has SMs */
static const double DEVICE_OVERHEAD_BYTES = 0.8e9; /* context, NCCL's buffers, --memory-margin */
static const double CORE_READ_BYTES_S = 13.5e9;    /* one alone, as `cat` of a warm file (PERFORMANCE.md) */
static const double LOAD_BYTES_S = 1e9;            /* of a shared file system, by each rank */

/* EnCodec of 32 kHz: the convolutions' arithmetic and the LSTM's matrices, which every frame reads. T5-base:
 * its matrices, for a text. */
static const double CODEC_FLOP = 8e9, CODEC_PART = 0.2, LSTM_BYTES = 67e6, FRAMES_S = 50, LSTM_LAUNCHES = 6;
static const double T5_BYTES = 440e6, T5_LAUNCHES = 150;

const char *mg_predict_device_name(int i)
{
    return i >= 0 && i < N_DEVICES ? devices[i].name : NULL;
}

static void fill(mg_predict_machine *m, const device *d, mg_format format)
{
    const bool wide = format == MG_FORMAT_F32;
    const double flop_s = (wide ? d->fp32_tflops : d->bf16_tflops) * 1e12;
    const double host_gbps = d->host_gbps > 0 ? d->host_gbps : d->read_gbps;

    *m = (mg_predict_machine){
        .overlaps = !d->is_host,
        .is_device = !d->is_host,
        .shares_host = !d->is_host && d->host_gbps == 0,
        .memory_bytes = d->memory_gb * 1e9,
        .overhead_bytes = d->is_host ? 0 : DEVICE_OVERHEAD_BYTES,
        .read_bytes_s = READ_PART * d->read_gbps * 1e9,
        .attend_bytes_s = READ_PART * d->read_gbps * 1e9,
        .product_flop_s = (d->is_host ? HOST_PRODUCT_PART : DEVICE_PRODUCT_PART) * flop_s,
        .launch_s = d->is_host ? HOST_LAUNCH_S : DEVICE_LAUNCH_S,
        .reduce_s = d->is_host ? HOST_REDUCE_S : DEVICE_REDUCE_S,
        .reduce_bytes_s = LINK_PART * d->link_gbps * 1e9,
        .draw_s = d->is_host ? HOST_DRAW_S : DEVICE_DRAW_S,
        .load_bytes_s = LOAD_BYTES_S,
        .outside_bytes_s = d->is_host ? LOAD_BYTES_S : LINK_PART * host_gbps * 1e9,
    };
    strcpy(m->name, d->name);
    for (size_t i = 0; i < sizeof overlapping / sizeof *overlapping; i++)
        if (strcmp(overlapping[i].name, d->name) == 0) m->n_sms = overlapping[i].n_sms;
    m->decode_sound_s = CODEC_FLOP / (CODEC_PART * d->fp32_tflops * 1e12);
    m->decode_lot_s = FRAMES_S * (LSTM_BYTES / m->read_bytes_s + LSTM_LAUNCHES * m->launch_s);
    m->n_decoded = mg_hints_of(d->is_host ? MG_HOST : MG_DEVICE).n_sequences;
    m->text_s = T5_BYTES / m->read_bytes_s + T5_LAUNCHES * m->launch_s;
}

bool mg_predict_is_too_old(const char *name)
{
    for (size_t i = 0; i < sizeof too_old / sizeof *too_old; i++)
        if (strcasecmp(too_old[i], name) == 0) return true;
    return false;
}

bool mg_predict_device(mg_predict_machine *out, const char *name, mg_format format)
{
    return mg_predict_device_cores(out, name, format, MG_PREDICT_HOST_CORES);
}

bool mg_predict_device_cores(mg_predict_machine *out, const char *name, mg_format format, int64_t n_cores)
{
    const double part = (double)n_cores / MG_PREDICT_HOST_CORES;
    const double cores_gbps = (double)n_cores * CORE_READ_BYTES_S / READ_PART / 1e9;

    for (int i = 0; i < N_DEVICES; i++) {
        device d = devices[i];
        if (strcasecmp(d.name, name) != 0) continue;
        if (d.is_host) {
            d.bf16_tflops *= part;
            d.fp32_tflops *= part;
            if (cores_gbps < d.read_gbps) d.read_gbps = cores_gbps;
        }
        fill(out, &d, format);
        return true;
    }
    return false;
}
