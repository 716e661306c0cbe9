#!/bin/sh
# Installs Clearway on a Debian or Raspberry Pi OS box, or (first word: uninstall) removes all but /etc/clearway.
# DESTDIR=folder makes the same files below a folder and starts nothing.
set -eu
umask 022
cd "$(dirname "$0")/.."
root=${DESTDIR:-}
[ -n "$root" ] || [ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
units="clearway-closed.service clearway.service clearway-web.service"
commands="routerd routerctl routerd-web"
python=${PYTHON:-/usr/bin/python3}  # not one in a home: engines run as nobody
work=""
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

live() { [ -z "$root" ]; }

as_root() { "$@"; }
# shellcheck source=tools/quietly.sh
. tools/quietly.sh

install_packages() {
    missing=""
    for package in $(sed -n 's/^run  *//p' packages.txt); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_quietly $missing
}

# Beside the one in use, then in its place: the daemon starts engines out of it at any time.
install_program() {
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' ||
        { echo "install: $python is not Python 3.11 to 3.13" >&2; exit 1; }
    new="$root/opt/clearway.new"
    rm -rf "$new"
    mkdir -p "$new/libexec"
    work=$(mktemp -d)
    "$python" -m venv "$work/pip"
    "$python" -m venv --without-pip "$new"
    pip="$work/pip/bin/pip -q --disable-pip-version-check --python $new/bin/python install"
    $pip --require-hashes --only-binary :all: -r requirements.lock
    cp -r routerd webui pyproject.toml README.md "$work/"  # building leaves traces, and the checkout is its owner's
    $pip --no-index --no-deps --no-build-isolation "$work"
    install -m 755 systemd/clearway-web-listen "$new/libexec/"
    find "$new/bin" -type f -not -name 'python*' -not -name 'routerd*' -not -name routerctl -delete
    for command in $commands; do sed -i '1s|^#!.*|#!/opt/clearway/bin/python|' "$new/bin/$command"; done
    "$new/bin/python" -m compileall -qq --invalidation-mode unchecked-hash "$new/lib" || true
    rm -rf "$root/opt/clearway.old"
    [ ! -e "$root/opt/clearway" ] || mv "$root/opt/clearway" "$root/opt/clearway.old"
    mv "$new" "$root/opt/clearway"
    rm -rf "$root/opt/clearway.old"
}

install_all() {
    if live; then install_packages; fi
    mkdir -p "$root/opt" "$root/usr/local/bin" "$root/etc/systemd/system" "$root/etc/sysusers.d" "$root/etc/tmpfiles.d"
    install_program
    for command in $commands; do ln -sf "/opt/clearway/bin/$command" "$root/usr/local/bin/$command"; done
    for unit in $units; do install -m 644 "systemd/$unit" "$root/etc/systemd/system/$unit"; done
    install -m 644 systemd/clearway.sysusers "$root/etc/sysusers.d/clearway.conf"
    install -m 644 systemd/clearway.tmpfiles "$root/etc/tmpfiles.d/clearway.conf"
    install -d -m 700 "$root/etc/clearway"
    install -m 600 systemd/clearway.example.toml "$root/etc/clearway/clearway.example.toml"
    if live; then start_or_say; fi
}

start_or_say() {
    systemd-sysusers clearway.conf
    systemd-tmpfiles --create clearway.conf
    systemctl daemon-reload
    if [ -e /etc/clearway/clearway.toml ] && /opt/clearway/bin/routerd check; then
        # shellcheck disable=SC2086
        systemctl enable -q $units
        # Not clearway-closed: it is for the boot, and the running daemon owns the guard table.
        systemctl restart clearway.service clearway-web.service
        echo "Clearway runs. The page: http://router.lan:8080 on the LAN; its setup code: sudo cat /var/lib/private/clearway-web/setup-secret"
    else
        echo "Installed, and not started: once it runs, nothing but transports uses the WAN port, SSH into it included."
        echo "Next: write /etc/clearway/clearway.toml (see clearway.example.toml there), then run make install again,"
        echo "      from the LAN side or the box's own screen."
    fi
}

# What hands over to a desync worker where the kernel's nftables knows no queue: a chain, and the jumps to it.
remove_handover() {
    command -v "$1" >/dev/null || return 0
    "$1" -t mangle -S 2>/dev/null | sed -n 's/^-A \(.* -j clearway-queue\)$/-D \1/p' | while read -r jump; do
        # shellcheck disable=SC2086
        "$1" -t mangle $jump || true
    done
    "$1" -t mangle -F clearway-queue 2>/dev/null || true
    "$1" -t mangle -X clearway-queue 2>/dev/null || true
}

remove_from_kernel() {
    nft delete table inet clearway 2>/dev/null || true
    nft delete table inet clearway_guard 2>/dev/null || true
    nft delete table inet clearway_queue 2>/dev/null || true
    for program in iptables-nft ip6tables-nft; do remove_handover $program; done
    for link in $(ip -o link show | sed -nE 's/^[0-9]+: (cw-[^:@]+)[:@].*/\1/p'); do ip link del "$link" 2>/dev/null || true; done
    for family in -4 -6; do
        ip $family rule show | sed -n 's/^\(5[0-9][0-9][0-9]\):.*/\1/p' | while read -r priority; do
            ip $family rule del priority "$priority" || true
        done
        for table in $(ip $family route show table all | sed -nE 's/.* table (51[0-9]{3}) .*/\1/p' | sort -u); do
            [ "$table" -gt 51255 ] || ip $family route flush table "$table" || true
        done
    done
}

uninstall_all() {
    if live; then
        # shellcheck disable=SC2086
        systemctl disable -q --now $units 2>/dev/null || true
        remove_from_kernel
        groupdel clearway 2>/dev/null || true
    fi
    for unit in $units; do rm -f "$root/etc/systemd/system/$unit"; done
    for command in $commands; do rm -f "$root/usr/local/bin/$command"; done
    rm -rf "$root/opt/clearway" "$root/etc/sysusers.d/clearway.conf" "$root/etc/tmpfiles.d/clearway.conf" \
        "$root/var/lib/clearway" "$root/var/lib/clearway-web" "$root/var/lib/private/clearway-web" \
        "$root/run/clearway" "$root/run/clearway-web" "$root/etc/clearway/clearway.example.toml"
    if live; then systemctl daemon-reload || true; fi
    echo "Removed. Your configuration stays in $root/etc/clearway; what was set in /proc/sys ends with the next boot."
}

case "${1:-install}" in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) echo "install.sh: $1? install or uninstall" >&2; exit 2 ;;
esac
