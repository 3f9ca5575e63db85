/* What a fuzz target is: one function over bytes, for libFuzzer (MG_FUZZ=ON, clang). */
#ifndef MG_FUZZ_H
#define MG_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A property that must hold for every input; on in every build. */
#define FUZZ_CHECK(cond)               \
    do {                               \
        if (!(cond)) __builtin_trap(); \
    } while (0)

#endif
