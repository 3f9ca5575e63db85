/* A FLAC file without its library's name: shorter, of the same sound; what is no FLAC file is refused. */
#include "io_fixture.h"

#include <math.h>

#include "audio_file.h"
#include "flac_vendor.h"

static const mg_audio_tags tags = {"A title", "a comment", "mg-dist"};

/* A block's header and a vendor; the comments behind it are none. */
static int64_t put_flac(uint8_t *to, int type, const char *vendor, int64_t claimed)
{
    const int64_t n = (int64_t)strlen(vendor), length = 8 + n;

    memcpy(to, "fLaC", 4);
    to[4] = (uint8_t)(0x80 | type), to[5] = 0, to[6] = (uint8_t)(length >> 8), to[7] = (uint8_t)length;
    for (int i = 0; i < 4; i++) to[8 + i] = (uint8_t)(claimed >> 8 * i);
    memcpy(to + 12, vendor, (size_t)n);
    memset(to + 12 + n, 0, 4);
    memcpy(to + 16 + n, "frames", 6);
    return 22 + n;
}

static void the_name_goes(void **state)
{
    uint8_t file[100];
    int64_t bytes = put_flac(file, 4, "reference libFLAC 1.4.2", 23);

    (void)state;
    expect_ok(mg_flac_vendor_remove(file, &bytes));
    assert_int_equal(bytes, 22);
    assert_memory_equal(file, "fLaC\x84\0\0\x08\0\0\0\0\0\0\0\0frames", 22);
    expect_ok(mg_flac_vendor_remove(file, &bytes)); /* again: nothing is left to do */
    assert_int_equal(bytes, 22);
    bytes = put_flac(file, 1, "no comments, padding", 20);
    expect_ok(mg_flac_vendor_remove(file, &bytes));
    assert_int_equal(bytes, 42);
    bytes = 0;
    expect_ok(mg_flac_vendor_remove(file, &bytes));
}

static void what_is_no_file_is_refused(void **state)
{
    uint8_t file[100], *exact;
    const int64_t whole = put_flac(file, 4, "libFLAC", 7);

    (void)state;
    for (int64_t n = 1; n < whole - 6; n++) { /* cut anywhere before the frames; no byte beyond is read */
        int64_t bytes = n;
        exact = malloc((size_t)n);
        assert_non_null(exact);
        memcpy(exact, file, (size_t)n);
        assert_int_equal(mg_flac_vendor_remove(exact, &bytes), MG_EFAIL);
        free(exact);
    }
    for (int64_t claimed = 12; claimed < (int64_t)1 << 32; claimed = 3 * claimed + 1) {
        int64_t bytes = put_flac(file, 4, "libFLAC", claimed);
        expect_failure(mg_flac_vendor_remove(file, &bytes), MG_EFAIL, "comments that are none");
    }
    int64_t bytes = put_flac(file, 4, "x", 1);
    file[0] = 'F';
    expect_failure(mg_flac_vendor_remove(file, &bytes), MG_EFAIL, "no FLAC file");
}

static void a_real_file_keeps_its_sound(void **state)
{
    float pcm[2000];
    const mg_sound s = {pcm, 1000, 2, 44100};
    mg_sound back;
    int64_t n;

    (void)state;
    for (int i = 0; i < 2000; i++) pcm[i] = 0.5f * sinf((float)i * 0.05f);
    expect_ok(mg_audio_file_write(in_dir("a.flac"), MG_AUDIO_FLAC, &s, &tags));
    char *file = get_file(in_dir("a.flac"), &n);
    assert_null(memmem(file, (size_t)n, "libFLAC", 7));
    assert_non_null(memmem(file, (size_t)n, "a comment", 9));
    free(file);
    expect_ok(mg_audio_file_read(&back, in_dir("a.flac"), INFINITY));
    assert_int_equal(back.n_frames, 1000);
    for (int i = 0; i < 2000; i++) assert_true(fabsf(back.pcm[i] - pcm[i]) < 1e-4f);
    mg_sound_close(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_goes),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test_setup_teardown(a_real_file_keeps_its_sound, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
