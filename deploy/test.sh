#!/bin/sh
# make test: every step of make check, then the whole suite; says what was skipped and why.
# With CI=true a skip is a failure. Arguments go to pytest: make test ARGS="-m 'not browser' -x"
# Exit codes: 0 all well · 1 at least one step failed, or something was skipped although CI=true
set -u
cd "$(dirname "$0")/.." || exit 2
. deploy/steps.sh

# Tests bring their own settings; a developer's must not leak into them.
for name in $(env | sed -n 's/^\(NPLUSX_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done

report=$(mktemp) || exit 2
trap 'rm -f "$report"' EXIT
trap 'exit 130' INT TERM HUP

check_steps
# A file's tests share what they start, so they stay together.
step "tests" "$BIN/python" -m pytest -m "not soak" --junit-xml "$report" \
    -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 5 "$@"

# What pytest skipped, with its reasons, and whether that is allowed here.
summary() {
    "$BIN/python" - "$report" <<'PYTHON'
import collections, os, sys
import xml.etree.ElementTree as xml

try:
    cases = list(xml.parse(sys.argv[1]).iter("testcase"))
except xml.ParseError:
    sys.exit("There is no report of the tests.")
reasons = collections.Counter(
    skip.get("message", "no reason given")
    for case in cases for skip in case.iter("skipped") if skip.get("type") != "pytest.xfail"
)
print(f"{len(cases)} tests, {sum(reasons.values())} skipped.")
for reason, count in reasons.most_common():
    print(f"  {count} skipped: {reason}")
if reasons and os.environ.get("CI") == "true":
    sys.exit("CI skips nothing: install what is missing (make setup says what).")
PYTHON
}
step "nothing hidden" summary

if [ "$failed" -gt 0 ]; then
    printf '%s%s step(s) failed.%s\n' "$red" "$failed" "$plain"
    exit 1
fi
printf '%sAll steps passed.%s\n' "$green" "$plain"
