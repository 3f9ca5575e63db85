/* Zips by hand: what torch writes, and directories that lie. */
#include "io_fixture.h"

#include "zip_reader.h"

enum { ROOM = 4096 };

typedef struct zip {
    uint8_t data[ROOM];
    size_t n;
    size_t local[8], central, n_entries;
    size_t central_of[8], end;
} zip;

static void put_le(zip *z, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) z->data[z->n++] = (uint8_t)(i < 8 ? value >> (8 * i) : 0);
}

static void set_le(zip *z, size_t at, uint64_t value, int n)
{
    for (int i = 0; i < n; i++) z->data[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static void put_text(zip *z, const char *text)
{
    memcpy(z->data + z->n, text, strlen(text));
    z->n += strlen(text);
}

static const char *const names[3] = {"a/data.pkl", "a/data/0", "a/version"};
static const char *const texts[3] = {"pickle", "0123456789", "3\n"};

/* Three stored entries; a local header's extra field is longer than the central one's, as torch pads. */
static void make_zip(zip *z)
{
    *z = (zip){.n_entries = 3};
    for (int i = 0; i < 3; i++) {
        z->local[i] = z->n;
        put_text(z, "PK\003\004");
        put_le(z, 0, 14); /* version … crc */
        put_le(z, strlen(texts[i]), 4);
        put_le(z, strlen(texts[i]), 4);
        put_le(z, strlen(names[i]), 2);
        put_le(z, 4 + 7, 2);
        put_text(z, names[i]);
        put_text(z, "FB");
        put_le(z, 7, 2);
        put_text(z, "ZZZZZZZ");
        put_text(z, texts[i]);
    }
    z->central = z->n;
    for (int i = 0; i < 3; i++) {
        z->central_of[i] = z->n;
        put_text(z, "PK\001\002");
        put_le(z, 0, 16); /* versions, flags, method, time, crc */
        put_le(z, strlen(texts[i]), 4);
        put_le(z, strlen(texts[i]), 4);
        put_le(z, strlen(names[i]), 2);
        put_le(z, 0, 12); /* extra, comment, disk, attributes */
        put_le(z, z->local[i], 4);
        put_text(z, names[i]);
    }
    z->end = z->n;
    put_text(z, "PK\005\006");
    put_le(z, 0, 4);
    put_le(z, 3, 2);
    put_le(z, 3, 2);
    put_le(z, z->end - z->central, 4);
    put_le(z, z->central, 4);
    put_le(z, 0, 2);
}

static mg_status open_zip(const zip *z)
{
    mg_zip_archive a;
    char *copy = malloc(z->n);

    assert_non_null(copy);
    memcpy(copy, z->data, z->n);
    const mg_status st = mg_zip_archive_open(&a, "test", copy, z->n);
    if (st != MG_OK) assert_true(!a.entries && !a.n);
    mg_zip_archive_close(&a);
    free(copy);
    return st;
}

static void entries_are_found(void **state)
{
    mg_zip_archive a;
    zip z;

    (void)state;
    make_zip(&z);
    assert_true(mg_zip_archive_is((const char *)z.data, z.n));
    expect_ok(mg_zip_archive_open(&a, "test", (const char *)z.data, z.n));
    assert_int_equal(a.n, 3);
    for (int i = 0; i < 3; i++) {
        const mg_zip_entry *e = mg_zip_archive_find(&a, names[i]);
        assert_non_null(e);
        assert_int_equal(e->bytes, strlen(texts[i]));
        assert_memory_equal(e->data, texts[i], e->bytes);
    }
    assert_null(mg_zip_archive_find(&a, "a/data/1"));
    mg_zip_archive_close(&a);
}

static void lies_are_named(void **state)
{
    enum { LOCAL, CENTRAL, END };
    static const struct {
        int where, i_entry;
        size_t at;
        uint64_t value;
        int n;
        const char *message;
    } cases[] = {
        {END, 0, 16, 4000, 4, "a directory outside the file"},
        {END, 0, 12, 0xFFFFFF, 4, "a directory outside the file"},
        {END, 0, 10, 60000, 2, "a directory that is too short"},
        {END, 0, 10, 4, 2, "zip: "},
        {END, 0, 4, 3, 2, "a part of several"},
        {END, 0, 20, 9, 2, "no end record"},
        {CENTRAL, 1, 42, 4000, 4, "an entry outside the file"},
        {CENTRAL, 1, 42, 5, 4, "an entry outside the file"},
        {CENTRAL, 1, 24, 3000, 4, "compressed"},
        {CENTRAL, 1, 10, 8, 2, "compressed"},
        {CENTRAL, 1, 8, 1, 2, "encrypted"},
        {CENTRAL, 2, 28, 60000, 2, "zip: "},
        {LOCAL, 1, 28, 60000, 2, "ends outside the file"},
        {LOCAL, 0, 0, 0, 4, "an entry outside the file"},
    };
    zip z;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_zip(&z);
        const size_t base = cases[i].where == END     ? z.end
                            : cases[i].where == LOCAL ? z.local[cases[i].i_entry]
                                                      : z.central_of[cases[i].i_entry];
        set_le(&z, base + cases[i].at, cases[i].value, cases[i].n);
        expect_failure(open_zip(&z), MG_ECHECKPOINT, cases[i].message);
    }
    make_zip(&z); /* two sizes that agree with each other and with nothing else */
    set_le(&z, z.central_of[1] + 20, 3000, 4);
    set_le(&z, z.central_of[1] + 24, 3000, 4);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "ends outside the file");
    make_zip(&z);
    memcpy(z.data + z.central_of[1] + 46, "a/data.pkl", 8); /* "a/data.p" */
    memcpy(z.data + z.central_of[2] + 46, "a/data.pk", 9);
    expect_ok(open_zip(&z));
    memcpy(z.data + z.central_of[2] + 46, "a/data/00", 9);
    set_le(&z, z.central_of[2] + 28, 8, 2); /* the same name as entry 1 would be: "a/data/0" */
    memcpy(z.data + z.central_of[1] + 46, "a/data/0", 8);
    assert_int_equal(open_zip(&z), MG_ECHECKPOINT);
}

/* Fifield's bomb: entries that share their bytes. */
static void shared_bytes_are_refused(void **state)
{
    zip z;

    (void)state;
    make_zip(&z);
    set_le(&z, z.central_of[2] + 42, z.local[1], 4);
    set_le(&z, z.central_of[2] + 20, 10, 4);
    set_le(&z, z.central_of[2] + 24, 10, 4);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "entries that overlap");
    make_zip(&z); /* one entry that swallows the next with its header */
    set_le(&z, z.central_of[0] + 20, 60, 4);
    set_le(&z, z.central_of[0] + 24, 60, 4);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "entries that overlap");
}

static void zip64_is_read_and_checked(void **state)
{
    zip z;
    size_t at;

    (void)state;
    make_zip(&z);
    z.n = z.end;
    at = z.n;
    put_text(&z, "PK\006\006"); /* zip64 end record */
    put_le(&z, 44, 8);
    put_le(&z, 0, 12);
    put_le(&z, 3, 8);
    put_le(&z, 3, 8);
    put_le(&z, z.end - z.central, 8);
    put_le(&z, z.central, 8);
    put_text(&z, "PK\006\007"); /* its locator */
    put_le(&z, 0, 4);
    put_le(&z, at, 8);
    put_le(&z, 1, 4);
    const size_t end = z.n;
    put_text(&z, "PK\005\006");
    put_le(&z, 0, 4);
    put_le(&z, 0xFFFFFFFF, 4);
    put_le(&z, 0xFFFFFFFFFFFFFFFF, 8);
    put_le(&z, 0, 2);
    expect_ok(open_zip(&z));
    set_le(&z, at + 48, UINT64_MAX - 4, 8);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "a directory outside the file");
    set_le(&z, at + 48, z.central, 8);
    set_le(&z, at + 32, UINT64_MAX, 8);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "more entries than a checkpoint has");
    set_le(&z, at + 32, 3, 8);
    set_le(&z, end - 12, UINT64_MAX - 3, 8);
    expect_failure(open_zip(&z), MG_ECHECKPOINT, "no zip64 end record");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found),
        cmocka_unit_test(lies_are_named),
        cmocka_unit_test(shared_bytes_are_refused),
        cmocka_unit_test(zip64_is_read_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
