#include "rapl.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The number in folder/name; NaN if there is none. */
static double read_number(const char *folder, const char *name)
{
    char path[512];
    double v = NAN;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    if (!f) return NAN;
    if (fscanf(f, "%lf", &v) != 1) v = NAN;
    fclose(f);
    return v;
}

/* "package-0" or "dram": cores are part of a package, and "psys" is the whole machine or less. */
static bool is_wanted(const char *folder)
{
    char path[512], name[64] = "";

    (void)snprintf(path, sizeof path, "%s/name", folder);
    FILE *f = fopen(path, "re");
    if (!f) return false;
    if (!fgets(name, sizeof name, f)) name[0] = '\0';
    fclose(f);
    return strncmp(name, "package", 7) == 0 || strncmp(name, "dram", 4) == 0;
}

void mg_rapl_open(mg_rapl *r, const char *root)
{
    const struct dirent *entry;
    DIR *dir = opendir(root);

    r->n = 0;
    while (dir && r->n < MG_RAPL_DOMAINS && (entry = readdir(dir)) != NULL) {
        char folder[sizeof r->domain[0].path];
        /* intel-rapl-mmio tells the same packages once more */
        if (strncmp(entry->d_name, "intel-rapl:", 11) != 0) continue;
        const int n = snprintf(folder, sizeof folder, "%s/%s", root, entry->d_name);
        if (n < 0 || (size_t)n >= sizeof folder || !is_wanted(folder)) continue;
        const double now_uj = read_number(folder, "energy_uj"),
                     range_uj = read_number(folder, "max_energy_range_uj");
        if (isnan(now_uj) || isnan(range_uj)) continue;
        (void)snprintf(r->domain[r->n].path, sizeof folder, "%s", folder);
        r->domain[r->n].range_uj = range_uj;
        r->domain[r->n++].last_uj = now_uj;
    }
    if (dir) closedir(dir);
}

double mg_rapl_take(mg_rapl *r)
{
    double sum_uj = r->n > 0 ? 0 : NAN;

    for (int i = 0; i < r->n; i++) {
        const double now_uj = read_number(r->domain[i].path, "energy_uj");
        double uj = now_uj - r->domain[i].last_uj;
        if (uj < 0) uj += r->domain[i].range_uj;
        sum_uj += uj; /* NaN if it cannot be read any more */
        r->domain[i].last_uj = now_uj;
    }
    return sum_uj / 1e6;
}
