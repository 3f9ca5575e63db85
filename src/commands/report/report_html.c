#include "report_html.h"

#include <stdlib.h>
#include <string.h>

#include "in_file.h"
#include "report_style.h"
#include "utf8.h"

enum { MAX_SVG_BYTES = 16 << 20 };

void mg_report_escape(mg_text *t, const char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        const char *at = text;
        const int32_t c = mg_utf8_next(&text, end);
        if (c < 0) { /* no character */
            mg_text_add(t, "\xEF\xBF\xBD");
            text = at + 1;
        } else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
            mg_text_format(t, "&#%d;", (int)c);
        } else if ((c < 32 && c != '\n' && c != '\t') || (c >= 127 && c < 160)) {
            mg_text_add(t, "\xC2\xB7"); /* a control, which HTML has not */
        } else {
            mg_text_add_bytes(t, at, (size_t)(text - at));
        }
    }
}

void mg_report_base64(mg_text *t, const char *bytes, int64_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;

    for (int64_t i = 0; i < n; i += 3) {
        const unsigned b = i + 1 < n ? p[i + 1] : 0, c = i + 2 < n ? p[i + 2] : 0;
        const unsigned v = (unsigned)p[i] << 16 | b << 8 | c;
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63], i + 1 < n ? digits[v >> 6 & 63] : '=',
                              i + 2 < n ? digits[v & 63] : '='};
        mg_text_add_bytes(t, four, 4);
    }
}

void mg_report_begin(mg_text *t, const char *title)
{
    mg_text_add(t,
                "<!doctype html>\n<!-- mg-dist report -->\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                "'unsafe-inline'; media-src data:; img-src data:\"><meta name=\"viewport\" "
                "content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\"><title>");
    mg_report_escape(t, title);
    mg_text_add(t, " · mg-dist</title><style>");
    mg_text_add(t, mg_report_style);
    mg_text_add(t, "</style></head>\n<body><main><h1>");
}

mg_status mg_report_picture(mg_text *t, const char *title, const char *path)
{
    char *svg = NULL;
    int64_t bytes;

    mg_text_format(t, "<section class=\"card\"><h2>%s</h2>", title);
    if (!path) return MG_OK;
    MG_RETURN(mg_in_file_read(&svg, &bytes, path, MAX_SVG_BYTES));
    mg_text_format(t, "<div class=\"wide\"><img class=\"drawn\" alt=\"%s\" src=\"data:image/svg+xml;base64,",
                   title);
    mg_report_base64(t, svg, bytes);
    mg_text_add(t, "\"></div>");
    free(svg);
    return MG_OK;
}
