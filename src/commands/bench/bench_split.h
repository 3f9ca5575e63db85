/* Where the time of a step goes: the backend's and the group's tables are replaced by ones that time their
 * slots. Host memory only: a device is not done when a slot returns. */
#ifndef MG_BENCH_SPLIT_H
#define MG_BENCH_SPLIT_H

#include "comm.h"
#include "ops.h"

enum mg_bench_part {
    MG_BENCH_PRODUCTS,  /* products with matrices, the norms fused with them included */
    MG_BENCH_ATTENTION, /* attention, and keys and values written */
    MG_BENCH_REDUCE,    /* calls of the group: sums over ranks, and logits gathered */
    MG_BENCH_SAMPLING,  /* guidance and the draw */
    MG_BENCH_N_PARTS
};

typedef struct mg_bench_split {
    mg_ops_iface ops; /* first: a slot finds the split by its table */
    const mg_ops_iface *plain;
    double s[MG_BENCH_N_PARTS]; /* seconds since begin */
} mg_bench_split;

typedef struct mg_bench_split_comm {
    mg_comm_iface comm; /* first, too */
    const mg_comm_iface *plain;
    mg_bench_split *split;
} mg_bench_split_comm;

/* Time the slots from now on. Both structs stay until the end. */
void mg_bench_split_begin(mg_bench_split *split, mg_bench_split_comm *of_comm, mg_ops *ops, mg_comm *comm);
void mg_bench_split_end(const mg_bench_split *split, const mg_bench_split_comm *of_comm, mg_ops *ops,
                        mg_comm *comm);

#endif
