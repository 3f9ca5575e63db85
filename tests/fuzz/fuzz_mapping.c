/* Lines as names of tensors, a digit in front of each for its shape: through the rules there and back, into a
 * checkpoint, and against what a small language model asks for. Every tensor ends in one row or in none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "mapping_report.h"
#include "weights_source.h"

enum { MAX_NAMES = 24, TENSOR_BYTES = 24, NAME_ROOM = 600 };

static const char *const shapes[] = {"[12]", "[4,3]", "[12,1]", "[3,4]"};

static const struct {
    const char *name;
    int n_dims;
    int64_t dim[2];
} wanted[] = {
    {"decoder.model.decoder.embed_tokens.0.weight", 2, {4, 3}},
    {"decoder.model.decoder.layers.0.self_attn.q_proj.weight", 2, {4, 1}},
    {"decoder.model.decoder.layers.0.self_attn.k_proj.weight", 2, {4, 1}},
    {"decoder.model.decoder.layers.0.self_attn.v_proj.weight", 2, {4, 1}},
    {"decoder.model.decoder.layers.0.fc1.weight", 2, {4, 3}},
    {"decoder.model.decoder.layers.1.fc1.weight", 2, {4, 3}},
    {"decoder.model.decoder.layers.0.final_layer_norm.weight", 1, {12}},
    {"decoder.lm_heads.0.weight", 2, {4, 3}},
    {"text_encoder.shared.weight", 2, {3, 4}},
    {"audio_encoder.quantizer.layers.0.codebook.embed", 2, {3, 4}},
};

static void check_rules(const char *name)
{
    mg_key_target target[MG_KEY_PARTS], back[MG_KEY_SPELLINGS], again[MG_KEY_PARTS];

    for (int d = 0; d < MG_DIALECT_UNKNOWN; d++) {
        const int n = mg_key_map(target, (mg_dialect)d, name);
        FUZZ_CHECK(n == 0 || n == 1 || n == MG_KEY_PARTS);
        for (int i = 0; i < n; i++) {
            FUZZ_CHECK(target[i].name[0] && target[i].i_part == i && target[i].n_parts == n);
            const int n_back = mg_key_map_back(back, (mg_dialect)d, target[i].name);
            FUZZ_CHECK(n_back >= 1);
            for (int k = 0; k < n_back; k++) { /* each spelling leads to the same target */
                const int m = mg_key_map(again, (mg_dialect)d, back[k].name);
                FUZZ_CHECK(m == back[k].n_parts && !strcmp(again[back[k].i_part].name, target[i].name));
            }
        }
    }
    (void)mg_key_map_is_ignorable(name);
}

/* A safetensors file of these names, malloc'ed. */
static char *make_file(char names[MAX_NAMES][NAME_ROOM], const int *shape, int n, size_t *bytes)
{
    char *file = malloc((size_t)n * (NAME_ROOM + 100 + TENSOR_BYTES) + 64);
    size_t used = 8;

    FUZZ_CHECK(file);
    file[used++] = '{';
    for (int i = 0; i < n; i++)
        used += (size_t)sprintf(
            file + used, "%s\"%s\":{\"dtype\":\"F16\",\"shape\":%s,\"data_offsets\":[%d,%d]}", i ? "," : "",
            names[i], shapes[shape[i]], i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES);
    file[used++] = '}';
    for (int i = 0; i < 8; i++) file[i] = (char)((used - 8) >> (8 * i));
    memset(file + used, 0, (size_t)n * TENSOR_BYTES);
    *bytes = used + (size_t)n * TENSOR_BYTES;
    return file;
}

static size_t judge(mg_checkpoint *c, mg_mapping_renames *renames)
{
    mg_weights_requests requests = {0};
    mg_mapping_report report;
    mg_arena measure = mg_arena_measure("fuzz");
    const mg_checkpoint_entry *e;
    mg_weights w;
    size_t n_missing;

    mg_weights_init(&w, NULL, c, &measure, "");
    w.requests = &requests;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        FUZZ_CHECK(mg_weights_find(&w, &e, wanted[i].name, wanted[i].n_dims, wanted[i].dim) == MG_OK);
    FUZZ_CHECK(mg_mapping_report_make(&report, &requests) == MG_OK);
    n_missing = report.n_missing;
    FUZZ_CHECK(report.n_missing + report.n_wrong + report.n_unexpected == report.n_rows);
    FUZZ_CHECK(report.n_missing + report.n_wrong <= requests.n);
    FUZZ_CHECK((mg_mapping_report_check(&report, NULL) == MG_OK) == (report.n_rows == 0));
    for (size_t i = 0; i < report.n_rows; i++) {
        const mg_mapping_row *row = &report.rows[i];
        for (int k = 0; k < row->n_proposals; k++)
            FUZZ_CHECK(row->proposals[k].confidence > 0 && row->proposals[k].confidence <= 1.000001 &&
                       (k == 0 || row->proposals[k].confidence <= row->proposals[k - 1].confidence));
    }
    if (renames) FUZZ_CHECK(mg_mapping_report_apply(&report, &c, 1, renames) == MG_OK);
    mg_mapping_report_close(&report);
    mg_weights_requests_close(&requests);
    mg_weights_close(&w);
    return n_missing;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char names[MAX_NAMES][NAME_ROOM];
    int shape[MAX_NAMES], n = 0;
    mg_mapping_renames renames = {0};
    mg_checkpoint *c;
    size_t n_file;

    for (size_t at = 0; at + 1 < bytes && n < MAX_NAMES;) {
        const uint8_t *end = memchr(data + at, '\n', bytes - at);
        const size_t n_line = end ? (size_t)(end - data) - at : bytes - at;
        size_t used = 0;
        shape[n] = n_line ? data[at] % 4 : 0;
        for (size_t i = 1; i < n_line && used + 1 < NAME_ROOM; i++) {
            const uint8_t letter = data[at + i];
            names[n][used++] =
                letter < ' ' || letter > '~' || letter == '"' || letter == '\\' ? '.' : (char)letter;
        }
        names[n][used] = '\0';
        check_rules(names[n]);
        n += used > 0;
        at += n_line + 1;
    }
    mg_clear_error();
    char *file = make_file(names, shape, n, &n_file);
    if (mg_checkpoint_parse(&c, "fuzz.safetensors", file, n_file) != MG_OK) {
        FUZZ_CHECK(mg_last_error()[0] && !c); /* one name twice, or too long */
    } else {
        const size_t n_missing = judge(c, &renames);
        FUZZ_CHECK(judge(c, NULL) == n_missing - renames.n); /* what was accepted is filled now */
        mg_mapping_renames_close(&renames);
        mg_checkpoint_close(c);
    }
    free(file);
    return 0;
}
