/* What an unquoted word is: the implicit types of PyYAML's SafeLoader with omegaconf's own pattern for
 * floats, which needs no point before the exponent. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "yaml_impl.h"

static bool is_one_of(const char *text, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}
#define IS_ONE_OF(text, words) is_one_of(text, words, sizeof(words) / sizeof *(words))

/* How many characters of `text` are in `set`. */
static const char *skip(const char *text, const char *set)
{
    return text + strspn(text, set);
}

static bool is_int(const char *text, int *base, const char **digits)
{
    const char *p = text + (*text == '-' || *text == '+');

    *digits = p;
    *base = 10;
    if (p[0] == '0' && p[1] == 'b') {
        *digits = p + 2, *base = 2;
        return p[2] && !*skip(p + 2, "01_");
    }
    if (p[0] == '0' && p[1] == 'x') {
        *digits = p + 2, *base = 16;
        return p[2] && !*skip(p + 2, "0123456789abcdefABCDEF_");
    }
    if (p[0] == '0' && p[1]) {
        *base = 8;
        return !*skip(p, "01234567_");
    }
    return *p >= '0' && *p <= '9' && !*skip(p, "0123456789_");
}

/* digits . digits? exponent?  |  digits exponent  |  . digits exponent?: this last one without a sign before
 * it, but with one in its exponent. */
static bool is_float(const char *text)
{
    const bool begins_with_point = *text == '.';
    const char *p = text + (*text == '-' || *text == '+');
    bool has_point = false;

    if (!begins_with_point && !(*p >= '0' && *p <= '9')) return false;
    p = skip(p, "0123456789_");
    if (*p == '.') has_point = true, p = skip(p + 1, "0123456789_");
    if (begins_with_point && p[-1] == '.') return false;
    if (*p != 'e' && *p != 'E') return has_point && !*p;
    p++;
    if (*p == '-' || *p == '+')
        p++;
    else if (begins_with_point)
        return false;
    return *p && !*skip(p, "0123456789");
}

static bool read_special_float(double *out, const char *text)
{
    static const char *const infinities[] = {".inf", ".Inf", ".INF"}, *const nans[] = {".nan", ".NaN",
                                                                                       ".NAN"};
    const bool is_signed = *text == '-' || *text == '+';

    *out = *text == '-' ? -INFINITY : INFINITY;
    if (IS_ONE_OF(text + is_signed, infinities)) return true;
    *out = NAN;
    return IS_ONE_OF(text, nans);
}

void mg_yaml_resolve_plain(mg_yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const yes[] = {"yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
    static const char *const no[] = {"no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
    char number[128];
    const char *digits;
    size_t n_number = 0;
    int base;

    n->kind = MG_YAML_STRING;
    if (IS_ONE_OF(n->text, nulls)) n->kind = MG_YAML_NULL;
    n->boolean = IS_ONE_OF(n->text, yes);
    if (n->boolean || IS_ONE_OF(n->text, no)) n->kind = MG_YAML_BOOL;
    if (read_special_float(&n->number, n->text)) n->kind = MG_YAML_FLOAT;
    if (n->kind != MG_YAML_STRING || strlen(n->text) >= sizeof number) return;

    const bool whole = is_int(n->text, &base, &digits);
    if (!whole && !is_float(n->text)) return;
    if (!whole) digits = n->text + (*n->text == '-' || *n->text == '+');
    if (*n->text == '-') number[n_number++] = '-';
    for (const char *p = digits; *p; p++)
        if (*p != '_') number[n_number++] = *p;
    number[n_number] = '\0';
    n->kind = MG_YAML_FLOAT; /* also an integer beyond 64 bits */
    if (whole) {
        errno = 0;
        n->integer = strtoll(number, NULL, base);
        n->number = (double)n->integer;
        if (!errno) n->kind = MG_YAML_INT;
    } else {
        n->number = strtod(number, NULL);
    }
}
