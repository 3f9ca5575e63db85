/* Which texts need quotes to be read back as texts. What needs them for its characters, libyaml sees itself.
 */
#include <regex.h>

#include "yaml_writer.h"

/* What PyYAML takes an unquoted word for anything but a string by: yaml/resolver.py. */
static const char *const not_strings[] = {
    "^(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
    "^([-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+][0-9]+)?|\\.[0-9][0-9_]*([eE][-+][0-9]+)?)$",
    "^([-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN))$",
    "^[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)$",
    "^(<<|=|~|null|Null|NULL|)$",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    ("^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?"
     "([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?$"),
};

/* What omegaconf quotes besides: where Python's int() or float() would succeed, and YAML 1.1's truth values.
 */
#define BLANKS "([ \t\n\v\f\r\x1c-\x1f]|\xC2\x85|\xC2\xA0)*"
#define DIGITS "[0-9](_?[0-9])*"
static const char *const quoted[] = {
    ("^" BLANKS "[-+]?(" DIGITS "\\.?(" DIGITS ")?|\\." DIGITS ")([eE][-+]?" DIGITS ")?" BLANKS "$"),
    ("^" BLANKS "[-+]?([iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])" BLANKS "$"),
    "^(y|Y|n|N)$",
};

static bool matches_any(const char *text, const char *const *patterns, size_t n)
{
    bool found = false;

    for (size_t i = 0; i < n && !found; i++) {
        regex_t re;
        if (regcomp(&re, patterns[i], REG_EXTENDED | REG_NOSUB) != 0) return true; /* quotes do no harm */
        found = regexec(&re, text, 0, NULL, 0) == 0;
        regfree(&re);
    }
    return found;
}

bool mg_yaml_needs_quotes(const char *text)
{
    return matches_any(text, quoted, sizeof quoted / sizeof *quoted) ||
           matches_any(text, not_strings, sizeof not_strings / sizeof *not_strings);
}
