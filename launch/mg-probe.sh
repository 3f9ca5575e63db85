# What a host says of itself, for mg-launch: read by a remote shell's standard input.   sh -s -- PROGRAM MODEL OUT
# Prints NAME<TAB>VALUE lines; anything that is not to be had is "none". Changes nothing but a probe file in OUT.
program=${1-} model=${2-} out=${3-}
tab=$(printf '\t')
put() { printf '%s%s%s\n' "$1" "$tab" "$2"; }
hash_of() { sha256sum "$1" 2>/dev/null | cut -c1-16; }

put clock "$(date +%s)"
if [ -x "$program" ]; then
    put program "$(hash_of "$program")"
    put version "$("$program" --version 2>/dev/null | head -n 1)"
else
    put program missing
fi
plugin=none
for p in libmg_cuda.so ../libexec/mg-dist/libmg_cuda.so ../lib/mg-dist/libmg_cuda.so; do # the first, as the program does
    p=$(dirname "$program")/$p
    [ -f "$p" ] && [ "$plugin" = none ] && plugin=$(hash_of "$p")
done
put plugin "$plugin"

# A model is a folder, a file, or an id in the Hugging Face cache. Its digest: names, sizes and both ends of each file.
if [ -n "$model" ]; then
    place=$model
    if [ ! -e "$place" ]; then # OWNER/NAME@REVISION; small and t5-base are short for some (src/hub/hub.c)
        name=$(printf '%s' "${model%%@*}" | sed 's|/|--|g') revision=main
        case $model in *@*) revision=${model#*@} ;; esac
        hub=${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}}
        for root in "${AUDIOCRAFT_CACHE_DIR-}" "${TRANSFORMERS_CACHE-}" "$hub"; do
            for folder in "$root/models--$name" "$root"/models--*--"$name" "$root/models--facebook--musicgen-$name"; do
                commit=$(cat "$folder/refs/$revision" 2>/dev/null)
                [ "$commit" ] || [ "$revision" = main ] || commit=$revision
                for snapshot in "$folder/snapshots/$commit"*; do
                    [ -e "$place" ] || place=$snapshot
                done
            done
        done
    fi
    if [ -e "$place" ]; then
        digest=$(find -L "$place" -maxdepth 1 -type f 2>/dev/null | LC_ALL=C sort | while IFS= read -r f; do
            printf '%s %s ' "${f##*/}" "$(stat -L -c %s "$f")"
            { head -c 65536 "$f"; tail -c 65536 "$f"; } | sha256sum
        done | sha256sum | cut -c1-16)
        put model "$digest"
    else
        put model missing
    fi
fi

if [ -n "$out" ] && [ "$out" != - ]; then
    d=$out
    while [ ! -d "$d" ] && [ "$d" != / ] && [ -n "$d" ]; do d=$(dirname "$d"); done
    put out_free_mb "$(df -Pm "$d" 2>/dev/null | awk 'NR == 2 { print $4 }')"
    if probe=$(mktemp "$d/.mg-launch.XXXXXX" 2>/dev/null); then
        rm -f "$probe"
        put out_writable yes
    else
        put out_writable no
    fi
fi

if command -v nvidia-smi >/dev/null 2>&1; then
    put gpus "$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | grep -c .)"
    put gpus_busy "$(nvidia-smi --query-compute-apps=gpu_uuid --format=csv,noheader 2>/dev/null | sort -u | grep -c .)"
else
    put gpus 0
    put gpus_busy 0
fi
put end ok
