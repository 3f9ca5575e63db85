/* A memfd of the first rank that the others open through /proc. */
#include "shared_map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"

typedef struct offer {
    int64_t pid, fd;
    uint64_t mark; /* written into the memory: proves that we opened the right one */
} offer;

static mg_status map_fd(mg_shared_map *m, int fd)
{
    void *base = mmap(NULL, m->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED)
        return mg_fail(MG_EFAIL, "shared memory: %zu bytes: %s", m->size_bytes, strerror(errno));
    m->base = base;
    return MG_OK;
}

static mg_status make(mg_shared_map *m, int *fd, offer *o)
{
    *fd = memfd_create("mg-dist", MFD_CLOEXEC);
    if (*fd < 0 || ftruncate(*fd, (off_t)m->size_bytes) != 0)
        return mg_fail(MG_EFAIL, "shared memory: %zu bytes: %s", m->size_bytes, strerror(errno));
    MG_RETURN(map_fd(m, *fd));
    o->fd = *fd;
    memcpy(m->base, &o->mark, sizeof o->mark);
    return MG_OK;
}

static mg_status join(mg_shared_map *m, int *fd, const offer *o)
{
    char path[64];

    if (o->fd < 0) return mg_fail(MG_EFAIL, "shared memory: the first rank of this host could not make it");
    snprintf(path, sizeof path, "/proc/%" PRId64 "/fd/%" PRId64, o->pid, o->fd);
    *fd = open(path, O_RDWR | O_CLOEXEC);
    if (*fd < 0) return mg_fail(MG_EFAIL, "shared memory: %s: %s", path, strerror(errno));
    if (lseek(*fd, 0, SEEK_END) != (off_t)m->size_bytes)
        return mg_fail(MG_EFAIL, "shared memory: %s is not what the first rank made", path);
    MG_RETURN(map_fd(m, *fd));
    if (memcmp(m->base, &o->mark, sizeof o->mark) != 0)
        return mg_fail(MG_EFAIL, "shared memory: %s is not what the first rank made", path);
    return MG_OK;
}

mg_status mg_shared_map_open(mg_shared_map *m, mg_comm *via, size_t size_bytes)
{
    mg_status st = MG_OK;
    int fd = -1;
    offer o = {.pid = getpid(), .fd = -1, .mark = (uint64_t)(mg_clock_s() * 1e9) ^ (uint64_t)getpid() << 40};

    *m = (mg_shared_map){.base = NULL, .size_bytes = size_bytes};
    if (via->rank == 0) st = make(m, &fd, &o);
    const mg_status sent = mg_comm_bcast(via, &o, sizeof o, MG_U8, 0);
    if (sent != MG_OK) MG_TRY(sent);
    if (via->rank != 0) st = join(m, &fd, &o);
    MG_TRY(mg_comm_agree(via, st));
    if (via->rank == 0) memset(m->base, 0, sizeof o.mark);
    MG_TRY(mg_comm_barrier(via));
done:
    if (fd >= 0) close(fd);
    if (st != MG_OK) mg_shared_map_close(m);
    return st;
}

void mg_shared_map_close(mg_shared_map *m)
{
    if (m->base) munmap(m->base, m->size_bytes);
    m->base = NULL;
}
