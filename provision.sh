#!/bin/sh
# provision.sh: makes a VM a target of netfacts; the Vagrantfile has it run as root at every start.
#
#   provision.sh engine 2001:db8:1::11/64               with docker.io of its own suite, unless it has an engine
#   provision.sh engine 2001:db8:1::11/64 BUNDLE.tgz    with Docker's static bundle as the engine that runs
#   provision.sh client 2001:db8:1::13/64               without an engine
#
# What has to be installed is what toxw says, which lies beside this. Where all of that is there, no network is needed.
set -eu

SEGMENT=198.51.100.0/24
UNIT=/etc/systemd/system/docker.service

refuse() {
    printf 'provision.sh: %s\n' "$@" >&2
    exit 4
}

[ $# -ge 2 ] || refuse 'takes engine or client, the IPv6 address on the segment, and perhaps a static bundle'
role=$1 address=$2 bundle=${3:-}
here=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd -P)

# First, or else toxw would bring an engine, too.
if [ -n "$bundle" ]; then
    [ "$role" = engine ] || refuse "a $role has no engine, so there is no place for a bundle"
    if [ -e /usr/bin/dockerd ] || [ -e /usr/sbin/dockerd ]; then
        refuse "the distribution's docker.io is installed here, and two engines would be in each other's way" \
            '→ apt-get remove docker.io, or a new VM: vagrant destroy, vagrant up'
    fi
    tar -xf "$bundle" -C /usr/local/bin --strip-components=1 --no-same-owner --no-same-permissions
    [ -x /usr/local/bin/dockerd ] || refuse "there is no dockerd in $bundle"
fi

sh "$here/toxw" --provision "$role"

if [ -n "$bundle" ]; then
    cat >"$UNIT" <<'END'
[Unit]
Description=Docker Engine of a static bundle
After=network.target

[Service]
Type=notify
ExecStart=/usr/local/bin/dockerd
LimitNOFILE=infinity
TasksMax=infinity
Delegate=yes

[Install]
WantedBy=multi-user.target
END
    systemctl daemon-reload
    systemctl enable docker.service
    systemctl restart docker.service
fi

# What virtual addresses and encrypted overlays need: a visit loads nothing that decides over traffic.
[ "$role" = client ] || modprobe -a ip_vs esp4 2>/dev/null || echo 'provision.sh: this kernel has no ip_vs or no esp4' >&2

# Of a box's network files each kind has its own way to write an IPv6 address; this way is the same on all.
nic=$(ip -o -4 address show to "$SEGMENT" | awk '{ print $2; exit }')
[ -n "$nic" ] || refuse "no interface has an address of $SEGMENT"
echo 0 >"/proc/sys/net/ipv6/conf/$nic/disable_ipv6"
ip -6 address replace "$address" dev "$nic" nodad
