/* The tables of names, and the matching of patterns: # is a number, % is q, k or v, * at the end is the rest.
 */
#include "key_map.h"

#include <string.h>

enum { MAX_CAPTURES = 4 };

typedef struct rule {
    mg_dialect dialect;
    const char *source, *target;
} rule;

#define LM_LAYER       "decoder.model.decoder.layers.#."
#define AC_LAYER       "transformer.layers.#."
#define AC_CONDITIONER "condition_provider.conditioners."

static const rule rules[] = {
    /* a decoder saved alone: MusicgenForCausalLM */
    {MG_DIALECT_HF, "model.decoder.embed_tokens.#.weight", "decoder.model.decoder.embed_tokens.#.weight"},
    {MG_DIALECT_HF, "model.decoder.embed_positions.*", "decoder.model.decoder.embed_positions.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.self_attn.*", LM_LAYER "self_attn.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.self_attn_layer_norm.*", LM_LAYER "self_attn_layer_norm.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.encoder_attn.*", LM_LAYER "encoder_attn.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.encoder_attn_layer_norm.*", LM_LAYER "encoder_attn_layer_norm.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.fc1.*", LM_LAYER "fc1.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.fc2.*", LM_LAYER "fc2.*"},
    {MG_DIALECT_HF, "model.decoder.layers.#.final_layer_norm.*", LM_LAYER "final_layer_norm.*"},
    {MG_DIALECT_HF, "model.decoder.layer_norm.*", "decoder.model.decoder.layer_norm.*"},
    {MG_DIALECT_HF, "lm_heads.#.weight", "decoder.lm_heads.#.weight"},
    /* the whole, and the text encoder and the codec alone: as they are */
    {MG_DIALECT_HF, "text_encoder.*", "text_encoder.*"},
    {MG_DIALECT_HF, "audio_encoder.*", "audio_encoder.*"},
    {MG_DIALECT_HF, "decoder.model.decoder.*", "decoder.model.decoder.*"},
    {MG_DIALECT_HF, "decoder.lm_heads.*", "decoder.lm_heads.*"},
    {MG_DIALECT_HF, "enc_to_dec_proj.*", "enc_to_dec_proj.*"},
    {MG_DIALECT_HF, "audio_enc_to_dec_proj.*", "audio_enc_to_dec_proj.*"},
    {MG_DIALECT_HF, "shared.weight", "shared.weight"},
    {MG_DIALECT_HF, "encoder.embed_tokens.weight", "encoder.embed_tokens.weight"},
    {MG_DIALECT_HF, "encoder.block.#.*", "encoder.block.#.*"},
    {MG_DIALECT_HF, "encoder.final_layer_norm.weight", "encoder.final_layer_norm.weight"},
    {MG_DIALECT_HF, "decoder.embed_tokens.weight", "decoder.embed_tokens.weight"},
    {MG_DIALECT_HF, "decoder.block.#.*", "decoder.block.#.*"},
    {MG_DIALECT_HF, "decoder.final_layer_norm.weight", "decoder.final_layer_norm.weight"},
    {MG_DIALECT_HF, "lm_head.weight", "lm_head.weight"},
    {MG_DIALECT_HF, "encoder.layers.#.*", "encoder.layers.#.*"},
    {MG_DIALECT_HF, "decoder.layers.#.*", "decoder.layers.#.*"},
    {MG_DIALECT_HF, "quantizer.layers.#.*", "quantizer.layers.#.*"},
    /* MERT, a HubertModel: as it is; its layers are above */
    {MG_DIALECT_HF, "feature_extractor.conv_layers.#.*", "feature_extractor.conv_layers.#.*"},
    {MG_DIALECT_HF, "feature_projection.*", "feature_projection.*"},
    {MG_DIALECT_HF, "encoder.pos_conv_embed.*", "encoder.pos_conv_embed.*"},
    {MG_DIALECT_HF, "encoder.layer_norm.*", "encoder.layer_norm.*"},
    {MG_DIALECT_HF, "masked_spec_embed", "masked_spec_embed"},
    /* audiocraft.models.lm.LMModel */
    {MG_DIALECT_AUDIOCRAFT_LM, "emb.#.weight", "decoder.model.decoder.embed_tokens.#.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "self_attn.in_proj_weight", LM_LAYER "self_attn.%_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "self_attn.out_proj.weight", LM_LAYER "self_attn.out_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "cross_attention.in_proj_weight",
     LM_LAYER "encoder_attn.%_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "cross_attention.out_proj.weight",
     LM_LAYER "encoder_attn.out_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "linear1.weight", LM_LAYER "fc1.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "linear2.weight", LM_LAYER "fc2.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm1.weight", LM_LAYER "self_attn_layer_norm.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm1.bias", LM_LAYER "self_attn_layer_norm.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm_cross.weight", LM_LAYER "encoder_attn_layer_norm.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm_cross.bias", LM_LAYER "encoder_attn_layer_norm.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm2.weight", LM_LAYER "final_layer_norm.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_LAYER "norm2.bias", LM_LAYER "final_layer_norm.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, "out_norm.weight", "decoder.model.decoder.layer_norm.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, "out_norm.bias", "decoder.model.decoder.layer_norm.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, "linears.#.weight", "decoder.lm_heads.#.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "description.output_proj.weight", "enc_to_dec_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "description.output_proj.bias", "enc_to_dec_proj.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.output_proj.weight", "audio_enc_to_dec_proj.weight"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.output_proj.bias", "audio_enc_to_dec_proj.bias"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.embed.*", "style_encoder.embed.*"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.transformer.*", "style_encoder.transformer.*"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.batch_norm.*", "style_encoder.batch_norm.*"},
    {MG_DIALECT_AUDIOCRAFT_LM, AC_CONDITIONER "self_wav.rvq.*", "style_encoder.rvq.*"},
    /* audiocraft.models.encodec.EncodecModel */
    {MG_DIALECT_AUDIOCRAFT_CODEC, "encoder.model.#.conv.conv.*", "encoder.layers.#.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "encoder.model.#.block.#.conv.conv.*", "encoder.layers.#.block.#.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "encoder.model.#.shortcut.conv.conv.*", "encoder.layers.#.shortcut.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "encoder.model.#.lstm.*", "encoder.layers.#.lstm.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.#.conv.conv.*", "decoder.layers.#.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.#.convtr.convtr.*", "decoder.layers.#.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.#.block.#.conv.conv.*", "decoder.layers.#.block.#.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.#.shortcut.conv.conv.*", "decoder.layers.#.shortcut.conv.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "decoder.model.#.lstm.*", "decoder.layers.#.lstm.*"},
    {MG_DIALECT_AUDIOCRAFT_CODEC, "quantizer.vq.layers.#._codebook.*", "quantizer.layers.#.codebook.*"},
};

enum { N_RULES = sizeof rules / sizeof *rules };

/* Known, and not needed: in our names, each also behind "text_encoder." or "audio_encoder.". */
static const char *const ignorable[] = {
    "quantizer.layers.#.codebook.embed_avg",
    "quantizer.layers.#.codebook.cluster_size",
    "quantizer.layers.#.codebook.inited",
    "style_encoder.rvq.vq.layers.#._codebook.embed_avg",
    "style_encoder.rvq.vq.layers.#._codebook.cluster_size",
    "style_encoder.rvq.vq.layers.#._codebook.inited",
    "encoder.layers.#.conv.*", /* EnCodec's encoder; MERT's layers have other names */
    "encoder.layers.#.block.#.*",
    "encoder.layers.#.shortcut.*",
    "encoder.layers.#.lstm.*",
    "shared.weight", /* one alias of the embedding is enough; none at all is a missing target */
    "encoder.embed_tokens.weight",
    "decoder.embed_tokens.weight", /* from here a full T5 */
    "decoder.block.#.*",
    "decoder.final_layer_norm.weight",
    "lm_head.weight",
    "masked_spec_embed", /* MERT's training alone */
    "condition_provider.conditioners.self_wav.chroma.spec.window",
};
static const char *const ignorable_ends[] = {".num_batches_tracked", ".inv_freq", ".spec.window",
                                             ".position_ids"};

typedef struct capture {
    const char *text;
    size_t n;
} capture;

static bool match(capture captures[MAX_CAPTURES], const char *pattern, const char *name)
{
    int n = 0;

    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            captures[n] = (capture){name, strlen(name)};
            return captures[n].n > 0;
        }
        if (*pattern == '#') {
            captures[n] = (capture){name, strspn(name, "0123456789")};
            if (captures[n].n == 0) return false;
            name += captures[n++].n;
        } else if (*pattern == '%') {
            if (!*name || !strchr("qkv", *name)) return false;
            captures[n++] = (capture){name++, 1};
        } else if (*pattern != *name++) {
            return false;
        }
    }
    return *name == '\0';
}

/* The pattern with its captures put in; a % that has none takes `letter`. False if it is too long. */
static bool expand(char out[MG_KEY_MAX], const char *pattern, const capture *captures, char letter)
{
    size_t used = 0;

    for (; *pattern; pattern++) {
        const bool captured = *pattern == '#' || *pattern == '*';
        const capture c = captured ? *captures++ : (capture){*pattern == '%' ? &letter : pattern, 1};
        if (c.n >= MG_KEY_MAX - used) return false;
        memcpy(out + used, c.text, c.n);
        used += c.n;
    }
    out[used] = '\0';
    return true;
}

/* `name` without what wraps a module, at the start of any component. False if it is too long. */
static bool unwrap(char out[MG_KEY_MAX], mg_dialect d, const char *name)
{
    static const char *const wrappers[] = {"_fsdp_wrapped_module.", "_checkpoint_wrapped_module.",
                                           "_orig_mod.", "module.", "mha."};
    const size_t n_wrappers = d == MG_DIALECT_AUDIOCRAFT_LM ? 5 : 4; /* mha: nn.MultiheadAttention's own */
    size_t used = 0;
    bool at_start = true;

    while (*name) {
        bool found = false;
        for (size_t i = 0; at_start && i < n_wrappers && !found; i++) {
            found = strncmp(name, wrappers[i], strlen(wrappers[i])) == 0;
            if (found) name += strlen(wrappers[i]);
        }
        if (found) continue;
        if (used + 1 >= MG_KEY_MAX) return false;
        at_start = *name == '.';
        out[used++] = *name++;
    }
    out[used] = '\0';
    return true;
}

static int apply_rules(mg_key_target target[MG_KEY_PARTS], mg_dialect d, const char *name)
{
    capture captures[MAX_CAPTURES] = {0};

    for (int i = 0; i < N_RULES; i++) {
        if (rules[i].dialect != d || !match(captures, rules[i].source, name)) continue;
        const int n_parts = strchr(rules[i].target, '%') ? MG_KEY_PARTS : 1;
        for (int part = 0; part < n_parts; part++) {
            target[part].i_part = part, target[part].n_parts = n_parts;
            if (!expand(target[part].name, rules[i].target, captures, "qkv"[part])) return 0;
        }
        return n_parts;
    }
    return 0;
}

int mg_key_map(mg_key_target target[MG_KEY_PARTS], mg_dialect d, const char *source)
{
    char name[MG_KEY_MAX];

    if (!unwrap(name, d, source)) return 0;
    int n = apply_rules(target, d, name);
    if (n == 0 && strncmp(name, "model.", 6) == 0) n = apply_rules(target, d, name + 6);
    return n;
}

static int letter_index(char letter)
{
    return letter == 'q' ? 0 : letter == 'k' ? 1 : 2;
}

int mg_key_map_back(mg_key_target source[MG_KEY_SPELLINGS], mg_dialect d, const char *target)
{
    capture captures[MAX_CAPTURES] = {0};
    int n = 0;

    for (int i = 0; i < N_RULES && n < MG_KEY_SPELLINGS; i++) {
        if (rules[i].dialect != d || !match(captures, rules[i].target, target)) continue;
        const char *letter = strchr(rules[i].target, '%');
        /* the rules with a letter have one # before it and none behind */
        source[n].i_part = letter ? letter_index(*captures[1].text) : 0;
        source[n].n_parts = letter ? MG_KEY_PARTS : 1;
        if (expand(source[n].name, rules[i].source, captures, '\0')) n++;
    }
    return n;
}

mg_dialect mg_key_map_detect(const char *const *names, size_t n)
{
    size_t votes[MG_DIALECT_UNKNOWN] = {0}, most = 0;
    mg_dialect best = MG_DIALECT_UNKNOWN;
    mg_key_target target[MG_KEY_PARTS];

    for (size_t i = 0; i < n; i++)
        for (int d = 0; d < MG_DIALECT_UNKNOWN; d++)
            votes[d] += mg_key_map(target, (mg_dialect)d, names[i]) > 0;
    for (int d = 0; d < MG_DIALECT_UNKNOWN; d++)
        if (votes[d] > most) most = votes[d], best = (mg_dialect)d;
    return best;
}

const char *mg_dialect_name(mg_dialect d)
{
    switch (d) {
    case MG_DIALECT_HF: return "Hugging Face";
    case MG_DIALECT_AUDIOCRAFT_LM: return "AudioCraft language model";
    case MG_DIALECT_AUDIOCRAFT_CODEC: return "AudioCraft codec";
    case MG_DIALECT_UNKNOWN: return "unknown";
    }
    return "unknown";
}

/* Of parts that may share a file with a language model. */
static const char *const part_prefixes[] = {"text_encoder.", "audio_encoder."};
enum { N_PART_PREFIXES = sizeof part_prefixes / sizeof *part_prefixes };

static bool begins(const char *name, const char *with)
{
    return strncmp(name, with, strlen(with)) == 0;
}

bool mg_key_map_is_of_part(const char *target_name, const char *prefix)
{
    bool others = false;

    for (int i = 0; i < N_PART_PREFIXES; i++) others = others || begins(target_name, part_prefixes[i]);
    return *prefix ? begins(target_name, prefix) : !others;
}

bool mg_key_map_is_ignorable(const char *target_name)
{
    capture captures[MAX_CAPTURES];
    const char *name = target_name;

    for (int i = 0; i < N_PART_PREFIXES; i++)
        if (begins(name, part_prefixes[i])) name += strlen(part_prefixes[i]);
    for (size_t i = 0; i < sizeof ignorable / sizeof *ignorable; i++)
        if (match(captures, ignorable[i], name)) return true;
    for (size_t i = 0; i < sizeof ignorable_ends / sizeof *ignorable_ends; i++) {
        const size_t n = strlen(name), n_end = strlen(ignorable_ends[i]);
        if (n >= n_end && strcmp(name + n - n_end, ignorable_ends[i]) == 0) return true;
    }
    return false;
}
