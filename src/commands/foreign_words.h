/* Options of transformers' and AudioCraft's generate, and of scripts around them, that this program has not:
 * what to give instead. */
#ifndef MG_FOREIGN_WORDS_H
#define MG_FOREIGN_WORDS_H

#include "cli.h"

static const mg_foreign_word mg_foreign_words[] = {
    {"num-beams|num-beam-groups|early-stopping|length-penalty|diversity-penalty|penalty-alpha",
     "no beams are searched here; codes are drawn (--top-k, --top-p, --min-p, --temperature), or the "
     "likeliest "
     "taken (--greedy)"},
    {"repetition-penalty|no-repeat-ngram-size|typical-p|epsilon-cutoff|eta-cutoff|bad-words-ids",
     "not here; the draw is shaped by --top-k, --top-p, --min-p and --temperature"},
    {"max-length", "counts a start column too; give --max-new-tokens, --frames or --duration"},
    {"min-length|min-new-tokens", "a clip is as long as --duration says"},
    {"length|seconds|dur|max-duration|audio-length|audio-length-in-s", "give --duration SECONDS"},
    {"pad-token-id|bos-token-id|eos-token-id|decoder-start-token-id|use-cache|attn-implementation|"
     "low-cpu-mem-usage|trust-remote-code|device-map|progress|use-safetensors",
     "needs not be said here; leave it out"},
    {"text|texts|description|descriptions|caption|input|inputs",
     "give --prompt TEXT, or --prompts FILE for many"},
    {"prompt-path|prompts-file|text-file|descriptions-file",
     "give --prompts FILE, or --prompt-file FILE for one long text"},
    {"lyrics|lyrics-file", "MusicGen sings no words; a text to be followed is --prompt-file FILE"},
    {"melody-wavs|melody-path|melody-file|chroma", "give --melody FILE"},
    {"melody-sample-rate|prompt-sample-rate", "is read from the file; leave it out"},
    {"audio|audio-path|continuation|prompt-audio|init-audio",
     "give --audio-prompt FILE, or --melody FILE for a tune"},
    {"cfg|cfg-scale|guidance|classifier-free-guidance|scale", "give --cfg-coef F"},
    {"output|output-dir|out-dir|output-path|output-folder|save-dir|save-path", "give --out DIR"},
    {"model-id|model-name|model-path|model-name-or-path|pretrained|checkpoint|ckpt",
     "give --model DIR or ID"},
    {"batch-size|bs|per-device-batch-size", "give --batch N"},
    {"num-samples|n-samples|samples|num-clips|num-outputs", "give -n N: clips for each prompt"},
    {"torch-dtype|precision|fp16|bf16|fp32|half|float16|bfloat16|load-in-8bit|load-in-4bit|quantize|"
     "quantization|int8|int4",
     "give --dtype fp32, bf16, fp16, int8 or int4"},
    {"gpu|gpus|cuda|cpu|use-gpu|no-cuda", "give --device cuda or cpu; which GPUs is CUDA_VISIBLE_DEVICES"},
    {"num-gpus|ngpus|n-gpus|world-size|nproc|np|num-processes|tensor-parallel-size|tp-size",
     "ranks are started by mpirun -np N mg-dist …; --tp N of them share a model"},
    {"normalize|loudness|lufs", "give --strategy peak, loudness or rms"},
    {"sr|sampling-rate|rate", "give --sample-rate HZ"},
    {"random-seed|manual-seed", "give --seed N"},
    {"cache-dir|hf-home", "the cache is where HF_HOME or HF_HUB_CACHE says"},
    {"token|hf-token|revision", "models are fetched by hf download; what is here is given as --model"},
    {0}};

#endif
