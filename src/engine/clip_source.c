#include "clip_source.h"

#include "stop.h"

static mg_status next_of_list(void *arg, mg_ready_clip **clip, bool *over, double wait_s)
{
    mg_list_source *l = arg;

    (void)wait_s; /* it is being prepared: to go on without it would only make more steps */
    *clip = NULL;
    *over = l->n_taken == l->n;
    while (l->n_put < l->n && mg_preparer_room(l->preparer) > 0)
        MG_RETURN(mg_preparer_put(l->preparer, l->clip[l->n_put++]));
    if (*over) return MG_OK;
    while (!*clip) {
        MG_RETURN(mg_stop_check());
        MG_RETURN(mg_preparer_get(l->preparer, clip, 1.0));
    }
    l->n_taken++;
    return MG_OK;
}

mg_clip_source mg_list_source_of(mg_list_source *list)
{
    return (mg_clip_source){.next = next_of_list, .tell = list->tell, .arg = list};
}
