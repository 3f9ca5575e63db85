/* Linked into every program of the AddressSanitizer build: leaks are reported, but for Open MPI's own, which
 * last until the process ends (asan_mpi.c), and libsndfile's, of a malformed Ogg file. */
const char *__asan_default_options(void);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=1";
}

const char *__lsan_default_suppressions(void)
{
    return "leak:libmpi.so\nleak:libopen-pal.so\nleak:libopen-rte.so\nleak:libpmix.so\nleak:libhwloc.so\n"
           "leak:libevent\nleak:mca_\nleak:_dl_init\nleak:vorbis_info_init\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}
