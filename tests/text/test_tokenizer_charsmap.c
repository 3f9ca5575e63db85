/* Normalisation tables made by hand: sound ones pass, those that would lead the library astray do not. */
#include "io_fixture.h"

#include "tokenizer_impl.h"

enum { N_NODES = 48, N_UNITS = 256 * N_NODES, LETTER = 'a' };

/* A trie of the keys "a", "aa", … of n_keys letters, node k at 256 k, and the replacement "x". */
typedef struct table {
    uint32_t n_trie;
    uint32_t units[N_UNITS];
    char text[8];
} table;

static uint32_t step(uint32_t from, uint32_t to)
{
    const uint32_t offset = from ^ to; /* small ones are stored as they are */

    return offset << 10 | 1u << 8 | LETTER;
}

static table make_table(int n_keys)
{
    table t = {.n_trie = 4 * N_UNITS, .text = "x"};

    for (uint32_t k = 0; k < (uint32_t)n_keys; k++) {
        t.units[256 * k + LETTER] = step(256 * k + LETTER, 256 * (k + 1));
        t.units[256 * (k + 1)] = 0x80000000u; /* its value: the replacement at 0 */
    }
    return t;
}

static mg_status check(const table *t, size_t bytes)
{
    char *copy = malloc(bytes + 1);

    assert_non_null(copy);
    memcpy(copy + 1, t, bytes); /* unaligned, and ending where the allocation ends */
    const mg_status st = mg_charsmap_check("table", copy + 1, (int64_t)bytes);
    free(copy);
    return st;
}

static void sound_tables_pass(void **state)
{
    const table none = make_table(0), one = make_table(1), many = make_table(32);

    (void)state;
    expect_ok(check(&none, sizeof none));
    expect_ok(check(&one, sizeof one));
    expect_ok(check(&many, sizeof many));
    expect_ok(mg_charsmap_check("table", "", 0));
}

static void too_many_keys_on_a_way(void **state)
{
    const table t = make_table(33); /* the library keeps 32 */

    (void)state;
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "table: its normalisation table is broken");
}

static void loops_are_found(void **state)
{
    table t = make_table(3);

    (void)state;
    t.units[512 + LETTER] = step(512 + LETTER, 256);
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
    t.units[512 + LETTER] = step(512 + LETTER, 512);
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
}

static void steps_outside_are_found(void **state)
{
    table t = make_table(3);

    (void)state;
    t.units[512 + LETTER] = step(512 + LETTER, N_UNITS);
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
    t.units[512 + LETTER] = 0xFFFFFFFFu & ~0x800000FFu & ~0u << 8;
    t.units[512 + LETTER] |= LETTER; /* the widest offset there is */
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
    t = make_table(3);
    t.units[0] = 0x00FFFC00u; /* the root itself leads outside */
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
}

static void replacements_must_be_text(void **state)
{
    table t = make_table(2);

    (void)state;
    t.units[256] = 0x80000000u | 7; /* the last byte, a NUL: an empty text */
    expect_ok(check(&t, sizeof t));
    t.units[256] = 0x80000000u | 8;
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "is broken");
    t = make_table(2);
    memset(t.text, 'x', sizeof t.text);
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT,
                   "the replacements of its normalisation table are no text");
    t = make_table(2);
    t.text[0] = '\xC3';
    expect_failure(check(&t, sizeof t), MG_ECHECKPOINT, "are no text");
}

static void lengths_must_fit(void **state)
{
    static const uint32_t lengths[] = {0, 1023, 1026, 4 * N_UNITS + 8, UINT32_MAX, UINT32_MAX - 3};
    table t = make_table(2);

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        t.n_trie = lengths[i];
        assert_int_equal(check(&t, sizeof t), MG_ECHECKPOINT);
    }
    t = make_table(2);
    for (size_t n = 1; n < 300; n++) assert_int_equal(check(&t, n), MG_ECHECKPOINT);
    expect_failure(check(&t, 4 + 4 * N_UNITS), MG_ECHECKPOINT, "table: its normalisation table is not whole");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_tables_pass),         cmocka_unit_test(too_many_keys_on_a_way),
        cmocka_unit_test(loops_are_found),           cmocka_unit_test(steps_outside_are_found),
        cmocka_unit_test(replacements_must_be_text), cmocka_unit_test(lengths_must_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
