#include "out_name.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "text.h"

/* Eight digits for this machine: two may have a process of one number at work in a folder. A cluster's hosts
 * may all be called the same; what their kernels call this start of theirs differs. */
static unsigned machine_number(void)
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
    (void)n_space; /* containers count their processes alone */
    return (unsigned)mg_text_hash(text);
}

bool mg_out_temp_name(char *out, size_t size, const char *path)
{
    enum { MOST_BYTES = 200 }; /* of 255, which file systems allow */
    const char *name = mg_path_name(path);
    const int n_folder = (int)(name - path);
    char number[32];

    snprintf(number, sizeof number, "%016" PRIx64, mg_text_hash(name));
    if (strlen(name) > MOST_BYTES) name = number;
    const int n =
        snprintf(out, size, "%.*s.%s.%08x.%ld.tmp", n_folder, path, name, machine_number(), (long)getpid());

    return n >= 0 && (size_t)n < size;
}
