/* The table of a recipe's keys: recipe.c makes mg_recipe_keys[] of it, cmd_generate.c its options.
 *
 *     TYPE, field, low, high, choices, key, place, record, flags, option, …
 *
 * `key` is the name in JSON lines (NULL: not asked for there), `record` the name in a clip's metadata (NULL:
 * not recorded) and `place` where it stands there, `option` the name on the command line, and what follows is
 * the rest of its mg_option. Rows are recorded in the order of the table, options are listed in it.
 *
 * A row is X, L or P. X has one value for the call. L is given once for all clips or once for each. P has no
 * option. A macro is a group of the help. */
#ifndef MG_RECIPE_KEYS_H
#define MG_RECIPE_KEYS_H

/* clang-format off */
#define MG_RECIPE_KEYS_MAKE(X, L, P)                                                                                                      \
    P(TEXT, where, 0, 0, NULL, NULL, NOWHERE, NULL, MG_KEY_OWN, NULL)                                                                     \
    P(ID, id, 0, 0, NULL, "id", NAMES, "id", MG_KEY_OWN, NULL)                                                                            \
    P(TEXT, title, 0, 0, NULL, "title", NAMES, "title", MG_KEY_OWN, NULL)                                                                 \
    L(TEXT, prompt, 0, 0, NULL, "prompt", TEXTS, "prompt", MG_KEY_OWN, "prompt",                                                          \
      .letter = 'p', .arg = "TEXT", .help = "a clip that follows this text; \"\" is a clip without text")                                 \
    X(INT, n, 1, 1e6, NULL, "n", NOWHERE, NULL, 0, "n",                                                                                   \
      .letter = 'n', .alias = "num-return-sequences", .arg = "N", .preset = "1",                                                          \
      .help = "clips for each prompt, each with a seed of its own")                                                                       \
    X(NUMBER, dur_s, 1e-3, 1e6, NULL, "duration", NOWHERE, NULL, 0, "duration",                                                           \
      .letter = 'd', .arg = "SECONDS", .rivals = "frames|max-new-tokens",                                                                 \
      .help = "length of each clip, an audio prompt included (default: 30, or 10 with AudioGen)")                                         \
    X(INT, n_frames, 1, 1e8, NULL, "frames", PARAMETERS, "frames", 0, "frames",                                                           \
      .arg = "N", .rivals = "duration|max-new-tokens",                                                                                    \
      .help = "length in codec frames, exactly, instead of --duration")

#define MG_RECIPE_KEYS_FOLLOW(X, L, P)                                                                                                    \
    L(TEXT, negative_prompt, 0, 0, NULL, "negative_prompt", TEXTS, "negative_prompt", 0, "negative-prompt",                               \
      .arg = "TEXT", .help = "lead away from this text; once for all prompts, or once for each")                                          \
    L(PATH, text_states, 0, 0, NULL, "text_states", INPUTS, "text_states", 0, "text-states",                                              \
      .arg = "FILE",                                                                                                                      \
      .help = "what a T5 made of a text, [tokens, width] (.safetensors, .npy), in its place; once, or once for each")                     \
    L(PATH, audio_prompt, 0, 0, NULL, "audio_prompt", INPUTS, "audio_prompt", 0, "audio-prompt",                                          \
      .arg = "FILE", .help = "continue this sound, or these codes (.npy); once for all prompts, or once for each")                        \
    L(PATH, melody, 0, 0, NULL, "melody", INPUTS, "melody", 0, "melody",                                                                  \
      .alias = "style", .arg = "FILE",                                                                                                    \
      .help = "follow this tune (melody models) or the style of this music (MusicGen-Style); once, or once for each prompt")              \
    X(BOOL, melody_is_stem, 0, 0, NULL, "melody_stem", PARAMETERS, "melody_stem", MG_KEY_WITH_MELODY | MG_KEY_NOT_IN_TAG, "melody-stem",  \
      .help = "the tune is a stem, separated already (recorded; it is heard as it is either way)")                                        \
    X(INT, style_n_codebooks, 1, 16, NULL, "style_codebooks", PARAMETERS, "style_codebooks",                                              \
      MG_KEY_WITH_MELODY | MG_KEY_WHEN_SAID, "style-codebooks",                                                                           \
      .arg = "N", .help = "MusicGen-Style: how closely to follow the style: 1, loosely, to 6 (default: the model's own, 3)")              \
    X(NUMBER, style_dur_s, 0.5, 10, NULL, "style_duration", PARAMETERS, "style_duration_s",                                               \
      MG_KEY_WITH_MELODY | MG_KEY_WHEN_SAID, "style-duration",                                                                            \
      .arg = "SECONDS", .help = "MusicGen-Style: length of the excerpt that is heard (default: the model's own, 3)")                      \
    X(NUMBER, style_start_s, 0, 1e6, NULL, "style_start", PARAMETERS, "style_start_s",                                                    \
      MG_KEY_WITH_MELODY | MG_KEY_WHEN_SAID, "style-start",                                                                               \
      .arg = "SECONDS", .help = "MusicGen-Style: where the excerpt begins (default: it is the middle)")                                   \
    P(INT, n_prompt_frames, 0, 1e8, NULL, NULL, PARAMETERS, "prompt_frames",                                                              \
      MG_KEY_OWN | MG_KEY_WITH_PROMPT | MG_KEY_OF_RESULT, NULL)                                                                           \
    X(NUMBER, prompt_dur_s, 1e-3, 1e6, NULL, "prompt_duration", PARAMETERS, "prompt_duration_s", MG_KEY_WITH_PROMPT, "prompt-duration",   \
      .arg = "SECONDS", .help = "continue that much of its beginning (default: all of it)")                                               \
    X(BOOL, drop_prompt, 0, 0, NULL, NULL, PARAMETERS, "drop_prompt", MG_KEY_WITH_PROMPT, "drop-prompt",                                  \
      .help = "leave the audio prompt out of the files")

#define MG_RECIPE_KEYS_SEED(X, L, P)                                                                                                      \
    X(INT, seed, 0, 9007199254740991.0, NULL, "seed", SEED, "seed", MG_KEY_OWN, "seed",                                                   \
      .letter = 's', .arg = "N", .help = "clip i is made with seed N + i (default: one is drawn, printed and recorded)")

#define MG_RECIPE_KEYS_SAMPLING(X, L, P)                                                                                                  \
    P(INT, n_window_frames, 0, 1e8, NULL, NULL, PARAMETERS, "window_frames", MG_KEY_OWN | MG_KEY_WITH_WINDOWS, NULL)                      \
    P(INT, n_stride_frames, 0, 1e8, NULL, NULL, PARAMETERS, "stride_frames", MG_KEY_OWN | MG_KEY_WITH_WINDOWS, NULL)                      \
    X(NUMBER, window_s, 1e-3, 1e6, NULL, "window", PARAMETERS, "window_s", MG_KEY_NOT_IN_TAG, "window",                                   \
      .arg = "SECONDS", .help = "a longer clip is made in windows of this length (default: the model's own, mostly 30)")                  \
    X(NUMBER, stride_s, 1e-3, 1e6, NULL, "extend_stride", PARAMETERS, "extend_stride_s", MG_KEY_NOT_IN_TAG, "extend-stride",              \
      .arg = "SECONDS",                                                                                                                   \
      .help = "from one window's beginning to the next one's (default: 0.6 of the window, 0.2 with AudioGen)")                            \
    X(NUMBER, cfg_coef, 0, 1000, NULL, "cfg_coef", PARAMETERS, "cfg_coef", 0, "cfg-coef",                                                 \
      .alias = "guidance-scale", .arg = "F",                                                                                              \
      .help = "how strongly to follow the text; 1 is off (default: the model's own, else 3)")                                             \
    X(NUMBER, cfg_coef_beta, 0, 1000, NULL, "cfg_coef_beta", PARAMETERS, "cfg_coef_beta", 0, "cfg-coef-beta",                             \
      .arg = "F", .help = "with a melody: how strongly to follow the text beside it (double guidance)")                                   \
    X(CHOICE, sampling.rules, 0, 0, MG_SAMPLER_CHOICES, NULL, PARAMETERS, "sampler", 0, "sampler",                                        \
      .preset = "audiocraft", .help = "whose rules: AudioCraft's, or those of transformers (top-k and top-p both apply)")                 \
    X(BOOL, sampling.greedy, 0, 0, NULL, "greedy", PARAMETERS, "greedy", 0, "greedy",                                                     \
      .help = "always the likeliest code; no randomness")                                                                                 \
    X(INT, sampling.top_k, 0, 1e9, NULL, "top_k", PARAMETERS, "top_k", 0, "top-k",                                                        \
      .arg = "N",                                                                                                                         \
      .help = "draw from the N likeliest codes; 0 is from all (default: the model's own, else 250, or 50 with hf)")                       \
    X(NUMBER, sampling.top_p, 0, 1, NULL, "top_p", PARAMETERS, "top_p", 0, "top-p",                                                       \
      .arg = "F",                                                                                                                         \
      .help = "draw from the likeliest codes that make up F; 0 is off; audiocraft: instead of --top-k (default: off)")                    \
    X(NUMBER, sampling.temperature, 0, 1000, NULL, "temperature", PARAMETERS, "temperature", 0, "temperature",                            \
      .alias = "temp", .arg = "F", .help = "above 1 more surprising, below 1 less; 0 is --greedy (default: the model's own, else 1)")     \
    X(NUMBER, sampling.min_p, 0, 1, NULL, "min_p", PARAMETERS, "min_p", MG_KEY_WHEN_ON, "min-p",                                          \
      .arg = "F", .help = "of what is left, draw from codes at least F times as likely as the likeliest; 0 is off (default: off)")

#define MG_RECIPE_KEYS_OUTPUT(X, L, P)                                                                                                    \
    X(CHOICE, format, 0, 0, MG_AUDIO_FORMAT_CHOICES, NULL, PARAMETERS, "format", 0, "format",                                             \
      .preset = "wav", .same = "WAV=wav|FLAC=flac|MP3=mp3|OGG=ogg|.wav=wav|.flac=flac|.mp3=mp3|.ogg=ogg|.opus=opus|vorbis=ogg",         \
      .help = "of the sound files; wav is 16 bits, wav-f32 floats")                                                      \
    X(CHOICE, strategy, 0, 0, MG_STRATEGY_CHOICES, NULL, PARAMETERS, "strategy", 0, "strategy",                                           \
      .preset = "peak",                                                                                                                   \
      .help = "the level: by its peak, loudness or rms; clip cuts peaks only; none leaves the codec's output untouched")                  \
    X(NUMBER, peak_headroom_db, 0, 100, NULL, NULL, PARAMETERS, "peak_headroom_db", 0, "peak-headroom",                                   \
      .arg = "DB", .preset = "1", .help = "peak, clip: the highest peak stands this far below full scale")                                \
    X(NUMBER, rms_headroom_db, 0, 100, NULL, NULL, PARAMETERS, "rms_headroom_db", 0, "rms-headroom",                                      \
      .arg = "DB", .preset = "18", .help = "rms: so far below full scale")                                                                \
    X(NUMBER, loudness_headroom_db, 0, 100, NULL, NULL, PARAMETERS, "loudness_headroom_db", 0, "loudness-headroom",                       \
      .arg = "DB", .preset = "14", .help = "loudness: 14 is -14 LUFS")                                                                    \
    X(BOOL, loudness_compressor, 0, 0, NULL, NULL, PARAMETERS, "loudness_compressor", 0, "loudness-compressor",                           \
      .help = "loudness: soften what would be cut (tanh)")                                                                                \
    X(INT, rate_hz, 1000, 384000, NULL, NULL, PARAMETERS, "sample_rate", MG_KEY_NOT_IN_TAG, "sample-rate",                                \
      .arg = "HZ", .help = "resample the sound (default: the codec's rate)")                                                              \
    X(INT, bitrate_kbps, 6, 512, NULL, NULL, PARAMETERS, "bitrate_kbps", MG_KEY_WHEN_SAID, "bitrate",                                     \
      .arg = "KBIT", .help = "mp3, opus: kilobits a second, all channels (default: mp3 320, opus 96 a channel)")                          \
    X(NUMBER, quality, 0, 10, NULL, NULL, PARAMETERS, "quality", MG_KEY_WHEN_SAID, "quality",                                             \
      .arg = "F", .help = "ogg, mp3: a variable rate, 0 to 10, 10 is best (default: ogg 4; mp3 is constant)")
/* clang-format on */

#define MG_RECIPE_KEYS(X, L, P)    \
    MG_RECIPE_KEYS_MAKE(X, L, P)   \
    MG_RECIPE_KEYS_FOLLOW(X, L, P) \
    MG_RECIPE_KEYS_SEED(X, L, P) MG_RECIPE_KEYS_SAMPLING(X, L, P) MG_RECIPE_KEYS_OUTPUT(X, L, P)

#endif
