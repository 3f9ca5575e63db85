/* Completion for shells, from the option tables: mg-dist --completion bash|zsh|fish. */
#include <string.h>

#include "cli_impl.h"

/* Calls `print` for each option of a command, its own and the common ones; operands have no name to type. */
typedef void print_one(FILE *to, const mg_command *command, const mg_option *o);

static void each_option(FILE *to, const mg_command *command, print_one *print)
{
    for (int i = 0; i < command->n_options + mg_cli_n_common; i++) {
        const mg_option *o =
            i < command->n_options ? &command->options[i] : &mg_cli_common[i - command->n_options];
        if (!o->is_operand) print(to, command, o);
    }
}

static void print_words(FILE *to, const char *choices)
{
    for (; *choices; choices++) fputc(*choices == '|' ? ' ' : *choices, to);
}

static void print_name(FILE *to, const mg_command *command, const mg_option *o)
{
    (void)command;
    fprintf(to, " --%s", o->name);
}

/* "generate --format) …" of bash's case: the words of a choice. */
static void print_choice(FILE *to, const mg_command *command, const mg_option *o)
{
    if (!o->choices) return;
    fprintf(to, "        \"%s --%s\"", command->name, o->name);
    if (o->letter) fprintf(to, "|\"%s -%c\"", command->name, o->letter);
    fputs(") words='", to);
    print_words(to, o->choices);
    fputs("' ;;\n", to);
}

static void print_bash(FILE *to, const mg_command *commands, int n_commands)
{
    fputs("# bash completion for mg-dist; printed by mg-dist --completion bash\n"
          "_mg_dist() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} "
          "command=${COMP_WORDS[1]} words=''\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        words='",
          to);
    for (int i = 0; i < n_commands; i++) fprintf(to, "%s ", commands[i].name);
    fputs("help --help --version'\n"
          "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "        return\n"
          "    fi\n"
          "    case \"$command $last\" in\n",
          to);
    for (int i = 0; i < n_commands; i++) each_option(to, &commands[i], print_choice);
    fputs("        \"help mg-dist\"|\"help help\") words='", to);
    for (int i = 0; i < n_commands; i++) fprintf(to, "%s ", commands[i].name);
    fputs("' ;;\n"
          "    esac\n"
          "    if [ -z \"$words\" ] && [ \"${word#-}\" != \"$word\" ]; then\n"
          "        case \"$command\" in\n",
          to);
    for (int i = 0; i < n_commands; i++) {
        fprintf(to, "        %s) words='", commands[i].name);
        each_option(to, &commands[i], print_name);
        fputs("' ;;\n", to);
    }
    fputs("        esac\n"
          "    fi\n"
          "    [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "}\n"
          "complete -o default -F _mg_dist mg-dist\n",
          to);
}

/* A text inside single quotes of zsh or fish, where also : [ ] would end a field of zsh's. */
static void print_quoted(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", to);
        else if (*text == '[' || *text == ']' || *text == ':' || *text == '\\')
            fputs(*text == ':' ? ";" : *text == '\\' ? "\\\\" : "|", to);
        else
            fputc(*text, to);
    }
}

static void print_zsh_option(FILE *to, const mg_command *command, const mg_option *o)
{
    (void)command;
    fprintf(to, "            '%s--%s%s[", o->type == MG_OPT_STRINGS ? "*" : "", o->name,
            o->type == MG_OPT_FLAG ? "" : "=");
    print_quoted(to, o->help);
    fputc(']', to);
    if (o->choices) {
        fputs(":word:(", to);
        print_words(to, o->choices);
        fputc(')', to);
    } else if (o->type == MG_OPT_STRING || o->type == MG_OPT_STRINGS) {
        fputs(":value:_files", to);
    } else if (o->type != MG_OPT_FLAG) {
        fputs(":number:", to);
    }
    fputs("' \\\n", to);
}

static void print_zsh(FILE *to, const mg_command *commands, int n_commands)
{
    fputs("#compdef mg-dist\n# zsh completion for mg-dist; printed by mg-dist --completion zsh\n"
          "_mg_dist() {\n"
          "    local -a commands\n"
          "    commands=(\n",
          to);
    for (int i = 0; i < n_commands; i++) {
        fprintf(to, "        '%s:", commands[i].name);
        print_quoted(to, commands[i].summary);
        fputs("'\n", to);
    }
    fputs("        'help:the options of a command'\n"
          "    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    case $words[2] in\n"
          "    help) _describe command commands ;;\n",
          to);
    for (int i = 0; i < n_commands; i++) {
        fprintf(to, "    %s)\n        shift words; (( CURRENT-- ))\n        _arguments \\\n",
                commands[i].name);
        each_option(to, &commands[i], print_zsh_option);
        fputs("            '*:file:_files' ;;\n", to);
    }
    fputs("    esac\n}\n_mg_dist \"$@\"\n", to);
}

static void print_fish_option(FILE *to, const mg_command *command, const mg_option *o)
{
    fprintf(to, "complete -c mg-dist -n '__fish_seen_subcommand_from %s' -l %s", command->name, o->name);
    if (o->letter) fprintf(to, " -s %c", o->letter);
    if (o->choices) {
        fputs(" -x -a '", to);
        print_words(to, o->choices);
        fputc('\'', to);
    } else if (o->type != MG_OPT_FLAG) {
        fputs(" -r", to);
    }
    fputs(" -d '", to);
    print_quoted(to, o->help);
    fputs("'\n", to);
}

static void print_fish(FILE *to, const mg_command *commands, int n_commands)
{
    fputs("# fish completion for mg-dist; printed by mg-dist --completion fish\n", to);
    for (int i = 0; i < n_commands; i++) {
        fprintf(to, "complete -c mg-dist -n __fish_use_subcommand -f -a %s -d '", commands[i].name);
        print_quoted(to, commands[i].summary);
        fputs("'\n", to);
        each_option(to, &commands[i], print_fish_option);
    }
}

mg_status mg_cli_print_completion(FILE *to, const mg_command *commands, int n_commands, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        print_bash(to, commands, n_commands);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(to, commands, n_commands);
    else if (strcmp(shell, "fish") == 0)
        print_fish(to, commands, n_commands);
    else
        return mg_fail(MG_EUSAGE, "--completion: \"%s\": must be one of bash, zsh, fish", shell);
    return MG_OK;
}
