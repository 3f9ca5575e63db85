/* The parser over the option tables: command line, environment, defaults, and the tables' own check. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli_impl.h"

/* Where a value came from, for messages: "option --seed" or "environment MGDIST_SEED". */
typedef struct source {
    char text[96];
} source;

static source from_option(const mg_option *o)
{
    source s;
    snprintf(s.text, sizeof s.text, "%s%s", o->is_operand ? "" : "option --", o->name);
    return s;
}

static int edit_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    int row[MOST + 1];
    const int n_a = (int)strlen(a), n_b = (int)strlen(b);

    if (n_a > MOST || n_b > MOST) return MOST;
    for (int j = 0; j <= n_b; j++) row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int corner = row[0];
        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            const int above = row[j];
            int best = corner + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
            corner = above;
        }
    }
    return row[n_b];
}

/* Keep `name` in *nearest if it is closer to `typed` than what is there, and close enough to be meant. */
static void offer(const char **nearest, int *distance, const char *typed, const char *name)
{
    const int d = name ? edit_distance(typed, name) : 99;
    const int limit = (int)strlen(typed) / 3 + 1;

    if (d < *distance && d <= limit) *distance = d, *nearest = name;
}

static mg_status unknown_option(const mg_command *command, const char *typed)
{
    const char *nearest = NULL;
    int distance = 99;

    for (int i = 0; i < command->n_options; i++) {
        if (command->options[i].is_operand) continue;
        offer(&nearest, &distance, typed, command->options[i].name);
        offer(&nearest, &distance, typed, command->options[i].alias);
    }
    for (int i = 0; i < mg_cli_n_common; i++) offer(&nearest, &distance, typed, mg_cli_common[i].name);
    if (nearest) return mg_fail(MG_EUSAGE, "option --%s: unknown; did you mean --%s?", typed, nearest);
    return mg_fail(MG_EUSAGE, "option --%s: unknown; see mg-dist %s --help", typed, command->name);
}

static mg_status unknown_command(const mg_command *commands, int n_commands, const char *typed)
{
    const char *nearest = NULL;
    int distance = 99;

    for (int i = 0; i < n_commands; i++) offer(&nearest, &distance, typed, commands[i].name);
    if (nearest) return mg_fail(MG_EUSAGE, "command %s: unknown; did you mean %s?", typed, nearest);
    return mg_fail(MG_EUSAGE, "command %s: unknown; see mg-dist --help", typed);
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
        if (isinf(o->high))
            return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a number, at least %g", from, text, o->low);
        return mg_fail(MG_EUSAGE, "%s: \"%s\": must be a number from %g to %g", from, text, o->low, o->high);
    }
    *out = v;
    return MG_OK;
}

static mg_status parse_choice(int *out, const mg_option *o, const char *from, const char *text)
{
    const char *word = o->choices;
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
    return mg_fail(MG_EUSAGE, "%s: \"%s\": must be one of %s", from, text, o->choices);
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

/* A list's array is sized once for every word of the command line: it never moves. */
static mg_status append(mg_cli *cli, mg_strings *list, const char *text, int n_most)
{
    if (!list->item) {
        const char **array = calloc((size_t)n_most + 1, sizeof *array);
        if (!array) return mg_fail(MG_ENOMEM, "command line: %d words", n_most);
        list->item = array;
        cli->lists[cli->n_lists++] = *list;
    }
    list->item[list->n++] = text;
    return MG_OK;
}

static mg_status set_value(mg_cli *cli, void *settings, const mg_option *o, const char *from,
                           const char *text, int n_most)
{
    void *at = (char *)settings + o->offset;

    switch (o->type) {
    case MG_OPT_FLAG: return parse_flag(at, from, text);
    case MG_OPT_INT: return parse_int(at, o, from, text);
    case MG_OPT_FLOAT: return parse_float(at, o, from, text);
    case MG_OPT_CHOICE: return parse_choice(at, o, from, text);
    case MG_OPT_STRING: *(const char **)at = text; return MG_OK;
    case MG_OPT_STRINGS: return append(cli, at, text, n_most);
    }
    return MG_EBUG;
}

static void set_absent(void *settings, const mg_option *o)
{
    void *at = (char *)settings + o->offset;

    if (o->type == MG_OPT_INT) *(int64_t *)at = -1;
    if (o->type == MG_OPT_FLOAT) *(double *)at = NAN;
    if (o->type == MG_OPT_CHOICE) *(int *)at = -1;
}

/* One table at work: its settings, and which of its options the command line gave. */
typedef struct table {
    const mg_option *options;
    int n;
    void *settings;
    bool *given; /* [n] */
} table;

static bool name_is(const char *name, const char *text, size_t n)
{
    return name && strlen(name) == n && memcmp(name, text, n) == 0;
}

static const mg_option *find(const table *t, const char *text, size_t n, bool is_letter)
{
    for (int i = 0; i < t->n; i++) {
        const mg_option *o = &t->options[i];
        if (o->is_operand) continue;
        if (is_letter ? n == 1 && o->letter == text[0]
                      : name_is(o->name, text, n) || name_is(o->alias, text, n))
            return o;
    }
    return NULL;
}

/* The option at argv[*i], and its value, which may be the next word. */
static mg_status parse_option(mg_cli *cli, table tables[2], int argc, char **argv, int *i)
{
    const char *word = argv[*i], *name = word + (word[1] == '-' ? 2 : 1);
    const bool is_letter = word[1] != '-';
    const size_t n = strcspn(name, "=");
    const char *value = name[n] == '=' ? name + n + 1 : NULL;

    for (int k = 0; k < 2; k++) {
        const mg_option *o = find(&tables[k], name, n, is_letter);
        if (!o) continue;
        const source from = from_option(o);
        if (o->type == MG_OPT_FLAG) {
            if (value) return mg_fail(MG_EUSAGE, "%s: takes no value", from.text);
            value = "1";
        } else if (!value) {
            if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
                return mg_fail(MG_EUSAGE,
                               "%s: the value %s is missing (one that begins with -- is written "
                               "--%s=…)",
                               from.text, o->arg ? o->arg : o->choices, o->name);
            value = argv[++*i];
        }
        tables[k].given[o - tables[k].options] = true;
        return set_value(cli, tables[k].settings, o, from.text, value, argc);
    }
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)n, name);
    return unknown_option(cli->command, typed);
}

static mg_status parse_operand(mg_cli *cli, table *t, const char *word, int n_most)
{
    for (int i = 0; i < t->n; i++) {
        const bool takes_more = t->options[i].type == MG_OPT_STRINGS;
        if (!t->options[i].is_operand || (t->given[i] && !takes_more)) continue;
        t->given[i] = true;
        return set_value(cli, t->settings, &t->options[i], from_option(&t->options[i]).text, word, n_most);
    }
    return mg_fail(MG_EUSAGE, "\"%s\": a word too many; a text of several words stands in quotes", word);
}

/* The environment and the defaults, for what the command line did not give. */
static mg_status fill_rest(mg_cli *cli, table *t)
{
    for (int i = 0; i < t->n; i++) {
        const mg_option *o = &t->options[i];
        char name[64], from[96];

        if (t->given[i]) continue;
        if (o->is_operand && !o->is_optional)
            return mg_fail(MG_EUSAGE, "%s: missing%s%s", o->name, o->choices ? "; one of " : "",
                           o->choices ? o->choices : "");
        mg_cli_environment_name(name, sizeof name, o);
        const char *value = o->is_action || o->is_operand ? NULL : getenv(name);
        if (value && *value) {
            snprintf(from, sizeof from, "environment %s", name);
            MG_RETURN(set_value(cli, t->settings, o, from, value, 1));
        } else if (o->preset) {
            MG_RETURN(set_value(cli, t->settings, o, "preset", o->preset, 1));
        }
    }
    return MG_OK;
}

static mg_status parse_command(mg_cli *cli, mg_cli_common_settings *common, int argc, char **argv)
{
    mg_status st = MG_OK;
    const mg_command *command = cli->command;
    table tables[2] = {
        {command->options, command->n_options, cli->settings, calloc((size_t)command->n_options + 1, 1)},
        {mg_cli_common, mg_cli_n_common, common, calloc((size_t)mg_cli_n_common + 1, 1)},
    };

    if (!tables[0].given || !tables[1].given) MG_TRY(mg_fail(MG_ENOMEM, "command line: no memory"));
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < tables[k].n; i++) set_absent(tables[k].settings, &tables[k].options[i]);
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1])
            MG_TRY(parse_option(cli, tables, argc, argv, &i));
        else
            MG_TRY(parse_operand(cli, &tables[0], argv[i], argc));
        if (common->help || common->version) goto done;
    }
    MG_TRY(fill_rest(cli, &tables[0]));
    MG_TRY(fill_rest(cli, &tables[1]));
    if (common->quiet && common->verbose)
        MG_TRY(mg_fail(MG_EUSAGE, "options -q and -v: quiet and verbose at once"));
    if (command->check) MG_TRY(command->check(cli->settings));
done:
    free(tables[0].given);
    free(tables[1].given);
    return st;
}

mg_status mg_cli_parse(mg_cli *cli, const mg_command *commands, int n_commands, int argc, char **argv)
{
    mg_cli_common_settings common = {0};
    const char *word = argc > 1 ? argv[1] : "";

    *cli = (mg_cli){.action = MG_CLI_RUN};
    if (!*word)
        return mg_fail(MG_EUSAGE, "no command given; try mg-dist generate --help, or mg-dist --help for all");
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) cli->action = MG_CLI_HELP;
    if (strcmp(word, "--version") == 0) cli->action = MG_CLI_VERSION;
    if (strcmp(word, "--help-markdown") == 0) cli->action = MG_CLI_HELP_MARKDOWN;
    if (cli->action != MG_CLI_RUN) return MG_OK;

    for (int i = 0; i < n_commands; i++)
        if (strcmp(commands[i].name, word) == 0) cli->command = &commands[i];
    if (!cli->command) return unknown_command(commands, n_commands, word);
    cli->settings = calloc(1, cli->command->settings_bytes);
    cli->lists = calloc((size_t)cli->command->n_options + 1, sizeof *cli->lists);
    if (!cli->settings || !cli->lists) return mg_fail(MG_ENOMEM, "command line: no memory");
    MG_RETURN(parse_command(cli, &common, argc, argv));
    if (common.help) cli->action = MG_CLI_HELP;
    if (common.version) cli->action = MG_CLI_VERSION;
    cli->quiet = common.quiet;
    cli->verbose = common.verbose;
    cli->comm_timeout_s = common.comm_timeout_s;
    return MG_OK;
}

void mg_cli_close(mg_cli *cli)
{
    for (int i = 0; i < cli->n_lists; i++) free(cli->lists[i].item);
    free(cli->lists);
    free(cli->settings);
    *cli = (mg_cli){.action = MG_CLI_RUN};
}

void mg_cli_preset(const mg_command *command, void *settings)
{
    memset(settings, 0, command->settings_bytes);
    for (int i = 0; i < command->n_options; i++) {
        const mg_option *o = &command->options[i];
        set_absent(settings, o);
        /* mg_cli_check has seen that every preset is valid, and of a type that needs no list. */
        if (o->preset && set_value(NULL, settings, o, o->name, o->preset, 0) != MG_OK) mg_clear_error();
    }
}

static mg_status check_option(const mg_command *command, const mg_option *o)
{
    mg_cli scratch = {.command = command};
    union {
        bool flag;
        int64_t whole;
        double real;
        const char *text;
        int choice;
    } value;
    mg_option there = *o;

    MG_REQUIRE(o->name && *o->name && o->help && *o->help && o->group && *o->group);
    MG_REQUIRE((o->type == MG_OPT_CHOICE) == (o->choices != NULL));
    MG_REQUIRE(o->is_operand || o->arg || o->type == MG_OPT_FLAG || o->type == MG_OPT_CHOICE);
    MG_REQUIRE(o->type != MG_OPT_INT || (o->low >= 0 && o->low < o->high));
    MG_REQUIRE(o->type != MG_OPT_FLOAT || o->low < o->high);
    MG_REQUIRE(!o->preset || o->type != MG_OPT_STRINGS);
    MG_REQUIRE(!o->is_optional || o->is_operand);
    there.offset = 0;
    return o->preset ? set_value(&scratch, &value, &there, o->name, o->preset, 1) : MG_OK;
}

static bool clash(const mg_option *a, const mg_option *b)
{
    return strcmp(a->name, b->name) == 0 || (a->alias && strcmp(a->alias, b->name) == 0) ||
           (b->alias && strcmp(a->name, b->alias) == 0) ||
           (a->alias && b->alias && strcmp(a->alias, b->alias) == 0) || (a->letter && a->letter == b->letter);
}

mg_status mg_cli_check(const mg_command *commands, int n_commands)
{
    for (int c = 0; c < n_commands; c++) {
        const mg_command *command = &commands[c];

        MG_REQUIRE(command->name && command->summary && command->usage && command->run);
        for (int i = 0; i < command->n_options; i++) {
            const mg_option *o = &command->options[i];
            if (check_option(command, o) != MG_OK)
                return mg_fail(MG_EBUG, "table of %s: option %s is not well made", command->name, o->name);
            for (int k = 0; k < i; k++)
                if (o->is_operand && command->options[k].is_operand &&
                    command->options[k].type == MG_OPT_STRINGS)
                    return mg_fail(MG_EBUG, "table of %s: %s stands behind a list", command->name, o->name);
            for (int k = 0; k < i + mg_cli_n_common; k++) {
                const mg_option *other = k < i ? &command->options[k] : &mg_cli_common[k - i];
                if (clash(o, other))
                    return mg_fail(MG_EBUG, "table of %s: %s and %s clash", command->name, o->name,
                                   other->name);
            }
        }
    }
    return MG_OK;
}
