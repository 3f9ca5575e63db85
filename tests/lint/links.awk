# "file:line <tab> target" of every relative link, the target taken from the root.
FNR == 1 { fence = 0; folder = FILENAME; if (!sub(/\/[^\/]*$/, "", folder)) folder = "." }
/^[ ]*```/ { fence = !fence }
!fence {
    line = $0
    while (match(line, /\]\([^) ]+/)) {
        target = substr(line, RSTART + 2, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        sub(/#.*/, "", target)
        if (target != "" && target !~ /^[a-z]+:/) printf "%s:%d\t%s/%s\n", FILENAME, FNR, folder, target
    }
}
