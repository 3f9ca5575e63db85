/* A fuzzer for builds without libFuzzer: replays every seed of a folder, then mutations of the seeds, drawn
 * from Philox so that each run is the same run. usage: fuzz_NAME SEED_FOLDER SECONDS */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fuzz.h"
#include "in_file.h"
#include "rng.h"
#include "status.h"

enum { MAX_SEEDS = 256, MAX_MUTATIONS = 20000 };

typedef struct seed {
    char *data;
    int64_t bytes;
} seed;

static uint32_t draw(uint64_t i, uint32_t *n_drawn, uint32_t below)
{
    const uint32_t counter[4] = {(uint32_t)i, ++*n_drawn, 0, 0}, key[2] = {0x66757A7A, 1};
    uint32_t out[4];

    mg_philox(out, counter, key);
    return out[0] % below;
}

static int load_seeds(seed *seeds, const char *folder)
{
    struct dirent **names;
    const int n_names = scandir(folder, &names, NULL, alphasort);
    int n = 0;
    char path[4096];

    for (int i = 0; i < n_names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && n < MAX_SEEDS &&
            mg_in_file_read(&seeds[n].data, &seeds[n].bytes, path, (int64_t)1 << 24) == MG_OK)
            n++;
        free(names[i]);
    }
    if (n_names >= 0) free(names);
    return n;
}

/* A copy of exactly its own size, so that a sanitizer sees any byte read beyond it. */
static void run(const char *data, int64_t bytes)
{
    uint8_t *copy = malloc(bytes ? (size_t)bytes : 1);

    if (!copy) return;
    memcpy(copy, data, (size_t)bytes);
    LLVMFuzzerTestOneInput(copy, (size_t)bytes);
    free(copy);
}

/* One to eight changes of s in `out` (room: twice its size and 64): a byte, a bit, a number, a piece moved,
 * doubled or cut. Returns the new size. */
static int64_t mutate(char *out, const seed *s, uint64_t i)
{
    static const char numbers[][8] = {"0", "-1", "1e308", "99999", "null", "[]", "{}", "\""};
    uint32_t n_drawn = 0;
    int64_t n = s->bytes;
    const uint32_t n_changes = 1 + draw(i, &n_drawn, 8);

    memcpy(out, s->data, (size_t)n);
    for (uint32_t c = 0; c < n_changes && n > 1; c++) {
        /* Half of the changes strike the beginning, where headers are. */
        const uint32_t range = draw(i, &n_drawn, 2) && n > 512 ? 512 : (uint32_t)n;
        const int64_t at = draw(i, &n_drawn, range), left = n - at;
        int64_t piece = 1 + draw(i, &n_drawn, 32);
        if (piece > left) piece = left;
        switch (draw(i, &n_drawn, 7)) {
        case 0: out[at] = (char)draw(i, &n_drawn, 256); break;
        case 1: out[at] = (char)(out[at] ^ 1 << draw(i, &n_drawn, 8)); break;
        case 2: {
            const char *number = numbers[draw(i, &n_drawn, sizeof numbers / sizeof *numbers)];
            if ((int64_t)strlen(number) <= left) memcpy(out + at, number, strlen(number));
            break;
        }
        case 3: memmove(out + at, out + draw(i, &n_drawn, (uint32_t)(n - piece + 1)), (size_t)piece); break;
        case 4:
            if (n + piece > 2 * s->bytes) break;
            memmove(out + at + piece, out + at, (size_t)left);
            n += piece;
            break;
        case 5:
            memmove(out + at, out + at + piece, (size_t)(left - piece));
            n -= piece;
            break;
        default:
            if (draw(i, &n_drawn, 8) == 0) n = at;
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    static seed seeds[MAX_SEEDS];
    const double begin_s = mg_clock_s(), limit_s = argc == 3 ? atof(argv[2]) : 0;
    const int n_seeds = argc == 3 ? load_seeds(seeds, argv[1]) : 0;
    uint64_t n = 0;

    if (n_seeds == 0) {
        fprintf(stderr, "usage: %s SEED_FOLDER SECONDS (a folder with at least one seed)\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < n_seeds; i++) run(seeds[i].data, seeds[i].bytes);
    for (; n < MAX_MUTATIONS && mg_clock_s() - begin_s < limit_s; n++) {
        const seed *s = &seeds[n % (uint64_t)n_seeds];
        char *out = malloc(2 * (size_t)s->bytes + 64);
        if (!out) break;
        run(out, mutate(out, s, n));
        free(out);
    }
    printf("%d seeds, %llu mutations, %.1f s\n", n_seeds, (unsigned long long)n, mg_clock_s() - begin_s);
    for (int i = 0; i < n_seeds; i++) free(seeds[i].data);
    return 0;
}
