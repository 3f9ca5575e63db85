/* Merging the shards of an array, killed again and again: in the end it is the dataset of one run. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "dataset_fixture.h"

#include "dataset_merge_impl.h"
#include "tar_writer.h"

enum { N_JOBS = 300, N_PARTS = 3, N_KILLS = 6 };

static void make_dataset(const char *out, const char *jobs, mg_layout layout, int64_t part, int64_t n_parts)
{
    mg_dataset_call call = call_of(out, jobs, layout);
    mg_dataset_job job;
    mg_dataset *d;
    bool found;

    call.shard_clips = 20;
    call.part = part;
    call.n_parts = n_parts;
    expect_ok(mg_dataset_open(&d, &call));
    for (;;) {
        expect_ok(deal(d, &job, &found));
        if (!found) break;
        make_clip(d, &call, &job);
    }
    expect_ok(mg_dataset_finish(d));
    mg_dataset_close(d);
}

static mg_status merge_as(const char *out, const char *const *parts, bool copies)
{
    const mg_dataset_merge_call call = {.out = out,
                                        .source = parts,
                                        .n_sources = N_PARTS,
                                        .shard_clips = 20,
                                        .shard_bytes = 1 << 20,
                                        .copies = copies};
    mg_dataset_merged done;

    return mg_dataset_merge(&done, &call);
}

static mg_status merge(const char *out, const char *const *parts)
{
    return merge_as(out, parts, false);
}

/* Seconds until it was killed, or had ended: then *ended. */
static double merge_for(const char *out, const char *const *parts, double most_s, bool *ended)
{
    struct timespec begin, now;
    int code;
    double s = 0;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(merge(out, parts) == MG_OK ? 0 : 1);
    for (*ended = false; !*ended;) {
        *ended = waitpid(pid, &code, WNOHANG) == pid;
        clock_gettime(CLOCK_MONOTONIC, &now);
        s = (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9;
        if (*ended || s >= most_s) break;
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    if (*ended) {
        assert_int_equal(code, 0);
    } else {
        kill(pid, SIGKILL);
        waitpid(pid, &code, 0);
    }
    return s;
}

static void check_layout(mg_layout layout)
{
    char jobs[96], path[N_PARTS][96], whole[96], out[96], command[1024];
    const char *parts[N_PARTS];
    bool ended = false;
    int n_killed = 0;

    snprintf(jobs, sizeof jobs, "%s/jobs.txt", test_dir);
    FILE *f = fopen(jobs, "w");
    assert_non_null(f);
    for (int i = 0; i < N_JOBS; i++) fprintf(f, "song number %d\n", i);
    fclose(f);
    snprintf(whole, sizeof whole, "%s/whole", test_dir);
    make_dataset(whole, jobs, layout, 0, 0);
    for (int i = 0; i < N_PARTS; i++) {
        snprintf(path[i], sizeof path[i], "%s/part-%d", test_dir, i);
        make_dataset(path[i], jobs, layout, i, N_PARTS);
        parts[i] = path[i];
    }
    snprintf(out, sizeof out, "%s/first", test_dir);
    const double whole_s = merge_for(out, parts, 1e9, &ended);
    snprintf(out, sizeof out, "%s/torn", test_dir);
    srand(7);
    for (int i = 0; i < N_KILLS; i++) {
        /* the first at once, later ones later: on a loaded machine one that ends leaves nothing to kill */
        merge_for(out, parts, whole_s * i / N_KILLS * (rand() % 100) / 100, &ended);
        n_killed += !ended;
    }
    assert_true(n_killed > 0);
    expect_ok(merge(out, parts));
    print_message("killed %d times in %.2f s\n", n_killed, whole_s);
    snprintf(command, sizeof command,
             "diff -r -x .mg-dist %s %s && diff -r -x .mg-dist %s/first %s && cd %s && sha256sum --quiet -c "
             "SHA256SUMS"
             " && test -z \"$(ls -A .mg-dist/parts)\"",
             whole, out, test_dir, whole, out);
    assert_int_equal(system(command), 0);
}

static void links_become_the_dataset_of_one_run(void **state)
{
    (void)state;
    check_layout(MG_LAYOUT_AUDIOFOLDER);
}

static void shards_become_the_dataset_of_one_run(void **state)
{
    (void)state;
    check_layout(MG_LAYOUT_WEBDATASET);
}

/* The same clip in two shards: somebody named the clips of each by hand. */
static void an_id_in_two_shards_is_refused(void **state)
{
    (void)state;
    char jobs[96], path[N_PARTS][96], out[96];
    const char *parts[N_PARTS];

    for (int i = 0; i < N_PARTS; i++) {
        snprintf(jobs, sizeof jobs, "%s/jobs-%d.jsonl", test_dir, i);
        FILE *f = fopen(jobs, "w");
        assert_non_null(f);
        for (int k = 0; k < N_PARTS; k++)
            fprintf(f, "{\"id\":\"%s\",\"prompt\":\"x\"}\n",
                    k != i   ? k == 0   ? "p"
                               : k == 1 ? "q"
                                        : "r"
                    : i == 1 ? "Same"
                    : i == 2 ? "same"
                             : "other");
        fclose(f);
        snprintf(path[i], sizeof path[i], "%s/part-%d", test_dir, i);
        make_dataset(path[i], jobs, MG_LAYOUT_AUDIOFOLDER, i, N_PARTS);
        mg_run_db *db;
        char state_path[320];
        snprintf(state_path, sizeof state_path, "%s/.mg-dist/run.db", path[i]);
        expect_ok(mg_run_db_open(&db, state_path, NULL));
        expect_ok(mg_run_db_note(db, "jobs", "as if they were the same"));
        expect_ok(mg_run_db_commit(db));
        mg_run_db_close(db);
        parts[i] = path[i];
    }
    snprintf(out, sizeof out, "%s/out", test_dir);
    expect_failure(merge(out, parts), MG_EUSAGE, "a dataset has each id once");
    assert_false(mg_path_exists(out));
}

/* "PART-0", … of the jobs, all in the test's folder. */
static void make_parts(char path[N_PARTS][96], const char *text, mg_layout layout)
{
    char jobs[96];

    snprintf(jobs, sizeof jobs, "%s/jobs.jsonl", test_dir);
    put_file(jobs, text, strlen(text));
    for (int i = 0; i < N_PARTS; i++) {
        snprintf(path[i], 96, "%s/part-%d", test_dir, i);
        make_dataset(path[i], jobs, layout, i, N_PARTS);
    }
}

static const char three[] = "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n";
static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static mg_run_db *open_state(const char *dir)
{
    char path[320];
    mg_run_db *db;

    snprintf(path, sizeof path, "%s/.mg-dist/run.db", dir);
    expect_ok(mg_run_db_open(&db, path, NULL));
    return db;
}

/* Whoever gives a shard away may have written anything into its state. */
static void an_id_that_leads_elsewhere_is_refused(void **state)
{
    (void)state;
    char path[N_PARTS][96], out[96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]}, *mine = in_dir("mine.flac");

    make_parts(path, three, MG_LAYOUT_AUDIOFOLDER);
    put_file(mine, "mine", 4);
    mg_run_db *db = open_state(path[0]);
    expect_ok(mg_run_db_add(db, &(mg_job_row){.n = 5, .id = "../../mine"}));
    expect_ok(mg_run_db_end_job(db, &(mg_job_row){.n = 5,
                                                  .state = MG_JOB_DONE,
                                                  .file = "train/x.flac",
                                                  .sha256 = hash,
                                                  .file_bytes = 4,
                                                  .record = "{\"id\":\"x\"}"}));
    expect_ok(mg_run_db_commit(db));
    mg_run_db_close(db);
    snprintf(out, sizeof out, "%s/out", test_dir);
    expect_failure(merge(out, parts), MG_EFAIL, "job 5: id: is not as mg-dist writes it");
    assert_true(mg_path_exists(mine));
}

static void a_name_that_leads_elsewhere_is_refused(void **state)
{
    (void)state;
    static const char *const notes[][2] = {{"name", "../mine"}, {"name", "a\\b"}, {"format", "/../../mine"}};
    char path[N_PARTS][96], out[96], said[96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};

    make_parts(path, three, MG_LAYOUT_WEBDATASET);
    snprintf(out, sizeof out, "%s/out", test_dir);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < N_PARTS; i++) {
            mg_run_db *db = open_state(path[i]);
            expect_ok(mg_run_db_note(db, "name", "set"));
            expect_ok(mg_run_db_note(db, notes[k][0], notes[k][1]));
            expect_ok(mg_run_db_commit(db));
            mg_run_db_close(db);
        }
        snprintf(said, sizeof said, "%s \"%s\": is not as mg-dist writes it", notes[k][0], notes[k][1]);
        expect_failure(merge(out, parts), MG_EFAIL, said);
    }
    assert_false(mg_path_exists(in_dir("mine-000000.tar")));
}

/* What a row says, each thing by itself. */
static void rows_of_others_are_looked_at(void **state)
{
    (void)state;
    static const char *const ids[] = {"", ".", "..", "a/b", "/a", "a\nb", ".a"};
    static const mg_job_row rows[] = {
        {.file = NULL, .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "../a.flac", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "/a.flac", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "train/../../a.flac", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "a", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "train.d/a", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "a.flac\n0  b", .sha256 = hash, .record = "{\"a\":1}"},
        {.file = "a.flac", .sha256 = NULL, .record = "{\"a\":1}"},
        {.file = "a.flac", .sha256 = "0\n", .record = "{\"a\":1}"},
        {.file = "a.flac", .sha256 = hash + 1, .record = "{\"a\":1}"},
        {.file = "a.flac", .sha256 = hash, .record = NULL},
        {.file = "a.flac", .sha256 = hash, .record = ""},
        {.file = "a.flac", .sha256 = hash, .record = "{}"},
        {.file = "a.flac", .sha256 = hash, .record = "{\"a\":1}\n{}"},
        {.file = "a.flac", .sha256 = hash, .record = "{\"a\":1}", .file_bytes = -1},
    };
    const int n_rows = sizeof rows / sizeof *rows, n_ids = sizeof ids / sizeof *ids;
    mg_job_row row;
    mg_run_db *db;
    bool found;

    expect_ok(mg_run_db_open(&db, in_dir("run.db"), NULL));
    expect_ok(mg_run_db_add(db, &(mg_job_row){.n = 0, .id = "a.1"}));
    for (int i = -1; i < n_rows; i++) {
        mg_job_row made = {.file = "train/a.flac", .sha256 = hash, .record = "{\"a\":1}"};
        if (i >= 0) made = rows[i];
        made.state = MG_JOB_DONE;
        expect_ok(mg_run_db_end_job(db, &made));
        const mg_status st = mg_run_db_find(db, 0, &row, &found);
        if (i < 0)
            expect_ok(st);
        else
            expect_failure(st, MG_EFAIL, "run.db: job 0: ");
    }
    for (int i = 0; i < n_ids; i++) {
        expect_ok(mg_run_db_add(db, &(mg_job_row){.n = 1 + i, .id = ids[i]}));
        expect_failure(mg_run_db_find(db, 1 + i, &row, &found), MG_EFAIL, ": id: is not");
    }
    expect_ok(mg_run_db_add(db, &(mg_job_row){.n = 50, .id = "b", .bytes = -1}));
    expect_failure(mg_run_db_find(db, 50, &row, &found), MG_EFAIL, "job 50: bytes: is not");
    mg_run_db_close(db);
}

/* A byte in the second clip of a part is another than it was; its length is not. */
static void damage(const char *name, long at)
{
    FILE *f = fopen(name, "r+");

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc('#', f), '#');
    assert_int_equal(fclose(f), 0);
}

static void damage_is_not_copied(void **state)
{
    (void)state;
    char path[N_PARTS][96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};

    make_parts(path, three, MG_LAYOUT_AUDIOFOLDER);
    damage(in_dir("part-1/train/b.flac"), 2);
    expect_failure(merge_as(in_dir("out"), parts, true), MG_EFAIL, "b.flac: is damaged: its sha256 is");
}

static void damage_in_a_shard_is_not_copied(void **state)
{
    (void)state;
    char path[N_PARTS][96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};

    make_parts(path, three, MG_LAYOUT_WEBDATASET);
    damage(in_dir("part-1/set-000000.tar"), 514);
    expect_failure(merge(in_dir("out"), parts), MG_EFAIL, "b.flac: is damaged: its sha256 is");
}

/* A changed job file has the clips of a part in another order than its tar. */
static void another_order_than_the_shards(void **state)
{
    (void)state;
    char path[N_PARTS][96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};
    static const char changed[] = "{\"id\":\"d\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n{\"id\":\"a\"}\n";

    make_parts(path, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n{\"id\":\"d\"}\n",
               MG_LAYOUT_WEBDATASET);
    take_list(N_PARTS, changed, MG_LAYOUT_WEBDATASET);
    expect_ok(merge(in_dir("out"), parts));
    int64_t n;
    char *tar = get_file(in_dir("out/set-000000.tar"), &n);
    assert_string_equal(tar, "d.flac");
    free(tar);
}

/* A line in the middle of a list with ids: the jobs behind it are other parts' now, which make them again. */
static void jobs_that_moved_to_other_parts(void **state)
{
    (void)state;
    char path[N_PARTS][96];
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};
    static const char changed[] = "{\"id\":\"a\"}\n{\"id\":\"new\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n";

    make_parts(path, three, MG_LAYOUT_AUDIOFOLDER);
    take_list(N_PARTS, changed, MG_LAYOUT_AUDIOFOLDER);
    expect_ok(merge(in_dir("out"), parts));
    expect_ok(merge(in_dir("out"), parts)); /* which has nothing to do */
    char *sums = text_of("out/SHA256SUMS");
    for (const char *p = changed; (p = strstr(p, ":\"")); p++) {
        char file[32];
        snprintf(file, sizeof file, "  train/%.*s.flac\n", (int)strcspn(p + 2, "\""), p + 2);
        assert_non_null(strstr(sums, file));
        assert_null(strstr(strstr(sums, file) + 1, file));
    }
    free(sums);
}

/* A merge that was cut off before it came to the clip of a job that is in no list, and a run that went on
 * there.
 */
static void a_run_between_two_merges(void **state)
{
    (void)state;
    char path[N_PARTS][96], *noted;
    const char *const parts[N_PARTS] = {path[0], path[1], path[2]};

    make_parts(path, three, MG_LAYOUT_WEBDATASET);
    expect_ok(merge(in_dir("out"), parts));
    mg_run_db *db = open_state(in_dir("out"));
    expect_ok(mg_run_db_move(db, &(mg_job_row){.n = 1, .at = -1, .bytes = 1}));
    expect_ok(mg_run_db_forget_shards(db, 0));
    expect_ok(mg_run_db_commit(db));
    mg_run_db_close(db);
    expect_ok(merge(in_dir("out"), parts));
    db = open_state(in_dir("out"));
    expect_ok(mg_run_db_read_note(db, "state", &noted));
    assert_string_equal(noted, "finished");
    free(noted);
    mg_run_db_close(db);
}

static double processor_s(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

enum { N_TARS = 2, N_IN_TAR = 6000 };

/* In tars of earlier versions names began with "__". Some differ in their first byte alone. */
static void name_of(char out[32], int i_tar, int k, bool as_written)
{
    const char *begin = k % 4 == 0 ? as_written ? "__" : "-_" : k % 4 == 1 ? "a_" : k % 4 == 2 ? "b_" : "c";

    snprintf(out, 32, "%s%d.%d.flac", begin, i_tar, k % 4 == 2 ? k - 1 : k);
}

static void put_tar(mg_run_db *db, int i)
{
    char file[32], name[32], sha256[65];
    mg_tar_writer t;

    snprintf(file, sizeof file, "set-%06d.tar", i);
    expect_ok(mg_tar_writer_begin(&t, in_dir(file)));
    for (int k = 0; k < N_IN_TAR; k++) {
        name_of(name, i, k, true);
        expect_ok(mg_tar_writer_add(&t, name, &k, sizeof k));
        memcpy(strrchr(name, '.'), ".json", 6);
        expect_ok(mg_tar_writer_add(&t, name, "{}", 2));
    }
    expect_ok(mg_tar_writer_commit(&t, sha256));
    expect_ok(mg_run_db_add_shard(db, &(mg_shard_row){i, file, sha256, N_IN_TAR, t.bytes}, 0, 0));
}

/* Each sound of all shards backwards, now of one, now of another: no tar is gone through more than twice. */
static void any_order_costs_the_same(void **state)
{
    (void)state;
    mg_merge_source s = {.dir = test_dir, .name = "set"};
    mg_tar_member member;
    char name[32];

    expect_ok(mg_run_db_open(&s.db, in_dir("run.db"), NULL));
    for (int i = 0; i < N_TARS; i++) put_tar(s.db, i);
    expect_ok(mg_merge_open_tars(&s));
    const double begin_s = processor_s();
    for (int k = N_IN_TAR; k-- > 0;)
        for (int i = 0; i < N_TARS; i++) {
            name_of(name, i, k, false);
            expect_ok(mg_merge_find_sound(&member, &s, i, name));
            assert_int_equal(member.bytes, sizeof k);
            assert_memory_equal(member.data, &k, sizeof k);
        }
    const double took_s = processor_s() - begin_s;
    print_message("%d sounds in %.2f s of processor time\n", N_TARS * N_IN_TAR, took_s);
    expect_failure(mg_merge_find_sound(&member, &s, 1, "none.flac"), MG_EFAIL,
                   "set-000001.tar: has no none.flac");
    expect_failure(mg_merge_find_sound(&member, &s, N_TARS, name), MG_EFAIL, "run.db: has no shard 2");
    mg_merge_close_tars(&s);
    mg_run_db_close(s.db);
    assert_true(took_s < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(links_become_the_dataset_of_one_run, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(shards_become_the_dataset_of_one_run, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(an_id_in_two_shards_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(an_id_that_leads_elsewhere_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_name_that_leads_elsewhere_is_refused, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(rows_of_others_are_looked_at, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(another_order_than_the_shards, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_run_between_two_merges, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(jobs_that_moved_to_other_parts, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(any_order_costs_the_same, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damage_is_not_copied, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damage_in_a_shard_is_not_copied, make_dir, drop_dir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
