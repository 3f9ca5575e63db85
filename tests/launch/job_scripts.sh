#!/bin/bash
# The job scripts without a Slurm: a stand-in for srun ends as it is told to, one for scontrol notes what is requeued.
# When a job goes back into the queue, when it ends, and with how many cores and slots ranks are started.
#   job_scripts.sh MG-DIST TESTS-FOLDER
root=$(cd "$2/.." && pwd)
. "$root/tests/e2e/lib.sh" "$(realpath "$1")" "$root/tests"
cd "$BOX" || exit 1
"$MG" --job-functions >functions || verdict 1 'the program has the functions'
passes 'they are those of job.sh' diff functions "$root/launch/slurm/job.sh"
export FUNCTIONS=$BOX/functions
for name in $(compgen -e | grep '^S\(LURM\|RUN\|BATCH\)_'); do unset "$name"; done
unset MG_DIST OUT
mkdir bin
# srun CODE, CLIPS and SAYS are what it ends with, how many clips there are then ("": the run never came so far), and what it says.
# A step of all nodes names them, but those in GONE; where there is one, only those before BROKEN, if that is set.
# TOLD: a signal that the script gets while it takes a step, "true". ASKED: one that it gets while the nodes are asked. DURING: one
# that it gets while the ranks are there. FAILS: so many steps fail.
cat >bin/srun <<'END'
#!/bin/bash
echo "srun $*" >>called
if [ "${!#}" = true ]; then
    [ -z "${TOLD-}" ] || kill -"$TOLD" "$(ps -o ppid= "$PPID" | tr -d ' ')"
    [ "$(grep -c 'true$' called)" -gt "${FAILS:-0}" ]
    exit
fi
if [ "${!#}" = SLURMD_NODENAME ]; then
    at=$PPID
    of() { ps -o ppid= "$1" | tr -d ' '; }
    while grep -aq '[.]sbatch' "/proc/$(of "$at")/cmdline"; do at=$(of "$at"); done
    [ -z "${ASKED-}" ] || kill -"$ASKED" "$at"
    alone=$(printf '%s\n' "$@" | sed -n 's/^--nodelist=//p')
    for node in ${alone:-$(tr , ' ' <<<"$SLURM_JOB_NODELIST")}; do
        [ "$node" != "${BROKEN-}" ] || [ "$alone" ] || break
        [[ " ${GONE-} " = *" $node "* ]] || echo "$node"
    done
    exit 0
fi
[ -z "${SAYS-}" ] || echo "$SAYS" >&2
[ -z "${TOLD-}" ] || exec sleep 9
[ -z "${DURING-}" ] || { trap '' USR1; kill -"$DURING" "$PPID"; /bin/sleep 0.2; }
out=$(printf '%s\n' "$@" | sed -n '/^--out$/{n;p}')
[ -z "${CLIPS-}" ] || { mkdir -p "$out/.mg-dist" && printf '{\n  "state": "stopped",\n  "done": %s,\n  "done_in_this_run": 1,\n  "replicas": [\n    {\n      "done": 7\n' "$CLIPS" >"$out/.mg-dist/status.json"; }
exit "$CODE"
END
# scontrol notes what it is asked to change; the job has EXCLUDED, asks for FEATURES and is bound to REQUIRED. The partition's
# nodes are NODES, each NAME or NAME/STATE/KIND/CORES. STATE, REASON, ROOM: of the job; requeue Incomplete heeds the latter two. SLURM: all of
# it hangs, or refuses; a requeue tells the job to end before it is through (told; a moment after its start, for until then the
# signal ends timeout); its controller is away at first (away); scancel has ended the job (cancelled); it is put back already
# (elsewhere).
cat >bin/scontrol <<'END'
#!/bin/bash
case "${SLURM-} $1 $2" in
hangs*) exec sleep 99 ;;
'refuses '*) printf 'scontrol: error: x\nAccess/permission denied\n' >&2; exit 1 ;;
*'show hostnames') tr , '\n' <<<"$3" ;;
*'show job') printf '   ReqNodeList=%s ExcNodeList=%s\n   Features=%s DelayBoot=00:00:00\n' "${REQUIRED:-(null)}" "${EXCLUDED:-(null)}" "${FEATURES:-(null)}"
    [ "${SLURM-}" != elsewhere ] || SLURM_RESTART_COUNT=1
    printf '   JobState=%s Reason=%s\n   PreemptEligibleTime=2026 PreemptTime=%s\n   Restarts=%d\n' "${STATE:-COMPLETING}" "${REASON-None}" "${ROOM:-None}" $((${SLURM_RESTART_COUNT:-0} + $(cat requeued 2>/dev/null | grep -c ^requeue))) ;;
*' requeue Incomplete') [ "${SLURM-}" != cancelled ] && [ "${REASON-}" != TimeLimit ] && [ -z "${ROOM-}" ] || exit 0 ;;&
*)
    [ "${SLURM-}" != told ] || { sleep 0.2 && kill -TERM "$PPID" && sleep 0.2; }
    [ "${SLURM-}" != away ] || [ -e away ] || { touch away; echo "Unable to contact slurm controller (connect failure)" >&2; exit 1; }
    echo "$*" >>requeued
    ;;
esac
END
printf '#!/bin/sh\n[ "${STATE-}" != RUNNING ] || echo "$5"\n' >bin/squeue
printf '#!/bin/sh\n[ "$1" != 15 ] || echo "sleep 15" >>called\n[ "$1" = 20 ] || exec /bin/sleep "$@"\n' >bin/sleep
cat >bin/sinfo <<'END'
#!/bin/bash
echo asked >>sinfo
[ "${SLURM-}" != hangs ] || exec sleep 99
for node in ${NODES:-n1 n2}; do IFS=/ read -r name state kind cores <<<"$node"; echo "is $name ${state:-idle} ${cores:-64} 500000 ${kind:-gpu:4(S:0-1)} (null)"; done
END
cat >bin/mg-dist <<'END'
#!/bin/sh
if [ "$1" = --job-functions ]; then # EARLY: a signal that all processes of the job get meanwhile; KILLED: it ends this one
    at=$$
    of() { ps -o ppid= "$1" | tr -d ' '; }
    while [ "${EARLY-}" ] && grep -aq '[.]sbatch' "/proc/$(of "$at")/cmdline"; do at=$(of "$at") all="${all-} $at"; done
    [ -z "${EARLY-}" ] || kill -"$EARLY" $all $$
    [ -z "${KILLED-}" ] || exit 1
    exec cat "$FUNCTIONS"
fi
echo "mg-dist $*" >>called
env | grep '^SRUN_' >>called
[ "$1" != bench ] || { mkdir -p sweep/logs; [ -z "${SAYS-}" ] || echo "$SAYS" >sweep/logs/np4-tp2-b1-1.log; for i in $(seq "${POINTS:-0}"); do
    echo "{\"np\":${SAME:-$(cat sweep/results.jsonl 2>/dev/null | wc -l)},\"tp\":1,\"batch\":1,\"repeat\":1,\"status\":\"ok\"," >>sweep/results.jsonl
done; }
exit "$CODE"
END
printf '#!/bin/sh\necho "apptainer $*" >>contained\n[ "$4" = x.sif ] && shift 4 && exec "$@"\n' >bin/apptainer
chmod +x bin/*
export PATH=$BOX/bin:$PATH SLURM_JOB_ID=5 SLURM_JOB_NUM_NODES=2 SLURM_NTASKS=4 SLURM_JOB_NODELIST=n1,n2 SLURM_JOB_PARTITION=main

# after SENTENCE CODE CLIPS yes|no|limit [SCRIPT]: one start that ends so; whether the job goes back into the queue
after() {
    local script=$root/launch/slurm/${5:-run}.sbatch
    rm -f requeued called
    CODE=$2 CLIPS=$3 bash "$script" --jobs "a list" --out "the set" >"$BOX/said" 2>&1
    [ $? = "$2" ] || { verdict 1 "$1: exit code"; return; }
    if [ "$4" = limit ]; then passes "$1: starts again" grep -qx 'requeue 5' requeued; return; fi
    if [ "$4" = yes ]; then passes "$1: starts again" grep -qx 'requeue Incomplete 5' requeued; else fails "$1: has ended" test -e requeued; fi
}
for code in 6 75 130 134 137 138 139 143; do after "code $code" $code 1 yes; rm -rf the\ set ./*.starts; done
for code in 0 1 2 3 4 5; do after "code $code" $code 1 no; rm -rf the\ set; done

says 'and the end of the log says so' '^mg-dist: ended with code 5, after which no start follows$'
SAYS=$'[n1:0] mg-dist: error: clip w: x\n[n1:0] mg-dist: error: clip x: No space left on device' after 'a full disk' 1 1 no
says 'and the end of the log has the reason' '^mg-dist: ended with code 1, after which no start follows: clip x: No space left on device$'
rm -rf the\ set

# The launcher's own codes, and what becomes of them.
launcher() { # SENTENCE CODE SAYS CODE [CLIPS]
    rm -f requeued called
    [ -z "${MADE-}" ] || { mkdir -p 'the set/.mg-dist' && echo "\"done\": $MADE" >'the set/.mg-dist/status.json'; }
    CODE=$2 SAYS=$3 CLIPS=${5-} NODES='n1 n2 n3' bash "$root/launch/slurm/run.sbatch" --jobs "a list" --out "the set" >"$BOX/said" 2>&1
    passes "$1: code" test $? = "$4"
}
away() {
    launcher "$@"
    passes "$1: starts again" grep -qx 'requeue Incomplete 5' requeued
    passes "$1: not at once" grep -qx "update JobId=5 StartTime=now+$((${5:-1} * 120))" requeued
    [ "${5-}" ] || rm -f ./*.starts
}
away 'a rank crashes while MPI begins' 1 'srun: error: n1: task 0: Segmentation fault' 139
waited='mg-dist: error: MPI_Init: waited 300 s for the launcher and the other ranks'
away 'the first rank waits in vain, and Slurm ends the others' 130 "$waited" 6
DURING=USR1 launcher 'a rank waits in vain, and the job is told to stop' 130 "$waited" 130
passes 'is no loss' test "$(grep -c StartTime requeued)$(grep -c 'requeue Incomplete 5' requeued)" = 01
rm -f ./*.starts
GONE=n2 away 'a node is gone, and Slurm does not know it yet' 233 "srun: error: Task launch for StepId=5.0 failed on node n2: Communication connection failure
srun: error: Application launch failed: Communication connection failure" 6
says 'it is named' '^mg-dist: lost, with code 6: n2$'
passes 'and left out' grep -qx 'update JobId=5 ExcNodeList=n2' requeued
away 'the controller is away' 1 'srun: error: Unable to confirm allocation for job 5: Unable to contact slurm controller (connect failure)' 6
away 'it is busy' 1 'srun: error: Unable to create step for job 5: Socket timed out on send/recv operation' 6
away 'mpirun loses a host' 205 '' 6
held='mg-dist: error: the set/.mg-dist/lock: a run is at work here: process 7 of host n9; wait for its end, or stop it'
for i in 1 2; do
    away "ranks of an earlier start are still at work, $i" 1 "$held" 6 $i
    fails 'and no node is blamed' grep -q '^mg-dist: lost' "$BOX/said"
done
ended() { # CODE SENTENCE
    fails 'has ended' test -e requeued
    says 'with the reason' "^mg-dist: ended with code $1, after which no start follows: $2"
    rm -rf the\ set ./*.starts
}
launcher 'it is another job, at work for long' 1 "$held" 1 3
ended 1 'the set/.mg-dist/lock: a run is at work here'
missing='mg-dist: error: device: cuda: no GPU is there'
launcher 'no GPU, at first' 5 "$missing" 5
fails 'is a mistake' test -e requeued
SLURM_RESTART_COUNT=1 launcher 'before a clip was made' 5 "$missing" 5
for at in 5:3 4:0 1:3; do
    MADE=7 SLURM_RESTART_COUNT=1 SLURMD_NODENAME=n1 away "code ${at%:*} of a job that has made clips" "${at%:*}" "$([ "${at#*:}" = 0 ] || echo "[n2:3] ")$missing" 6
    passes 'its node is left out' grep -qx "update JobId=5 ExcNodeList=$([ "${at#*:}" = 0 ] && echo n1 || echo n2)" requeued
    rm -rf the\ set
done
for own in 'run: 3 clips failed, and --max-failures is 2' 'clip x: cannot write: No space left on device'; do
    MADE=7 SLURM_RESTART_COUNT=1 launcher "$own" 1 "mg-dist: error: $own" 1
    rm -rf the\ set
done
disk='mg-dist: error: run: replica 3 on n2 could not read the files of 20 clips in a row, the last one: x'
away 'a node has lost a disk' 1 "$disk" 6
passes 'and is left out' grep -qx 'update JobId=5 ExcNodeList=n2' requeued
for i in 1 2; do
    SLURM_RESTART_COUNT=$i away "no GPU on one node after the other, $i" 5 "$missing" 6 $i
done
SLURM_RESTART_COUNT=3 launcher 'nor on a third' 5 "$missing" 5 3
ended 5 'device: cuda: no GPU is there$'
for i in 1 2; do
    away "no disk on one node after the other, $i" 1 "$disk" 6 $i
done
launcher 'nor on a third' 1 "$disk" 1 3
ended 1 'run: replica 3 on n2 could not read the files'
no_program=$'slurmstepd-n2: error: execve(): mg-dist: No such file or directory\nsrun: error: n2: tasks 2-3: Exited with exit code 2'
MADE=7 SLURM_RESTART_COUNT=1 away 'a node without the program that has made clips' 2 "$no_program" 6
passes 'is left out' grep -qx 'update JobId=5 ExcNodeList=n2' requeued
no_library='/opt/mg dist/bin/mg-dist: error while loading shared libraries: libmpi.so.40: cannot open shared object file: No such file or directory'
MADE=7 SLURM_RESTART_COUNT=2 away 'or without a library' 127 "$no_library"$'\nsrun: error: n2: task 2: Exited with exit code 127\nsrun: error: n1: task 0: Killed' 6
passes 'is left out' grep -qx 'update JobId=5 ExcNodeList=n2' requeued
rm -rf the\ set ./*.starts
foreign='squashfuse_ll: error while loading shared libraries: libfuse3.so.3: cannot open shared object file: No such file or directory'
for code in 75 138 6; do
    echo '7 2' >mg-dist-5.starts
    MADE=8 SLURM_RESTART_COUNT=1 launcher "code $code, and a library that another program lacks" $code "$foreign" $code
    passes "code $code: starts again, at once" test "$(grep -v ExcNodeList requeued)" = 'requeue Incomplete 5'
    passes "code $code: the count begins anew" grep -qx '8 0' mg-dist-5.starts
done
MADE=8 SLURM_RESTART_COUNT=1 launcher 'some clips failed, and it is lacked' 3 "$foreign" 3
fails 'has ended' test -e requeued
MADE=8 SLURM_RESTART_COUNT=1 launcher 'stopped early, and a later node has no program' 75 "$no_program" 75
rm -rf the\ set ./*.starts
MADE=7 SLURM_RESTART_COUNT=1 launcher 'a mistake in a job that has made clips' 2 'mg-dist: error: --shards: unknown' 2
ended 2 '--shards: unknown'
launcher 'no such program' 2 'slurmstepd: error: execve(): mg-dist: No such file or directory' 2
launcher 'a step that cannot be' 1 'srun: error: Unable to create step for job 5: More processors requested than permitted' 1
fails 'has ended' test -e requeued

SLURM=told after 'told to end by its own requeue' 75 1 yes
fails 'and that is no refusal' grep -q 'not put back' "$BOX/said"
SLURM=away after 'a controller that is away for a moment' 75 2 yes
rm -rf the\ set ./*.starts

SLURM=cancelled after 'scancel' 75 3 no
says 'and it is said' '^mg-dist: not put back into the queue \(Slurm has ended it\): the same command goes on'
REASON=TimeLimit after 'at its time limit' 75 4 limit
ROOM=2026-11-30T20:20:52 after 'to make room, where Slurm cancels' 75 5 limit
SLURM=elsewhere after 'a job that Slurm has put back itself' 137 6 no
says 'and it is said' '^mg-dist: ended with code 137 and is back in the queue'
rm -f ./*.starts
rm -rf the\ set ./*.starts

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
    for script in run array scaling container; do
        EARLY=$signal SLURM_RESTART_COUNT=3 APPTAINER=apptainer IMAGE=x.sif OUT='the set' after "$signal while $script.sbatch takes its functions" 138 '' yes $script
        fails "$signal while $script.sbatch takes its functions: nothing is started" test -e called
        rm -f ./*.starts
        id=5
        [ $script != array ] || id=4_1
        for state in RUNNING COMPLETING; do
            rm -f requeued
            EARLY=$signal KILLED=yes STATE=$state MG_DIST=mg-dist APPTAINER=apptainer IMAGE=x.sif SLURM_ARRAY_JOB_ID=4 SLURM_ARRAY_TASK_ID=1 \
                bash "$root/launch/slurm/$script.sbatch" --jobs x >"$BOX/said" 2>&1
            passes "$signal leaves $script.sbatch no functions, $state: code 2" test $? = 2
            passes "$signal leaves $script.sbatch no functions, $state: whether it starts again" \
                test "$(cat requeued 2>/dev/null)" = "$([ $state = COMPLETING ] || echo "requeue $id")"
        done
    done
    TOLD=$signal SLURM_RESTART_COUNT=3 after "$signal before the ranks are there" 138 '' yes
    passes "$signal: no more steps are spent" test "$(grep -c 'true$' called)" = 1
    fails "$signal: and no ranks are started" grep -q -- --mpi=pmix called
    rm -f ./*.starts
done

ASKED=TERM after 'a signal while the nodes are asked' 6 '' yes
fails 'is none for ranks that are gone' grep -q '^sleep 15' called
rm -f ./*.starts
spent() { grep -c 'true$' called; }
FAILS=1 SLURM_RESTART_COUNT=3 after 'a step fails' 75 1 yes
passes 'and three are spent' test "$(spent)" = 4
FAILS=9 SLURM_RESTART_COUNT=3 after 'all fail' 75 2 yes
passes 'and no more are tried' test "$(spent)" = 2
rm -rf the\ set ./*.starts

# Ranks that are stuck when Slurm says that they are to end: what is left of its patience is for the script.
printf '#!/bin/sh\ntrap "" USR1\n/bin/sleep 0.5\nkill -TERM "$PPID"\nexec /bin/sleep 30\n' >bin/stuck
printf '#!/bin/sh\n[ "$1" = 15 ] && exec /bin/sleep 1\n[ "$1" = 20 ] || exec /bin/sleep "$@"\n' >bin/sleep
chmod +x bin/stuck
mv bin/srun bin/srun.ready
mv bin/stuck bin/srun
began=$SECONDS
after 'stuck at the time limit' 75 '' yes
passes 'and the ranks are not waited for' test $((SECONDS - began)) -lt 6
sed -i 's/ 30$/ 6/' bin/srun
began=$SECONDS
STATE=RUNNING after 'that long only to make room' 0 '' no
passes 'which has its own time' test $((SECONDS - began)) -ge 6
mv bin/srun.ready bin/srun
rm -f ./*.starts

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
SAYS='{"level":"error","time":"x","rank":0,"host":"n1","message":"run: replica 1 (rank 2, host n2) has said nothing for 30 s"}' lost 'in JSON' 'n2$' n2
GONE=n2 lost 'it takes no step' 'n2$' n2
GONE='n1 n2' lost 'none takes a step' 'a rank; which node it was cannot be told' ''
lost 'all take steps' 'a rank; which node it was cannot be told' ''
GONE=n2 BROKEN=n1 lost 'the step of all fails with it' 'n2$' n2
twelve=$(printf ',n%d' {1..12})
GONE=n7 BROKEN=n6 SLURM_JOB_NUM_NODES=12 SLURM_JOB_NODELIST=${twelve#,} NODES=$(printf 'n%d ' {1..13}) lost 'one of twelve' 'n7$' n7
passes 'one of twelve: those that did not answer are asked alone' test "$(grep -c -- '--nodelist' called)" = 7
BROKEN=n1 SLURM_JOB_NUM_NODES=12 SLURM_JOB_NODELIST=${twelve#,} lost 'none of twelve answers' 'a rank; which' ''
passes 'none of twelve answers: not each is asked' test "$(grep -c -- '--nodelist' called)" = 0
SAYS=$(printf 'srun: error: Task launch for StepId=5.0 failed on node n%s: Communication connection failure\n' 3 4) GONE=n4 \
    SLURM_JOB_NUM_NODES=12 SLURM_JOB_NODELIST=${twelve#,} NODES=$(printf 'n%d ' {1..13}) lost 'srun names it, and one behind it' 'n4$' n4
passes 'those that srun names are asked alone, and no others' test "$(grep -c -- '--overlap' called)$(grep -c -- '--nodelist' called)" = 22
SAYS=${silent/error/warning} lost 'one that may be heard again' 'a rank; which' ''
SAYS=$'srun: error: n2: task 3: Killed\nsrun: error: n1: tasks 0-1: Exited with exit code 6' lost 'all take steps, and one ended first' \
    'a rank; which node it was cannot be told \(first to end was n2: task 3: Killed\)$' ''
EXCLUDED='n[7-9]' NODES='n1 n2 n3 n7 n8' SAYS=$silent lost 'beside those that the user named' 'n2$' 'n[7-9],n2'
EXCLUDED=n3 SAYS=$silent lost 'too few others' 'n2$' ''
REQUIRED='n[1-2]' SAYS=$silent lost 'a job that is bound to its nodes' 'n2$' ''
FEATURES='[rack1|rack2]' SAYS=$silent lost 'a job whose nodes must be alike' 'n2$' ''
FEATURES='ib&ssd' SAYS=$silent lost 'one that asks for features' 'n2$' n2
NODES='n1 n2 n3//gpu:8' SAYS=$silent lost 'others of another kind' 'n2$' ''
NODES='n1 n2 n3///32' SAYS=$silent lost 'others of fewer cores' 'n2$' ''
NODES='n1 n2 n3///128' SAYS=$silent lost 'one of more cores' 'n2$' n2
NODES='n1 n2 n3/down* n4/drain n5/idle*' SAYS=$silent lost 'others that take no job' 'n2$' ''
NODES='n1/comp n2/down* n3/idle~' SAYS=$silent lost 'one that sleeps' 'n2$' n2
rm -f sinfo
NODES=$(printf 'n%d ' {1..500}) SAYS=$silent lost 'one of hundreds' 'n2$' n2
passes 'Slurm is asked once' test "$(wc -l <sinfo)" = 1
# A GPU: also where the job has one node alone.
gpu='[n2:3] mg-dist: error: cuda: GPU 1 (host n2, 0000:4E:00.0): waiting for the device: an illegal memory access was encountered'
SAYS=$gpu lost 'a GPU' 'n2: GPU 1 \(host n2, 0000:4E:00\.0\)$' n2
SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=n2 NODES='n2 n3' SAYS=$gpu lost 'of one node' 'n2: GPU 1 \(host n2, ' n2
SAYS="$gpu"$'\n'"${gpu//n2/n1}" lost 'all nodes have one that fails' 'a rank; which node it was cannot be told' ''
# What Slurm does not answer, or refuses; the waiting is shortened.
printf '#!/bin/sh\nshift 3\nexec /usr/bin/timeout -k 1 0.3 "$@"\n' >bin/timeout
chmod +x bin/timeout
for how in hangs refuses; do
    SLURM=$how SAYS=$silent after "Slurm $how" 6 2 no
    says "Slurm $how: and it is said" "^mg-dist: not put back into the queue \((no answer|Access/permission denied)\): the same command goes on"
    rm -rf the\ set ./*.starts
done
rm bin/timeout
for i in 1 2; do
    SAYS=$silent after "no clip, $i" 6 '' yes
    passes "no clip, $i: not at once" grep -qx "update JobId=5 StartTime=now+$((i * 120))" requeued
done
SAYS=$silent after 'no clip, 3' 6 '' no
says 'the remedy names it' 'leave out n2 by --exclude'
after 'a time limit' 75 '' yes
fails 'is no loss: at once' grep -q StartTime requeued
says 'and the log says that it goes on' '^mg-dist: ended with code 75 and is back in the queue: 0 done so far$'
rm -f ./*.starts
after 'a rank is ended by SIGTERM' 143 '' yes
passes 'is one: not at once' grep -qx 'update JobId=5 StartTime=now+120' requeued
SLURM_RESTART_COUNT=3 after 'a fourth start' 75 '' yes
passes 'its step is number 3' test "$(grep -n -- '--mpi=pmix' called | cut -d: -f1)" = 4
rm -f ./*.starts
export -n NODES

# The functions come from the program, or the script says that they cannot.
for script in run array scaling container; do
    for how in none older; do
        printf '#!/bin/sh\necho "mg-dist: error: $1: unknown" >&2\nexit 4\n' >bin/older
        chmod +x bin/older
        rm -f requeued called
        MG_DIST=$how APPTAINER=$how IMAGE=$how SLURM_RESTART_COUNT=1 bash "$root/launch/slurm/$script.sbatch" --jobs x >"$BOX/said" 2>&1
        passes "$script.sbatch, a program that is $how: code 2" test $? = 2
        says "$script.sbatch, a program that is $how: and why" "^mg-dist: error: $how: does not start on $(hostname), or is too old: [A-Z_]* names another$"
        fails "$script.sbatch, a program that is $how: nothing is started" test -e called
        fails "$script.sbatch, a program that is $how: has ended" test -e requeued
    done
done
# own LINES: a script of somebody's own, in a job that is started a second time
own() {
    rm -f requeued called
    printf '%s\n' "${SET-}" 'eval "$(mg-dist --job-functions)"' "$@" >own.sbatch
    SLURM_RESTART_COUNT=1 bash own.sbatch >"$BOX/said" 2>&1
}
CODE=0 own 'run_dataset srun true.sh'
passes 'a command without mg-dist run: code 2' test $? = 2
says 'and why' '^mg-dist: error: run_dataset: srun true.sh: no word run: give it the whole command that starts mg-dist run$'
fails 'and no step is taken' test -e called
CODE=0 own run_sweep
says 'nor an empty one' '^mg-dist: error: run_sweep: : no word scaling: '
SLURM_JOB_ID='' own 'run_dataset srun mg-dist run'
passes 'no job: code 2' test $? = 2
says 'and why' '^mg-dist: error: run_dataset: SLURM_JOB_ID: not set, so this is no Slurm job: give the script to sbatch$'
CODE=0 own 'job=a; readonly out=b code=c' 'ask() { false; }' 'run_dataset srun mg-dist run --jobs "$job" --out "$out"' \
    'echo "$job $out $code, $?"'
says 'names are free, also of what is read-only' '^a b c, 0$'
own 'export work=d code=e' "run_dataset sh -c 'echo \$work \$code' run"
says 'and the command gets those that are exported' '^d e$'
for kind in 'dataset srun mg-dist run' 'sweep srun mg-dist bench scaling'; do
    SET='set -euo pipefail; trap "echo mine" USR1' CODE=2 own "run_$kind || echo \"code \$?, \$-\" \$SHELLOPTS" 'trap -p TERM' 'kill -USR1 $$' 'false' 'echo behind'
    says "run_${kind%% *}: a script goes on with its code, and with its own set" '^code 2, ehuB .*errexit.*nounset.*pipefail'
    says "run_${kind%% *}: its trap holds" '^mine$'
    fails "run_${kind%% *}: no other does" grep -q '^trap' said
    fails "run_${kind%% *}: and it ends at errors" grep -qx behind said
done
SET='set -euo pipefail' CODE=75 CLIPS=3 own 'run_dataset srun mg-dist run --out own'
passes 'a script that ends at errors: the code' test $? = 75
passes 'and is back in the queue' grep -qx 'requeue Incomplete 5' requeued
rm -rf own ./*.starts
SLURM=refuses CODE=75 own 'run_dataset srun mg-dist run' 'trap -p TERM; echo behind'
says 'a job that cannot be put back: the script goes on' '^behind$'
fails 'and can be ended' grep -q '^trap' said
counted() { # FOLDER WORDS: the clips of a command are looked for there
    mkdir -p "$1/.mg-dist"
    echo '"done": 8' >"$1/.mg-dist/status.json"
    CODE=75 own "run_dataset srun $2"
    passes "the folder of $2" grep -qx '8 0' mg-dist-5.starts
    rm -rf "$1" ./*.starts
}
counted own '-o log mg-dist run -o own --jobs x'
counted own '--job-name run mg-dist run --out=other --out=own'
counted own 'mg-dist run --out "own" --jobs'
counted dataset '-o log mg-dist run --jobs x'
MGDIST_OUT=own counted own 'mg-dist run'
HOST_OUT=own counted own 'mg-dist run --out /data/own'
counted dataset '--job-name run -o log mg-dist run --jobs x'
counted own 'apptainer run -o over x.sif mg-dist run -o own --jobs run'
counted run 'mg-dist run --out run'
measured() { # FOLDER WORDS: the same of points
    mkdir -p "$1"
    printf '{"np":%d,"tp":1,"batch":1,"repeat":1,"status":"ok",\n' 1 2 3 >"$1/results.jsonl"
    CODE=75 own "run_sweep srun $2"
    passes "the folder of $2" grep -qx '3 0' mg-dist-5.starts
    rm -rf "$1" ./*.starts
}
measured scaling 'mg-dist bench scaling'
measured own 'mg-dist bench scaling -o own'
MGDIST_OUT=own measured own 'mg-dist bench scaling'
for other in mpirun mg-launch; do # as the comment says, in the place of the last command
    cp bin/srun bin/$other
    sed -n "/^run_dataset srun/q; p; s/^#   \(run_dataset $other .* run \"\$@\"\).*/\1/p" "$root/launch/slurm/run.sbatch" >own.sbatch
    CODE=75 CLIPS=2 bash own.sbatch --jobs x --out "the set" >"$BOX/said" 2>&1
    passes "$other in the place of srun" test $? = 75
    passes "$other in the place of srun: clips are counted" grep -qx '2 0' mg-dist-5.starts
    rm -rf bin/$other the\ set ./*.starts
done
IMAGE=x.sif after 'container.sbatch' 75 2 yes container
passes 'container.sbatch: its functions are those of the image' grep -qx "apptainer exec --bind $BOX x.sif mg-dist --job-functions" contained
passes 'container.sbatch: the ranks are in it' grep -q "^srun .* apptainer exec --bind $BOX x.sif mg-dist run --jobs a list --out the set$" called
export IMAGE=x.sif
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
rm -rf sweep ./*.starts
SAME=0 sweep 75 1 yes 'one point is measured'
SAME=0 sweep 75 1 yes 'a point that has failed before says nothing new'
SAME=0 sweep 75 1 yes 'and again'
SAME=0 sweep 75 1 no 'a point takes longer than the job'
says 'scaling.sbatch: the remedy' 'three starts in a row measured nothing, the last ended with 75: give a longer --time'
fails 'scaling.sbatch: nothing is left of the counting' test -e mg-dist-5.starts
tries() { grep -c '^mg-dist bench' called; }
sweep 3 1 no 'points failed, and no node is to blame'
passes 'scaling.sbatch: they are tried once more at once' test "$(tries)" = 2
passes 'scaling.sbatch: and the report is made' grep -qx 'mg-dist report sweep' called
fails 'scaling.sbatch: nobody is blamed' grep -q 'lost, with' "$BOX/said"
SAYS=$gpu sweep 3 1 no 'a point may make a GPU fail'
passes 'scaling.sbatch: it is tried once more at once' test "$(tries)" = 2
rm -rf sweep ./*.starts
lost_point() { # SENTENCE CODE
    NODES='n1 n2 n3' sweep "$2" 1 yes "$1"
    passes 'scaling.sbatch: not tried on it again' test "$(tries)" = 1
    passes 'scaling.sbatch: which is left out' grep -qx 'update JobId=5 ExcNodeList=n2' requeued
    rm -rf sweep ./*.starts
}
SAYS=$silent lost_point 'a point says that a node is silent' 6
SAYS=$gpu lost_point 'a GPU failed at two' 6
mkdir -p sweep/logs # of an earlier start, on a host whose clock is ahead
echo "$silent" >sweep/logs/np2-tp1-b1-1.log
touch -d '1 hour' sweep/logs/np2-tp1-b1-1.log
sweep 6 1 yes 'a node is lost, and an earlier start lost another one'
says 'scaling.sbatch: which is not blamed again' 'lost, with code 6: a rank; which node it was cannot be told'
rm -rf sweep ./*.starts
mkdir -p sweep/logs # and one of this start, on a host whose clock is behind
printf '#!/bin/sh\nmg-dist.real "$@"; code=$?; touch -d "1 hour ago" sweep/logs/*; exit $code\n' >bin/behind
mv bin/mg-dist bin/mg-dist.real
mv bin/behind bin/mg-dist
chmod +x bin/mg-dist
SAYS=$silent lost_point 'a file server whose clock is behind' 6
mv bin/mg-dist.real bin/mg-dist
GONE=n2 lost_point 'points failed, and a node takes no step' 3
GONE=n2 lost_point 'no point was measured, and a node takes no step' 1
sweep 75 5 yes 'five steps'
SLURM_RESTART_COUNT=1 sweep 0 1 no 'the next start'
passes 'scaling.sbatch: its first step is number 6' test "$(grep -n 'mg-dist bench' called | cut -d: -f1)" = 7
sweep 0 1 no 'another job'
passes 'scaling.sbatch: begins with number 0' test "$(grep -n 'mg-dist bench' called | cut -d: -f1)" = 1

finish
