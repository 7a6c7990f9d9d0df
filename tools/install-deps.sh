#!/bin/bash
# Installs what Coffer is built from, and with --test what its checks need. Debian 12; as root.
# Takes no time when all is there.
set -eu

packages="g++ cmake ninja-build ccache mold pkg-config libfmt-dev libssl-dev libsqlite3-dev
libcurl4-openssl-dev libseccomp-dev libnl-3-dev libnl-route-3-dev libnftables-dev libisal-dev
libzstd-dev zlib1g-dev libsystemd-dev libgtest-dev libgmock-dev libbenchmark-dev nftables iproute2
busybox-static"
if [ "${1:-}" = --test ]; then
    packages="$packages docker-registry skopeo runc podman debootstrap jq python3 gdb strace clang-16
clang-format clang-tidy-16 libclang-rt-16-dev curl procps uidmap umoci util-linux openssl git
groff-base zsh fish dbus systemd e2fsprogs"
    command -v docker >/dev/null || packages="$packages docker.io"
fi

installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii  *//p')
missing=$(comm -23 <(printf '%s\n' $packages | sort -u) <(printf '%s\n' "$installed" | sort -u))
[ -n "$missing" ] || exit 0

# No service may be started by being installed.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing
