/* Device memory that the ranks of a group open to each other, where they share a host and the driver can
 * (CUDA IPC): mailboxes for sums in one kernel (cuda_group.h). Part of the CUDA plug-in. */
#ifndef MG_MAILBOXES_H
#define MG_MAILBOXES_H

#include "comm.h"
#include "cuda_group.h"

typedef struct mg_mailboxes {
    const mg_ops *ops; /* NULL: not open */
    mg_oneshot sum;    /* what the kernel is given */
    bool is_mapped[MG_ONESHOT_MOST_RANKS];
} mg_mailboxes;

/* Collective over `host`, the same ranks. *why: NULL if every rank has everybody's mailbox; else what stands
 * in the way, the same on all ranks, and nothing is open. A failure is one of the exchange. */
mg_status mg_mailboxes_open(mg_mailboxes *m, const mg_ops *ops, mg_comm *host, const char **why);

/* Kernels that wait for other ranks end, without a sum, now and from now on. */
void mg_mailboxes_give_up(mg_mailboxes *m);

/* The rank that a kernel has waited for, for long; -1: none since mg_mailboxes_forget. */
int mg_mailboxes_missing(const mg_mailboxes *m);
void mg_mailboxes_forget(mg_mailboxes *m);

/* When the stream has run out. Not collective. */
void mg_mailboxes_close(mg_mailboxes *m);

#endif
