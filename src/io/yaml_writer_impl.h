/* What yaml_writer.c (layout) and yaml_writer_quotes.c (quotes) share. */
#ifndef MG_YAML_WRITER_IMPL_H
#define MG_YAML_WRITER_IMPL_H

#include "yaml_writer.h"

typedef enum mg_yaml_style { MG_YAML_PLAIN, MG_YAML_SINGLE, MG_YAML_DOUBLE } mg_yaml_style;

/* A string as code points: columns are counted in them. */
typedef struct mg_yaml_text {
    uint32_t *c; /* [n] */
    size_t n;
    bool is_multiline;
} mg_yaml_text;

bool mg_yaml_is_break(uint32_t c);

/* The quotes that `t` (in UTF-8: `text`) needs. */
mg_yaml_style mg_yaml_choose_style(const mg_yaml_text *t, const char *text);

#endif
