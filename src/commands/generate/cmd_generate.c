/* mg-dist generate: texts in, sound files out. The option table and the rules between options. */
#include <math.h>
#include <string.h>

#include "clip_list.h"

#define AT(field) offsetof(mg_generate_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "model", .letter = 'm', .type = MG_OPT_STRING, .offset = AT(model), .arg = "DIR|ID", .group = "Model",
     .help = "folder in Hugging Face's or AudioCraft's layout, or the id of a cached model"},
    {.name = "model-key", .type = MG_OPT_STRING, .offset = AT(model_key), .arg = "KEY", .group = "Model",
     .help = "the model that this key stands for; mg-dist models lists the keys"},
    {.name = "manifest", .type = MG_OPT_STRING, .offset = AT(manifest), .arg = "FILE", .group = "Model",
     .help = "where --model-key looks (default: as mg-dist models --help says)"},
    {.name = "lm", .type = MG_OPT_STRING, .offset = AT(lm), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take the language model from here instead"},
    {.name = "text-encoder", .type = MG_OPT_STRING, .offset = AT(text_encoder), .arg = "DIR|FILE|ID",
     .group = "Model", .help = "take the T5 text encoder from here instead"},
    {.name = "codec", .type = MG_OPT_STRING, .offset = AT(codec), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take the EnCodec decoder from here instead"},
    {.name = "tokenizer", .type = MG_OPT_STRING, .offset = AT(tokenizer), .arg = "DIR|FILE|ID", .group = "Model",
     .help = "take spiece.model or tokenizer.json from here instead"},
    {.name = "apply-proposed", .type = MG_OPT_FLAG, .offset = AT(apply_proposed), .group = "Model",
     .help = "accept the proposals for missing tensors that are sure; also APPLY_PROPOSED=1"},

    {.name = "prompt", .letter = 'p', .type = MG_OPT_STRINGS, .offset = AT(prompts), .arg = "TEXT",
     .group = "What to make", .help = "a clip that follows this text; \"\" is a clip without text"},
    {.name = "prompts", .type = MG_OPT_STRING, .offset = AT(prompts_file), .arg = "FILE", .group = "What to make",
     .help = "a clip for every line of this file: a text, or JSON with settings of its own; - is standard input"},
    {.name = "prompt-file", .type = MG_OPT_STRINGS, .offset = AT(prompt_files), .arg = "FILE",
     .group = "What to make", .help = "a clip for this file: all of it is one text, its first line the title"},
    {.name = "unconditional", .type = MG_OPT_INT, .offset = AT(n_unconditional), .arg = "N", .low = 1,
     .high = 1e6, .group = "What to make", .help = "N clips without text, after those with"},
    {.name = "n", .letter = 'n', .type = MG_OPT_INT, .offset = AT(n_per_prompt), .arg = "N", .preset = "1", .low = 1,
     .high = 1e6, .group = "What to make", .help = "clips for each prompt, each with a seed of its own"},
    {.name = "duration", .letter = 'd', .type = MG_OPT_FLOAT, .offset = AT(dur_s), .arg = "SECONDS", .low = 0,
     .high = 1e6, .group = "What to make",
     .help = "length of each clip, an audio prompt included (default: 30, or 10 with AudioGen)"},
    {.name = "frames", .type = MG_OPT_INT, .offset = AT(n_frames), .arg = "N", .low = 1, .high = 1e8,
     .group = "What to make", .help = "length in codec frames, exactly, instead of --duration"},

    {.name = "audio-prompt", .type = MG_OPT_STRINGS, .offset = AT(audio_prompts), .arg = "FILE", .group = "What to follow",
     .help = "continue this sound, or these codes (.npy); once for all prompts, or once for each"},
    {.name = "prompt-duration", .type = MG_OPT_FLOAT, .offset = AT(prompt_dur_s), .arg = "SECONDS", .low = 0,
     .high = 1e6, .group = "What to follow", .help = "continue that much of its beginning (default: all of it)"},
    {.name = "keep-prompt", .type = MG_OPT_FLAG, .offset = AT(keep_prompt), .group = "What to follow",
     .help = "the clip begins with the audio prompt; the default"},
    {.name = "drop-prompt", .type = MG_OPT_FLAG, .offset = AT(drop_prompt), .group = "What to follow",
     .help = "leave the audio prompt out of the files"},
    {.name = "melody", .type = MG_OPT_STRINGS, .offset = AT(melodies), .arg = "FILE", .group = "What to follow",
     .help = "follow this tune (melody models); once for all prompts, or once for each"},
    {.name = "negative-prompt", .type = MG_OPT_STRINGS, .offset = AT(negative_prompts), .arg = "TEXT",
     .group = "What to follow", .help = "lead away from this text; once for all prompts, or once for each"},
    {.name = "text-states", .type = MG_OPT_STRINGS, .offset = AT(text_states), .arg = "FILE", .group = "What to follow",
     .help = "what a T5 made of a text, [tokens, width] (.safetensors, .npy), in its place; once, or once for each"},

    {.name = "seed", .letter = 's', .type = MG_OPT_INT, .offset = AT(seed), .arg = "N", .low = 0,
     .high = 9007199254740991.0, .group = "Sampling",
     .help = "clip i is made with seed N + i (default: one is drawn, printed and recorded)"},
    {.name = "cfg-coef", .alias = "guidance-scale", .type = MG_OPT_FLOAT, .offset = AT(cfg_coef), .arg = "F",
     .low = 0, .high = 1000, .group = "Sampling",
     .help = "how strongly to follow the text; 1 is off (default: the model's own, else 3)"},
    {.name = "cfg-coef-beta", .type = MG_OPT_FLOAT, .offset = AT(cfg_coef_beta), .arg = "F", .low = 0, .high = 1000,
     .group = "Sampling", .help = "with a melody: how strongly to follow the text beside it (double guidance)"},
    {.name = "sampler", .type = MG_OPT_CHOICE, .offset = AT(sampler), .preset = "audiocraft",
     .choices = MG_SAMPLER_CHOICES, .group = "Sampling",
     .help = "whose rules: AudioCraft's, or those of transformers (top-k and top-p both apply)"},
    {.name = "top-k", .type = MG_OPT_INT, .offset = AT(top_k), .arg = "N", .low = 0, .high = 1e9,
     .group = "Sampling",
     .help = "draw from the N likeliest codes; 0 is from all (default: the model's own, else 250, or 50 with hf)"},
    {.name = "top-p", .type = MG_OPT_FLOAT, .offset = AT(top_p), .arg = "F", .low = 0, .high = 1,
     .group = "Sampling",
     .help = "draw from the likeliest codes that make up F; 0 is off; audiocraft: instead of --top-k (default: off)"},
    {.name = "temperature", .type = MG_OPT_FLOAT, .offset = AT(temperature), .arg = "F", .low = 0, .high = 1000,
     .group = "Sampling", .help = "above 1 more surprising, below 1 less; 0 is --greedy (default: the model's own, else 1)"},
    {.name = "greedy", .type = MG_OPT_FLAG, .offset = AT(greedy), .group = "Sampling",
     .help = "always the likeliest code; no randomness"},
    {.name = "window", .type = MG_OPT_FLOAT, .offset = AT(window_s), .arg = "SECONDS", .low = 0, .high = 1e6,
     .group = "Sampling", .help = "a longer clip is made in windows of this length (default: the model's own, mostly 30)"},
    {.name = "extend-stride", .type = MG_OPT_FLOAT, .offset = AT(extend_stride_s), .arg = "SECONDS", .low = 0,
     .high = 1e6, .group = "Sampling",
     .help = "from one window's beginning to the next one's (default: 0.6 of the window, 0.2 with AudioGen)"},

    {.name = "out", .letter = 'o', .type = MG_OPT_STRING, .offset = AT(out_dir), .arg = "DIR", .preset = "out",
     .group = "Output", .help = "folder for the files, made if need be; - writes one clip's sound to standard output"},
    {.name = "name", .type = MG_OPT_CHOICE, .offset = AT(naming), .choices = MG_NAMING_CHOICES, .group = "Output",
     .help = "call the files 000000, 000001 …, or by title or first words (default: index; title with --prompt-file)"},
    {.name = "format", .type = MG_OPT_CHOICE, .offset = AT(format), .preset = "wav",
     .choices = MG_AUDIO_FORMAT_CHOICES, .group = "Output", .help = "of the sound files; wav is 16 bits, wav-f32 floats"},
    {.name = "sample-rate", .type = MG_OPT_INT, .offset = AT(rate_hz), .arg = "HZ", .low = 1000, .high = 384000,
     .group = "Output", .help = "resample the sound (default: the codec's rate)"},
    {.name = "strategy", .type = MG_OPT_CHOICE, .offset = AT(strategy), .preset = "peak",
     .choices = MG_STRATEGY_CHOICES, .group = "Output",
     .help = "the level: by its peak, loudness or rms; clip cuts peaks only; none leaves the codec's output untouched"},
    {.name = "peak-headroom", .type = MG_OPT_FLOAT, .offset = AT(peak_headroom_db), .arg = "DB", .preset = "1",
     .low = 0, .high = 100, .group = "Output", .help = "peak, clip: the highest peak stands this far below full scale"},
    {.name = "rms-headroom", .type = MG_OPT_FLOAT, .offset = AT(rms_headroom_db), .arg = "DB", .preset = "18",
     .low = 0, .high = 100, .group = "Output", .help = "rms: so far below full scale"},
    {.name = "loudness-headroom", .type = MG_OPT_FLOAT, .offset = AT(loudness_headroom_db), .arg = "DB",
     .preset = "14", .low = 0, .high = 100, .group = "Output", .help = "loudness: 14 is -14 LUFS"},
    {.name = "loudness-compressor", .type = MG_OPT_FLAG, .offset = AT(loudness_compressor), .group = "Output",
     .help = "loudness: soften what would be cut (tanh)"},
    {.name = "save-codes", .type = MG_OPT_FLAG, .offset = AT(save_codes), .group = "Output",
     .help = "also write 000000.codes.npy, int32 [codebooks, frames]"},
    {.name = "codes-only", .type = MG_OPT_FLAG, .offset = AT(codes_only), .group = "Output",
     .help = "write the codes and no sound; no codec is needed"},

    {.name = "batch", .type = MG_OPT_INT, .offset = AT(n_slots), .arg = "N", .low = 1, .high = 1e6,
     .group = "Machine", .help = "clips at once in each group of --tp ranks (default: chosen by memory, at most 8)"},
    MG_MACHINE_OPTIONS(mg_generate_settings),
};
/* clang-format on */

/* What only goes with something else. A file of JSON lines may bring it. */
static mg_status check_company(const mg_generate_settings *s)
{
    const bool from_file = s->prompts_file != NULL;

    if (!s->audio_prompts.n && !from_file && (!isnan(s->prompt_dur_s) || s->drop_prompt))
        return mg_fail(MG_EUSAGE, "option --%s: there is no --audio-prompt",
                       s->drop_prompt ? "drop-prompt" : "prompt-duration");
    if (s->keep_prompt && s->drop_prompt)
        return mg_fail(MG_EUSAGE, "options --keep-prompt and --drop-prompt: give one");
    if (!s->melodies.n && !from_file && !isnan(s->cfg_coef_beta))
        return mg_fail(MG_EUSAGE,
                       "option --cfg-coef-beta: weighs the text against a melody, and there is no --melody");
    if (s->loudness_compressor && s->strategy != MG_STRATEGY_LOUDNESS)
        return mg_fail(MG_EUSAGE, "option --loudness-compressor: goes with --strategy loudness");
    if (strcmp(s->out_dir, "-") == 0 && (s->save_codes || s->codes_only))
        return mg_fail(MG_EUSAGE, "option --out: -: standard output takes the sound alone; leave out --%s",
                       s->codes_only ? "codes-only" : "save-codes");
    return MG_OK;
}

static mg_status check_lengths(const mg_generate_settings *s)
{
    const struct {
        const char *name;
        double value;
    } seconds[] = {{"duration", s->dur_s},
                   {"prompt-duration", s->prompt_dur_s},
                   {"window", s->window_s},
                   {"extend-stride", s->extend_stride_s}};

    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++)
        if (seconds[i].value <= 0)
            return mg_fail(MG_EUSAGE, "option --%s: %g: must be more than 0 seconds", seconds[i].name,
                           seconds[i].value);
    if (!isnan(s->dur_s) && s->n_frames > 0)
        return mg_fail(MG_EUSAGE, "options --duration and --frames: both say how long; give one");
    if (s->extend_stride_s >= s->window_s)
        return mg_fail(MG_EUSAGE, "option --extend-stride: %g: must be shorter than the window, %g s",
                       s->extend_stride_s, s->window_s);
    return MG_OK;
}

static mg_status check(const void *settings)
{
    const mg_generate_settings *s = settings;
    const int64_t tp = s->machine.tp;

    if (!s->model && !s->model_key && !s->lm)
        return mg_fail(MG_EUSAGE,
                       "option --model: missing; give a checkpoint folder, models/mg-demo for one");
    if (s->model && s->model_key)
        return mg_fail(MG_EUSAGE, "options --model and --model-key: both say which model; give one");
    if (s->prompts.n == 0 && !s->prompts_file && s->prompt_files.n == 0 && s->n_unconditional < 0 &&
        s->audio_prompts.n == 0 && s->melodies.n == 0 && s->text_states.n == 0)
        return mg_fail(MG_EUSAGE, "nothing to make; give --prompt TEXT, --prompts FILE or --unconditional N");
    MG_RETURN(check_lengths(s));
    MG_RETURN(check_company(s));
    if (tp > 0 && tp != 1 && tp != 2 && tp != 4 && tp != 8)
        return mg_fail(MG_EUSAGE, "option --tp: %lld: must be one of 1, 2, 4, 8", (long long)tp);
    return MG_OK;
}

static mg_status run(mg_context *context, const void *settings)
{
    return mg_generate_run(context, settings);
}

static const char details[] =
    "The same model, prompt, seed and --cpu-level give the same bytes, whatever the number of ranks, --tp, "
    "--batch\n"
    "and --threads. Paths of finished clips go to stdout, everything else to stderr.\n"
    "\n"
    "  mg-dist generate --model models/mg-demo --prompt \"slow sad piano\" --duration 8 --seed 7 --out out\n"
    "  mg-dist generate --model DIR --prompt \"a cheerful waltz\" --audio-prompt intro.wav --duration 20\n"
    "  mg-dist generate --model DIR --prompt \"techno\" --duration 8 --out - | aplay\n"
    "  mpirun -np 4 mg-dist generate --model DIR --prompts list.txt --out out\n"
    "\n"
    "docs/GENERATE.md goes through it all, the keys of JSON lines included.";

const mg_command mg_cmd_generate = {
    .name = "generate",
    .summary = "make sound files from texts",
    .usage = "--model DIR|ID --prompt TEXT [options]",
    .details = details,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_generate_settings),
    .check = check,
    .run = run,
};

void mg_generate_settings_init(mg_generate_settings *settings)
{
    mg_cli_preset(&mg_cmd_generate, settings);
}
