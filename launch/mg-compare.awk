# What is wrong with which host: reads the list of hosts (name<TAB>slots) and each host's probe; a line a fault.
# The first host that answers is what the others are held against.
function fault(host, what) { printf "%s: %s\n", host, what }
BEGIN { FS = "\t"; while ((getline line < (dir "/now")) > 0) now = line }
{
    host = $1; slots = $2
    file = dir "/probe." host
    delete is
    while ((getline line < file) > 0) { split(line, part, "\t"); is[part[1]] = part[2] }
    close(file)
    if (is["end"] != "ok") {
        why = ""
        while ((getline line < (file ".err")) > 0) if (line != "") why = line
        fault(host, "cannot be reached" (why == "" ? " (no answer in time)" : ": " why)); next
    }
    if (is["program"] == "missing") { fault(host, "has no program at " program ": install the same build there, or name it with --program"); next }
    if (is["model"] == "missing") { fault(host, "has no model " model ": copy it there, or forward HF_HUB_CACHE"); next }
    if (out != "" && out != "-" && is["out_writable"] != "yes") fault(host, "cannot write to " out)
    if (out != "" && out != "-" && is["out_free_mb"] + 0 < 100) fault(host, "has " is["out_free_mb"] " MB free for " out ", 100 are the least")
    if (is["clock"] - now > skew || now - is["clock"] > skew) fault(host, "has a clock that is " (is["clock"] - now) " s off: synchronise it, or allow it by --max-skew")
    if (is["gpus"] + 0 > 0 && is["gpus"] + 0 < slots) fault(host, "has " is["gpus"] " GPUs for " slots " slots: one rank takes one GPU")
    if (is["gpus_busy"] + 0 > 0) fault(host, is["gpus_busy"] " of its GPUs are in use by others")
    if (first == "") { first = host; for (k in is) of_first[k] = is[k]; next }
    if (is["program"] != of_first["program"]) fault(host, "has another program than " first " (sha256 " is["program"] "…, there " of_first["program"] "…): install the same build")
    else if (is["plugin"] != of_first["plugin"]) fault(host, "has another libmg_cuda.so than " first " (sha256 " is["plugin"] ", there " of_first["plugin"] "): install the same build")
    if (is["model"] != of_first["model"]) fault(host, "has another model " model " than " first " (digest " is["model"] "…, there " of_first["model"] "…): copy the same files")
}
