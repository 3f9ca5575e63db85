/* Any bytes as an xp.cfg: a status with a message, or a tree whose every value can be found and sizes that
 * are sane. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "status.h"
#include "xp_config.h"
#include "yaml_doc.h"

static size_t count(const mg_yaml_node *n)
{
    size_t sum = 1, n_children = 0;

    FUZZ_CHECK((n->kind >= MG_YAML_LIST) == (n->text == NULL));
    for (const mg_yaml_node *c = n->child; c; c = c->next, n_children++) {
        FUZZ_CHECK((n->kind == MG_YAML_DICT) == (c->key != NULL));
        sum += count(c);
    }
    FUZZ_CHECK(n_children == n->n_children);
    return sum;
}

/* Each key at the root, with its interpolations followed. */
static void find_all(mg_yaml *y)
{
    const mg_yaml_node *found;
    char text[80];
    int n = 0;

    for (const mg_yaml_node *c = mg_yaml_root(y)->child; c && n < 100; c = c->next, n++) {
        mg_clear_error();
        if (mg_yaml_find(y, c->key, &found) != MG_OK)
            FUZZ_CHECK(mg_last_error()[0]);
        else
            FUZZ_CHECK(!found || mg_yaml_describe(found, text, sizeof text)[0]);
    }
}

static void check_lm(const mg_xp_lm *xp)
{
    const mg_lm_config *lm = &xp->lm;

    FUZZ_CHECK(lm->D >= 4 && lm->L >= 1 && lm->H >= 1 && lm->D % lm->H == 0 && lm->F >= 1);
    FUZZ_CHECK(lm->K >= 1 && lm->K <= MG_MAX_CODEBOOKS && lm->V >= 1 && lm->K % lm->n_channels == 0);
    FUZZ_CHECK(xp->t5_name[0] && strlen(xp->t5_name) < sizeof xp->t5_name && xp->segment_s > 0);
    FUZZ_CHECK(xp->generation.temperature > 0 && xp->generation.top_k >= 0 && xp->sampling_rate > 0);
}

static void check_codec(const mg_codec_config *c)
{
    FUZZ_CHECK(c->n_ratios >= 1 && c->n_ratios <= MG_MAX_RATIOS && c->hop >= 1 && c->frame_rate >= 1);
    FUZZ_CHECK(c->n_codebooks >= 1 && c->n_codebooks <= MG_MAX_CODEBOOKS && c->n_filters % c->compress == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    mg_codec_config codec;
    mg_xp_lm lm;
    mg_yaml *y;

    FUZZ_CHECK(text);
    if (bytes) memcpy(text, data, bytes);
    text[bytes] = '\0';
    mg_clear_error();
    if (mg_yaml_parse(&y, "fuzz", text, bytes) == MG_OK) {
        FUZZ_CHECK(count(mg_yaml_root(y)) <= 100000);
        find_all(y);
        mg_yaml_close(y);
    } else {
        FUZZ_CHECK(mg_last_error()[0] && !y);
    }
    if (mg_xp_config_lm(&lm, "fuzz", text) == MG_OK) check_lm(&lm);
    if (mg_xp_config_codec(&codec, "fuzz", text) == MG_OK) check_codec(&codec);
    free(text);
    return 0;
}
