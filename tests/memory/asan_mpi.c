/* Linked into every program of the AddressSanitizer build that has ranks: what Open MPI allocates when it
 * starts and ends is its own, not a leak of ours, and so is all that its threads allocate. What is left is
 * known by its libraries (asan_defaults.c); but for one such leak LeakSanitizer reads the debugging data of
 * every library when a rank ends, which takes it longer than the clip of a test.
 */
#include <dlfcn.h>
#include <mpi.h>
#include <pthread.h>
#include <sanitizer/lsan_interface.h>
#include <stdbool.h>
#include <stdlib.h>

typedef void *thread_fn(void *);
typedef int create_fn(pthread_t *, const pthread_attr_t *, thread_fn *, void *);

typedef struct own_thread {
    thread_fn *run;
    void *arg;
} own_thread;

static __thread bool in_open_mpi;

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    __lsan_disable();
    in_open_mpi = true;
    const int code = PMPI_Init_thread(argc, argv, required, provided);
    in_open_mpi = false;
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

static void *run_own(void *p)
{
    const own_thread t = *(own_thread *)p;

    free(p);
    __lsan_disable();
    return t.run(t.arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, thread_fn *run, void *arg)
{
    create_fn *create = (create_fn *)dlsym(RTLD_NEXT, "pthread_create");
    own_thread *t = in_open_mpi ? malloc(sizeof *t) : NULL;

    if (!t) return create(thread, attributes, run, arg);
    *t = (own_thread){run, arg};
    return create(thread, attributes, run_own, t);
}

/* A library that is gone has no name in a report, and could not be known by it. */
int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
