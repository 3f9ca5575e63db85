#include "mailboxes.h"

#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum { BOOT_BYTES = 37 };

enum { WORD_GIVE_UP, WORD_MISSING, N_WORDS };

/* What a rank tells the others. */
typedef struct card {
    char boot[BOOT_BYTES]; /* of the running kernel: the same on all ranks of a host, and of its containers */
    bool is_open;
    cudaIpcMemHandle_t handle;
} card;

static void read_boot(char *boot)
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!f) return;
    if (!fgets(boot, BOOT_BYTES, f)) boot[0] = '\0';
    fclose(f);
}

/* This rank's own mailbox, empty, and the words that host and kernels share. */
static mg_status take_own(mg_mailboxes *m, card *mine)
{
    const size_t bytes = mg_cuda_oneshot_bytes(m->sum.size);
    void *words = NULL, **box = &m->sum.mailbox[m->sum.rank];
    uint32_t first = 1;

    if (cudaMallocHost(&words, N_WORDS * sizeof *m->sum.words) != cudaSuccess)
        return mg_fail(MG_ENOMEM, "mailboxes: no pinned memory");
    m->sum.words = words;
    memset(words, 0, N_WORDS * sizeof *m->sum.words);
    MG_RETURN(mg_ops_alloc(m->ops, box, bytes));
    mg_tensor all = mg_tensor_1d(*box, MG_U8, (int64_t)bytes);
    MG_RETURN(mg_zero(m->ops, &all));
    MG_RETURN(mg_download(m->ops, &first, *box, sizeof first)); /* it is empty before anybody learns of it */
    const cudaError_t error = cudaIpcGetMemHandle(&mine->handle, *box);
    (void)cudaGetLastError();
    mine->is_open = error == cudaSuccess;
    if (!mine->is_open) mg_log_detail("mailboxes: %s", cudaGetErrorString(error));
    return MG_OK;
}

static const char *compare(const card *all, int size)
{
    for (int r = 0; r < size; r++)
        if (strcmp(all[r].boot, all[0].boot) != 0 || !all[0].boot[0]) return "the ranks are on several hosts";
    for (int r = 0; r < size; r++)
        if (!all[r].is_open) return "the driver gives no handle of device memory (CUDA IPC)";
    return NULL;
}

static bool map_others(mg_mailboxes *m, const card *all)
{
    for (int r = 0; r < m->sum.size; r++) {
        if (r == m->sum.rank) continue;
        const cudaError_t error =
            cudaIpcOpenMemHandle(&m->sum.mailbox[r], all[r].handle, cudaIpcMemLazyEnablePeerAccess);
        (void)cudaGetLastError();
        m->is_mapped[r] = error == cudaSuccess;
        if (m->is_mapped[r]) continue;
        mg_log_detail("mailboxes: memory of rank %d of the group: %s", r, cudaGetErrorString(error));
        return false;
    }
    return true;
}

mg_status mg_mailboxes_open(mg_mailboxes *m, const mg_ops *ops, mg_comm *host, const char **why)
{
    mg_status st = MG_OK;
    card mine = {.is_open = false}, all[MG_ONESHOT_MOST_RANKS];
    int32_t is_whole = 0, whole[MG_ONESHOT_MOST_RANKS];

    MG_REQUIRE(host->size <= MG_ONESHOT_MOST_RANKS);
    *m = (mg_mailboxes){.ops = ops, .sum = {.rank = host->rank, .size = host->size}};
    *why = NULL;
    read_boot(mine.boot);
    MG_TRY(mg_comm_agree(host, take_own(m, &mine)));
    MG_TRY(mg_comm_all_gather(host, all, &mine, sizeof mine, MG_U8));
    *why = compare(all, host->size);
    if (!*why) {
        is_whole = map_others(m, all);
        MG_TRY(mg_comm_all_gather(host, whole, &is_whole, 1, MG_I32));
        for (int r = 0; r < host->size; r++)
            if (!whole[r]) *why = "a GPU cannot reach another's memory (CUDA IPC)";
    }
done:
    if (st != MG_OK || *why) mg_mailboxes_close(m);
    return st;
}

void mg_mailboxes_give_up(mg_mailboxes *m)
{
    if (m->ops) __atomic_store_n(&m->sum.words[WORD_GIVE_UP], 1, __ATOMIC_RELEASE);
}

int mg_mailboxes_missing(const mg_mailboxes *m)
{
    return m->ops ? (int)__atomic_load_n(&m->sum.words[WORD_MISSING], __ATOMIC_ACQUIRE) - 1 : -1;
}

void mg_mailboxes_forget(mg_mailboxes *m)
{
    if (m->ops) __atomic_store_n(&m->sum.words[WORD_MISSING], 0, __ATOMIC_RELEASE);
}

/* This rank's own mailbox stays to the end of the process: others may still have it open. */
void mg_mailboxes_close(mg_mailboxes *m)
{
    if (!m->ops) return;
    for (int r = 0; r < m->sum.size; r++)
        if (m->is_mapped[r]) (void)cudaIpcCloseMemHandle(m->sum.mailbox[r]);
    if (m->sum.words) (void)cudaFreeHost(m->sum.words);
    (void)cudaGetLastError();
    *m = (mg_mailboxes){0};
}
