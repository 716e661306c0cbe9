#!/usr/bin/env bash
# One stage of `make test`: stage.sh NAME COMMAND... Says how long it took. A skipped test fails the stage, so that nothing
# is left out in silence; ALLOW_SKIPS=1 only lists them. What a stage itself says is LEFT OUT is said again at its end.
# What came of it stays in the folder STAGES: NAME.log, NAME.status, and what pytest notes in NAME.failed. With GO_ON it ends
# well in any case, and its lines begin with its name: tests/again.py judges when all have ended.
set -uo pipefail
name=$1
shift
mkdir -p "$STAGES"
kept=$STAGES/$name
rm -f "$kept".*
touch "$kept.failed" # by us: root only adds to it
unset MAKEFLAGS MFLAGS # a make in a stage is no part of the one outside
shown() { if [ -n "${GO_ON:-}" ]; then sed -u "s/^/$name | /"; else cat; fi; }
began=$SECONDS
echo "== $name: $*"
"$@" 2>&1 | tee "$kept.log" | shown
status=${PIPESTATUS[0]}
if [ "$status" = 0 ] && grep -q '^SKIPPED' "$kept.log" && [ -z "${ALLOW_SKIPS:-}" ]; then
    echo "== $name: tests were skipped (see above); ALLOW_SKIPS=1 lets that pass"
    status=skips
fi
word=done
[ "$status" = 0 ] || word=FAILED
left_out=$(sed -n 's/^LEFT OUT: /; LEFT OUT: /p' "$kept.log" | tr -d '\n')
said="== $name: $word after $((SECONDS - began)) s$left_out"
echo "$said"
printf '%s\n%s\n' "$status" "$said" > "$kept.status"
[ "$status" = 0 ] || [ -n "${GO_ON:-}" ]
