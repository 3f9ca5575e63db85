/* The names of files that are not whole yet. */
#ifndef MG_OUT_NAME_H
#define MG_OUT_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* ".NAME.MACHINE.PID.tmp" in the folder of `path`, for what will be it when it is whole: nobody else's name,
 * on no machine that shares the folder. Of a long NAME it is the hash. False if `out` is too small. */
bool mg_out_temp_name(char *out, size_t size, const char *path);

#endif
