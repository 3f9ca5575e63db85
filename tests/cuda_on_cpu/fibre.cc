/* Switching by a few instructions on x86-64, by ucontext elsewhere (20 times slower, same results). */
#include "fibre.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <mutex>
#include <vector>

#ifdef MG_SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef MG_SIM_TSAN
extern "C" {
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
}
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace sim
{

enum { STACK_BYTES = 64 * 1024, PAGE_BYTES = 4096 };

static std::vector<fibre *> &all()
{
    static std::vector<fibre *> *list = new std::vector<fibre *>; /* for ever: leak checkers look late */
    return *list;
}

/* A thread's own fibre is kept when the thread has ended, where leak checkers find it. */
static void keep(fibre *f)
{
    static std::mutex lock;
    static std::vector<fibre *> *list = new std::vector<fibre *>;
    std::lock_guard<std::mutex> hold(lock);

    list->push_back(f);
}

fibre *fibre_main()
{
    static thread_local fibre *f = nullptr;

    if (!f) {
        f = new fibre;
        keep(f);
#if !defined(__x86_64__)
        f->sp = new ucontext_t;
#endif
    }
#ifdef MG_SIM_TSAN
    if (!f->tsan) f->tsan = __tsan_get_current_fiber();
#endif
    return f;
}

fibre *fibre_open(void (*entry)())
{
    fibre *f = new fibre;
    char *map = static_cast<char *>(mmap(nullptr, STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (map == MAP_FAILED || mprotect(map, PAGE_BYTES, PROT_NONE) != 0) {
        fprintf(stderr, "cuda_on_cpu: no memory for the stack of thread %zu\n", all().size());
        abort();
    }
    f->bottom = map + PAGE_BYTES;
    f->stack_bytes = STACK_BYTES;
    /* Stacks that begin at one place of a page would share a few cache sets. */
    char *top = f->bottom + STACK_BYTES - all().size() * 192 % PAGE_BYTES;
    top -= reinterpret_cast<uintptr_t>(top) % 16;
#if defined(__x86_64__)
    void **sp = reinterpret_cast<void **>(top);
    *--sp = nullptr; /* a caller that nobody returns to */
    *--sp = nullptr; /* rbp */
    *--sp = reinterpret_cast<void *>(entry);
    f->sp = sp;
#else
    ucontext_t *u = new ucontext_t;
    getcontext(u);
    u->uc_stack.ss_sp = f->bottom;
    u->uc_stack.ss_size = static_cast<size_t>(top - f->bottom);
    makecontext(u, entry, 0);
    f->sp = u;
#endif
#ifdef MG_SIM_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    all().push_back(f);
    return f;
}

#ifndef MG_SIM_BARE
/* Where the running fibre came from: AddressSanitizer tells the bounds of a stack only to who leaves it. */
static fibre *came_from;

void fibre_arrived(fibre *here)
{
#ifdef MG_SIM_ASAN
    const void *bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(here->fake, &bottom, &bytes);
    if (came_from && came_from == fibre_main()) {
        came_from->bottom = static_cast<char *>(const_cast<void *>(bottom));
        came_from->stack_bytes = bytes;
    }
#else
    (void)here;
#endif
}

void fibre_switch(fibre *from, fibre *to)
{
    came_from = from;
#ifdef MG_SIM_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->stack_bytes);
#endif
#ifdef MG_SIM_TSAN
    __tsan_switch_to_fiber(to->tsan, 1); /* 1: a switch is no synchronisation */
#endif
#if defined(__x86_64__)
    switch_stacks(&from->sp, to->sp);
#else
    swapcontext(static_cast<ucontext_t *>(from->sp), static_cast<ucontext_t *>(to->sp));
#endif
    fibre_arrived(from);
}
#endif

bool fibre_overflowed(const void *address)
{
    const char *p = static_cast<const char *>(address);

    for (const fibre *f : all())
        if (p >= f->bottom - PAGE_BYTES && p < f->bottom) return true;
    return false;
}

} // namespace sim
