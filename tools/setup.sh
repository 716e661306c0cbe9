#!/bin/sh
# Installs what is missing, and nothing twice: Debian packages of packages.txt, then .venv from the lock file.
# Needs git, make and Python 3.11+ only. Services that packages would start stay off: they would be in the main namespace.
set -eu
cd "$(dirname "$0")/.."
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"
    else echo "setup: $1 needs root, and there is no sudo; run this as root once" >&2; exit 1; fi
}

# shellcheck source=tools/quietly.sh
. tools/quietly.sh

missing=""
for package in $(sed -n 's/^\(run\|test\)  *//p' packages.txt); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "setup: Debian packages:$missing"
    # shellcheck disable=SC2086
    install_quietly $missing
fi

# Debian's own comes first: engines run as nobody, who cannot enter a Python in somebody's home.
python=""
for candidate in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo "setup: no Python 3.11 to 3.13 on this machine; install Debian's package python3" >&2; exit 1; }

stamp=.venv/.stamp
made_from=$({ pwd; "$python" -c 'import sys; print(sys.executable, sys.version)'; cat requirements-dev.lock pyproject.toml; } | sha256sum)
if [ ! -x .venv/bin/python ] || [ "$(cat $stamp 2>/dev/null)" != "$made_from" ]; then
    echo "setup: Python packages into .venv"
    "$python" -m venv --clear .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
    # setuptools is in the lock: building ourselves fetches nothing.
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
    echo "$made_from" > $stamp
fi
