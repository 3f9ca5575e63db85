# Layers: a folder includes itself and what is below it; each outside library has one room. Tests see everything.
function room(path) {
    if (path ~ /^src\/[a-z]+\//) { sub(/^src\//, "", path); sub(/\/.*/, "", path); return path }
    if (path ~ /^kernels\/cpu\//) return "cpu"
    if (path ~ /^kernels\/cuda\// || path ~ /^parallel\/(comm_nccl|nccl_library|mailboxes)/) return "cuda"
    if (path ~ /^kernels\//) return "ops"
    if (path ~ /^parallel\//) return "comm"
    return path ~ /^src\// ? "main" : "tests"
}
function deny(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
function only(header, rooms) { if (name == header && FILENAME !~ rooms) deny(header " is for " rooms) }

BEGIN {
    may["base"] = "base"
    may["io"] = "base io"
    may["dsp"] = "base dsp"
    may["ops"] = "base ops"
    may["cpu"] = "base ops cpu"
    may["cuda"] = "base ops cuda comm"
    may["comm"] = "base comm"
    may["audio"] = "base io audio"
    may["text"] = "base io text"
    may["torch"] = "base io torch"
    may["config"] = "base io config"
    may["cli"] = "base comm cli"
    may["checkpoint"] = "base io torch config checkpoint"
    may["hub"] = "base io config checkpoint hub"
    may["weights"] = "base io checkpoint ops weights"
    may["model"] = "base config weights ops comm model"
    may["predict"] = "base config ops predict"
    may["engine"] = "base io audio dsp checkpoint hub weights model ops comm engine"
    may["clips"] = "base io audio dsp text checkpoint hub model engine comm clips"
    may["dataset"] = "base io audio clips dataset"
    may["scaling"] = "base io scaling"
    may["commands"] = may["clips"] " dataset scaling predict cli torch config weights ops cpu cuda commands"
    may["main"] = "base cli comm commands main"
    n = split(all, files, "\n")
    for (i = 1; i <= n; i++) { name = files[i]; sub(/.*\//, "", name); where[name] = room(files[i]) }
}

# Slots are called by the front doors alone, which check what a backend trusts.
/iface->/ && room(FILENAME) != "tests" && FILENAME !~ /^(kernels\/ops|parallel\/comm)\.c$/ { deny("a slot is called past its front door") }

/^[ \t]*#[ \t]*include/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*/, "", name)
    mine = room(FILENAME)
    if (name ~ /\.\.\//) deny("../ in an include: " name)
    if (mine == "tests") next
    only("mpi.h", "^(parallel/(comm|channel)_mpi\\.c|src/main\\.c)$")
    only("sndfile.h", "^src/audio/sndfile_mpeg\\.h$")
    if (name ~ /^kiss_fft/ && FILENAME != "src/dsp/chroma.c") deny(name " is for src/dsp/chroma.c")
    only("yaml.h", "^src/io/yaml_(doc|writer)\\.[ch]$")
    if (name ~ /^ogg\//) only(name, "^src/audio/ogg_serial\\.c$")
    if (name ~ /^openssl\//) only(name, "^src/(io/hash|text/tokenizer_json)\\.c$")
    if (name == "cJSON.h") deny("cJSON.h is included as <cjson/cJSON.h>")
    only("zlib.h", "^src/(torch/zip_(reader|writer)|clips/job_reader_bytes)\\.c$")
    if (name ~ /cJSON\.h$/ && FILENAME !~ /^src\/(io|config|checkpoint|hub|clips|dataset|scaling|text)\//) deny("cJSON.h is for the readers of JSON")
    if (name ~ /^sentencepiece/ && FILENAME != "src/text/tokenizer_spm.cc") deny(name " is for src/text/tokenizer_spm.cc")
    if (name ~ /^(cuda|cublas|nccl)/ && $0 ~ /</ && mine != "cuda") deny(name " is for kernels/cuda and parallel/comm_nccl.c")
    only("sqlite3.h", "^src/dataset/run_db_impl\\.h$")
    only("utf8proc.h", "^src/clips/job_id\\.c$")
    if (name == "assert.h") deny("assert.h: NDEBUG must not change behaviour; use MG_REQUIRE")
    sub(/.*\//, "", name)
    if (name ~ /_impl\.h$/) { # a private header is for the files of its own stem: lm_impl.h for lm_*.c
        stem = name; sub(/_impl\.h$/, "", stem); file = FILENAME; sub(/.*\//, "", file)
        if (index(file, stem) != 1) deny(name " is for " stem "*")
    }
    if ((name in where) && $0 ~ /"/ && index(" " may[mine] " ", " " where[name] " ") == 0)
        deny(mine " may not include " name " of " where[name])
}
