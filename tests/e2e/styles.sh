#!/bin/bash
# bench/styles.py: the classifier tells low sines from high ones, the table has a line a format, and wrong folders are refused.
#   styles.sh MG-DIST TESTS-FOLDER   $PYTHON is a Python with numpy (default: python3).
. "$(dirname "$0")/lib.sh"
PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    skipped 'no numpy for bench/styles.py'
    exit 77
fi
"$PYTHON" - "$BOX/sines" <<'END2'
import pathlib
import sys
import wave

import numpy as np

for style, low in (("bass", 100), ("bells", 2000)):
    folder = pathlib.Path(sys.argv[1], style)
    folder.mkdir(parents=True)
    for k in range(8):
        sine = np.sin(2 * np.pi * low * (1 + k / 20) * np.arange(32000) / 32000)
        with wave.open(str(folder / f"{k}.wav"), "wb") as file:
            file.setparams((1, 2, 32000, 0, "NONE", ""))
            file.writeframes((10000 * sine).astype("<i2").tobytes())
END2
styles() { "$PYTHON" "$TESTS/../bench/styles.py" --program "$MG" --model "$DEMO" --out "$BOX/results" "$@"; }

expect 0 '^the classifier learned from the references, and names 4 of 4 that it has not heard$' 'sines of two styles are told apart' \
    styles --quick --references "$BOX/sines"
number='[0-9]+\.[0-9]+'
change="[+-]$number ± $number"
says 'fp32 stands alone in its line, with its distance from other seeds' "^\| fp32 \| [0-8] of 8, $number% \|  \|  \| $number \| $number \|  \|$"
says 'other seeds are no part of their own distance' "^\| fp32, other seeds \| .* \| $number \|  \| $number \($change\) \| $number ± $number dB \|$"
says 'int8 has all of it' \
    "^\| int8 \| [0-8] of 8, $number% \| [+-]$number% ± $number% \| $number \| $number \($change\) \| $number \($change\) \| $number ± $number dB \|$"
csv=$(echo "$BOX"/results/*-styles.csv)
passes 'the raw numbers say how many of each style were named' test "$(grep -c '^mg-dist,styles,mg-demo,int8,,1,1,named_b[ae][sl]' "$csv")" = 2
passes 'and none that is no number' test "$(grep -c 'nan$' "$csv")" = 0

expect 0 "^the classifier learned from the model's own clips of other seeds, fp32, and names [0-9]+ of 11 " \
    'without references all styles are judged by fp32' styles --quick

expect 2 'sines/bells: fewer than four' 'a style of few sounds is refused' sh -c 'rm "$1"/bells/[0-4].wav && shift && "$@"' sh "$BOX/sines" \
    "$PYTHON" "$TESTS/../bench/styles.py" --references "$BOX/sines"
mkdir "$BOX/sines/polka"
expect 2 'polka: no such style; there are piano, ' 'a style that no prompt is for is refused' styles --references "$BOX/sines"
expect 2 'fewer than two folders' 'so is a folder without styles' styles --references "$BOX/sines/polka"
expect 2 'clips: four at least' 'and too few clips' styles --clips 3
expect 2 'int3: no such format; there are fp32, ' 'and a format that there is not' styles --formats int8,int3
finish
