/* Every exchange of a group, checked exactly. Run under mpirun with 1, 2, 4 and 8 ranks, over shared memory
 * and over MPI (MGDIST_COMM); alone it is the group of one. */
#include "comm_test.h"

#include "channel.h"
#include "threads.h"

enum { GUARD = 16 }; /* elements after the end that must stay as they were */

static mg_world world;
static bool has_no_memory; /* our own calls, not the libraries' */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return has_no_memory ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes)
{
    return has_no_memory ? NULL : __real_calloc(n, bytes);
}

/* One element, a cache line, odd counts, and both sides of the piece size of shm and mpi (65536 floats). */
static const int64_t sizes[] = {1, 2, 3, 16, 1000, 2048, 65535, 65536, 65537, 131072, 131073, 300000};
enum { N_SIZES = sizeof sizes / sizeof *sizes, N_MAX = 300000 };

static float sum_tree(int first, int n_ranks, int64_t i)
{
    if (n_ranks == 1) return float_at(first, i);
    return sum_tree(first, n_ranks / 2, i) + sum_tree(first + n_ranks / 2, n_ranks / 2, i);
}

static void test_all_reduce_integers(void **state)
{
    mg_comm *c = world.group;
    float *x = malloc((N_MAX + GUARD) * sizeof *x);

    (void)state;
    for (int s = 0; s < N_SIZES; s++) {
        const int64_t n = sizes[s];
        for (int64_t i = 0; i < n + GUARD; i++) x[i] = (float)((i + c->rank * 13) % 1000 - 500);
        assert_int_equal(mg_comm_all_reduce(c, x, n), MG_OK);
        for (int64_t i = 0; i < n; i++) {
            int64_t sum = 0;
            for (int r = 0; r < c->size; r++) sum += (i + r * 13) % 1000 - 500;
            if (x[i] != (float)sum) fail_msg("n %ld element %ld: %g, expected %ld", n, i, x[i], sum);
        }
        for (int64_t i = n; i < n + GUARD; i++) assert_true(x[i] == (float)((i + c->rank * 13) % 1000 - 500));
    }
    free(x);
}

static void test_all_reduce_order(void **state)
{
    mg_comm *c = world.group;
    float *mine = malloc(N_MAX * sizeof *mine), *expected = malloc(N_MAX * sizeof *expected);
    float *x = malloc(N_MAX * sizeof *x);
    int64_t n_differ = 0; /* elements that summing rank after rank would get wrong */

    (void)state;
    for (int64_t i = 0; i < N_MAX; i++) {
        mine[i] = float_at(c->rank, i);
        expected[i] = sum_tree(0, c->size, i);
    }
    for (int64_t i = 0; i < 1000; i++) {
        float in_a_row = float_at(0, i);
        for (int r = 1; r < c->size; r++) in_a_row += float_at(r, i);
        n_differ += memcmp(&in_a_row, &expected[i], sizeof in_a_row) != 0;
    }
    if (c->size > 2) assert_true(n_differ > 100); /* so the data would catch another order */
    for (int s = 0; s < N_SIZES; s++) {
        const int64_t n = sizes[s];
        memcpy(x, mine, (size_t)n * sizeof *x);
        assert_int_equal(mg_comm_all_reduce(c, x, n), MG_OK);
        if (memcmp(x, expected, (size_t)n * sizeof *x) != 0) fail_msg("n %ld: other bits than the tree's", n);
    }
    free(mine), free(expected), free(x);
}

static void test_all_reduce_special(void **state)
{
    mg_comm *c = world.group;
    const float inf = 1.0f / 0.0f;
    float x[4] = {-0.0f, c->rank == c->size - 1 ? inf : 1.0f, c->rank == 0 ? 0.0f / 0.0f : 1.0f, 1e-42f};

    (void)state;
    assert_int_equal(mg_comm_all_reduce(c, x, 4), MG_OK);
    assert_true(x[0] == 0.0f && 1.0f / x[0] < 0.0f);
    assert_true(x[1] == inf && x[2] != x[2]);
    assert_true(x[3] > 0.9e-42f * (float)c->size && x[3] < 1.1e-42f * (float)c->size); /* not flushed */
    assert_int_equal(mg_comm_all_reduce(c, NULL, 0), MG_OK);
}

static void fill(uint8_t *p, int rank, int64_t bytes)
{
    uint32_t word = 0;

    for (int64_t i = 0; i < bytes; i++) {
        if (i % 256 == 0) word = bits_at(rank, i / 256);
        p[i] = (uint8_t)(word >> i % 24) ^ (uint8_t)(i * 29);
    }
}

static void check_gather(int64_t n, mg_dtype dtype)
{
    mg_comm *c = world.group;
    const int64_t bytes = n * (int64_t)mg_dtype_bytes(dtype);
    uint8_t *mine = malloc((size_t)bytes), *expected = malloc((size_t)bytes);
    uint8_t *all = malloc((size_t)(bytes * c->size + GUARD));

    fill(mine, c->rank, bytes);
    memset(all, 0xa5, (size_t)(bytes * c->size + GUARD));
    assert_int_equal(mg_comm_all_gather(c, all, mine, n, dtype), MG_OK);
    for (int r = 0; r < c->size; r++) {
        fill(expected, r, bytes);
        if (memcmp(all + bytes * r, expected, (size_t)bytes) != 0)
            fail_msg("all_gather of %ld %s: the part of rank %d is wrong", n, mg_dtype_name(dtype), r);
    }
    for (int i = 0; i < GUARD; i++) assert_int_equal(all[bytes * c->size + i], 0xa5);
    free(mine), free(expected), free(all);
}

static void check_bcast(int64_t n, mg_dtype dtype, int root)
{
    mg_comm *c = world.group;
    const int64_t bytes = n * (int64_t)mg_dtype_bytes(dtype);
    uint8_t *x = malloc((size_t)(bytes + GUARD)), *expected = malloc((size_t)bytes);

    memset(x, 0xa5, (size_t)(bytes + GUARD));
    fill(x, c->rank + 100, bytes);
    fill(expected, root + 100, bytes);
    assert_int_equal(mg_comm_bcast(c, x, n, dtype, root), MG_OK);
    if (memcmp(x, expected, (size_t)bytes) != 0)
        fail_msg("bcast of %ld %s from %d is wrong", n, mg_dtype_name(dtype), root);
    for (int i = 0; i < GUARD; i++) assert_int_equal(x[bytes + i], 0xa5);
    free(x), free(expected);
}

static void test_gather_and_bcast(void **state)
{
    static const mg_dtype dtypes[] = {MG_F32, MG_BF16, MG_F16, MG_I32, MG_F64, MG_I64, MG_U8};
    static const int64_t counts[] = {1, 3, 1000, 40000};

    (void)state;
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++)
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
            check_gather(counts[k], dtypes[d]);
            check_bcast(counts[k], dtypes[d], (int)(d + k) % world.group->size);
        }
    check_bcast(9 * 1024 * 1024 + 1, MG_U8, world.group->size - 1); /* longer than one MPI message */
    check_gather(1024 * 1024 + 1, MG_U8); /* in pieces, from four ranks on with MPI */
    if (world.group->size <= 2) check_gather(5 * 1024 * 1024 + 1, MG_U8);
}

static void test_agree(void **state)
{
    mg_comm *c = world.group;

    (void)state;
    mg_clear_error();
    assert_int_equal(mg_comm_agree(c, MG_OK), MG_OK);
    for (int a = 0; a < c->size; a++)
        for (int b = a; b < c->size; b++) { /* a == b: one fails, else two; the lower one decides */
            mg_status mine = MG_OK;
            char text[32] = "";
            mg_clear_error();
            snprintf(text, sizeof text, "fault of rank %d", a);
            if (c->rank == b) mine = mg_fail(MG_EFIT, "fault of rank %d", b);
            if (c->rank == a) mine = mg_fail(MG_ECHECKPOINT, "%s", text);
            assert_int_equal(mg_comm_agree(c, mine), MG_ECHECKPOINT);
            assert_int_equal(c->agreed, MG_ECHECKPOINT);
            assert_string_equal(mg_last_error(), c->rank == a ? text : "");
        }
    mg_clear_error();
    assert_int_equal(mg_comm_agree(c, MG_OK), MG_OK);
    assert_int_equal(c->agreed, MG_OK);
}

static void add_one(void *arg, int64_t first, int64_t end, int i_thread)
{
    float *x = arg;

    (void)i_thread;
    for (int64_t i = first; i < end; i++) x[i] += 1.0f;
}

/* Calls of all kinds in a row, ranks out of step, a thread pool at work between them. */
static void test_many_in_a_row(void **state)
{
    mg_comm *c = world.group;
    mg_threads *pool;
    float x[512];
    int32_t all[64];

    (void)state;
    assert_int_equal(mg_threads_open(&pool, 2, 0), MG_OK);
    for (int k = 0; k < 300; k++) {
        const int64_t n = 1 + bits_at(0, k) % 512;
        for (int64_t i = 0; i < n; i++) x[i] = (float)(c->rank + k);
        mg_threads_run(pool, add_one, x, n);
        assert_int_equal(mg_comm_all_reduce(c, x, n), MG_OK);
        const float expected = (float)(c->size * (c->size - 1) / 2 + (k + 1) * c->size);
        for (int64_t i = 0; i < n; i++) assert_true(x[i] == expected);
        for (uint32_t late = bits_at(c->rank, k) % 5000; late > 0; late--) __asm__ volatile("");
        if (k % 3 == 0) assert_int_equal(mg_comm_barrier(c), MG_OK);
        const int32_t mine = c->rank * 1000 + k;
        assert_int_equal(mg_comm_all_gather(c, all, &mine, 1, MG_I32), MG_OK);
        for (int r = 0; r < c->size; r++) assert_int_equal(all[r], r * 1000 + k);
        int32_t word = mine;
        assert_int_equal(mg_comm_bcast(c, &word, 1, MG_I32, k % c->size), MG_OK);
        assert_int_equal(word, k % c->size * 1000 + k);
    }
    mg_threads_close(pool);
}

static void test_front_doors(void **state)
{
    mg_comm *c = world.group, odd = *c;
    float x[4] = {0};

    (void)state;
    odd.size = 3;
    assert_int_equal(mg_comm_all_reduce(&odd, x, 4), MG_EBUG);
    assert_int_equal(mg_comm_all_reduce(c, x, -1), MG_EBUG);
    assert_int_equal(mg_comm_all_reduce(c, NULL, 1), MG_EBUG);
    assert_int_equal(mg_comm_all_gather(c, x, x, 1, MG_F32), MG_EBUG);
    assert_int_equal(mg_comm_bcast(c, x, 1, MG_F32, c->size), MG_EBUG);
    assert_int_equal(mg_comm_bcast(c, x, 1, MG_F32, -1), MG_EBUG);
    mg_comm_close(NULL);
}

/* Every rank to every rank, itself too: each message whole, those of one sender in order. */
static void test_channel(void **state)
{
    enum { N_MESSAGES = 40 };
    mg_channel *c;
    int64_t *got = calloc((size_t)world.size, sizeof *got), n_got = 0;
    uint32_t *data = malloc(200000 * sizeof *data);

    (void)state;
    assert_int_equal(mg_channel_open(&c, &world), MG_OK);
    for (int64_t i = 0; i < N_MESSAGES; i++)
        for (int to = 0; to < world.size; to++) {
            const int64_t n = i == 7 ? 200000 : 2 + i % 5;
            for (int64_t k = 0; k < n; k++) data[k] = bits_at(world.rank, i * 131 + k + to);
            assert_int_equal(mg_channel_send(c, to, data, (size_t)n * sizeof *data), MG_OK);
        }
    while (n_got < (int64_t)N_MESSAGES * world.size) {
        int from;
        char *message;
        size_t bytes;
        assert_int_equal(mg_channel_receive(c, &from, &message, &bytes), MG_OK);
        if (!message) continue;
        const int64_t i = got[from]++, n = i == 7 ? 200000 : 2 + i % 5;
        assert_int_equal(bytes, (size_t)n * sizeof *data);
        for (int64_t k = 0; k < n; k++)
            assert_int_equal(((uint32_t *)message)[k], bits_at(from, i * 131 + k + world.rank));
        free(message);
        n_got++;
    }
    mg_channel_close(c);
    free(got);
    free(data);
}

/* The last rank has no memory for a while: no other one waits for it. */
static void test_without_memory(void **state)
{
    mg_comm *c = world.group;
    mg_world again = world;
    const bool mine = c->rank == c->size - 1;
    mg_channel *channel;
    char *data = NULL;
    size_t bytes;
    int from;

    (void)state;
    has_no_memory = mine;
    assert_int_equal(mg_comm_agree(c, MG_OK), MG_OK);
    assert_int_equal(mg_comm_agree(c, mine ? mg_fail(MG_ENOMEM, "one rank: no memory") : MG_OK), MG_ENOMEM);
    assert_string_equal(mg_last_error(), mine ? "one rank: no memory" : "");

    again.group = NULL;
    if (world.tp > 1) {
        has_no_memory = world.rank == world.size - 1;
        assert_int_equal(mg_world_split(&again, world.tp), MG_ENOMEM);
        assert_null(again.group);
    }
    has_no_memory = world.rank == world.size - 1;
    assert_int_equal(mg_comm_agree(world.all, mg_channel_open(&channel, &world)), MG_ENOMEM);
    has_no_memory = false;
    mg_channel_close(channel);

    /* What could not be received is received later. */
    assert_int_equal(mg_comm_agree(world.all, mg_channel_open(&channel, &world)), MG_OK);
    const int to = (world.rank + 1) % world.size;
    assert_int_equal(mg_channel_send(channel, to, "a letter", 9), MG_OK);
    has_no_memory = mine && world.size > 1;
    if (has_no_memory) {
        mg_status st;
        while ((st = mg_channel_receive(channel, &from, &data, &bytes)) == MG_OK) assert_null(data);
        assert_int_equal(st, MG_ENOMEM);
    }
    has_no_memory = false;
    while (!data) assert_int_equal(mg_channel_receive(channel, &from, &data, &bytes), MG_OK);
    assert_string_equal(data, "a letter");
    assert_int_equal(from, (world.rank + world.size - 1) % world.size);
    free(data);
    mg_channel_close(channel);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_reduce_integers),
        cmocka_unit_test(test_all_reduce_order),
        cmocka_unit_test(test_all_reduce_special),
        cmocka_unit_test(test_gather_and_bcast),
        cmocka_unit_test(test_agree),
        cmocka_unit_test(test_many_in_a_row),
        cmocka_unit_test(test_front_doors),
        cmocka_unit_test(test_channel),
        cmocka_unit_test(test_without_memory),
    };

    begin_world(&world, argc, argv);
    if (world.rank == 0) printf("group of %d over %s\n", world.group->size, world.group->name);
    const char *wish = getenv("MGDIST_COMM");
    if (world.tp > 1 && wish && strcmp(wish, world.group->name) != 0) return end_world(&world, 1);
    return end_world(&world, cmocka_run_group_tests(tests, NULL, NULL));
}
