#!/bin/bash
# An installed tree works, also after it was moved, makes the container's test clips, and is removed without a trace.
#   install.sh MG-DIST TESTS-FOLDER BUILD-FOLDER
. "$(dirname "$0")/../e2e/lib.sh" "$1" "$2"
build=$3 root=$TESTS/..
stage=$BOX/stage

DESTDIR=$stage cmake --install "$build" --prefix /opt/mg >"$BOX/said" 2>&1
passes 'it installs into DESTDIR' [ -x "$stage/opt/mg/bin/mg-dist" ]
cp "$build/install_manifest.txt" "$BOX/manifest"
for file in bin/mg-launch libexec/mg-dist/container-entry share/man/man1/mg-dist.1.gz share/bash-completion/completions/mg-dist \
    share/zsh/vendor-completions/_mg-dist share/fish/vendor_completions.d/mg-dist.fish share/mg-dist/slurm/run.sbatch \
    share/mg-dist/slurm/scaling.sbatch share/mg-dist/hostfiles/one-host.txt share/mg-dist/mg-demo/model.safetensors share/doc/mg-dist/INSTALL.md; do
    passes "$file is there" [ -e "$stage/opt/mg/$file" ]
done
# Folders of libraries that are not the system's: without the empty places in which CMake keeps room.
searched() { readelf -d "$1" | sed -n 's/.*R.*PATH.*\[\(.*\)\]/\1/p' | tr ':' '\n' | sed '/^$/d' | sort; }
passes 'it looks for its libraries where the built one does' [ "$(searched "$stage/opt/mg/bin/mg-dist")" = "$(searched "$MG")" ]
passes 'what it calls is bound before it begins' sh -c "readelf -dW '$stage/opt/mg/bin/mg-dist' | grep -q 'FLAGS.*NOW'"
passes 'a stack that is overrun ends it' sh -c "readelf --dyn-syms -W '$stage/opt/mg/bin/mg-dist' | grep -q __stack_chk_fail"
if grep -Eq '^CMAKE_BUILD_TYPE:.*=(Release|RelWithDebInfo)$' "$build/CMakeCache.txt"; then # others have no such checks
    passes 'and so does an array' sh -c "readelf --dyn-syms -W '$stage/opt/mg/bin/mg-dist' | grep -q __snprintf_chk"
fi
fails 'the functions of a job script lie nowhere beside' [ -e "$stage/opt/mg/share/mg-dist/slurm/job.sh" ]
passes 'but in the program' diff <("$stage/opt/mg/bin/mg-dist" --job-functions) "$root/launch/slurm/job.sh"
passes 'the manual page names every command' sh -c "zcat '$stage/opt/mg/share/man/man1/mg-dist.1.gz' | grep -q 'mg..dist run'"
passes 'bash reads its completion' bash -n "$stage/opt/mg/share/bash-completion/completions/mg-dist"

mv "$stage/opt/mg" "$BOX/moved"
bin=$BOX/moved/bin demo=$BOX/moved/share/mg-dist/mg-demo
passes 'a moved tree has the same version' [ "$("$bin/mg-dist" --version)" = "$("$MG" --version)" ]
passes 'a moved tree makes a clip' "$bin/mg-dist" generate -q --model "$demo" --prompt piano --duration 1 --out "$BOX/clip"
printf '#!/bin/sh\nshift\nexec sh -c "$*"\n' >"$BOX/here" # a remote shell to this host
chmod +x "$BOX/here"
expect 0 '' 'a moved launcher finds its parts and its program' "$bin/mg-launch" --hosts localhost --rsh "$BOX/here" --check-only -- \
    run --model "$demo" --jobs x --out "$BOX/dataset"
expect 2 'localhost' 'and says so of a host that it cannot reach' "$bin/mg-launch" --hosts localhost --rsh false --check-only -- \
    run --model "$demo" --jobs x --out "$BOX/dataset"

mkdir "$BOX/work"
cd "$BOX/work" || exit 2
export DURATION=1 MODEL_SMALL=$demo MODEL_MEDIUM=$demo MODEL_LARGE=$demo
entry=$BOX/moved/libexec/mg-dist/container-entry
expect 0 'out_medium.wav' 'the container makes its test clips' "$entry" test-clips
for clip in out_small out_medium output/out_large_with_lyrics; do
    passes "$clip.wav, and its metadata" [ -s $clip.wav -a -s $clip.json ]
done
printf 'Grey Harbour, at Night\n\nfog on the water\n' >lyrics.txt
expect 0 'output/grey-harbour-at-night.wav' 'lyrics name the third' "$entry" test-clips
rm out_medium.wav
expect 3 'out_medium.wav: not made' 'a model that is not there costs its own clip' env MODEL_MEDIUM=./none "$entry" test-clips
expect 0 'mg-dist 0' 'other arguments are the program'"'"'s' "$entry" --version

mv "$BOX/moved" "$stage/opt/mg"
expect 0 'removed [0-9]+ files' 'uninstall' env DESTDIR="$stage" cmake -DMANIFEST="$BOX/manifest" -DOWN=mg-dist \
    -P "$root/cmake/uninstall.cmake"
passes 'it leaves no file' [ -z "$(find "$stage" -type f -o -type l)" ]
passes 'and no folder of its own' [ -z "$(find "$stage" -name mg-dist)" ]
expect 1 'nothing was installed' 'without a manifest it says so' cmake -DMANIFEST="$BOX/none" -DOWN=mg-dist \
    -P "$root/cmake/uninstall.cmake"
finish
