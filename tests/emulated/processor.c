#include "processor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AVX2     " avx2 fma"
#define AVX512   AVX2 " avx512f avx512bw avx512dq avx512vl"
#define OF_INTEL " intel"

/* One for each set of kernels that cpu_backend.c can choose. */
static const struct {
    const char *name, *features;
} processors[] = {
    {"alderlake", AVX2 " avxvnni" OF_INTEL " "},
    {"skylake", AVX512 OF_INTEL " "},
    {"icelake", AVX512 " avx512vnni" OF_INTEL " "},
    {"zen4", AVX512 " avx512vnni avx512bf16 "},
    {"sapphirerapids", AVX512 " avx512vnni avx512bf16 avxvnni amx" OF_INTEL " "},
};

bool mg_emulated_has(const char *feature)
{
    const char *name = getenv("MG_EMULATED_PROCESSOR");
    char word[32];

    snprintf(word, sizeof word, " %s ", feature);
    for (size_t i = 0; name && i < sizeof processors / sizeof *processors; i++)
        if (strcmp(processors[i].name, name) == 0) return strstr(processors[i].features, word) != NULL;
    fprintf(stderr, "MG_EMULATED_PROCESSOR: %s: no processor of tests/emulated/processor.c\n",
            name ? name : "(none)");
    abort();
}

int mg_emulated_cpuid(unsigned leaf, unsigned subleaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    enum { AVX_VNNI = 1 << 4, AMX = 1 << 22 | 1 << 24 | 1 << 25 };

    *a = leaf == 7 && subleaf == 1 && mg_emulated_has("avxvnni") ? AVX_VNNI : 0;
    *b = *c = 0;
    *d = leaf == 7 && subleaf == 0 && mg_emulated_has("amx") ? AMX : 0;
    return leaf == 7;
}
