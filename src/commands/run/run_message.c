#include "run_message.h"

#include <stdlib.h>
#include <string.h>

mg_status mg_run_message_send(mg_channel *c, int rank, mg_run_message *m)
{
    size_t bytes = sizeof *m;

    for (int i = 0; i < MG_RUN_TEXTS; i++) {
        if (!m->text[i]) m->text[i] = "";
        m->text_bytes[i] = (int64_t)strlen(m->text[i]) + 1;
        bytes += (size_t)m->text_bytes[i];
    }
    char *data = malloc(bytes), *to = data + sizeof *m;
    if (!data) return mg_fail(MG_ENOMEM, "message: %zu bytes", bytes);
    memcpy(data, m, sizeof *m);
    for (int i = 0; i < MG_RUN_TEXTS; i++) {
        memcpy(to, m->text[i], (size_t)m->text_bytes[i]);
        to += m->text_bytes[i];
    }
    const mg_status st = mg_channel_send(c, rank, data, bytes);
    free(data);
    return st;
}

mg_status mg_run_message_receive(mg_channel *c, int *rank, mg_run_message **out)
{
    char *data;
    size_t bytes, at = sizeof **out;

    *out = NULL;
    MG_RETURN(mg_channel_receive(c, rank, &data, &bytes));
    if (!data) return MG_OK;
    mg_run_message *m = (mg_run_message *)data;
    bool whole = bytes >= sizeof *m;
    for (int i = 0; whole && i < MG_RUN_TEXTS; i++) {
        m->text[i] = data + at;
        at += (size_t)m->text_bytes[i];
        whole = m->text_bytes[i] > 0 && at <= bytes && data[at - 1] == '\0';
    }
    if (!whole || at != bytes) {
        free(data);
        return mg_fail(MG_EBUG, "message: of %zu bytes, and not whole; do all ranks run the same program?",
                       bytes);
    }
    *out = m;
    return MG_OK;
}
