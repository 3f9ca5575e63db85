/* The tables' own check, before any of them is used. */
#include <string.h>

#include "choice_words.h"
#include "cli_impl.h"

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
    for (int i = 0; o->same; i++) {
        char word[MG_CHOICE_WORD_SIZE];
        mg_choice_word(word, o->same, i);
        if (!*word) break;
        MG_REQUIRE(strchr(word, '=') && mg_choice_find(o->choices, strchr(word, '=') + 1) >= 0);
    }
    MG_REQUIRE(!o->preset || o->type != MG_OPT_STRINGS);
    MG_REQUIRE(!o->is_optional || o->is_operand);
    there.offset = 0;
    return o->preset ? mg_cli_set_value(&scratch, &value, &there, o->name, o->preset) : MG_OK;
}

static bool clash(const mg_option *a, const mg_option *b)
{
    char of_a[64], of_b[64];

    for (int i = 0; mg_cli_name_at(of_a, a, i); i++)
        for (int k = 0; mg_cli_name_at(of_b, b, k); k++)
            if (strcmp(of_a, of_b) == 0) return true;
    return a->letter && a->letter == b->letter;
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
