/* The pickle machine: its bytes, stack, marks and memo, and the steps that push one value. Private to
 * pickle.c and its parts. Every step fails with MG_ECHECKPOINT on input that makes no sense, by way of
 * mg_pickle_bad. */
#ifndef MG_PICKLE_MACHINE_H
#define MG_PICKLE_MACHINE_H

#include "pickle_store.h"

enum { MG_PICKLE_MARK_LIMIT = 1 << 16 };

typedef struct mg_pickle_machine {
    mg_pickle *store;
    const char *name;
    const uint8_t *data;
    size_t n_bytes, at;
    mg_pickle_items stack;
    mg_pickle_value **memo; /* [n_memo], holes are NULL */
    size_t n_memo, memo_capacity;
    size_t *mark; /* [n_marks] heights of the stack */
    size_t n_marks;
} mg_pickle_machine;

mg_status mg_pickle_bad(const mg_pickle_machine *m, const char *what);
mg_status mg_pickle_read_bytes(mg_pickle_machine *m, const uint8_t **out, uint64_t n);
/* A little-endian unsigned integer of n bytes. */
mg_status mg_pickle_read_uint(mg_pickle_machine *m, uint64_t *out, int n);
/* Up to the newline, which is dropped. */
mg_status mg_pickle_read_line(mg_pickle_machine *m, const char **out, size_t *n);
mg_status mg_pickle_push(mg_pickle_machine *m, mg_pickle_value *v);
mg_status mg_pickle_push_new(mg_pickle_machine *m, mg_pickle_value **out, mg_pickle_kind kind);
/* What lies below the last mark is out of reach. */
size_t mg_pickle_floor_of(const mg_pickle_machine *m);
mg_status mg_pickle_pop(mg_pickle_machine *m, mg_pickle_value **out);
mg_status mg_pickle_top(mg_pickle_machine *m, mg_pickle_value **out);
mg_status mg_pickle_push_mark(mg_pickle_machine *m);
/* The values above the last mark, which goes away with them. */
mg_status mg_pickle_pop_to_mark(mg_pickle_machine *m, mg_pickle_value ***first, size_t *n);
mg_status mg_pickle_memo_put(mg_pickle_machine *m, uint64_t i);
mg_status mg_pickle_memo_get(mg_pickle_machine *m, uint64_t i);

mg_status mg_pickle_push_boolean(mg_pickle_machine *m, bool b);
/* A length of `width` bytes, then that many bytes. */
mg_status mg_pickle_push_counted(mg_pickle_machine *m, mg_pickle_kind kind, int width);
/* LONG1, LONG4: two's complement, little-endian, of any length. */
mg_status mg_pickle_push_long(mg_pickle_machine *m, int width);
/* Protocol 0's numbers are lines of text: INT (also 00, 01 for False, True), LONG (ends in L), FLOAT. */
mg_status mg_pickle_push_number_line(mg_pickle_machine *m, char opcode);
mg_status mg_pickle_push_big_endian_double(mg_pickle_machine *m);
/* STRING: a quoted line. Escapes stay as they are: torch writes none. */
mg_status mg_pickle_push_quoted_line(mg_pickle_machine *m);
mg_status mg_pickle_push_text_line(mg_pickle_machine *m, mg_pickle_kind kind);
mg_status mg_pickle_push_global_lines(mg_pickle_machine *m);
mg_status mg_pickle_push_stack_global(mg_pickle_machine *m);
mg_status mg_pickle_push_uint(mg_pickle_machine *m, int width);

#endif
