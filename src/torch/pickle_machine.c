/* What the opcodes work on: the bytes, the stack with its marks, the memo. */
#include "pickle_machine.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { STACK_LIMIT = 1 << 22 };

mg_status mg_pickle_bad(const mg_pickle_machine *m, const char *what)
{
    return mg_fail(MG_ECHECKPOINT, "%s: pickle, byte %zu: %s: the file is damaged or not a checkpoint",
                   m->name, m->at, what);
}

mg_status mg_pickle_read_bytes(mg_pickle_machine *m, const uint8_t **out, uint64_t n)
{
    *out = m->data + m->at;
    if (n > m->n_bytes - m->at) return mg_pickle_bad(m, "it ends in the middle of a value");
    m->at += (size_t)n;
    return MG_OK;
}

/* A little-endian unsigned integer of n bytes. */
mg_status mg_pickle_read_uint(mg_pickle_machine *m, uint64_t *out, int n)
{
    const uint8_t *p;

    MG_RETURN(mg_pickle_read_bytes(m, &p, (uint64_t)n));
    *out = 0;
    for (int i = n - 1; i >= 0; i--) *out = *out << 8 | p[i];
    return MG_OK;
}

/* Up to the newline, which is dropped. */
mg_status mg_pickle_read_line(mg_pickle_machine *m, const char **out, size_t *n)
{
    const uint8_t *begin = m->data + m->at;
    const uint8_t *end = memchr(begin, '\n', m->n_bytes - m->at);

    *out = (const char *)begin;
    *n = 0;
    if (!end) return mg_pickle_bad(m, "a line without an end");
    *n = (size_t)(end - begin);
    m->at += *n + 1;
    return MG_OK;
}

mg_status mg_pickle_push(mg_pickle_machine *m, mg_pickle_value *v)
{
    if (m->stack.n >= STACK_LIMIT) return mg_pickle_bad(m, "too many values on the stack");
    return mg_pickle_store_push(m->store, &m->stack, v);
}

mg_status mg_pickle_push_new(mg_pickle_machine *m, mg_pickle_value **out, mg_pickle_kind kind)
{
    MG_RETURN(mg_pickle_store_value(m->store, out, kind));
    return mg_pickle_push(m, *out);
}

size_t mg_pickle_floor_of(const mg_pickle_machine *m)
{
    return m->n_marks ? m->mark[m->n_marks - 1] : 0;
}

mg_status mg_pickle_pop(mg_pickle_machine *m, mg_pickle_value **out)
{
    *out = NULL;
    if (m->stack.n <= mg_pickle_floor_of(m)) return mg_pickle_bad(m, "nothing on the stack");
    *out = m->stack.item[--m->stack.n];
    return MG_OK;
}

mg_status mg_pickle_top(mg_pickle_machine *m, mg_pickle_value **out)
{
    *out = NULL;
    if (m->stack.n <= mg_pickle_floor_of(m)) return mg_pickle_bad(m, "nothing on the stack");
    *out = m->stack.item[m->stack.n - 1];
    return MG_OK;
}

mg_status mg_pickle_push_mark(mg_pickle_machine *m)
{
    if (m->n_marks >= MG_PICKLE_MARK_LIMIT) return mg_pickle_bad(m, "too many open marks");
    m->mark[m->n_marks++] = m->stack.n;
    return MG_OK;
}

/* The values above the last mark, which goes away with them. */
mg_status mg_pickle_pop_to_mark(mg_pickle_machine *m, mg_pickle_value ***first, size_t *n)
{
    *first = NULL;
    *n = 0;
    if (!m->n_marks) return mg_pickle_bad(m, "no mark");
    const size_t height = m->mark[--m->n_marks];
    *first = m->stack.item ? m->stack.item + height : NULL;
    *n = m->stack.n - height;
    m->stack.n = height;
    return MG_OK;
}

mg_status mg_pickle_memo_put(mg_pickle_machine *m, uint64_t i)
{
    mg_pickle_value *v;

    MG_RETURN(mg_pickle_top(m, &v));
    /* each entry takes a byte of the pickle at least: this bounds the memo by the file */
    if (i >= m->n_bytes) return mg_pickle_bad(m, "a memo entry too far");
    if (i >= m->memo_capacity) {
        const size_t before = m->memo_capacity;
        MG_RETURN(mg_grow(&m->memo, &m->memo_capacity, (size_t)i + 1, sizeof *m->memo, m->name));
        memset(m->memo + before, 0, (m->memo_capacity - before) * sizeof *m->memo);
    }
    if (i >= m->n_memo) m->n_memo = (size_t)i + 1;
    m->memo[i] = v;
    return MG_OK;
}

mg_status mg_pickle_memo_get(mg_pickle_machine *m, uint64_t i)
{
    if (i >= m->n_memo || !m->memo[i]) return mg_pickle_bad(m, "a memo entry that was never set");
    return mg_pickle_push(m, m->memo[i]);
}
