# Layers: a folder includes itself and what is below it; each outside library has one room. Tests see everything.
function room(path) {
    if (path ~ /^src\/(base|io|dsp|model|engine)\//) { sub(/^src\//, "", path); sub(/\/.*/, "", path); return path }
    if (path ~ /^kernels\/cpu\//) return "cpu"
    if (path ~ /^kernels\//) return "ops"
    if (path ~ /^parallel\//) return "comm"
    return path ~ /^src\// ? "src" : "tests"
}
function deny(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
function only(header, rooms) { if (name == header && FILENAME !~ rooms) deny(header " is for " rooms) }

BEGIN {
    may["base"] = "base"
    may["io"] = "base io"
    may["dsp"] = "base dsp"
    may["ops"] = "base ops"
    may["cpu"] = "base ops cpu"
    may["comm"] = "base comm"
    may["model"] = "base io ops comm model"
    may["engine"] = "base io dsp ops comm model engine"
    may["src"] = "base io dsp ops cpu comm model engine src"
    n = split(all, files, "\n")
    for (i = 1; i <= n; i++) { name = files[i]; sub(/.*\//, "", name); where[name] = room(files[i]) }
}

/^[ \t]*#[ \t]*include/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*/, "", name)
    mine = room(FILENAME)
    if (name ~ /\.\.\//) deny("../ in an include: " name)
    if (mine == "tests") next
    only("mpi.h", "^(parallel/comm_mpi\\.c|src/main\\.c)$")
    only("sndfile.h", "^src/io/audio_(file|read)\\.c$")
    if (name ~ /^kiss_fft/ && FILENAME != "src/dsp/chroma.c") deny(name " is for src/dsp/chroma.c")
    only("yaml.h", "^src/io/yaml_doc\\.c$")
    only("zlib.h", "^src/io/torch_zip\\.c$")
    if (name ~ /cJSON\.h$/ && FILENAME !~ /^src\/io\//) deny("cJSON.h is for src/io")
    if (name ~ /^sentencepiece/ && FILENAME != "src/io/tokenizer_spm.cc") deny(name " is for src/io/tokenizer_spm.cc")
    if (name ~ /^(cuda|cublas|nccl)/) deny(name " has no room yet")
    if (name == "assert.h") deny("assert.h: NDEBUG must not change behaviour; use MG_REQUIRE")
    sub(/.*\//, "", name)
    if ((name in where) && $0 ~ /"/ && index(" " may[mine] " ", " " where[name] " ") == 0)
        deny(mine " may not include " name " of " where[name])
}
