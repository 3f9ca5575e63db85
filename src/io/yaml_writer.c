#include "yaml_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "yaml_writer_impl.h"

enum { WIDTH = 80, INDENT = 2, LONGEST_SIMPLE_KEY = 127 };

void mg_yaml_writer_init(mg_yaml_writer *w, const char *name)
{
    *w = (mg_yaml_writer){.name = name, .indent = -1, .after_space = true, .line_begin = true};
}

void mg_yaml_writer_reset(mg_yaml_writer *w)
{
    free(w->data);
    mg_yaml_writer_init(w, w->name);
}

static mg_status put(mg_yaml_writer *w, const char *text, size_t n)
{
    if (n >= MG_YAML_WRITER_LIMIT - w->n)
        return mg_fail(MG_ECHECKPOINT, "%s: more than 1 MiB of text", w->name);
    if (w->n + n + 1 > w->capacity) {
        const size_t capacity = 2 * (w->n + n) + 4096;
        char *grown = realloc(w->data, capacity);
        if (!grown) return mg_fail(MG_ENOMEM, "%s: %zu bytes", w->name, capacity);
        w->data = grown;
        w->capacity = capacity;
    }
    memcpy(w->data + w->n, text, n);
    w->n += n;
    w->data[w->n] = '\0';
    return MG_OK;
}

static mg_status put_ascii(mg_yaml_writer *w, const char *text)
{
    w->column += (int)strlen(text);
    return put(w, text, strlen(text));
}

static mg_status put_chars(mg_yaml_writer *w, const mg_yaml_text *t, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        const uint32_t c = t->c[i];
        char utf8[4];
        size_t n = 0;
        if (c < 0x80) {
            utf8[n++] = (char)c;
        } else if (c < 0x800) {
            utf8[n++] = (char)(0xc0 | c >> 6);
        } else if (c < 0x10000) {
            utf8[n++] = (char)(0xe0 | c >> 12);
            utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        } else {
            utf8[n++] = (char)(0xf0 | c >> 18);
            utf8[n++] = (char)(0x80 | (c >> 12 & 0x3f));
            utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        }
        if (c >= 0x80) utf8[n++] = (char)(0x80 | (c & 0x3f));
        MG_RETURN(put(w, utf8, n));
        w->column++;
    }
    return MG_OK;
}

static mg_status put_break(mg_yaml_writer *w)
{
    MG_RETURN(put(w, "\n", 1));
    w->column = 0;
    w->after_space = w->line_begin = true;
    return MG_OK;
}

/* To column `indent`: on this line if nothing is in the way. */
static mg_status put_indent(mg_yaml_writer *w, int indent)
{
    if (indent < 0) indent = 0;
    if (!w->line_begin || w->column > indent || (w->column == indent && !w->after_space))
        MG_RETURN(put_break(w));
    while (w->column < indent) {
        MG_RETURN(put_ascii(w, " "));
        w->after_space = true;
    }
    return MG_OK;
}

static mg_status put_indicator(mg_yaml_writer *w, const char *text, bool needs_space, bool keeps_line_begin)
{
    if (needs_space && !w->after_space) MG_RETURN(put_ascii(w, " "));
    w->after_space = false;
    w->line_begin = w->line_begin && keeps_line_begin;
    return put_ascii(w, text);
}

/* The end of the run of spaces, of breaks, or of neither that begins at i; a quote ends a run too. */
static size_t run_end(const mg_yaml_text *t, size_t i)
{
    const uint32_t first = t->c[i];

    for (size_t end = i + 1; end < t->n; end++) {
        const uint32_t c = t->c[end];
        if (first == ' '              ? c != ' '
            : mg_yaml_is_break(first) ? !mg_yaml_is_break(c)
                                      : c == ' ' || mg_yaml_is_break(c) || c == '\'' || first == '\'')
            return end;
    }
    return t->n;
}

/* Line breaks inside single quotes: one more than there are, for a single one would be folded to a space. */
static mg_status put_breaks(mg_yaml_writer *w, const mg_yaml_text *t, size_t begin, size_t end)
{
    if (t->c[begin] == '\n') MG_RETURN(put_break(w));
    for (size_t i = begin; i < end; i++) {
        if (t->c[i] == '\n') {
            MG_RETURN(put_break(w));
            continue;
        }
        MG_RETURN(put_chars(w, t, i, i + 1));
        w->column = 0;
        w->after_space = w->line_begin = true;
    }
    return put_indent(w, w->indent + INDENT);
}

/* Plain or in single quotes: long lines are folded at a single space. */
static mg_status put_foldable(mg_yaml_writer *w, const mg_yaml_text *t, bool quotes, bool may_fold)
{
    if (quotes)
        MG_RETURN(put_indicator(w, "'", true, false));
    else if (!w->after_space)
        MG_RETURN(put_ascii(w, " "));
    w->after_space = w->line_begin = false;
    for (size_t i = 0, end; i < t->n; i = end) {
        end = run_end(t, i);
        if (t->c[i] == ' ' && end == i + 1 && w->column > WIDTH && may_fold && i > 0 && end < t->n) {
            MG_RETURN(put_indent(w, w->indent + INDENT));
        } else if (mg_yaml_is_break(t->c[i])) {
            MG_RETURN(put_breaks(w, t, i, end));
        } else {
            MG_RETURN(put_chars(w, t, i, end));
            if (t->c[i] == '\'' && quotes) MG_RETURN(put_ascii(w, "'"));
        }
        w->after_space = w->line_begin = false;
    }
    return quotes ? put_indicator(w, "'", false, false) : MG_OK;
}

static mg_status put_escape(mg_yaml_writer *w, uint32_t c)
{
    static const struct {
        uint32_t c;
        char letter;
    } known[] = {{0, '0'},     {7, 'a'},    {8, 'b'},    {9, 't'},      {10, 'n'},
                 {11, 'v'},    {12, 'f'},   {13, 'r'},   {27, 'e'},     {'"', '"'},
                 {'\\', '\\'}, {0x85, 'N'}, {0xa0, '_'}, {0x2028, 'L'}, {0x2029, 'P'}};
    char text[16];

    snprintf(text, sizeof text, c <= 0xff ? "\\x%02X" : c <= 0xffff ? "\\u%04X" : "\\U%08X", (unsigned)c);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].c == c) snprintf(text, sizeof text, "\\%c", known[i].letter);
    return put_ascii(w, text);
}

/* In double quotes a character needs an escape if it is not ASCII that prints, nor a letter beyond it. */
static bool is_escaped(uint32_t c)
{
    if (c == '"' || c == '\\' || c == 0xfeff || mg_yaml_is_break(c)) return true;
    return !((c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) || (c >= 0xe000 && c <= 0xfffd));
}

static mg_status put_double_quoted(mg_yaml_writer *w, const mg_yaml_text *t, bool may_fold)
{
    size_t begin = 0; /* what is written */

    MG_RETURN(put_indicator(w, "\"", true, false));
    for (size_t i = 0; i <= t->n; i++) {
        if (i == t->n || is_escaped(t->c[i])) {
            if (begin < i) MG_RETURN(put_chars(w, t, begin, i));
            begin = i;
            if (i < t->n) {
                MG_RETURN(put_escape(w, t->c[i]));
                begin = i + 1;
            }
        }
        const int pending = begin < i ? (int)(i - begin) : begin > i ? -1 : 0;
        if (!(may_fold && i > 0 && i + 1 < t->n && (t->c[i] == ' ' || begin >= i) &&
              w->column + pending > WIDTH))
            continue;
        if (begin < i) {
            MG_RETURN(put_chars(w, t, begin, i));
            begin = i;
        }
        MG_RETURN(put_ascii(w, "\\"));
        MG_RETURN(put_indent(w, w->indent + INDENT));
        w->after_space = w->line_begin = false;
        if (t->c[begin] == ' ') MG_RETURN(put_ascii(w, "\\"));
    }
    return put_indicator(w, "\"", false, false);
}

static mg_status decode(const mg_yaml_writer *w, mg_yaml_text *t, const char *text, size_t n)
{
    *t = (mg_yaml_text){0};
    if (n >= MG_YAML_WRITER_LIMIT) return mg_fail(MG_ECHECKPOINT, "%s: more than 1 MiB of text", w->name);
    if (mg_utf8_bad_offset(text, (int64_t)n) >= 0)
        return mg_fail(MG_ECHECKPOINT, "%s: \"%.40s\" is not UTF-8", w->name, text);
    t->c = malloc((n + 1) * sizeof *t->c);
    if (!t->c) return mg_fail(MG_ENOMEM, "%s: %zu bytes", w->name, n);
    for (size_t i = 0; i < n;) {
        const uint8_t lead = (uint8_t)text[i];
        const int n_more = lead < 0xc0 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        uint32_t c = n_more ? lead & (0x3fu >> n_more) : lead;
        for (int k = 1; k <= n_more; k++) c = c << 6 | ((uint8_t)text[i + (size_t)k] & 0x3f);
        t->is_multiline |= mg_yaml_is_break(c);
        t->c[t->n++] = c;
        i += (size_t)n_more + 1;
    }
    return MG_OK;
}

static mg_status put_styled(mg_yaml_writer *w, const mg_yaml_text *t, mg_yaml_style style, bool may_fold)
{
    if (style == MG_YAML_DOUBLE) return put_double_quoted(w, t, may_fold);
    return put_foldable(w, t, style == MG_YAML_SINGLE, may_fold);
}

mg_status mg_yaml_writer_string(mg_yaml_writer *w, const char *text, size_t n)
{
    mg_yaml_text t;

    MG_RETURN(decode(w, &t, text, n));
    const mg_status st = put_styled(w, &t, mg_yaml_choose_style(&t, text), true);
    free(t.c);
    return st;
}

mg_status mg_yaml_writer_word(mg_yaml_writer *w, const char *word)
{
    if (!w->after_space) MG_RETURN(put_ascii(w, " "));
    w->after_space = w->line_begin = false;
    return put_ascii(w, word);
}

/* "? key" and ": value" on lines of their own, where a key is too long, empty or of several lines. */
static mg_status put_complex_key(mg_yaml_writer *w, const mg_yaml_text *t, mg_yaml_style style)
{
    MG_RETURN(put_indicator(w, "?", true, true));
    MG_RETURN(put_styled(w, t, style, true));
    MG_RETURN(put_indent(w, w->indent));
    return put_indicator(w, ":", true, true);
}

mg_status mg_yaml_writer_key(mg_yaml_writer *w, const char *text, size_t n, bool is_word)
{
    static const size_t n_tag = 5; /* "!!str", which PyYAML counts though it is not written */
    mg_yaml_text t;
    mg_status st;

    MG_RETURN(put_indent(w, w->indent));
    MG_RETURN(decode(w, &t, text, n));
    const mg_yaml_style style = is_word ? MG_YAML_PLAIN : mg_yaml_choose_style(&t, text);
    if (t.n == 0 || t.n + n_tag > LONGEST_SIMPLE_KEY || t.is_multiline) {
        st = put_complex_key(w, &t, style);
    } else {
        st = put_styled(w, &t, style, false);
        if (st == MG_OK) st = put_indicator(w, ":", false, false);
    }
    free(t.c);
    return st;
}

mg_status mg_yaml_writer_item(mg_yaml_writer *w)
{
    MG_RETURN(put_indent(w, w->indent));
    return put_indicator(w, "-", true, true);
}

void mg_yaml_writer_open(mg_yaml_writer *w, bool is_list, mg_yaml_place place, int *outer)
{
    *outer = w->indent;
    if (w->indent < 0)
        w->indent = 0;
    else if (!(is_list && place == MG_YAML_AFTER_KEY && !w->line_begin))
        w->indent += INDENT;
}

void mg_yaml_writer_close(mg_yaml_writer *w, int outer)
{
    w->indent = outer;
}

mg_status mg_yaml_writer_finish(mg_yaml_writer *w, char **out)
{
    *out = NULL;
    MG_RETURN(put_indent(w, -1));
    *out = w->data;
    w->data = NULL;
    return MG_OK;
}

void mg_yaml_format_double(char out[40], double v)
{
    char digits[40];
    int precision = 0;

    if (!isfinite(v)) {
        strcpy(out, isnan(v) ? ".nan" : v > 0 ? ".inf" : "-.inf");
        return;
    }
    /* The fewest digits that read back as the same number. */
    do {
        snprintf(digits, sizeof digits, "%.*e", precision, v);
    } while (strtod(digits, NULL) != v && ++precision < 17);
    const int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent >= -4 && exponent < 16) {
        const int n_decimals = precision - exponent;
        snprintf(out, 40, "%.*f", n_decimals > 1 ? n_decimals : 1, v);
    } else if (precision == 0) {
        char *e = strchr(digits, 'e');
        snprintf(out, 40, "%.*s.0%s", (int)(e - digits), digits, e);
    } else {
        strcpy(out, digits);
    }
}
