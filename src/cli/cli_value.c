/* From the text of a value to the field of a settings struct, and where the text came from. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "choice_words.h"
#include "cli_impl.h"

bool mg_cli_name_at(char out[64], const mg_option *o, int i)
{
    char word[MG_CHOICE_WORD_SIZE] = "";

    if (i > 0 && o->alias) mg_choice_word(word, o->alias, i - 1);
    snprintf(out, 64, "%s", i == 0 ? o->name : word);
    return *out != '\0';
}

void mg_cli_environment_name(char *out, size_t out_bytes, const mg_option *option)
{
    size_t n = (size_t)snprintf(out, out_bytes, "MGDIST_");

    for (const char *p = option->name; *p && n + 1 < out_bytes; p++)
        out[n++] = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    out[n] = '\0';
}

void mg_cli_source(char out[MG_CLI_SOURCE_SIZE], const mg_cli_word *word)
{
    const mg_option *o = word->option;
    char name[64];

    mg_cli_environment_name(name, sizeof name, o);
    if (word->origin == MG_CLI_ENVIRONMENT)
        snprintf(out, MG_CLI_SOURCE_SIZE, "environment %s", o->also && !getenv(name) ? o->also : name);
    else
        snprintf(out, MG_CLI_SOURCE_SIZE, "%s%s", o->is_operand ? "" : "option --", o->name);
}

static mg_status parse_int(int64_t *out, const mg_option *o, const char *from, const char *text)
{
    char *end;

    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || (double)v < o->low || (double)v > o->high) {
        if (isinf(o->high))
            return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a whole number, at least %.0f", from, text,
                           o->low);
        return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a whole number from %.0f to %.0f", from, text, o->low,
                       o->high);
    }
    *out = v;
    return MG_OK;
}

static mg_status parse_float(double *out, const mg_option *o, const char *from, const char *text)
{
    char *end;
    const double v = strtod(text, &end);

    if (end == text || *end || !isfinite(v) || v < o->low || v > o->high) {
        const char *unit = o->arg && strcmp(o->arg, "SECONDS") == 0 ? " of seconds" : "";
        if (isinf(o->high))
            return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a number%s, at least %g", from, text, unit,
                           o->low);
        return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a number%s from %g to %g", from, text, unit, o->low,
                       o->high);
    }
    *out = v;
    return MG_OK;
}

static mg_status bad_bare_size(const mg_option *o, const char *from, const char *text)
{
    return mg_fail(MG_EUSAGE, "%s: \"%s\": a number alone counts in MB, up to %.0f; write its unit, like %sB",
                   from, text, o->high, text);
}

/* K, M, G and T count in thousands, as what we print; with an i behind them in 1024s. A B may end it, and a
 * space stand before the unit; case does not matter. */
static mg_status parse_size(int64_t *out, const mg_option *o, const char *from, const char *text)
{
    static const char letters[] = "KMGT";
    char *end;
    double v = strtod(text, &end);
    const bool has_number = end > text;

    if (has_number) end += strspn(end, " ");
    if (has_number && !*end && o->in_mb) {
        if (v > o->high) return bad_bare_size(o, from, text);
        v *= 1e6;
    }
    const char *letter = has_number && *end ? strchr(letters, toupper((unsigned char)*end)) : NULL;
    if (letter) {
        const bool is_binary = tolower((unsigned char)end[1]) == 'i';
        for (const char *l = letters; l <= letter; l++) v *= is_binary ? 1024 : 1000;
        end += is_binary ? 2 : 1;
    }
    if (has_number && toupper((unsigned char)*end) == 'B') end++;
    if (!has_number || *end || !(v >= 0 && v < 0x1p62))
        return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a number of bytes, like 500M, 1.5GB or 8Gi", from,
                       text);
    if (v < o->low) return mg_fail(MG_EUSAGE, "%s: \"%s\": must be at least %.0f bytes", from, text, o->low);
    *out = (int64_t)v;
    return MG_OK;
}

/* The word of ours in the place of another's. */
static const char *our_word(char room[MG_CHOICE_WORD_SIZE], const mg_option *o, const char *text)
{
    for (int i = 0; o->same; i++) {
        mg_choice_word(room, o->same, i);
        char *equals = strchr(room, '=');
        if (!equals) break;
        *equals = '\0';
        if (strcmp(room, text) == 0) return equals + 1;
    }
    return text;
}

static mg_status parse_choice(int *out, const mg_option *o, const char *from, const char *typed)
{
    char room[MG_CHOICE_WORD_SIZE];
    const char *word = o->choices, *text = our_word(room, o, typed);
    const size_t n = strlen(text);

    for (int i = 0;; i++) {
        const size_t n_word = strcspn(word, "|");
        if (n == n_word && memcmp(word, text, n) == 0) {
            *out = i;
            return MG_OK;
        }
        if (!word[n_word]) break;
        word += n_word + 1;
    }
    return mg_fail(MG_EUSAGE, "%s: \"%s\": must be one of %s", from, typed, o->choices);
}

static mg_status parse_flag(bool *out, const char *from, const char *text)
{
    static const char *const yes[] = {"1", "true", "yes", "on"}, *const no[] = {"0", "false", "no", "off"};

    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0) continue;
        *out = strcmp(text, yes[i]) == 0;
        return MG_OK;
    }
    return mg_fail(MG_EUSAGE, "%s: \"%s\": must be 1 or 0", from, text);
}

/* A list's array is sized once for all words: it never moves. */
static mg_status append(mg_cli *cli, mg_strings *list, const char *text)
{
    if (!list->item) {
        const char **array = calloc((size_t)cli->n_words + 1, sizeof *array);
        if (!array) return mg_fail(MG_ENOMEM, "command line: %d words", cli->n_words);
        list->item = array;
        cli->lists[cli->n_lists++] = *list;
    }
    list->item[list->n++] = text;
    return MG_OK;
}

/* "%s/train" of an empty path is "/train". It comes of a shell's variable that is not set. */
static mg_status check_place(const mg_option *o, const char *from, const char *text)
{
    const bool is_file = o->arg && (strstr(o->arg, "DIR") || strstr(o->arg, "FILE"));

    if (*text || !(o->is_operand || (is_file && o->type == MG_OPT_STRING))) return MG_OK;
    return mg_fail(MG_EUSAGE, "%s: its value is empty; give %s%s", from, o->arg ? o->arg : "one",
                   o->is_operand ? "" : ", or leave it out");
}

mg_status mg_cli_set_value(mg_cli *cli, void *settings, const mg_option *o, const char *from,
                           const char *text)
{
    void *at = (char *)settings + o->offset;

    MG_RETURN(check_place(o, from, text));
    switch (o->type) {
    case MG_OPT_FLAG: return parse_flag(at, from, text);
    case MG_OPT_INT: return parse_int(at, o, from, text);
    case MG_OPT_FLOAT: return parse_float(at, o, from, text);
    case MG_OPT_SIZE: return parse_size(at, o, from, text);
    case MG_OPT_CHOICE: return parse_choice(at, o, from, text);
    case MG_OPT_STRING: *(const char **)at = text; return MG_OK;
    case MG_OPT_STRINGS: return append(cli, at, text);
    }
    return MG_EBUG;
}

void mg_cli_set_absent(void *settings, const mg_option *o)
{
    void *at = (char *)settings + o->offset;

    switch (o->type) {
    case MG_OPT_FLAG: *(bool *)at = false; break;
    case MG_OPT_INT:
    case MG_OPT_SIZE: *(int64_t *)at = -1; break;
    case MG_OPT_FLOAT: *(double *)at = NAN; break;
    case MG_OPT_STRING: *(const char **)at = NULL; break;
    case MG_OPT_STRINGS: *(mg_strings *)at = (mg_strings){0}; break;
    case MG_OPT_CHOICE: *(int *)at = -1; break;
    }
}
