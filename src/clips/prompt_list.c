#include "prompt_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "utf8.h"

#define MAX_FILE_BYTES ((int64_t)1 << 30)

static mg_status grow(mg_prompt_list *list)
{
    const int64_t room = list->room ? 2 * list->room : 64;
    char **text = realloc(list->text, (size_t)room * sizeof *text);

    if (text) list->text = text;
    int64_t *line = text ? realloc(list->line, (size_t)room * sizeof *line) : NULL;
    if (!line) return mg_fail(MG_ENOMEM, "prompts: room for %lld", (long long)room);
    list->line = line, list->room = room;
    return MG_OK;
}

static mg_status add(mg_prompt_list *list, int64_t i_line, const char *text, int64_t bytes)
{
    if (list->n == list->room) MG_RETURN(grow(list));
    char *copy = strndup(text, (size_t)bytes);
    if (!copy) return mg_fail(MG_ENOMEM, "prompts: %lld bytes", (long long)bytes);
    list->line[list->n] = i_line;
    list->text[list->n++] = copy;
    return MG_OK;
}

static bool is_blank(const char *text, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i++) {
        if (text[i] != ' ' && text[i] != '\t') return false;
    }
    return true;
}

/* A byte order mark. */
static bool has_mark(const char *text, int64_t bytes)
{
    return bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
}

static mg_status add_line(mg_prompt_list *list, const char *name, int64_t i_line, const char *text,
                          int64_t bytes)
{
    const long long line = (long long)i_line;

    if (bytes > 0 && text[bytes - 1] == '\r') bytes--;
    if (is_blank(text, bytes)) return MG_OK;
    if (bytes > MG_MAX_PROMPT_BYTES)
        return mg_fail(MG_EUSAGE, "%s: line %lld: longer than %d bytes, the limit for a prompt", name, line,
                       MG_MAX_PROMPT_BYTES);
    if (memchr(text, '\0', (size_t)bytes))
        return mg_fail(MG_EUSAGE, "%s: line %lld: holds a NUL", name, line);
    const int64_t bad = mg_utf8_bad_offset(text, bytes);
    if (bad >= 0)
        return mg_fail(MG_EUSAGE, "%s: line %lld: byte %lld is not UTF-8; save the file as UTF-8", name, line,
                       (long long)bad + 1);
    return add(list, i_line, text, bytes);
}

mg_status mg_prompt_list_parse(mg_prompt_list *list, const char *name, const char *text, int64_t text_bytes)
{
    const char *p = text, *end = text + text_bytes;

    if (has_mark(text, text_bytes)) p += 3;
    for (int64_t i_line = 1; p < end; i_line++) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *line_end = newline ? newline : end;
        MG_RETURN(add_line(list, name, i_line, p, line_end - p));
        p = newline ? newline + 1 : end;
    }
    return MG_OK;
}

mg_status mg_prompt_list_load(mg_prompt_list *list, const char *path)
{
    char *text;
    int64_t bytes;

    MG_RETURN(mg_in_file_read(&text, &bytes, path, MAX_FILE_BYTES));
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    const mg_status st = mg_prompt_list_parse(list, name, text, bytes);
    free(text);
    return st;
}

void mg_prompt_list_close(mg_prompt_list *list)
{
    for (int64_t i = 0; i < list->n; i++) free(list->text[i]);
    free(list->text);
    free(list->line);
    *list = (mg_prompt_list){0};
}

mg_status mg_prompt_check(const char *name, const char *text)
{
    const int64_t bytes = (int64_t)strlen(text), bad = mg_utf8_bad_offset(text, bytes);

    if (bad >= 0)
        return mg_fail(MG_EUSAGE, "%s: byte %lld of the text is not UTF-8", name, (long long)bad + 1);
    if (bytes > MG_MAX_PROMPT_BYTES)
        return mg_fail(MG_EUSAGE, "%s: longer than %d bytes, the limit for a prompt", name,
                       MG_MAX_PROMPT_BYTES);
    return MG_OK;
}

static mg_status split_title(char **prompt, char **title, const char *name, const char *text, int64_t bytes)
{
    static const char blanks[] = " \t\r\n";

    if (memchr(text, '\0', (size_t)bytes)) return mg_fail(MG_EUSAGE, "%s: holds a NUL", name);
    MG_RETURN(mg_prompt_check(name, text));
    const char *first = text + strspn(text, blanks);
    size_t n_first = strcspn(first, "\r\n"), n_text = strlen(text);
    if (!*first) return mg_fail(MG_EUSAGE, "%s: holds no text", name);
    while (strchr(blanks, first[n_first - 1])) n_first--;
    while (strchr(blanks, text[n_text - 1])) n_text--;
    *title = strndup(first, n_first);
    *prompt = strndup(text, n_text);
    return *title && *prompt ? MG_OK : mg_fail(MG_ENOMEM, "%s: %zu bytes", name, n_text);
}

mg_status mg_prompt_file_read(char **prompt, char **title, const char *path)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    char *text;
    int64_t bytes;

    *prompt = *title = NULL;
    MG_RETURN(mg_in_file_read(&text, &bytes, path, MAX_FILE_BYTES));
    const int64_t n_mark = has_mark(text, bytes) ? 3 : 0;
    const mg_status st = split_title(prompt, title, name, text + n_mark, bytes - n_mark);
    free(text);
    if (st != MG_OK) {
        free(*prompt);
        free(*title);
        *prompt = *title = NULL;
    }
    return st;
}
