/* Any bytes as a clip's metadata: one sentence, or what can be written and read again as the same. */
#include <stdlib.h>
#include <string.h>

#include "clip_metadata.h"
#include "fuzz.h"

static void check_sha256(const char *sha256)
{
    FUZZ_CHECK(!sha256 || strlen(sha256) == 64);
}

static void check_name(const char *name)
{
    FUZZ_CHECK(!name || (*name && *name != '.' && !strchr(name, '/')));
}

static void check_again(const mg_clip_metadata *m)
{
    mg_clip_metadata again;
    char *tag;

    FUZZ_CHECK(mg_clip_metadata_tag(&tag, m) == MG_OK);
    FUZZ_CHECK(strchr(tag, '\n') == NULL);
    FUZZ_CHECK(mg_clip_metadata_parse(&again, "tag", tag, (int64_t)strlen(tag)) == MG_OK);
    FUZZ_CHECK(again.recipe.seed == m->recipe.seed && again.recipe.n_frames == m->recipe.n_frames &&
               again.recipe.sampling.greedy == m->recipe.sampling.greedy);
    mg_clip_metadata_close(&again);
    free(tag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_clip_metadata m;

    mg_clear_error();
    const mg_status st = mg_clip_metadata_parse(&m, "fuzz", (const char *)data, (int64_t)bytes);
    if (st == MG_OK) {
        check_name(m.recipe.id);
        check_name(m.audio_file);
        check_name(m.codes_file);
        check_sha256(m.audio_sha256);
        check_sha256(m.codes_sha256);
        FUZZ_CHECK(m.recipe.n_frames >= 1 && m.recipe.seed < (int64_t)1 << 53);
        for (int i = 0; i < m.n_weights; i++) check_sha256(m.weights[i].sha256);
        check_again(&m);
    } else {
        FUZZ_CHECK((st == MG_EFAIL || st == MG_ENOMEM) && mg_last_error()[0]);
        FUZZ_CHECK(!m.memory);
    }
    mg_clip_metadata_close(&m);
    return 0;
}
