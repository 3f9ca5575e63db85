/* Names of weights that are there twice. What real files look like is tests/e2e/trainers.sh's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "averaged.h"

#define LM(p)    p "emb.0.weight", p "out_norm.weight", p "linears.0.weight"
#define N(names) (sizeof(names) / sizeof *(names))

static void expect(const char *const *names, const char *const *list, size_t n, const char *averaged)
{
    mg_plain_names p;

    assert_int_equal(mg_plain_names_make(&p, names, n, "file"), MG_OK);
    assert_string_equal(p.averaged, averaged);
    for (size_t i = 0; i < n; i++) {
        if (list[i]) assert_non_null(p.list[i]);
        if (list[i])
            assert_string_equal(p.list[i], list[i]);
        else
            assert_null(p.list[i]);
    }
    mg_plain_names_close(&p);
}

static void the_averaged_copy_is_taken(void **state)
{
    static const char *const
        beside[] = {LM("lm."), LM("lm_ema."), "lm_ema.n_averaged"},
        *const of_it[] = {NULL, NULL, NULL, LM(""), NULL}, *const plain[] = {LM(""), LM("model_ema.module.")},
        *const of_plain[] = {NULL, NULL, NULL, LM("")},
        *const first[] = {LM("ema.ema_model."), LM("ema.online_model."), LM("lm."), "ema.initted"},
        *const of_first[] = {LM(""), NULL, NULL, NULL, NULL, NULL, NULL, NULL};

    (void)state;
    expect(beside, of_it, N(beside), "lm_ema.");
    expect(plain, of_plain, N(plain), "model_ema.module.");
    expect(first, of_first, N(first), "ema.ema_model.");
}

static void what_is_there_once_stays(void **state)
{
    static const char *const part[] = {LM("lm."), "lm_ema.emb.0.weight"},
                             *const of_part[] = {NULL, "out_norm.weight", "linears.0.weight", "emb.0.weight"},
                             *const alone[] = {LM("lm_ema.")}, *const of_alone[] = {LM("")},
                             *const word[] = {LM("schema.")};

    (void)state;
    expect(part, of_part, N(part), "lm_ema.");
    expect(alone, of_alone, N(alone), "");
    expect(word, of_alone, N(word), "");
}

/* LitEma's; and two names that are one without their dots: neither is guessed. */
static void names_get_their_dots_back(void **state)
{
    static const char *const names[] = {LM("model."),
                                        "model_ema.emb0weight",
                                        "model_ema.out_normweight",
                                        "model_ema.linears0weight",
                                        "model_ema.decay",
                                        "model_ema.num_updates"},
                             *const list[] = {NULL, NULL, NULL, LM(""), NULL, NULL},
                             *const unclear[] = {"lm.emb.1.1.weight", "lm.emb.11.weight",
                                                 "lm_ema.emb11weight"};

    (void)state;
    expect(names, list, N(names), "model_ema.");
    expect(unclear, unclear, N(unclear), "");
}

static void two_averaged_copies_are_refused(void **state)
{
    static const char *const names[] = {LM("lm."), LM("ema_fast."), LM("ema_slow.")};
    mg_plain_names p;

    (void)state;
    assert_int_equal(mg_plain_names_make(&p, names, N(names), "file"), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "two averaged copies of its weights, ema_fast. and ema_slow."));
    mg_plain_names_close(&p);
}

static void words(void **state)
{
    static const char *const yes[] = {"ema",      "EMACallback", "state_dict_ema", "ema_model",
                                      "modelEMA", "swa_model",   "shadow_params",  "polyak"},
                             *const no[] = {"schema", "emails", "remain", "model", "embed_avg", ""};

    (void)state;
    for (size_t i = 0; i < N(yes); i++) assert_true(mg_averaged_is_word(yes[i], strlen(yes[i])));
    for (size_t i = 0; i < N(no); i++) assert_false(mg_averaged_is_word(no[i], strlen(no[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_averaged_copy_is_taken),
        cmocka_unit_test(what_is_there_once_stays),
        cmocka_unit_test(names_get_their_dots_back),
        cmocka_unit_test(two_averaged_copies_are_refused),
        cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
