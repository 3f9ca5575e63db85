#include "arena.h"

#include <stdint.h>

mg_arena mg_arena_measure(const char *name)
{
    return (mg_arena){.name = name, .size_bytes = SIZE_MAX};
}

mg_arena mg_arena_over(const char *name, void *base, size_t size_bytes)
{
    return (mg_arena){.name = name, .base = base, .size_bytes = size_bytes};
}

bool mg_arena_is_measuring(const mg_arena *a)
{
    return !a->base;
}

mg_status mg_arena_take(mg_arena *a, void **out, size_t bytes)
{
    const size_t align = MG_ARENA_ALIGN;
    const size_t room = a->size_bytes - a->used_bytes;

    *out = NULL;
    if (bytes > SIZE_MAX - align) return mg_fail(MG_EFIT, "arena %s: a piece of %zu bytes", a->name, bytes);
    const size_t rounded = (bytes + align - 1) / align * align;
    if (rounded > room)
        return mg_fail(MG_EFIT, "arena %s: %zu bytes asked, %zu of %zu left", a->name, bytes, room,
                       a->size_bytes);
    *out = a->base ? a->base + a->used_bytes : (void *)(uintptr_t)(align + a->used_bytes);
    a->used_bytes += rounded;
    if (a->used_bytes > a->peak_bytes) a->peak_bytes = a->used_bytes;
    return MG_OK;
}
