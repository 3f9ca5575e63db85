/* The contract between the model and the machine: a constant table of functions (mg_ops_iface) and an
 * instance (mg_ops), which goes to each of them. Its mirror image is parallel/comm.h, between ranks.
 * One instance is one stream of work: calls take effect in the order in which they are made. A second stream,
 * or a second pool of threads, is a second instance.
 *
 * A backend (kernels/cpu, kernels/cuda) fills the table. Everybody else calls the front doors in this file:
 * they check shapes, formats and aliasing once (ops.c), and then call the slot. So a slot may trust its
 * arguments. Each front door has a line of maths and a line of shapes; these lines are the specification.
 *
 * To add an op: CONTRIBUTING.md, "To add".
 *
 * Space: every tensor, matrix and cache is in the backend's memory, and host code must not read or write it.
 * Arguments in host memory have "host" in their name.
 *
 * Time: a door may return before its work is done, and then reports a fault later. Two sentences bind it:
 * mg_upload is ordered after all earlier calls, and the source is the caller's again when it returns;
 * mg_download returns when the data are there, with the error of any earlier call.
 *
 * Shape letters: B rows of a batch; N tokens of one forward pass, in the codec rows of sound; D width; H
 * heads; E width of a head; K codebooks; V entries; C channels; O,I out and in. Everything is row-major;
 * sound is time-major, [N, C]. Activations are fp32, always. Tensors are borrowed.
 *
 * Numbers (docs/ARCHITECTURE.md, "Same bytes"): a slot's result for one row depends on that row alone: not on
 * the other rows, their count, the number of threads, or the tensor-parallel size. */
#ifndef MG_OPS_H
#define MG_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sampling.h"
#include "status.h"
#include "tensor.h"

typedef enum mg_act {
    MG_ACT_NONE,
    MG_ACT_RELU,
    MG_ACT_GELU,      /* 0.5 x (1 + erf(x/sqrt 2)) */
    MG_ACT_GELU_TANH, /* 0.5 x (1 + tanh(sqrt(2/pi)(x + 0.044715 x^3))), T5's "gelu_new" */
    MG_ACT_ELU,       /* x > 0 ? x : expm1(x) */
} mg_act;

typedef enum mg_pad_mode { MG_PAD_ZERO, MG_PAD_REFLECT } mg_pad_mode;

/* The slices of a row-parallel product's inner dimension, whole model: fixed, so that any tensor-parallel
 * size (1, 2, 4, 8) sums them in the same binary tree. */
enum { MG_TP_SLICES = 8 };

/* How matrices and KV caches keep their values. What a checkpoint keeps is an mg_dtype. A scale
 * covers a run of inputs of one output and never crosses a slice (below). So every tensor-parallel size
 * quantises alike. */
typedef enum mg_format {
    MG_FORMAT_F32,
    MG_FORMAT_BF16,
    MG_FORMAT_F16,
    MG_FORMAT_Q8,
    MG_FORMAT_Q4,
    MG_N_FORMATS
} mg_format;
enum { MG_Q4_GROUP = 32 }; /* inputs that share a scale; each slice has whole groups */

const char *mg_format_name(mg_format format); /* "fp32", "bf16", "fp16", "int8", "int4" */

/* Are its values small whole numbers, with scales? */
static inline bool mg_format_is_quantised(mg_format format)
{
    return format == MG_FORMAT_Q8 || format == MG_FORMAT_Q4;
}

/* Of keys and values beside matrices in this format, unless something else is asked for. */
static inline mg_format mg_format_of_kv(mg_format weights)
{
    return mg_format_is_quantised(weights) ? MG_FORMAT_BF16 : weights;
}

/* The number type of a format whose values stand alone: all that are not quantised. */
static inline mg_dtype mg_format_dtype(mg_format format)
{
    return format == MG_FORMAT_BF16 ? MG_BF16 : format == MG_FORMAT_F16 ? MG_F16 : MG_F32;
}

/* A weight matrix [O,I] in the backend's own layout. `data` is opaque; load it with mg_matrix_load.
 * n_slices: I is cut into this many equal, contiguous slices. Each is summed over ascending i in fp32. The
 * slices are combined as a binary tree ((s0+s1)+(s2+s3))+…; it is 1 for an ordinary product. A row-parallel
 * one has MG_TP_SLICES / tp of them on each rank: a subtree, which mg_comm_all_reduce completes. bf16: x is
 * rounded to bf16 too (nearest even); products are exact, sums fp32. fp16: x stays fp32 on a CPU; a device
 * rounds it to fp16 too, the largest of which takes what is beyond. Q8: w is rounded to -127 … 127 times a
 * scale of its output and slice. x is rounded to as many steps of a scale of its row and slice, which is NaN
 * where a value is NaN or infinite. A slice's products are summed in int32, exactly. Q4 (matrices only): w is
 * rounded to one of 16 levels, -35 … 29, closer near zero. They are times a scale of its output and group,
 * which is bf16; x as for Q8. A group's products are summed exactly, then times the scale added in fp32,
 * group after group; the sum is times the scale of x. */
typedef struct mg_matrix {
    mg_format format;
    int64_t n_out, n_in;
    int n_slices;
    void *data;
} mg_matrix;

/* Columns [first_col, first_col + n_cols) of n_rows rows, copied to dst one row behind the other. Called from
 * several threads at once; what fails in it, its owner keeps for afterwards. */
typedef void mg_host_read(void *arg, void *dst, int64_t first_row, int64_t n_rows, int64_t first_col,
                          int64_t n_cols);

/* Rows of a matrix on the host, any of fp32/bf16/fp16 at any alignment: row r starts at data + r * row_stride
 * elements. With `read` they are fetched through it, and data and row_stride are not looked at. */
typedef struct mg_host_matrix {
    const void *data;
    mg_dtype dtype;
    int64_t n_rows, n_cols, row_stride;
    mg_host_read *read; /* may be NULL */
    void *read_arg;
} mg_host_matrix;

/* A convolution's geometry and its weight in the backend's layout, fp32. Load it with mg_conv_load. */
typedef struct mg_conv {
    bool transposed;
    int64_t c_in, c_out, n_taps, stride, dilation; /* dilation 1 if transposed */
    void *data;
} mg_conv;

/* Keys and values of one attention layer: k, v [n_rows, H, T_max, E]; Q8: each key and value
 * with a scale, on a CPU. A row is one sequence. `settled` lets a backend read early: in attention let m
 * be the smallest n_keys among a row's tokens. Keys j < m - 1 of that row are as they were at the last
 * mg_upload, and so are kv_row and n_keys. */
typedef struct mg_kv {
    mg_format format;
    bool settled;
    int64_t n_rows, n_heads, T_max, E;
    void *k, *v; /* mg_kv_bytes each */
} mg_kv;

/* Where mg_norm_linear puts keys and values: as mg_kv_write takes them. */
typedef struct mg_kv_place {
    const mg_kv *kv;
    int64_t first_col;
    const mg_tensor *kv_row, *pos;
} mg_kv_place;

/* A layer norm's parameters: gamma, beta [D]. */
typedef struct mg_norm {
    const mg_tensor *gamma, *beta;
    float eps;
} mg_norm;

/* What a query looks at: keys and values of its row, as mg_attention takes them. */
typedef struct mg_attend {
    const mg_kv *kv;
    const mg_tensor *kv_row, *n_keys;
    float scale;
} mg_attend;

/* The sequences of a clip: its own; with guidance also the one that it is led away from; with double guidance
 * also the one with the melody alone. */
enum { MG_MAX_ROLES = 3 };

/* One code to choose: of codebook k, into cell `cell` of the codes; cell -1: none. token[r] is the row of the
 * logits of role r. With l[r] the logits of role r:
 *     n_roles 3: l[0] = l[2] + (l[0] - l[2]) * beta      n_roles >= 2: l[0] = l[1] + (l[0] - l[1]) * coef
 * and then a draw from l[0] at `uniform` in (0,1), by `how`. */
typedef struct mg_draw {
    int32_t token[MG_MAX_ROLES];
    int32_t n_roles, k, cell;
    float coef, beta;
    mg_sampling how;
    double uniform;
} mg_draw;

/* A memory that several ranks may share, and what it still gives. */
typedef struct mg_budget {
    uint64_t place; /* 0: this host's memory, also where a device shares it; else a device's: the same on its
                     * ranks, and no other's */
    int64_t available_bytes; /* INT64_MAX: unknown */
} mg_budget;

/* What suits a backend; the plan asks. */
typedef struct mg_hints {
    int64_t n_slots;          /* clips at once that are still efficient */
    int64_t n_prefill_tokens; /* tokens of a forward pass where many columns are known beforehand */
    int64_t n_sequences;      /* of an LSTM, which cost hardly more than one */
    int64_t n_lstm_rows;      /* of each, at once */
    int64_t n_stretch_rows;   /* such rows that the convolutions before and behind an LSTM take at once */
} mg_hints;

/* Those of a CPU (MG_HOST) and of a GPU.
 * Clips: on a CPU 8, with guidance 16 rows a step, where products stop being bound by memory.
 * Prefill: on a CPU enough for a good matrix product.
 * Sequences: a CPU's read the LSTM's matrices together, and 4 sounds are decoded in 0.65 of the time.
 * LSTM and stretches: on a CPU its matrices pass through the cache once for 5 s of sound; half a second is
 * long enough for the weights of the first products, and short enough for the cache. On a GPU the deepest
 * products of 10 s have tiles for all of it, in 0.25 GB; two stretches, for the first one's output reaches
 * into the second. */
static inline mg_hints mg_hints_of(mg_space space)
{
    static const mg_hints host = {8, 256, 4, 256, 25}, device = {64, 512, 8, 1000, 500};

    return space == MG_HOST ? host : device;
}

typedef struct mg_ops mg_ops;

/* A slot does what the front door of its name says. Slots marked "optional" may be NULL. */
typedef struct mg_ops_iface {
    /* Memory */
    mg_status (*alloc)(const mg_ops *ops, void **out, size_t bytes);
    void (*release)(const mg_ops *ops, void *block, size_t bytes);
    mg_status (*budget)(const mg_ops *ops, mg_budget *out);
    mg_status (*upload)(const mg_ops *ops, void *dst, const void *src_host, size_t bytes);
    mg_status (*download)(const mg_ops *ops, void *dst_host, const void *src, size_t bytes);
    mg_status (*copy)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
    mg_status (*zero)(const mg_ops *ops, mg_tensor *y);

    /* Weights */
    size_t (*matrix_bytes)(const mg_ops *ops, const mg_matrix *w);
    size_t (*conv_bytes)(const mg_ops *ops, const mg_conv *c);
    size_t (*kv_bytes)(const mg_ops *ops, const mg_kv *kv);
    mg_status (*matrix_load)(const mg_ops *ops, const mg_matrix *w, int64_t first_out,
                             const mg_host_matrix *src, int64_t *n_bad);
    mg_status (*tensor_load)(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad);
    mg_status (*conv_load)(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src);

    /* Weights that come when a step reaches them: optional; fetch and its three neighbours all or none. */
    mg_status (*open_reader)(const mg_ops *ops, mg_ops **out);
    mg_status (*pin)(const mg_ops *ops, void **out, size_t bytes);
    void (*unpin)(const mg_ops *ops, void *block);
    mg_status (*fetch)(const mg_ops *ops, int lane, void *dst, const void *src_host, size_t bytes);
    mg_status (*fetched)(const mg_ops *ops, int lane);

    /* Optional. */
    mg_status (*tune)(const mg_ops *ops, const mg_matrix *const *w, int64_t n, bool with_norm,
                      int64_t n_rows);

    /* Recorded steps: optional, all three or none. */
    mg_status (*step_begin)(const mg_ops *ops, uint64_t key, bool *replay);
    mg_status (*step_end)(const mg_ops *ops);
    void (*step_forget)(const mg_ops *ops);

    /* Transformer */
    mg_status (*embed)(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                       const mg_tensor *positions, const mg_tensor *pos);
    mg_status (*layer_norm)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                            const mg_tensor *beta, float eps);
    mg_status (*rms_norm)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                          float eps);
    mg_status (*linear)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                        const mg_tensor *bias, mg_act act, bool accumulate);
    mg_status (*add)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
    mg_status (*mul)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
    mg_status (*kv_write)(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                          const mg_tensor *kv_row, const mg_tensor *pos);
    mg_status (*attention)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                           const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                           const mg_tensor *rel_bias);

    mg_status (*gather_ids)(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                            int32_t pad);
    mg_status (*sample)(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                        const mg_draw *draws, int64_t n);

    /* Codec */
    mg_status (*pad)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                     mg_pad_mode mode, mg_act act);
    mg_status (*conv1d)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                        const mg_tensor *bias, bool accumulate);
    mg_status (*conv_transpose1d)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                  const mg_tensor *bias);
    mg_status (*lstm)(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                      const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                      mg_tensor *state);
    mg_status (*nearest_code)(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                              const mg_tensor *table, const mg_tensor *norms);

    /* Fused: optional. Without them ops.c calls the slots above in their place; so it does where
     * attention_linear leaves *done false, which it was, and has done nothing. */
    mg_status (*norm_linear)(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                             const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into);
    mg_status (*linear_add)(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                            const mg_matrix *w);
    mg_status (*attention_linear)(const mg_ops *ops, bool *done, mg_tensor *y, mg_tensor *product,
                                  mg_tensor *a, const mg_tensor *x, const mg_attend *over,
                                  const mg_matrix *w);

    void (*close)(mg_ops *ops); /* frees the instance too */
} mg_ops_iface;

struct mg_ops {
    const mg_ops_iface *iface;
    const char *name; /* "cpu/avx512": shown to the user and written into metadata */
    mg_space space;   /* of alloc's memory */
    mg_hints hints;
    void *ctx; /* the backend's own */
};

/* ---- The front doors ---- */

/* Memory of this backend, aligned to MG_ARENA_ALIGN; MG_EFIT if there is not that much. */
mg_status mg_ops_alloc(const mg_ops *ops, void **out, size_t bytes);

/* `bytes` as it was given to mg_ops_alloc. block NULL is legal. Waits until nothing uses the block. */
void mg_ops_release(const mg_ops *ops, void *block, size_t bytes);

/* The memory that mg_ops_alloc takes from. */
mg_status mg_ops_budget(const mg_ops *ops, mg_budget *out);

/* Closes the backend and frees the instance. NULL is legal. */
void mg_ops_close(mg_ops *ops);

/* Ordered after all earlier calls; src_host is the caller's again when it returns. */
mg_status mg_upload(const mg_ops *ops, void *dst, const void *src_host, size_t bytes);

/* Returns when the data are in dst_host, with the error of any earlier call. */
mg_status mg_download(const mg_ops *ops, void *dst_host, const void *src, size_t bytes);

/* y = x, of the same dtype and shape, apart from each other; and y = 0. */
mg_status mg_copy(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_zero(const mg_ops *ops, mg_tensor *y);

/* A step that a backend may record and replay. Between step_begin and step_end stand the same calls, with the
 * same pointers and sizes, whenever `key` is the same. *replay: make none of them, step_end runs what was
 * recorded. In between there is no memory, upload, download or load call. A backend that records nothing
 * never says replay. After an error in between, the instance can only forget and be closed. */
mg_status mg_step_begin(const mg_ops *ops, uint64_t key, bool *replay);
mg_status mg_step_end(const mg_ops *ops);

/* Drop all recordings: call it before anything that they point to is moved or released. */
void mg_step_forget(const mg_ops *ops);

/* Bytes in this backend's layout: of a matrix, of a convolution, and of k (and again of v) of a cache.
 * `data`, k and v are not looked at. */
size_t mg_matrix_bytes(const mg_ops *ops, const mg_matrix *w);
size_t mg_conv_bytes(const mg_ops *ops, const mg_conv *c);
size_t mg_kv_bytes(const mg_ops *ops, const mg_kv *kv);

/* Rows [first_out, first_out + src->n_rows) of w from the host, converted to w->format. *n_bad counts NaN and
 * Inf among the values read, and what is too large for fp16 if w is that; mg_tensor_load: NaN and Inf. On a
 * CPU rows of what is rounded are at most 4 MB, and a slice of Q8 has at most 66311 inputs. */
mg_status mg_matrix_load(const mg_ops *ops, const mg_matrix *w, int64_t first_out, const mg_host_matrix *src,
                         int64_t *n_bad);

/* dst [n_cols] fp32, plain: the values of src, which is one row. */
mg_status mg_tensor_load(const mg_ops *ops, void *dst, const mg_host_matrix *src, int64_t *n_bad);

/* src in PyTorch's order, the last two dims as one: [c_out, c_in * n_taps], or [c_in, c_out * n_taps] if
 * transposed; fp32, row_stride = n_cols; `read` is asked for whole rows. */
mg_status mg_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src);

/* *out: a second instance with threads of its own, for another thread: it loads weights into memory of `ops`
 * while that computes. Close it with mg_ops_close. NULL: this backend has none, and mg_fetch is its way. */
mg_status mg_ops_open_reader(const mg_ops *ops, mg_ops **out);
bool mg_ops_has_reader(const mg_ops *ops);

/* Host memory that mg_fetch copies from at full speed; MG_EFIT if the host gives no such memory. */
mg_status mg_ops_pin(const mg_ops *ops, void **out, size_t bytes);

/* block NULL is legal. Waits until nothing uses the block. */
void mg_ops_unpin(const mg_ops *ops, void *block);

/* Copies beside the work, in MG_FETCH_LANES lanes. dst [bytes] = src_host, which is from mg_ops_pin: ordered
 * after all earlier calls, and before all those that are made after mg_fetched of the same lane; in
 * between dst and src_host are left alone. Not within a recorded step. */
enum { MG_FETCH_LANES = 2 };
mg_status mg_fetch(const mg_ops *ops, int lane, void *dst, const void *src_host, size_t bytes);
mg_status mg_fetched(const mg_ops *ops, int lane);

/* Lets the backend time its ways of making products of up to n_rows rows on w [n], and keep the fastest for
 * matrices like them: with_norm as in mg_norm_linear, else as in mg_linear. The w [n] are loaded and all of
 * one shape, format and number of slices; they are read, and nothing of the caller's is written. Every way
 * has the same bits, so no result depends on it. It takes memory of its own for the call, and waits. Where
 * there is none, or the device tells no time, products stay as they are: no failure. Before a step is
 * recorded, and not within one. A backend with one way does nothing. */
mg_status mg_tune_products(const mg_ops *ops, const mg_matrix *const *w, int64_t n, bool with_norm,
                           int64_t n_rows);

/* x[n] = sum over k ascending of tables[k, ids[n,k]]  (+ positions[pos[n]], added last).
 * x [N,D] fp32 · tables [K,V,D] fp32 · ids [N,K] int32 · positions [P,D] fp32 and pos [N] int32, both or
 * neither. */
mg_status mg_embed(const mg_ops *ops, mg_tensor *x, const mg_tensor *tables, const mg_tensor *ids,
                   const mg_tensor *positions, const mg_tensor *pos);

/* y = (x - mean) / sqrt(var + eps) * gamma + beta, biased two-pass variance; x, y [N,D]; may be in place. */
mg_status mg_layer_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma,
                        const mg_tensor *beta, float eps);

/* y = x / sqrt(mean(x^2) + eps) * gamma; x, y [N,D]; may be in place. */
mg_status mg_rms_norm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_tensor *gamma, float eps);

/* y = act(x W^T + bias), or y += act(…) if accumulate; x [N,I], y [N,O]; bias [O] or NULL; y is not x. */
mg_status mg_linear(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_matrix *w,
                    const mg_tensor *bias, mg_act act, bool accumulate);

/* y += x and y *= x, element by element, same shape. */
mg_status mg_add(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);
mg_status mg_mul(const mg_ops *ops, mg_tensor *y, const mg_tensor *x);

/* For each token n: k[kv_row[n], h, pos[n]] = x[n, first_col + hE …], v likewise from column first_col + HE.
 * x [N, W], W >= first_col + 2HE; rounded to kv->format. kv_row, pos [N] int32. */
mg_status mg_kv_write(const mg_ops *ops, const mg_kv *kv, const mg_tensor *x, int64_t first_col,
                      const mg_tensor *kv_row, const mg_tensor *pos);

/* For each token n and head h, over keys j < n_keys[n] of row kv_row[n]:
 * y[n, hE …] = softmax_j(scale * q·k_j (+ rel_bias[h, j - n + N - 1])) v_j, q = x[n, hE …], softmax in fp32.
 * x [N, W], W >= HE (q stands first) · y [N, HE] · rel_bias [H, 2N-1] or NULL. n_keys = 0 gives zeros.
 * n_keys is in the backend's memory, and a step may be recorded: a backend sizes its launch by kv->T_max. */
mg_status mg_attention(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_kv *kv,
                       const mg_tensor *kv_row, const mg_tensor *n_keys, float scale,
                       const mg_tensor *rel_bias);

/* a = layer_norm(x) and y = act(a W^T); x, a [N,D] · y [N,O]. a is scratch: what it holds afterwards is
 * unspecified. With `into` (NULL: none) also mg_kv_write(into->kv, y, into->first_col, …); the columns of y
 * from first_col on are then unspecified. */
mg_status mg_norm_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *a, const mg_tensor *x,
                         const mg_norm *norm, const mg_matrix *w, mg_act act, const mg_kv_place *into);

/* y += x W^T, where the product is complete before it is added: the bits of mg_linear and mg_add. x [N,I] ·
 * y, product [N,O]. `product` is scratch. */
mg_status mg_linear_add(const mg_ops *ops, mg_tensor *y, mg_tensor *product, const mg_tensor *x,
                        const mg_matrix *w);

/* a = mg_attention(x, over) and y = a W^T, or with `product` (else NULL) y += a W^T as mg_linear_add has it.
 * a and product are scratch: what they hold afterwards is unspecified. x [N,W], W >= HE · a [N,HE] · y,
 * product [N,O]. */
mg_status mg_attention_linear(const mg_ops *ops, mg_tensor *y, mg_tensor *product, mg_tensor *a,
                              const mg_tensor *x, const mg_attend *over, const mg_matrix *w);

/* ids[n,k] = cells[n,k] < 0 ? pad : codes[cells[n,k]]. ids, cells [N,K] int32 · codes int32 of any shape: a
 * cell is an index into it. */
mg_status mg_gather_ids(const mg_ops *ops, mg_tensor *ids, const mg_tensor *codes, const mg_tensor *cells,
                        int32_t pad);

/* codes[draws[i].cell] = the code that draws[i] chooses, i < n: guidance in fp32, then the rules and sums of
 * kernels/cpu/cpu_sampler.h, bit for bit. logits [R,N,W] fp32: a token's K V logits in R pieces of W columns,
 * as all_gather leaves them; W R is a multiple of V. codes int32 of any shape · draws [n] in the backend's
 * memory, each with a cell of its own. From logits that tell nothing (a NaN, or the largest is infinite) the
 * code is V, which no codebook has. */
mg_status mg_sample(const mg_ops *ops, mg_tensor *codes, const mg_tensor *logits, int64_t V,
                    const mg_draw *draws, int64_t n);

/* y [left + N + right, C] = act(x [N,C]) with rows added before and after: zeros, or x reflected without
 * repeating the edge row (left, right < N then: the caller lengthens a shorter x). */
mg_status mg_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                 mg_pad_mode mode, mg_act act);

/* Valid convolution: y[n] = bias + sum over taps t, ascending, of x[n*stride + t*dilation] W_t^T, or y[n] +=
 * that. x [N,c_in] · y [(N - (n_taps-1)*dilation - 1)/stride + 1, c_out]. */
mg_status mg_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                    const mg_tensor *bias, bool accumulate);

/* Transposed convolution, its inner part; J = ceil(n_taps/stride), M = N - J + 1:
 * y[m*stride + p] = bias + sum_j x[m + J-1 - j] W[j*stride + p]; taps past n_taps are zero. x [N,c_in],
 * y [M*stride, c_out]. PyTorch's full output is this over x with J-1 zero rows before and after. */
mg_status mg_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                              const mg_tensor *bias);

/* One LSTM layer over time of B sequences, PyTorch's gate order i,f,g,o: x [N,I], y [N,C]; w_ih [4C,I], w_hh
 * [4C,C] in fp32 or fp16 on a CPU, bias [4C] = bias_ih + bias_hh; gates [N,4C] is scratch. The sequences
 * stand one behind the other: n_rows_host [B] rows each, N in all; 0: not in this call. state [B,2,C] = each
 * one's h, c before its first row and, on return, after its last. */
mg_status mg_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                  const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                  mg_tensor *state);

/* ids[n] = the first v of the largest -((|x[n]|^2 - 2 products[n,v]) + norms[v]); then x[n] -= table[ids[n]].
 * ids [N] int32 · x [N,D] · products [N,V] = x table^T · table [V,D] · norms [V] = |table[v]|^2. */
mg_status mg_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                          const mg_tensor *table, const mg_tensor *norms);

#endif
