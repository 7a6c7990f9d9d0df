#!/bin/bash
# From a fresh Debian 12 to a running container: sudo ./quickstart.sh
# Safe to repeat; a second run takes seconds. COFFER_DATA_ROOT, COFFER_EXEC_ROOT and COFFER_HOST
# choose other places than the system's, and COFFER_BRIDGE another bridge.
set -eu
cd "$(dirname "$0")"

data_root=${COFFER_DATA_ROOT:-/var/lib/coffer}
exec_root=${COFFER_EXEC_ROOT:-/run/coffer}
export COFFER_HOST=${COFFER_HOST:-unix:///run/coffer.sock}
bin=$PWD/build/release/bin
coffer=$bin/coffer
image=starter:latest

root='' container=''
clean_up() {
    [ -z "$root" ] || rm -rf "$root"
    [ -z "$container" ] || "$coffer" rm -f "$container" >/dev/null
}
trap clean_up EXIT
step() { printf '\n==> %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { echo "run it as root: sudo ./quickstart.sh" >&2; exit 1; }

step "Dependencies"
tools/install-deps.sh

step "Build"
[ -e build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release

answers() { "$coffer" version >/dev/null 2>&1; }

step "Engine"
if answers; then
    echo "already runs at $COFFER_HOST"
else
    mkdir -p "$exec_root" "$data_root"
    flags=(--data-root "$data_root" --exec-root "$exec_root" --host "$COFFER_HOST")
    [ -z "${COFFER_BRIDGE:-}" ] || flags+=(--bridge "$COFFER_BRIDGE")
    setsid "$bin/cofferd" "${flags[@]}" </dev/null >>"$data_root/cofferd.log" 2>&1 &
    engine=$!
    for _ in $(seq 100); do
        if answers; then break; fi
        kill -0 "$engine" 2>/dev/null || { tail "$data_root/cofferd.log" >&2; exit 1; }
        sleep 0.1
    done
    answers || { echo "the engine does not answer; see $data_root/cofferd.log" >&2; exit 1; }
    echo "started, process $engine, log in $data_root/cofferd.log"
fi

step "Starter image, from Debian's busybox-static"
if [ -n "$("$coffer" images -q "$image")" ]; then
    echo "$image is there"
else
    root=$(mktemp -d)
    mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,root}
    chmod 1777 "$root/tmp"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    tar -C "$root" --numeric-owner --owner=0 --group=0 -c . |
        "$coffer" import -c 'CMD ["/bin/sh"]' -c 'ENV PATH=/bin' - "$image"
fi

step "A container, and what isolates it"
container=$("$coffer" run -d --rm --memory 64m --pids-limit 64 --cpus 0.5 "$image" sleep 60)
"$coffer" exec "$container" /bin/sh -c '
row() { printf "  %-22s %s\n" "$1" "$2"; }
status() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
row "host name" "$(hostname)"
for ns in user pid mnt net uts ipc cgroup; do row "$ns namespace" "$(readlink /proc/self/ns/$ns)"; done
row "root here is" "uid $(awk "NR==1{print \$2}" /proc/self/uid_map) on the host"
row "capabilities" "$(status CapEff)"
row "bounding set" "$(status CapBnd)"
case $(status Seccomp) in 2) row seccomp "filter" ;; *) row seccomp "none" ;; esac
row "no_new_privs" "$(status NoNewPrivs)"
row "processes seen" "$(ls /proc | grep -c "^[0-9]")"
'
# The limits are read from outside: with cgroup v1 a container sees none of its control groups.
pid=$("$coffer" inspect -f '{{.State.Pid}}' "$container")
limit() {  # file of v2, controller of v1, its files
    local path
    path=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
    if [ -e "$path/$1" ]; then
        cat "$path/$1"
    else
        path=/sys/fs/cgroup/$2$(awk -F: -v c=",$2," 'index("," $2 ",", c) {print $3}' \
            "/proc/$pid/cgroup")
        (cd "$path" && paste -d ' ' "${@:3}")
    fi
}
printf '  %-22s %s\n' \
    "memory limit" "$(limit memory.max memory memory.limit_in_bytes) bytes" \
    "process limit" "$(limit pids.max pids pids.max)" \
    "cpu limit" "$(limit cpu.max cpu cpu.cfs_quota_us cpu.cfs_period_us) us, of each period"
echo "  (on the host: user namespace $(readlink /proc/self/ns/user))"

prefix=
[ "$COFFER_HOST" = unix:///run/coffer.sock ] || prefix="COFFER_HOST=$COFFER_HOST "
cat <<END

==> Next
  sudo $prefix$coffer run -it --rm $image
  sudo $prefix$coffer run -d --name web -p 8080:80 $image httpd -f -p 80
  sudo $prefix$coffer ps
END
