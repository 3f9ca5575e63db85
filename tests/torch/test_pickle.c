/* Pickles as data: what the opcodes make, and what hostile ones cost. Bytes by hand, after CPython's
 * pickletools. */
#include "io_fixture.h"

#include "clock.h"
#include "pickle.h"

/* One pickle; the store is the caller's to close, also after a failure. */
static mg_status read_pickle(mg_pickle **store, const mg_pickle_value **root, const void *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1); /* of exactly its size: a sanitizer sees what reads beyond */

    assert_non_null(copy);
    if (bytes) memcpy(copy, data, bytes);
    *store = NULL;
    const mg_status st = mg_pickle_read(store, root, "test", copy, bytes, NULL);
    free(copy);
    return st;
}

#define READ(literal) read_pickle(&store, &root, literal, sizeof(literal) - 1)

static void values_come_out(void **state)
{
    mg_pickle *store;
    const mg_pickle_value *root;

    (void)state;
    /* (None, True, -5, 2**40, 1.5, 'é', b'\0x', [1, 2], {'a': 3}) */
    expect_ok(READ(
        "\x80\x04(N\x88J\xfb\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01G\x3f\xf8\0\0\0\0\0\0\x8c\x02\xc3\xa9"
        "C\x02\0x](K\x01M\x02\x00"
        "e}\x8c\x01"
        "aK\x03st."));
    assert_true(root->kind == MG_PICKLE_TUPLE && root->items.n == 9);
    mg_pickle_value **v = root->items.item;
    assert_true(v[0]->kind == MG_PICKLE_NONE && v[1]->kind == MG_PICKLE_BOOL && v[1]->boolean);
    assert_true(v[2]->integer == -5 && v[3]->integer == (int64_t)1 << 40 && v[4]->number == 1.5);
    assert_true(mg_pickle_is_string(v[5], "\xc3\xa9"));
    assert_true(v[6]->kind == MG_PICKLE_BYTES && v[6]->text.n == 2 && v[6]->text.data[1] == 'x');
    assert_true(v[7]->kind == MG_PICKLE_LIST && v[7]->items.n == 2 && v[7]->items.item[1]->integer == 2);
    assert_int_equal(mg_pickle_get(v[8], "a")->integer, 3);
    assert_null(mg_pickle_get(v[8], "b"));
    mg_pickle_close(store);

    /* protocol 0: lists of lines */
    expect_ok(READ("(lp0\nI7\naI01\naL12L\naF2.5\naVtext\nag0\na."));
    assert_true(root->kind == MG_PICKLE_LIST && root->items.n == 6);
    assert_true(root->items.item[1]->boolean && root->items.item[2]->integer == 12);
    assert_ptr_equal(root->items.item[5], root); /* a cycle */
    mg_pickle_close(store);

    /* the last of two equal keys wins, as in Python */
    expect_ok(READ("}(X\x01\0\0\0aK\x01X\x01\0\0\0aK\x02u."));
    assert_int_equal(mg_pickle_get(root, "a")->integer, 2);
    mg_pickle_close(store);
    mg_pickle_close(NULL);
}

static void calls_are_records(void **state)
{
    mg_pickle *store;
    const mg_pickle_value *root;

    (void)state;
    expect_ok(READ("cos\nsystem\n(X\x04\0\0\0boomtR."));
    assert_true(mg_pickle_is_object_of(root, "os", "system"));
    assert_true(mg_pickle_is_string(root->object.args->items.item[0], "boom"));
    mg_pickle_close(store);
    expect_ok(READ("\x80\x04\x8c\x08"
                   "builtins\x8c\x04"
                   "eval\x93\x8c\x01x\x85R."));
    assert_true(mg_pickle_is_object_of(root, "builtins", "eval"));
    mg_pickle_close(store);
    expect_ok(READ("(ios\nsystem\n."));
    assert_true(mg_pickle_is_object_of(root, "os", "system"));
    mg_pickle_close(store);
    expect_ok(READ("ccollections\nOrderedDict\n)R(X\x01\0\0\0aK\x01u."));
    assert_int_equal(mg_pickle_get(root, "a")->integer, 1);
    mg_pickle_close(store);
}

static void nonsense_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t n;
        const char *message;
    } cases[] = {
#define CASE(literal, message) {literal, sizeof(literal) - 1, message}
        CASE("", "without a STOP"),
        CASE(".", "nothing on the stack"),
        CASE("N", "without a STOP"),
        CASE("\xff.", "an unknown opcode"),
        CASE("\x82\x01.", "an unknown opcode"), /* EXT1: a registry of constructors */
        CASE("t.", "no mark"),
        CASE("(t.", NULL),
        CASE("(.", "nothing on the stack"),
        CASE("N(0.", "nothing on the stack"), /* what lies below a mark is out of reach */
        CASE("h\x05.", "never set"),
        CASE("j\xff\xff\xff\xff.", "never set"),
        CASE("Nr\xff\xff\xff\xff.", "memo entry too far"),
        CASE("X\xff\xff\xff\xff"
             "abc.",
             "in the middle of a value"),
        CASE("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "in the middle of a value"),
        CASE("\x95\xff\xff\xff\xff\xff\xff\xff\xff"
             "N.",
             NULL), /* a frame's length is only a hint */
        CASE("cos\nsystem", "without an end"),
        CASE("I99999999999999999999\n.", "64 bits"),
        CASE("Ifoo\n.", "64 bits"),
        CASE("Fbar\n.", "not a number"),
        CASE("S'open\n.", "without quotes"),
        CASE("NN\x93.", "a global without a name"),
        CASE("NNR.", "no tuple"),
        CASE("(K\x01"
             "d.",
             "no value"),
        CASE("N(K\x01K\x02u.", "holds none"),
        CASE("]K\x01K\x02s.", "holds none"),
        CASE("Kx", "without a STOP"),
#undef CASE
    };
    mg_pickle *store;
    const mg_pickle_value *root;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const mg_status st = read_pickle(&store, &root, cases[i].data, cases[i].n);
        if (cases[i].message)
            expect_failure(st, MG_ECHECKPOINT, cases[i].message);
        else
            expect_ok(st);
        mg_pickle_close(store);
    }
}

/* Nesting is no recursion, sharing is no copying, and a long run of anything ends at a limit. */
static void bombs_do_not_go_off(void **state)
{
    enum { N = 3 << 20 };
    char *data = malloc(N + 64);
    const double begin_s = mg_clock_s();
    mg_pickle *store;
    const mg_pickle_value *root;
    size_t n = 0;

    (void)state;
    assert_non_null(data);
    for (int i = 0; i < N; i++) data[n++] = ']'; /* lists in lists */
    for (int i = 0; i < 20; i++) data[n++] = 'a';
    data[n++] = '.';
    expect_ok(read_pickle(&store, &root, data, n));
    mg_pickle_close(store);

    n = 0; /* N marks */
    memset(data, '(', N);
    expect_failure(read_pickle(&store, &root, data, N), MG_ECHECKPOINT, "too many open marks");
    mg_pickle_close(store);

    /* a thousand million: each list holds the one before ten times */
    for (int level = 0; level < 60; level++) {
        n += (size_t)sprintf(data + n, "%s", level ? "](" : "](N");
        for (int i = 0; i < 10 && level; i++) n += (size_t)sprintf(data + n, "g%d\n", level - 1);
        n += (size_t)sprintf(data + n, "ep%d\n", level);
    }
    data[n++] = '.';
    expect_ok(read_pickle(&store, &root, data, n));
    assert_int_equal(root->items.n, 10);
    mg_pickle_close(store);

    n = 0; /* memo entries ever farther away */
    data[n++] = 'N';
    for (int i = 0; i < 400000; i++) {
        const uint32_t at = (uint32_t)i * 37;
        data[n++] = 'r';
        memcpy(data + n, &at, 4);
        n += 4;
    }
    expect_failure(read_pickle(&store, &root, data, n), MG_ECHECKPOINT, "memo entry too far");
    mg_pickle_close(store);

    memset(data, 'N', N); /* as many values as fit the stack, and not one more */
    data[N - 1] = '.';
    expect_ok(read_pickle(&store, &root, data, N));
    mg_pickle_close(store);
    free(data);
    char *larger = malloc((size_t)5 << 20);
    assert_non_null(larger);
    memset(larger, 'N', (size_t)5 << 20);
    expect_failure(read_pickle(&store, &root, larger, (size_t)5 << 20), MG_ECHECKPOINT, "too many values");
    mg_pickle_close(store);
    free(larger);
    assert_true(mg_clock_s() - begin_s < 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_out),
        cmocka_unit_test(calls_are_records),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(bombs_do_not_go_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
