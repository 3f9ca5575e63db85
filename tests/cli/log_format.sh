#!/bin/bash
# --log-format json: all that is said on stderr is an object a line.   log_format.sh MG-DIST TESTS-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"

# objects SENTENCE EXPRESSION: every line of $BOX/log is one, with what each has; and of all of them, `lines`, this holds.
objects() {
    passes "$1" python3 -c "
import json, re, sys
lines = [json.loads(l) for l in open('$BOX/log', encoding='utf-8')]
assert lines
for l in lines:
    assert l['level'] in ('detail', 'info', 'warning', 'error'), l
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', l['time']), l
    assert isinstance(l['rank'], int) and isinstance(l['host'], str) and isinstance(l['message'], str), l
assert $2, lines"
}

cat >"$BOX/jobs.jsonl" <<'END'
{"id":"a","prompt":"slow \"sad\" piano","duration":1}
{"id":"b","prompt":"drums","duration":1}
{"id":"lost","prompt":"x","duration":1,"audio_prompt":"no\"ne\\.wav","prompt_duration":0.5}
END
"$MG" run --model "$DEMO" --jobs "$BOX/jobs.jsonl" --out "$BOX/out" --log-format json --log-every 0.1 --max-failures 9 2>"$BOX/log"
objects 'a run' "any(l['message'].startswith('run: ') and l.get('figures', {}).get('total') == 3 for l in lines)"
objects 'its figures are those of its text' "all(l['message'].startswith('run: %d of %d clips' % (l['figures']['done'], l['figures']['total'])) for l in lines if l['message'].startswith('run: ') and 'figures' in l)"
objects 'what is not known is null' "any(f['eta_s'] is None or f['eta_s'] >= 0 for f in (l['figures'] for l in lines if 'figures' in l))"
objects 'errors are errors, with their quotes' "any(l['level'] == 'error' and 'no' + chr(34) + 'ne' + chr(92) + '.wav' in l['message'] for l in lines)"
ranks 2 "$MG" generate --model "$TINY" --frames 20 --prompt x --out "$BOX/clips" --log-format json -v >"$BOX/out.txt" 2>"$BOX/log"
objects 'generate, on two ranks' "any(l['level'] == 'detail' for l in lines) and all(l['rank'] == 0 for l in lines)"
passes 'what goes to stdout is as ever' grep -q '^/.*000000.wav$' "$BOX/out.txt"
"$MG" generate --model "$TINY" --frames 20 --prompt x --out "$BOX/clips" --log-format json -q >"$BOX/out.txt" 2>"$BOX/log"
passes '-q says nothing' test ! -s "$BOX/log"
"$MG" generate --model "$TINY" --temperature hot --log-format json 2>"$BOX/log"
objects 'a wrong value' "len(lines) == 1 and 'option --temperature' in lines[0]['message']"
sed -i /lost/d "$BOX/jobs.jsonl"
MGDIST_LOG_FORMAT=json "$MG" run --jobs "$BOX/jobs.jsonl" --check 2>"$BOX/log"
objects 'from the environment' "'nothing is wrong' in lines[0]['message']"
"$MG" run --jobs "$BOX/jobs.jsonl" --check 2>"$BOX/log"
passes 'text is text' grep -q '^run: .*nothing is wrong' "$BOX/log"
expect 2 'must be one of' 'another format' "$MG" run --jobs "$BOX/jobs.jsonl" --check --log-format xml
finish
