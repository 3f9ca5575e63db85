#include "io_fixture.h"

#include "audio_file.h"
#include "id3_tag.h"

static int64_t get_size(const uint8_t *p)
{
    int64_t v = 0;

    for (int i = 0; i < 4; i++) {
        assert_true(p[i] < 0x80);
        v = v << 7 | p[i];
    }
    return v;
}

static void frames_are_as_id3_has_them(void **state)
{
    static char comment[300];
    static const struct {
        const char *id, *begin;
        size_t n_begin;
        const char *text;
    } want[] = {{"TIT2", "\3", 1, "Früh"}, {"TSSE", "\3", 1, "mg"}, {"COMM", "\3und\0", 5, comment}};
    uint8_t *tag;
    int64_t bytes, at = 10;

    (void)state;
    memset(comment, 'c', sizeof comment - 1); /* its size takes two bytes of seven bits */
    expect_ok(mg_id3_tag_make(&tag, &bytes, &(mg_audio_tags){"Früh", comment, "mg"}));
    assert_memory_equal(tag, "ID3\4\0\0", 6);
    assert_int_equal(get_size(tag + 6), bytes - 10);
    for (int i = 0; i < 3; i++) {
        const size_t n = want[i].n_begin + strlen(want[i].text);
        assert_memory_equal(tag + at, want[i].id, 4);
        assert_int_equal(get_size(tag + at + 4), n);
        assert_memory_equal(tag + at + 8, "\0\0", 2);
        assert_memory_equal(tag + at + 10, want[i].begin, want[i].n_begin);
        assert_memory_equal(tag + at + 10 + want[i].n_begin, want[i].text, strlen(want[i].text));
        at += 10 + (int64_t)n;
    }
    assert_int_equal(at, bytes);
    free(tag);
}

static void nothing_to_say_is_no_tag(void **state)
{
    uint8_t *tag;
    int64_t bytes;

    (void)state;
    expect_ok(mg_id3_tag_make(&tag, &bytes, &(mg_audio_tags){.title = ""}));
    assert_null(tag);
    assert_int_equal(bytes, 0);
}

/* 320 kbit/s, constant: after the tag, the sync bits of MPEG 1 layer III and bit rate number 14, in each
 * frame. */
static void the_sound_follows(void **state)
{
    static float pcm[96000];
    const mg_sound s = {pcm, 48000, 2, 32000};
    uint8_t *tag;
    int64_t n, bytes;
    const mg_audio_tags tags = {"a title", "a comment", "a program"};

    (void)state;
    for (int i = 0; i < 96000; i++) pcm[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    expect_ok(mg_id3_tag_make(&tag, &bytes, &tags));
    expect_ok(mg_audio_file_write(in_dir("a.mp3"), MG_AUDIO_MP3, &s, &tags));
    uint8_t *file = (uint8_t *)get_file(in_dir("a.mp3"), &n);
    assert_memory_equal(file, tag, (size_t)bytes);
    int n_frames = 0;
    for (int64_t at = bytes; at < n; at += 144 * 320000 / 32000, n_frames++) {
        assert_int_equal(file[at], 0xff);
        assert_int_equal(file[at + 1] & 0xfe, 0xfa);
        assert_int_equal(file[at + 2] & 0xfc, 0xe8); /* 320 kbit/s, 32 kHz */
    }
    assert_true(n_frames > 40);
    free(file);
    free(tag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_as_id3_has_them),
        cmocka_unit_test(nothing_to_say_is_no_tag),
        cmocka_unit_test_setup_teardown(the_sound_follows, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
