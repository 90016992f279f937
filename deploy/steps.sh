# Sourced by check.sh and test.sh: runs every step, counts failures, does not stop at the first.
BIN=.venv/bin
failed=0

if [ -t 1 ]; then bold=$(printf '\033[1m') red=$(printf '\033[31m') green=$(printf '\033[32m') plain=$(printf '\033[0m'); else bold='' red='' green='' plain=''; fi

step() { # title, command …
    title=$1
    shift
    printf '%s== %s%s\n' "$bold" "$title" "$plain"
    if "$@"; then
        printf '%sok: %s%s\n' "$green" "$title" "$plain"
    else
        code=$?
        failed=$((failed + 1))
        printf '%sFAILED (%s): %s%s\n' "$red" "$code" "$title" "$plain"
    fi
}

check_steps() {
    step "format" "$BIN/ruff" format --check -q .
    step "lint" "$BIN/ruff" check -q .
    step "types" "$BIN/mypy"
    step "layers" "$BIN/lint-imports"
    step "generated pages" "$BIN/nplusx" docs check
}
