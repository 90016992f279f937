#!/bin/sh
# make check: format, lint, types, layers, generated pages, house rules. Every step runs; failures are counted.
# Exit codes: 0 all well · 1 at least one step failed
set -u
cd "$(dirname "$0")/.." || exit 2
. deploy/steps.sh

check_steps
step "house rules and prose" "$BIN/python" -m pytest -q tests/code_health tests/docs

if [ "$failed" -gt 0 ]; then
    printf '%s%s step(s) failed.%s\n' "$red" "$failed" "$plain"
    exit 1
fi
printf '%sAll steps passed.%s\n' "$green" "$plain"
