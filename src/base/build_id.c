/* Reads the note that the linker left in the program. */
#include "build_id.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ID_BYTES = 32 };

/* Notes are aligned to 4 bytes: a header, the owner's name, the contents. */
static void read_notes(char *out, const char *at, size_t bytes)
{
    const char *end = at + bytes;

    while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        const char *name = at + sizeof note, *data = name + ((note.n_namesz + 3) & ~3u);
        if ((size_t)(end - name) < ((note.n_namesz + 3) & ~3u) + (size_t)note.n_descsz) return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0 &&
            note.n_descsz <= MAX_ID_BYTES)
            for (size_t i = 0; i < note.n_descsz; i++)
                snprintf(out + 2 * i, 3, "%02x", (unsigned)(unsigned char)data[i]);
        at = data + ((note.n_descsz + 3) & ~3u);
    }
}

/* The first object is the program itself. */
static int read_object(struct dl_phdr_info *info, size_t bytes, void *out)
{
    (void)bytes;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_NOTE)
            read_notes(out, (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
                       info->dlpi_phdr[i].p_memsz);
    return 1;
}

const char *mg_build_id(void)
{
    static _Thread_local char id[2 * MAX_ID_BYTES + 1];

    snprintf(id, sizeof id, "none");
    dl_iterate_phdr(read_object, id);
    return id;
}
