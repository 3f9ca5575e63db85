/* What the pages of mg-dist report share. A page asks nobody for anything: no script, no font, no picture
 * from elsewhere. */
#ifndef MG_REPORT_HTML_H
#define MG_REPORT_HTML_H

#include "text.h"

/* Text of others, fit to stand in HTML. */
void mg_report_escape(mg_text *t, const char *text);

/* Bytes as they stand in a data: address. */
void mg_report_base64(mg_text *t, const char *bytes, int64_t n);

/* All before the content of the heading: the head, with the style in it, and "<h1>". */
void mg_report_begin(mg_text *t, const char *title);

/* A card, from its heading on, with the SVG at `path` in it; NULL: without a picture. */
mg_status mg_report_picture(mg_text *t, const char *title, const char *path);

#endif
