#!/bin/bash
# The shipped Slurm scripts on a real Slurm: three nodes that are network namespaces of this machine, each with its own
# slurmd. One job over two nodes, an array, a sweep, a time limit with requeue, a killed node, preemption, a killed slurmstepd;
# every dataset is held against one that was made without Slurm. SKIPPED where Slurm, munge or namespaces are not to be had.   make slurm-check
#   slurm.sh MG-DIST TESTS-FOLDER FAULTY-DISK [scripts|sweep|limits|losses …]      these parts alone; each may run beside the others
set -u
program=$(readlink -f "$1") tests=$(readlink -f "$2") faulty=$(readlink -f "$3")
root=$(cd "$tests/.." && pwd)
parts=${*:4}
wanted() { [[ " ${parts:-$1} " = *" $1 "* ]]; }
for tool in slurmctld slurmd munged sbatch srun scontrol squeue sinfo; do
    command -v $tool >/dev/null || { echo "SKIPPED: $tool not found (Debian: slurm-wlm munge)"; exit 77; }
done
. "$tests/hosts.sh"
box=$(mktemp -d)
chmod 755 "$box"
began=$SECONDS
slurm_down() {
    local f
    for f in "$box"/run/*.pid; do [ -f "$f" ] && kill "$(cat "$f")" 2>/dev/null; done
    sleep 0.5
    hosts_down
    rm -rf "$box"
}
trap slurm_down EXIT
trap 'exit 1' INT TERM
hosts_up 3 || exit 77
unset OMPI_MCA_btl OMPI_MCA_oob_tcp_if_include
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 MGDIST_THREADS=1 MG_DIST=$program
export SLURM_CONF=$box/slurm.conf
n=0
ok() { n=$((n + 1)); echo "ok $n - $1"; }
fail() { echo "FAILED: $1"; tail -n 30 "$box"/jobs/*.log "$box"/log/slurmctld.log 2>/dev/null | sed 's/^/  /'; exit 1; }
on() { hosts_on "${hosts[0]}" "$@"; } # clients run on the first node

# ---- Slurm itself: munge, a controller on the first node, a slurmd on each ----
slurm_up() {
    local i h
    mkdir -p "$box"/{state,log,run,jobs}
    head -c 128 /dev/urandom >"$box/munge.key"
    chmod 400 "$box/munge.key"
    munged --force --key-file="$box/munge.key" --socket="$box/run/munge.sock" --pid-file="$box/run/munged.pid" \
        --log-file="$box/log/munged.log" --seed-file="$box/run/munge.seed" || return 1
    cat >"$SLURM_CONF" <<END
ClusterName=mg
SlurmctldHost=${hosts[0]}(10.77.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5,socket=$box/run/munge.sock
CredType=cred/munge
StateSaveLocation=$box/state
SlurmdSpoolDir=$box/run/%n
SlurmctldPidFile=$box/run/slurmctld.pid
SlurmdPidFile=$box/run/%n.pid
SlurmctldLogFile=$box/log/slurmctld.log
SlurmdLogFile=$box/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/backfill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=1,bf_interval=1
KillWait=3
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
TmpFS=$box/tmp/%n
MailProg=/bin/true
SlurmdParameters=config_overrides
END
    for ((i = 0; i < 3; i++)); do echo "NodeName=${hosts[$i]} NodeAddr=10.77.0.$((i + 1)) CPUs=2 State=UNKNOWN"; done >>"$SLURM_CONF"
    echo 'PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP' >>"$SLURM_CONF"
    echo 'PartitionName=spare Nodes=ALL MaxTime=INFINITE State=UP PreemptMode=CANCEL GraceTime=30' >>"$SLURM_CONF"
    echo "PartitionName=pair Nodes=${hosts[0]},${hosts[1]} MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
    echo 'PartitionName=first Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9' >>"$SLURM_CONF"
    on slurmctld -f "$SLURM_CONF" || return 1
    for h in "${hosts[@]}"; do
        mkdir -p "$box/run/$h" "$box/tmp/$h"
        hosts_on "$h" slurmd -f "$SLURM_CONF" -N "$h" || return 1
    done
    for ((i = 0; i < 150; i++)); do
        [ "$(on sinfo -h -N -p main -o %t 2>/dev/null | grep -c idle)" = 3 ] && return 0
        sleep 0.1
    done
    return 1
}
slurm_up >"$box/up" 2>&1 || { # another version, or a container that lacks what it needs: no fault of the scripts
    echo "SKIPPED: Slurm does not come up here: $(cat "$box/up" "$box"/log/*.log 2>/dev/null | grep -i 'error\|fatal' | head -1)"
    exit 77
}
echo "# $(sinfo --version), three nodes"

submit() { job=$(cd "$box/jobs" && on sbatch --parsable "$@") || fail "sbatch $*"; job=${job%%;*}; }
await() { # SECONDS: until the job is out of the queue
    local end=$((SECONDS + $1))
    while [ $SECONDS -lt $end ]; do
        [ -n "$(on squeue -h -j "$job" 2>/dev/null)" ] || return 0
        sleep 0.5
    done
    return 1
}
log_of() { cat "$box/jobs/mg-dist-$1.log"; }
first_clip() { # FOLDER: until it has one, or half a minute
    local i
    for ((i = 0; i < 300; i++)); do
        ls "$1/train"/*.flac >/dev/null 2>&1 && break
        sleep 0.1
    done
}
another_node() { on scontrol show hostnames "$(on squeue -h -j "$job" -o %N)" | grep -v "^${hosts[0]}$" | head -1; } # of the job
facts() { (cd "$1" && find . -name .mg-dist -prune -o -type f -print0 | sort -z | xargs -0 sha256sum); }
like() { [ -n "$(facts "$2")" ] && [ "$(facts "$2")" = "$(facts "$3")" ] || fail "$1: other bytes"; ok "$1: the bytes of a run without Slurm"; }
jobs() { for ((i = 1; i <= $1; i++)); do printf '{"id":"clip-%d","prompt":"song number %d","duration":%s}\n' $i $i "$2"; done; }
jobs 12 1 >"$box/short.jsonl"
jobs 120 0.5 >"$box/long.jsonl"
ask() { echo --model "$root/models/mg-demo" --jobs "$box/$1.jsonl" --seed 1; }

# What they are held against.
alone() { # LIST
    mpirun -np 2 --oversubscribe --bind-to none --mca btl_tcp_if_include lo --mca oob_tcp_if_include lo "$program" run -q $(ask "$1") \
        --out "$box/$1" --tp 1 2>"$box/up" || { sed 's/^/  /' "$box/up"; fail "the run without Slurm ($1)"; }
}
alone short
alone long
echo "# $((SECONDS - began)) s so far"

# A GPU of the second node that fails at the end of the work: a program beside the real one, and an srun that starts it.
broken_gpu() { # a command that says whether
    cat >"$box/gpu" <<END
#!/bin/bash
[ "\$1" != --job-functions ] || exec $program "\$@"
[ "\$1" != $program ] || shift
[ "\$(hostname)" = ${hosts[1]} ] && $1 2>/dev/null || exec $program "\$@"
$program "\$@"
echo "[\$(hostname):1] mg-dist: error: cuda: GPU 1 (host \$(hostname), 0000:4E:00.0): waiting for the device: unspecified launch failure" >&2
exit 6
END
    mkdir -p "$box/bin"
    cat >"$box/bin/srun" <<END
#!/bin/bash
for word; do
    [ "\$word" != $program ] || words+=($box/gpu)
    words+=("\$word")
done
exec $(command -v srun) "\${words[@]}"
END
    chmod +x "$box/gpu" "$box/bin/srun"
}
named_gpu() { # SENTENCE LOG: the job's $job, or that of a task
    grep -qx "mg-dist: lost, with code [36]: ${hosts[1]}: GPU 1 (host ${hosts[1]}, 0000:4E:00.0)" "$2" || fail "$1: the node and its GPU are not named"
    grep -qx "mg-dist: the next starts are without ${hosts[1]}" "$2" || fail "$1: the node is not left out"
    ok "$1: a GPU fails, its node is named and left out"
}

# The program on a slow disk: a run that lasts, and leaves the processors to others.
slow() { # MILLISECONDS that a clip takes to get its name
    cat >"$box/slow" <<END
#!/bin/bash
exec env LD_PRELOAD=$faulty FAULT_CALLS=rename FAULT_PATH=/train/ FAULT_MS=$1 $program "\$@"
END
    chmod +x "$box/slow"
    export MG_DIST=$box/slow
}

scripts() {
    # The script as it is
    submit "$root/launch/slurm/run.sbatch" $(ask short) --out "$box/one"
    await 60 || fail 'run.sbatch does not end'
    log_of "$job" | grep -q "start 0 of job $job on 2 nodes" || fail 'run.sbatch: its first line'
    ok 'run.sbatch: one job over two nodes, four ranks'
    like 'run.sbatch' "$box/short" "$box/one"

    # The same, told to make room while the script takes its functions from a program that starts slowly
    printf '#!/bin/bash\n[ "$1" != --job-functions ] || sleep 2\nexec %s "$@"\n' "$program" >"$box/late"
    chmod +x "$box/late"
    MG_DIST=$box/late submit "$root/launch/slurm/run.sbatch" $(ask short) --out "$box/early"
    for ((i = 0; i < 300; i++)); do [ "$(on squeue -h -j "$job" -o %t)" != R ] || break; sleep 0.05; done
    sleep 0.5
    on scancel --full --signal=TERM "$job"
    await 60 || fail 'the job that was told early does not end'
    log_of "$job" | grep -q "^start 1 of job $job" || fail 'told early: no second start'
    ok 'run.sbatch: told to stop before its functions are there, requeued, complete'
    like 'told early' "$box/short" "$box/early"

    # While modules are loaded: that is ended, too, and there is no program. A job that is cancelled then stays so.
    sed "s|^# What the site needs.*|sleep 3 \&\& MG_DIST=$program|" "$root/launch/slurm/run.sbatch" >"$box/modules.sbatch"
    for how in '--full --signal=TERM' ''; do
        MG_DIST=none submit "$box/modules.sbatch" $(ask short) --out "$box/modules${how:+-told}"
        for ((i = 0; i < 300; i++)); do [ "$(on squeue -h -j "$job" -o %t)" != R ] || break; sleep 0.05; done
        sleep 0.5
        on scancel $how "$job"
        await 60 || fail "the job that was told while modules were loaded does not end (scancel $how)"
        log_of "$job" | grep -q '^mg-dist: error: none: does not start' || fail 'told while modules are loaded: there was a program'
    done
    ! log_of "$job" | grep -q '^start' || fail 'cancelled while modules are loaded: started again'
    ok 'run.sbatch: told to stop while modules are loaded, requeued, complete; cancelled then, it stays so'
    like 'told while modules are loaded' "$box/short" "$box/modules-told"

    # An array; in one of its tasks a GPU fails
    broken_gpu "mkdir $box/failed"
    (cd "$box/jobs" && MG_DIST=$box/gpu OUT=$box/part on sbatch --parsable --array=0-2 "$root/launch/slurm/array.sbatch" --model "$root/models/mg-demo" \
        --jobs "$box/short.jsonl" >"$box/id") || fail 'sbatch --array'
    job=$(cat "$box/id")
    await 60 || fail 'array.sbatch does not end'
    named_gpu 'array.sbatch' "$(grep -l '^mg-dist: lost' "$box"/jobs/mg-dist-"$job"_*.log | head -1)"
    [ "$(cat "$box"/part-[012]/manifest.jsonl | sed 's/.*"id":"\([^"]*\)".*/\1/' | sort -u | wc -l)" = 12 ] || fail 'the array: 12 clips in all'
    ok 'array.sbatch: three tasks make twelve clips, each once'
    for f in "$box"/part-[012]/train/*.flac; do cmp -s "$f" "$box/one/train/$(basename "$f")" || fail "the array: $f"; done
    ok 'array.sbatch: the bytes of the one job'

    # The same with a container, whose runtime is played by a script: what the job script asks of it
    cat >"$box/apptainer" <<END
#!/bin/bash
[ "\$1 \$2" = "exec --bind" ] && [ -d "\$3" ] && [ "\$4 \$5" = "--nv image.sif" ] || exit 9
shift 6
exec $program "\$@"
END
    chmod +x "$box/apptainer"
    IMAGE=image.sif APPTAINER=$box/apptainer APPTAINER_ARGS=--nv submit "$root/launch/slurm/container.sbatch" $(ask short) --out "$box/contained"
    await 60 || fail 'container.sbatch does not end'
    ok 'container.sbatch: four ranks through a container runtime'
    like 'container.sbatch' "$box/short" "$box/contained"
}

sweep() {
    # A sweep: groups of two on one node each, two replicas on two nodes. It is told to stop as at its time limit, and goes on; from
    # then on a GPU fails, and the third start goes on without its node.
    broken_gpu "test -d $box/later"
    PATH=$box/bin:$PATH OUT=$box/scaling submit "$root/launch/slurm/scaling.sbatch" --shape tiny --steps 5 --warmup 1 --repeats 2 --np 2,4 --tp 2 --batch 1,2
    for ((i = 0; i < 600; i++)); do [ -s "$box/scaling/results.jsonl" ] && break; sleep 0.05; done
    on scancel --batch --signal=USR1 "$job"
    for ((i = 0; i < 200; i++)); do [ "$(on squeue -h -j "$job" -o %t)" != PD ] || break; sleep 0.1; done
    mkdir "$box/later"
    await 200 || fail 'scaling.sbatch does not end'
    log_of "$job" | grep -q "start 1 of job $job on 2 nodes" || fail 'scaling.sbatch: no second start'
    log_of "$job" | grep -q '4 points measured, 0 skipped, 0 failed' || fail 'scaling.sbatch: not all points'
    named_gpu 'scaling.sbatch' "$box/jobs/mg-dist-$job.log"
    [ "$(grep -o '"np":[0-9]*,.*"status":"ok"' "$box/scaling/results.jsonl" | sort | uniq | wc -l)" = 8 ] &&
        [ "$(grep -c '"status":"ok"' "$box/scaling/results.jsonl")" = 8 ] || fail 'scaling.sbatch: not every repeat once'
    for at in 2:1 4:2; do # ranks, and the nodes that they fill
        grep -q "\"command\":\"srun -n ${at%:*} -N ${at#*:} " "$box/scaling/results.jsonl" || fail "scaling.sbatch: nodes of $at"
    done
    [ -s "$box/scaling/report.html" ] || fail 'scaling.sbatch: no report'
    ok 'scaling.sbatch: each point a step of the allocation, stopped, requeued, complete, and the report'
}

limits() {
    # A time limit: the signal comes 10 to 40 s after the start, since Slurm looks at time limits every half minute, and
    # the job goes back into the queue by itself. The clips take 45 s on four ranks.
    slow 1500
    submit --time=1 --signal=USR1@50 "$root/launch/slurm/run.sbatch" $(ask long) --batch 1 --out "$box/limit"
    await 150 || fail 'the job with a time limit does not end'
    starts=$(log_of "$job" | grep -c "^start [0-9]* of job")
    [ "$starts" -ge 2 ] || fail "the time limit: $starts starts"
    log_of "$job" | grep -Eq 'a signal( to rank .*)? asks to stop: no new clip begins' || fail 'the time limit: no word of a signal'
    ok "run.sbatch: a time limit, requeued, complete at start $starts"
    like 'a time limit' "$box/long" "$box/limit"

    slow 150
    # A job that is cancelled. Its ranks hear SIGTERM, finish their clips and end with 75, as at a time limit: it must not come back.
    submit "$root/launch/slurm/run.sbatch" $(ask long) --batch 1 --out "$box/cancelled"
    first_clip "$box/cancelled"
    on scancel "$job"
    await 30 || fail 'the cancelled job is still in the queue, or there again'
    [ "$(log_of "$job" | grep -c '^start [0-9]* of job')" = 1 ] || fail 'the cancelled job: started again'
    [ "$(ls "$box/cancelled/train"/*.flac | wc -l)" -lt 120 ] || fail 'the cancelled job: was complete before it was cancelled'
    ok 'run.sbatch: a job that is cancelled stays so'

    # A job that has to make room. Slurm would cancel it at the end of its grace time; it goes back by itself before.
    submit -p spare "$root/launch/slurm/run.sbatch" $(ask long) --batch 1 --out "$box/preempted"
    first_clip "$box/preempted"
    (cd "$box/jobs" && on sbatch --parsable -p first -N 2 --exclusive --wrap 'sleep 1' >/dev/null) || fail 'sbatch -p first'
    await 150 || fail 'the preempted job does not end'
    log_of "$job" | grep -Eq 'a signal( to rank .*)? asks to stop: no new clip begins' || fail 'preemption: no word of a signal'
    log_of "$job" | grep -q '^start 1 of job' || fail 'the preempted job: no second start'
    ok 'run.sbatch: preempted in a partition that cancels, back by itself, complete'
    like 'preemption' "$box/long" "$box/preempted"
}

losses() {
    # A slurmstepd that is killed: srun does not notice, and the node has nothing wrong but the number of that step. It is left
    # out where there is another one, and used again where there is none.
    slow 150
    for partition in main pair; do
        submit -p $partition "$root/launch/slurm/run.sbatch" $(ask long) --batch 1 --comm-timeout 5 --out "$box/orphan-$partition"
        first_clip "$box/orphan-$partition"
        victim=$(another_node)
        [ -n "$victim" ] || fail 'no slurmstepd to kill'
        for pid in $(ip netns pids "$victim"); do ! grep -aq '^slurmstepd' "/proc/$pid/cmdline" || kill -9 "$pid"; done
        await 150 || fail 'the job whose slurmstepd was killed does not end'
        log_of "$job" | grep -q "^mg-dist: lost, with code [0-9]*: $victim$" || fail 'a killed slurmstepd: the node is not named'
        ok "run.sbatch: a slurmstepd killed in partition $partition, its node named"
        [ "$(log_of "$job" | grep -c '^start [0-9]* of job')" = 2 ] || fail 'a killed slurmstepd: not two starts'
        like 'a killed slurmstepd' "$box/long" "$box/orphan-$partition"
        without=$(on scontrol show job "$job" | sed -n 's/.*ExcNodeList=//p')
        case $partition$without in "main$victim" | 'pair(null)') ;; *) fail "partition $partition: the second start was without $without" ;; esac
        ok "and its node is $([ $partition = main ] && echo left out || echo needed)"
    done

    # A node that is killed
    submit "$root/launch/slurm/run.sbatch" $(ask long) --batch 1 --out "$box/node"
    first_clip "$box/node"
    victim=$(another_node)
    [ -n "$victim" ] || fail 'no node to kill'
    ip netns pids "$victim" | xargs -r kill -9
    killed=$SECONDS
    await 150 || fail 'the job whose node was killed does not end'
    log_of "$job" | grep -q '^start [1-9] of job' || fail 'the killed node: no second start'
    ok "run.sbatch: a node killed, started again on others, complete $((SECONDS - killed)) s later"
    like 'a killed node' "$box/long" "$box/node"
}

for part in scripts sweep limits losses; do
    wanted $part || continue
    $part
    echo "# $part: $((SECONDS - began)) s so far"
done
echo "1..$n"
