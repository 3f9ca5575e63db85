/* Guidance, temperature, cuts and the draw, for one codebook's logits [V].
 *
 * Both references' rules come down to: which codes survive, with probabilities proportional to
 * exp(logit / temperature). So only survivors are sorted and exponentiated. A logit is compared through an
 * unsigned key of the same order, which makes the k-th largest a radix selection and the sort a radix sort,
 * stable: falling logit, then rising index. Sums are fp64; the exponential is our own, so a draw does not
 * depend on the C library or the processor. */
#include "cpu_sampler.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

typedef mg_cpu_candidate candidate;

size_t mg_cpu_sampler_bytes(int64_t V)
{
    return (size_t)V * (2 * sizeof(candidate) + sizeof(double) + 3 * sizeof(float));
}

mg_cpu_sampler mg_cpu_sampler_over(void *room, int64_t V)
{
    mg_cpu_sampler s = {.V = V, .weight = room};

    s.alive = (candidate *)(s.weight + V);
    s.spare = s.alive + V;
    s.scaled = (float *)(s.spare + V);
    s.row[0] = s.scaled + V;
    s.row[1] = s.row[0] + V;
    return s;
}

void mg_cpu_guide(float *out, const float *cond, const float *uncond, float coef, int64_t V)
{
    for (int64_t v = 0; v < V; v++) out[v] = uncond[v] + (cond[v] - uncond[v]) * coef;
}

/* exp(x) for x <= 0, within 2 ulp: x = n ln 2 + r, a Taylor polynomial for r. */
static double exp_below_one(double x)
{
    static const double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    static const double inverse_factorial[14] = {1.0,
                                                 1.0,
                                                 1.0 / 2,
                                                 1.0 / 6,
                                                 1.0 / 24,
                                                 1.0 / 120,
                                                 1.0 / 720,
                                                 1.0 / 5040,
                                                 1.0 / 40320,
                                                 1.0 / 362880,
                                                 1.0 / 3628800,
                                                 1.0 / 39916800,
                                                 1.0 / 479001600,
                                                 1.0 / 6227020800};
    double sum = inverse_factorial[13];

    if (!(x > -700)) return 0; /* and NaN */
    const double n = (double)(int)(x * 1.4426950408889634 - 0.5);
    const double r = (x - n * ln2_high) - n * ln2_low;
    for (int i = 12; i >= 0; i--) sum = sum * r + inverse_factorial[i];

    const uint64_t power_bits = (uint64_t)((int64_t)n + 1023) << 52;
    double power;
    memcpy(&power, &power_bits, sizeof power);
    return sum * power;
}

/* Unsigned order = falling float order; -0 and 0 are one. */
static uint32_t key_of(float f)
{
    uint32_t u;

    f += 0.0f;
    memcpy(&u, &f, sizeof u);
    return u & 0x80000000u ? u : ~u & 0x7FFFFFFFu;
}

/* The k-th smallest key, 1 <= k <= n: eleven, eleven and ten bits at a time. */
static uint32_t select_key(const candidate *c, int64_t n, int64_t k)
{
    static const int shifts[3] = {21, 10, 0}, widths[3] = {11, 11, 10};
    uint32_t prefix = 0, mask = 0;
    int32_t count[2048];

    for (int pass = 0; pass < 3; pass++) {
        const uint32_t digits = (1u << widths[pass]) - 1;
        uint32_t digit = 0;
        memset(count, 0, sizeof count);
        for (int64_t i = 0; i < n; i++)
            if ((c[i].key & mask) == prefix) count[(c[i].key >> shifts[pass]) & digits]++;
        while (k > count[digit]) k -= count[digit++];
        prefix |= digit << shifts[pass];
        mask |= digits << shifts[pass];
    }
    return prefix;
}

/* Ascending key, stable. */
static void sort_alive(mg_cpu_sampler *s)
{
    for (int shift = 0; shift < 32; shift += 8) {
        int32_t start[257] = {0};
        for (int64_t i = 0; i < s->n_alive; i++) start[((s->alive[i].key >> shift) & 255) + 1]++;
        for (int d = 0; d < 256; d++) start[d + 1] += start[d];
        for (int64_t i = 0; i < s->n_alive; i++)
            s->spare[start[(s->alive[i].key >> shift) & 255]++] = s->alive[i];
        candidate *sorted = s->spare;
        s->spare = s->alive;
        s->alive = sorted;
    }
}

/* Keep the k largest, and what equals the k-th: both references do. */
static void keep_top_k(mg_cpu_sampler *s, int64_t k)
{
    int64_t n = 0;

    if (k <= 0 || k >= s->n_alive) return;
    const uint32_t last = select_key(s->alive, s->n_alive, k);
    for (int64_t i = 0; i < s->n_alive; i++)
        if (s->alive[i].key <= last) s->alive[n++] = s->alive[i];
    s->n_alive = n;
}

static double weigh(mg_cpu_sampler *s)
{
    const double top = s->scaled[s->alive[0].code];
    double total = 0;

    for (int64_t i = 0; i < s->n_alive; i++)
        total += s->weight[i] = exp_below_one(s->scaled[s->alive[i].code] - top);
    return total;
}

/* AudioCraft drops a code if those before it, from the top, make more than top_p. transformers drops from
 * the bottom while the sum is at most 1 - top_p. Among equals the lower index survives. */
static double keep_top_p(mg_cpu_sampler *s, const mg_sampling *how, double total)
{
    double sum = 0;
    int64_t n = s->n_alive;

    if (how->rules == MG_RULES_AUDIOCRAFT) {
        for (n = 0; n < s->n_alive && sum <= how->top_p * total; n++) sum += s->weight[n];
        s->n_alive = n;
        return sum;
    }
    while (n > 1 && sum + s->weight[n - 1] <= (1 - how->top_p) * total) sum += s->weight[--n];
    s->n_alive = n;
    return total - sum;
}

/* transformers' rule, for both. */
static double keep_min_p(mg_cpu_sampler *s, double min_p)
{
    double sum = 0;
    int64_t n = 0;

    while (n < s->n_alive && s->weight[n] >= min_p * s->weight[0]) sum += s->weight[n++];
    s->n_alive = n;
    return sum;
}

/* The survivors, sorted, with their weights; returns the sum of these. */
static double choose_alive(mg_cpu_sampler *s, const float *logits, const mg_sampling *how)
{
    const bool is_ac = how->rules == MG_RULES_AUDIOCRAFT;
    const bool cut_p = how->top_p > 0 && how->top_p < 1;
    const bool cut_k = !is_ac || how->top_p <= 0;

    for (int64_t v = 0; v < s->V; v++) {
        s->scaled[v] = logits[v] / (float)how->temperature;
        s->alive[v] = (candidate){key_of(s->scaled[v]), (int32_t)v};
    }
    s->n_alive = s->V;
    if (cut_k) keep_top_k(s, how->top_k);
    sort_alive(s);
    double total = weigh(s);
    if (cut_p) total = keep_top_p(s, how, total);
    return how->min_p > 0 ? keep_min_p(s, how->min_p) : total;
}

void mg_cpu_sampler_probs(mg_cpu_sampler *s, float *probs, const float *logits, const mg_sampling *how)
{
    const double total = choose_alive(s, logits, how);

    memset(probs, 0, (size_t)s->V * sizeof *probs);
    for (int64_t i = 0; i < s->n_alive; i++) probs[s->alive[i].code] = (float)(s->weight[i] / total);
}

/* A model whose numbers have overflowed gives NaN: a code made of it would look like any other. */
static bool tells_nothing(const float *logits, int64_t V)
{
    float top = -INFINITY;
    bool numbers = true;

    for (int64_t v = 0; v < V; v++) {
        numbers &= logits[v] < INFINITY;
        top = logits[v] > top ? logits[v] : top;
    }
    return !numbers || top == -INFINITY;
}

int32_t mg_cpu_sampler_draw(mg_cpu_sampler *s, const float *logits, const mg_sampling *how, double uniform)
{
    if (how->greedy || (float)how->temperature <= 0) {
        int32_t best = 0;
        for (int64_t v = 1; v < s->V; v++)
            if (logits[v] > logits[best]) best = (int32_t)v;
        return tells_nothing(logits, s->V) ? (int32_t)s->V : best;
    }
    const double target = uniform * choose_alive(s, logits, how);
    if (tells_nothing(s->scaled, s->V)) return (int32_t)s->V;
    double sum = 0;
    int64_t last = 0;

    for (int64_t i = 0; i < s->n_alive && s->weight[i] > 0; i++) {
        last = i;
        sum += s->weight[i];
        if (sum > target) break;
    }
    return s->alive[last].code;
}
