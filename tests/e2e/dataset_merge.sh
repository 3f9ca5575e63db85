#!/bin/bash
# mg-dist merge: the shards of an array become the dataset of one run, byte by byte.
#   dataset_merge.sh MG-DIST TESTS-FOLDER …
. "$(dirname "$0")/lib.sh" "$1" "$2"

cat >"$BOX/jobs.csv" <<'END'
id,prompt,duration,n
a,slow sad piano,0.5,1
b.1,"drums,
and more drums",0.5,3
雨,techno,0.5,2
,waltz,1,1
e,,0.5,1
z,last,0.5,2
END
run() { local out=$1; shift; timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.csv" --out "$BOX/$out" --seed 5 --name set "$@"; }
facts() { (cd "$BOX/$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { if [ "$(facts "$2")" = "$(facts "$3")" ] && [ -n "$(facts "$2")" ]; then verdict 0 "$1"; else verdict 1 "$1"; diff <(facts "$2") <(facts "$3") | sed 's/^/#   /'; fi; }

for layout in audiofolder webdataset audiocraft; do
    more="--layout $layout --shard-clips 3"
    for i in 0 1 2; do run $layout-$i $more --shard $i/3 >"$BOX/said" 2>&1; done
    run $layout $more >"$BOX/said" 2>&1
    expect 0 '10 clips of 3 shards, 0 failed, 0 wait' "$layout: three shards, in any order" \
        "$MG" merge "$BOX/merged-$layout" "$BOX/$layout-2" "$BOX/$layout-0/" "$BOX/$layout-1" --shard-clips 3
    like 'are the dataset of one run' $layout merged-$layout
    expect 0 "^$layout: 10 clips" 'which is whole' "$MG" verify "$BOX/merged-$layout"
    expect 0 '^10 of 10 clips done, 0 failed, 0 left' 'status knows it' "$MG" status "$BOX/merged-$layout"
    expect 0 "^$layout: 3 clips" 'and so are the shards still' "$MG" verify "$BOX/$layout-1"
    expect 0 'now 0 files linked, 0 copied' 'the same merge again has nothing to do' \
        "$MG" merge "$BOX/merged-$layout" "$BOX/$layout-2" "$BOX/$layout-0" "$BOX/$layout-1" --shard-clips 3
    like 'and changes nothing' $layout merged-$layout
    run merged-$layout $more >"$BOX/said" 2>&1
    passes 'a run goes on with it' grep -q . "$BOX/merged-$layout/manifest.jsonl"
    like 'and has nothing to do either' $layout merged-$layout
done
passes 'clips are hard links' test "$(stat -c %h "$BOX/merged-audiofolder/train/a.flac")" = 2
expect 0 'now 0 files linked, 10 copied' 'or copies' "$MG" merge "$BOX/copied" "$BOX"/audiofolder-? --copy
passes 'copies are' test "$(stat -c %h "$BOX/copied/train/a.flac")" = 1

A="$BOX/audiofolder"
expect 2 'shard 1/3: is not among those named' 'a shard missing' "$MG" merge "$BOX/x" "$A-0" "$A-2"
expect 2 'is shard 0/3, and so is' 'a shard twice' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$A-2" "$A-0"
expect 2 'audiofolder: is no shard of an array' 'a dataset of one run' "$MG" merge "$BOX/x" "$A" "$A-1" "$A-2"
expect 2 'is no dataset of mg-dist run' 'a folder that is none' "$MG" merge "$BOX/x" "$A-0" "$BOX"
expect 2 'is one of the shards' 'a shard as the dataset' "$MG" merge "$A-0" "$A-0" "$A-1" "$A-2"
expect 2 'holds other things, and nothing of a merge' 'a folder with other things' "$MG" merge "$TESTS" "$A-0" "$A-1" "$A-2"
expect 2 'is no merge of 3 shards' 'a dataset of another run' "$MG" merge "$A" "$A-0" "$A-1" "$A-2"
expect 2 'layout webdataset, and .*audiofolder' 'layouts of two kinds' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$BOX/webdataset-2"
run warm-2 --shard 2/3 --temperature 0.5 >"$BOX/said" 2>&1
expect 2 'warm-2: was made with settings .*the dataset would be of two kinds' 'other settings' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$BOX/warm-2"
run bf16-2 --shard 2/3 --dtype bf16 >"$BOX/said" 2>&1
expect 2 'bf16-2: was made with dtype bf16' 'another number format' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$BOX/bf16-2"
run scalar-2 --shard 2/3 --cpu-level scalar >"$BOX/said" 2>&1
expect 2 'scalar-2: was made with cpu-level cpu/scalar' 'other instructions' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$BOX/scalar-2"
head -5 "$BOX/jobs.csv" >"$BOX/fewer.csv"
timeout 600 "$MG" run -q --model "$DEMO" --jobs "$BOX/fewer.csv" --out "$BOX/fewer-2" --seed 5 --name set --shard 2/3 >"$BOX/said" 2>&1
expect 2 'fewer-2: was made from other jobs' 'other jobs' "$MG" merge "$BOX/x" "$A-0" "$A-1" "$BOX/fewer-2"
fails 'of all these nothing is left' test -e "$BOX/x"
run free-2 --shard 2/3 --seed 6 >"$BOX/said" 2>&1
expect 0 'the shards were begun with seeds of their own' 'other seeds are said' "$MG" merge "$BOX/seeds" "$A-0" "$A-1" "$BOX/free-2"
expect 0 '' 'and each clip can be made again still' "$MG" verify -q "$BOX/seeds" --replay 10 --model "$DEMO"

# Two shards that were not run to their end: every clip of them waits.
for i in 1 2; do timeout -s TERM 120 "$MG" run -q --model "$DEMO" --jobs "$BOX/jobs.csv" --out "$BOX/half-$i" --seed 5 --name set --shard $i/3 --max-failures 0 >"$BOX/said" 2>&1; done
cp -r "$A-0" "$BOX/half-0"
for i in 1 2; do rm "$BOX/half-$i"/train/*.flac; "$MG" verify -q "$BOX/half-$i" --again >"$BOX/said" 2>&1; done
expect 2 'half-1: is not complete: 3 of 3 clips wait' 'shards that are not complete' "$MG" merge "$BOX/half" "$BOX"/half-?
passes 'all of them' grep -q 'half-2: is not complete: 3 of 3 clips wait' "$BOX/said"
expect 0 '4 clips of 3 shards, 0 failed, 6 wait' 'what is there already, if that is wanted' "$MG" merge "$BOX/half" "$BOX"/half-? --incomplete ok
expect 0 'not complete: 6 clips wait' 'it is whole as far as it goes' "$MG" verify "$BOX/half"
cp -r "$BOX/half" "$BOX/run-on"
run run-on >"$BOX/said" 2>&1
like 'a run makes the rest' run-on audiofolder
for i in 1 2; do run half-$i --shard $i/3 >"$BOX/said" 2>&1; done
expect 0 '10 clips of 3 shards, 0 failed, 0 wait; now 6 files linked' 'or a merge of the shards when they are' "$MG" merge "$BOX/half" "$BOX"/half-?
like 'the same dataset' half audiofolder
rm -r "$BOX"/half-2 && cp -r "$A-2" "$BOX/half-2" && rm "$BOX"/half-2/train/z-0.flac
expect 1 'z-0.flac: is missing, or not as long as recorded' 'a clip that is not there' "$MG" merge "$BOX/torn" "$BOX"/half-?
cp "$A-2/train/z-0.flac" "$BOX/half-2/train/"
expect 0 '10 clips of 3 shards' 'goes on when it is' "$MG" merge "$BOX/torn" "$BOX"/half-?
like 'to the same dataset' torn audiofolder

# The part from Slurm's array; not where a few tasks are submitted again, which are counted anew.
array() { env SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_MIN=$2 SLURM_ARRAY_TASK_MAX=$3 SLURM_ARRAY_TASK_COUNT=$4 "$MG" run --model "$DEMO" \
    --jobs "$BOX/jobs.csv" --out "$BOX/array-$1" --seed 5 --name set --layout audiofolder --shard-clips 3 "${@:5}"; }
passes 'a task of an array from 1' array 2 1 3 3
like 'is the second part' array-2 audiofolder-1
expect 2 'give --shard I/N' 'a task alone' array 3 3 3 1
expect 2 'give --shard I/N' 'two with a gap' array 7 0 7 2
expect 2 'give --shard I/N' 'some from the middle' array 5 3 5 3
passes 'unless the part is said' array 7 0 7 2 --shard 1/3
like 'and is that part' array-7 audiofolder-1
finish
