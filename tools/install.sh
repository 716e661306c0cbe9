#!/bin/sh
# Installs Clearway on a Debian or Raspberry Pi OS box, or (first word: uninstall) removes all but /etc/clearway.
# DESTDIR=folder makes the same files below a folder and starts nothing.
set -eu
cd "$(dirname "$0")/.."
root=${DESTDIR:-}
[ -n "$root" ] || [ "$(id -u)" = 0 ] || exec sudo "$0" "$@"
units="clearway-closed.service clearway.service clearway-web.service"

live() { [ -z "$root" ]; }

install_packages() {
    packages=$(sed -n 's/^run  *//p' packages.txt)
    # shellcheck disable=SC2086
    dpkg-query -W $packages >/dev/null 2>&1 && return
    apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $packages >/dev/null
}

install_all() {
    if live; then install_packages; fi
    rm -rf "$root/opt/clearway"
    mkdir -p "$root/opt/clearway" "$root/usr/local/bin" "$root/etc/systemd/system" "$root/usr/lib/sysusers.d"
    python3 -m venv --copies "$root/opt/clearway"
    "$root/opt/clearway/bin/python" -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    "$root/opt/clearway/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation .
    for command in routerd routerctl routerd-web; do
        sed -i "1s|^#!.*|#!/opt/clearway/bin/python|" "$root/opt/clearway/bin/$command"
        ln -sf "/opt/clearway/bin/$command" "$root/usr/local/bin/$command"
    done
    for unit in $units; do install -m 644 "systemd/$unit" "$root/etc/systemd/system/$unit"; done
    install -m 644 systemd/clearway.sysusers "$root/usr/lib/sysusers.d/clearway.conf"
    install -d -m 700 "$root/etc/clearway"
    [ -e "$root/etc/clearway/clearway.toml" ] || install -m 600 systemd/clearway.example.toml "$root/etc/clearway/clearway.example.toml"
    if live; then start_or_say; fi
}

start_or_say() {
    systemd-sysusers
    systemctl daemon-reload
    if [ -e /etc/clearway/clearway.toml ] && routerd check; then
        # shellcheck disable=SC2086
        systemctl enable --now $units
        echo "Clearway runs. The page: http://router.lan:8080 on the LAN; its setup code: /var/lib/clearway-web/setup-secret"
    else
        echo "Installed, and not started: once it runs, nothing but transports goes out of the WAN port, SSH into it included."
        echo "Next: write /etc/clearway/clearway.toml (see clearway.example.toml there), then run make install again."
    fi
}

uninstall_all() {
    if live; then
        # shellcheck disable=SC2086
        systemctl disable --now $units 2>/dev/null || true
        nft delete table inet clearway 2>/dev/null || true
        nft delete table inet clearway_guard 2>/dev/null || true
        for family in -4 -6; do
            ip $family rule show | sed -n 's/^\(5[0-9][0-9][0-9]\):.*/\1/p' | while read -r priority; do
                ip $family rule del priority "$priority" || true
            done
            for table in $(seq 51000 51255); do ip $family route flush table "$table" 2>/dev/null || true; done
        done
    fi
    for unit in $units; do rm -f "$root/etc/systemd/system/$unit"; done
    for command in routerd routerctl routerd-web; do rm -f "$root/usr/local/bin/$command"; done
    rm -rf "$root/opt/clearway" "$root/usr/lib/sysusers.d/clearway.conf" "$root/var/lib/clearway" \
        "$root/var/lib/clearway-web" "$root/var/lib/private/clearway-web" "$root/run/clearway" \
        "$root/etc/clearway/clearway.example.toml"
    if live; then systemctl daemon-reload; fi
    echo "Removed. Your configuration stays in $root/etc/clearway."
}

case "${1:-install}" in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) echo "install.sh: $1? install or uninstall" >&2; exit 2 ;;
esac
