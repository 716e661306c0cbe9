#!/bin/sh
# Installs what is missing, and nothing twice: Debian packages of packages.txt, then .venv from the lock file.
# Needs git, make and Python 3.11+ only. Services that packages would start stay off: they would be in the main namespace.
set -eu
cd "$(dirname "$0")/.."
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=""
for package in $(sed -n 's/^\(run\|test\)  *//p' packages.txt); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "setup: Debian packages:$missing"
    quiet=/usr/sbin/policy-rc.d
    if [ ! -e $quiet ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $quiet >/dev/null
        as_root chmod 755 $quiet
        trap 'as_root rm -f $quiet' EXIT
    fi
    as_root apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $missing >/dev/null
fi

python=""
for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "setup: no Python 3.11 to 3.13 on this machine; install Debian's package python3" >&2; exit 1; }

stamp=.venv/.stamp
if [ ! -x .venv/bin/python ] || [ "$(cat $stamp 2>/dev/null)" != "$(cat requirements-dev.lock pyproject.toml | sha256sum)" ]; then
    echo "setup: Python packages into .venv"
    "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    cat requirements-dev.lock pyproject.toml | sha256sum > $stamp
fi
