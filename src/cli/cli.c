/* The parser over the option tables: command line, environment, defaults. It collects the words first, each
 * with its option, and converts them afterwards, so that another rank's words can take their place. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "choice_words.h"
#include "cli_impl.h"
#include "text.h"

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

static void offer_names(char nearest[64], int *distance, const char *typed, const mg_option *o)
{
    char name[64];

    for (int i = 0; mg_cli_name_at(name, o, i); i++) {
        const char *chosen = NULL;
        offer(&chosen, distance, typed, name);
        if (chosen) memcpy(nearest, name, sizeof name);
    }
}

/* What to give instead of an option that others have; NULL if it is none of them. */
static const char *find_in(const mg_foreign_word *word, const char *typed)
{
    for (; word && word->names; word++) {
        for (const char *name = word->names; name;) {
            size_t n = 0;
            while (typed[n] && (typed[n] == name[n] || (typed[n] == '_' && name[n] == '-'))) n++;
            if (!typed[n] && (name[n] == '|' || !name[n])) return word->instead;
            name = strchr(name, '|');
            if (name) name++;
        }
    }
    return NULL;
}

static mg_status unknown_option(const mg_command *command, const char *typed)
{
    const char *own = find_in(command->foreign[1], typed);
    const char *instead = own ? own : find_in(command->foreign[0], typed);
    char nearest[64] = "";
    int distance = 99;

    if (instead) return mg_fail(MG_EUSAGE, "option --%s: %s", typed, instead);
    for (int i = 0; i < command->n_options; i++) {
        if (!command->options[i].is_operand) offer_names(nearest, &distance, typed, &command->options[i]);
    }
    for (int i = 0; i < mg_cli_n_common; i++) offer_names(nearest, &distance, typed, &mg_cli_common[i]);
    if (*nearest) return mg_fail(MG_EUSAGE, "option --%s: unknown; did you mean --%s?", typed, nearest);
    return mg_fail(MG_EUSAGE, "option --%s: unknown; see mg-dist %s --help", typed, command->name);
}

static mg_status unknown_command(const mg_command *commands, int n_commands, const char *typed)
{
    const char *nearest = NULL;
    int distance = 99;

    if (typed[0] == '-')
        return mg_fail(MG_EUSAGE,
                       "%s: a command comes first, as in mg-dist generate %s …; see mg-dist --help", typed,
                       typed);
    for (int i = 0; i < n_commands; i++)
        if (mg_choice_find(commands[i].meant_by, typed) >= 0)
            return mg_fail(MG_EUSAGE, "command %s: unknown; did you mean %s?", typed, commands[i].name);
    for (int i = 0; i < n_commands; i++) offer(&nearest, &distance, typed, commands[i].name);
    if (nearest) return mg_fail(MG_EUSAGE, "command %s: unknown; did you mean %s?", typed, nearest);
    return mg_fail(MG_EUSAGE, "command %s: unknown; see mg-dist --help", typed);
}

/* One table at work. */
typedef struct table {
    const mg_option *options;
    int n;
    bool is_common;
    bool *given; /* [n] by the command line */
} table;

static void add_word(mg_cli *cli, const table *t, const mg_option *o, mg_cli_origin origin, const char *text)
{
    cli->words[cli->n_words++] = (mg_cli_word){o, t->is_common, origin, text};
}

/* `_` may stand for `-`: options are often known as Python's arguments. */
static bool is_name_of(const mg_option *o, const char *text, size_t n)
{
    char name[64];

    for (int i = 0; mg_cli_name_at(name, o, i); i++) {
        size_t k = 0;
        while (k < n && name[k] && (name[k] == text[k] || (name[k] == '-' && text[k] == '_'))) k++;
        if (k == n && !name[k]) return true;
    }
    return false;
}

static const mg_option *find(const table *t, const char *text, size_t n, bool is_letter)
{
    for (int i = 0; i < t->n; i++) {
        const mg_option *o = &t->options[i];
        if (o->is_operand) continue;
        if (is_letter ? n == 1 && o->letter == text[0] : is_name_of(o, text, n)) return o;
    }
    return NULL;
}

/* "-vv", "-qh": several letters of flags in one word. */
static bool read_flags(mg_cli *cli, table tables[2], const char *letters)
{
    const int n_before = cli->n_words;

    if (strlen(letters) > 8) return false;
    for (; *letters; letters++) {
        int k = 0;
        const mg_option *o = find(&tables[0], letters, 1, true);
        if (!o) k = 1, o = find(&tables[1], letters, 1, true);
        if (!o || o->type != MG_OPT_FLAG) {
            cli->n_words = n_before;
            return false;
        }
        tables[k].given[o - tables[k].options] = true;
        add_word(cli, &tables[k], o, MG_CLI_LINE, "1");
    }
    return true;
}

/* Python's scripts take such a word behind a flag; as the environment has it, or NULL. */
static const char *truth(const char *word)
{
    if (strcmp(word, "true") == 0 || strcmp(word, "True") == 0) return "1";
    return strcmp(word, "false") == 0 || strcmp(word, "False") == 0 ? "0" : NULL;
}

/* The option at argv[*i], and its value, which may be the next word. */
static mg_status read_option(mg_cli *cli, table tables[2], int argc, char **argv, int *i)
{
    const char *word = argv[*i], *name = word + (word[1] == '-' ? 2 : 1);
    const bool is_letter = word[1] != '-';
    const size_t n = strcspn(name, "=");
    const char *value = name[n] == '=' ? name + n + 1 : NULL;

    if (is_letter && n > 1 && !value && read_flags(cli, tables, name)) return MG_OK;
    for (int k = 0; k < 2; k++) {
        const mg_option *o = find(&tables[k], name, n, is_letter);
        if (!o) continue;
        if (o->type == MG_OPT_FLAG) {
            if (value) return mg_fail(MG_EUSAGE, "option --%s: takes no value", o->name);
            value = truth(*i + 1 < argc && !o->is_action ? argv[*i + 1] : "");
            if (value) ++*i;
            if (!value) value = "1";
        } else if (!value) {
            if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)
                return mg_fail(MG_EUSAGE,
                               "option --%s: the value %s is missing (one that begins with -- is written "
                               "--%s=…)",
                               o->name, o->arg ? o->arg : o->choices, o->name);
            value = argv[++*i];
        }
        bool *given = &tables[k].given[o - tables[k].options];
        if (o->is_once && *given)
            return mg_fail(MG_EUSAGE, "option --%s: given twice, and only one is taken", o->name);
        *given = true;
        add_word(cli, &tables[k], o, MG_CLI_LINE, value);
        return MG_OK;
    }
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)n, name);
    return unknown_option(cli->command, typed);
}

static mg_status read_operand(mg_cli *cli, table *t, const char *word)
{
    for (int i = 0; i < t->n; i++) {
        const bool takes_more = t->options[i].type == MG_OPT_STRINGS;
        if (!t->options[i].is_operand || (t->given[i] && !takes_more)) continue;
        t->given[i] = true;
        add_word(cli, t, &t->options[i], MG_CLI_LINE, word);
        return MG_OK;
    }
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->options[i].name, "prompt") == 0)
            return mg_fail(MG_EUSAGE, "\"%s\": a word too many; %s", word,
                           strchr(word, '/') && !strchr(word, ' ')
                               ? "a model is --model DIR or ID"
                               : "a text to make a clip of is --prompt TEXT, each with its own, in quotes");
    return mg_fail(MG_EUSAGE, "\"%s\": a word too many; a text of several words stands in quotes", word);
}

/* Does the command line give an option that takes the place of this one? */
static bool has_rival(const table *t, const mg_option *o)
{
    for (int i = 0; o->rivals && i < t->n; i++)
        if (t->given[i] && mg_choice_find(o->rivals, t->options[i].name) >= 0) return true;
    return false;
}

/* The environment and the defaults, for what the command line did not give. */
static mg_status read_rest(mg_cli *cli, const table *t)
{
    for (int i = 0; i < t->n; i++) {
        const mg_option *o = &t->options[i];
        const char *value = NULL;
        char name[64];

        if (t->given[i]) continue;
        if (o->is_operand && !o->is_optional)
            return o->choices ? mg_fail(MG_EUSAGE, "%s: missing; one of %s", o->name, o->choices)
                              : mg_fail(MG_EUSAGE, "%s: missing; mg-dist %s %s", o->name, cli->command->name,
                                        cli->command->usage);
        mg_cli_environment_name(name, sizeof name, o);
        if (!o->is_action && !o->is_operand && !has_rival(t, o)) {
            value = getenv(name);
            if (!value && o->also) value = getenv(o->also);
        }
        if (value && *value)
            add_word(cli, t, o, MG_CLI_ENVIRONMENT, value);
        else if (o->preset)
            add_word(cli, t, o, MG_CLI_PRESET, o->preset);
    }
    return MG_OK;
}

/* --help and --version need nothing else to be right. */
static bool asks_action(mg_cli *cli)
{
    const mg_cli_word *last = &cli->words[cli->n_words - 1];

    if (!last->option->is_action) return false;
    cli->action = strcmp(last->option->name, "help") == 0 ? MG_CLI_HELP : MG_CLI_VERSION;
    return true;
}

static mg_status read_words(mg_cli *cli, int argc, char **argv)
{
    mg_status st = MG_OK;
    const mg_command *command = cli->command;
    table tables[2] = {
        {command->options, command->n_options, false, calloc((size_t)command->n_options + 1, 1)},
        {mg_cli_common, mg_cli_n_common, true, calloc((size_t)mg_cli_n_common + 1, 1)},
    };

    if (!tables[0].given || !tables[1].given) MG_TRY(mg_fail(MG_ENOMEM, "command line: no memory"));
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1])
            MG_TRY(read_option(cli, tables, argc, argv, &i));
        else
            MG_TRY(read_operand(cli, &tables[0], argv[i]));
        if (asks_action(cli)) goto done;
    }
    MG_TRY(read_rest(cli, &tables[0]));
    MG_TRY(read_rest(cli, &tables[1]));
    cli->is_read = true;
done:
    free(tables[0].given);
    free(tables[1].given);
    return st;
}

mg_status mg_cli_apply(mg_cli *cli)
{
    const mg_command *command = cli->command;

    for (int i = 0; i < cli->n_lists; i++) free(cli->lists[i].item);
    cli->n_lists = 0;
    memset(cli->settings, 0, command->settings_bytes);
    for (int i = 0; i < command->n_options; i++) mg_cli_set_absent(cli->settings, &command->options[i]);
    for (int i = 0; i < mg_cli_n_common; i++) mg_cli_set_absent(cli, &mg_cli_common[i]);
    for (int i = 0; i < cli->n_words; i++) {
        const mg_cli_word *word = &cli->words[i];
        char from[MG_CLI_SOURCE_SIZE];

        mg_cli_source(from, word);
        MG_RETURN(mg_cli_set_value(cli, word->is_common ? (void *)cli : cli->settings, word->option, from,
                                   word->text));
    }
    if (cli->quiet && cli->verbose) return mg_fail(MG_EUSAGE, "options -q and -v: quiet and verbose at once");
    return command->check ? command->check(cli->settings) : MG_OK;
}

/* What the program does without a command. True if that is all; "help COMMAND" leaves a command to find. */
static bool read_action(mg_cli *cli, int argc, char **argv)
{
    static const struct {
        const char *word;
        mg_cli_action action;
    } all[] = {{"--help", MG_CLI_HELP},
               {"-h", MG_CLI_HELP},
               {"help", MG_CLI_HELP},
               {"--version", MG_CLI_VERSION},
               {"version", MG_CLI_VERSION},
               {"--help-man", MG_CLI_HELP_MAN},
               {"--help-markdown", MG_CLI_HELP_MARKDOWN},
               {"--completion", MG_CLI_COMPLETION},
               {"--job-functions", MG_CLI_JOB_FUNCTIONS}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].word) == 0) cli->action = all[i].action;
    if (cli->action == MG_CLI_COMPLETION) cli->shell = argc > 2 ? argv[2] : "";
    if (cli->action == MG_CLI_RUN) return false;
    return strcmp(argv[1], "help") != 0 || argc < 3;
}

/* By its name, which may stand in two words: `bench scaling` is bench-scaling. True if it does. */
static bool find_command(mg_cli *cli, const mg_command *commands, int n_commands, const char *word,
                         const char *next)
{
    const size_t n = strlen(word);

    for (int i = 0; i < n_commands; i++) {
        const char *name = commands[i].name;
        if (strncmp(name, word, n) != 0) continue;
        if (name[n] == '\0') cli->command = &commands[i];
        if (name[n] != '-' || strcmp(name + n + 1, next) != 0) continue;
        cli->command = &commands[i];
        return true;
    }
    return false;
}

mg_status mg_cli_parse(mg_cli *cli, const mg_command *commands, int n_commands, int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    *cli = (mg_cli){.action = MG_CLI_RUN, .comm_timeout_s = NAN};
    if (!*word)
        return mg_fail(MG_EUSAGE, "no command given; try mg-dist generate --help, or mg-dist --help for all");
    if (read_action(cli, argc, argv)) return MG_OK;
    if (cli->action == MG_CLI_HELP) word = argv[2];
    const int i_next = cli->action == MG_CLI_HELP ? 3 : 2;
    if (find_command(cli, commands, n_commands, word, i_next < argc ? argv[i_next] : ""))
        argc--, argv++; /* the options begin one word later */
    if (!cli->command) return unknown_command(commands, n_commands, word);
    if (cli->action == MG_CLI_HELP) return MG_OK;
    cli->settings = calloc(1, cli->command->settings_bytes);
    cli->lists = calloc((size_t)cli->command->n_options + 1, sizeof *cli->lists);
    int n_room = argc + cli->command->n_options + mg_cli_n_common;
    for (int i = 2; i < argc; i++) /* a word may be several letters */
        if (argv[i][0] == '-' && strlen(argv[i]) < 64) n_room += (int)strlen(argv[i]);
    cli->words = calloc((size_t)n_room, sizeof *cli->words);
    if (!cli->settings || !cli->lists || !cli->words) return mg_fail(MG_ENOMEM, "command line: no memory");
    MG_RETURN(read_words(cli, argc, argv));
    return cli->action == MG_CLI_RUN ? mg_cli_apply(cli) : MG_OK;
}

void mg_cli_close(mg_cli *cli)
{
    for (int i = 0; i < cli->n_lists; i++) free(cli->lists[i].item);
    free(cli->lists);
    free(cli->settings);
    free(cli->words);
    free(cli->shared);
    *cli = (mg_cli){.action = MG_CLI_RUN};
}

/* mg_cli_check has seen that every preset is valid, and of a type that needs no list. */
static void preset(void *settings, const mg_option *o)
{
    mg_cli_set_absent(settings, o);
    if (o->preset && mg_cli_set_value(NULL, settings, o, o->name, o->preset) != MG_OK) mg_clear_error();
}

void mg_cli_preset(const mg_command *command, void *settings)
{
    memset(settings, 0, command->settings_bytes);
    for (int i = 0; i < command->n_options; i++) preset(settings, &command->options[i]);
}

void mg_cli_forget_environment(const mg_cli *cli, void *settings, const char *options)
{
    for (int i = 0; i < cli->n_words; i++) {
        const mg_cli_word *word = &cli->words[i];
        if (!word->is_common && word->origin == MG_CLI_ENVIRONMENT &&
            mg_choice_find(options, word->option->name) >= 0)
            preset(settings, word->option);
    }
}

mg_status mg_cli_refuse_idle(const mg_cli *cli, const char *options, const char *why)
{
    mg_text names = {0}, t = {0};
    int n = 0;

    for (int i = 0; i < cli->n_words; i++) {
        const mg_cli_word *word = &cli->words[i];
        bool is_new = !word->is_common && !word->option->is_operand && word->origin == MG_CLI_LINE &&
                      mg_choice_find(options, word->option->name) >= 0;
        for (int k = 0; k < i && is_new; k++)
            is_new = cli->words[k].option != word->option || cli->words[k].origin != MG_CLI_LINE;
        if (is_new) mg_text_format(&names, "%s--%s", n++ > 0 ? ", " : "", word->option->name);
    }
    if (n == 0) return MG_OK;
    mg_text_format(&t, "option%s %s: %s no effect %s", mg_plural(n), names.data ? names.data : "",
                   n == 1 ? "has" : "have", why);
    const mg_status st = mg_text_fail(&t, MG_EUSAGE);
    mg_text_reset(&names);
    mg_text_reset(&t);
    return st;
}
