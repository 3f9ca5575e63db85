# Notes to self belong in an issue; paths of one machine belong nowhere. (The words are put together here so that
# this file does not find itself.)
BEGIN { notes = "(^|[^A-Za-z_])(TO" "DO|FIX" "ME|XX" "X|HA" "CK)([^A-Za-z_]|$)"; homes = "/(ho" "me|ro" "ot|Us" "ers)/[a-z]" }
$0 ~ notes { printf "%s:%d: a note to self: %s\n", FILENAME, FNR, $0 }
$0 ~ homes || (length(parent) > 1 && index($0, parent "/")) { printf "%s:%d: a path of one machine: %s\n", FILENAME, FNR, $0 }
