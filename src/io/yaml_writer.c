#include "yaml_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "text.h"
#include "utf8.h"

enum { WIDTH = 80, INDENT = 2 };

struct mg_yaml_writer {
    const char *name;
    yaml_emitter_t emitter;
    mg_text text;
};

/* libyaml's write handler: 0 is a failure. */
static int take(void *arg, unsigned char *buffer, size_t n)
{
    mg_yaml_writer *w = arg;

    if (n > MG_YAML_WRITER_LIMIT - w->text.n) return 0;
    mg_text_add_bytes(&w->text, buffer, n);
    return !w->text.failed;
}

/* The emitter owns the event from here on, whatever comes of it. */
static mg_status emit(mg_yaml_writer *w, yaml_event_t *event, int made)
{
    if (!made) return mg_fail(MG_ENOMEM, "%s: no memory for YAML", w->name);
    if (yaml_emitter_emit(&w->emitter, event)) return MG_OK;
    MG_RETURN(mg_text_check(&w->text, w->name));
    if (w->emitter.error == YAML_MEMORY_ERROR) return mg_fail(MG_ENOMEM, "%s: no memory for YAML", w->name);
    if (w->emitter.error == YAML_WRITER_ERROR)
        return mg_fail(MG_ECHECKPOINT, "%s: more than 1 MiB of text", w->name);
    return mg_fail(MG_EBUG, "%s: YAML: %s", w->name, w->emitter.problem ? w->emitter.problem : "?");
}

mg_status mg_yaml_writer_open(mg_yaml_writer **out, const char *name)
{
    mg_status st = MG_OK;
    yaml_event_t event;
    mg_yaml_writer *w = calloc(1, sizeof *w);

    *out = NULL;
    if (!w || !yaml_emitter_initialize(&w->emitter))
        MG_TRY(mg_fail(MG_ENOMEM, "%s: no memory for YAML", name));
    w->name = name;
    yaml_emitter_set_output(&w->emitter, take, w);
    yaml_emitter_set_unicode(&w->emitter, 1);
    yaml_emitter_set_width(&w->emitter, WIDTH);
    yaml_emitter_set_indent(&w->emitter, INDENT);
    MG_TRY(emit(w, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)));
    MG_TRY(emit(w, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)));
    *out = w;
done:
    if (st != MG_OK) mg_yaml_writer_close(w);
    return st;
}

void mg_yaml_writer_close(mg_yaml_writer *w)
{
    if (!w) return;
    yaml_emitter_delete(&w->emitter);
    mg_text_reset(&w->text);
    free(w);
}

mg_status mg_yaml_writer_begin(mg_yaml_writer *w, bool is_list)
{
    yaml_event_t event;

    return emit(w, &event,
                is_list
                    ? yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE)
                    : yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

mg_status mg_yaml_writer_end(mg_yaml_writer *w, bool is_list)
{
    yaml_event_t event;

    return emit(w, &event,
                is_list ? yaml_sequence_end_event_initialize(&event)
                        : yaml_mapping_end_event_initialize(&event));
}

static mg_status put_scalar(mg_yaml_writer *w, const char *text, size_t n, yaml_scalar_style_t style)
{
    yaml_event_t event;

    /* It is copied; before libyaml 0.2.5 the parameter has no const. */
    return emit(w, &event,
                yaml_scalar_event_initialize(&event, NULL, NULL, (yaml_char_t *)text, (int)n, 1, 1, style));
}

mg_status mg_yaml_writer_word(mg_yaml_writer *w, const char *word)
{
    return put_scalar(w, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

mg_status mg_yaml_writer_string(mg_yaml_writer *w, const char *text, size_t n)
{
    if (n >= MG_YAML_WRITER_LIMIT) return mg_fail(MG_ECHECKPOINT, "%s: more than 1 MiB of text", w->name);
    if (mg_utf8_bad_offset(text, (int64_t)n) >= 0)
        return mg_fail(MG_ECHECKPOINT, "%s: \"%.40s\" is not UTF-8", w->name, text);
    return put_scalar(w, text, n,
                      mg_yaml_needs_quotes(text) ? YAML_SINGLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
}

mg_status mg_yaml_writer_finish(mg_yaml_writer *w, char **out)
{
    yaml_event_t event;

    *out = NULL;
    MG_RETURN(emit(w, &event, yaml_document_end_event_initialize(&event, 1)));
    MG_RETURN(emit(w, &event, yaml_stream_end_event_initialize(&event)));
    if (!yaml_emitter_flush(&w->emitter))
        return mg_fail(MG_ECHECKPOINT, "%s: more than 1 MiB of text", w->name);
    return mg_text_end(&w->text, out, w->name);
}

void mg_yaml_format_double(char out[40], double v)
{
    char digits[40];

    if (!isfinite(v)) {
        strcpy(out, isnan(v) ? ".nan" : v > 0 ? ".inf" : "-.inf");
        return;
    }
    const int precision = mg_double_digits(v) - 1;
    snprintf(digits, sizeof digits, "%.*e", precision, v);
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
