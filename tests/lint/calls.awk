# Libraries do not print, exit or assert: status codes go up; src/base/log.c and show.c speak, a second Ctrl-C and
# MPI_Abort end.
function deny(word) { printf "%s:%d: %s in a library\n", FILENAME, FNR, word }
FNR == 1 { comment = 0 }
{
    line = $0
    gsub(/\\./, "", line)
    gsub(/"[^"]*"/, "\"\"", line)
    if (comment) { if (line !~ /\*\//) next; sub(/^.*\*\//, "", line); comment = 0 }
    gsub(/\/\*[^*]*\*\//, "", line)
    sub(/\/\/.*/, "", line)
    if (line ~ /\/\*/) { sub(/\/\*.*/, "", line); comment = 1 }
    line = " " line
    if (match(line, /[^A-Za-z0-9_>.](printf|puts|putchar|exit|abort|assert)[ ]*\(/)) {
        word = substr(line, RSTART + 1, RLENGTH - 1); sub(/[ ]*\(/, "", word); deny(word)
    }
    if (match(line, /[^A-Za-z0-9_](_exit|_Exit|quick_exit)[ ]*\(/) && FILENAME !~ /^(src\/base\/stop|parallel\/comm_mpi|parallel\/session)\.c$/) deny("_exit")
    if (line ~ /[^A-Za-z0-9_](v?fprintf|fputs|fputc|perror)[ ]*\(/ && FILENAME !~ /^src\/base\/(log|show)\.c$/) deny("fprintf")
}
