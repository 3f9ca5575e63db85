/* Headers that lie in every way a header can. */
#include "io_fixture.h"

#include "safetensors.h"

/* The bytes of a file: length, header, data of n_data zeros; exactly that size, malloc'ed. */
static unsigned char *make(const char *header, int64_t n_data, int64_t *bytes)
{
    const size_t n = strlen(header);
    unsigned char *p = calloc(1, 8 + n + (size_t)n_data);

    assert_non_null(p);
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)((uint64_t)n >> (8 * i));
    memcpy(p + 8, header, n);
    *bytes = 8 + (int64_t)n + n_data;
    return p;
}

static mg_status parse(mg_safetensors *s, const char *header, int64_t n_data)
{
    int64_t bytes;
    unsigned char *p = make(header, n_data, &bytes);
    const mg_status st = mg_safetensors_parse(s, "w.safetensors", p, bytes);

    free(p);
    return st;
}

#define GOOD                                                                                                 \
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]" \
    "},"                                                                                                     \
    "\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]},"                                         \
    "\"none\":{\"dtype\":\"BF16\",\"shape\":[4,0],\"data_offsets\":[32,32]}}  "

static void reads_what_is_right(void **state)
{
    mg_safetensors s;

    (void)state;
    expect_ok(parse(&s, GOOD, 32));
    assert_int_equal(s.n, 3);
    assert_string_equal(s.entries[0].name, "a");
    assert_true(s.entries[0].dtype == MG_F64 && s.entries[0].n_dims == 0 && s.entries[0].dim[0] == 1);
    assert_string_equal(s.entries[1].name, "b");
    assert_true(s.entries[1].n_dims == 2 && s.entries[1].dim[0] == 2 && s.entries[1].dim[1] == 3);
    assert_int_equal(s.entries[1].end - s.entries[1].begin, 24);
    assert_int_equal(s.entries[1].begin, 8 + (int64_t)strlen(GOOD) + 8);
    assert_true(s.entries[2].dtype == MG_BF16 && s.entries[2].dim[1] == 0);
    mg_safetensors_close(&s);
    expect_ok(parse(&s, "{}", 0));
    assert_int_equal(s.n, 0);
    mg_safetensors_close(&s);
}

static void truncated_anywhere_is_refused(void **state)
{
    int64_t bytes;
    unsigned char *p = make(GOOD, 32, &bytes);

    (void)state;
    for (int64_t n = 0; n < bytes; n++) {
        mg_safetensors s;
        unsigned char *part = malloc((size_t)n + 1);
        assert_non_null(part);
        unsigned char *copy = part + 1; /* ends where the allocation ends; unaligned as well */
        memcpy(copy, p, (size_t)n);
        expect_failure(mg_safetensors_parse(&s, "w.safetensors", copy, n), MG_ECHECKPOINT, "w.safetensors: ");
        assert_null(s.entries);
        free(part);
    }
    free(p);
}

#define ONE(dtype, shape, offsets) \
    "{\"x\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(offsets_a, offsets_b)                                             \
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" offsets_a "}," \
    "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" offsets_b "}}"

static void lies_are_named(void **state)
{
    static const struct {
        const char *header;
        int64_t n_data;
        const char *part;
    } cases[] = {
        {ONE("F32", "[2]", "[0,8]"), 7,
         "x: ends at byte 8 of the data, but the file holds 7: is it truncated?"},
        {ONE("F32", "[2]", "[0,8]"), 9, "1 bytes at its end belong to no tensor"},
        {ONE("F32", "[2]", "[0,4]"), 4, "x: 4 bytes are stored, its shape needs 8"},
        {ONE("F32", "[2]", "[8,0]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "[-8,0]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "[0,8,16]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "[0]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "[0,8.5]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "\"0,8\""), 8, "data_offsets: must be a JSON array"},
        {ONE("F32", "[2]", "[0,1e300]"), 8, "data_offsets must be two ascending"},
        {ONE("F32", "[2]", "[4,12]"), 12, "x: a hole before it at byte"},
        {ONE("F32", "[-2]", "[0,8]"), 8, "x: its shape holds something that is no size"},
        {ONE("F32", "[1.5]", "[0,8]"), 8, "x: its shape holds something that is no size"},
        {ONE("F32", "[4294967296,4294967296,4294967296]", "[0,8]"), 8, "x: its shape is beyond any file"},
        {ONE("F32", "[0,4294967296,4294967296]", "[0,0]"), 0, "x: its shape is beyond any file"},
        {ONE("F32", "[1,1,1,1,2]", "[0,8]"), 8, "x: more than 4 dimensions"},
        {"{\"x\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "x: has no dtype"},
        {"{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "x: has no shape"},
        {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets must be two"},
        {"{\"x\":5}", 0, "x: must be a JSON object"},
        {"{\"\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "a tensor without a name"},
        {TWO("[0,4]", "[2,6]"), 6, "b: overlaps another tensor"},
        {TWO("[0,4]", "[0,4]"), 4, "overlaps another tensor"},
        {TWO("[0,4]", "[5,9]"), 9, "b: a hole before it"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
         8, "a: is there twice"},
        {"[]", 0, "no JSON object"},
        {"{", 0, "not JSON"},
        {"{} x", 0, "something behind the value"},
        {"", 0, "not JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        mg_safetensors s;
        expect_failure(parse(&s, cases[i].header, cases[i].n_data), MG_ECHECKPOINT, cases[i].part);
        assert_null(s.entries);
    }
}

static void length_of_the_header_is_checked(void **state)
{
    static const uint64_t lengths[] = {
        3,          100,           (uint64_t)100 << 20, ((uint64_t)100 << 20) + 1, (uint64_t)1 << 63,
        UINT64_MAX, UINT64_MAX - 7};
    unsigned char p[10] = {0};

    (void)state;
    p[8] = '{', p[9] = '}';
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mg_safetensors s;
        for (int j = 0; j < 8; j++) p[j] = (unsigned char)(lengths[i] >> (8 * j));
        expect_failure(mg_safetensors_parse(&s, "w.safetensors", p, sizeof p), MG_ECHECKPOINT,
                       lengths[i] > (uint64_t)100 << 20 ? "not a safetensors file" : "is truncated");
    }
}

/* Every single byte of the header changed, to several values: never a crash, and what is accepted is whole.
 */
static void one_wrong_byte_is_harmless(void **state)
{
    int64_t bytes;
    unsigned char *p = make(GOOD, 32, &bytes);

    (void)state;
    for (int64_t i = 0; i < bytes - 32; i++) {
        const unsigned char was = p[i];
        for (int change = 1; change < 256; change += 7) {
            mg_safetensors s;
            p[i] = (unsigned char)(was + change);
            if (mg_safetensors_parse(&s, "w.safetensors", p, bytes) != MG_OK) continue;
            for (int64_t j = 0; j < s.n; j++)
                assert_true(s.entries[j].begin >= 8 && s.entries[j].end <= bytes);
            mg_safetensors_close(&s);
        }
        p[i] = was;
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_right),
        cmocka_unit_test(truncated_anywhere_is_refused),
        cmocka_unit_test(lies_are_named),
        cmocka_unit_test(length_of_the_header_is_checked),
        cmocka_unit_test(one_wrong_byte_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
