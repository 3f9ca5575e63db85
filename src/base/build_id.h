/* Which build of the program this is: two with the same text compute the same bytes. */
#ifndef MG_BUILD_ID_H
#define MG_BUILD_ID_H

/* The linker's build id of the running program in hex, a hash of its whole code; "none" if it has none. */
const char *mg_build_id(void);

#endif
