#!/bin/bash
# Pull and unpack of one Debian-sized layer from a registry on loopback: cofferd, dockerd and podman
# in turn, each into an empty store, through their usual command lines. Prints medians and ratios.
#
#   sudo bench/pull.sh [ROUNDS] [BIN]        default: 5 build/release/bin
set -eu
if [ "${1:-}" != --inside ]; then
    # Everything runs in one private network and mount namespace.
    exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside \
        "${1:-5}" "${2:-$(dirname "$0")/../build/release/bin}"
fi
rounds=$2
bin=$(realpath "$3")
work=$(mktemp -d /var/tmp/coffer-bench.XXXXXX)
cleanup() {
    set +e
    # All that lives in this pid namespace is ours.
    kill -TERM $(jobs -p) 2>/dev/null
    wait
    mount | awk -v w="$work" 'index($3, w) == 1 { print $3 }' | sort -r | xargs -r -n1 umount -l
    rm -rf "$work"
}
trap cleanup EXIT
ip link set lo up
mkdir -p /run/netns && mount -t tmpfs tmpfs /run

# The layer: a minimal Debian if a mirror was left in BENCH_ROOTFS, else as much of /usr.
rootfs=${BENCH_ROOTFS:-}
if [ -n "$rootfs" ]; then
    tar -C "$rootfs" -cf "$work/layer.tar" .
else
    tar -C / -cf "$work/layer.tar" usr/lib/python3 usr/lib/python3.11 usr/share/perl \
        usr/lib/git-core usr/share/doc 2>/dev/null || true
fi
mkdir -p "$work/layout"
umoci init --layout "$work/layout/oci"
umoci new --image "$work/layout/oci:x"
umoci raw add-layer --image "$work/layout/oci:x" "$work/layer.tar"
rm "$work/layer.tar.gz" 2>/dev/null || true

cat > "$work/registry.yml" <<EOF
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: 127.0.0.1:5000}
EOF
docker-registry serve "$work/registry.yml" 2>/dev/null &
sleep 1
image=127.0.0.1:5000/bench/layer:1
skopeo copy --quiet --dest-tls-verify=false "oci:$work/layout/oci:x" "docker://$image"
echo "layer: $(stat -c %s "$work/layer.tar" | numfmt --to=si)B tar," \
    "$(tar -tf "$work/layer.tar" | wc -l) entries," \
    "$(du -sb "$work/registry" | cut -f1 | numfmt --to=si)B in the registry"

"$bin/cofferd" --data-root "$work/coffer" --exec-root "$work/coffer-run" --bridge none \
    --host "unix://$work/coffer.sock" --pidfile "$work/coffer.pid" 2>"$work/coffer.log" &
dockerd --data-root "$work/docker" --exec-root "$work/docker-run" --bridge none --iptables=false \
    --ip6tables=false --host "unix://$work/docker.sock" --pidfile "$work/docker.pid" \
    >"$work/docker.log" 2>&1 &
for socket in coffer docker; do
    for _ in $(seq 100); do
        curl -s --unix-socket "$work/$socket.sock" http://x/_ping >/dev/null && break
        sleep 0.1
    done
done

podman() { command podman --root "$work/podman" --runroot "$work/podman-run" "$@"; }
pull_coffer() { DOCKER_HOST=unix://$work/coffer.sock docker pull -q "$image" >/dev/null; }
pull_docker() { DOCKER_HOST=unix://$work/docker.sock docker pull -q "$image" >/dev/null; }
pull_podman() { podman pull -q --tls-verify=false "$image" >/dev/null; }
drop_coffer() { DOCKER_HOST=unix://$work/coffer.sock docker rmi -f "$image" >/dev/null; }
drop_docker() { DOCKER_HOST=unix://$work/docker.sock docker rmi -f "$image" >/dev/null; }
drop_podman() { podman rmi -f "$image" >/dev/null; }

for round in $(seq "$rounds"); do
    for engine in coffer docker podman; do
        sync
        start=$(date +%s.%N)
        "pull_$engine"
        end=$(date +%s.%N)
        echo "$engine $(echo "$end - $start" | bc)" >>"$work/times"
        "drop_$engine"
    done
done

python3 - "$work/times" <<'PY'
import statistics, sys
times = {}
for line in open(sys.argv[1]):
    engine, seconds = line.split()
    times.setdefault(engine, []).append(float(seconds))
ours = statistics.median(times["coffer"])
for engine, values in times.items():
    median = statistics.median(values)
    print(f"{engine:8} {median:6.2f} s  ({min(values):.2f} to {max(values):.2f})"
          f"  {median / ours:5.1f}x")
PY
