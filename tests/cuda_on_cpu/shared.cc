/* A block's shared memory, and copies into it that go on while their thread does. */
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "tsan.h"

namespace sim
{

enum { BESIDE_DYNAMIC = 256 }; /* MG_OWN_SHARED of kernels/cuda/cuda_context.cuh */

/* Exactly that many bytes, all 0xff: NaN, and -1 as an index. */
void *take_shared(block *b, size_t bytes, size_t align)
{
#ifdef MG_SIM_ASAN
    void *p = malloc(bytes);
    (void)b, (void)align;
#else
    b->shelf_used = (b->shelf_used + align - 1) / align * align;
    void *p = b->shelf + b->shelf_used;
    b->shelf_used += bytes;
    if (b->shelf_used > SHELF_BYTES) fail("more than %d bytes of shared memory", SHELF_BYTES);
#endif
    quiet_fill(p, 0xff, bytes);
    return p;
}

void *shared(const void *key, size_t bytes, size_t align)
{
    block *b = static_cast<thread *>(self)->home;

    size_t all = bytes;
    for (unsigned i = 0; i < b->n_pieces; i++) {
        if (b->pieces[i].key == key) return b->pieces[i].data;
        all += b->pieces[i].bytes;
    }
    if (b->n_pieces == MAX_PIECES) fail("more than %d names of shared memory", MAX_PIECES);
    if (all > 48 * 1024) fail("%zu bytes of static shared memory, 49152 are allowed", all);
    if (b->dynamic && all > BESIDE_DYNAMIC)
        fail("%zu bytes of static shared memory beside dynamic: MG_OWN_SHARED says less", all);
    b->pieces[b->n_pieces] = {key, take_shared(b, bytes, align < 16 ? 16 : align), bytes};
    return b->pieces[b->n_pieces++].data;
}

void *dynamic_shared()
{
    block *b = static_cast<thread *>(self)->home;

    if (!b->dynamic) fail("MG_DYNAMIC_SHARED in a launch without dynamic shared memory");
    return b->dynamic;
}

/* A call and no instructions, so that sanitizers see the copy, which do not look at this file. */
static void copy_in_sight(void *dst, const void *src)
{
#if defined(MG_SIM_ASAN) || defined(MG_SIM_TSAN)
    static void *(*volatile const copy)(void *, const void *, size_t) = memcpy;

    copy(dst, src, 16);
#else
    memcpy(dst, src, 16);
#endif
}

void cp_async16(void *dst, const void *src)
{
    thread *t = static_cast<thread *>(self);

    if ((reinterpret_cast<uintptr_t>(dst) | reinterpret_cast<uintptr_t>(src)) % 16)
        fail("cp_async16: %p from %p: not aligned to 16 bytes", dst, src);
    if (!t->copies) t->copies = new std::vector<copy16>;
    memset(dst, 0xff, 16); /* not there yet */
    copy16 c = {dst, src, false, run.is_early, {}};
    if (c.is_early) copy_in_sight(c.words, src);
    t->copies->push_back(c);
}

void cp_async_commit()
{
    thread *t = static_cast<thread *>(self);

    if (!t->copies) t->copies = new std::vector<copy16>;
    if (t->copies->empty() || t->copies->back().last)
        t->copies->push_back({nullptr, nullptr, true, false, {}});
    else
        t->copies->back().last = true;
    t->n_groups++;
}

void cp_async_wait(int n_left)
{
    thread *t = static_cast<thread *>(self);
    size_t done = 0;

    while (t->n_groups > static_cast<unsigned>(n_left)) {
        const copy16 &c = (*t->copies)[done++];
        if (c.dst) copy_in_sight(c.dst, c.is_early ? c.words : c.src);
        if (c.last) t->n_groups--;
    }
    if (done) t->copies->erase(t->copies->begin(), t->copies->begin() + static_cast<long>(done));
}

} // namespace sim
