/* The readers of what verify reads: shards, sums, lines. */
#include "io_fixture.h"

#include "json_lines.h"
#include "sum_list.h"
#include "tar_reader.h"
#include "tar_writer.h"

static void make_tar(const char *path)
{
    char sha256[65], name[150];
    mg_tar_writer t;

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    expect_ok(mg_tar_writer_begin(&t, path));
    expect_ok(mg_tar_writer_add(&t, "a.flac", "sound", 5));
    expect_ok(mg_tar_writer_add(&t, "empty", "", 0));
    expect_ok(mg_tar_writer_add(&t, name, name, sizeof name));
    expect_ok(mg_tar_writer_commit(&t, sha256));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    mg_tar_reader t;
    mg_tar_member m;
    bool over;

    make_tar(in_dir("x.tar"));
    expect_ok(mg_tar_reader_open(&t, in_dir("x.tar")));
    expect_ok(mg_tar_reader_next(&t, &m, &over));
    assert_string_equal(m.name, "a.flac");
    assert_memory_equal(m.data, "sound", 5);
    expect_ok(mg_tar_reader_next(&t, &m, &over));
    assert_string_equal(m.name, "empty");
    assert_int_equal(m.bytes, 0);
    expect_ok(mg_tar_reader_next(&t, &m, &over));
    assert_int_equal(strlen(m.name), 149);
    assert_int_equal(m.bytes, 150);
    assert_false(over);
    expect_ok(mg_tar_reader_next(&t, &m, &over));
    assert_true(over);
    mg_tar_reader_close(&t);
}

/* Each byte changed, each length: never more than what was written, and an error wherever a header, padding
 * or the end was touched. The contents have no sums of their own in a tar. */
static void damage_is_seen(void **state)
{
    (void)state;
    char *data;
    int64_t bytes, n_seen = 0;
    mg_tar_reader t;
    mg_tar_member m;

    make_tar(in_dir("x.tar"));
    expect_ok(mg_in_file_read(&data, &bytes, in_dir("x.tar"), 1 << 20));
    for (int64_t i = 0; i < 2 * bytes; i++) {
        const bool cut = i >= bytes;
        const int64_t at = i % bytes;
        mg_status st = MG_OK;
        bool over = false;
        if (!cut) data[at] ^= 1;
        mg_tar_reader_open_text(&t, "x.tar", data, cut ? at : bytes);
        while (!over && st == MG_OK) st = mg_tar_reader_next(&t, &m, &over);
        if (!cut) data[at] ^= 1;
        if (cut) assert_int_equal(st, MG_EFAIL);
        n_seen += st == MG_EFAIL && !cut;
    }
    /* all but the three contents (5 + 0 + 150 bytes), the long name's 150, and what the sums leave open */
    assert_true(n_seen >= bytes - 5 - 150 - 150 - 16);
    free(data);
}

static void sums_are_read_strictly(void **state)
{
    (void)state;
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        const char *format, *fault;
    } cases[] = {{"%s  a\n%s  b/c d.flac\n", NULL},
                 {"%s  a\r\n%s  b/c d.flac\r\n", NULL},
                 {"%s  \r\n", "line 1: is no hash"},
                 {"%s *a\n", NULL},
                 {"", NULL},
                 {"%s a\n", "line 1: is no hash"},
                 {"%s  \n", "line 1: is no hash"},
                 {"0%s  a\n", "line 1: is no hash"},
                 {"%s  ../a\n", "leads out of the folder"},
                 {"%s  a/../../b\n", "leads out of the folder"},
                 {"%s  /etc/passwd\n", "leads out of the folder"},
                 {"%s  a\n%s  a\n", "is there twice"},
                 {"%s  a\n\n%s  b\n", "line 2: is no hash"}};
    mg_sum_list l;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = malloc(300);
        const int n = snprintf(text, 300, cases[i].format, hash, hash);
        const mg_status st = mg_sum_list_parse(&l, "SUMS", text, n);
        if (cases[i].fault)
            expect_failure(st, MG_EFAIL, cases[i].fault);
        else
            expect_ok(st);
        if (i < 2) assert_string_equal(mg_sum_list_find(&l, "b/c d.flac")->sha256, hash);
        if (i < 2) assert_null(mg_sum_list_find(&l, "b"));
        mg_sum_list_close(&l);
    }
}

static void lines_are_compared_by_their_record(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "{\"file\":\"a\",\"sha256\":\"x\",\"bytes\":1,\"id\":\"i\",\"seed\":5}",
        "{\"file_name\":\"b\",\"seed\":5,\"id\":\"i\"}", "{\"file_name\":\"b\",\"seed\":6,\"id\":\"i\"}",
        "{\"file_name\":\"b\",\"seed\":5,\"id\":\"i\",\"more\":[1]}"};
    mg_clip_line c[4];

    for (int i = 0; i < 4; i++)
        expect_ok(mg_clip_line_parse(&c[i], "line", lines[i], (int64_t)strlen(lines[i])));
    assert_null(mg_clip_line_difference(&c[0], &c[1]));
    assert_string_equal(mg_clip_line_difference(&c[0], &c[2]), "seed");
    assert_string_equal(mg_clip_line_difference(&c[0], &c[3]), "more");
    assert_string_equal(mg_clip_line_difference(&c[3], &c[0]), "more");
    for (int i = 0; i < 4; i++) mg_clip_line_close(&c[i]);
    expect_failure(mg_clip_line_parse(&c[0], "line", "[1]", 3), MG_EFAIL, "line: is no JSON object");
    expect_failure(mg_clip_line_parse(&c[0], "line", "{\"seed\":\"5\"}", 12), MG_EFAIL, "seed");
    expect_failure(mg_clip_line_parse(&c[0], "line", "{", 1), MG_EFAIL, "line");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damage_is_seen, make_dir, drop_dir),
        cmocka_unit_test(sums_are_read_strictly),
        cmocka_unit_test(lines_are_compared_by_their_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
