#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

/* Of /proc/PID/stat all that stands behind the name, which may hold anything: field 3 and on. false: not
 * there. */
static bool read_stat(char *text, size_t size, int64_t pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    const size_t n = fread(text, 1, size - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    if (!p || p[1] != ' ') return false;
    memmove(text, p + 2, strlen(p + 2) + 1);
    return true;
}

bool mg_process_is_alive(int64_t pid)
{
    char text[1024];

    if (pid <= 0) return false;
    if (read_stat(text, sizeof text, pid)) return text[0] != 'Z' && text[0] != 'X';
    return kill((pid_t)pid, 0) == 0 || errno != ESRCH; /* where /proc shows one's own alone, or nothing */
}

bool mg_process_is_stopped(int64_t pid)
{
    char text[1024];

    return read_stat(text, sizeof text, pid) && (text[0] == 'T' || text[0] == 't');
}

uint64_t mg_process_start_ticks(int64_t pid)
{
    char text[1024];
    unsigned long long ticks = 0;

    if (!read_stat(text, sizeof text, pid)) return 0;
    const char *p = text;
    for (int field = 3; p && field < 22; field++) p = strchr(p + 1, ' ');
    return p && sscanf(p, "%llu", &ticks) == 1 ? ticks : 0;
}

/* A name is not enough, so what the kernel calls this start of the host, too. */
uint32_t mg_process_machine(void)
{
    char text[192] = "";

    (void)gethostname(text, 63);
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t n = read(fd, text + strlen(text), 64);
        (void)n; /* then by its name alone */
        close(fd);
    }
    const size_t n_text = strlen(text);
    const ssize_t n_space = readlink("/proc/self/ns/pid", text + n_text, sizeof text - 1 - n_text);
    (void)n_space;
    const uint32_t number = (uint32_t)mg_text_hash(text);
    return number ? number : 1;
}

/* The kernel refuses a set that has no room for every processor that the machine could have. */
int mg_process_processors(cpu_set_t *out, int64_t pid)
{
    const size_t most_bytes = 64 * sizeof *out;
    int n = 0;

    CPU_ZERO(out);
    for (size_t bytes = sizeof *out; bytes <= most_bytes; bytes *= 2) {
        cpu_set_t *set = calloc(1, bytes);
        const bool is_told = set && sched_getaffinity((pid_t)pid, bytes, set) == 0;
        const bool is_small = set && !is_told && errno == EINVAL;
        if (is_told) {
            n = CPU_COUNT_S(bytes, set);
            memcpy(out, set, sizeof *out);
        }
        free(set);
        if (!is_small) break;
    }
    return n;
}
