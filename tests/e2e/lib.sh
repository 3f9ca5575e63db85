# What the end-to-end and command-line tests share.   . lib.sh MG-DIST TESTS-FOLDER
# A test is a script of sentences: `expect CODE PATTERN 'sentence' command …` runs a command and looks at its exit
# code and at what it says; `same`, `passes` and `fails` look at other things. The script ends with `finish`.
set -u
export LC_ALL=C.UTF-8
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo # of Open MPI 4; 5 refuses the latter on its command line
export ASAN_OPTIONS=verify_asan_link_order=0 # faulty_disk.so comes before AddressSanitizer's own library
for name in $(env | sed -n 's/^\(MGDIST_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export MGDIST_OVERWRITE=1 # most scripts write into one folder again and again; overwrite.sh is about the rule

# MG_TEST_OVER=cuda: the clips are made by the CUDA sources on the CPU (tests/cuda_on_cpu), in fp32 as the golden data.
# MG_TEST_GEMM: the products that they take there.
# MG_TEST_RANKS: the numbers of ranks to try; MG_TEST_ONLY: the parts of a script to run.
# MG_TEST_SANITIZED: the program is slow, and has plain kernels alone.
if [ "${MG_TEST_OVER-}" = cuda ]; then export MGDIST_DEVICE=cuda MGDIST_DTYPE=fp32 CUDA_ON_CPU=${MG_TEST_FIXTURE:-eager}; fi
[ -z "${MG_TEST_GEMM-}" ] || export MGDIST_GEMM=$MG_TEST_GEMM
[ -z "${MG_TEST_SHARE-}" ] || export MGDIST_SHARE_GPU=1 # more ranks than GPUs
wanted() { [ -z "${MG_TEST_ONLY-}" ] || [[ " $MG_TEST_ONLY " = *" $1 "* ]]; }

MG=$1
TESTS=$2
GOLDEN=$TESTS/golden
TINY=$GOLDEN/checkpoints/tiny-mono
DEMO=$TESTS/../models/mg-demo
BOX=$(mktemp -d)
trap 'rm -rf "$BOX"' EXIT
n_done=0
n_wrong=0

# ranks N command …: under mpirun, or plainly for one.
ranks() {
    local n=$1
    shift
    [ -z "${CUDA_ON_CPU-}" ] || local -x CUDA_ON_CPU=devices=$n,$CUDA_ON_CPU
    if [ "$n" = 1 ]; then
        timeout 600 "$@"
    else
        timeout 600 mpirun -np "$n" --oversubscribe --bind-to none "$@"
    fi
}

verdict() {
    n_done=$((n_done + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n_done - $2"
    else
        n_wrong=$((n_wrong + 1))
        echo "not ok $n_done - $2"
    fi
}

# expect CODE PATTERN SENTENCE command …: both streams go to $BOX/said; PATTERN is an extended regular expression.
expect() {
    local code=$1 pattern=$2 sentence=$3 got
    shift 3
    "$@" >"$BOX/said" 2>&1
    got=$?
    if [ "$got" = "$code" ] && grep -Eq -- "$pattern" "$BOX/said"; then
        verdict 0 "$sentence"
    else
        verdict 1 "$sentence"
        echo "# exit code $got, expected $code; expected to read: $pattern; it said:"
        sed 's/^/#   /' "$BOX/said" | head -40
    fi
}

# passes SENTENCE command …, fails SENTENCE command …: they leave $BOX/said alone.
passes() {
    local sentence=$1
    shift
    if "$@" >"$BOX/note" 2>&1; then verdict 0 "$sentence"; else
        verdict 1 "$sentence"
        sed 's/^/#   /' "$BOX/note" | head -40
    fi
}

fails() {
    local sentence=$1
    shift
    if "$@" >"$BOX/note" 2>&1; then verdict 1 "$sentence"; else verdict 0 "$sentence"; fi
}

# says SENTENCE PATTERN, says_once SENTENCE: of what the last command left in $BOX/said.
says() {
    if grep -Eq -- "$2" "$BOX/said"; then verdict 0 "$1"; else
        verdict 1 "$1"
        sed 's/^/#   /' "$BOX/said" | tail -20
    fi
}
said_once() { [ "$(grep -c 'mg-dist: error' "$BOX/said")" = 1 ] || { tail -20 "$BOX/said"; false; }; }
says_once() { passes "$1" said_once; }

# silenced: no rank could say why it ended. When mpirun of Open MPI 5 ends a run, because of a signal or a lost rank, it
# passes on nothing more, and kills after half a second who is still there, whatever its sigkill_timeout.
is_open_mpi_5() { mpirun --version | grep -q ' 5\.'; }
silenced() { is_open_mpi_5 && ! grep -q 'mg-dist: error' "$BOX/said"; }

# start NP command …: in the background, what it says into $BOX/said. $job is its process; each rank leaves its own number.
start() {
    local n=$1
    shift
    rm -f "$BOX"/rank.*
    ranks "$n" sh -c 'echo $$ >"$0.${OMPI_COMM_WORLD_RANK:-0}"; exec "$@"' "$BOX/rank" "$@" >"$BOX/said" 2>&1 &
    job=$!
}
pid_of() { cat "$BOX/rank.$1"; }

# lives PID: what nobody has waited for yet (Z) does not.
lives() {
    case $(sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null) in
    '' | Z* | X*) return 1 ;;
    esac
}

# gone SECONDS PID: within that time.
gone() {
    local i
    for ((i = 0; i < $1 * 10; i++)); do
        lives "$2" || return 0
        sleep 0.1
    done
    return 1
}

# over SENTENCE SECONDS SECONDS: the job ends within the first time, and its processes are gone within the second. Its
# exit code is $job_code.
over() {
    local begin=$SECONDS f
    wait "$job"
    job_code=$?
    verdict $((SECONDS - begin > $2)) "$1: over within $2 s (took $((SECONDS - begin)) s)"
    for f in "$BOX"/rank.*; do passes "$1: $(basename "$f") is gone" gone "$3" "$(cat "$f")"; done
}

# bytes_of FOLDER: one line a sound or code file.
bytes_of() { (cd "$1" && sha256sum -- *.wav *.npy); }

# same SENTENCE FOLDER FOLDER: the same files with the same bytes.
same() {
    if [ "$(bytes_of "$2")" = "$(bytes_of "$3")" ] && [ -n "$(bytes_of "$2")" ]; then verdict 0 "$1"; else verdict 1 "$1"; fi
}

# Nothing half-written: no file but whole ones.
tidy() { ! find "$1" -name '.*.tmp' | grep -q .; }

# fill FILE TENSOR HEX: a tensor of a safetensors file becomes one half-precision number.
fill() {
    local head from to
    head=$((8 + $(od -An -tu8 -N8 "$1")))
    read -r from to < <(head -c $head "$1" | tail -c +9 | sed -n "s/.*\"$2\":{[^}]*\"data_offsets\":\[\([0-9]*\),\([0-9]*\)\].*/\1 \2/p")
    # shellcheck disable=SC2046
    printf "\\x${3:2:2}\\x${3:0:2}%.0s" $(seq $(((to - from) / 2))) | dd of="$1" bs=4k oflag=seek_bytes seek=$((head + from)) conv=notrunc status=none
}

skipped() { echo "SKIPPED: $1"; }

finish() {
    echo "1..$n_done"
    [ "$n_wrong" = 0 ] && [ "$n_done" -gt 0 ]
    exit
}
