#!/usr/bin/env bash
# One stage of `make test`: stage.sh NAME COMMAND... Says how long it took. A skipped test fails the stage, so that nothing
# is left out in silence; ALLOW_SKIPS=1 only lists them. What a stage itself says is LEFT OUT is said again at its end.
set -uo pipefail
name=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
began=$SECONDS
echo "== $name: $*"
"$@" 2>&1 | tee "$log"
status=$?
if [ $status = 0 ] && grep -q '^SKIPPED' "$log" && [ -z "${ALLOW_SKIPS:-}" ]; then
    echo "== $name: tests were skipped (see above); ALLOW_SKIPS=1 lets that pass"
    status=1
fi
word=done
[ $status = 0 ] || word=FAILED
left_out=$(sed -n 's/^LEFT OUT: /; LEFT OUT: /p' "$log" | tr -d '\n')
echo "== $name: $word after $((SECONDS - began)) s$left_out"
exit $status
