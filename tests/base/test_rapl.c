/* The processors' energy, read from folders as Linux has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "rapl.h"

static char root[] = "/tmp/mg-rapl-XXXXXX";

static void put(const char *domain, const char *name, const char *value)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", root, domain);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", root, domain, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(value, f);
    fclose(f);
}

static void put_domain(const char *domain, const char *name, const char *uj)
{
    put(domain, "name", name);
    put(domain, "energy_uj", uj);
    put(domain, "max_energy_range_uj", "1000000000\n");
}

static int make(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int clear(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void no_folder_tells_nothing(void **state)
{
    mg_rapl r;

    (void)state;
    mg_rapl_open(&r, "/nowhere");
    assert_int_equal(r.n, 0);
    assert_true(isnan(mg_rapl_take(&r)));
}

static void packages_and_memories_are_added(void **state)
{
    mg_rapl r;

    (void)state;
    put_domain("intel-rapl:0", "package-0\n", "5000000\n");
    put_domain("intel-rapl:0:0", "core\n", "1000000\n");
    put_domain("intel-rapl:0:1", "dram\n", "2000000\n");
    put_domain("intel-rapl:1", "package-1\n", "900000000\n");
    put_domain("intel-rapl:2", "psys\n", "100\n");
    put_domain("intel-rapl-mmio:0", "package-0\n", "5000000\n");
    put("intel-rapl:3", "name", "package-2\n"); /* and no counter that we may read */
    mg_rapl_open(&r, root);
    assert_int_equal(r.n, 3);
    assert_true(mg_rapl_take(&r) == 0);
    put("intel-rapl:0", "energy_uj", "8000000\n");
    put("intel-rapl:0:0", "energy_uj", "3000000\n");
    put("intel-rapl:0:1", "energy_uj", "2500000\n");
    put("intel-rapl-mmio:0", "energy_uj", "8000000\n");
    assert_true(fabs(mg_rapl_take(&r) - 3.5) < 1e-9);
    assert_true(mg_rapl_take(&r) == 0);
    put("intel-rapl:1", "energy_uj", "1000000\n"); /* it went round */
    assert_true(fabs(mg_rapl_take(&r) - 101) < 1e-9);
    put("intel-rapl:1", "energy_uj", "not a number\n");
    assert_true(isnan(mg_rapl_take(&r)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_folder_tells_nothing),
        cmocka_unit_test(packages_and_memories_are_added),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
