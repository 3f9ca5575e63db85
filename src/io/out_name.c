#include "out_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "process.h"
#include "text.h"

bool mg_out_temp_name(char *out, size_t size, const char *path)
{
    enum { MOST_BYTES = 200 }; /* of 255, which file systems allow */
    const char *name = mg_path_name(path);
    const int n_folder = (int)(name - path);
    char number[32];

    snprintf(number, sizeof number, "%016" PRIx64, mg_text_hash(name));
    if (strlen(name) > MOST_BYTES) name = number;
    const int n = snprintf(out, size, "%.*s.%s.%08x.%ld.tmp", n_folder, path, name,
                           (unsigned)mg_process_machine(), (long)getpid());

    return n >= 0 && (size_t)n < size;
}
