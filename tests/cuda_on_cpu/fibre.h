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

#if defined(__x86_64__)
extern "C" __attribute__((visibility("hidden"))) void mg_sim_switch(void **save_sp, void *sp);
#endif

/* Goes on in `to`; returns when somebody switches back to `from`, which is the running one. The first call of
 * a new fibre is fibre_arrived. */
#if defined(__x86_64__) && !defined(MG_SIM_ASAN) && !defined(MG_SIM_TSAN)
#define MG_SIM_BARE /* nobody has to be told */
inline void fibre_switch(fibre *from, fibre *to)
{
    mg_sim_switch(&from->sp, to->sp);
}
inline void fibre_arrived(fibre *) {}
#else
void fibre_switch(fibre *from, fibre *to);
void fibre_arrived(fibre *here);
#endif

/* True if `address` is in the guard page below a fibre's stack. */
bool fibre_overflowed(const void *address);

} // namespace sim

#endif
