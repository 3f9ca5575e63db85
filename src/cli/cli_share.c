/* One command line for all ranks: rank 0's values go to the others. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_id.h"
#include "cli_impl.h"

/* A word on its way, followed by its text and NUL. */
typedef struct packed {
    int32_t is_common, i_option, origin;
} packed;

static bool travels(const mg_cli_word *word)
{
    return !word->option->is_own;
}

static mg_status pack(mg_cli *cli, int64_t *bytes)
{
    char *to;

    *bytes = 0;
    for (int i = 0; i < cli->n_words; i++)
        if (travels(&cli->words[i])) *bytes += (int64_t)(sizeof(packed) + strlen(cli->words[i].text) + 1);
    to = cli->shared = malloc((size_t)*bytes + 1);
    if (!to) return mg_fail(MG_ENOMEM, "command line: %lld bytes", (long long)*bytes);
    for (int i = 0; i < cli->n_words; i++) {
        const mg_cli_word *word = &cli->words[i];
        const mg_option *table = word->is_common ? mg_cli_common : cli->command->options;
        const packed head = {word->is_common, (int32_t)(word->option - table), (int32_t)word->origin};

        if (!travels(word)) continue;
        memcpy(to, &head, sizeof head);
        strcpy(to + sizeof head, word->text);
        to += sizeof head + strlen(word->text) + 1;
    }
    return MG_OK;
}

/* Rank 0's words, then this rank's own. */
static mg_status unpack(mg_cli *cli, int64_t bytes)
{
    const char *from = cli->shared, *end = cli->shared + bytes;
    int n = 0, n_most = cli->n_words;

    for (const char *p = from; p < end; p += sizeof(packed) + strlen(p + sizeof(packed)) + 1) n_most++;
    mg_cli_word *words = calloc((size_t)n_most + 1, sizeof *words);
    if (!words) return mg_fail(MG_ENOMEM, "command line: %d words", n_most);
    for (packed head; from < end; from += sizeof head + strlen(from + sizeof head) + 1) {
        memcpy(&head, from, sizeof head);
        words[n++] = (mg_cli_word){
            .option = (head.is_common ? mg_cli_common : cli->command->options) + head.i_option,
            .is_common = head.is_common,
            .origin = (mg_cli_origin)head.origin,
            .text = from + sizeof head,
        };
    }
    for (int i = 0; i < cli->n_words; i++)
        if (!travels(&cli->words[i])) words[n++] = cli->words[i];
    free(cli->words);
    cli->words = words;
    cli->n_words = n;
    return MG_OK;
}

static mg_status check_same(const mg_cli *cli, const mg_world *w)
{
    char folder[4096];

    if (!getcwd(folder, sizeof folder)) snprintf(folder, sizeof folder, "(none)");
    const mg_same same[] = {
        {"program build", mg_build_id()}, {"command", cli->command->name}, {"working folder", folder}};

    return mg_world_same(w, MG_EUSAGE, same, sizeof same / sizeof *same,
                         "all ranks must run the same program in the same place");
}

mg_status mg_cli_share(mg_cli *cli, const mg_world *w, mg_status parsed)
{
    mg_status st = MG_OK;
    int64_t bytes = 0;

    if (w->size == 1) return parsed;
    MG_RETURN(mg_comm_agree(w->all, w->rank == 0 || !cli->is_read ? parsed : MG_OK));
    MG_RETURN(check_same(cli, w));
    if (w->rank == 0) st = pack(cli, &bytes);
    MG_RETURN(mg_comm_agree(w->all, st));
    MG_RETURN(mg_comm_bcast(w->all, &bytes, 1, MG_I64, 0));
    if (w->rank > 0 && !(cli->shared = malloc((size_t)bytes + 1)))
        st = mg_fail(MG_ENOMEM, "command line: %lld bytes", (long long)bytes);
    MG_RETURN(mg_comm_agree(w->all, st));
    MG_RETURN(mg_comm_bcast(w->all, cli->shared, bytes, MG_U8, 0));
    if (w->rank > 0) st = unpack(cli, bytes);
    if (w->rank > 0 && st == MG_OK) st = mg_cli_apply(cli);
    return mg_comm_agree(w->all, st);
}

/* The word that an option's value came from: the last one. */
static const mg_cli_word *find_word(const mg_cli *cli, const char *name, size_t n)
{
    for (int i = cli->n_words - 1; i >= 0; i--) {
        const mg_option *o = cli->words[i].option;
        if (!o->is_operand && strlen(o->name) == n && memcmp(o->name, name, n) == 0) return &cli->words[i];
    }
    return NULL;
}

/* The word whose variable is named by "--NAME" at `from`; NULL if the value came from elsewhere. */
static const mg_cli_word *find_variable(const mg_cli *cli, const char *from, size_t *n)
{
    if (strncmp(from, "--", 2) != 0) return NULL;
    *n = 2 + strspn(from + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");
    const mg_cli_word *word = find_word(cli, from + 2, *n - 2);
    return word && word->origin == MG_CLI_ENVIRONMENT ? word : NULL;
}

/* Of "options --A and --B: …": does one of them come from a variable? */
static bool names_variable(const mg_cli *cli, const char *from)
{
    size_t n;

    for (; *from && *from != ':'; from++)
        if (find_variable(cli, from, &n)) return true;
    return false;
}

void mg_cli_name_origins(const mg_cli *cli, char *out, size_t out_bytes, const char *message)
{
    static const char one[] = "option ", many[] = "options ";
    const size_t n_one = sizeof one - 1, n_many = sizeof many - 1;
    bool in_list = false; /* "option " is put before each name that stays one */
    size_t at = 0, n = 0;

    *out = '\0';
    while (*message && at + 1 < out_bytes) {
        if (strncmp(message, many, n_many) == 0 && names_variable(cli, message))
            in_list = true, message += n_many;
        if (*message == ':') in_list = false;
        const size_t n_lead = !in_list && strncmp(message, one, n_one) == 0 ? n_one : 0;
        const mg_cli_word *word = in_list || n_lead ? find_variable(cli, message + n_lead, &n) : NULL;
        char from[MG_CLI_SOURCE_SIZE];

        if (word) {
            mg_cli_source(from, word);
            at += (size_t)snprintf(out + at, out_bytes - at, "%s", from);
            message += n_lead + n;
            continue;
        }
        if (in_list && strncmp(message, "--", 2) == 0)
            at += (size_t)snprintf(out + at, out_bytes - at, "option --"), message += 2;
        else
            out[at++] = *message++, out[at] = '\0';
    }
}
