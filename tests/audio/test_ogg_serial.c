/* Ogg pages by hand, checksums by a bitwise sum of our own, and what libsndfile writes. */
#include "io_fixture.h"

#include "audio_file.h"
#include "ogg_serial.h"

/* RFC 3533: polynomial 0x04c11db7, the highest bit first, from 0. */
static uint32_t bitwise_sum(const uint8_t *p, int64_t bytes)
{
    uint32_t v = 0;

    for (int64_t i = 0; i < 8 * bytes; i++) {
        const uint32_t bit = p[i / 8] >> (7 - i % 8) & 1, top = v >> 31;
        v = v << 1;
        if (top != bit) v ^= 0x04c11db7;
    }
    return v;
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Every page has this number and a right checksum; how many there are. */
static int check_pages(const uint8_t *file, int64_t n, uint32_t serial)
{
    uint8_t page[70000];
    int n_pages = 0;

    for (int64_t at = 0; at < n; n_pages++) {
        int64_t length = 27 + file[at + 26];
        assert_memory_equal(file + at, "OggS", 5);
        for (int i = 0; i < file[at + 26]; i++) length += file[at + 27 + i];
        assert_int_equal(get_u32(file + at + 14), serial);
        memcpy(page, file + at, (size_t)length);
        memset(page + 22, 0, 4);
        assert_int_equal(get_u32(file + at + 22), bitwise_sum(page, length));
        at += length;
    }
    return n_pages;
}

static void every_page_is_changed(void **state)
{
    static float pcm[200000];
    const mg_sound s = {pcm, 100000, 2, 48000};

    (void)state;
    for (int i = 0; i < 200000; i++) pcm[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    for (mg_audio_format f = MG_AUDIO_OGG; f <= MG_AUDIO_OPUS; f++) {
        int64_t n;
        expect_ok(mg_audio_file_write(in_dir("a"), f, &s, NULL));
        uint8_t *file = (uint8_t *)get_file(in_dir("a"), &n);
        const uint32_t ours = get_u32(file + 14);
        assert_true(check_pages(file, n, ours) > 3);
        expect_ok(mg_ogg_serial_set(file, n, 0xdeadbeef));
        check_pages(file, n, 0xdeadbeef);
        expect_ok(mg_ogg_serial_set(file, n, ours));
        uint8_t *again = (uint8_t *)get_file(in_dir("a"), &n);
        assert_memory_equal(file, again, (size_t)n);
        free(again);
        free(file);
    }
}

static void what_is_no_page_is_refused(void **state)
{
    uint8_t page[27 + 2 + 256 + 4] = "OggS";

    (void)state;
    page[26] = 2, page[27] = 255, page[28] = 1;
    expect_ok(mg_ogg_serial_set(page, 27 + 2 + 256, 7));
    check_pages(page, 27 + 2 + 256, 7);
    expect_ok(mg_ogg_serial_set(page, 0, 7));
    for (int64_t n = 1; n < 27 + 2 + 256; n++)
        expect_failure(mg_ogg_serial_set(page, n, 7), MG_EFAIL, "ogg: byte 0: no whole page begins here");
    expect_failure(mg_ogg_serial_set(page, 27 + 2 + 256 + 4, 7), MG_EFAIL, "ogg: byte 285: ");
    page[4] = 1; /* another version */
    expect_failure(mg_ogg_serial_set(page, 27 + 2 + 256, 7), MG_EFAIL, "ogg: byte 0: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_page_is_changed, make_dir, drop_dir),
        cmocka_unit_test(what_is_no_page_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
