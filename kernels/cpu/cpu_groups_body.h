/* The tile of 4-bit weights for one level. Included by cpu_tile_body.h only. A group's sum is exact: in 16
 * bits where there is no VNNI (32 times 15 times 127 fits, in two halves), in 32 where there is. */
typedef int32_t vi __attribute__((vector_size(sizeof(vf))));

/* sum + four products of unsigned w and signed x in each lane. */
#if defined(ADDS_BYTES)
VF vi add_nibbles(vi sum, vi w, vi x)
{
    return (vi)add_bytes((vf)sum, (vf)w, (vf)x);
}

VF vi group_sum(vi sum)
{
    return sum;
}
#elif defined(__AVX512F__)
VF vi add_nibbles(vi sum, vi w, vi x)
{
    return (vi)_mm512_add_epi16((__m512i)sum, _mm512_maddubs_epi16((__m512i)w, (__m512i)x));
}

VF vi group_sum(vi sum)
{
    return (vi)_mm512_madd_epi16((__m512i)sum, _mm512_set1_epi16(1));
}
#elif defined(__AVX2__)
VF vi add_nibbles(vi sum, vi w, vi x)
{
    return (vi)_mm256_add_epi16((__m256i)sum, _mm256_maddubs_epi16((__m256i)w, (__m256i)x));
}

VF vi group_sum(vi sum)
{
    return (vi)_mm256_madd_epi16((__m256i)sum, _mm256_set1_epi16(1));
}
#else
VF vi add_nibbles(vi sum, vi w, vi x)
{
    UNROLL for (int b = 0; b < 4; b++) sum += ((w >> (8 * b)) & 15) * ((vi)((vu)x << (24 - 8 * b)) >> 24);
    return sum;
}

VF vi group_sum(vi sum)
{
    return sum;
}
#endif

/* Four bytes of x in every lane. */
VF vi same_word(const char *x)
{
    float word;

    memcpy(&word, x, sizeof word);
    return (vi)vf_set(word);
}

VF void run_groups(float *sum, const char *x, int64_t ldx, const char *w, int64_t ldw, int64_t n, bool resume,
                   const char *far, int64_t far_step, const int n_strips, const int n_rows)
{
    enum { WORD_BYTES = MG_CPU_STRIP * 4, HALF_WORDS = MG_Q4_GROUP / 8 };
    const int n_vecs = n_strips * STRIP_VECS;
    vf acc[MOST_ROWS][WIDEST * STRIP_VECS];

    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) acc[r][c] =
            resume ? vf_load(sum + r * MG_CPU_SUM_WIDTH + c * LANES) : vf_set(0);
    }
    for (int64_t i = 0; i < n; i++, w += ldw, x += MG_CPU_X4_STEP, far += far_step) {
        UNROLL for (int c = 0; c < n_vecs; c++)
        {
            const char *strip = w + c / STRIP_VECS * MG_CPU_Q4_STRIP;
            const int first = c % STRIP_VECS * LANES;
            if (first == 0) {
                UNROLL for (int b = 0; b < MG_CPU_Q4_STRIP; b += 64)
                    fetch_panel(strip + b, far + (strip - w) + b);
            }
            for (int half = 0; half < 2; half++) {
                vi total[MOST_ROWS];
                UNROLL for (int r = 0; r < n_rows; r++) total[r] = (vi)vf_set(0);
                UNROLL for (int k = 0; k < HALF_WORDS; k++)
                {
                    const vi eight =
                        (vi)vf_load((const float *)(const void *)(strip + first * 4 +
                                                                  (half * HALF_WORDS + k) * WORD_BYTES));
                    const vi low = eight & 0x0F0F0F0F, high = (eight >> 4) & 0x0F0F0F0F;
                    UNROLL for (int r = 0; r < n_rows; r++)
                    {
                        const char *x_r = x + r * ldx + (half * HALF_WORDS + k) * 8;
                        total[r] = add_nibbles(total[r], low, same_word(x_r));
                        total[r] = add_nibbles(total[r], high, same_word(x_r + 4));
                    }
                }
                const vf scale = vf_from_bf16(strip + MG_CPU_Q4_WEIGHTS + (half * MG_CPU_STRIP + first) * 2);
                UNROLL for (int r = 0; r < n_rows; r++)
                {
                    const vi whole =
                        group_sum(total[r]) + same_word(x + r * ldx + 2 * MG_Q4_GROUP + 4 * half);
                    acc[r][c] += __builtin_convertvector(whole, vf) * scale;
                }
            }
        }
    }
    UNROLL for (int r = 0; r < n_rows; r++)
    {
        UNROLL for (int c = 0; c < n_vecs; c++) vf_store(sum + r * MG_CPU_SUM_WIDTH + c * LANES, acc[r][c]);
    }
}
