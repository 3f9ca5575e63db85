/* Any bytes as config.json, MERT's too, generation_config.json and adapter_config.json, and as JSON and YAML
 * whose keys are judged: a status with a message, or sizes that are sane. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_keys.h"
#include "fuzz.h"
#include "json.h"
#include "lora.h"
#include "status.h"

static void check_lm(const mg_lm_config *lm)
{
    FUZZ_CHECK(lm->D >= 4 && lm->L >= 1 && lm->H >= 1 && lm->D % lm->H == 0 && lm->F >= 1);
    FUZZ_CHECK(lm->K >= 1 && lm->K <= MG_MAX_CODEBOOKS && lm->V >= 1 && lm->max_positions >= 1);
    FUZZ_CHECK(lm->n_channels == 1 || lm->n_channels == 2);
    FUZZ_CHECK(lm->project_text == (lm->d_text != lm->D));
    FUZZ_CHECK(lm->D * lm->F <= INT64_MAX / lm->L / 8 && lm->V * lm->D <= INT64_MAX / lm->K / 8);
}

static void check_codec(const mg_codec_config *c)
{
    int64_t hop = 1;

    FUZZ_CHECK(c->n_ratios >= 1 && c->n_ratios <= MG_MAX_RATIOS);
    for (int64_t i = 0; i < c->n_ratios; i++) hop *= c->ratio[i];
    FUZZ_CHECK(c->hop == hop && hop >= 1 && c->frame_rate >= 1 && c->frame_rate * hop >= c->sampling_rate);
    FUZZ_CHECK(c->n_codebooks >= 1 && c->n_codebooks <= MG_MAX_CODEBOOKS &&
               c->codebook_dim == c->hidden_size);
    FUZZ_CHECK(c->n_filters >= 1 && c->compress >= 1 && c->n_filters % c->compress == 0);
}

static void check_mert(const mg_mert_config *c)
{
    FUZZ_CHECK(c->n_convs >= 1 && c->n_convs <= MG_MAX_MERT_CONVS);
    for (int64_t i = 0; i < c->n_convs; i++)
        FUZZ_CHECK(c->conv_dim[i] >= 1 && c->conv_stride[i] >= 1 && c->conv_kernel[i] >= 1 &&
                   c->conv_kernel[i] <= MG_MAX_MERT_TAPS);
    FUZZ_CHECK(c->D >= 1 && c->D % c->n_heads == 0 && c->D % c->n_pos_groups == 0 && c->eps > 0);
}

static void judge_keys(const char *text, int64_t bytes)
{
    static const mg_keys_facts facts = {.V = 64, .sampling_rate = 32000};
    mg_text notes = {0};
    cJSON *root;
    char *yaml = strndup(text, (size_t)bytes);

    if (mg_json_parse(&root, "fuzz", text, bytes) == MG_OK) {
        for (int f = 0; f < MG_KEYS_XP_LM; f++)
            FUZZ_CHECK(mg_config_keys_check(&notes, (mg_keys_file)f, &facts, root, "fuzz") == MG_OK);
        FUZZ_CHECK(mg_config_keys_check_legacy(&notes, &facts, root, "fuzz") == MG_OK);
        cJSON_Delete(root);
    }
    FUZZ_CHECK(yaml);
    if (mg_config_keys_check_xp(&notes, MG_KEYS_XP_LM, yaml, "fuzz") != MG_OK) FUZZ_CHECK(mg_last_error()[0]);
    mg_text_reset(&notes);
    free(yaml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    mg_config config;
    mg_generation_config generation;
    mg_mert_config mert;

    mg_clear_error();
    if (mg_config_parse(&config, "fuzz", (const char *)data, (int64_t)bytes) == MG_OK) {
        check_lm(&config.lm);
        check_codec(&config.codec);
        FUZZ_CHECK(config.t5.n_heads >= 1 && config.t5.n_buckets >= 4 && config.t5.eps > 0);
    } else {
        FUZZ_CHECK(mg_last_error()[0]);
    }
    if (mg_config_parse_generation(&generation, "fuzz", (const char *)data, (int64_t)bytes) == MG_OK)
        FUZZ_CHECK(generation.temperature > 0 && generation.top_k >= 0);
    if (mg_config_parse_mert(&mert, "fuzz", (const char *)data, (int64_t)bytes) == MG_OK) check_mert(&mert);
    if (mg_lora_check("fuzz", (const char *)data, (int64_t)bytes) != MG_OK) FUZZ_CHECK(mg_last_error()[0]);
    judge_keys((const char *)data, (int64_t)bytes);
    return 0;
}
