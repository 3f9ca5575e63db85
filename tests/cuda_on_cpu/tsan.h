/* The edges that ThreadSanitizer must know of; nothing in other builds. */
#ifndef MG_SIM_TSAN_H
#define MG_SIM_TSAN_H

#include <stddef.h>

#ifdef MG_SIM_TSAN
extern "C" {
void __tsan_acquire(void *address);
void __tsan_release(void *address);
}
#endif

namespace sim
{

#ifdef MG_SIM_TSAN
constexpr bool TSAN = true;
inline void tsan_acquire(void *p)
{
    __tsan_acquire(p);
}
inline void tsan_release(void *p)
{
    __tsan_release(p);
}
#else
constexpr bool TSAN = false;
inline void tsan_acquire(void *) {}
inline void tsan_release(void *) {}
#endif

/* memset that no sanitizer intercepts. */
inline void quiet_fill(void *p, int value, size_t bytes)
{
#if defined(__x86_64__)
    __asm__ volatile("rep stosb" : "+D"(p), "+c"(bytes) : "a"(value) : "memory");
#else
    volatile unsigned char *b = static_cast<volatile unsigned char *>(p);
    for (size_t i = 0; i < bytes; i++) b[i] = static_cast<unsigned char>(value);
#endif
}

} // namespace sim

#endif
