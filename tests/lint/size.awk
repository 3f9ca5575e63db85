# 500 lines a file, 140 columns a line, 90 lines a function.
function end_of_file() { if (file && last > 500) printf "%s:%d: the file has %d lines, 500 is the limit\n", file, last, last }
FNR == 1 { end_of_file(); begin = 0; file = FILENAME }
{ last = FNR }
length($0) > 140 { printf "%s:%d: %d columns, 140 is the limit\n", FILENAME, FNR, length($0) }
/^[A-Za-z].*\)[ ]*\{?$/ && !/;/ { begin = FNR }
/^}/ {
    if (begin && FNR - begin + 1 > 90)
        printf "%s:%d: a function of %d lines, 90 is the limit\n", FILENAME, begin, FNR - begin + 1
    begin = 0
}
END { end_of_file() }
