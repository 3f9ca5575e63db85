#!/bin/bash
# mg-launch without hosts: the ranks of an allocation, what goes to a remote shell and to the ranks, and what a host says.
#   mg_launch.sh MG-DIST TESTS-FOLDER
root=$(cd "$2/.." && pwd)
. "$root/tests/e2e/lib.sh" "$(realpath "$1")" "$root/tests"
cd "$BOX" || exit 1
for name in $(compgen -e | grep '^S\(LURM\|RUN\|BATCH\)_'); do unset "$name"; done
mkdir bin
export PATH=$BOX/bin:$PATH SLURM_JOB_NODELIST='n[1-3]'

# mg-launch in an allocation: as many ranks on a node as the job has tasks there, or GPUs.
printf '#!/bin/sh\nprintf "n1\\nn2\\nn3\\n"\n' >bin/scontrol
printf '#!/bin/sh\nwhile [ "$1" != --hostfile ]; do shift; done\ncat "$2"\n' >bin/mpirun
chmod +x bin/*
slots() { # SENTENCE SLOTS VARIABLES… -- OPTIONS…: of the three nodes
    local sentence=$1 slots=$2 variables=()
    shift 2
    while [ "$1" != -- ]; do variables+=("$1"); shift; done
    expect 0 "" "$sentence" env -u SLURM_NTASKS "${variables[@]}" "$root/launch/mg-launch" --no-check --program /bin/true "${@:2}" -- models
    passes "$sentence: $slots" test "$(sed -n 's/^n[1-3] slots=//p' said | paste -sd,)" = "$slots"
}
slots 'sbatch --ntasks-per-node=4' 4,4,4 SLURM_NTASKS=12 SLURM_NTASKS_PER_NODE=4 'SLURM_TASKS_PER_NODE=4(x3)' --
slots 'sbatch -N 3 -n 7' 3,3,1 SLURM_NTASKS=7 'SLURM_TASKS_PER_NODE=3(x2),1' --
slots 'no tasks, but GPUs' 8,8,8 SLURM_GPUS_ON_NODE=8 'SLURM_TASKS_PER_NODE=64(x3)' --
slots 'GPUs, and fewer cores' 1,1,1 SLURM_GPUS_ON_NODE=8 'SLURM_TASKS_PER_NODE=1(x3)' --
slots 'neither' 1,1,1 'SLURM_TASKS_PER_NODE=64(x3)' --
slots '--slots holds' 2,2,2 SLURM_NTASKS=7 SLURM_NTASKS_PER_NODE=4 'SLURM_TASKS_PER_NODE=3(x2),1' -- --slots 2

# A hostfile as people have them.
hostfile() { # SENTENCE TEXT NAMES-AND-SLOTS|PATTERN [CODE]
    printf "$2" >hosts
    expect "${4:-0}" "$([ "${4:-0}" = 0 ] || echo "$3")" "$1" env -u SLURM_JOB_NODELIST "$root/launch/mg-launch" --hostfile hosts --no-check --program /bin/true -- models
    [ "${4:-0}" != 0 ] || passes "$1: its slots" test "$(grep slots= said | paste -sd,)" = "$3"
}
hostfile 'from Windows' '\xef\xbb\xbfn1 slots=2\r\n\r\nn2\r\n' 'n1 slots=2,n2 slots=1'
hostfile 'of MPICH' 'n1:4\nme@n2:08 # two\nfe80::1\n' 'n1 slots=4,me@n2 slots=8,fe80::1 slots=1'
hostfile 'with a zero in front' 'n1 slots=08 max_slots=9' 'n1 slots=8'
hostfile 'more slots than a number holds' 'n2\nn1 slots=9999999999\n' 'hosts: line 2: n1 has more than 100000 slots' 2
hostfile 'the same, as MPICH writes it' 'n1:4294967297\n' 'hosts: line 1: n1 has more than 100000 slots' 2
hostfile 'a host in two cases' 'n1\nme@N1\n' 'hosts: line 2: host me@N1 stands there twice .line 1.' 2
hostfile 'without slots' 'n1\nn2:0\n' 'hosts: line 2: n2 has no slot' 2
for line in n1: n1:x n1:4x; do hostfile "a line $line" "n2\n$line\n" "hosts: line 2: $line: expected HOST:N" 2; done
hostfile 'a word too many' 'n1 slots=2\nn2 4\n' 'hosts: line 2: 4: expected slots=N' 2
expect 2 ': cannot be read; it lists a host a line' 'a folder' "$root/launch/mg-launch" --hostfile "$BOX" --no-check --program /bin/true -- models
expect 2 'option --slots: 9999999999: must be a whole number' 'slots beyond a number' "$root/launch/mg-launch" --hosts n1 --slots 9999999999 --no-check --program /bin/true -- models
expect 2 '--np: 0: no rank' 'no rank' "$root/launch/mg-launch" --hosts n1 --np 0 --no-check --program /bin/true -- models

# What it hands on: to a remote shell no word that it takes for an option, to the ranks what they read alone.
launch() { env -u SLURM_JOB_NODELIST "$root/launch/mg-launch" --no-check --program /bin/true "$@" -- models; }
for name in '-oProxyCommand=touch${IFS}ran' 'a;touch' '../n1' 'n1$(x)'; do
    expect 2 'hosts: line 2: .*: is no name of a host' "a host called $name" launch --hosts "n1,$name"
done
printf '#!/bin/sh\necho "$*"\n' >bin/mpirun
expect 0 ' -x HF_HOME ' 'the cache is told' env HF_HOME=x HF_TOKEN=secret NCCL_DEBUG=INFO "$root/launch/mg-launch" --no-check --program /bin/true --hosts n1,me@n2.x -- models
says 'and what NCCL reads' ' -x NCCL_DEBUG '
fails 'no token is' grep -q HF_TOKEN said

# mg-probe.sh: the plug-in that the program would open.
mkdir -p at/bin at/libexec/mg-dist
cp /bin/true at/bin/mg-dist
probe() { sh "$root/launch/mg-probe.sh" "$BOX/at/bin/mg-dist" | sed -n 's/^plugin\t//p'; }
sum() { sha256sum "$1" | cut -c1-16; }
passes 'no plug-in' test "$(probe)" = none
echo one >at/libexec/mg-dist/libmg_cuda.so
passes 'an installed one' test "$(probe)" = "$(sum at/libexec/mg-dist/libmg_cuda.so)"
echo two >at/bin/libmg_cuda.so
passes 'one beside the program comes first' test "$(probe)" = "$(sum at/bin/libmg_cuda.so)"

# Models as the program finds them: here, where only mg-launch is told of the cache.
mkdir -p hub/models--facebook--musicgen-small/snapshots/{c0ffee1,beef002}
echo one >hub/models--facebook--musicgen-small/snapshots/c0ffee1/config.json
echo two >hub/models--facebook--musicgen-small/snapshots/beef002/config.json
mkdir hub/models--facebook--musicgen-small/refs
printf c0ffee1 >hub/models--facebook--musicgen-small/refs/main
printf '#!/bin/sh\nshift\nexec env -i "PATH=$PATH" "HOME=$HOME" sh -c "$*"\n' >bin/clean
chmod +x bin/clean
finds() { # MODEL
    HF_HUB_CACHE=$BOX/hub "$root/launch/mg-launch" --hosts n1 --rsh clean --program "$BOX/at/bin/mg-dist" --check-only -- generate --model "$1"
}
for model in facebook/musicgen-small musicgen-small small facebook/musicgen-small@beef00; do
    expect 0 '1 of 1 hosts are ready' "a model called $model" finds $model
done
for model in facebook/musicgen-large medium facebook/musicgen-small@f00; do
    expect 2 "has no model $model" "none called $model" finds $model
done
digest() { HF_HUB_CACHE=$BOX/hub sh "$root/launch/mg-probe.sh" "$BOX/at/bin/mg-dist" "$1" | sed -n 's/^model\t//p'; }
passes 'main is a commit' test "$(digest small)" = "$(digest small@c0ffee1)"
fails 'and another one is another model' test "$(digest small)" = "$(digest small@beef002)"

# Starts behind a loss. mpirun's first code is FIRST, its later ones LATER (0). A host answers unless "away.HOST" is there, or
# "away" (AWAY), which 20 s take from there, if it is not AWAY=long. TOLD: mg-launch is told to stop while the second one is asked.
cat >bin/mpirun <<'END'
#!/bin/bash
echo >>starts
[ "$(wc -l <starts)" = 1 ] || exit "${LATER:-0}"
echo $PPID >launcher
[ -z "${AWAY-}" ] || touch away
exit "$FIRST"
END
cat >bin/rsh <<'END'
#!/bin/bash
[ ! -e away ] && [ ! -e "away.$1" ] || exit 255
[ -z "${TOLD-}" ] || [ "$1" != n2 ] || [ ! -e launcher ] || { /bin/sleep 0.5; kill -TERM "$(cat launcher)"; }
shift
exec sh -c "$*"
END
cat >bin/sleep <<'END'
#!/bin/bash
[ "$1" = 20 ] || exec /bin/sleep "$@"
echo >>waited
[ "${AWAY-}" != one ] || touch away.n2
[ "${AWAY-}" = long ] || rm -f away
END
chmod +x bin/*
starts() { # SENTENCE CODE STARTS WAITS OPTIONS…: ends so, after so many starts and times of 20 s
    rm -f starts waited away launcher
    expect "$2" "" "$1" "$root/launch/mg-launch" --rsh "$BOX/bin/rsh" --hosts n1,n2 --no-check --program /bin/true "${@:5}" -- models
    passes "$1: starts" test "$(wc -l <starts)" = "$3"
    passes "$1: waits" test "$(cat waited 2>/dev/null | wc -l)" = "$4"
    rm -f away.n2
}
touch away.fe80::2
expect 0 '^mg-launch: 1 of 2 hosts are ready' 'an address with colons that does not answer is left out' "$root/launch/mg-launch" \
    --rsh "$BOX/bin/rsh" --hosts n1,fe80::2 --drop-bad --check-only --program /bin/true
AWAY=yes FIRST=6 starts 'all hosts are away for a moment, and one restart is left' 0 2 1 --restarts 1
AWAY=one FIRST=6 starts 'one of two comes back' 0 2 1 --restarts 1
passes 'the other one is named again' test "$(sed '1,/asked again/d' said | grep -c '^mg-launch: n2: cannot be reached')" = 1
AWAY=long FIRST=6 starts 'all hosts are away for good' 6 1 6
AWAY=long FIRST=6 starts 'all hosts are away, and no restart is left' 6 1 0 --restarts 0
FIRST=205 LATER=1 starts 'starts behind a loss are refused' 1 3 2 --restarts 2
FIRST=1 starts 'a first start that is refused' 1 1 0
TOLD=yes FIRST=6 starts 'told to stop while hosts are asked' 6 1 0
FIRST=213 LATER=213 starts 'mpirun starts no ranks, ever' 213 3 2 --restarts 2
says 'and it is said' '2 restarts are used up'
FIRST=213 LATER=6 starts 'mpirun starts no ranks, at first' 6 3 1 --restarts 2
FIRST=6 starts 'numbers with a zero in front' 0 2 0 --restarts 08 --np 08 --max-skew 09
says 'and the restarts are eight' 'start 2 of at most 9'
touch away.n2
FIRST=213 LATER=213 starts 'mpirun starts no ranks, and a host is away' 6 3 0 --restarts 2
finish
