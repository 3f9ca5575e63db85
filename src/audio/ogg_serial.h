/* Ogg pages carry a number that tells streams apart; encoders draw it at random. */
#ifndef MG_OGG_SERIAL_H
#define MG_OGG_SERIAL_H

#include <stdint.h>

#include "status.h"

/* Gives every page of `data` [bytes] this number and a new checksum. MG_EFAIL if it is no row of whole pages.
 */
mg_status mg_ogg_serial_set(uint8_t *data, int64_t bytes, uint32_t serial);

#endif
