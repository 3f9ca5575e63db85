/* Which quotes a string needs: none if it would be read back as the same string. */
#include <regex.h>
#include <string.h>

#include "yaml_writer_impl.h"

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

bool mg_yaml_is_break(uint32_t c)
{
    return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_space(uint32_t c)
{
    return c == '\0' || c == ' ' || c == '\t' || c == '\r' || mg_yaml_is_break(c);
}

/* Is it an ASCII character of `set`? */
static bool is_in(uint32_t c, const char *set)
{
    return c && c < 128 && strchr(set, (int)c);
}

/* May be shown as it is. */
static bool is_printable(uint32_t c)
{
    return c == '\n' || (c >= 0x20 && c <= 0x7e) || c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || (c >= 0x10000 && c < 0x10ffff);
}

/* Would it be taken for structure? */
static bool is_indicator(const mg_yaml_text *t, size_t i)
{
    const uint32_t c = t->c[i];
    const bool before_space = i + 1 >= t->n || is_space(t->c[i + 1]);

    if (i == 0) return is_in(c, "#,[]{}&*!|>'\"%@`") || (is_in(c, "?:-") && before_space);
    return (c == ':' && before_space) || (c == '#' && is_space(t->c[i - 1]));
}

mg_yaml_style mg_yaml_choose_style(const mg_yaml_text *t, const char *text)
{
    bool plain = true, single = true;

    for (size_t i = 0; i < t->n; i++) {
        const uint32_t c = t->c[i], before = i ? t->c[i - 1] : 0;
        const bool at_end = i == 0 || i + 1 == t->n, is_break = mg_yaml_is_break(c);
        if (!is_printable(c)) single = false;
        if (i && ((c == ' ' && mg_yaml_is_break(before)) || (is_break && before == ' '))) single = false;
        if (is_break || (c == ' ' && at_end) || is_indicator(t, i)) plain = false;
    }
    if (strncmp(text, "---", 3) == 0 || strncmp(text, "...", 3) == 0) plain = false;
    if (matches_any(text, quoted, sizeof quoted / sizeof *quoted) ||
        matches_any(text, not_strings, sizeof not_strings / sizeof *not_strings))
        plain = false;
    return !single ? MG_YAML_DOUBLE : plain ? MG_YAML_PLAIN : MG_YAML_SINGLE;
}
