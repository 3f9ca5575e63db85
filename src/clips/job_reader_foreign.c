/* Files that are no list of prompts, though each of their lines could be one. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "job_reader_impl.h"

typedef struct line {
    const char *p, *end;
} line;

static bool begins(const char *p, const char *end, const char *with)
{
    const size_t n = strlen(with);

    return (size_t)(end - p) >= n && strncasecmp(p, with, n) == 0;
}

static bool holds(line l, const char *part)
{
    return l.end > l.p && memmem(l.p, (size_t)(l.end - l.p), part, strlen(part)) != NULL;
}

/* The next line that is not blank, from p on, without the blanks at its end. */
static line line_at(const char *p, const char *end)
{
    p = mg_job_skip(p, end);
    const char *newline = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    line l = {p, newline ? newline : end};

    while (l.end > l.p && isspace((unsigned char)l.end[-1])) l.end--;
    return l;
}

const char *mg_job_see_binary(const char *p, const char *end)
{
    static const struct {
        const char *with;
        size_t n;
        const char *seen;
    } all[] = {
        {"\xff\xfe\0\0", 4, "it is UTF-32: save it as UTF-8"},
        {"\xff\xfe", 2, "it is UTF-16: save it as UTF-8"},
        {"\xfe\xff", 2, "it is UTF-16: save it as UTF-8"},
        {"PK\x03\x04", 4, "it is a ZIP archive, as .xlsx and .ods are: save the table as CSV"},
        {"\xd0\xcf\x11\xe0", 4, "it is a file of an old Excel or Word: save it as CSV or plain text"},
        {"PAR1", 4, "it is a Parquet file: write it as CSV or JSON lines"},
        {"ARROW1", 6, "it is an Arrow file: write it as CSV or JSON lines"},
        {"FEA1", 4, "it is a Feather file: write it as CSV or JSON lines"},
        {"\xff\xff\xff\xff", 4,
         "it is an Arrow stream, as datasets keep them: write it as CSV or JSON lines"},
        {"Obj\x01", 4, "it is an Avro file: write it as CSV or JSON lines"},
        {"SQLite format 3", 15, "it is a database of SQLite's: write the table as CSV"},
        {"\x89HDF", 4, "it is an HDF5 file: write the table as CSV"},
        {"\x93NUMPY", 6, "it is an array of NumPy's: write the texts one a line"},
        {"\x80\x04\x95", 3, "it is a pickle: write it as CSV or JSON lines"},
        {"\x28\xb5\x2f\xfd", 4, "it is packed by zstd: unpack it (gzip is read as it is)"},
        {"BZh", 3, "it is packed by bzip2: unpack it (gzip is read as it is)"},
        {"\xfd"
         "7zXZ",
         5, "it is packed by xz: unpack it (gzip is read as it is)"},
        {"7z\xbc\xaf", 4, "it is a 7z archive: unpack it"},
        {"RIFF", 4, "it is a sound: --audio-prompt takes one to continue, --melody one to follow"},
        {"fLaC", 4, "it is a sound: --audio-prompt takes one to continue, --melody one to follow"},
        {"OggS", 4, "it is a sound: --audio-prompt takes one to continue, --melody one to follow"},
        {"\x89PNG", 4, "it is a picture"},
        {"%PDF", 4, "it is a PDF: save it as plain text"},
        {"{\\rtf", 5, "it is RTF: save it as plain text"},
    };
    const size_t n = (size_t)(end - p);

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (n >= all[i].n && memcmp(p, all[i].with, all[i].n) == 0) return all[i].seen;
    if (n >= 4 && !p[1] && !p[3] && p[0] && p[2]) return "it is UTF-16: save it as UTF-8";
    if (n >= 4 && !p[0] && !p[2] && p[1] && p[3]) return "it is UTF-16: save it as UTF-8";
    return NULL;
}

/* "prompt: x", "text = x": not "text, loud". */
static bool is_pair(const char *p, const char *end)
{
    static const char *const keys[] = {"prompts", "prompt", "captions",   "caption",
                                       "texts",   "text",   "description"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!begins(p, end, keys[i])) continue;
        const char *at = p + strlen(keys[i]);
        while (at < end && (*at == ' ' || *at == '"')) at++;
        return at < end && (*at == ':' || *at == '=');
    }
    return false;
}

static bool is_quoted(line l)
{
    if (l.end - l.p > 2 && l.end[-1] == ',') l.end--;
    return l.end - l.p > 2 && *l.p == '"' && l.end[-1] == '"';
}

/* "---|---", and "----+----" as databases draw it. */
static bool is_rule(line l)
{
    const char *p = l.p;

    while (p < l.end && strchr("-|+: ", *p)) p++;
    return p == l.end && holds(l, "--");
}

static bool is_numbered(line l, char digit)
{
    return l.end - l.p > 3 && l.p[0] == digit && strchr(".):", l.p[1]) && l.p[2] == ' ';
}

/* By their first words alone. */
static const char *see_language(line first, line second)
{
    static const struct {
        const char *with, *seen;
    } all[] = {
        {"<!doctype", "it begins as a page of HTML, not as a list"},
        {"<html", "it begins as a page of HTML, not as a list"},
        {"<?xml", "it begins as XML, not as a list"},
        {"WEBVTT", "it begins as subtitles"},
        {"# ", "it begins with a heading or a remark, which would be a clip"},
        {"// ", "it begins with a remark, which would be a clip"},
        {"#!", "it begins as a script"},
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (begins(first.p, first.end, all[i].with)) return all[i].seen;
    if (first.end - first.p == 3 && begins(first.p, first.end, "---")) return "it begins as YAML or Markdown";
    if (begins(first.p, first.end, "<") && (holds(first, "</") || begins(second.p, second.end, "<")))
        return "it begins as XML or HTML, not as a list";
    if (holds(second, "-->")) return "it begins as subtitles";
    return NULL;
}

const char *mg_job_see_markup(const char *p, const char *end)
{
    static const char yaml[] = "it begins as a list in YAML or Markdown, whose marks would be in the texts";
    const line first = line_at(p, end), second = line_at(first.end, end);
    const char *language = see_language(first, second);
    const bool has_second = second.end > second.p;

    if (language) return language;
    if (begins(first.p, first.end, "- ") && (begins(second.p, end, "- ") || is_pair(first.p + 2, first.end)))
        return yaml;
    if (begins(first.p, first.end, "* ") && begins(second.p, end, "* ")) return yaml;
    size_t n_name = 0;
    while (first.p + n_name < first.end &&
           (isalpha((unsigned char)first.p[n_name]) || strchr("_-", first.p[n_name])))
        n_name++;
    if (n_name > 0 && first.p + n_name + 1 == first.end && first.p[n_name] == ':' &&
        begins(second.p, end, "- "))
        return yaml;
    if (is_pair(first.p, first.end)) return "it begins with a key and its value, as YAML, TOML or a program";
    if (first.end > first.p && *first.p == '[' && first.end[-1] == ']' && holds(second, "="))
        return "it begins as TOML or an INI file";
    if ((first.end - first.p > 1 && *first.p == '|' && first.end[-1] == '|') ||
        (holds(first, "|") && is_rule(second)))
        return "it begins as a table in Markdown";
    if (is_numbered(first, '1') && is_numbered(second, '2'))
        return "it begins as a numbered list, whose numbers would be in the texts";
    if (is_quoted(first) && (!has_second || is_quoted(second)))
        return "its texts stand in quotes, which would be in them (JSON lines may be texts in quotes)";
    return NULL;
}
