# "file:line <tab> target <tab> heading" of every relative link, the target taken from the root.
FNR == 1 { fence = 0; folder = FILENAME; if (!sub(/\/[^\/]*$/, "", folder)) folder = "." }
/^[ ]*```/ { fence = !fence }
!fence {
    line = $0
    while (match(line, /\]\([^) ]+/)) {
        target = substr(line, RSTART + 2, RLENGTH - 2)
        line = substr(line, RSTART + RLENGTH)
        if (target ~ /^[a-z]+:/) continue
        heading = target ~ /#/ ? substr(target, index(target, "#") + 1) : ""
        sub(/#.*/, "", target)
        printf "%s:%d\t%s\t%s\n", FILENAME, FNR, target == "" ? FILENAME : folder "/" target, heading
    }
}
