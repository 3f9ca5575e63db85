/* A Python pickle, read as data and never executed: no name in it is looked up, no callable is called. What
 * pickle calls a global becomes its two names, and what it would construct becomes a record of what was to be
 * called, on what.
 *
 * The graph may be cyclic (omegaconf's `_parent`): it lives in one store and is freed at once. Hostile input
 * costs an error: the bytes of the store, the stack and the memo have limits. Format: CPython's
 * Lib/pickletools.py, protocols 0 to 5. */
#ifndef MG_PICKLE_H
#define MG_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

typedef enum mg_pickle_kind {
    MG_PICKLE_NONE,
    MG_PICKLE_BOOL,
    MG_PICKLE_INT,
    MG_PICKLE_LONG, /* beyond 64 bits: its little-endian bytes, as text */
    MG_PICKLE_FLOAT,
    MG_PICKLE_STRING,
    MG_PICKLE_BYTES,
    MG_PICKLE_TUPLE,
    MG_PICKLE_LIST,
    MG_PICKLE_SET,
    MG_PICKLE_DICT,       /* also collections.OrderedDict and defaultdict */
    MG_PICKLE_GLOBAL,     /* a name, such as torch.FloatStorage */
    MG_PICKLE_OBJECT,     /* the record of a construction */
    MG_PICKLE_PERSISTENT, /* a reference outside: torch's storages */
} mg_pickle_kind;

typedef struct mg_pickle_value mg_pickle_value;

typedef struct mg_pickle_items {
    mg_pickle_value **item; /* [n]; of a dict: key, value, key, value … */
    size_t n, capacity;
} mg_pickle_items;

struct mg_pickle_value {
    mg_pickle_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *data; /* NUL-terminated, but may hold NUL */
            size_t n;
        } text;                /* STRING, BYTES, LONG */
        mg_pickle_items items; /* TUPLE, LIST, SET, DICT */
        struct {
            const char *module, *name;
        } global;
        struct {
            mg_pickle_value *callable, *args; /* a GLOBAL as a rule; a TUPLE */
            mg_pickle_value *state;           /* of BUILD, or NULL */
            mg_pickle_items items;            /* what was appended or set on it */
        } object;
        mg_pickle_value *persistent; /* the id */
    };
};

typedef struct mg_pickle mg_pickle; /* the store of one or more graphs */

/* Read one pickle from `data`. *root is borrowed from the store; *consumed (may be NULL) is where its STOP
 * ends, for files that hold several. `name` is for messages. If *store is NULL a new one is made, else the
 * graph is added to it. MG_ECHECKPOINT if it is malformed, truncated or over a limit: the store stays valid
 * and is the caller's to close. */
mg_status mg_pickle_read(mg_pickle **store, const mg_pickle_value **root, const char *name, const void *data,
                         size_t bytes, size_t *consumed);
void mg_pickle_close(mg_pickle *store);

/* Every PERSISTENT value read so far, in order. */
const mg_pickle_items *mg_pickle_persistents(const mg_pickle *store);

/* The value under a string key of a DICT; NULL if `v` is no dict or has no such key. The last one set wins.
 */
const mg_pickle_value *mg_pickle_get(const mg_pickle_value *v, const char *key);

bool mg_pickle_is_string(const mg_pickle_value *v, const char *text);
bool mg_pickle_is_global(const mg_pickle_value *v, const char *module, const char *name);

/* True if `v` is a construction whose callable is this global. */
bool mg_pickle_is_object_of(const mg_pickle_value *v, const char *module, const char *name);

#endif
