/* What the benchmarks share: the report, medians, blocks of the backend's memory. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

static void add_line(mg_report *r, const char *name, const char *value, bool is_number)
{
    if (r->n_lines == MG_REPORT_LINES) return;
    (void)snprintf(r->line[r->n_lines].name, sizeof r->line[0].name, "%s", name);
    (void)snprintf(r->line[r->n_lines].value, sizeof r->line[0].value, "%s", value);
    r->line[r->n_lines++].is_number = is_number;
}

void mg_report_text(mg_report *r, const char *name, const char *value)
{
    add_line(r, name, value, false);
}

void mg_report_int(mg_report *r, const char *name, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%lld", (long long)value);
    add_line(r, name, text, true);
}

void mg_report_number(mg_report *r, const char *name, double value, int n_decimals)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%.*f", n_decimals, value);
    add_line(r, name, text, true);
}

void mg_report_print(const mg_report *r, FILE *to, bool json)
{
    for (int i = 0; i < r->n_lines; i++) {
        const char *quote = r->line[i].is_number ? "" : "\"";
        if (json)
            (void)fprintf(to, "%s\"%s\": %s%s%s", i ? ", " : "{", r->line[i].name, quote, r->line[i].value,
                          quote);
        else
            (void)fprintf(to, "%-20s %s\n", r->line[i].name, r->line[i].value);
    }
    if (json) (void)fputs("}\n", to);
    (void)fflush(to);
}

mg_status mg_bench_block_open(mg_bench_block *block, mg_arena *arena, const mg_ops *ops,
                              const mg_arena *measured)
{
    *block = (mg_bench_block){.ops = ops, .bytes = measured->peak_bytes};
    const mg_status st = mg_ops_alloc(ops, &block->data, block->bytes);
    *arena = mg_arena_over(measured->name, block->data, block->bytes);
    return st;
}

void mg_bench_block_close(mg_bench_block *block)
{
    if (block->data) mg_ops_release(block->ops, block->data, block->bytes);
    block->data = NULL;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double mg_bench_median(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, ascending);
    return values[n / 2];
}
