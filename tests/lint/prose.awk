# No sentence of more than 25 words in a header's comments: whoever reads a contract should not need to read it twice.
# A sentence ends at . ; : ? or ! before a space or the comment's end.
function check(text,    n, parts, i, words, m) {
    gsub(/[.;:?!][ \t]+/, "&\n", text)
    n = split(text, parts, "\n")
    for (i = 1; i <= n; i++) {
        m = split(parts[i], words, " ")
        if (m > 25) printf "%s:%d: a sentence of %d words: %.60s …\n", FILENAME, from, m, parts[i]
    }
}
FNR == 1 { inside = 0; text = "" }
{
    line = $0
    while (line != "") {
        if (!inside) {
            at = index(line, "/*")
            if (!at) break
            inside = 1; from = FNR; text = ""
            line = substr(line, at + 2)
        }
        at = index(line, "*/")
        if (!at) { sub(/^[ \t]*\*/, "", line); text = text " " line; break }
        piece = substr(line, 1, at - 1); sub(/^[ \t]*\*/, "", piece)
        check(text " " piece)
        inside = 0
        line = substr(line, at + 2)
    }
}
