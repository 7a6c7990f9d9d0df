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
groff-base zsh fish dbus systemd e2fsprogs crun iptables libdevmapper1.02.1 python3-jsonschema
golang-github-opencontainers-specs-dev"
    command -v docker >/dev/null || packages="$packages docker.io"
fi

installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii  *//p')
missing=$(comm -23 <(printf '%s\n' $packages | sort -u) <(printf '%s\n' "$installed" | sort -u))

# Engines whose runtime we can be, of which the machine may have newer ones or none: their programs
# are unpacked here for the tests alone.
engines=/var/cache/coffer-tests/engines
unpack_engines() {
    local folder
    mkdir -p "${engines%/*}"
    folder=$(mktemp -d "$engines.XXXXXX")
    (cd "$folder" && apt-get download -q containerd docker.io && for package in *.deb; do
        dpkg-deb -x "$package" . && rm "$package"
    done)
    rm -rf "$engines"
    chmod 755 "$folder"
    mv "$folder" "$engines"
}
wants_engines() { [ "${1:-}" = --test ] && [ ! -x "$engines/usr/sbin/dockerd" ]; }

[ -n "$missing" ] || wants_engines "$@" || exit 0

# No service may be started by being installed.
if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
[ -z "$missing" ] || apt-get install -y -q --no-install-recommends $missing
if wants_engines "$@"; then unpack_engines; fi
