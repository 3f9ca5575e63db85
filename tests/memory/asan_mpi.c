/* Linked into every program of the AddressSanitizer build that has ranks: what Open MPI allocates when it
 * starts and ends is its own, not a leak of ours. Its threads' is known by its libraries (asan_defaults.c).
 */
#include <dlfcn.h>
#include <mpi.h>
#include <sanitizer/lsan_interface.h>

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    __lsan_disable();
    const int code = PMPI_Init_thread(argc, argv, required, provided);
    __lsan_enable();
    return code;
}

int MPI_Finalize(void)
{
    __lsan_disable();
    const int code = PMPI_Finalize();
    __lsan_enable();
    return code;
}

/* A library that is gone has no name in a report, and could not be known by it. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
