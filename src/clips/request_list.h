/* What somebody asks for, clip by clip: the command line's words, a file of prompts, or a file of JSON lines,
 * all become a list of requests. What a request does not say is for the call's options to say. */
#ifndef MG_REQUEST_LIST_H
#define MG_REQUEST_LIST_H

#include <stdint.h>

#include "status.h"

/* Strings are the list's. The JSON keys are the fields' names without "_s" endings, as --help has them:
 * id, title, prompt, negative_prompt, text_states, audio_prompt, prompt_duration, melody, duration, frames,
 * window, extend_stride, cfg_coef, cfg_coef_beta, greedy, top_k, top_p, temperature, seed, n. */
typedef struct mg_request {
    char *id;                                  /* names the files; NULL: the clip's number does */
    char *title;                               /* NULL: none */
    char *prompt;                              /* NULL: none */
    char *negative_prompt;                     /* NULL: as the call says */
    char *text_states, *audio_prompt, *melody; /* paths; NULL: as the call says; "": none */
    double duration_s, prompt_duration_s, window_s, extend_stride_s; /* NaN: as the call says */
    double cfg_coef, cfg_coef_beta, top_p, temperature;              /* NaN: as the call says */
    int64_t n_frames, top_k, seed, n;                                /* -1: as the call says */
    int greedy;                                                      /* -1: as the call says */
    char *where; /* "list.jsonl: line 3", "option --prompt", for messages */
} mg_request;

typedef struct mg_request_list {
    mg_request *request; /* [n] */
    int64_t n, room;
} mg_request_list;

/* Nothing said. */
void mg_request_init(mg_request *r);

/* Appends a copy of every string. */
mg_status mg_request_list_append(mg_request_list *list, const mg_request *r);

/* Add a file's requests: one JSON object a line if its name ends in .jsonl or its first line begins with '{',
 * else one prompt a line (prompt_list.h); "-" is standard input. An unknown key, a wrong type, a value out of
 * range, a key twice, a broken line: MG_EUSAGE "FILE: line N: key: …". Paths are taken relative to the
 * file's folder. */
mg_status mg_request_list_load(mg_request_list *list, const char *path);
mg_status mg_request_list_parse(mg_request_list *list, const char *name, const char *text,
                                int64_t text_bytes);

/* The list as JSON lines, and back, exactly: how rank 0 tells the others. *text is malloc'ed. */
mg_status mg_request_list_print(char **text, int64_t *text_bytes, const mg_request_list *list);

void mg_request_list_close(mg_request_list *list);

#endif
