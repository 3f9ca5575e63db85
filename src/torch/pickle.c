/* The pickle machine's opcodes: sequences, names of classes, constructions. Nothing is called.
 *
 * By hand: no C library reads a pickle without running what it names. */
#include "pickle.h"

#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"

static mg_status push_sequence(mg_pickle_machine *m, mg_pickle_kind kind, mg_pickle_value **item, size_t n)
{
    mg_pickle_value *v;

    if (kind == MG_PICKLE_DICT && n % 2) return mg_pickle_bad(m, "a dict with a key but no value");
    MG_RETURN(mg_pickle_store_value(m->store, &v, kind));
    for (size_t i = 0; i < n; i++) MG_RETURN(mg_pickle_store_push(m->store, &v->items, item[i]));
    return mg_pickle_push(m, v);
}

/* The last n values of the stack become a tuple. */
static mg_status push_tuple_of(mg_pickle_machine *m, size_t n)
{
    if (m->stack.n - mg_pickle_floor_of(m) < n) return mg_pickle_bad(m, "nothing on the stack");
    m->stack.n -= n;
    return push_sequence(m, MG_PICKLE_TUPLE, m->stack.item + m->stack.n, n);
}

static mg_status push_marked(mg_pickle_machine *m, mg_pickle_kind kind)
{
    mg_pickle_value **first;
    size_t n;

    MG_RETURN(mg_pickle_pop_to_mark(m, &first, &n));
    return push_sequence(m, kind, first, n);
}

static mg_status add_items(mg_pickle_machine *m, mg_pickle_value **item, size_t n, bool pairs)
{
    mg_pickle_value *target;
    mg_pickle_items *to;

    MG_RETURN(mg_pickle_top(m, &target));
    if (pairs && n % 2) return mg_pickle_bad(m, "a key without a value");
    if (target->kind == MG_PICKLE_OBJECT)
        to = &target->object.items;
    else if (target->kind == MG_PICKLE_DICT && pairs)
        to = &target->items;
    else if ((target->kind == MG_PICKLE_LIST || target->kind == MG_PICKLE_SET) && !pairs)
        to = &target->items;
    else
        return mg_pickle_bad(m, "items for something that holds none");
    for (size_t i = 0; i < n; i++) MG_RETURN(mg_pickle_store_push(m->store, to, item[i]));
    return MG_OK;
}

static mg_status add_top(mg_pickle_machine *m, size_t n, bool pairs)
{
    if (m->stack.n - mg_pickle_floor_of(m) < n + 1) return mg_pickle_bad(m, "nothing on the stack");
    m->stack.n -= n;
    return add_items(m, m->stack.item + m->stack.n, n, pairs);
}

static mg_status add_marked(mg_pickle_machine *m, bool pairs)
{
    mg_pickle_value **first;
    size_t n;

    MG_RETURN(mg_pickle_pop_to_mark(m, &first, &n));
    return add_items(m, first, n, pairs);
}

/* REDUCE, NEWOBJ: record the construction. The dicts of `collections` are simply dicts. */
static mg_status push_object(mg_pickle_machine *m, mg_pickle_value *callable, mg_pickle_value *args)
{
    mg_pickle_value *v;

    if (args->kind != MG_PICKLE_TUPLE) return mg_pickle_bad(m, "arguments that are no tuple");
    if (mg_pickle_is_global(callable, "collections", "OrderedDict") ||
        mg_pickle_is_global(callable, "collections", "defaultdict"))
        return mg_pickle_push_new(m, &v, MG_PICKLE_DICT);
    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_OBJECT));
    v->object.callable = callable;
    v->object.args = args;
    return MG_OK;
}

static mg_status reduce(mg_pickle_machine *m, bool with_keywords)
{
    mg_pickle_value *callable, *args, *keywords;

    if (with_keywords) MG_RETURN(mg_pickle_pop(m, &keywords));
    MG_RETURN(mg_pickle_pop(m, &args));
    MG_RETURN(mg_pickle_pop(m, &callable));
    return push_object(m, callable, args);
}

/* OBJ: mark, callable, arguments. INST: module and name lines, marked arguments. */
static mg_status push_old_object(mg_pickle_machine *m, bool named)
{
    mg_pickle_value *callable, *args, **first;
    size_t n;

    if (named) MG_RETURN(mg_pickle_push_global_lines(m));
    if (named) MG_RETURN(mg_pickle_pop(m, &callable));
    MG_RETURN(mg_pickle_pop_to_mark(m, &first, &n));
    if (!named) {
        if (!n) return mg_pickle_bad(m, "an object without a class");
        callable = *first++, n--;
    }
    MG_RETURN(push_sequence(m, MG_PICKLE_TUPLE, first, n));
    MG_RETURN(mg_pickle_pop(m, &args));
    return push_object(m, callable, args);
}

static mg_status build(mg_pickle_machine *m)
{
    mg_pickle_value *state, *target;

    MG_RETURN(mg_pickle_pop(m, &state));
    MG_RETURN(mg_pickle_top(m, &target));
    if (target->kind == MG_PICKLE_OBJECT) target->object.state = state; /* others: attributes nobody needs */
    return MG_OK;
}

static mg_status push_persistent(mg_pickle_machine *m, bool from_line)
{
    mg_pickle_value *id, *v;

    if (from_line) MG_RETURN(mg_pickle_push_text_line(m, MG_PICKLE_STRING));
    MG_RETURN(mg_pickle_pop(m, &id));
    MG_RETURN(mg_pickle_push_new(m, &v, MG_PICKLE_PERSISTENT));
    v->persistent = id;
    return mg_pickle_store_push(m->store, &m->store->persistents, v);
}

static mg_status put_or_get_line(mg_pickle_machine *m, bool put)
{
    mg_pickle_value *number;

    MG_RETURN(mg_pickle_push_number_line(m, 'I'));
    number = m->stack.item[--m->stack.n];
    if (number->kind != MG_PICKLE_INT || number->integer < 0)
        return mg_pickle_bad(m, "a memo entry without a number");
    return put ? mg_pickle_memo_put(m, (uint64_t)number->integer)
               : mg_pickle_memo_get(m, (uint64_t)number->integer);
}

static mg_status put_or_get(mg_pickle_machine *m, bool put, int width)
{
    uint64_t i;

    MG_RETURN(mg_pickle_read_uint(m, &i, width));
    return put ? mg_pickle_memo_put(m, i) : mg_pickle_memo_get(m, i);
}

static mg_status skip(mg_pickle_machine *m, uint64_t n)
{
    const uint8_t *p;

    return mg_pickle_read_bytes(m, &p, n);
}

/* One opcode; names as in pickletools. */
static mg_status step(mg_pickle_machine *m, uint8_t opcode)
{
    mg_pickle_value *v, **first;
    size_t n;

    switch (opcode) {
    case '(': return mg_pickle_push_mark(m);
    case '0': return mg_pickle_pop(m, &v);
    case '1': return mg_pickle_pop_to_mark(m, &first, &n);
    case '2': MG_RETURN(mg_pickle_top(m, &v)); return mg_pickle_push(m, v);
    case 'F':
    case 'I':
    case 'L': return mg_pickle_push_number_line(m, (char)opcode);
    case 'J': return mg_pickle_push_uint(m, 4);
    case 'K': return mg_pickle_push_uint(m, 1);
    case 'M': return mg_pickle_push_uint(m, 2);
    case 0x8a: return mg_pickle_push_long(m, 1);
    case 0x8b: return mg_pickle_push_long(m, 4);
    case 'G': return mg_pickle_push_big_endian_double(m);
    case 'N': return mg_pickle_push_new(m, &v, MG_PICKLE_NONE);
    case 0x88: return mg_pickle_push_boolean(m, true);
    case 0x89: return mg_pickle_push_boolean(m, false);
    case 'S': return mg_pickle_push_quoted_line(m);
    case 'V': return mg_pickle_push_text_line(m, MG_PICKLE_STRING);
    case 'U':
    case 0x8c: return mg_pickle_push_counted(m, MG_PICKLE_STRING, 1);
    case 'T':
    case 'X': return mg_pickle_push_counted(m, MG_PICKLE_STRING, 4);
    case 0x8d: return mg_pickle_push_counted(m, MG_PICKLE_STRING, 8);
    case 'C': return mg_pickle_push_counted(m, MG_PICKLE_BYTES, 1);
    case 'B': return mg_pickle_push_counted(m, MG_PICKLE_BYTES, 4);
    case 0x8e:
    case 0x96: return mg_pickle_push_counted(m, MG_PICKLE_BYTES, 8);
    case ')': return mg_pickle_push_new(m, &v, MG_PICKLE_TUPLE);
    case ']': return mg_pickle_push_new(m, &v, MG_PICKLE_LIST);
    case '}': return mg_pickle_push_new(m, &v, MG_PICKLE_DICT);
    case 0x8f: return mg_pickle_push_new(m, &v, MG_PICKLE_SET);
    case 't': return push_marked(m, MG_PICKLE_TUPLE);
    case 'l': return push_marked(m, MG_PICKLE_LIST);
    case 'd': return push_marked(m, MG_PICKLE_DICT);
    case 0x91: return push_marked(m, MG_PICKLE_SET);
    case 0x85: return push_tuple_of(m, 1);
    case 0x86: return push_tuple_of(m, 2);
    case 0x87: return push_tuple_of(m, 3);
    case 'a': return add_top(m, 1, false);
    case 's': return add_top(m, 2, true);
    case 'e':
    case 0x90: return add_marked(m, false);
    case 'u': return add_marked(m, true);
    case 'c': return mg_pickle_push_global_lines(m);
    case 0x93: return mg_pickle_push_stack_global(m);
    case 'R':
    case 0x81: return reduce(m, false);
    case 0x92: return reduce(m, true);
    case 'o': return push_old_object(m, false);
    case 'i': return push_old_object(m, true);
    case 'b': return build(m);
    case 'P': return push_persistent(m, true);
    case 'Q': return push_persistent(m, false);
    case 'p': return put_or_get_line(m, true);
    case 'g': return put_or_get_line(m, false);
    case 'q': return put_or_get(m, true, 1);
    case 'r': return put_or_get(m, true, 4);
    case 'h': return put_or_get(m, false, 1);
    case 'j': return put_or_get(m, false, 4);
    case 0x94: return mg_pickle_memo_put(m, m->n_memo);
    case 0x80: return skip(m, 1);
    case 0x95: return skip(m, 8);
    default: return mg_pickle_bad(m, "an unknown opcode");
    }
}

static mg_status run(mg_pickle_machine *m, const mg_pickle_value **root)
{
    mg_pickle_value *v;

    for (;;) {
        if (m->at >= m->n_bytes) return mg_pickle_bad(m, "it ends without a STOP");
        const uint8_t opcode = m->data[m->at++];
        if (opcode == '.') break;
        MG_RETURN(step(m, opcode));
    }
    MG_RETURN(mg_pickle_pop(m, &v));
    *root = v;
    return MG_OK;
}

mg_status mg_pickle_read(mg_pickle **store, const mg_pickle_value **root, const char *name, const void *data,
                         size_t bytes, size_t *consumed)
{
    mg_status st = MG_OK;
    mg_pickle_machine m = {.name = name, .data = data, .n_bytes = bytes};

    *root = NULL;
    if (!*store) *store = calloc(1, sizeof **store);
    m.store = *store;
    m.mark = malloc(MG_PICKLE_MARK_LIMIT * sizeof *m.mark);
    if (!m.store || !m.mark) MG_TRY(mg_fail(MG_ENOMEM, "%s: pickle: out of memory", name));
    MG_TRY(run(&m, root));
    if (consumed) *consumed = m.at;
done:
    free(m.mark);
    free(m.memo);
    return st;
}
