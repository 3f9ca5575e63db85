/* Is every tensor accounted for: nothing missing, nothing left over, in every form; and with renamed keys,
 * what is proposed, how sure it is, and what accepting it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "encodec.h"
#include "mapping_report.h"
#include "model_files.h"
#include "model_fixture.h"
#include "patched_file.h"
#include "style.h"

#define CHECKPOINTS MG_GOLDEN_DIR "/checkpoints/"
#define LAYER       "decoder.model.decoder.layers."

/* A model's parts, what the stages asked for, and the report on it. */
typedef struct survey {
    mg_model_files *files;
    mg_weights_requests requests;
    mg_mapping_report report;
    char problems[512];
} survey;

static mg_status ask(survey *s, const mg_ops *ops, bool with_ends)
{
    mg_arena measured = mg_arena_measure("weights");
    const mg_config *c = &s->files->config;
    mg_status st = MG_OK;
    mg_comm *comm = NULL;
    mg_t5 *t5 = NULL;
    mg_lm *lm = NULL;
    mg_encodec *codec = NULL;
    mg_style *style = NULL;
    const mg_model_part *mert = &s->files->mert;
    mg_weights w;

    mg_weights_init(&w, ops, s->files->t5.checkpoint, &measured, s->files->t5.prefix);
    w.requests = &s->requests;
    MG_TRY(mg_comm_self_open(&comm));
    if (with_ends) MG_TRY(mg_t5_load(&t5, &c->t5, &w));
    w.checkpoint = s->files->lm.checkpoint, w.prefix = s->files->lm.prefix;
    MG_TRY(mg_lm_load(&lm, &c->lm, (mg_lm_formats){MG_FORMAT_F32, MG_FORMAT_F32}, comm, &w));
    w.checkpoint = s->files->codec.checkpoint, w.prefix = s->files->codec.prefix;
    if (with_ends) MG_TRY(mg_encodec_load(&codec, &c->codec, MG_ENCODEC_DECODER, &w));
    w.checkpoint = s->files->lm.checkpoint, w.prefix = MG_STYLE_PREFIX;
    if (with_ends && mert->checkpoint)
        MG_TRY(mg_style_load(&style, &c->style, &w, mert->checkpoint, mert->prefix));
    snprintf(s->problems, sizeof s->problems, "%s", w.problems.n ? w.problems.data : "");
done:
    mg_t5_close(t5);
    mg_lm_close(lm);
    mg_encodec_close(codec);
    mg_style_close(style);
    mg_comm_close(comm);
    mg_weights_close(&w);
    return st;
}

static void survey_again(survey *s, fixture *f, bool with_ends)
{
    mg_mapping_report_close(&s->report);
    mg_weights_requests_close(&s->requests);
    GOLDEN_OK(ask(s, f->ops, with_ends));
    GOLDEN_OK(mg_mapping_report_make(&s->report, &s->requests));
}

static void survey_open(survey *s, fixture *f, const mg_model_request *request)
{
    *s = (survey){0};
    GOLDEN_OK(mg_model_files_open(&s->files, request, MG_NEED_LM | MG_NEED_T5 | MG_NEED_CODEC));
    survey_again(s, f, true);
}

static void survey_close(survey *s)
{
    mg_mapping_report_close(&s->report);
    mg_weights_requests_close(&s->requests);
    mg_model_files_close(s->files);
}

static const mg_mapping_row *find_row(const mg_mapping_report *r, const char *name)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (strcmp(r->rows[i].name, name) == 0) return &r->rows[i];
    fail_msg("%s: not in the report", name);
    return NULL;
}

static bool lies_here(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f) printf("SKIPPED: %s not found\n", path);
    if (f) fclose(f);
    return f != NULL;
}

static void test_every_form_is_accounted_for(void **state)
{
    static const mg_model_request whole[] = {
        {.model = CHECKPOINTS "tiny-mono"},
        {.model = CHECKPOINTS "tiny-mono-sharded"},
        {.model = CHECKPOINTS "tiny-mono-fused-no-positions"},
        {.model = CHECKPOINTS "tiny-mono-bin"},
        {.model = CHECKPOINTS "tiny-variant"},
        {.model = CHECKPOINTS "tiny-mono", .codec = CHECKPOINTS "encodec-hf"},
        {.model = CHECKPOINTS "ac-mono", .text_encoder = MG_GOLDEN_DIR "/t5-tiny"},
        {.lm = CHECKPOINTS "ac-mono",
         .text_encoder = MG_GOLDEN_DIR "/t5-tiny",
         .codec = CHECKPOINTS "encodec-hf"},
        {.lm = CHECKPOINTS "ac-mono",
         .text_encoder = MG_GOLDEN_DIR "/t5-tiny",
         .codec = CHECKPOINTS "ac-mono/compression_state_dict.bin"},
        {.model = MG_SHARED_DIR "/golden/checkpoints/tiny-mono-param-names"},
        {.model = MG_SHARED_DIR "/golden/checkpoints/tiny-mono-legacy-bin"},
        {.model = MG_SHARED_DIR "/golden/checkpoints/tiny-mono-bin-sharded"},
        {.model = CHECKPOINTS "tiny-stereo"},
        {.model = CHECKPOINTS "ac-audiogen", .text_encoder = MG_GOLDEN_DIR "/t5-tiny"},
        {.model = CHECKPOINTS "ac-stereo",
         .text_encoder = MG_GOLDEN_DIR "/t5-tiny",
         .codec = CHECKPOINTS "encodec-hf"},
        {.model = CHECKPOINTS "ac-melody",
         .text_encoder = MG_GOLDEN_DIR "/t5-tiny",
         .codec = CHECKPOINTS "encodec-hf"},
        {.model = CHECKPOINTS "ac-style",
         .text_encoder = MG_GOLDEN_DIR "/t5-tiny",
         .codec = CHECKPOINTS "encodec-hf",
         .style_encoder = CHECKPOINTS "mert-tiny"},
        {.model = CHECKPOINTS "tiny-melody"},
    };

    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        const char *path = whole[i].model ? whole[i].model : whole[i].lm;
        survey s;
        char *table;
        if (!lies_here(path)) continue;
        survey_open(&s, *state, &whole[i]);
        GOLDEN_OK(mg_mapping_report_table(&table, &s.report, true));
        if (s.report.n_rows) fail_msg("%s: %s", path, table);
        assert_string_equal(table, "");
        GOLDEN_OK(mg_mapping_report_check(&s.report, NULL));
        assert_true(s.requests.n > 80);
        printf("%s: %zu tensors asked for, every one accounted for\n", path, s.requests.n);
        free(table);
        survey_again(&s, *state,
                     false); /* a rank without text encoder and codec: their tensors do not matter */
        assert_int_equal(s.report.n_rows, 0);
        survey_close(&s);
    }
}

/* tiny-mono's folder with another file of weights: the request names the copy as language model, text encoder
 * and codec come from the same file through its parts. */
static void open_patched(survey *s, fixture *f, const patched_file *p)
{
    *s = (survey){0};
    GOLDEN_OK(mg_model_files_open(&s->files, &(mg_model_request){.model = CHECKPOINTS "tiny-mono"},
                                  MG_NEED_LM | MG_NEED_T5 | MG_NEED_CODEC));
    for (int i = 0; i < s->files->n_opened; i++) mg_checkpoint_close(s->files->opened[i]);
    s->files->n_opened = 1;
    GOLDEN_OK(mg_checkpoint_open(&s->files->opened[0], p->path));
    s->files->lm.checkpoint = s->files->t5.checkpoint = s->files->codec.checkpoint = s->files->opened[0];
    survey_again(s, f, true);
}

static bool is_ignored(const survey *s, const char *name)
{
    for (size_t i = 0; i < s->report.n_ignored; i++)
        if (!strcmp(
                mg_checkpoint_source_at(s->report.ignored[i].checkpoint, s->report.ignored[i].i_source)->name,
                name))
            return true;
    return false;
}

/* A codebook beyond the last that is asked for may be left over, and is listed so; nothing else may. */
static void test_more_codebooks_than_used(void **state)
{
#define QUANTIZER "audio_encoder.quantizer.layers."
    static const struct {
        const char *from, *to;
        size_t n_missing, n_unexpected;
    } cases[] = {
        {QUANTIZER "0.codebook.embed_avg", QUANTIZER "4.codebook.embed", 0, 0},
        {QUANTIZER "0.codebook.embed_avg", QUANTIZER "31.codebook.embed", 0, 0},
        {QUANTIZER "0.codebook.embed_avg", QUANTIZER "3.codebook.embedding", 0, 1},
        {QUANTIZER "0.codebook.embed_avg", QUANTIZER "4.codebok.embed", 0, 1},
        {QUANTIZER "3.codebook.embed\"", QUANTIZER "4.codebook.embed\"", 1, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        patched_file p = {0};
        char name[128];
        survey s;
        patched_read(&p, CHECKPOINTS "tiny-mono/model.safetensors");
        assert_int_equal(patched_rename(&p, cases[i].from, cases[i].to), 1);
        patched_write(&p, 0);
        open_patched(&s, *state, &p);
        assert_int_equal(s.report.n_missing, cases[i].n_missing);
        assert_int_equal(s.report.n_unexpected, cases[i].n_unexpected);
        snprintf(name, sizeof name, "%.*s", (int)strcspn(cases[i].to, "\""), cases[i].to);
        assert_int_equal(is_ignored(&s, name), cases[i].n_unexpected == 0);
        assert_int_equal(is_ignored(&s, QUANTIZER "1.codebook.cluster_size"), true);
        assert_int_equal(is_ignored(&s, QUANTIZER "1.codebook.embed"), false);
        survey_close(&s);
        patched_close(&p);
    }
}

static void test_renamed_keys_fail_with_proposals(void **state)
{
    patched_file p = {0};
    survey s;

    patched_read(&p, CHECKPOINTS "tiny-mono/model.safetensors");
    assert_int_equal(patched_rename(&p, LAYER "1.fc1.weight", LAYER "1.ff1.weight"), 1);
    assert_int_equal(patched_rename(&p, LAYER "0.self_attn.q_proj.weight", LAYER "0.self_attn.query.weight"),
                     1);
    assert_int_equal(patched_rename(&p, "decoder.lm_heads.2.weight", "junk"), 1);
    char *entry = strstr(p.header, "decoder.lm_heads.3.weight"),
         *shape = entry ? strstr(entry, "[64,128]") : NULL;
    assert_non_null(shape);
    memcpy(shape, "[128,64]", 8);
    patched_write(&p, 0);
    open_patched(&s, *state, &p);
    assert_int_equal(s.report.n_missing, 3);
    assert_int_equal(s.report.n_wrong, 1);
    assert_int_equal(s.report.n_unexpected, 3);

    const mg_mapping_row *fc1 = find_row(&s.report, LAYER "1.fc1.weight");
    assert_string_equal(fc1->proposals[0].source, LAYER "1.ff1.weight");
    assert_true(fc1->sure && fc1->fault == MG_MAPPING_MISSING);
    const mg_mapping_row *q = find_row(&s.report, LAYER "0.self_attn.q_proj.weight");
    assert_string_equal(q->proposals[0].source, LAYER "0.self_attn.query.weight");
    const mg_mapping_row *head = find_row(&s.report, "decoder.lm_heads.2.weight");
    assert_true(!head->sure);
    printf("ff1 %.2f, query %.2f\n", fc1->proposals[0].confidence, q->proposals[0].confidence);

    assert_int_equal(mg_mapping_report_check(&s.report, "codec: something else"), MG_ECHECKPOINT);
    printf("%s\n", mg_last_error());
    assert_non_null(strstr(mg_last_error(), "3 missing, 1 of a wrong shape or type, 3 unexpected"));
    assert_non_null(
        strstr(mg_last_error(), "wrong       decoder.lm_heads.3.weight  shape [128,64], expected [64,128]"));
    assert_non_null(strstr(mg_last_error(), "unexpected  junk  fp32 [64,128]"));
    assert_non_null(strstr(mg_last_error(), "\ncodec: something else"));
    survey_close(&s);
    patched_close(&p);
}

/* All rows of a rename that goes through a whole model, and one word in its numbers' place. */
static void test_sure_proposals_are_applied(void **state)
{
    patched_file p = {0};
    mg_mapping_renames renames = {0};
    survey s;

    patched_read(&p, CHECKPOINTS "tiny-mono/model.safetensors");
    assert_int_equal(patched_rename(&p, ".fc1.weight", ".ff1.weight"), 2);
    assert_int_equal(patched_rename(&p, ".q_proj.weight", ".q_prj.weight"), 4);
    assert_int_equal(patched_rename(&p, ".k_proj.weight", ".k_prj.weight"), 4);
    const int n_codec =
        patched_rename(&p, "audio_encoder.decoder.layers.0.conv.", "codec.decoder.layers.0.conv.");
    assert_int_equal(n_codec, 3);
    patched_write(&p, 0);
    open_patched(&s, *state, &p);
    const size_t n = s.report.n_missing;
    assert_int_equal(n, 2 + 4 + 4 + 3);
    char *table;
    GOLDEN_OK(mg_mapping_report_table(&table, &s.report, true));
    for (size_t i = 0; i < n; i++)
        if (!s.report.rows[i].sure) fail_msg("not sure of %s:\n%s", s.report.rows[i].name, table);
    free(table);
    GOLDEN_OK(mg_mapping_report_apply(&s.report, s.files->opened, s.files->n_opened, &renames));
    assert_int_equal(renames.n, n);
    for (size_t i = 0; i < renames.n; i++) {
        const char *target = renames.list[i].target, *source = renames.list[i].source;
        char wanted[256];
        assert_true(renames.list[i].confidence >= 0.83 && renames.list[i].confidence <= 1);
        snprintf(wanted, sizeof wanted, "%s", source);
        if (strncmp(source, "codec.", 6) == 0)
            snprintf(wanted, sizeof wanted, "audio_encoder.%s", source + 6);
        char *word = strstr(wanted, "ff1");
        if (word) memcpy(word, "fc1", 3);
        word = strstr(wanted, "_prj");
        if (word) snprintf(word, sizeof wanted - (size_t)(word - wanted), "_proj.weight");
        assert_string_equal(target, wanted);
    }
    survey_again(&s, *state, true);
    assert_int_equal(s.report.n_rows, 0);
    GOLDEN_OK(mg_mapping_report_check(&s.report, ""));
    mg_mapping_renames_close(&renames);
    survey_close(&s);
    patched_close(&p);
}

/* What could be one or the other, or is in the wrong layer, is proposed and never taken. */
static void test_doubtful_proposals_are_not_applied(void **state)
{
    static const char *const names[][2] = {
        {LAYER "0.self_attn.q_proj.weight", LAYER "0.self_attn.wq.weight"},
        {LAYER "0.self_attn.k_proj.weight", LAYER "0.self_attn.wk.weight"},
        {LAYER "0.self_attn.v_proj.weight", LAYER "0.self_attn.wv.weight"},
        {LAYER "1.self_attn_layer_norm.weight", LAYER "2.self_attn_layer_norm.weight"},
        {"decoder.lm_heads.1.weight", "decoder.lm_heads.9.weight"},
        {"text_encoder.encoder.final_layer_norm.weight", "ln"},
    };
    mg_mapping_renames renames = {0};
    patched_file p = {0};
    survey s;

    patched_read(&p, CHECKPOINTS "tiny-mono/model.safetensors");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(patched_rename(&p, names[i][0], names[i][1]), 1);
    patched_write(&p, 0);
    open_patched(&s, *state, &p);
    assert_int_equal(s.report.n_missing, 6);
    assert_int_equal(s.report.n_unexpected, 6);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const mg_mapping_row *row = find_row(&s.report, names[i][0]);
        if (row->sure) fail_msg("sure that %s is %s", row->name, row->proposals[0].source);
    }
    assert_int_equal(find_row(&s.report, names[0][0])->n_proposals, 3);
    GOLDEN_OK(mg_mapping_report_apply(&s.report, s.files->opened, s.files->n_opened, &renames));
    assert_int_equal(renames.n, 0);
    survey_close(&s);
    patched_close(&p);
}

/* Replace a name by one of the same length everywhere in a torch file. */
static int bend(char *data, size_t bytes, const char *from, const char *to)
{
    int n = 0;

    assert_int_equal(strlen(from), strlen(to));
    for (char *at = data; (at = memmem(at, bytes - (size_t)(at - data), from, strlen(from))); n++)
        memcpy(at, to, strlen(to));
    return n;
}

static void test_fused_projections_are_proposed_in_parts(void **state)
{
    char path[] = "/tmp/mg-test-XXXXXX";
    mg_mapping_renames renames = {0};
    static char data[2 << 20];
    survey s;

    FILE *in = fopen(CHECKPOINTS "ac-mono/state_dict.bin", "rb");
    assert_non_null(in);
    const size_t bytes = fread(data, 1, sizeof data, in);
    fclose(in);
    assert_true(bytes > 1000 && bytes < sizeof data);
    assert_int_equal(
        bend(data, bytes, "layers.1.self_attn.in_proj_weight", "layers.1.self_attn.in_porj_weight"), 1);
    assert_int_equal(bend(data, bytes, "layers.0.linear1.weight", "layers.0.linaer1.weight"), 1);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);

    survey_open(&s, *state,
                &(mg_model_request){
                    .lm = path, .text_encoder = MG_GOLDEN_DIR "/t5-tiny", .codec = CHECKPOINTS "encodec-hf"});
    assert_int_equal(s.report.n_missing, 4);
    assert_int_equal(s.report.n_unexpected, 2);
    const mg_mapping_row *v = find_row(&s.report, LAYER "1.self_attn.v_proj.weight");
    assert_string_equal(v->proposals[0].source, "transformer.layers.1.self_attn.in_porj_weight");
    assert_true(v->sure && v->proposals[0].i_part == 2 && v->proposals[0].n_parts == 3);
    assert_int_equal(mg_mapping_report_check(&s.report, NULL), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "in_porj_weight (rows, part 3 of 3)"));
    assert_non_null(strstr(mg_last_error(), "--apply-proposed accepts the 4 marked *"));
    GOLDEN_OK(mg_mapping_report_apply(&s.report, s.files->opened, s.files->n_opened, &renames));
    assert_int_equal(renames.n, 4);
    survey_again(&s, *state, true);
    assert_int_equal(s.report.n_rows, 0);

    /* and they are the bytes of the right names */
    mg_checkpoint *right;
    GOLDEN_OK(mg_checkpoint_open(&right, CHECKPOINTS "ac-mono/state_dict.bin"));
    for (size_t i = 0; i < renames.n; i++) {
        const mg_tensor *a = golden_tensor(right, renames.list[i].target);
        const mg_tensor *b = golden_tensor(s.files->lm.checkpoint, renames.list[i].target);
        assert_true(mg_tensor_is(a, b->dtype, b->n_dims, b->dim));
        assert_memory_equal(a->data, b->data, mg_tensor_bytes(a));
    }
    mg_checkpoint_close(right);
    mg_mapping_renames_close(&renames);
    survey_close(&s);
    unlink(path);
}

/* Another model's file: everything is listed, in a message that ends on a whole line. */
static void test_a_foreign_file(void **state)
{
    survey s = {0};

    GOLDEN_OK(mg_model_files_open(&s.files, &(mg_model_request){.model = CHECKPOINTS "tiny-mono"},
                                  MG_NEED_LM | MG_NEED_T5 | MG_NEED_CODEC));
    for (int i = 0; i < s.files->n_opened; i++) mg_checkpoint_close(s.files->opened[i]);
    s.files->n_opened = 1;
    GOLDEN_OK(mg_checkpoint_open(&s.files->opened[0], MG_GOLDEN_DIR "/sampler.safetensors"));
    s.files->lm.checkpoint = s.files->t5.checkpoint = s.files->codec.checkpoint = s.files->opened[0];
    survey_again(&s, *state, true);
    assert_true(s.report.n_missing > 100);
    assert_int_equal(s.report.n_unexpected, mg_checkpoint_count(s.files->opened[0]));
    assert_int_equal(mg_mapping_report_check(&s.report, NULL), MG_ECHECKPOINT);
    assert_non_null(strstr(mg_last_error(), "sampler.safetensors: "));
    survey_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_is_accounted_for),
        cmocka_unit_test(test_more_codebooks_than_used),
        cmocka_unit_test(test_renamed_keys_fail_with_proposals),
        cmocka_unit_test(test_sure_proposals_are_applied),
        cmocka_unit_test(test_doubtful_proposals_are_not_applied),
        cmocka_unit_test(test_fused_projections_are_proposed_in_parts),
        cmocka_unit_test(test_a_foreign_file),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
