/* AVX-512 for kernels under test on a processor that has AVX2 and FMA alone: every intrinsic that kernels/cpu
 * takes, as two halves of AVX2 or lane by lane, with the instruction's results bit for bit. Included before
 * everything else (-include), for it also says which instructions there are: MG_EMULATED_VNNI, _BF16,
 * _AVXVNNI and _AMX add theirs. The meaning is that of Intel's Intrinsics Guide; test_emulated.c compares it
 * with processors that have the instruction. One that is missing here does not compile: add it, and its case
 * in intrinsics.inc. */
#ifndef MG_EMULATED_AVX512_H
#define MG_EMULATED_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#error "compile this for AVX2 and FMA alone: what is missing here must not be taken from the compiler"
#endif

#define EMULATED static inline __attribute__((unused))

/* A vector by halves and by lanes. */
typedef union wide {
    __m512 f;
    __m512i i;
    __m256 half[2];
    __m256i half_i[2];
    __m128i quarter_i[4];
    float lane[16];
    int32_t i32[16];
    uint32_t u32[16];
    int16_t i16[32];
    uint16_t u16[32];
    int8_t i8[64];
    uint8_t u8[64];
} wide;

#define EACH_LANE(n, l, statement)  \
    for (int l = 0; l < (n); l++) { \
        statement;                  \
    }

/* An intrinsic of two vectors, by that of their halves. */
#define OF_TWO(vector, whole, halves, name)                                     \
    EMULATED vector emulated_##name(vector a, vector b)                         \
    {                                                                           \
        wide x = {.whole = a}, y = {.whole = b}, to;                            \
        EACH_LANE(2, h, to.halves[h] = _mm256_##name(x.halves[h], y.halves[h])) \
        return to.whole;                                                        \
    }

#include "avx512_bits.h"
#include "avx512_floats.h"
#if defined(MG_EMULATED_VNNI) || defined(MG_EMULATED_AVXVNNI)
#include "vnni.h"
#endif
#if defined(MG_EMULATED_BF16) || defined(MG_EMULATED_AMX)
#include "bf16.h"
#endif
#if defined(MG_EMULATED_AMX)
#include "amx.h"
#endif

#if !defined(MG_EMULATED_AVXVNNI) /* which is of AVX2's level */
#define __AVX512F__  1
#define __AVX512BW__ 1
#define __AVX512DQ__ 1
#define __AVX512VL__ 1
#endif

#endif
