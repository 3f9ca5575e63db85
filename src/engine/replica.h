/* One tensor-parallel group's loaded pipeline: T5 -> LM -> EnCodec. Every rank has its part of the LM; the
 * leader (rank 0 of the group) alone has T5 and EnCodec, and only what the clips need of them. With T5 is the
 * style encoder of a model that has one: same backend, same memory.
 *
 * The LM computes on one backend, T5 and EnCodec on the one beside it, or each on its own. If these are not
 * the LM's, T5 and EnCodec may work while the steps run, for one caller at a time: who holds the lock.
 *
 * Three phases, each to be followed by mg_comm_agree over the world, for each can fail on one rank alone:
 * open (config, checkpoint headers, survey: is everything there, how many bytes), then plan.h decides the
 * limits, then load (take memory, read weights, reserve). After load nothing allocates. */
#ifndef MG_REPLICA_H
#define MG_REPLICA_H

#include <pthread.h>

#include "backend.h"
#include "encodec.h"
#include "mapping_report.h"
#include "model_files.h"
#include "pack_cache.h"
#include "style.h"
#include "t5.h"
#include "world.h"

/* Clips that may wait to be finished, for each slot: clips of one length end all at once. */
enum { MG_FINISHING_CLIPS = 2 };

typedef struct mg_replica_source {
    mg_model_request model;
    bool with_text;      /* false: no text is to be encoded, T5 may be missing and stays on disk */
    bool with_tokenizer; /* it must be there; opening it is for the caller */
    bool with_decoder;   /* false: codes are all that is wanted */
    bool with_encoder;   /* for audio prompts that are sound; without either the codec may be missing */
    bool with_melody;    /* clips follow a melody or a style: a style model's encoder is needed */
    bool may_style;      /* such an encoder is loaded if it is there */
    bool apply_proposed; /* accept the mapping's proposals that are sure */
} mg_replica_source;

typedef struct mg_replica_limits {
    int64_t n_slots;       /* clips at once */
    const char *why_slots; /* so many, in words; NULL: all there are, or as asked */
    int64_t n_rows;        /* sequences at once: two for a guided clip, three for one guided twice */
    int64_t n_texts;       /* texts at once: two for a clip with a negative one */
    int64_t n_tokens;      /* of a forward pass */
    int64_t T_max;         /* codec frames of a clip */
    int64_t P_max; /* positions of a sequence: what stands before the columns, and a window's columns */
    int64_t S_max; /* tokens of a text; 0 without text */
    bool with_melody;
    int64_t n_excerpt;      /* samples of a style's excerpt, at MERT's rate; 0 without */
    int64_t n_resampled;    /* frames of a clip at the rate of its file; 0: none has another */
    size_t n_payload_bytes; /* of what a clip's ranks share besides its terms (ready_clip.h) */
    int64_t n_outside;      /* last layers of the language model that come from outside its memory (lm.h) */
} mg_replica_limits;

/* Bytes of one rank. */
typedef struct mg_replica_bytes {
    size_t lm_weights, t5_weights, codec_weights;
    size_t lm_run, t5_run, codec_run;
    mg_lm_layer_size lm_layer; /* of lm_weights */
    size_t outside;            /* copies of layers in the memory of the host, for a device */
    size_t host;               /* a step's tokens, and what clips hold on their way */
    size_t leader;             /* of host: the leader's alone */
} mg_replica_bytes;

/* What a load took for each stage, in seconds. A pack's writing is not among them. */
typedef struct mg_replica_times {
    double memory, t5, lm, codec;
} mg_replica_times;

/* Memory of one stage: what was measured, then taken. */
typedef struct mg_replica_memory {
    mg_arena weights, run;
    void *weights_block, *run_block;
} mg_replica_memory;

typedef struct mg_replica {
    mg_backend backend; /* the language model's; what it points to is borrowed, as all of these are */
    mg_backend beside;  /* of text, codec and melodies; on the leader */
    pthread_mutex_t beside_lock;
    mg_comm *group; /* in host memory */
    bool is_leader;
    mg_replica_source source;
    mg_model_files *files;
    mg_config config;           /* of the files */
    mg_mapping_renames renames; /* proposals that were applied; the same on every rank */
    mg_t5 *t5;                  /* leader, with text */
    mg_style *style;            /* leader, of a style model, with melody */
    mg_lm *lm;
    mg_encodec *codec; /* leader */
    int64_t n_sounds;  /* clips that it decodes at once; 1 without it */
    mg_replica_bytes bytes;
    int64_t read_bytes;       /* of the checkpoints, by a load */
    mg_pack_cache pack;       /* of the language model; off until load */
    mg_replica_times times;   /* of the load */
    mg_replica_limits limits; /* after load */
    mg_replica_memory lm_memory, text_memory, codec_memory;
} mg_replica;

/* Open and survey. `group` is in host memory; on a CPU it is lm->group too. `beside` may be `lm`. Both are
 * copied. MG_ECHECKPOINT lists every missing tensor, every wrong shape and every unexpected tensor. */
mg_status mg_replica_open(mg_replica **out, const mg_replica_source *source, const mg_backend *lm,
                          const mg_backend *beside, mg_comm *group);
void mg_replica_close(mg_replica *r);

/* Of an architecture without files: for mg_replica_measure alone. `group` may be one whose other ranks are
 * not there: opening and measuring call none of its functions, which holds for mg_replica_open too. */
mg_status mg_replica_open_shape(mg_replica **out, const mg_replica_source *source, const mg_config *config,
                                const mg_backend *lm, const mg_backend *beside, mg_comm *group);

/* Whether T5 and EnCodec may work while the LM's steps run. */
bool mg_replica_has_beside(const mg_replica *r);

/* Around every use of T5, EnCodec and their backend after load. */
void mg_replica_lock_beside(mg_replica *r);
void mg_replica_unlock_beside(mg_replica *r);

/* Codec frames a second. 50 without a codec, as every known codec has. */
double mg_replica_frame_rate(const mg_replica *r);

/* Bytes that this rank needs under `limits`; the same code as load, over measuring arenas. */
mg_status mg_replica_measure(mg_replica *r, const mg_replica_limits *limits);

/* Take the memory, read the weights (a progress bar on rank 0) and reserve; a group on devices measures how
 * it sums fastest. Collective over the group. */
mg_status mg_replica_load(mg_replica *r, const mg_replica_limits *limits);

/* After a load, where packs are kept: make those that are not there. It takes any time, and the ranks wait
 * for each other without a deadline. What goes wrong is said once and is no failure; only a stop and a lost
 * rank are. Collective over the world. */
mg_status mg_replica_keep_pack(mg_replica *r, const mg_world *w);

/* The backend of T5, or of the codec, where it is another than the LM's; NULL otherwise, or without it. */
const char *mg_replica_text_backend(const mg_replica *r);
const char *mg_replica_codec_backend(const mg_replica *r);

/* Of each stage's memory: weights and run. */
size_t mg_replica_bytes_lm(const mg_replica_bytes *b);
size_t mg_replica_bytes_text(const mg_replica_bytes *b);
size_t mg_replica_bytes_codec(const mg_replica_bytes *b);

size_t mg_replica_bytes_weights(const mg_replica_bytes *b);
size_t mg_replica_bytes_all(const mg_replica_bytes *b);

#endif
