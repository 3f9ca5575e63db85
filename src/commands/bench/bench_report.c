/* What the benchmarks share: the report, medians, blocks of the backend's memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "text.h"

static void add_line(mg_report *r, const char *name, const char *value, bool is_number)
{
    if (r->n_lines == MG_REPORT_LINES) return;
    (void)snprintf(r->line[r->n_lines].name, sizeof r->line[0].name, "%s", name);
    r->line[r->n_lines].value = strdup(value);
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

double mg_report_value(const mg_report *r, const char *name)
{
    for (int i = 0; i < r->n_lines; i++)
        if (strcmp(r->line[i].name, name) == 0 && r->line[i].value) return strtod(r->line[i].value, NULL);
    return 0;
}

mg_status mg_report_print(const mg_report *r, FILE *to, bool json)
{
    mg_text t = {0};
    mg_status st = MG_OK;

    for (int i = 0; i < r->n_lines; i++) {
        const char *value = r->line[i].value;
        if (!value) MG_TRY(mg_fail(MG_ENOMEM, "bench: %s: no memory", r->line[i].name));
        if (!json) {
            mg_text_format(&t, "%-20s %s\n", r->line[i].name, value);
            continue;
        }
        mg_text_format(&t, "%s\"%s\": ", i ? ", " : "{", r->line[i].name);
        if (r->line[i].is_number)
            mg_text_add(&t, strchr(value, 'n') ? "null" : value); /* nan and inf: JSON has no such numbers */
        else
            mg_text_quote(&t, value);
    }
    if (json) mg_text_add(&t, "}\n");
    MG_TRY(mg_text_check(&t, "report"));
    (void)fwrite(t.data, 1, t.n, to);
    (void)fflush(to);
done:
    mg_text_reset(&t);
    return st;
}

void mg_report_reset(mg_report *r)
{
    for (int i = 0; i < r->n_lines; i++) free(r->line[i].value);
    r->n_lines = 0;
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
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}
