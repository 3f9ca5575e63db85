/* A list of recipes as two blocks, for the broadcast. A string becomes its place in the text; 0 is none, and
 * at place 1 stands "". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "request_list.h"

static const char **string_at(mg_recipe *r, int i_key)
{
    const mg_recipe_key *key = &mg_recipe_keys[i_key];

    return mg_recipe_is_string(key) ? mg_recipe_at(r, key) : NULL;
}

mg_status mg_request_pack_open(mg_request_pack *pack, int64_t n, int64_t text_bytes)
{
    *pack = (mg_request_pack){.n = n, .text_bytes = text_bytes};
    pack->recipe = malloc((size_t)n * sizeof *pack->recipe + 1);
    pack->text = malloc((size_t)text_bytes);
    if (pack->recipe && pack->text) return MG_OK;
    mg_request_pack_close(pack);
    return mg_fail(MG_ENOMEM, "requests: no memory for %lld", (long long)n);
}

void mg_request_pack_close(mg_request_pack *pack)
{
    free(pack->recipe);
    free(pack->text);
    *pack = (mg_request_pack){0};
}

mg_status mg_request_list_pack(mg_request_pack *pack, const mg_request_list *list)
{
    int64_t place = 2;

    for (int64_t i = 0; i < list->n; i++)
        for (int k = 0; k < mg_recipe_n_keys; k++) {
            const char **text = string_at(&list->recipe[i], k);
            if (text && *text && **text) place += (int64_t)strlen(*text) + 1;
        }
    MG_RETURN(mg_request_pack_open(pack, list->n, place));
    if (list->n > 0) memcpy(pack->recipe, list->recipe, (size_t)list->n * sizeof *pack->recipe);
    memset(pack->text, 0, 2);
    place = 2;
    for (int64_t i = 0; i < list->n; i++)
        for (int k = 0; k < mg_recipe_n_keys; k++) {
            const char **text = string_at(&pack->recipe[i], k);
            if (!text || !*text) continue;
            const size_t n = strlen(*text) + 1;
            if (n > 1) memcpy(pack->text + place, *text, n);
            *text = (const char *)(uintptr_t)(n > 1 ? place : 1);
            if (n > 1) place += (int64_t)n;
        }
    return MG_OK;
}

mg_status mg_request_list_unpack(mg_request_list *list, mg_request_pack *pack, bool with_texts)
{
    char **kept = with_texts ? malloc(sizeof *kept) : NULL;

    *list = (mg_request_list){0};
    if (with_texts && !kept) return mg_fail(MG_ENOMEM, "requests: no memory");
    for (int64_t i = 0; i < pack->n; i++)
        for (int k = 0; k < mg_recipe_n_keys; k++) {
            const char **text = string_at(&pack->recipe[i], k);
            if (!text || !*text) continue;
            const uintptr_t place = (uintptr_t)*text;
            *text = with_texts ? pack->text + place : place == 1 ? "" : "-";
        }
    *list = (mg_request_list){.recipe = pack->recipe, .n = pack->n, .capacity = (size_t)pack->n};
    pack->recipe = NULL;
    if (!with_texts) return MG_OK;
    kept[0] = pack->text;
    pack->text = NULL;
    list->kept = kept, list->n_kept = list->kept_capacity = 1;
    return MG_OK;
}
