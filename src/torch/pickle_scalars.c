/* Opcodes that push one number, text or name. */
#include "pickle_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static mg_status push_integer(mg_pickle_machine *m, int64_t i)
{
    mg_pickle_value *v;

    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_INT));
    v->integer = i;
    return MG_OK;
}

mg_status mg_pickle_push_boolean(mg_pickle_machine *m, bool b)
{
    mg_pickle_value *v;

    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_BOOL));
    v->boolean = b;
    return MG_OK;
}

static mg_status push_text(mg_pickle_machine *m, mg_pickle_kind kind, const void *data, size_t n)
{
    mg_pickle_value *v;

    MG_RETURN(mg_pickle_store_text(m->store, &v, kind, data, n));
    return mg_pickle_push(m, v);
}

mg_status mg_pickle_push_counted(mg_pickle_machine *m, mg_pickle_kind kind, int width)
{
    const uint8_t *p;
    uint64_t n;

    MG_RETURN(mg_pickle_read_uint(m, &n, width));
    MG_RETURN(mg_pickle_read_bytes(m, &p, n));
    return push_text(m, kind, p, (size_t)n);
}

mg_status mg_pickle_push_long(mg_pickle_machine *m, int width)
{
    const uint8_t *p;
    uint64_t n, bits = 0;

    MG_RETURN(mg_pickle_read_uint(m, &n, width));
    MG_RETURN(mg_pickle_read_bytes(m, &p, n));
    if (n > 8) return push_text(m, MG_PICKLE_LONG, p, (size_t)n);
    if (n && p[n - 1] & 0x80) bits = ~(uint64_t)0;
    for (uint64_t i = n; i-- > 0;) bits = bits << 8 | p[i];
    return push_integer(m, (int64_t)bits);
}

mg_status mg_pickle_push_number_line(mg_pickle_machine *m, char opcode)
{
    const char *line;
    char text[64], *end;
    size_t n;

    MG_RETURN(mg_pickle_read_line(m, &line, &n));
    if (n >= sizeof text) return mg_pickle_bad(m, "a number that is too long");
    memcpy(text, line, n);
    text[n] = '\0';
    if (opcode == 'I' && (!strcmp(text, "00") || !strcmp(text, "01")))
        return mg_pickle_push_boolean(m, text[1] == '1');
    if (opcode == 'L' && n && text[n - 1] == 'L') text[n - 1] = '\0';
    errno = 0;
    if (opcode == 'F') {
        mg_pickle_value *v;
        const double number = strtod(text, &end);
        if (end == text || *end) return mg_pickle_bad(m, "not a number");
        MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_FLOAT));
        v->number = number;
        return MG_OK;
    }
    const long long i = strtoll(text, &end, 10);
    if (end == text || *end || errno) return mg_pickle_bad(m, "not an integer of 64 bits");
    return push_integer(m, i);
}

mg_status mg_pickle_push_big_endian_double(mg_pickle_machine *m)
{
    const uint8_t *p;
    mg_pickle_value *v;
    uint64_t bits = 0;

    MG_RETURN(mg_pickle_read_bytes(m, &p, 8));
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_FLOAT));
    memcpy(&v->number, &bits, sizeof bits);
    return MG_OK;
}

mg_status mg_pickle_push_quoted_line(mg_pickle_machine *m)
{
    const char *line;
    size_t n;

    MG_RETURN(mg_pickle_read_line(m, &line, &n));
    if (n < 2 || (line[0] != '\'' && line[0] != '"') || line[n - 1] != line[0])
        return mg_pickle_bad(m, "a string without quotes");
    return push_text(m, MG_PICKLE_STRING, line + 1, n - 2);
}

mg_status mg_pickle_push_text_line(mg_pickle_machine *m, mg_pickle_kind kind)
{
    const char *line;
    size_t n;

    MG_RETURN(mg_pickle_read_line(m, &line, &n));
    return push_text(m, kind, line, n);
}

static mg_status push_global(mg_pickle_machine *m, const char *module, size_t n_module, const char *name,
                             size_t n_name)
{
    mg_pickle_value *a, *b, *v;

    MG_RETURN(mg_pickle_store_text(m->store, &a, MG_PICKLE_STRING, module, n_module));
    MG_RETURN(mg_pickle_store_text(m->store, &b, MG_PICKLE_STRING, name, n_name));
    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_GLOBAL));
    v->global.module = a->text.data;
    v->global.name = b->text.data;
    return MG_OK;
}

mg_status mg_pickle_push_global_lines(mg_pickle_machine *m)
{
    const char *module, *name;
    size_t n_module, n_name;

    MG_RETURN(mg_pickle_read_line(m, &module, &n_module));
    MG_RETURN(mg_pickle_read_line(m, &name, &n_name));
    return push_global(m, module, n_module, name, n_name);
}

mg_status mg_pickle_push_stack_global(mg_pickle_machine *m)
{
    mg_pickle_value *module, *name;

    MG_RETURN(mg_pickle_pop(m, &name));
    MG_RETURN(mg_pickle_pop(m, &module));
    if (module->kind != MG_PICKLE_STRING || name->kind != MG_PICKLE_STRING)
        return mg_pickle_bad(m, "a global without a name");
    return push_global(m, module->text.data, module->text.n, name->text.data, name->text.n);
}

mg_status mg_pickle_push_uint(mg_pickle_machine *m, int width)
{
    uint64_t u;

    MG_RETURN(mg_pickle_read_uint(m, &u, width));
    return push_integer(m, width == 4 ? (int64_t)(int32_t)(uint32_t)u : (int64_t)u);
}
