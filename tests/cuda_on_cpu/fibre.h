/* Fibres: stacks that take turns on one OS thread. */
#ifndef MG_SIM_FIBRE_H
#define MG_SIM_FIBRE_H

#include <stddef.h>

namespace sim
{

struct fibre {
    void *sp = nullptr;     /* of a fibre that waits */
    char *bottom = nullptr; /* lowest address of its stack */
    size_t stack_bytes = 0;
    void *fake = nullptr; /* AddressSanitizer's fake stack */
    void *tsan = nullptr; /* ThreadSanitizer's idea of it */
    fibre *next_free = nullptr;
};

/* A fibre that starts in `entry`, which never returns. Kept for ever. */
fibre *fibre_open(void (*entry)());

/* The stack that this host thread began with; filled at the first switch. */
fibre *fibre_main();

/* Goes on in `to`; returns when somebody switches back to `from`, which is the running one. */
void fibre_switch(fibre *from, fibre *to);

/* First call of a new fibre. */
void fibre_arrived(fibre *here);

/* True if `address` is in the guard page below a fibre's stack. */
bool fibre_overflowed(const void *address);

} // namespace sim

#endif
