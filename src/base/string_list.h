/* A list of strings that somebody else owns. */
#ifndef MG_STRING_LIST_H
#define MG_STRING_LIST_H

#include <stdint.h>

typedef struct mg_strings {
    const char **item; /* [n], borrowed */
    int64_t n;
} mg_strings;

#endif
