#!/bin/sh
# Every number of docs/PERFORMANCE.md, in one table: bench/run.sh [--python VENV/bin/python] [--quick]
exec python3 "$(dirname "$0")/run.py" "$@"
