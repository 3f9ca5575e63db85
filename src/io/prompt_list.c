#include "prompt_list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "utf8.h"

#define MAX_FILE_BYTES ((int64_t)1 << 30)

static mg_status add(mg_prompt_list *list, const char *text, int64_t bytes)
{
    if (list->n == list->room) {
        const int64_t room = list->room ? 2 * list->room : 64;
        char **larger = realloc(list->text, (size_t)room * sizeof *larger);
        if (!larger) return mg_fail(MG_ENOMEM, "prompts: room for %lld", (long long)room);
        list->text = larger, list->room = room;
    }
    char *copy = malloc((size_t)bytes + 1);
    if (!copy) return mg_fail(MG_ENOMEM, "prompts: %lld bytes", (long long)bytes);
    memcpy(copy, text, (size_t)bytes);
    copy[bytes] = '\0';
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
    return add(list, text, bytes);
}

mg_status mg_prompt_list_parse(mg_prompt_list *list, const char *name, const char *text, int64_t text_bytes)
{
    const char *p = text, *end = text + text_bytes;

    if (text_bytes >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) p += 3;
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

mg_status mg_prompt_list_append(mg_prompt_list *list, const char *name, const char *text)
{
    const int64_t bytes = (int64_t)strlen(text), bad = mg_utf8_bad_offset(text, bytes);

    if (bad >= 0)
        return mg_fail(MG_EUSAGE, "%s: byte %lld of the text is not UTF-8", name, (long long)bad + 1);
    if (bytes > MG_MAX_PROMPT_BYTES)
        return mg_fail(MG_EUSAGE, "%s: longer than %d bytes, the limit for a prompt", name,
                       MG_MAX_PROMPT_BYTES);
    return add(list, text, bytes);
}

void mg_prompt_list_close(mg_prompt_list *list)
{
    for (int64_t i = 0; i < list->n; i++) free(list->text[i]);
    free(list->text);
    *list = (mg_prompt_list){0};
}
