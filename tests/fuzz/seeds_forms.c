/* Seeds for fuzz_torch, fuzz_index and fuzz_mapping. */
#include <stdio.h>
#include <string.h>

#include "out_file.h"
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

static mg_status make_folder(char out[4096], const char *parent, const char *name)
{
    snprintf(out, 4096, "%.3000s/%s", parent, name);
    return mg_out_dir_open(out);
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
                                        "expanded-bomb.pt"};
    char folder[4096], golden[256];

    MG_RETURN(make_folder(folder, out, "torch"));
    for (size_t i = 0; i < sizeof torch / sizeof *torch; i++) {
        snprintf(golden, sizeof golden, "torch/%s", torch[i]);
        MG_RETURN(seed_copy(folder, torch[i], "", golden));
    }
    MG_RETURN(seed_copy(folder, "pointer", "", "checkpoints/ac-pointer/compression_state_dict.bin"));
    MG_RETURN(make_folder(folder, out, "index"));
    MG_RETURN(seed_put(folder, "small", "", 0, index_text, sizeof index_text - 1));
    MG_RETURN(
        seed_copy(folder, "tiny-mono", "", "checkpoints/tiny-mono-sharded/model.safetensors.index.json"));
    MG_RETURN(make_folder(folder, out, "mapping"));
    MG_RETURN(seed_put(folder, "audiocraft", "", 0, audiocraft_names, sizeof audiocraft_names - 1));
    MG_RETURN(seed_put(folder, "hf", "", 0, hf_names, sizeof hf_names - 1));
    return seed_put(folder, "codec", "", 0, codec_names, sizeof codec_names - 1);
}
