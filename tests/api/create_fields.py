"""A case for every field of a create request, walked by test_create_fields.py."""
import json
import os
import pathlib
import re
import subprocess

from support.engine import wait_until

GROUP = "cg() { for f in \"$@\"; do cat /sys/fs/cgroup/$f 2>/dev/null && return; done; }; "
DISK = next((f"/dev/{name}" for name in sorted(os.listdir("/sys/block"))
             if re.match(r"[vsx]d|nvme|loop", name) and os.path.exists(f"/dev/{name}")), None)
LOOP = "/dev/loop0"


def number(disk):
    status = os.stat(disk)
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


class Case:
    """A request with the field, a script whose output must match, or a check of the container."""

    def __init__(self, value, script="true", want="", shown=None, more=None, check=None, path=None,
                 cmd=None):
        self.value, self.script, self.want = value, script, want
        self.shown, self.more, self.check, self.path = shown, more or {}, check, path
        self.cmd = cmd


def capabilities(text):
    return int(re.search(r"CapBnd:\s*(\w+)", text)[1], 16)


def after_exit(field, want):
    def check(test, name):
        wait_until(lambda: test.inspect(name)["State"]["Status"] == "exited")
        test.assertEqual(test.inspect(name)[field], want)
    return check


def health(condition):
    def check(test, name):
        wait_until(lambda: condition(test.inspect(name)["State"]["Health"]))
    return check


def never_ready(test, name):
    wait_until(lambda: test.inspect(name)["State"]["Health"]["FailingStreak"] >= 4)
    test.assertEqual(test.inspect(name)["State"]["Health"]["Status"], "starting")


def ports(test, name):
    test.assertTrue(test.inspect(name)["NetworkSettings"]["Ports"]["80/tcp"])


def exposed(test, name):
    test.assertEqual(test.inspect(name)["NetworkSettings"]["Ports"], {"80/tcp": None})


def gone(test, name):
    wait_until(lambda: test.engine.api("GET", f"/containers/{name}/json")[0] == 404)


def logs_refused(test, name):
    test.assertNotEqual(test.engine.api("GET", f"/containers/{name}/logs?stdout=1")[0], 200)


def labelled(test, name):
    found = test.engine.json("GET", '/containers/json?all=1&filters={"label":["a=b"]}')
    test.assertEqual([one["Id"] for one in found], [test.inspect(name)["Id"]])


def stops_with(code):
    def check(test, name):
        wait_until(lambda: "ready" in test.engine.docker("logs", name).stdout)
        test.engine.docker("stop", name)
        test.assertEqual(test.inspect(name)["State"]["ExitCode"], code)
    return check


def ends_with_its_input(test, name):
    test.engine.docker("rm", "-f", name)
    test.engine.docker("create", "--name", "once", "-i", "busybox", "cat")
    test.assertTrue(test.inspect("once")["Config"]["StdinOnce"])
    test.assertEqual(test.engine.docker("start", "-ai", "once", input="x").stdout, "x")
    test.assertEqual(test.inspect("once")["State"]["Status"], "exited")


def in_parent(test, name):
    pid = test.inspect(name)["State"]["Pid"]
    test.assertIn("/coffer-fields-parent/", pathlib.Path(f"/proc/{pid}/cgroup").read_text())


def annotated(test, name):
    full = test.inspect(name)["Id"]
    spec = json.loads((test.engine.exec_root / "containers" / full / "config.json").read_text())
    test.assertEqual(spec["annotations"]["a.b/c"], "d")


def volume_labelled(test, name):
    test.assertEqual(test.engine.json("GET", "/volumes/labelled")["Labels"], {"a": "b"})


def made(test, name):
    test.assertTrue((test.dir / "made").is_dir())


def shared(test, name):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", test.dir / "late"], check=True)
    try:
        (test.dir / "late/file").write_text("seen\n")
        test.assertEqual(test.engine.docker("exec", name, "cat", "/m/late/file").stdout, "seen\n")
    finally:
        subprocess.run(["umount", test.dir / "late"], check=True)


def healthcheck(**fields):
    return {"Healthcheck": {"Test": ["CMD", "false"], "Interval": 50_000_000, **fields}}


FOREVER = ["sleep", "1000"]
TRAP = ["sh", "-c", "trap 'exit 7' USR1; trap 'sleep 3; exit 5' TERM; echo ready; "
                    "while :; do sleep 0.05; done"]
GIB = 1 << 30

HONOURED = {
    "Cmd": Case(["echo", "said"], want="^said$"),
    "Domainname": Case("corp.test", "cat /proc/sys/kernel/domainname", "^corp.test$"),
    "Entrypoint": Case(["echo", "entry"], want="^entry sh -c true$"),
    "Env": Case(["A=b c"], "echo $A", "^b c$"),
    "ExposedPorts": Case({"80/tcp": {}}, check=exposed, cmd=FOREVER),
    "Healthcheck.Test": Case(["CMD", "true"], more={"Healthcheck": {"Interval": 50_000_000}},
                             cmd=FOREVER, check=health(lambda h: h["Status"] == "healthy")),
    "Healthcheck.Interval": Case(50_000_000, more={"Healthcheck": {"Test": ["CMD", "true"]}},
                                 cmd=FOREVER, check=health(lambda h: len(h["Log"]) >= 3)),
    "Healthcheck.Retries": Case(6, more=healthcheck(), cmd=FOREVER, check=health(
        lambda h: h["Status"] == "unhealthy" and h["FailingStreak"] >= 6)),
    "Healthcheck.Timeout": Case(
        100_000_000, more=healthcheck(Test=["CMD", "sleep", "1000"]), cmd=FOREVER,
        check=health(lambda h: h["Log"] and h["Log"][0]["ExitCode"] == -1)),
    "Healthcheck.StartPeriod": Case(3600 * 10**9, more=healthcheck(StartInterval=50_000_000),
                                    cmd=FOREVER, check=lambda t, n: wait_until(
                                        lambda: len(t.inspect(n)["State"]["Health"]["Log"]) >= 4)
                                    and t.assertEqual(
                                        t.inspect(n)["State"]["Health"]["Status"], "starting")),
    "Healthcheck.StartInterval": Case(
        50_000_000, more=healthcheck(StartPeriod=3600 * 10**9, Interval=3600 * 10**9), cmd=FOREVER,
        check=health(lambda h: len(h["Log"]) >= 3)),
    "Hostname": Case("called", "hostname", "^called$"),
    "Image": Case("busybox", "test -x /bin/busybox && echo it", "^it$"),
    "Labels": Case({"a": "b"}, check=labelled),
    "MacAddress": Case("02:42:ac:11:00:99", "ip link show eth0", "02:42:ac:11:00:99",
                       shown=lambda v: "02:42:ac:11:00:99" in json.dumps(v["NetworkSettings"])),
    "NetworkDisabled": Case(True, "ls /sys/class/net", "^lo$"),
    "OpenStdin": Case(True, "test -p /proc/self/fd/0 && echo pipe", "^pipe$"),
    "Shell": Case(["/bin/echo"], more={"Healthcheck": {"Test": ["CMD-SHELL", "by shell"],
                                                       "Interval": 50_000_000}}, cmd=FOREVER,
                  check=health(lambda h: h["Log"] and h["Log"][0]["Output"] == "by shell\n")),
    "StdinOnce": Case(True, more={"OpenStdin": True}, cmd=["true"], check=ends_with_its_input),
    "StopSignal": Case("SIGUSR1", cmd=TRAP, check=stops_with(7)),
    "StopTimeout": Case(1, cmd=TRAP, check=stops_with(137)),
    "Tty": Case(True, "test -t 1 && echo tty", "^tty\r?$"),
    "User": Case("65534:65534", "id -u; id -g", "^65534\n65534$"),
    "Volumes": Case({"/vol": {}}, "grep ' /vol ' /proc/mounts", "/vol"),
    "WorkingDir": Case("/tmp", "pwd", "^/tmp$"),
    # Host
    "HostConfig.Annotations": Case({"a.b/c": "d"}, cmd=FOREVER, check=annotated),
    "HostConfig.AutoRemove": Case(True, check=gone),
    "HostConfig.Binds": Case(["/etc/hostname:/b:ro"], "cat /b; echo x > /b",
                             re.escape(pathlib.Path("/etc/hostname").read_text().strip())),
    "HostConfig.CapAdd": Case(["CAP_SYS_PTRACE"], "grep CapBnd /proc/self/status",
                              check=None, want=lambda text: capabilities(text) >> 19 & 1),
    "HostConfig.CapDrop": Case(["CAP_CHOWN"], "grep CapBnd /proc/self/status",
                               want=lambda text: capabilities(text) & 1 == 0),
    "HostConfig.CgroupParent": Case("/coffer-fields-parent", cmd=FOREVER, check=in_parent),
    "HostConfig.CgroupnsMode": Case("host", "readlink /proc/self/ns/cgroup",
                                    lambda text: text.strip() ==
                                    os.readlink("/proc/self/ns/cgroup")),
    "HostConfig.ConsoleSize": Case([33, 77], "stty size", "33 77", more={"Tty": True}),
    "HostConfig.CpuPeriod": Case(50000, GROUP + "cg cpu.max cpu/cpu.cfs_period_us", "50000"),
    "HostConfig.CpuQuota": Case(30000, GROUP + "cg cpu.max cpu/cpu.cfs_quota_us", "30000"),
    "HostConfig.CpuShares": Case(512, GROUP + "cg cpu.weight cpu/cpu.shares", "^(20|512|59)$"),
    "HostConfig.CpusetCpus": Case("0", "grep Cpus_allowed_list /proc/self/status", ":\\s*0$"),
    "HostConfig.CpusetMems": Case("0", GROUP + "cg cpuset.mems cpuset/cpuset.mems", "^0$"),
    "HostConfig.Devices.PathOnHost": Case(LOOP, "ls -l /dev/x", "7, *0", path="HostConfig.Devices",
                                          more={"PathInContainer": "/dev/x"}),
    "HostConfig.Devices.PathInContainer": Case("/dev/given", "test -b /dev/given && echo it", "^it$",
                                               path="HostConfig.Devices",
                                               more={"PathOnHost": LOOP}),
    "HostConfig.Devices.CgroupPermissions": Case(
        "r", "dd if=/dev/x count=0 2>/dev/null && echo read; "
             "(: >> /dev/x) 2>/dev/null || echo not written", "^read\nnot written$",
        path="HostConfig.Devices", more={"PathOnHost": LOOP, "PathInContainer": "/dev/x"}),
    "HostConfig.DeviceCgroupRules": Case(
        ["b 7:0 w"], "(: >> /dev/x) && echo written", "^written$", more={"HostConfig": {"Devices": [
            {"PathOnHost": LOOP, "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]}}),
    "HostConfig.DeviceRequests.Driver": Case(
        "nvidia", "env", "^GPU=0$", path="HostConfig.DeviceRequests",
        more={"Count": 1, "Capabilities": [["gpu"]]}),
    "HostConfig.DeviceRequests.Count": Case(
        -1, "env | grep GPU", "^GPU=1$", path="HostConfig.DeviceRequests",
        more={"Capabilities": [["gpu"]]}),
    "HostConfig.DeviceRequests.Capabilities": Case(
        [["compute", "gpu"]], "env", "^GPU=0$", path="HostConfig.DeviceRequests",
        more={"Count": 1}),
    "HostConfig.DeviceRequests.DeviceIDs": Case(
        ["nvidia.com/gpu=1"], "env", "^GPU=1$", path="HostConfig.DeviceRequests",
        more={"Driver": "cdi"}),
    "HostConfig.Dns": Case(["192.0.2.53"], "cat /etc/resolv.conf", "192.0.2.53"),
    "HostConfig.DnsOptions": Case(["ndots:7"], "cat /etc/resolv.conf", "options .*ndots:7"),
    "HostConfig.DnsSearch": Case(["corp.test"], "cat /etc/resolv.conf", "search corp.test"),
    "HostConfig.ExtraHosts": Case(["other:192.0.2.9"], "cat /etc/hosts", "192.0.2.9\\s+other"),
    "HostConfig.GroupAdd": Case(["4242"], "id -G", "4242"),
    "HostConfig.Init": Case(True, "cat /proc/1/comm", "^docker-init$"),
    "HostConfig.IpcMode": Case("host", "readlink /proc/self/ns/ipc",
                               lambda text: text.strip() == os.readlink("/proc/self/ns/ipc")),
    "HostConfig.Links": Case(["target:nick"], "nslookup nick", "10.87.1.",
                             more={"HostConfig": {"NetworkMode": "fields"}},
                             shown=lambda v: True),
    "HostConfig.LogConfig.Type": Case("none", check=logs_refused),
    "HostConfig.LogConfig.Config": Case({"max-size": "1k", "max-file": "1"},
                                        "yes 0123456789 | head -500; echo last",
                                        lambda text: len(text) < 3000 and "last" in text,
                                        more={"HostConfig": {"LogConfig": {"Type": "json-file"}}}),
    "HostConfig.MaskedPaths": Case(["/proc/uptime"], "wc -c < /proc/uptime", "^0$"),
    "HostConfig.Memory": Case(GIB, GROUP + "cg memory.max memory/memory.limit_in_bytes",
                              f"^{GIB}$"),
    "HostConfig.MemoryReservation": Case(
        GIB, GROUP + "cg memory.low memory/memory.soft_limit_in_bytes", f"^{GIB}$"),
    "HostConfig.MemorySwap": Case(
        3 * GIB, GROUP + "cg memory.swap.max memory/memory.memsw.limit_in_bytes",
        f"^({2 * GIB}|{3 * GIB})$", more={"HostConfig": {"Memory": GIB}}),
    "HostConfig.Mounts.BindOptions.CreateMountpoint": Case(
        True, check=made, path="bind", more={"Source": "DIR/made"}),
    "HostConfig.Mounts.BindOptions.NonRecursive": Case(
        True, "ls /m/below", "^$", path="bind"),
    "HostConfig.Mounts.BindOptions.Propagation": Case(
        "rslave", cmd=FOREVER, check=shared, path="bind"),
    "HostConfig.Mounts.BindOptions.ReadOnlyForceRecursive": Case(
        True, "echo x > /m/below/file || echo refused", "^refused$", path="bind",
        more={"ReadOnly": True}),
    "HostConfig.Mounts.BindOptions.ReadOnlyNonRecursive": Case(
        True, "echo x > /m/below/file && echo written", "^written$", path="bind",
        more={"ReadOnly": True}),
    "HostConfig.Mounts.IdMap": Case("uids=0-7-1", "stat -c %u:%g /m", "^7:7$", path="mount"),
    "HostConfig.Mounts.ImageOptions.Subpath": Case(
        "bin", "test -e /m/busybox && echo it", "^it$", path="mount",
        more={"Type": "image", "Source": "busybox"}),
    "HostConfig.Mounts.ReadOnly": Case(True, "echo x > /m/x || echo refused", "^refused$",
                                       path="mount"),
    "HostConfig.Mounts.Source": Case("/etc/hostname", "cat /m",
                                     re.escape(pathlib.Path("/etc/hostname").read_text().strip()),
                                     path="mount", more={"Type": "bind"}),
    "HostConfig.Mounts.Target": Case("/there", "grep ' /there ' /proc/mounts", "/there",
                                     path="mount"),
    "HostConfig.Mounts.TmpfsOptions.Mode": Case(0o711, "stat -c %a /m", "^711$", path="tmpfs"),
    "HostConfig.Mounts.TmpfsOptions.Options": Case([["nr_inodes", "64"]], "df -i /m | tail -1",
                                                   " 64 ", path="tmpfs"),
    "HostConfig.Mounts.TmpfsOptions.SizeBytes": Case(1 << 20, "df -k /m | tail -1", " 1024 ",
                                                     path="tmpfs"),
    "HostConfig.Mounts.Type": Case("tmpfs", "grep ' /m ' /proc/mounts", "^tmpfs ", path="tmpfs"),
    "HostConfig.Mounts.VolumeOptions.DriverConfig.Name": Case("local", path="volume"),
    "HostConfig.Mounts.VolumeOptions.DriverConfig.Options": Case(
        {"type": "tmpfs", "device": "tmpfs"}, "grep ' /m ' /proc/mounts", "^tmpfs ", path="volume",
        more={"Source": "optional"}),
    "HostConfig.Mounts.VolumeOptions.Labels": Case({"a": "b"}, check=volume_labelled,
                                                   path="volume", more={"Source": "labelled"}),
    "HostConfig.Mounts.VolumeOptions.NoCopy": Case(True, "ls /etc/passwd 2>/dev/null || echo absent", "^absent$",
                                                   path="volume", more={"Target": "/etc",
                                                                        "Source": "empty"}),
    "HostConfig.Mounts.VolumeOptions.Subpath": Case("part", "cat /m/file", "^deep$",
                                                    path="volume"),
    "HostConfig.NanoCpus": Case(500_000_000, GROUP + "cg cpu.max cpu/cpu.cfs_quota_us", "^50000"),
    "HostConfig.NetworkMode": Case("none", "ls /sys/class/net", "^lo$"),
    "HostConfig.OomScoreAdj": Case(321, "cat /proc/self/oom_score_adj", "^321$"),
    "HostConfig.PidMode": Case("host", "readlink /proc/self/ns/pid",
                               lambda text: text.strip() == os.readlink("/proc/self/ns/pid")),
    "HostConfig.PidsLimit": Case(77, GROUP + "cg pids.max pids/pids.max", "^77$"),
    "HostConfig.PortBindings": Case({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
                                    cmd=FOREVER, check=ports),
    "HostConfig.Privileged": Case(True, "grep CapBnd /proc/self/status",
                                  lambda text: capabilities(text) >> 21 & 1),
    "HostConfig.PublishAllPorts": Case(True, cmd=FOREVER, check=ports,
                                       more={"ExposedPorts": {"80/tcp": {}}}),
    "HostConfig.ReadonlyPaths": Case(["/proc/fs"], "grep ' /proc/fs ' /proc/mounts", "ro,"),
    "HostConfig.ReadonlyRootfs": Case(True, "echo x > /x || echo refused", "^refused$"),
    "HostConfig.RestartPolicy.Name": Case(
        "on-failure", cmd=["false"], check=after_exit("RestartCount", 1),
        more={"HostConfig": {"RestartPolicy": {"MaximumRetryCount": 1}}}),
    "HostConfig.RestartPolicy.MaximumRetryCount": Case(
        2, cmd=["false"], check=after_exit("RestartCount", 2),
        more={"HostConfig": {"RestartPolicy": {"Name": "on-failure"}}}),
    "HostConfig.Runtime": Case("runc", "echo it", "^it$"),
    "HostConfig.SecurityOpt": Case(["no-new-privileges=false"], "grep NoNewPrivs /proc/self/status",
                                   "0$"),
    "HostConfig.ShmSize": Case(3 << 20, "df -k /dev/shm | tail -1", " 3072 "),
    "HostConfig.Sysctls": Case({"net.ipv4.ip_default_ttl": "77"},
                               "cat /proc/sys/net/ipv4/ip_default_ttl", "^77$"),
    "HostConfig.Tmpfs": Case({"/t": "size=1m"}, "df -k /t | tail -1", " 1024 "),
    "HostConfig.UTSMode": Case("host", "readlink /proc/self/ns/uts",
                               lambda text: text.strip() == os.readlink("/proc/self/ns/uts")),
    "HostConfig.Ulimits.Name": Case("nofile", "ulimit -n", "^99$", path="ulimit"),
    "HostConfig.Ulimits.Soft": Case(98, "ulimit -Sn", "^98$", path="ulimit"),
    "HostConfig.Ulimits.Hard": Case(199, "ulimit -Hn", "^199$", path="ulimit"),
    "HostConfig.VolumeDriver": Case("local"),
    "HostConfig.VolumesFrom": Case(["target"], "cat /tv/part/file", "^deep$"),
    # Networks
    "NetworkingConfig.EndpointsConfig.Aliases": Case(
        ["nick"], "nslookup nick", "10.87.1.", path="endpoint"),
    "NetworkingConfig.EndpointsConfig.GwPriority": Case(
        7, "ip route | head -1", "10.87.2.1", path="second"),
    "NetworkingConfig.EndpointsConfig.IPAMConfig.IPv4Address": Case(
        "10.87.1.77", "ip addr show eth0", "10.87.1.77", path="endpoint"),
    "NetworkingConfig.EndpointsConfig.IPAMConfig.IPv6Address": Case(
        "fd87:1::77", "ip addr show eth0", "fd87:1::77", path="endpoint"),
    "NetworkingConfig.EndpointsConfig.IPAMConfig.LinkLocalIPs": Case(
        ["169.254.1.1"], "ip addr show eth0", "169.254.1.1/16", path="endpoint"),
    "NetworkingConfig.EndpointsConfig.Links": Case(
        ["target:nick"], "nslookup nick", "10.87.1.", path="endpoint"),
    "NetworkingConfig.EndpointsConfig.MacAddress": Case(
        "02:42:ac:11:00:98", "ip link show eth0", "02:42:ac:11:00:98", path="endpoint"),
}

if DISK:
    for kind in ("ReadBps", "WriteBps", "ReadIOps", "WriteIOps"):
        old = "blkio/blkio.throttle." + kind.lower().replace("bps", "_bps").replace("iops", "_iops")
        for part in ("Path", "Rate"):
            HONOURED[f"HostConfig.BlkioDevice{kind}.{part}"] = Case(
                {"Path": DISK, "Rate": 1 << 20}[part], GROUP + f"cg io.max {old}_device",
                f"{number(DISK)} .*1048576", path=f"HostConfig.BlkioDevice{kind}",
                more={"Path": DISK, "Rate": 1 << 20})

# What the kernel may lack: refused by name, or left out with a warning that names it.
DEPENDS = {
    "HostConfig.BlkioWeight": (300, GROUP + "cg io.bfq.weight io.weight blkio/blkio.bfq.weight "
                                            "blkio/blkio.weight",
                               "^(default )?300$|^default 2930$", {}, "[Bb]lock I/O weight"),
    "HostConfig.CpuRealtimePeriod": (500_000, GROUP + "cg cpu/cpu.rt_period_us", "^500000$", {},
                                     "[Rr]eal-time|cpu.rt_"),
    "HostConfig.CpuRealtimeRuntime": (1000, GROUP + "cg cpu/cpu.rt_runtime_us", "^1000$", {},
                                      "[Rr]eal-time|cpu.rt_"),
    "HostConfig.MemorySwappiness": (33, GROUP + "cg memory/memory.swappiness", "^33$", {},
                                    "[Ss]wappiness"),
    "HostConfig.OomKillDisable": (True, GROUP + "cg memory/memory.oom_control",
                                  "oom_kill_disable 1", {"HostConfig": {"Memory": GIB}},
                                  "OomKillDisable|OOM"),
    "HostConfig.StorageOpt": ({"size": "1g"}, "true", "", {}, "storage-opt"),  # test_storage_opt
}
if DISK:
    for part in ("Path", "Weight"):
        DEPENDS[f"HostConfig.BlkioWeightDevice.{part}"] = (
            {"Path": DISK, "Weight": 200}[part],
            GROUP + "cg io.bfq.weight io.weight blkio/blkio.bfq.weight_device "
                    "blkio/blkio.weight_device", f"{number(DISK)} 200",
            [{"Path": DISK, "Weight": 200}], "[Ww]eight")

# A request, and what the refusal says.
REFUSED = {
    "HostConfig.Cgroup": ("x", "Cgroup"),
    "HostConfig.DeviceRequests.Options": ({"a": "b"}, "'a'"),
    "HostConfig.Isolation": ("hyperv", "isolation"),
    "HostConfig.UsernsMode": ("host", "userns"),
    "NetworkingConfig.EndpointsConfig.DriverOpts": ({"a": "b"}, "option a"),
}

RECORDED = {
    "ArgsEscaped": True, "AttachStderr": True, "AttachStdin": True, "AttachStdout": True,
    "OnBuild": ["RUN x"], "HostConfig.ContainerIDFile": "/tmp/id", "HostConfig.CpuCount": 2,
    "HostConfig.CpuPercent": 50, "HostConfig.IOMaximumBandwidth": 5, "HostConfig.IOMaximumIOps": 6,
    "HostConfig.Mounts.Consistency": "cached",
}
