/* A table of slots that stands before a backend's, in a test, has all that ops.h wants: without this a slot
 * that is new there, and is forgotten here, is a call of NULL. */
#ifndef SLOTS_H
#define SLOTS_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops.h"

/* Those that may be NULL, as the comments of mg_ops_iface say. */
static const size_t slots_optional[] = {
    offsetof(mg_ops_iface, open_reader), offsetof(mg_ops_iface, pin),
    offsetof(mg_ops_iface, unpin),       offsetof(mg_ops_iface, fetch),
    offsetof(mg_ops_iface, fetched),     offsetof(mg_ops_iface, tune),
    offsetof(mg_ops_iface, step_begin),  offsetof(mg_ops_iface, step_end),
    offsetof(mg_ops_iface, step_forget), offsetof(mg_ops_iface, norm_linear),
    offsetof(mg_ops_iface, linear_add),  offsetof(mg_ops_iface, attention_linear)};

static inline bool slots_may_lack(size_t at)
{
    for (size_t i = 0; i < sizeof slots_optional / sizeof *slots_optional; i++)
        if (slots_optional[i] == at) return true;
    return false;
}

/* The first one that is missing is told by its number: the names are not known here. */
static inline mg_status slots_check(const char *who, const mg_ops_iface *table)
{
    enum { SLOT = sizeof table->alloc };

    for (size_t at = 0; at < sizeof *table; at += SLOT) {
        void (*slot)(void);
        memcpy(&slot, (const char *)table + at, SLOT);
        if (!slot && !slots_may_lack(at))
            return mg_fail(MG_EBUG, "%s: slot %zu of mg_ops_iface (ops.h) is missing", who, at / SLOT + 1);
    }
    return MG_OK;
}

static inline void slots_need(const char *who, const mg_ops_iface *table)
{
    if (slots_check(who, table) == MG_OK) return;
    fprintf(stderr, "%s\n", mg_last_error());
    abort();
}

#endif
