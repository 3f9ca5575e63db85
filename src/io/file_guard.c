#include "file_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* What the handler reads: no lock may be taken there. */
typedef struct guarded {
    atomic_uintptr_t base; /* 0: free, or not yet complete */
    atomic_size_t bytes;
    atomic_bool is_faulted;
} guarded;

static guarded slots[MG_FILE_GUARD_SLOTS];
static bool taken[MG_FILE_GUARD_SLOTS]; /* under the lock */
static atomic_int n_slots;              /* one past the highest that was ever taken */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static uintptr_t page;

/* Zeros from the page that could not be read to the mapping's end: the file ends before all of it. */
static bool fill(guarded *s, uintptr_t at)
{
    const uintptr_t base = atomic_load(&s->base), end = base + atomic_load(&s->bytes);

    if (!base || at < base || at >= end) return false;
    at &= ~(page - 1);
    if (mmap((void *)at, end - at, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    atomic_store(&s->is_faulted, true);
    return true;
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
    const int error = errno, n = atomic_load(&n_slots);

    (void)context;
    for (int i = 0; i < n; i++) {
        if (!fill(&slots[i], (uintptr_t)info->si_addr)) continue;
        errno = error;
        return;
    }
    sigaction(sig, &before, NULL); /* not ours: the instruction fails again, and goes where it went before */
    errno = error;
}

/* Again with each file: MPI and test programs set handlers of their own as they start. */
static void install(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART}, now;

    page = (uintptr_t)sysconf(_SC_PAGESIZE);
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, NULL, &now) != 0) return;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus_error) return;
    before = now;
    sigaction(SIGBUS, &action, NULL);
}

int mg_file_guard_add(const void *base, size_t bytes)
{
    int i = 0;

    pthread_mutex_lock(&lock);
    install();
    while (i < MG_FILE_GUARD_SLOTS && taken[i]) i++;
    if (i < MG_FILE_GUARD_SLOTS) {
        taken[i] = true;
        atomic_store(&slots[i].is_faulted, false);
        atomic_store(&slots[i].bytes, bytes);
        atomic_store(&slots[i].base, (uintptr_t)base);
        if (i >= atomic_load(&n_slots)) atomic_store(&n_slots, i + 1);
    }
    pthread_mutex_unlock(&lock);
    return i < MG_FILE_GUARD_SLOTS ? i : -1;
}

void mg_file_guard_remove(int slot)
{
    pthread_mutex_lock(&lock);
    atomic_store(&slots[slot].base, 0);
    taken[slot] = false;
    pthread_mutex_unlock(&lock);
}

bool mg_file_guard_is_faulted(int slot)
{
    return atomic_load(&slots[slot].is_faulted);
}
