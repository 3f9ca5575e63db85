/* Seeds for the fuzz targets, out of the golden data and small ones made here. usage: make_seeds FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clip_metadata.h"
#include "in_file.h"
#include "out_file.h"
#include "seeds.h"
#include "status.h"
#include "tokenizer_impl.h"
#include "torch_file.h"

static const char small_config[] =
    "{\"model_type\":\"musicgen\",\"text_encoder\":{\"d_model\":64,\"feed_forward_proj\":\"gated-gelu\"},"
    "\"decoder\":{\"hidden_size\":64,\"num_codebooks\":4,\"cross_attention_hidden_size\":null},"
    "\"audio_encoder\":{\"use_causal_conv\":false,\"target_bandwidths\":[2.2],\"upsampling_ratios\":[8,5,4,4]"
    ","
    "\"pad_mode\":\"reflect\",\"chunk_length_s\":null},\"guidance_scale\":3.0,\"top_k\":250,\"do_sample\":"
    "true}";

static const char mert_config[] =
    "{\"model_type\":\"mert_model\",\"hidden_size\":24,\"num_attention_heads\":2,\"conv_dim\":[8,12],"
    "\"conv_kernel\":[10,3],\"conv_stride\":[5,2],\"num_conv_pos_embedding_groups\":4,\"attention_relax\":"
    "-1.0,\"feature_extractor_cqt\":false,\"feat_extract_norm\":\"group\"}";

static const char small_safetensors[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
    "\"b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
    "\"c\":{\"dtype\":\"BF16\",\"shape\":[0,4],\"data_offsets\":[32,32]}}";

static const char small_tokenizer[] =
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Precompiled\",\"precompiled_"
    "charsmap\":"
    "\"\"},{\"type\":\"Strip\",\"strip_left\":false,\"strip_right\":true}]},\"pre_tokenizer\":{\"type\":"
    "\"Metaspace\",\"prepend_scheme\":\"always\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}},"
    "{\"SpecialToken\":{\"id\":\"</"
    "s>\"}}]},\"added_tokens\":[{\"id\":8,\"content\":\"drop\",\"single_word\":true}],"
    "\"model\":{\"type\":\"Unigram\",\"unk_id\":2,\"byte_fallback\":false,\"vocab\":[[\"<pad>\",0],[\"</"
    "s>\",0],"
    "[\"<unk>\",0],[\"\xE2\x96\x81\",-2],[\"a\",-3.5],[\"op\",-4],[\"<extra_id_1>\",0],[\"<extra_id_0>\",0]]}"
    "}";

mg_status seed_put(const char *folder, const char *name, const char *prefix, size_t n_prefix,
                   const void *data, size_t bytes)
{
    mg_status st = MG_OK;
    mg_out_file f = {.fd = -1};
    char path[4096];

    snprintf(path, sizeof path, "%.3000s/%s", folder, name);
    MG_TRY(mg_out_file_begin(&f, path));
    MG_TRY(mg_out_file_write(&f, prefix, n_prefix));
    MG_TRY(mg_out_file_write(&f, data, bytes));
    MG_TRY(mg_out_file_commit(&f));
done:
    mg_out_file_abandon(&f);
    return st;
}

mg_status seed_copy(const char *folder, const char *name, const char *prefix, const char *golden)
{
    char path[4096];
    char *data;
    int64_t bytes;

    snprintf(path, sizeof path, MG_GOLDEN_DIR "/%s", golden);
    MG_RETURN(mg_in_file_read(&data, &bytes, path, (int64_t)1 << 24));
    const mg_status st = seed_put(folder, name, prefix, strlen(prefix), data, (size_t)bytes);
    free(data);
    return st;
}

/* A spiece.model with few pieces and a normalisation table of one rule, "A" to "a". */
static mg_status put_small_model(const char *folder)
{
    enum { N_UNITS = 256, RULE = 0x41, VALUE = 0x80, TEXT_BYTES = 2 };
    unsigned char spec[2 + 3 + 1 + 2 + 4 + 4 * N_UNITS + TEXT_BYTES] = {0};
    const size_t n_blob = 4 + 4 * N_UNITS + TEXT_BYTES, n_message = n_blob + 3;
    const uint32_t rule = (uint32_t)(RULE ^ VALUE) << 10 | 1u << 8 | RULE, value = 0x80000000u,
                   n_trie = 4 * N_UNITS;
    unsigned char *p = spec;
    char *model, *larger;
    mg_tokenizer_json_facts facts;
    int64_t bytes;

    *p++ = 3 << 3 | 2; /* normalizer_spec */
    *p++ = (unsigned char)(n_message | 128), *p++ = (unsigned char)(n_message >> 7);
    *p++ = 2 << 3 | 2; /* precompiled_charsmap */
    *p++ = (unsigned char)(n_blob | 128), *p++ = (unsigned char)(n_blob >> 7);
    memcpy(p, &n_trie, 4);
    memcpy(p + 4 + 4 * RULE, &rule, 4);
    memcpy(p + 4 + 4 * VALUE, &value, 4);
    memcpy(p + 4 + 4 * N_UNITS, "a", TEXT_BYTES);
    p += n_blob;

    MG_RETURN(
        mg_tokenizer_json_model(&model, &bytes, &facts, "seed", small_tokenizer, sizeof small_tokenizer - 1));
    larger = realloc(model, (size_t)bytes + sizeof spec);
    if (!larger) {
        free(model);
        return mg_fail(MG_ENOMEM, "seed: %zu bytes", sizeof spec);
    }
    memcpy(larger + bytes, spec, (size_t)(p - spec));
    bytes += p - spec;
    mg_status st = mg_spm_check("seed", larger, bytes);
    if (st == MG_OK) st = seed_put(folder, "small-model", "s", 1, larger, (size_t)bytes);
    free(larger);
    return st;
}

static const char small_yaml[] =
    "rate: 32000\nencodec:\n  causal: false\n  rate: ${rate}\nseanet:\n  causal: ${encodec.causal}\n  "
    "ratios:\n"
    "  - 8\n  - 5\nname: 'x-${rate}'\ndir: /a/${oc.env:USER}/b\nnever: ???\nempty: {}\neps: 1.0e-08\n";

/* The text under xp.cfg of an AudioCraft export. */
static mg_status put_xp_config(const char *folder, const char *name, const char *golden)
{
    mg_status st = MG_OK;
    mg_torch_file *f;
    char path[4096];

    snprintf(path, sizeof path, MG_GOLDEN_DIR "/%s", golden);
    MG_RETURN(mg_torch_file_open(&f, path));
    const mg_pickle_value *v = mg_pickle_get(mg_torch_file_root(f), "xp.cfg");
    MG_TRY(v && v->kind == MG_PICKLE_STRING ? MG_OK : mg_fail(MG_ECHECKPOINT, "%s: no xp.cfg", path));
    MG_TRY(seed_put(folder, name, "", 0, v->text.data, v->text.n));
done:
    mg_torch_file_close(f);
    return st;
}

static mg_status make_yaml(const char *folder)
{
    MG_RETURN(mg_out_dir_open(folder));
    MG_RETURN(seed_put(folder, "small", "", 0, small_yaml, sizeof small_yaml - 1));
    MG_RETURN(put_xp_config(folder, "lm", "checkpoints/ac-mono/state_dict.bin"));
    return put_xp_config(folder, "codec", "checkpoints/ac-mono/compression_state_dict.bin");
}

static mg_status make(const char *config, const char *safetensors, const char *tokenizer)
{
    const char length[8] = {(char)(sizeof small_safetensors - 1)};
    char data[sizeof small_safetensors - 1 + 32] = {0};

    MG_RETURN(mg_out_dir_open(config));
    MG_RETURN(mg_out_dir_open(safetensors));
    MG_RETURN(mg_out_dir_open(tokenizer));
    MG_RETURN(seed_put(config, "small", "", 0, small_config, sizeof small_config - 1));
    MG_RETURN(seed_put(config, "mert", "", 0, mert_config, sizeof mert_config - 1));
    MG_RETURN(seed_copy(config, "tiny-mono", "", "checkpoints/tiny-mono/config.json"));
    MG_RETURN(seed_copy(config, "tiny-mono-generation", "", "checkpoints/tiny-mono/generation_config.json"));
    MG_RETURN(seed_copy(config, "adapter", "", "lora/patterns/adapter_config.json"));
    MG_RETURN(seed_copy(config, "tiny-variant", "", "checkpoints/tiny-variant/config.json"));
    memcpy(data, small_safetensors, sizeof small_safetensors - 1);
    MG_RETURN(seed_put(safetensors, "small", length, sizeof length, data, sizeof data));
    MG_RETURN(seed_copy(safetensors, "delay", "", "hf/tiny-mono.delay.safetensors"));
    MG_RETURN(seed_put(tokenizer, "small-json", "j", 1, small_tokenizer, sizeof small_tokenizer - 1));
    MG_RETURN(put_small_model(tokenizer));
    MG_RETURN(seed_copy(tokenizer, "golden-model", "s", "tokenizer/spiece.model"));
    MG_RETURN(seed_copy(tokenizer, "golden-json", "j", "tokenizer/tokenizer.json"));
    static const char side[] =
        "{\"legacy\":false,\"extra_ids\":100,\"eos_token\":\"</s>\",\"added_tokens_decoder\":{\"1100\":"
        "{\"content\":\"zork\",\"lstrip\":true},\"1101\":{\"content\":\"drop\",\"single_word\":true,"
        "\"rstrip\":true}}}";
    static const char added[] = "{\"zork\":1100,\"drop\":1101}";
    static const char map[] =
        "{\"bos_token\":\"<s>\",\"additional_special_tokens\":[\"<genre>\",{\"content\":\"drop\"}]}";
    MG_RETURN(seed_put(tokenizer, "config", "c", 1, side, sizeof side - 1));
    MG_RETURN(seed_put(tokenizer, "added", "a", 1, added, sizeof added - 1));
    MG_RETURN(seed_put(tokenizer, "map", "m", 1, map, sizeof map - 1));
    MG_RETURN(seed_put(tokenizer, "beside", "b", 1, small_tokenizer, sizeof small_tokenizer - 1));
    return seed_put(tokenizer, "text", "t", 1,
                    "80s <extra_id_0> caf\xC3\xA9\t\xEF\xBC\xA1</s> \xF0\x9F\x8E\xB5 x", 34);
}

/* A clip's with everything in it, and its tag. */
static mg_status make_metadata(const char *folder)
{
    const char *const sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const mg_part_source part = {"codec", "/m", "AudioCraft", "torch zip"};
    const mg_renamed renamed = {"a", "b"};
    mg_file_hash weights = {.path = "/m/model.safetensors"};
    char path[4096], *tag;

    snprintf(weights.sha256, sizeof weights.sha256, "%s", sha256);
    mg_clip_metadata m = {
        .input_sha256 = {sha256, sha256, NULL},
        .audio_file = "x.wav",
        .codes_file = "x.codes.npy",
        .audio_sha256 = sha256,
        .codes_sha256 = sha256,
        .asked.model = "/m",
        .parts = &part,
        .n_parts = 1,
        .weights = &weights,
        .n_weights = 1,
        .applied = &renamed,
        .n_applied = 1,
        .version = "1",
        .backend = "cpu/avx2",
        .dtype = "fp32",
    };
    mg_recipe *r = &m.recipe;
    mg_recipe_init(r);
    MG_SAY(r, id, "x");
    MG_SAY(r, title, "T");
    MG_SAY(r, prompt, "piano");
    MG_SAY(r, text_states, "s.npy");
    MG_SAY(r, audio_prompt, "a.ogg");
    MG_SAY(r, melody, "m.wav");
    MG_SAY(r, format, 0);
    MG_SAY(r, strategy, 0);
    MG_SAY(r, seed, 7);
    MG_SAY(r, n_frames, 3000);
    MG_SAY(r, n_window_frames, 1500);
    MG_RETURN(mg_out_dir_open(folder));
    snprintf(path, sizeof path, "%.3000s/file", folder);
    MG_RETURN(mg_clip_metadata_write(path, &m));
    MG_RETURN(mg_clip_metadata_tag(&tag, &m));
    const mg_status st = seed_put(folder, "tag", "", 0, tag, strlen(tag));
    free(tag);
    return st;
}

/* metadata.jsonl: a sound that is there, one that is not, and what is none. */
static mg_status make_sounds(const char *folder)
{
    static const char good[] = "{\"file_name\":\"a.wav\",\"prompt\":\"piano\"}\n\n{\"file_name\": \"b.wav\"}";
    static const char bad[] = "file_name,prompt\n{\"file_name\":3}\n{\"file_name\":\"a.wav\"}\n[]\n";

    MG_RETURN(mg_out_dir_open(folder));
    MG_RETURN(seed_put(folder, "good", "", 0, good, strlen(good)));
    return seed_put(folder, "bad", "", 0, bad, strlen(bad));
}

int main(int argc, char **argv)
{
    char config[4096], safetensors[4096], tokenizer[4096], yaml[4096], metadata[4096], sounds[4096];

    if (argc != 2) return 2;
    snprintf(config, sizeof config, "%.3000s/config", argv[1]);
    snprintf(safetensors, sizeof safetensors, "%.3000s/safetensors", argv[1]);
    snprintf(tokenizer, sizeof tokenizer, "%.3000s/tokenizer", argv[1]);
    snprintf(yaml, sizeof yaml, "%.3000s/yaml", argv[1]);
    snprintf(metadata, sizeof metadata, "%.3000s/metadata", argv[1]);
    snprintf(sounds, sizeof sounds, "%.3000s/sounds", argv[1]);
    if (make(config, safetensors, tokenizer) == MG_OK && make_yaml(yaml) == MG_OK &&
        make_metadata(metadata) == MG_OK && make_sounds(sounds) == MG_OK &&
        seeds_of_forms(argv[1]) == MG_OK && seeds_of_datasets(argv[1]) == MG_OK)
        return 0;
    fprintf(stderr, "%s\n", mg_last_error());
    return 1;
}
