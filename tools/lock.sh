#!/bin/sh
# Writes the lock files from requirements*.in: exact versions and the hashes of all their files, for every Python and
# machine that is allowed. Wants uv. Read what it changes as you would read code.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"; }
lock requirements.in -o requirements.lock
lock requirements-dev.in -c requirements.lock -o requirements-dev.lock
