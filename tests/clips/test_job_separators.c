/* Tables as spreadsheets and databases export them: what parts their fields, and their numbers. */
#include "job_reader_fixture.h"

/* What Excel writes where the comma is in numbers: fields may have commas, and quotes hide semicolons. */
static void test_semicolons(void **state)
{
    static const char text[] = "\xEF\xBB\xBFid;caption;n\r\n1;a, b;2\r\n2;\"c; \"\"d\"\"\r\ne\";\r\n";
    static const char *const names[] = {"a.csv", "a.csv.gz", "a", "a.txt"};
    const mg_job_format csv = {.form = MG_JOBS_CSV, .prompt_column = "id", .id_column = "n"};
    mg_job_reader *r;

    (void)state;
    for (int i = 0; i < 4; i++) {
        r = open_text(names[i], text);
        expect_next(r, 2, "{\"id\":\"1\",\"prompt\":\"a, b\",\"n\":2}");
        expect_next(r, 3, "{\"id\":\"2\",\"prompt\":\"c; \\\"d\\\"\\r\\ne\"}");
        expect_over(r);
    }
    expect_ok(mg_job_reader_open_text(&r, "a", "n;id;mood\nx;y;z\n", 16, &csv));
    expect_next(r, 2, "{\"id\":\"x\",\"prompt\":\"y\"}");
    expect_over(r);
}

/* What a file's name or a column's says is a table has names with anything in them. */
static void test_names_with_punctuation(void **state)
{
    static const char text[] = "Track ID;Caption (EN);Mood / feel\n1;a, b;x\n";
    const mg_job_format chosen = {.prompt_column = "Caption (EN)", .id_column = "Track ID"};
    const mg_job_format caption = {.prompt_column = "caption"};
    mg_job_reader *r;

    (void)state;
    for (int i = 0; i < 2; i++) {
        expect_ok(mg_job_reader_open_text(&r, i ? "a" : "a.csv", text, sizeof text - 1, &chosen));
        expect_next(r, 2, "{\"id\":\"1\",\"prompt\":\"a, b\"}");
        expect_over(r);
    }
    r = open_text("a.csv", "caption;mood (1-5)\na, b;\n");
    expect_next(r, 2, "{\"prompt\":\"a, b\"}");
    expect_over(r);
    expect_failure(mg_job_reader_open_text(&r, "a.csv", text, sizeof text - 1, &caption), MG_EUSAGE,
                   "no column \"caption\" in the header: \"Track ID;Caption (EN);");
    r = open_text("a", "caption; mood (slow)\nsoft\n"); /* texts */
    expect_next(r, 1, "{\"prompt\":\"caption; mood (slow)\"}");
    mg_job_reader_close(r);
}

/* The line that tells Excel what parts the fields; it counts. */
static void test_what_parts_the_fields_is_said(void **state)
{
    static const char *const texts[] = {"sep=;\r\nprompt;n\r\na, b;2\r\n", "\"sep=;\"\nprompt;n\na, b;2\n",
                                        "\xEF\xBB\xBFSEP=\t\nprompt\tn\na, b\t2\n",
                                        "sep=,\nprompt,n\n\"a, b\",2\n", "sep=|\nprompt|n\na, b|2\n"};
    static const char *const names[] = {"a.csv", "a.txt", "a"};
    mg_job_reader *r;

    (void)state;
    for (int i = 0; i < 15; i++) {
        r = open_text(names[i % 3], texts[i / 3]);
        expect_next(r, 3, "{\"prompt\":\"a, b\",\"n\":2}");
        expect_over(r);
    }
    r = open_text("a.txt", "sep=;and more\nslow\n");
    expect_next(r, 1, "{\"prompt\":\"sep=;and more\"}");
    mg_job_reader_close(r);
    expect_ok(mg_job_reader_open_text(&r, "a", "sep=;\n", 6, &(mg_job_format){.form = MG_JOBS_TEXT}));
    expect_next(r, 1, "{\"prompt\":\"sep=;\"}");
    expect_over(r);
}

static void test_strokes(void **state)
{
    static const char text[] = "id | prompt|duration\n a | slow; \"soft\", low |2,5\nb|\"x | y\"|\n";
    static const char *const names[] = {"a.csv", "a.txt", "a"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        mg_job_reader *r = open_text(names[i], text);
        expect_next(r, 2, "{\"id\":\"a\",\"prompt\":\"slow; \\\"soft\\\", low\",\"duration\":2.5}");
        expect_next(r, 3, "{\"id\":\"b\",\"prompt\":\"x | y\"}");
        expect_over(r);
    }
}

/* Blanks beside strokes are no text: quotes behind and before them hide a field's strokes and line ends. */
static void test_quotes_between_strokes(void **state)
{
    static const char text[] = "prompt | \"title\"\n\"slow piano\" | \"My song\"\nslow | \"My song\"\n"
                               "x |\t\"a | b\"\t\r\ny | \"c\nd\" \n5\" vinyl | a \"b\n";

    (void)state;
    mg_job_reader *r = open_text("a.csv", text);
    expect_next(r, 2, "{\"prompt\":\"slow piano\",\"title\":\"My song\"}");
    expect_next(r, 3, "{\"prompt\":\"slow\",\"title\":\"My song\"}");
    expect_next(r, 4, "{\"prompt\":\"x\",\"title\":\"a | b\"}");
    expect_next(r, 5, "{\"prompt\":\"y\",\"title\":\"c\\nd\"}");
    expect_next(r, 7, "{\"prompt\":\"5\\\" vinyl\",\"title\":\"a \\\"b\"}");
    expect_over(r);
}

/* Where it parts no fields; whole numbers, texts and what is no key keep it. */
static void test_a_comma_in_a_number(void **state)
{
    mg_job_reader *r;

    (void)state;
    r = open_text("a.csv", "prompt;duration;seed;mood\n1,5;-2,50;1,5;2,5\nx;1.000,5;2;\ny;,5;2;\nz;2,;2;\n");
    expect_next(r, 2, "{\"prompt\":\"1,5\",\"duration\":-2.5,\"seed\":\"1,5\",\"mood\":\"2,5\"}");
    expect_next(r, 3, "{\"prompt\":\"x\",\"duration\":\"1.000,5\",\"seed\":2}");
    expect_next(r, 4, "{\"prompt\":\"y\",\"duration\":0.5,\"seed\":2}");
    expect_next(r, 5, "{\"prompt\":\"z\",\"duration\":\"2,\",\"seed\":2}");
    expect_over(r);
    r = open_text("a.tsv", "prompt\tduration\nx\t2,5\n");
    expect_next(r, 2, "{\"prompt\":\"x\",\"duration\":2.5}");
    expect_over(r);
    r = open_text("a.csv", "prompt,duration\nx,\"2,5\"\n");
    expect_next(r, 2, "{\"prompt\":\"x\",\"duration\":\"2,5\"}");
    expect_over(r);
}

/* Rows that hold nothing, below the last one or between, are no clips without a text. */
static void test_what_a_spreadsheet_adds(void **state)
{
    static const char text[] = "prompt;greedy;n\r\nx;TRUE;\r\n;;\r\ny;False;2\r\n;;\r\n ; ;\r\n";
    static const char quoted[] = "prompt,n\n\"\",\n";

    (void)state;
    mg_job_reader *r = open_text("a.csv", text);
    expect_next(r, 2, "{\"prompt\":\"x\",\"greedy\":true}");
    expect_next(r, 4, "{\"prompt\":\"y\",\"greedy\":false,\"n\":2}");
    expect_over(r);
    r = open_text("a.csv", quoted);
    expect_next(r, 2, "{}"); /* that one is said */
    expect_over(r);
    r = open_text("a.csv", "prompt,instrumental\nx,True\n"); /* not ours: as it was */
    expect_next(r, 2, "{\"prompt\":\"x\",\"instrumental\":\"True\"}");
    expect_over(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_semicolons),
        cmocka_unit_test(test_names_with_punctuation),
        cmocka_unit_test(test_what_parts_the_fields_is_said),
        cmocka_unit_test(test_strokes),
        cmocka_unit_test(test_quotes_between_strokes),
        cmocka_unit_test(test_a_comma_in_a_number),
        cmocka_unit_test(test_what_a_spreadsheet_adds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
