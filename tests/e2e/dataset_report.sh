#!/bin/bash
# mg-dist report: a page that says what the state says, whatever the jobs hold, and asks no network for anything. A real
# browser opens it where there is one.
#   dataset_report.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

cat >"$BOX/jobs.jsonl" <<'END'
{"id":"a","prompt":"<script>document.title='x'</script><img src=http://127.0.0.1:9/p.png>","duration":1.5}
{"id":"b&b'","prompt":"quotes \" and ' and </article> & &amp;","duration":1}
{"id":"雨","prompt":"\u202eturned\u202c \u0007 \ud83c\udfb5","duration":2,"n":2}
{"id":"c","prompt":"waltz","duration":0.5,"seed":4}
{"id":"lost1","prompt":"x","duration":1,"audio_prompt":"<b>none1</b>.wav","prompt_duration":0.5}
{"id":"lost2","prompt":"x","duration":1,"audio_prompt":"<b>none2</b>.wav","prompt_duration":0.5}
END
run() { local out=$1; shift; timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/$out" --seed 5 "$@"; }
state() { sqlite3 "$BOX/d/.mg-dist/run.db" "$1"; }
# value ID: of the page's element.
value() { grep -o "id=\"$1\" data-value=\"[^\"]*\"" "$2" | sed 's/.*data-value="\(.*\)"/\1/'; }
# Does the page say what the state says?
agrees() {
    [ "$(value done "$1")" = "$(state "SELECT count(*) FROM job WHERE state='done'")" ] &&
        [ "$(value failed "$1")" = "$(state "SELECT count(*) FROM job WHERE state='failed'")" ] &&
        [ "$(value waiting "$1")" = "$(state "SELECT count(*) FROM job WHERE state='waiting'")" ] &&
        [ "$(value total "$1")" = "$(state "SELECT count(*) FROM job WHERE state<>'gone'")" ] &&
        [ "$(value bytes "$1")" = "$(state "SELECT sum(file_bytes) FROM job WHERE state='done'")" ] &&
        [ "$(echo "$(value sound "$1") == $(state "SELECT sum(dur_s) FROM job WHERE state='done'")" | bc)" = 1 ] &&
        [ "$(grep -o 'data-count="[0-9]*"' "$1" | tr -dc '0-9\n' | paste -sd+ | bc)" = "$(value failed "$1")" ]
}

run d --name 'A "name" & <b>more</b>' >"$BOX/said" 2>&1
expect 2 'names files' 'a name that would break a card is none' run d --name 'a"b'
expect 2 'names files' 'nor one that is a pattern' run d --name 'a[b]{c}*'
expect 2 'names files' 'nor the end of an address' run d --name 'a#1'
run d --name 'A & <b>more<' >"$BOX/said" 2>&1
expect 0 'd/report.html: 5 of 7 clips, 2 failed' 'a page' "$MG" report "$BOX/d"
page=$BOX/d/report.html
passes 'it says what the state says' agrees "$page"
passes 'failures that differ in a name alone are one row' test "$(grep -o 'data-count="2"' "$page" | wc -l)" = 1
passes 'five clips to listen to' test "$(grep -o '<audio' "$page" | wc -l)" = 5
passes 'their sound is the files' test "$(sed -n 's/.*src="data:audio\/flac;base64,\([^"]*\)".*/\1/p' "$page" | head -1 | base64 -d | sha256sum | cut -c-64)" = "$(sha256sum <"$BOX/d/train/a.flac" | cut -c-64)"
fails 'no tag of a job is a tag' grep -Eq '<script|<img|<b>' "$page"
fails 'nothing is fetched from elsewhere' sh -c "grep -oE '<[a-z][^>]*' '$page' | grep -Eq '(src|href)=.?(https?:|//)' || grep -Eq 'url\(|@import' '$page'"
fails 'no heading is empty' grep -Eq '<h[1-6][^>]*></h' "$page"
expect 0 '^audiofolder: 5 clips' 'verify knows the page' "$MG" verify -q "$BOX/d"
passes 'a report that is there is replaced' "$MG" report -q "$BOX/d" --clips 2 --measure 0
passes 'by one of two clips' test "$(grep -o '<audio' "$page" | wc -l)" = 2
echo mine >"$BOX/mine.html"
expect 2 'is there already, and is not as mg-dist wrote it; name another file with --out' 'another file is not' "$MG" report "$BOX/d" --out "$BOX/mine.html"
ln -s nowhere "$BOX/link.html"
expect 2 'link.html: is there already, and is not as mg-dist wrote it; name another file' 'nor a link to nothing' "$MG" report "$BOX/d" --out "$BOX/link.html"
passes 'no clips, elsewhere' "$MG" report -q "$BOX/d" --clips 0 --out "$BOX/none.html"
passes 'the same figures' agrees "$BOX/none.html"
passes 'nothing half is left' tidy "$BOX"
expect 2 'is no dataset of mg-dist run' 'a folder that is none' "$MG" report "$BOX"
cp -r "$BOX/d" "$BOX/many" # where each failure is of its own kind
sqlite3 "$BOX/many/.mg-dist/run.db" "WITH RECURSIVE i(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 399)
    INSERT INTO job(n, id, fold, at, bytes, line, copy, size, state, tries, reason, dur_s, took_s, ended_at)
    SELECT 100 + n, 'id' || n, n, 0, 0, 0, 0, 1, 'failed', 1, 'no ' || char(97 + n / 26) || char(97 + n % 26), 0, 0, 0 FROM i"
passes 'of 401 kinds of failures' "$MG" report -q "$BOX/many"
passes 'each is counted' test "$(grep -o 'data-count="[0-9]*"' "$BOX/many/report.html" | tr -dc '0-9\n' | paste -sd+ | bc)" = 402
passes 'and forty have a row' test "$(grep -o '<tr data-count' "$BOX/many/report.html" | wc -l)" = 40
rm "$BOX/d/train/c.flac"
passes 'a clip that is gone is left out' "$MG" report -q "$BOX/d" --clips 9
passes 'and missed' grep -q '<b>1 could not be read</b>' "$page"
passes 'and the others are there' test "$(grep -o '<audio' "$page" | wc -l)" = 4
run tars --layout webdataset --shard-clips 2 --format mp3 >"$BOX/said" 2>&1
expect 0 '5 of 7 clips' 'of shards' "$MG" report "$BOX/tars"
passes 'clips out of shards' test "$(grep -o 'src="data:audio/mpeg' "$BOX/tars/report.html" | wc -l)" = 5

run gate --gate retry --gate-retries 9 --gate-dc 0.004 >"$BOX/said" 2>&1
passes 'of a gate' "$MG" report -q "$BOX/gate"
passes 'how many clips were made again' test "$(value made-again "$BOX/gate/report.html")" = "$(grep -c '"attempt":[1-9]' "$BOX/gate/manifest.jsonl")"
run warned --gate warn --gate-dc 0.0001 >"$BOX/said" 2>&1
passes 'of a gate that warns' "$MG" report -q "$BOX/warned"
passes 'what it found' sh -c "grep -o '<table id=\"remarks\">.*' '$BOX/warned/report.html' | grep -q '<bdi>dc</bdi>'"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -z "$browser" ]; then
    skipped 'no Chromium: the page was not opened in a browser'
else
    "$MG" report -q "$BOX/d"
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$BOX/profile" --enable-logging=stderr --v=0 \
        --log-net-log="$BOX/net.json" --virtual-time-budget=3000 --dump-dom "file://$page" >"$BOX/dom.html" 2>"$BOX/browser"
    passes 'a browser opens it' grep -q '</html>' "$BOX/dom.html"
    passes 'its figures are those of the state' agrees "$BOX/dom.html"
    passes 'and so is its title' grep -q '<title>A &amp; &lt;b&gt;more&lt; · mg-dist</title>' "$BOX/dom.html"
    fails 'no complaint on its console' grep -q 'CONSOLE' "$BOX/browser"
    passes 'the texts of jobs are texts' grep -qF "&lt;script&gt;document.title='x'&lt;/script&gt;" "$BOX/dom.html"
    fails 'no request for the picture that a text names' grep -q '127.0.0.1:9' "$BOX/net.json"
    cat >"$BOX/bad.html" <<'END'
<!doctype html><img src="http://127.0.0.1:9/p.png"><script>console.error("bad")</script>
END
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$BOX/profile" --enable-logging=stderr --v=0 \
        --log-net-log="$BOX/net.json" --virtual-time-budget=3000 --dump-dom "file://$BOX/bad.html" >"$BOX/dom.html" 2>"$BOX/browser"
    passes 'of another page the console is heard' grep -q 'CONSOLE' "$BOX/browser"
    passes 'and its requests are seen' grep -q '127.0.0.1:9' "$BOX/net.json"
fi
finish
