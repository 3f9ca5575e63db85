#!/bin/bash
# The job scripts without a Slurm: a stand-in for srun ends as it is told to, one for scontrol notes what is requeued.
# When a job goes back into the queue, when it ends, and with how many cores and slots ranks are started.
#   job_scripts.sh TESTS-FOLDER
root=$(cd "$1/.." && pwd)
. "$root/tests/e2e/lib.sh" none "$root/tests"
cd "$BOX" || exit 1
for name in $(compgen -e | grep '^S\(LURM\|RUN\|BATCH\)_'); do unset "$name"; done
mkdir bin
# srun CODE, CLIPS and SAYS are what it ends with, how many clips there are then ("": the run never came so far), and what it says.
# A step of one task alone, "true", is taken by every node but those in GONE. TOLD: a signal that the script gets meanwhile.
cat >bin/srun <<'END'
#!/bin/bash
echo "srun $*" >>called
if [ "${!#}" = true ]; then
    [ -z "${TOLD-}" ] || kill -"$TOLD" "$(ps -o ppid= "$PPID" | tr -d ' ')"
    for word; do case " ${GONE-} " in *" ${word#--nodelist=} "*) exit 1 ;; esac; done
    exit 0
fi
[ -z "${SAYS-}" ] || echo "$SAYS" >&2
[ -z "${TOLD-}" ] || exec sleep 9
out=$(printf '%s\n' "$@" | sed -n '/^--out$/{n;p}')
[ -z "${CLIPS-}" ] || { mkdir -p "$out/.mg-dist" && printf '{\n  "state": "stopped",\n  "done": %s,\n  "done_in_this_run": 1,\n  "replicas": [\n    {\n      "done": 7\n' "$CLIPS" >"$out/.mg-dist/status.json"; }
exit "$CODE"
END
# scontrol notes what it is asked to change; the job has EXCLUDED and is bound to REQUIRED. The partition's nodes are NODES.
cat >bin/scontrol <<'END'
#!/bin/bash
case "$1 $2" in
'show hostnames') tr , '\n' <<<"$3" ;;
'show job') printf '   ReqNodeList=%s ExcNodeList=%s\n   Features=(null) DelayBoot=00:00:00\n' "${REQUIRED:-(null)}" "${EXCLUDED:-(null)}" ;;
*) echo "$*" >>requeued ;;
esac
END
printf '#!/bin/sh\nprintf "%%s\\n" ${NODES:-n1 n2}\n' >bin/sinfo
cat >bin/mg-dist <<'END'
#!/bin/sh
echo "mg-dist $*" >>called
env | grep '^SRUN_' >>called
[ "$1" != bench ] || { mkdir -p sweep; for i in $(seq "${POINTS:-0}"); do
    echo "{\"np\":${SAME:-$(cat sweep/results.jsonl 2>/dev/null | wc -l)},\"tp\":1,\"batch\":1,\"repeat\":1,\"status\":\"ok\"," >>sweep/results.jsonl
done; }
exit "$CODE"
END
chmod +x bin/*
export PATH=$BOX/bin:$PATH SLURM_JOB_ID=5 SLURM_JOB_NUM_NODES=2 SLURM_NTASKS=4 SLURM_JOB_NODELIST=n1,n2 SLURM_JOB_PARTITION=main

# after SENTENCE CODE CLIPS yes|no [SCRIPT]: one start that ends so; whether the job goes back into the queue
after() {
    local script=$root/launch/slurm/${5:-run}.sbatch
    rm -f requeued called
    CODE=$2 CLIPS=$3 bash "$script" --jobs "a list" --out "the set" >"$BOX/said" 2>&1
    [ $? = "$2" ] || { verdict 1 "$1: exit code"; return; }
    if [ "$4" = yes ]; then passes "$1: starts again" grep -qx 'requeue Incomplete 5' requeued; else fails "$1: has ended" test -e requeued; fi
}
for code in 6 75 130 134 137 138 139 143; do after "code $code" $code 1 yes; rm -rf the\ set ./*.starts; done
for code in 0 1 2 3 4 5; do after "code $code" $code 1 no; rm -rf the\ set; done

# Preemptions and time limits are no losses.
for ((i = 1; i <= 5; i++)); do SLURM_RESTART_COUNT=$((i - 1)) after "preempted, start $i" 75 $i yes; done
SLURM_RESTART_COUNT=5 after 'a rank is lost at start 6, which made clips' 6 9 yes
for ((i = 1; i <= 5; i++)); do after "a rank is lost again, and again there are more clips" 137 $((9 + i)) yes; done
after 'a start that makes none' 6 14 yes
after 'a second one' 137 14 yes
after 'and one that does' 75 15 yes
after 'the count begins anew' 6 15 yes
after 'a second one' 75 15 yes
after 'the third in a row is the last' 6 15 no
says 'and the remedy is said' 'three starts in a row made no clip, the last ended with 6: give a longer --time .*$'
says 'both of them' '--exclude'
fails 'nothing is left of the counting' test -e mg-dist-5.starts
mkdir mg-dist-5.starts # as where the disk is full
SLURM_RESTART_COUNT=2 after 'where the count cannot be kept' 6 15 yes
SLURM_RESTART_COUNT=3 after 'where it cannot be kept: not for ever' 6 15 no
rmdir mg-dist-5.starts
echo '0 a[$(touch ran)]' >mg-dist-5.starts # by somebody who may write here
after 'a count that is none' 75 16 yes
passes 'begins anew' grep -qx '16 0' mg-dist-5.starts
echo '20 a[$(touch ran)]' >mg-dist-5.starts
after 'a count that is none, and no clip' 75 16 yes
rm -f mg-dist-5.starts
fails 'and is not run' test -e ran
rm -rf the\ set

# Loading takes longer than the job.
after 'stopped while loading' 75 '' yes
after 'stopped while loading, twice' 138 '' yes
after 'stopped while loading, thrice' 75 '' no
says 'not for ever' 'give a longer --time'
MGDIST_OUT=elsewhere after '--out goes before MGDIST_OUT' 75 3 yes
passes 'and its clips are counted' grep -qx '3 0' mg-dist-5.starts
rm -rf the\ set ./*.starts

for signal in USR1 TERM; do
    TOLD=$signal SLURM_RESTART_COUNT=3 after "$signal before the ranks are there" 138 '' yes
    passes "$signal: no more steps are spent" test "$(grep -c 'true$' called)" = 1
    rm -f ./*.starts
done

# A node that was lost: named, and left out of the starts to come.
silent='mg-dist: error: run: replica 2 (rank 2, host n2) has said nothing for 30 s: it is stopped or stuck, or its host is out of reach'
lost() { # SENTENCE NAMED EXCLUDED|"": named so, and then the list of the job ("": not changed)
    after "$1" 6 2 yes
    says "$1: named" "^mg-dist: lost, with code 6: $2"
    passes "$1: ${3:-not} left out" test "$(sed -n 's/^update JobId=5 ExcNodeList=//p' requeued)" = "$3"
    rm -rf the\ set ./*.starts
}
export NODES='n1 n2 n3'
SAYS=$silent lost 'mg-dist names it' 'n2$' n2
says 'and it is said' '^mg-dist: the next starts are without n2$'
SAYS=${silent//n2/n2.cluster.org} lost 'by its whole name' 'n2$' n2
SAYS='mg-dist: error: all_reduce: waited 300 s for rank 1 (host n1, pid 5): it is stuck' lost 'in a group' 'n1$' n1
passes 'nobody asks the nodes then' test "$(grep -c -- --overlap called)" = 0
GONE=n2 lost 'it takes no step' 'n2$' n2
GONE='n1 n2' lost 'none takes a step' 'a rank; which node it was cannot be told' ''
lost 'all take steps' 'a rank; which node it was cannot be told' ''
SAYS=${silent/error/warning} lost 'one that may be heard again' 'a rank; which' ''
EXCLUDED='n[7-9]' NODES='n1 n2 n3 n7 n8' SAYS=$silent lost 'beside those that the user named' 'n2$' 'n[7-9],n2'
EXCLUDED=n3 SAYS=$silent lost 'too few others' 'n2$' ''
REQUIRED='n[1-2]' SAYS=$silent lost 'a job that is bound to its nodes' 'n2$' ''
for i in 1 2; do
    SAYS=$silent after "no clip, $i" 6 '' yes
    passes "no clip, $i: not at once" grep -qx "update JobId=5 StartTime=now+$((i * 120))" requeued
done
SAYS=$silent after 'no clip, 3' 6 '' no
says 'the remedy names it' 'leave out n2 by --exclude'
after 'a time limit' 75 '' yes
fails 'is no loss: at once' grep -q StartTime requeued
SLURM_RESTART_COUNT=3 after 'a fourth start' 75 '' yes
passes 'its step is number 3' test "$(grep -n -- '--mpi=pmix' called | cut -d: -f1)" = 4
rm -f ./*.starts
export -n NODES

# The other scripts end in the same way.
ending() { sed -n '/^step=/,$p' "$root/launch/slurm/$1.sbatch"; }
for other in container array; do passes "$other.sbatch ends as run.sbatch" diff <(ending run) <(ending $other); done
passes 'that is something' test "$(ending run | wc -l)" -gt 15
APPTAINER=x after 'container.sbatch' 75 2 yes container
rm -rf the\ set ./*.starts
array() { rm -f requeued; CODE=$1 CLIPS=$2 OUT=part SLURM_ARRAY_JOB_ID=4 SLURM_ARRAY_TASK_ID=1 bash "$root/launch/slurm/array.sbatch" --jobs x >"$BOX/said" 2>&1; }
array 75 3
passes 'array.sbatch: its own task starts again' grep -qx 'requeue Incomplete 4_1' requeued
passes 'array.sbatch: its own clips are counted' grep -qx '3 0' mg-dist-5.starts
array 75 3; array 75 3; array 75 3
fails 'array.sbatch: not for ever' test -e requeued

# Cores: srun does not take them from the job; the daemons of mpirun must not be told of them.
for script in run container array; do
    SLURM_CPUS_PER_TASK=16 SLURM_ARRAY_TASK_ID=1 after "$script.sbatch" 0 1 no $script
    passes "$script.sbatch: ranks get their cores" grep -q '^srun .*--cpus-per-task=16 ' called
    SLURM_ARRAY_TASK_ID=1 after "$script.sbatch" 0 1 no $script
    fails "$script.sbatch: or what the site gives" grep -q cpus-per-task called
done

# sweep CODE POINTS yes|no SENTENCE: a start of scaling.sbatch that measures so many points
sweep() {
    rm -f requeued called
    CODE=$1 POINTS=$2 OUT=sweep SLURM_CPUS_PER_TASK=4 bash "$root/launch/slurm/scaling.sbatch" --shape tiny >"$BOX/said" 2>&1
    if [ "$3" = yes ]; then passes "scaling.sbatch: $4" grep -qx 'requeue Incomplete 5' requeued; else fails "scaling.sbatch: $4" test -e requeued; fi
}
echo 'a[$(touch ran)]' >mg-dist-5.starts
sweep 75 0 yes 'a count that is none begins anew'
fails 'scaling.sbatch: and is not run' test -e ran
rm -f mg-dist-5.starts
sweep 0 2 no 'complete'
passes 'scaling.sbatch: the cores go to srun' grep -q -- '--launcher-args=--mpi=pmix .*--cpus-per-task=4' called
fails 'scaling.sbatch: nothing tells the daemons of mpirun' grep -q '^SRUN_' called
passes 'scaling.sbatch: and the report is made' grep -qx 'mg-dist report sweep' called
SLURM_RESTART_COUNT=9 sweep 75 1 yes 'the time is over, and something was measured'
SLURM_RESTART_COUNT=9 sweep 130 0 yes 'preempted before anything was measured'
SAME=0 sweep 75 1 yes 'a point that has failed before says nothing new'
SAME=0 sweep 75 1 no 'a point takes longer than the job'
says 'scaling.sbatch: the remedy' 'three starts in a row measured nothing: give a longer --time'
fails 'scaling.sbatch: nothing is left of the counting' test -e mg-dist-5.starts

# mg-launch in an allocation: as many ranks on a node as the job has tasks there, or GPUs.
printf '#!/bin/sh\nprintf "n1\\nn2\\nn3\\n"\n' >bin/scontrol
printf '#!/bin/sh\nwhile [ "$1" != --hostfile ]; do shift; done\ncat "$2"\n' >bin/mpirun
chmod +x bin/mpirun
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
finish
