/* Seeds for fuzz_torch, fuzz_index, fuzz_mapping, fuzz_jobs, fuzz_npy, fuzz_audio, fuzz_ogg and fuzz_pack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio_file.h"
#include "in_file.h"
#include "out_file.h"
#include "pack_file.h"
#include "seeds.h"

static const char index_text[] =
    "{\"metadata\":{\"total_size\":48},\"weight_map\":{\"a.weight\":\"model-00001-of-00002.safetensors\","
    "\"a.bias\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\"}}";

static const char audiocraft_names[] =
    "1emb.0.weight\n2transformer.layers.0.self_attn.in_proj_weight\n1transformer.layers.0.linear1.weight\n"
    "1module.transformer.layers.1.linaer1.weight\n0transformer.layers.0.norm2.weight\n1linears.0.weight\n"
    "1condition_provider.conditioners.description.output_proj.weight\n3text_encoder.shared.weight\n";

static const char hf_names[] =
    "1decoder.model.decoder.embed_tokens.0.weight\n1decoder.model.decoder.layers.0.ff1.weight\n"
    "1model.decoder.layers.1.fc1.weight\n0decoder.model.decoder.layers.0.final_layer_norm.weight\n"
    "1lm_heads.0.weight\n3audio_encoder.quantizer.layers.0.codebook.embed\n3text_encoder.shard.weight\n";

static const char codec_names[] =
    "1encoder.model.0.conv.conv.weight_g\n1decoder.model.3.convtr.convtr.weight_v\n"
    "1decoder.model.4.block.1.conv.conv.bias\n0decoder.model.1.lstm.bias_ih_l0\n"
    "3quantizer.vq.layers.0._codebook.embed\n0quantizer.vq.layers.0._codebook.inited\n";

static const char request_lines[] =
    "{\"id\": \"a.1\", \"title\": \"T\", \"prompt\": \"caf\\u00e9\", \"negative_prompt\": \"\", "
    "\"text_states\": "
    "\"s.npy\", \"audio_prompt\": \"/p.wav\", \"melody\": \"m\", \"prompt_duration\": 1.5, \"duration\": "
    "8.2, "
    "\"window\": 10, \"extend_stride\": 6, \"cfg_coef\": 3, \"cfg_coef_beta\": 2, \"top_p\": 0.9, "
    "\"temperature\": 1e-3, \"top_k\": 7, \"seed\": 9007199254740991, \"n\": 4, \"greedy\": false}\n"
    "{\"frames\": 12, \"seed\": null}\n";
static const char request_array[] = "[{\"prompt\": \"a, ] \\\" b\", \"n\": [{}]},\n {\"caption\": 1}\n ]\n";
static const char prompt_lines[] = "\xEF\xBB\xBF"
                                   "one\r\n\n Na\xC3\xAFve \xC3\x86ther, don't \xE1\xBA\x9E\n";

static mg_status make_folder(char out[4096], const char *parent, const char *name)
{
    snprintf(out, 4096, "%.3000s/%s", parent, name);
    return mg_out_dir_open(out);
}

/* A short sound in both codecs of Ogg. */
static mg_status put_ogg(const char *folder)
{
    static float pcm[4800];
    const mg_sound s = {pcm, 2400, 2, 48000};
    char path[4200];

    for (int i = 0; i < 4800; i++) pcm[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    snprintf(path, sizeof path, "%s/small.ogg", folder);
    MG_RETURN(mg_audio_file_write(path, MG_AUDIO_OGG, &s, NULL));
    snprintf(path, sizeof path, "%s/small.opus", folder);
    return mg_audio_file_write(path, MG_AUDIO_OPUS, &s, NULL);
}

/* Files of each kind, and two of a kind one behind the other. */
static mg_status make_sounds(const char *folder)
{
    static const char *const sounds[] = {"bw64.wav", "cut.wav",  "cut.aiff",       "cut.au",
                                         "cut.w64",  "cut.rf64", "endless.aiff",   "endless.flac",
                                         "id3.flac", "id3.wav",  "id3-twice.aiff", "cut-id3.wav"};
    static float pcm[4800];
    const mg_sound s = {pcm, 4800, 1, 48000};
    char path[4200], golden[256], *data = NULL;
    int64_t bytes;

    for (size_t i = 0; i < sizeof sounds / sizeof *sounds; i++) {
        snprintf(golden, sizeof golden, "sounds/%s", sounds[i]);
        MG_RETURN(seed_copy(folder, sounds[i], "", golden));
    }
    MG_RETURN(put_ogg(folder));
    for (int i = 0; i < 2; i++) {
        static const char *const names[] = {"small.mp3", "small.ogg"};
        snprintf(path, sizeof path, "%.3000s/%s", folder, names[i]);
        if (i == 0 && mg_audio_file_write(path, MG_AUDIO_MP3, &s, NULL) != MG_OK) { /* an old libsndfile */
            mg_clear_error();
            continue;
        }
        MG_RETURN(mg_in_file_read(&data, &bytes, path, 1 << 20));
        snprintf(golden, sizeof golden, "twice-%s", names[i]);
        const mg_status st = seed_put(folder, golden, data, (size_t)bytes, data, (size_t)bytes);
        free(data);
        MG_RETURN(st);
    }
    return MG_OK;
}

static const char hash_note[] = "mg-dist hash 1 5359097 10837004 1795927406670859898 1795927406670859898 "
                                "1694f86ce3d30290848e937c4ea6284817da0eaef8e5700b1f32cbbd8d8c897b\n";

/* The head of a pack of two chunks. */
static mg_status put_pack(const char *folder)
{
    enum { DATA_BYTES = 4200000 };
    static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char path[4200], *data = calloc(1, DATA_BYTES), *file = NULL;
    mg_threads *threads = NULL;
    mg_status st = MG_OK;
    int64_t bytes;

    if (!data) MG_TRY(mg_fail(MG_ENOMEM, "seeds: %d bytes", DATA_BYTES));
    snprintf(path, sizeof path, "%.3000s/head", folder);
    MG_TRY(mg_threads_open(&threads, 1, false));
    MG_TRY(mg_pack_write(path, key, "example/tiny", data, DATA_BYTES, threads));
    MG_TRY(mg_in_file_read(&file, &bytes, path, 2 * DATA_BYTES));
    MG_TRY(mg_out_file_put(path, file, (size_t)mg_pack_head_bytes(DATA_BYTES)));
done:
    mg_threads_close(threads);
    free(file);
    free(data);
    return st;
}

mg_status seeds_of_forms(const char *out)
{
    static const char *const torch[] = {"tensors-zip.pt",
                                        "tensors-old.pt",
                                        "tensors-protocol4.pt",
                                        "tensors-descriptors.pt",
                                        "small-zip.pt",
                                        "small-old.pt",
                                        "tensors-zip64.pt",
                                        "untyped.pt",
                                        "nested.pt",
                                        "command.pt",
                                        "module.pt",
                                        "nameless.pt",
                                        "dotless.pt",
                                        "expanded-bomb.pt"};
    char folder[4096], golden[256];

    MG_RETURN(make_folder(folder, out, "torch"));
    for (size_t i = 0; i < sizeof torch / sizeof *torch; i++) {
        snprintf(golden, sizeof golden, "torch/%s", torch[i]);
        MG_RETURN(seed_copy(folder, torch[i], "", golden));
    }
    MG_RETURN(seed_copy(folder, "pointer", "", "checkpoints/ac-pointer/compression_state_dict.bin"));
    MG_RETURN(make_folder(folder, out, "npy"));
    MG_RETURN(seed_copy(folder, "codes", "", "npy/codes-11kt.npy"));
    MG_RETURN(seed_copy(folder, "states", "", "npy/states-big-endian.npy"));
    MG_RETURN(seed_copy(folder, "fortran", "", "npy/states-fortran.npy"));
    MG_RETURN(seed_copy(folder, "v3", "", "npy/codes-v3.npy"));
    MG_RETURN(make_folder(folder, out, "audio"));
    MG_RETURN(make_sounds(folder));
    MG_RETURN(make_folder(folder, out, "ogg"));
    MG_RETURN(put_ogg(folder));
    MG_RETURN(make_folder(folder, out, "pack"));
    MG_RETURN(put_pack(folder));
    MG_RETURN(seed_put(folder, "note", "", 0, hash_note, sizeof hash_note - 1));
    MG_RETURN(make_folder(folder, out, "index"));
    MG_RETURN(seed_put(folder, "small", "", 0, index_text, sizeof index_text - 1));
    MG_RETURN(
        seed_copy(folder, "tiny-mono", "", "checkpoints/tiny-mono-sharded/model.safetensors.index.json"));
    MG_RETURN(make_folder(folder, out, "request"));
    MG_RETURN(seed_put(folder, "json", "", 0, request_lines, sizeof request_lines - 1));
    MG_RETURN(seed_put(folder, "text", "", 0, prompt_lines, sizeof prompt_lines - 1));
    MG_RETURN(make_folder(folder, out, "jobs"));
    MG_RETURN(seed_put(folder, "json", "", 0, request_lines, sizeof request_lines - 1));
    MG_RETURN(seed_put(folder, "array", "", 0, request_array, sizeof request_array - 1));
    MG_RETURN(seed_copy(folder, "csv", "", "jobs/jobs.csv"));
    MG_RETURN(seed_copy(folder, "tsv", "", "jobs/jobs.tsv"));
    MG_RETURN(make_folder(folder, out, "mapping"));
    MG_RETURN(seed_put(folder, "audiocraft", "", 0, audiocraft_names, sizeof audiocraft_names - 1));
    MG_RETURN(seed_put(folder, "hf", "", 0, hf_names, sizeof hf_names - 1));
    return seed_put(folder, "codec", "", 0, codec_names, sizeof codec_names - 1);
}
