/* What somebody asks for, clip by clip: the command line's words, a file of prompts, or a file of JSON lines,
 * all become a list of recipes. What a recipe does not say is for the call's options to say. */
#ifndef MG_REQUEST_LIST_H
#define MG_REQUEST_LIST_H

#include "job_reader.h"
#include "recipe.h"

/* Zeroed it is empty. */
typedef struct mg_request_list {
    mg_recipe *recipe; /* [n] */
    int64_t n;
    size_t capacity;
    char **kept; /* [n_kept] every string of the recipes */
    size_t n_kept, kept_capacity;
} mg_request_list;

/* Appends with a copy of every string. */
mg_status mg_request_list_append(mg_request_list *list, const mg_recipe *r);

/* *out: a copy that lives as long as the list. */
mg_status mg_request_list_keep(mg_request_list *list, const char **out, const char *text);

/* Add a file's requests, whatever form it has (job_reader.h). The keys are those of recipe_keys.h. An unknown
 * key, a wrong type, a value out of range, a key twice, a broken line: MG_EUSAGE "FILE: line N: key: …".
 * Paths are taken relative to the file's folder. */
mg_status mg_request_list_load(mg_request_list *list, const char *path, const mg_job_format *how);
mg_status mg_request_list_parse(mg_request_list *list, const char *name, const char *text, int64_t text_bytes,
                                const mg_job_format *how);

/* Add one record, a JSON object. `where` begins its messages, `folder`, "" or with a '/' at its end, its
 * paths. */
mg_status mg_request_list_add(mg_request_list *list, const char *where, const char *folder, const char *text,
                              int64_t text_bytes);

/* The recipes for another rank: one block of plain data, in which strings are places in the other. Pack and
 * open: both are malloc'ed. Unpack: takes what it needs of both; without texts a rank has "-" for each that
 * is not empty. */
typedef struct mg_request_pack {
    mg_recipe *recipe; /* [n] */
    char *text;        /* [text_bytes] */
    int64_t n, text_bytes;
} mg_request_pack;
mg_status mg_request_pack_open(mg_request_pack *pack, int64_t n, int64_t text_bytes);
void mg_request_pack_close(mg_request_pack *pack);
mg_status mg_request_list_pack(mg_request_pack *pack, const mg_request_list *list);
mg_status mg_request_list_unpack(mg_request_list *list, mg_request_pack *pack, bool with_texts);

void mg_request_list_close(mg_request_list *list);

#endif
