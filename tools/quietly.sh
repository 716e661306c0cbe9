# Sourced by setup.sh and install.sh. Debian starts what it installs, in the machine's own network: Tor would call its
# directory in clear at once, a resolver and an SSH server would listen. So nothing is started, now or at the next boot.
# `as_root COMMAND...` is the caller's.
install_quietly() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'as_root rm -f $policy' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
    fi
    as_root apt-get update -q >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >/dev/null
    for service in nginx unbound tor openssh-server/ssh; do
        case " $* " in *" ${service%/*} "*) as_root systemctl disable "${service#*/}" >/dev/null 2>&1 || true ;; esac
    done
)
