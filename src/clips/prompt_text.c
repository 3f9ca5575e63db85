#include "prompt_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "utf8.h"

#define MAX_FILE_BYTES ((int64_t)1 << 20) /* longer is refused anyway */

/* A byte order mark. */
static bool has_mark(const char *text, int64_t bytes)
{
    return bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
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
