#!/bin/bash
# Installs what Coffer is built from, and with --test what its checks need. Debian 12; as root.
# Takes no time when all is there.
set -eu

packages="g++ cmake ninja-build ccache mold pkg-config libfmt-dev libssl-dev libsqlite3-dev libsodium-dev
libcurl4-openssl-dev libseccomp-dev libnl-3-dev libnl-route-3-dev libnftables-dev libisal-dev
libzstd-dev libtomlplusplus-dev libyaml-cpp-dev zlib1g-dev libsystemd-dev libgtest-dev libgmock-dev libbenchmark-dev
nftables iproute2 busybox-static"
if [ "${1:-}" = --test ]; then
    packages="$packages docker-registry skopeo runc podman debootstrap jq python3 gdb strace clang-16
clang-format clang-tidy-16 libclang-rt-16-dev curl procps uidmap umoci util-linux openssl git
buildah groff-base zsh fish dbus systemd e2fsprogs crun iptables libdevmapper1.02.1 python3-jsonschema
golang-github-opencontainers-specs-dev nginx-light docker-compose python3-docker"
    command -v docker >/dev/null || packages="$packages docker.io"
    command -v npm >/dev/null || packages="$packages nodejs npm"
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

# The clients of tests/clients that Debian has not: the versions and hashes of the lock file.
lock=$(dirname "$0")/../tests/clients/node/package-lock.json
clients=/var/cache/coffer-tests/node
install_clients() {
    local folder
    mkdir -p "${clients%/*}"
    folder=$(mktemp -d "$clients.XXXXXX")
    cp "${lock%/*}"/package*.json "$folder"
    if ! npm ci --prefix "$folder" --ignore-scripts --omit=optional --no-audit --no-fund; then
        rm -rf "$folder"
        echo "no dockerode for tests/clients: the registry of npm does not answer" >&2
        return
    fi
    rm -rf "$clients"
    chmod 755 "$folder"
    mv "$folder" "$clients"
}
wants_clients() { [ "${1:-}" = --test ] && ! cmp -s "$lock" "$clients/package-lock.json"; }

if [ -n "$missing" ] || wants_engines "$@"; then
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
fi
if wants_clients "$@"; then install_clients; fi
