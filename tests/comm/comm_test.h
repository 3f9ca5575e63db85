/* What the comm tests share: a world for the length of a program, and data that every rank can compute for
 * every other rank. */
#ifndef COMM_TEST_H
#define COMM_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rng.h"
#include "world.h"

/* Begin and split by argv[1] (--tp; default: all ranks). Ranks other than 0 keep their stdout to themselves.
 */
static inline void begin_world(mg_world *w, int argc, char **argv)
{
    const char *timeout = getenv("MGDIST_COMM_TIMEOUT");
    mg_status st = mg_world_begin(w, timeout ? atof(timeout) : (double)NAN, false);

    if (st == MG_OK) st = mg_world_split(w, argc > 1 ? atoi(argv[1]) : w->size);
    if (st != MG_OK) {
        fprintf(stderr, "rank %d: %s\n", w->rank, mg_last_error());
        mg_world_end(w, st);
        exit(mg_exit_code(st));
    }
    if (w->rank > 0 && !freopen("/dev/null", "w", stdout)) exit(1);
}

/* A failing rank ends the run; the others would wait for it otherwise. */
static inline int end_world(mg_world *w, int n_failed)
{
    mg_clear_error();
    mg_world_end(w, n_failed ? MG_EFAIL : MG_OK);
    return n_failed ? 1 : 0;
}

/* 32 random bits of a rank's element. */
static inline uint32_t bits_at(int rank, int64_t i)
{
    const uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), (uint32_t)rank, 7}, key[2] = {1, 2};
    uint32_t out[4];

    mg_philox(out, counter, key);
    return out[0];
}

/* Both signs, magnitudes over 2^-12 … 2^12: any change of order changes bits. */
static inline float float_at(int rank, int64_t i)
{
    const uint32_t b = bits_at(rank, i);
    const uint32_t ieee = (b & 0x807fffffu) | (115 + (b >> 23) % 24) << 23;
    float f;

    memcpy(&f, &ieee, sizeof f);
    return f;
}

#endif
