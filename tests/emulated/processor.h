/* What the processor has, for cpu_backend.c and the tests of kernels: what processor.c says instead of CPUID.
 * Included before everything else (-include). */
#ifndef MG_EMULATED_PROCESSOR_H
#define MG_EMULATED_PROCESSOR_H

#include <cpuid.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A feature by the compiler's name, or a maker. Of the one in MG_EMULATED_PROCESSOR. */
bool mg_emulated_has(const char *feature);

/* As __get_cpuid_count, of the leaves that kernels/cpu looks at. */
int mg_emulated_cpuid(unsigned leaf, unsigned subleaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d);

#define __builtin_cpu_supports mg_emulated_has
#define __builtin_cpu_is       mg_emulated_has
#define __get_cpuid_count      mg_emulated_cpuid
#define syscall(...)           0L /* the kernel lets AMX be used */

#endif
