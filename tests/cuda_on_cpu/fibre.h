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

#define MG_SIM_IN_PLACE inline __attribute__((always_inline))

#if defined(__x86_64__)
/* Below the red zone of whoever it stands in. A jump, in place: a processor foresees where its calls return
 * to, and is wrong about each one that returns on another stack. */
MG_SIM_IN_PLACE void switch_stacks(void **save_sp, void *sp)
{
    __asm__ volatile("leaq -128(%%rsp),%%rsp\n\t"
                     "leaq 1f(%%rip),%%rax\n\t"
                     "pushq %%rbp; pushq %%rax\n\t"
                     "movq %%rsp,(%0); movq %1,%%rsp\n\t"
                     "popq %%rax; popq %%rbp\n\t"
                     "jmp *%%rax\n"
                     "1:\n\t"
                     "leaq 128(%%rsp),%%rsp"
                     : "+D"(save_sp), "+S"(sp)
                     :
                     : "memory", "cc", "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13",
                       "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                       "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}
#endif

/* Goes on in `to`; returns when somebody switches back to `from`, which is the running one. The first call of
 * a new fibre is fibre_arrived. */
#if defined(__x86_64__) && !defined(MG_SIM_ASAN) && !defined(MG_SIM_TSAN)
#define MG_SIM_BARE /* nobody has to be told */
MG_SIM_IN_PLACE void fibre_switch(fibre *from, fibre *to)
{
    switch_stacks(&from->sp, to->sp);
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
