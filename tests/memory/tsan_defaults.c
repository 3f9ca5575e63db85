/* Linked into every program of the ThreadSanitizer build: the thread that UCX, which Open MPI 5 brings along,
 * starts when it is loaded and never joins is not ours. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "thread:libucs.so\n";
}
