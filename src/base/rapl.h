/* The energy that a host's processors and their memory take, as Linux tells it (RAPL, powercap). Often only
 * root may read it. */
#ifndef MG_RAPL_H
#define MG_RAPL_H

#define MG_RAPL_ROOT "/sys/class/powercap"

enum { MG_RAPL_DOMAINS = 32 };

typedef struct mg_rapl {
    int n; /* packages and memories; 0: nothing is told */
    struct {
        char path[256];
        double range_uj, last_uj; /* a counter begins again at 0 beyond its range */
    } domain[MG_RAPL_DOMAINS];
} mg_rapl;

/* What can be read below `root`. */
void mg_rapl_open(mg_rapl *r, const char *root);

/* Joules since the last call, or since it was opened; NaN if nothing is told. A counter that has gone round
 * more than once is not noticed: call it every minute. */
double mg_rapl_take(mg_rapl *r);

#endif
