/* Packs of weights: what was written is read, anything else is refused; and their version goes with what a
 * backend packs. */
#include <math.h>

#include "io_fixture.h"

#include "cpu.h"
#include "hash.h"
#include "lm.h"
#include "out_file.h"
#include "pack_file.h"

static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char other_key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdee";
static const char model[] = "facebook/musicgen-small";
static mg_threads *threads;

static char *some_bytes(int64_t n)
{
    char *data = malloc((size_t)n);
    uint32_t x = 12345;

    assert_non_null(data);
    for (int64_t i = 0; i < n; i++) data[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    return data;
}

static void is_read_as_written(void **state)
{
    static const int64_t sizes[] = {1,
                                    64,
                                    (256 << 10) + 64,
                                    MG_PACK_CHUNK_BYTES - 1,
                                    MG_PACK_CHUNK_BYTES,
                                    MG_PACK_CHUNK_BYTES + 1,
                                    5 * MG_PACK_CHUNK_BYTES + 192};
    const char *path = in_dir("pack");

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t n = sizes[i];
        char *data = some_bytes(n), *back = calloc(1, (size_t)n + 1);
        int64_t bytes;
        assert_non_null(back);
        back[n] = 77;
        expect_ok(mg_pack_write(path, key, model, data, n, threads));
        expect_ok(mg_pack_read(path, key, back, n, threads));
        assert_memory_equal(back, data, (size_t)n);
        assert_int_equal(back[n], 77);
        char *file = get_file(path, &bytes); /* the data stand in it as they are, on a page's border */
        assert_int_equal(bytes, mg_pack_head_bytes(n) + n);
        assert_int_equal(mg_pack_head_bytes(n) % 4096, 0);
        assert_memory_equal(file + mg_pack_head_bytes(n), data, (size_t)n);
        free(file);
        free(back);
        free(data);
    }
    assert_int_equal(count_files(test_dir), 1);
}

/* Every byte of the head and some of the data, changed in each bit that counts. */
static void no_change_is_missed(void **state)
{
    const int64_t n = 2 * MG_PACK_CHUNK_BYTES + 4032;
    const char *path = in_dir("pack"), *changed = in_dir("changed");
    char *data = some_bytes(n), *back = malloc((size_t)n);
    int64_t bytes;

    (void)state;
    assert_non_null(back);
    expect_ok(mg_pack_write(path, key, model, data, n, threads));
    char *file = get_file(path, &bytes);
    const int64_t first = mg_pack_head_bytes(n), table_end = 384 + 3 * 8;
    const int64_t in_data[] = {
        first,      first + 1, first + 63, first + MG_PACK_CHUNK_BYTES - 1, first + MG_PACK_CHUNK_BYTES,
        bytes - 65, bytes - 1};
    for (int64_t i = 0; i < table_end; i++) {
        mg_pack_head head;
        if (i == 360) i = 384; /* nothing is there */
        for (int bit = 0; bit < 8; bit++) {
            file[i] ^= (char)(1 << bit);
            assert_int_equal(mg_pack_head_parse(&head, "pack", file, first, bytes, key, n) == MG_OK, 0);
            file[i] ^= (char)(1 << bit);
        }
    }
    for (size_t k = 0; k < sizeof in_data / sizeof *in_data; k++) {
        file[in_data[k]] ^= (char)(1 << k);
        put_file(changed, file, (size_t)bytes);
        expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL,
                       "changed: is damaged: the checksum of its chunk");
        file[in_data[k]] ^= (char)(1 << k);
    }
    /* two equal words that change places are a change too */
    memmove(file + first, file + first + 64, 64);
    put_file(changed, file, (size_t)bytes);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL, "is damaged");
    free(file);
    free(back);
    free(data);
}

static void says_what_it_is_not(void **state)
{
    const int64_t n = MG_PACK_CHUNK_BYTES + 640;
    const char *path = in_dir("pack"), *changed = in_dir("changed");
    char *data = some_bytes(n), *back = malloc((size_t)n + 64);
    const uint32_t version = MG_PACK_VERSION + 1, order = 0x04030201;
    int64_t bytes;

    (void)state;
    assert_non_null(back);
    expect_ok(mg_pack_write(path, key, model, data, n, threads));
    char *file = get_file(path, &bytes);
    expect_failure(mg_pack_read(in_dir("none"), key, back, n, threads), MG_EFAIL, "none: cannot open");
    expect_failure(mg_pack_read(path, other_key, back, n, threads), MG_EFAIL, "is a pack of other weights");
    expect_failure(mg_pack_read(path, key, back, n + 64, threads), MG_EFAIL,
                   "pack: holds 4194944 bytes of weights, expected 4195008");
    put_file(changed, file, (size_t)bytes - 1);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL,
                   "changed: has 4199039 bytes of 4199040");
    put_file(changed, file, 400);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL,
                   "changed: has 400 bytes of 4199040");
    put_file(changed, file, 383);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL, "changed: is no pack of weights");
    put_file(changed, "", 0);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL, "changed: is no pack of weights");
    memcpy(file + 8, &version, sizeof version);
    put_file(changed, file, (size_t)bytes);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL, "changed: is stale");
    memcpy(file + 12, &order, sizeof order);
    put_file(changed, file, (size_t)bytes);
    expect_failure(mg_pack_read(changed, key, back, n, threads), MG_EFAIL, "of another byte order");
    expect_failure(mg_pack_write(in_dir("none/pack"), key, model, data, n, threads), MG_EFAIL,
                   "cannot create");
    free(file);
    free(back);
    free(data);
}

/* By the beginning of its key, and without reading it. */
static void its_head_says_what_it_is(void **state)
{
    const int64_t n = 2 * MG_PACK_CHUNK_BYTES + 64;
    const char *path = in_dir("pack");
    char *data = some_bytes(n), longest[MG_PACK_MODEL_SIZE] = "", seen[MG_PACK_MODEL_SIZE];
    const uint32_t version = MG_PACK_VERSION - 1;
    int64_t bytes;

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    expect_ok(mg_pack_write(path, key, longest, data, n, threads));
    expect_ok(mg_pack_look(seen, path, ""));
    assert_string_equal(seen, longest);
    expect_ok(mg_pack_write(path, other_key, model, data, n, threads));
    expect_ok(mg_pack_look(seen, path, ""));
    assert_string_equal(seen, model);
    expect_ok(mg_pack_look(seen, path, "0123456789abcdef"));
    expect_failure(mg_pack_look(seen, path, "0123456789abcdee"), MG_EFAIL, "is a pack of other weights");
    char *file = get_file(path, &bytes);
    put_file(path, file, (size_t)bytes - 1);
    expect_failure(mg_pack_look(seen, path, ""), MG_EFAIL, "pack: has 8392767 bytes of 8392768");
    put_file(path, file, 4096);
    expect_failure(mg_pack_look(seen, path, ""), MG_EFAIL, "pack: has 4096 bytes, too few");
    put_file(path, "", 0);
    expect_failure(mg_pack_look(seen, path, ""), MG_EFAIL, "pack: is no pack of weights");
    memcpy(file + 8, &version, sizeof version);
    put_file(path, file, (size_t)bytes);
    expect_failure(mg_pack_look(seen, path, ""), MG_EFAIL,
                   "is stale: packs are of version 4 now, this one is of 3");
    expect_failure(mg_pack_look(seen, test_dir, ""), MG_EFAIL, "not a regular file");
    free(file);
    free(data);
}

/* Random weights of a small model as this level packs them. */
static void hash_of_layout(char sha256[65], mg_format format, mg_cpu_level level)
{
    const mg_lm_config config = {.D = 256,
                                 .L = 2,
                                 .H = 8,
                                 .F = 512,
                                 .V = 64,
                                 .K = 4,
                                 .n_channels = 1,
                                 .max_positions = 32,
                                 .d_text = 96,
                                 .project_text = true};
    const mg_lm_formats formats = {format, MG_FORMAT_F32};
    mg_arena arena = mg_arena_measure("weights");
    mg_comm *comm;
    mg_ops *ops;
    mg_lm *lm = NULL;
    mg_weights w;
    void *block;

    expect_ok(mg_comm_self_open(&comm));
    expect_ok(mg_cpu_open(&ops, level, threads));
    mg_weights_init(&w, ops, NULL, &arena, "");
    expect_ok(mg_lm_load(&lm, &config, formats, comm, &w));
    const size_t bytes = arena.used_bytes;
    expect_ok(mg_ops_alloc(ops, &block, bytes));
    arena = mg_arena_over("weights", block, bytes);
    expect_ok(mg_lm_load(&lm, &config, formats, comm, &w));
    expect_ok(mg_hash_bytes(sha256, block, bytes));
    mg_weights_close(&w);
    mg_lm_close(lm);
    mg_ops_release(ops, block, bytes);
    mg_ops_close(ops);
    mg_comm_close(comm);
}

/* A pack outlives the program that made it: what packs otherwise must raise MG_PACK_VERSION, and then these.
 */
static void version_goes_with_the_layout(void **state)
{
    static const char *const of_level[][MG_N_FORMATS] = {
        [MG_CPU_SCALAR] = {"9e22d409bfc3da62", "f11846522f7e5418", "2a18c838c24f26f2", "f25eb01f5bfc40df",
                           "94c0afe4e79fee65"},
        [MG_CPU_AVX2] = {"6c489b5b83edd4ed", "d7aa3e26d61c775d", "4a9fac2184a9d029", "cd0fadfe480de9bc",
                         "b071c3f2bff984ce"},
        [MG_CPU_AVX512] = {"d4bb7d01fdefdead", "286e5910051326e8", "f356aa6fb745e636", "17fd889664dbb038",
                           "02ed5dd8d16730eb"}};
    char sha256[65];

    (void)state;
    assert_int_equal(MG_PACK_VERSION, 4);
    for (mg_cpu_level level = MG_CPU_SCALAR; level <= MG_CPU_NEON; level = (mg_cpu_level)(level + 1))
        for (int f = 0; f < MG_N_FORMATS && mg_cpu_has_level(level); f++) {
            const mg_cpu_level like = level == MG_CPU_AMX    ? MG_CPU_AVX512
                                      : level == MG_CPU_NEON ? MG_CPU_AVX2
                                                             : level;
            hash_of_layout(sha256, (mg_format)f, level);
            if (strncmp(sha256, of_level[like][f], 16) != 0)
                fail_msg("%s at %s: %.16s: it is packed otherwise: raise MG_PACK_VERSION",
                         mg_format_name((mg_format)f), mg_cpu_level_name(level), sha256);
        }
}

static int open_threads(void **state)
{
    (void)state;
    return mg_threads_open(&threads, 2, false) == MG_OK ? 0 : -1;
}

static int close_threads(void **state)
{
    (void)state;
    mg_threads_close(threads);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_read_as_written, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(no_change_is_missed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(says_what_it_is_not, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(its_head_says_what_it_is, make_dir, drop_dir),
        cmocka_unit_test(version_goes_with_the_layout),
    };

    return cmocka_run_group_tests(tests, open_threads, close_threads);
}
