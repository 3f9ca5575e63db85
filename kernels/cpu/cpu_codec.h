/* The CPU backend's codec slots: padding, both convolutions, LSTM, nearest code. Contracts: ops.h. ops->ctx
 * is an mg_cpu. */
#ifndef MG_CPU_CODEC_H
#define MG_CPU_CODEC_H

#include "cpu_run.h"

mg_status mg_cpu_pad(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, int64_t left, int64_t right,
                     mg_pad_mode mode, mg_act act);

size_t mg_cpu_conv_bytes(const mg_ops *ops, const mg_conv *c);
mg_status mg_cpu_conv_load(const mg_ops *ops, const mg_conv *c, const mg_host_matrix *src);
mg_status mg_cpu_conv1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                        const mg_tensor *bias, bool accumulate);
mg_status mg_cpu_conv_transpose1d(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const mg_conv *c,
                                  const mg_tensor *bias);

mg_status mg_cpu_lstm(const mg_ops *ops, mg_tensor *y, const mg_tensor *x, const int64_t *n_rows_host,
                      const mg_matrix *w_ih, const mg_matrix *w_hh, const mg_tensor *bias, mg_tensor *gates,
                      mg_tensor *state);

mg_status mg_cpu_nearest_code(const mg_ops *ops, mg_tensor *ids, mg_tensor *x, const mg_tensor *products,
                              const mg_tensor *table, const mg_tensor *norms);

#endif
