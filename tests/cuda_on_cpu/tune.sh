#!/bin/bash
# tune.sh MG-DIST TESTS-FOLDER: kernels take what a seed gives them, so each run chooses other variants of the products: -v
# says so, and the codes are those of a run that chooses nothing.
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
export MGDIST_DEVICE=cuda

# make FIXTURE NP FOLDER OPTIONS…: two clips
make() {
    local fixture=$1 np=$2 out=$BOX/$3
    shift 3
    CUDA_ON_CPU=$fixture ranks "$np" "$MG" generate -v --model "$TINY" --prompt drums --prompt piano --frames 4 \
        --seed 7 --dtype bf16 --text-device cpu --codes-only --out "$out" "$@" >"$out.log" 2>&1 || { cat "$out.log"; return 1; }
}
codes() { [ -s "$BOX/$1/000001.codes.npy" ] && cat "$BOX/$1"/*.npy | sha256sum; }
products() { grep -o 'products of .*' "$BOX/$1.log" | sed 's/ [0-9.]* us//g'; }

passes 'no clock' make eager 1 none
passes 'no clock: there are codes' test -n "$(codes none)"
passes 'no clock: it says so' grep -q 'products of .*: as the rule says: no clock to time them' "$BOX/none.log"
for seed in 2 10; do # by 2 the products behind a norm pack their rows, by 10 the others
    passes "seed $seed" make eager,clock=$seed 1 $seed
    passes "seed $seed: the same codes" test "$(codes none)" = "$(codes $seed)"
    passes "seed $seed: a variant that is not the rule's" grep -Eq "products of .* bf16.*: [0-9]+x[0-9]+.* us, the rule's [0-9]+x[0-9]+" "$BOX/$seed.log"
done
passes 'a line a shape: in this model heads have that of the first feed-forward matrix' test "$(products 2 | wc -l)" -eq 5
fails 'seeds that choose alike' test "$(products 2)" = "$(products 10)"
passes 'packed' grep -q 'products of .* behind a norm; .* packed' "$BOX/2.log"
passes 'packed, over slices' grep -q 'products of 128 x 256 bf16; .* packed' "$BOX/10.log"
# A prompt is many rows at once; the steps behind it have the four of two clips.
passes 'behind a prompt' make eager,clock=2 1 long --frames 8 --audio-prompt "$BOX/none/000000.codes.npy" --prompt-duration 0.04
passes 'behind a prompt: a step is timed too' grep -q 'products of .* behind a norm; 4 rows: ' "$BOX/long.log"
passes 'on two ranks' make eager,clock=13 2 two --tp 2
passes 'on two ranks: the same codes' test "$(codes none)" = "$(codes two)"
finish
