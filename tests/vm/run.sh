#!/bin/bash
# Runs tests/vm on Debian kernels in an emulated machine (QEMU, no KVM needed): what this machine's own kernel lacks.
#
#   tests/vm/run.sh [arguments of pytest]    KERNELS=linux-image-amd64 runs that kernel alone; VM_SECONDS limits each;
#
# The guest's root is this machine's own over 9p, read-only, with overlays in memory (the checkout has one too: the
# sing-box wheel sets its file's mode at each start). Nothing that the guest does stays. The checkout must not lie
# under /var/cache, /var/tmp or /run, which are empty in the guest. Of the kernel packages only the files are used,
# unpacked into a cache, not installed. bookworm's linux-image-amd64 is 6.1, without `persist`; linux-image-6.12-amd64
# has it. A kernel that the machine's sources do not have is left out, and said to be.
# What is slow is the emulation: about 15 s to boot, up to a minute to bring the lab up.
# The exit status is the first failed guest's: pytest's own, 124 when it took too long, 255 when the guest crashed.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
cache=${CLEARWAY_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/clearway-vm}
limit=${VM_SECONDS:-600} # of pytest, for each kernel
arch=$(dpkg --print-architecture)

left_out() {
    echo "LEFT OUT: $1"
    exit 1
}

[ "$arch" = amd64 ] || left_out "the virtual machine's tests are for amd64 machines; this one is $arch"
mkdir -p "$cache"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"
    else echo "vm-test: $1 needs root, and there is no sudo" >&2; exit 1; fi
}

missing=()
for package in busybox-static kmod qemu-system-x86; do
    dpkg-query -W -f '${Status}' $package 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "vm-test: Debian packages: ${missing[*]}"
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}" >/dev/null
fi

# virtme-ng, in a place of its own: it is no part of what is tested.
venv=$cache/venv
made_from=$(sha256sum tests/vm/requirements.lock)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$made_from" ]; then
    .venv/bin/python -m venv --clear "$venv"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes --only-binary :all: \
        -r tests/vm/requirements.lock
    echo "$made_from" > "$venv/.stamp"
fi
PATH=$venv/bin:/usr/sbin:/sbin:$PATH

# Unpacks the newest kernel of a meta-package, once for each version; prints its folder.
unpacked() {
    local package version folder
    package=$(apt-cache depends --no-recommends --no-suggests "$1" 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
    [ -n "$package" ] || return 1
    version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p')
    folder=$cache/${package}_$version
    if [ ! -e "$folder/.done" ]; then
        echo "vm-test: unpacking $package $version" >&2
        rm -rf "$folder"
        mkdir -p "$folder/deb"
        (cd "$folder/deb" && apt-get download -q "$package=$version" >/dev/null 2>&1) || return 1
        dpkg-deb -x "$folder"/deb/*.deb "$folder"
        rm -r "$folder/deb"
        depmod -b "$folder" "$(ls "$folder/lib/modules")"
        touch "$folder/.done"
    fi
    echo "$folder"
}

# in_guest KERNEL SECONDS COMMAND: boots, runs, prints the console. An exit status is read off the console: virtme-ng's
# own ports want udev on this machine. The pipe after it: virtme-ng opens its output as a file, and would truncate one.
in_guest() {
    timeout -k 5 "$2" vng --verbose --run "$1" --root / --disable-kvm --force-9p \
        --overlay-rwdir="$here" --cpus 2 --memory 3G \
        --append "rootflags=version=9p2000.L,trans=virtio,access=any,msize=512000,cache=loose loglevel=3" \
        --exec "$3" </dev/null 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0 ran=0 less=()
for kernel in ${KERNELS:-linux-image-6.12-amd64 linux-image-amd64}; do
    if ! folder=$(unpacked "$kernel"); then
        echo "LEFT OUT: this machine's package sources have no $kernel, or could not be reached"
        continue
    fi
    [ "$ran" = 0 ] || less=(-k "not lossy_line") # the same on every kernel, and slow
    ran=$((ran + 1))
    release=$(ls "$folder/lib/modules")
    start=$SECONDS
    echo "-- vm $release"
    printf -v inside '%q ' timeout -s INT -k 20 "$limit" "$here/.venv/bin/python" -m pytest -q -rP -p no:cacheprovider \
        --tb=short --color=no "$here/tests/vm" "${less[@]}" "$@"
    in_guest "$folder/boot/vmlinuz-$release" $((limit + 60)) \
        "modprobe -a wireguard tun nf_conntrack nfnetlink_queue && cd $(printf %q "$here") && CLEARWAY_LAB_PATIENCE=5 PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $inside; echo vm-test: exit \$?" |
        tee "$log" | grep --line-buffered -av '^\[ *[0-9.]*\] ' || true
    rc=$(sed -n 's/^.*vm-test: exit \([0-9]*\).*$/\1/p' "$log" | tail -1)
    rc=${rc:-255}
    echo "-- vm $release: exit $rc after $((SECONDS - start)) s"
    [ "$rc" = 0 ] || [ "$status" != 0 ] || status=$rc
done
[ "$ran" -gt 0 ] || left_out "the virtual machine's tests: no kernel at all"
# The other way round: the box alone in the guest, whose clock is set, and the lab outside, whose time is right.
if [ $# = 0 ] && [ "$ran" -gt 0 ]; then
    rc=0
    as_root env CLOCK_KERNEL="$folder" CLEARWAY_VM_CACHE="$cache" PATH="$PATH" \
        .venv/bin/python -m pytest -q -rP -p no:cacheprovider --tb=short tests/vm/test_clock.py || rc=$?
    [ "$rc" = 0 ] || [ "$status" != 0 ] || status=$rc
fi
exit "$status"
