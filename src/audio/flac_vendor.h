/* A FLAC file names the library that made it, with its version: two systems write two files of one sound. */
#ifndef MG_FLAC_VENDOR_H
#define MG_FLAC_VENDOR_H

#include <stdint.h>

#include "status.h"

/* Takes the name out of `data` [*bytes], which becomes shorter. MG_EFAIL if it is no FLAC file, nor nothing.
 */
mg_status mg_flac_vendor_remove(uint8_t *data, int64_t *bytes);

#endif
