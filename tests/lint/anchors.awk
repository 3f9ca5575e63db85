# The names by which a page's headings are linked to, as GitHub makes them.
/^[ ]*```/ { fence = !fence }
!fence && /^#+ / {
    name = tolower($0)
    sub(/^#+ +/, "", name)
    gsub(/\]\([^)]*\)/, "", name) # of a link its text
    gsub(/[][!-,.\/:-@^`{-~]/, "", name)
    gsub(/ /, "-", name)
    print name (seen[name]++ ? "-" seen[name] - 1 : "")
}
