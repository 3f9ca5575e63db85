# shellcheck shell=bash
# What a Slurm job does around its ranks: functions for a job script. sbatch runs a copy of the script, which finds
# no file beside it. So the program has this text, and a script takes it from there:
#
#   functions=$("$mg_dist" --job-functions) || exit 2
#   eval "$functions"
#   run_dataset srun --mpi=pmix "$mg_dist" run --jobs captions.jsonl --out dataset
#
# A script calls run_dataset or run_sweep, which are kept as they are, and nothing else of this. Their variables are
# local. docs/LAUNCH.md says what a user sees of it; tests/launch/job_scripts.sh and tests/slurm.sh hold it.
#
# A start is one run of the script. Slurm counts those that follow the first in SLURM_RESTART_COUNT.

# ---- What a script calls ----

# run_dataset COMMAND...: one start of a job that makes a dataset. COMMAND starts the ranks of mg-dist run, and ends
# with their code. After a time limit or a loss the job goes back into the queue, and the script ends here; else its
# code is returned. HOST_OUT: the folder of the clips as the script sees it, where COMMAND names it otherwise (a
# container).
run_dataset() {
    local work=dataset nothing='made no clip' stopped='stopped while loading'
    local job out starts log_bytes told='' code lost='' held='' lacks=''
    begin run "$@" || return
    log_bytes=$(stat -Lc %s /dev/stderr)
    spend_steps "$starts"
    run_ranks "$@"
    judge
    case $code in 6 | 13[4-79]) find_lost ;; esac
    end_start
    return "$code"
}

# run_sweep COMMAND...: the same of a sweep. COMMAND is mg-dist bench scaling with its words; each point is a step.
# A lost node ends the sweep and this start: its points are tried again on others. Points that failed without one
# are tried once more at once, for Slurm may not have started their steps.
run_sweep() {
    local work=sweep nothing='measured nothing' stopped='stopped within a point'
    local job out starts old_logs again n_steps told='' code lost='' held='' lacks=''
    begin scaling "$@" || return
    old_logs=$(failed_logs)
    n_steps=$(wc -l 2>/dev/null <"$out/results.jsonl")
    spend_steps $((starts > 0 ? n_steps + starts : 0))
    for again in '' --retry-failed; do
        run_ranks "$@" ${again:+"$again"}
        [[ "$code" != [136] ]] || find_lost
        [ "$code$lost" = 3 ] || break # points failed, and no node is to blame
    done
    [ -z "$lost" ] || code=6
    end_start
    return "$code"
}

# ---- The folder, and what is known of this start ----

begin() { # run|scaling COMMAND...
    trap 'told=1' USR1 TERM # also a signal from before the ranks are there
    set +eu +o pipefail     # if the script has set them: here a command may fail
    starts=${SLURM_RESTART_COUNT:-0}
    job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    job=${job:-$SLURM_JOB_ID}
    if [ -z "${SLURM_JOB_ID-}" ]; then
        echo "mg-dist: error: run_$work: SLURM_JOB_ID: not set, so this is no Slurm job: give the script to sbatch" >&2
        return 2
    fi
    if ! out=$(folder_in "$@"); then
        echo "mg-dist: error: run_$work: ${*:2}: no word $1: give it the whole command that starts mg-dist $1" >&2
        return 2
    fi
    out=${HOST_OUT:-$out}
    echo "start $starts of job $SLURM_JOB_ID on $SLURM_JOB_NUM_NODES nodes: $SLURM_JOB_NODELIST"
}

# The folder that mg-dist will take: of several the last one, as it does.
folder_in() { # run|scaling COMMAND...
    local subcommand=$1 folder=${MGDIST_OUT:-dataset} word before=''
    shift
    while [ $# -gt 0 ] && [ "$1" != "$subcommand" ]; do shift; done
    [ $# -gt 0 ] || return
    for word; do
        case $before in --out | -o) folder=$word ;; esac
        case $word in --out=* | -o=*) folder=${word#*=} ;; esac
        before=$word
    done
    echo "$folder"
}

# How much there is: clips, or outcomes of points, of which one that fails again is nothing new.
made() {
    if [ "$work" = dataset ]; then
        grep -o '"done":[^0-9]*[0-9]*' "$out/.mg-dist/status.json" 2>/dev/null | head -n 1 | tr -dc 0-9
    else
        grep -o '^{"np":[0-9]*,"tp":[0-9]*,"batch":[0-9]*,"repeat":[0-9]*,"status":"[a-z]*"' "$out/results.jsonl" \
            2>/dev/null | sort -u | wc -l
    fi
}

# What was said at this start: in the log, behind what it held before; of a sweep in the logs of points that have
# failed.
spoken() {
    if [ "$work" = sweep ]; then
        failed_logs | grep -vxF "$old_logs" | sed 's/^[^ ]* //' | while read -r log; do cat "$log"; done
    elif [ -f /dev/stderr ]; then
        tail -c "+$((log_bytes + 1))" /dev/stderr
    fi
}
failed_logs() { find "$out/logs" -name '*.log' -printf '%T@ %p\n' 2>/dev/null; } # each with its time: it may come again
was_said() { spoken | grep -qE -- "$1"; }

# What Slurm is asked: it may be away, refuse, or not answer, and a start ends all the same.
ask() { timeout -k 5 60 "$@" 2>/dev/null; }

# ---- The ranks ----

# Each start counts its steps from 0, and PMIx cannot have the number of a step that was killed on a node before: so
# many are spent first. One may fail by itself; where two in a row do, so would all.
spend_steps() { # N
    local i
    for ((i = 0; i < $1 && i < 500 && !told; i++)); do spend_step || spend_step || break; done
}
spend_step() { ask srun --mpi=none --nodes=1 --ntasks=1 true; }

# Starts the ranks and waits until they have ended, with $code. The signals are for them; each ends a wait, which is
# then begun anew.
run_ranks() { # COMMAND...
    local heard=1 timer='' ranks
    "$@" &
    ranks=$!
    trap 'told=1 heard=1; kill -USR1 $ranks 2>/dev/null' USR1
    trap 'told=1 heard=1; kill -USR1 $ranks 2>/dev/null
        [ "$timer" ] || { leave_stuck & timer=$!; }' TERM
    [ -z "$told" ] || { sleep 1; kill -USR1 $ranks; } # srun is there then
    while [ $heard ]; do
        heard=''
        wait $ranks
        code=$?
    done
    trap 'told=1' USR1 TERM
    if [ "$timer" ]; then
        kill "$timer" 2>/dev/null
        [ "$code" != 137 ] || code=75 # they were left
    fi
}

# Slurm ends a job by SIGTERM, and by SIGKILL after KillWait, half a minute mostly. Where ranks are stuck by then,
# the second half is for what comes after them. On preemption the job has all its grace time.
leave_stuck() {
    sleep 15
    [[ $(ask scontrol show job "$job") != *JobState=COMPLETING* ]] || kill -KILL "$ranks"
}

# ---- What the code means ----

# What the launcher's own codes mean, and some of mg-dist's: code 6 is a loss. $held (the folder, by an earlier
# start) and $lacks (a node what it had) keep the code with which the third such start in a row ends.
judge() {
    local cannot_start='Application launch failed|Unable to (confirm|create) .*(contact|onnection|timed out)'
    case $code in
    0) return ;;
    9 | 205) code=6 ;; # mpirun lost a host
    *) ! was_said "^srun: error: ($cannot_start)" || code=6 ;; # a node or Slurm's controller is away
    esac
    # A rank crashed while MPI began: the others ended with 1, which srun takes for the code of all.
    [ "$code" != 1 ] || ! was_said '^srun: error: .*: (Segmentation fault|Bus error|Aborted)' || code=139
    # Ranks are still at work on a node that Slurm does not reach: they end when they have waited for the others.
    [ "$code" != 1 ] || ! was_said 'a run is at work here' || code=6 held=1
    # A node has lost a disk.
    ! was_said 'could not read the files of' || code=6 lacks=1
    # Or its GPU, its files or memory, for the same command has made clips; but for what no other node would mend.
    if [[ $code = [145] && $starts -gt 0 && $(made) -gt 0 ]]; then
        was_said '--max-failures is|No space left|quota exceeded|disk is full' || lacks=$code code=6
    fi
}

# ---- Which node was lost ----

# $lost: the nodes that were, as n1,n2, and a line in the log. They are those that mg-dist names; else those that
# take no step any more.
find_lost() {
    local n=${SLURM_JOB_NUM_NODES:-1} nodes node said='' gpu silent='' first
    [ -z "$held" ] || return # it is not one of these
    nodes=$(ask scontrol show hostnames "$SLURM_JOB_NODELIST")
    # A node that has fallen silent or whose GPU has failed. A sweep ends with 6 then; else it has looked in vain.
    [[ $code = [13] ]] ||
        said=$(spoken | grep -E 'error[:"].*(has said nothing|waited |cuda: GPU | on node |could not read the files )')
    gpu=$(sed -n 's/.*cuda: \(GPU [^)]*)\).*/: \1/p' <<<"$said" | head -n 1)
    [ "$n" -gt 1 ] || [ "$gpu$lacks" ] || return
    [ -z "$lacks" ] || [ "$said" ] || said=$(who_lacks)
    for node in $nodes; do
        case $said in
        *"host $node"[.,\)]* | *" on $node could not read "*) lost=$lost${lost:+,}$node ;;
        *" on node $node: "*) silent=$silent${silent:+ }$node ;; # srun could start nothing there
        esac
    done
    [ "$lost" ] || [ "$n" = 1 ] || ask_nodes
    # This script is at work on the first of them: where it would be all, it is not the nodes.
    [ "$n" = 1 ] || [ "$lost" != "$(paste -sd, <<<"$nodes")" ] || lost=''
    case ${lost:-$code} in 1 | 3) return ;; esac # points of a sweep fail by themselves, too
    first=$(spoken | sed -n 's/^srun: error: \([^ ]*: tasks\{0,1\} .*\)/ (first to end was \1)/p' | head -n 1)
    echo "mg-dist: lost, with code $code: ${lost:-a rank; which node it was cannot be told$first}$gpu" >&2
}

# Ranks that failed have said "[NODE:RANK] mg-dist: error: …", the first one, which is on this node, without a name.
who_lacks() {
    spoken | sed -n "s/^mg-dist: error:.*/(host $SLURMD_NODENAME)/p
        s/^\[\(.*\):[0-9]*\] mg-dist: error: .*/(host \1)/p"
}

# Those of the $nodes that take no step are $lost. A step asks them all, if srun has not named the $silent. Who is, or
# did not answer, is asked again alone, for a node that is gone may take others along; not where they are many.
ask_nodes() {
    local up
    [ "$silent" ] || silent=$(grep -vxF "$(answer "$n")" <<<"$nodes")
    [ "$(wc -w <<<"$silent")" -le 8 ] || return
    up=$(for node in $silent; do answer 1 --nodelist="$node" & done; wait)
    lost=$(tr ' ' '\n' <<<"$silent" | grep -vxF "$up" | paste -sd,)
}
answer() { # N [--nodelist=NODE]: the names of those that take a step of N nodes
    ask srun --overlap --mpi=none --nodes="$1" --ntasks="$1" --ntasks-per-node=1 --kill-on-bad-exit=0 "${@:2}" \
        printenv SLURMD_NODENAME
}

# ---- The end: back into the queue, or not ----

# Another start goes on where this one ended: after 75 (stopped early, everything saved), 130 and 138 (told to stop
# before the run began), 6 and the other signals (a rank, a node or a GPU was lost); docs/LAUNCH.md says why after
# no other code. It returns where no other start follows.
end_start() {
    local note=mg-dist-$SLURM_JOB_ID.starts had idle has reason
    # The note of the start before: how much there was, and how many starts in a row had made nothing. Its folder may
    # be others' too, and bash runs what stands in a sum.
    read -r had idle 2>/dev/null <"$note" || had=0 idle=0
    case $had$idle in *[!0-9]*) had=0 idle=0 ;; esac
    has=$(made)
    has=${has:-0}
    if [ "$has" -gt "$had" ] && [ -z "$held$lacks" ]; then idle=0; else idle=$((idle + 1)); fi
    [ $idle -lt 3 ] || code=${held:-${lacks:-$code}}
    case $code in
    6 | 75 | 130 | 13[4-9] | 143) start_again ;;
    0 | 3) ;;
    *)
        reason=$(spoken | grep -o 'mg-dist: error: .*' | tail -n 1)
        echo "mg-dist: ended with code $code, after which no start follows${reason#mg-dist: error}" >&2
        ;;
    esac
    rm -f "$note"
}

# It is not for ever: three starts in a row that made nothing are the last ones, and after a loss they take their time.
start_again() {
    local without='' answer=''
    # Where the note cannot be kept, Slurm's count has to do.
    if [ "$idle" -ge 3 ] || { ! echo "$has $idle" >"$note" && [ "$starts" -ge 3 ]; }; then
        echo "mg-dist: three starts in a row $nothing, the last ended with $code: give a longer --time if they were" \
            "$stopped; leave out ${lost:-a node that fails} by --exclude" >&2
        return
    fi
    [ -z "$lost" ] || without=$(without_lost)
    trap '' TERM # which this script gets from its own requeue, with some seconds to end
    if ! put_back; then
        echo "mg-dist: not put back into the queue (${answer:-no answer}): the same command goes on where it ended" >&2
        return
    fi
    echo "mg-dist: ended with code $code and is back in the queue: $has done so far" >&2
    [ -z "$without" ] || ! change ExcNodeList="$without" || echo "mg-dist: the next starts are without $lost" >&2
    [[ $code = 75 || $code = 13[08] || $idle = 0 ]] || change StartTime=now+$((idle * 120))
    exit "$code"
}

# The list of nodes to leave out from now on, with $lost; nothing, where the starts to come need it. They do if the
# job is bound to nodes, or its partition has too few others that can do what its own do: the same GPUs and
# features, with no less processors and memory.
without_lost() {
    local is without
    is=$(ask scontrol show job "$job")
    without=$(sed -n 's/.* ExcNodeList=\([^(].*\)/\1,/p' <<<"$is")$lost
    [[ $is = *' ReqNodeList=(null)'* && $is != *Reservation=* ]] || return
    [[ ! $is =~ Features=[^[:space:]]*[*[] ]] || return # groups of features: which nodes fit is Slurm's to say
    {
        ask scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/^/had /'
        ask scontrol show hostnames "$without" | sed 's/^/not /'
        ask sinfo -h -N -p "$SLURM_JOB_PARTITION" -o 'is %N %t %c %m %G %f' | sort -u
    } | awk -v needed="$SLURM_JOB_NUM_NODES" '
        $1 == "had" { had[$2] }
        $1 == "not" { left_out[$2] }
        $1 == "is" {
            cores[$2] = $4
            mb[$2] = $5
            kind[$2] = $6 " " $7
            works = $3 ~ /^(idle|alloc|mix|comp|plnd)[^*$]*$/ # with * it does not answer, with $ it is reserved
            if (works && !($2 in left_out)) free[$2]
        }
        END {
            for (node in free)
                for (old in had)
                    if (kind[node] == kind[old] && cores[node] >= cores[old] && mb[node] >= mb[old]) {
                        n++
                        break
                    }
            exit !(n >= needed)
        }' && echo "$without"
}

# The job goes back into the queue; else $answer says why not. One that Slurm has put back itself, for a node or to
# make room, may be at work elsewhere by now, and stays. Incomplete: what scancel has ended stays ended, without a
# word; so would a job at its time limit, or one that had to make room, which is named alone. A controller that is
# away comes back, mostly.
put_back() {
    local try is how=Incomplete
    is=$(ask scontrol show job "$job")
    is_back "$is" && return
    [[ ! $is =~ Reason=TimeLimit|\ PreemptTime=[0-9] ]] || how=''
    for try in 1 2 3; do
        if answer=$(tell scontrol requeue $how "$job" 2>&1); then
            is=$(ask scontrol show job "$job")
            answer='Slurm has ended it'
            [ -z "$is" ] || is_back "$is"
            return
        fi
        case $answer in *'to contact'* | *onnection*) [ $try = 3 ] || sleep 20 ;; *) break ;; esac
    done
    return 1
}

# By what Slurm says of the job: is it in the queue again? Its starts are counted.
is_back() { [[ $1 =~ Restarts=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -gt "$starts" ]; }

# A setting of the job, when it is back in the queue: the SIGTERM may end the first try while that begins.
change() { # NAME=VALUE
    { tell scontrol update JobId="$job" "$1" || tell scontrol update JobId="$job" "$1"; } 2>/dev/null
}

# A command to Slurm that ends well or not within a minute, though this job's SIGTERM comes meanwhile.
tell() { timeout -k 5 60 bash -c 'trap "" TERM; exec "$@"' - "$@"; }
