# shellcheck shell=bash
# What a Slurm job does around its ranks: functions for a job script. sbatch runs a copy of the script, which finds
# no file beside it. So the program has this text, and a script takes it from there:
#
#   trap mg_told=1 USR1 TERM
#   functions=$(trap '' USR1 TERM; "$mg_dist" --job-functions) || {
#       [ -z "${mg_told-}" ] || squeue -h -t R -j "$SLURM_JOB_ID" -o %i | xargs -r scontrol requeue
#       exit 2
#   }
#   eval "$functions"
#   run_dataset srun --mpi=pmix "$mg_dist" run --jobs captions.jsonl --out dataset
#
# The traps are for what comes before: Slurm's signals, of which SIGTERM goes to all processes of a job. A script calls
# run_dataset or run_sweep, which are kept as they are, sets mg_told, and relies on nothing else of this. All other
# names begin with mg_, for a script may have exported or made read-only any other; variables are local. docs/LAUNCH.md
# says what a user sees of it; tests/launch/job_scripts.sh and tests/slurm.sh hold it.
#
# A start is one run of the script. Slurm counts those that follow the first in SLURM_RESTART_COUNT.

# ---- What a script calls ----

# run_dataset COMMAND...: one start of a job that makes a dataset. COMMAND starts the ranks of mg-dist run, and ends
# with their code. After a time limit or a loss the job goes back into the queue, and the script ends here; else its
# code is returned. HOST_OUT: the folder of the clips as the script sees it, where COMMAND names it otherwise (a
# container).
run_dataset() {
    local - # what the script has set by set -e, -u and pipefail, which is off meanwhile: here a command may fail
    set +eu +o pipefail
    local mg_work=dataset mg_nothing='made no clip' mg_stopped='stopped while loading'
    local mg_job mg_out mg_starts mg_log_bytes mg_told=${mg_told-} mg_traps mg_code mg_lost='' mg_held='' mg_lacks=''
    mg_begin run "$@" || return
    mg_log_bytes=$(stat -Lc %s /dev/stderr)
    mg_spend_steps "$mg_starts"
    mg_run_ranks "$@"
    mg_judge
    case $mg_code in 6 | 13[4-79]) mg_find_lost ;; esac
    mg_end_start
    mg_unhear
    return "$mg_code"
}

# run_sweep COMMAND...: the same of a sweep. COMMAND is mg-dist bench scaling with its words; each point is a step.
# A lost node ends the sweep and this start: its points are tried again on others. Points that failed without one
# are tried once more at once, for Slurm may not have started their steps.
run_sweep() {
    local -
    set +eu +o pipefail
    local mg_work=sweep mg_nothing='measured nothing' mg_stopped='stopped within a point'
    local mg_job mg_out mg_starts mg_old_logs mg_again mg_n_steps mg_told=${mg_told-} mg_traps mg_code
    local mg_lost='' mg_held='' mg_lacks=''
    mg_begin scaling "$@" || return
    mg_old_logs=$(mg_failed_logs)
    mg_n_steps=$(wc -l 2>/dev/null <"$mg_out/results.jsonl")
    mg_spend_steps $((mg_starts > 0 ? mg_n_steps + mg_starts : 0))
    for mg_again in '' --retry-failed; do
        mg_run_ranks "$@" ${mg_again:+"$mg_again"}
        [[ "$mg_code" != [136] ]] || mg_find_lost
        [ "$mg_code$mg_lost" = 3 ] || break # points failed, and no node is to blame
    done
    [ -z "$mg_lost" ] || mg_code=6
    mg_end_start
    mg_unhear
    return "$mg_code"
}

# ---- The folder, and what is known of this start ----

mg_begin() { # run|scaling COMMAND...
    mg_traps=$(trap -p USR1 TERM) # the script's own
    trap 'mg_told=1' USR1 TERM    # also a signal from before the ranks are there
    mg_starts=${SLURM_RESTART_COUNT:-0}
    mg_job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    mg_job=${mg_job:-$SLURM_JOB_ID}
    if [ -z "${SLURM_JOB_ID-}" ]; then
        mg_refuse 'SLURM_JOB_ID: not set, so this is no Slurm job: give the script to sbatch'
    elif ! mg_out=$(mg_folder_in "$@"); then
        mg_refuse "${*:2}: no word $1: give it the whole command that starts mg-dist $1"
    else
        mg_out=${HOST_OUT:-$mg_out}
        echo "start $mg_starts of job $SLURM_JOB_ID on $SLURM_JOB_NUM_NODES nodes: $SLURM_JOB_NODELIST"
    fi
}
mg_refuse() { # WHY
    echo "mg-dist: error: run_$mg_work: $1" >&2
    mg_unhear
    return 2
}
mg_unhear() {
    trap - USR1 TERM
    eval "$mg_traps"
}

# The folder that mg-dist will take: of several the last one, as it does. An option's value may be called as the
# subcommand is, and a launcher may have one of that name (apptainer run): what stands before the last is not mg-dist's.
mg_folder_in() { # run|scaling COMMAND...
    local mg_folder='' mg_preset=dataset mg_word mg_before=''
    [ "$1" = run ] || mg_preset=scaling
    mg_preset=${MGDIST_OUT:-$mg_preset}
    for mg_word in "${@:2}"; do
        case $mg_before in
        --out | -o) mg_folder=${mg_folder:+$mg_word} ;;
        '' | -- | [!-]*) [ "$mg_word" != "$1" ] || mg_folder=$mg_preset ;;
        esac
        case $mg_word in --out=* | -o=*) mg_folder=${mg_folder:+${mg_word#*=}} ;; esac
        mg_before=$mg_word
    done
    [ "$mg_folder" ] && echo "$mg_folder"
}

# How much there is: clips, or outcomes of points, of which one that fails again is nothing new.
mg_made() {
    if [ "$mg_work" = dataset ]; then
        grep -o '"done":[^0-9]*[0-9]*' "$mg_out/.mg-dist/status.json" 2>/dev/null | head -n 1 | tr -dc 0-9
    else
        grep -o '^{"np":[0-9]*,"tp":[0-9]*,"batch":[0-9]*,"repeat":[0-9]*,"status":"[a-z]*"' "$mg_out/results.jsonl" \
            2>/dev/null | sort -u | wc -l
    fi
}

# What was said at this start: in the log, behind what it held before; of a sweep in the logs of points that have
# failed.
mg_spoken() {
    if [ "$mg_work" = sweep ]; then
        mg_failed_logs | grep -vxF "$mg_old_logs" | sed 's/^[^ ]* //' | while read -r mg_log; do cat "$mg_log"; done
    elif [ -f /dev/stderr ]; then
        tail -c "+$((mg_log_bytes + 1))" /dev/stderr
    fi
}
mg_failed_logs() { find "$mg_out/logs" -name '*.log' -printf '%T@ %p\n' 2>/dev/null; } # with times: one may come again
mg_was_said() { mg_spoken | grep -qE -- "$1"; }

# What Slurm is asked: it may be away, refuse, or not answer, and a start ends all the same.
mg_ask() { timeout -k 5 60 "$@" 2>/dev/null; }

# ---- The ranks ----

# Each start counts its steps from 0, and PMIx cannot have the number of a step that was killed on a node before: so
# many are spent first. One may fail by itself; where two in a row do, so would all.
mg_spend_steps() { # N
    local mg_i
    for ((mg_i = 0; mg_i < $1 && mg_i < 500 && !mg_told; mg_i++)); do mg_spend_step || mg_spend_step || break; done
}
mg_spend_step() { mg_ask srun --mpi=none --nodes=1 --ntasks=1 true; }

# Starts the ranks and waits until they have ended, with $mg_code. The signals are for them; each ends a wait, which is
# then begun anew.
mg_run_ranks() { # COMMAND...
    local mg_heard=1 mg_timer='' mg_ranks
    [ -z "$mg_told" ] || { mg_code=138; return; } # none is worth it: they would be told at once
    "$@" &
    mg_ranks=$!
    trap 'mg_told=1 mg_heard=1; kill -USR1 $mg_ranks 2>/dev/null' USR1
    trap 'mg_told=1 mg_heard=1; kill -USR1 $mg_ranks 2>/dev/null
        [ "$mg_timer" ] || { mg_leave_stuck & mg_timer=$!; }' TERM
    [ -z "$mg_told" ] || { sleep 1; kill -USR1 $mg_ranks; } # srun is there then
    while [ $mg_heard ]; do
        mg_heard=''
        wait $mg_ranks
        mg_code=$?
    done
    trap 'mg_told=1' USR1 TERM
    if [ "$mg_timer" ]; then
        kill "$mg_timer" 2>/dev/null
        [ "$mg_code" != 137 ] || mg_code=75 # they were left
    fi
}

# Slurm ends a job by SIGTERM, and by SIGKILL after KillWait, half a minute mostly. Where ranks are stuck by then,
# the second half is for what comes after them. On preemption the job has all its grace time.
mg_leave_stuck() {
    sleep 15
    [[ $(mg_ask scontrol show job "$mg_job") != *JobState=COMPLETING* ]] || kill -KILL "$mg_ranks"
}

# ---- What the code means ----

# What the launcher's own codes mean, and some of mg-dist's: code 6 is a loss. $mg_held (the folder, by an earlier
# start) and $mg_lacks (a node what it had) keep the code with which the third such start in a row ends.
mg_judge() {
    local mg_cannot_start='Application launch failed|Unable to (confirm|create) .*(contact|onnection|timed out)'
    # Of the program alone: a container's tools may say the like at each start, and work all the same.
    local mg_no_program='^(slurmstepd[^ ]*: error: execve\(\): |(.*/)?mg-dist[^/ ]*: error while loading shared lib)'
    case $mg_code in
    0) return ;;
    9 | 205) mg_code=6 ;; # mpirun lost a host
    *) ! mg_was_said "^srun: error: ($mg_cannot_start)" || mg_code=6 ;; # a node or Slurm's controller is away
    esac
    # A rank crashed while MPI began: the others ended with 1, which srun takes for the code of all.
    [ "$mg_code" != 1 ] || ! mg_was_said '^srun: error: .*: (Segmentation fault|Bus error|Aborted)' || mg_code=139
    # The first rank could not join the others: these hear SIGTERM from Slurm, and end with the higher code.
    [ "$mg_code" != 130 ] || [ "$mg_told" ] || ! mg_was_said 'MPI_Init: (waited|the launcher)' || mg_code=6
    # Ranks are still at work on a node that Slurm does not reach: they end when they have waited for the others.
    [ "$mg_code" != 1 ] || ! mg_was_said 'a run is at work here' || mg_code=6 mg_held=1
    # A node has lost a disk.
    ! mg_was_said 'could not read the files of' || mg_code=6 mg_lacks=1
    # Or its GPU, its files, memory or program, for the same command has made clips; but for what no other node would
    # mend.
    if [[ $mg_starts -gt 0 && $(mg_made) -gt 0 ]] &&
        { [[ $mg_code = [145] ]] || { [[ $mg_code != @(3|75|138) ]] && mg_was_said "$mg_no_program"; }; }; then
        mg_was_said '--max-failures is|No space left|quota exceeded|disk is full' || mg_lacks=$mg_code mg_code=6
    fi
}

# ---- Which node was lost ----

# $mg_lost: the nodes that were, as n1,n2, and a line in the log. They are those that mg-dist names; else those that
# take no step any more.
mg_find_lost() {
    local mg_n=${SLURM_JOB_NUM_NODES:-1} mg_nodes mg_node mg_said='' mg_gpu mg_silent='' mg_first
    [ -z "$mg_held" ] || return # it is not one of these
    mg_nodes=$(mg_ask scontrol show hostnames "$SLURM_JOB_NODELIST")
    # A node that has fallen silent or whose GPU has failed. A sweep ends with 6 then; else it has looked in vain.
    [[ $mg_code = [13] ]] ||
        mg_said=$(mg_spoken |
            grep -E 'error[:"].*(has said nothing|waited |cuda: GPU | on node |could not read the files )')
    mg_gpu=$(sed -n 's/.*cuda: \(GPU [^)]*)\).*/: \1/p' <<<"$mg_said" | head -n 1)
    [ "$mg_n" -gt 1 ] || [ "$mg_gpu$mg_lacks" ] || return
    [ -z "$mg_lacks" ] || [ "$mg_said" ] || mg_said=$(mg_who_lacks)
    for mg_node in $mg_nodes; do
        case $mg_said in
        *"host $mg_node"[.,\)]* | *" on $mg_node could not read "*) mg_lost=$mg_lost${mg_lost:+,}$mg_node ;;
        *" on node $mg_node: "*) mg_silent=$mg_silent${mg_silent:+ }$mg_node ;; # srun could start nothing there
        esac
    done
    [ "$mg_lost" ] || [ "$mg_n" = 1 ] || mg_ask_nodes
    # This script is at work on the first of them: where it would be all, it is not the nodes.
    [ "$mg_n" = 1 ] || [ "$mg_lost" != "$(paste -sd, <<<"$mg_nodes")" ] || mg_lost=''
    case ${mg_lost:-$mg_code} in 1 | 3) return ;; esac # points of a sweep fail by themselves, too
    mg_first=$(mg_spoken | sed -n 's/^srun: error: \([^ ]*: tasks\{0,1\} .*\)/ (first to end was \1)/p' | head -n 1)
    echo "mg-dist: lost, with code $mg_code: ${mg_lost:-a rank; which node it was cannot be told$mg_first}$mg_gpu" >&2
}

# Ranks that failed have said "[NODE:RANK] mg-dist: error: …", the first one, which is on this node, without a name. Of
# those whose program did not start srun tells, with a code that is the system's.
mg_who_lacks() {
    mg_spoken | sed -n "s/^mg-dist: error:.*/(host $SLURMD_NODENAME)/p
        s/^\[\(.*\):[0-9]*\] mg-dist: error: .*/(host \1)/p
        s/^srun: error: \([^ ]*\): tasks\{0,1\} .*: Exited with exit code \(2\|13\|127\)$/(host \1)/p"
}

# Those of the $mg_nodes that take no step are $mg_lost. A step asks them all, if srun has not named the $mg_silent. Who
# is, or did not answer, is asked again alone, for a node that is gone may take others along; not where they are many.
mg_ask_nodes() {
    local mg_up
    [ "$mg_silent" ] || mg_silent=$(grep -vxF "$(mg_answer "$mg_n")" <<<"$mg_nodes")
    [ "$(wc -w <<<"$mg_silent")" -le 8 ] || return
    mg_up=$(for mg_node in $mg_silent; do mg_answer 1 --nodelist="$mg_node" & done; wait)
    mg_lost=$(tr ' ' '\n' <<<"$mg_silent" | grep -vxF "$mg_up" | paste -sd,)
}
mg_answer() { # N [--nodelist=NODE]: the names of those that take a step of N nodes
    mg_ask srun --overlap --mpi=none --nodes="$1" --ntasks="$1" --ntasks-per-node=1 --kill-on-bad-exit=0 "${@:2}" \
        printenv SLURMD_NODENAME
}

# ---- The end: back into the queue, or not ----

# Another start goes on where this one ended: after 75 (stopped early, everything saved), 130 and 138 (told to stop
# before the run began), 6 and the other signals (a rank, a node or a GPU was lost); docs/LAUNCH.md says why after
# no other code. It returns where no other start follows.
mg_end_start() {
    local mg_note=mg-dist-$SLURM_JOB_ID.starts mg_had mg_idle mg_has mg_reason
    # The note of the start before: how much there was, and how many starts in a row had made nothing. Its folder may
    # be others' too, and bash runs what stands in a sum.
    read -r mg_had mg_idle 2>/dev/null <"$mg_note" || mg_had=0 mg_idle=0
    case $mg_had$mg_idle in *[!0-9]*) mg_had=0 mg_idle=0 ;; esac
    mg_has=$(mg_made)
    mg_has=${mg_has:-0}
    if [ "$mg_has" -gt "$mg_had" ] && [ -z "$mg_held$mg_lacks" ]; then mg_idle=0; else mg_idle=$((mg_idle + 1)); fi
    [ $mg_idle -lt 3 ] || mg_code=${mg_held:-${mg_lacks:-$mg_code}}
    case $mg_code in
    6 | 75 | 130 | 13[4-9] | 143) mg_start_again ;;
    0 | 3) ;;
    *)
        mg_reason=$(mg_spoken | grep -o 'mg-dist: error: .*' | tail -n 1)
        echo "mg-dist: ended with code $mg_code, after which no start follows${mg_reason#mg-dist: error}" >&2
        ;;
    esac
    rm -f "$mg_note"
}

# It is not for ever: three starts in a row that made nothing are the last ones, and after a loss they take their time.
mg_start_again() {
    local mg_without='' mg_answer=''
    # Where the note cannot be kept, Slurm's count has to do.
    if [ "$mg_idle" -ge 3 ] || { ! echo "$mg_has $mg_idle" >"$mg_note" && [ "$mg_starts" -ge 3 ]; }; then
        echo "mg-dist: three starts in a row $mg_nothing, the last ended with $mg_code: give a longer --time if" \
            "they were $mg_stopped; leave out ${mg_lost:-a node that fails} by --exclude" >&2
        return
    fi
    [ -z "$mg_lost" ] || mg_without=$(mg_without_lost)
    trap '' TERM # which this script gets from its own requeue, with some seconds to end
    if ! mg_put_back; then
        mg_answer=$(tail -n 1 <<<"${mg_answer:-no answer}")
        echo "mg-dist: not put back into the queue ($mg_answer): the same command goes on where it ended" >&2
        return
    fi
    echo "mg-dist: ended with code $mg_code and is back in the queue: $mg_has done so far" >&2
    [ -z "$mg_without" ] || ! mg_change ExcNodeList="$mg_without" ||
        echo "mg-dist: the next starts are without $mg_lost" >&2
    [[ $mg_code = 75 || $mg_code = 13[08] || $mg_idle = 0 ]] || mg_change StartTime=now+$((mg_idle * 120))
    exit "$mg_code"
}

# The list of nodes to leave out from now on, with $mg_lost; nothing, where the starts to come need it. They do if the
# job is bound to nodes, or its partition has too few others that can do what its own do: the same GPUs and
# features, with no less processors and memory.
mg_without_lost() {
    local mg_is mg_without
    mg_is=$(mg_ask scontrol show job "$mg_job")
    mg_without=$(sed -n 's/.* ExcNodeList=\([^(].*\)/\1,/p' <<<"$mg_is")$mg_lost
    [[ $mg_is = *' ReqNodeList=(null)'* && $mg_is != *Reservation=* ]] || return
    [[ ! $mg_is =~ Features=[^[:space:]]*[*[] ]] || return # groups of features: which nodes fit is Slurm's to say
    {
        mg_ask scontrol show hostnames "$SLURM_JOB_NODELIST" | sed 's/^/had /'
        mg_ask scontrol show hostnames "$mg_without" | sed 's/^/not /'
        mg_ask sinfo -h -N -p "$SLURM_JOB_PARTITION" -o 'is %N %t %c %m %G %f' | sort -u
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
        }' && echo "$mg_without"
}

# The job goes back into the queue; else $mg_answer says why not. One that Slurm has put back itself, for a node or to
# make room, may be at work elsewhere by now, and stays. Incomplete: what scancel has ended stays ended, without a
# word; so would a job at its time limit, or one that had to make room, which is named alone. A controller that is
# away comes back, mostly.
mg_put_back() {
    local mg_try mg_is mg_how=Incomplete
    mg_is=$(mg_ask scontrol show job "$mg_job")
    mg_is_back "$mg_is" && return
    [[ ! $mg_is =~ Reason=TimeLimit|\ PreemptTime=[0-9] ]] || mg_how=''
    for mg_try in 1 2 3; do
        if mg_answer=$(mg_tell scontrol requeue $mg_how "$mg_job" 2>&1); then
            mg_is=$(mg_ask scontrol show job "$mg_job")
            mg_answer='Slurm has ended it'
            [ -z "$mg_is" ] || mg_is_back "$mg_is"
            return
        fi
        case $mg_answer in *'to contact'* | *onnection*) [ $mg_try = 3 ] || sleep 20 ;; *) break ;; esac
    done
    return 1
}

# By what Slurm says of the job: is it in the queue again? Its starts are counted.
mg_is_back() { [[ $1 =~ Restarts=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -gt "$mg_starts" ]; }

# A setting of the job, when it is back in the queue: the SIGTERM may end the first try while that begins.
mg_change() { # NAME=VALUE
    { mg_tell scontrol update JobId="$mg_job" "$1" || mg_tell scontrol update JobId="$mg_job" "$1"; } 2>/dev/null
}

# A command to Slurm that ends well or not within a minute, though this job's SIGTERM comes meanwhile.
mg_tell() { timeout -k 5 60 bash -c 'trap "" TERM; exec "$@"' - "$@"; }
