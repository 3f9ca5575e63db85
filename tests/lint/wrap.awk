# Prose in the pages is wrapped at 100 columns. Tables, code and what cannot be broken (a link, a command) may be longer.
# Bytes 0x80 ... 0xBF only continue a character.
FNR == 1 { code = 0 }
/^[ \t]*```/ { code = !code; next }
code || /^\|/ { next }
{
    line = $0
    gsub(/[\200-\277]/, "", line)
    if (length(line) <= 100) next
    gsub(/`[^`]*`/, "x", line)
    gsub(/\]\([^)]*\)/, "x", line)
    if (length(line) > 60) printf "%s:%d: %d columns: wrap prose at 100\n", FILENAME, FNR, length($0)
}
