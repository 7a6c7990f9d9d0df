"""Fields of config.json: each has its effect, or is refused by its name."""
import json
import os
import pathlib
import socket
import subprocess
import unittest

from support.bundle import RuntimeTest, TIMEOUT, capabilities, namespaces, user_namespace


def process(**fields):
    return lambda cfg: cfg["process"].update(fields)


def linux(**fields):
    return lambda cfg: cfg["linux"].update(fields)


def mount(destination, type, *options, source="x", **more):
    entry = {"destination": destination, "type": type, "source": str(source), "options": list(options), **more}
    return lambda cfg: cfg["mounts"].append(entry)


def each(*changes):
    def change(cfg):
        for one in changes:
            one(cfg)
    return change


class Process(RuntimeTest):
    def test_io_priority(self):
        # busybox has no ionice: the kernel's answer to ioprio_get is seen from outside.
        import ctypes
        self.created(change=process(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 5}))
        libc = ctypes.CDLL(None, use_errno=True)
        self.assertEqual(libc.syscall(252, 1, self.inspect()["pid"]), 2 << 13 | 5)
        self.refused(process(ioPriority={"class": "IOPRIO_CLASS_X", "priority": 1}), "process.ioPriority.class")
        self.refused(process(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 8}),
                     "process.ioPriority.priority")

    def test_scheduler(self):
        self.created(change=process(scheduler={"policy": "SCHED_BATCH", "nice": 5}))
        pid = self.inspect()["pid"]
        self.assertEqual(os.sched_getscheduler(pid), os.SCHED_BATCH)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, pid), 5)
        self.created(change=process(scheduler={"policy": "SCHED_IDLE", "flags": ["SCHED_FLAG_RESET_ON_FORK"]}),
                     name="idle")
        self.assertEqual(os.sched_getscheduler(self.inspect("idle")["pid"]),
                         os.SCHED_IDLE | os.SCHED_RESET_ON_FORK)
        for scheduler, field in (({"policy": "X"}, "policy"), ({"policy": "SCHED_OTHER", "nice": 20}, "nice"),
                                 ({"policy": "SCHED_OTHER", "priority": 3}, "priority"),
                                 ({"policy": "SCHED_FIFO", "priority": 1, "runtime": 7}, "runtime"),
                                 ({"policy": "SCHED_OTHER", "flags": ["F"]}, "flags")):
            self.refused(process(scheduler=scheduler), f"process.scheduler.{field}")

    def test_personality(self):
        self.assertEqual(self.sh("uname -m", linux(personality={"domain": "LINUX32"})), "i686\n")
        self.assertEqual(self.sh("uname -m", linux(personality={"domain": "LINUX"})), "x86_64\n")
        self.refused(linux(personality={"domain": "SOLARIS"}), "linux.personality.domain")
        self.refused(linux(personality={"domain": "LINUX", "flags": ["F"]}), "linux.personality.flags")
        self.running(change=linux(personality={"domain": "LINUX32"}))
        self.assertEqual(self.oci("exec", "box", "uname", "-m").out, "i686\n")

    def test_memory_policy(self):
        policy = {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}
        # The stack is the program's own; the kernel's text is the policy's name.
        text = self.sh("grep stack /proc/self/numa_maps || echo bind:0", linux(memoryPolicy=policy))
        self.assertIn("bind", text)
        self.refused(linux(memoryPolicy={"mode": "MPOL_X"}), "linux.memoryPolicy.mode")
        self.refused(linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "a"}), "linux.memoryPolicy.nodes")
        self.refused(linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "0", "flags": ["F"]}),
                     "linux.memoryPolicy.flags")
        self.refused(linux(memoryPolicy={"mode": "MPOL_BIND", "nodes": "900"}), "linux.memoryPolicy")

    def test_limits_umask_groups_and_score(self):
        change = each(process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 55, "hard": 66}], oomScoreAdj=321,
                              user={"uid": 3, "gid": 4, "umask": 0o027, "additionalGids": [5, 6]}))
        text = self.sh("umask; id -G; cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn", change)
        self.assertEqual(text.split("\n")[:-1], ["0027", "4 5 6", "321", "55", "66"])

    def test_capabilities_that_cannot_be_granted_are_left_out_with_a_warning(self):
        caps = {kind: ["CAP_KILL", "CAP_NONSENSE"] for kind in ("bounding", "effective", "permitted")}
        bundle = self.bundle("grep", "Cap", "/proc/self/status")
        process(capabilities=caps)(bundle.config)
        done = self.run_in(bundle)
        self.assertEqual(done.out.split()[1::2], ["0" * 16] + ["0" * 14 + "20"] * 3 + ["0" * 16])
        self.assertEqual(done.err.count("level=warn"), 1)
        self.assertIn("'CAP_NONSENSE' is unknown or cannot be granted", done.err)

    def test_five_capability_sets(self):
        caps = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
                "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
        text = self.sh("grep Cap /proc/self/status", process(capabilities=caps, user={"uid": 9, "gid": 9}))
        self.assertEqual([int(line.split()[1], 16) for line in text.splitlines()],
                         [1 << 5, 1 << 5, 1 << 5, 1 << 5 | 1, 1 << 5])

    def test_refused_by_name(self):
        self.refused(process(args=[]), "process.args")
        self.refused(process(cwd="x"), "process.cwd")
        self.refused(process(env=["X"]), "process.env")
        self.refused(process(oomScoreAdj=1001), "process.oomScoreAdj")
        self.refused(process(rlimits=[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "process.rlimits")
        self.refused(process(user={"uid": 0, "gid": 0, "username": "x"}), "process.user.username")
        self.refused(linux(intelRdt={"closID": "x"}), "linux.intelRdt")
        self.refused(linux(rootfsPropagation="x"), "linux.rootfsPropagation")
        self.refused(linux(namespaces=[{"type": "mount"}, {"type": "x"}]), "linux.namespaces")
        self.refused(linux(uidMappings=[{"containerID": 0, "hostID": 1, "size": 1}]), "linux.uidMappings")
        self.refused(linux(gidMappings=[{"containerID": 0, "hostID": 1, "size": 1}]), "linux.gidMappings")
        self.refused(linux(maskedPaths=["x"]), "linux.maskedPaths")
        self.refused(linux(readonlyPaths=["x"]), "linux.readonlyPaths")
        self.refused(linux(timeOffsets={"monotonic": {"secs": 1, "nanosecs": 1}}), "linux.timeOffsets")


class Mounts(RuntimeTest):
    def test_copy_up_fills_the_tmpfs(self):
        bundle = self.bundle("sh", "-c", "cat /data/sub/file; readlink /data/link; stat -c %u:%a /data/sub;"
                                              "mount | grep /data; echo new > /data/new")
        data = bundle.rootfs / "data"
        (data / "sub").mkdir(parents=True)
        (data / "sub/file").write_text("text\n")
        os.chown(data / "sub", 12, 13)
        os.chmod(data / "sub", 0o751)
        os.symlink("sub/file", data / "link")
        mount("/data", "tmpfs", "tmpcopyup", "nodev", source="mine")(bundle.config)
        done = self.run_in(bundle)
        lines = done.out.splitlines()
        self.assertEqual(lines[:3], ["text", "sub/file", "12:751"])
        self.assertIn("mine on /data type tmpfs", lines[3])
        self.assertFalse((data / "new").exists())

    def test_options_of_a_whole_tree(self):
        tree = self.dir / "tree"
        (tree / "below").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "below", tree / "below"], check=True)
        self.addCleanup(subprocess.run, ["umount", tree / "below"], check=True)
        text = self.sh("touch /tree/x 2>&1; touch /tree/below/x 2>&1; true",
                       mount("/tree", "bind", "rbind", "rro", source=tree))
        self.assertEqual(text.count("Read-only file system"), 2, text)
        text = self.sh("touch /tree/x 2>&1; touch /tree/below/x 2>&1; true",
                       mount("/tree", "bind", "rbind", "ro", source=tree))
        self.assertEqual(text.count("Read-only file system"), 1, text)
        text = self.sh("grep ' /t ' /proc/mounts", mount("/t", "tmpfs", "rnoexec", "rnosuid"))
        self.assertIn("noexec", text)
        self.assertIn("nosuid", text)

    def test_a_bound_file(self):
        file = self.dir / "file"
        file.write_text("bound\n")
        self.assertEqual(self.sh("cat /etc/new", mount("/etc/new", "bind", "bind", source=file)), "bound\n")

    def test_propagation(self):
        def line_of(place, *options, **fields):
            text = self.sh("cat /proc/self/mountinfo", each(mount("/t", "tmpfs", *options), linux(**fields)))
            return next(line for line in text.splitlines() if f" {place} " in line)
        self.assertNotIn("shared:", line_of("/t"))
        self.assertIn("shared:", line_of("/t", "shared"))
        self.assertIn("shared:", line_of("/", rootfsPropagation="shared"))

    def test_a_slave_root_shows_what_the_host_mounts(self):
        bundle = self.bundle("sleep", "1000")
        linux(rootfsPropagation="rslave")(bundle.config)
        root = bundle.rootfs
        for words in (["--bind", root, root], ["--make-shared", root]):
            subprocess.run(["mount", *words], check=True)
        self.addCleanup(subprocess.run, ["umount", "-R", root], check=True)
        bundle.write()
        with self.background("run", "-b", bundle.path, "box", stderr=subprocess.DEVNULL) as run:
            self.wait_for(lambda: self.oci("exec", "box", "true", check=False).status == 0, "the container")
            subprocess.run(["mount", "-t", "tmpfs", "late", root / "tmp"], check=True)
            (root / "tmp/seen").touch()
            self.oci("exec", "box", "test", "-e", "/tmp/seen")
            self.oci("kill", "box", "KILL")
            run.wait(TIMEOUT)

    def test_id_mapped_binds(self):
        shared = self.dir / "shared"
        shared.mkdir()
        os.chown(shared, 5, 6)

        def maps(inside, outside):
            return [{"containerID": inside, "hostID": outside, "size": 1}, {"containerID": 0, "hostID": 0, "size": 1}]
        text = self.sh("stat -c %u:%g /s; touch /s/new", each(
            lambda cfg: capabilities(cfg, ["CAP_DAC_OVERRIDE"]),
            mount("/s", "bind", "bind", source=shared, uidMappings=maps(5, 77), gidMappings=maps(6, 88))))
        self.assertEqual(text, "77:88\n")
        text = self.sh("stat -c %u:%g /s", each(user_namespace, mount("/s", "bind", "bind", "idmap", source=shared)))
        self.assertEqual(text, "5:6\n")

    def test_control_groups_inside(self):
        for changes in ({"cgroup": None}, {"cgroup": ""}):
            text = self.sh("cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null;"
                           "touch /sys/fs/cgroup/x 2>&1 || true",
                           each(lambda cfg, new=changes: namespaces(cfg, **new),
                                linux(resources={"pids": {"limit": 44}})))
            self.assertIn("44\n", text, changes)
            self.assertIn("Read-only", text, changes)

    def test_protected_paths(self):
        bundle = self.bundle("sh", "-c", "cat /etc/secret; ls /hidden; echo 1 > /etc/fixed; true")
        root = bundle.rootfs
        (root / "etc/secret").write_text("visible")
        (root / "hidden").mkdir()
        (root / "hidden/visible").touch()
        (root / "etc/fixed").write_text("as it was")
        linux(maskedPaths=["/etc/secret", "/hidden", "/absent"], readonlyPaths=["/etc/fixed"])(bundle.config)
        done = self.run_in(bundle, check=False)
        self.assertEqual(done.out, "")
        self.assertEqual((root / "etc/fixed").read_text(), "as it was")

    def test_other_file_systems(self):
        self.assertIn("ramfs", self.sh("grep ' /r ' /proc/mounts", mount("/r", "ramfs", "mode=700")))
        self.assertIn("mqueue", self.sh("grep ' /q ' /proc/mounts", mount("/q", "mqueue")))
        self.refused(mount("/x", "nosuchfs"), "nosuchfs")
        self.refused(mount("/x", ""), "mount '/x'")

    def test_refused_by_name(self):
        self.refused(mount("/x", "bind", "bind", "sync", source="/etc"), "'sync'")
        self.refused(mount("/x", "bind", "bind", "tmpcopyup", source="/etc"), "'tmpcopyup'")
        self.refused(mount("/x", "tmpfs", "remount"), "'remount'")
        self.refused(mount("/x", "tmpfs", "nonsense"), "nonsense")
        self.refused(mount("x", "tmpfs"), "mount destination 'x'")
        self.refused(mount("/x", "tmpfs", "idmap"), "mount '/x'")


class Seccomp(RuntimeTest):
    def test_the_agent_gets_the_listener(self):
        path = str(self.dir / "agent.sock")
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "meta",
                   "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}]}
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(30)
            self.created(change=linux(seccomp=profile))
            pid = self.inspect()["pid"]
            self.oci("start", "box")
            self.receive(listener, pid, "created")
            # A process of exec has a listener of its own.
            with self.background("exec", "box", "sleep", "1000", stderr=subprocess.DEVNULL):
                self.receive(listener, None, "running")

    def receive(self, listener, pid, status):
        connection, _ = listener.accept()
        connection.settimeout(30)
        text, fds, _, _ = socket.recv_fds(connection, 65536, 4)
        self.assertEqual(connection.recv(1), b"", "one message a connection")
        connection.close()
        self.assertEqual(len(fds), 1)
        self.assertIn("seccomp notify", os.readlink(f"/proc/self/fd/{fds[0]}"))
        os.close(fds[0])
        state = json.loads(text)
        self.assertEqual((state["fds"], state["metadata"], state["state"]["id"], state["state"]["status"]),
                         (["seccompFd"], "meta", "box", status))
        if pid:
            self.assertEqual(state["pid"], pid)

    def test_nobody_takes_the_listener(self):
        profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(self.dir / "absent"),
                   "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}]}
        self.created(change=linux(seccomp=profile))
        done = self.oci("start", "box", check=False)
        self.assertEqual(done.status, 1)
        self.assertIn("linux.seccomp.listenerPath", done.err)
        self.wait_for(lambda: self.inspect()["status"] == "stopped", "its end")

    def test_refused_by_name(self):
        def profile(**fields):
            return linux(seccomp={"defaultAction": "SCMP_ACT_ALLOW", **fields})
        self.refused(profile(defaultAction="X"), "linux.seccomp", "'X'")
        self.refused(profile(flags=["X"]), "linux.seccomp.flags")
        self.refused(profile(architectures=["X"]), "linux.seccomp", "architecture")
        self.refused(profile(listenerMetadata="x"), "linux.seccomp.listenerMetadata")
        notify = [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}]
        self.refused(profile(syscalls=notify), "linux.seccomp.listenerPath")
        notify[0]["names"] = ["sendmsg"]
        self.refused(profile(syscalls=notify, listenerPath="/x"), "linux.seccomp.syscalls", "sendmsg")
        self.refused(profile(syscalls=[{"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "errnoRet": 3}]),
                     "linux.seccomp.syscalls", "errnoRet")
        self.refused(profile(syscalls=[{"names": [], "action": "SCMP_ACT_ERRNO"}]), "linux.seccomp.syscalls",
                     "names")

    def test_errno_and_conditions(self):
        rules = [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]
        text = self.sh("mkdir /tmp/x 2>&1; true", linux(seccomp={"defaultAction": "SCMP_ACT_ALLOW",
                                                                "syscalls": rules}))
        self.assertIn("No space left", text)


class NetDevices(RuntimeTest):
    def veth(self, name):
        subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"], check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", f"{name}p"], stderr=subprocess.DEVNULL)
        for address in ("10.9.8.7/24", "fd00:9::7/64"):
            subprocess.run(["ip", "addr", "add", address, "dev", name], check=True)

    def test_a_device_moves_with_its_addresses(self):
        self.veth("ns0")
        text = self.sh("ip addr", linux(netDevices={"ns0": {"name": "inside"}}))
        self.assertIn("inside", text)
        self.assertIn("10.9.8.7/24", text)
        self.assertIn("fd00:9::7/64", text)
        self.assertRegex(text, r"inside@.*[<,]UP[,>]")

    def test_names(self):
        self.veth("ns1")
        self.assertIn("net7x0", self.sh("ip link", linux(netDevices={"ns1": {"name": "net7x%d"}})))
        self.veth("ns2")
        self.refused(linux(netDevices={"ns2": {"name": "lo"}}), "linux.netDevices 'ns2'")
        self.refused(linux(netDevices={"absent": {}}), "linux.netDevices 'absent'")
        self.refused(linux(netDevices={"ns2": {"name": "a/b"}}), "linux.netDevices")

        self.refused(each(lambda cfg: namespaces(cfg, network=None), linux(netDevices={"ns2": {}})),
                     "linux.netDevices")

    def test_parameters_of_a_moved_device(self):
        self.veth("ns3")
        self.assertEqual(self.sh("cat /proc/sys/net/ipv4/conf/mine/forwarding",
                                 linux(netDevices={"ns3": {"name": "mine"}},
                                       sysctl={"net.ipv4.conf.mine.forwarding": "1"},
                                       readonlyPaths=["/proc/sys"])), "1\n")


class TimeAndNames(RuntimeTest):
    def test_time_offsets(self):
        change = each(lambda cfg: namespaces(cfg, time=""),
                      linux(timeOffsets={"boottime": {"secs": 1_000_000_000, "nanosecs": 0}}))
        self.assertGreater(float(self.sh("cat /proc/uptime", change).split()[0]), 1e9)

    def test_domain_name_and_sysctl(self):
        change = each(lambda cfg: cfg.update(domainname="dom.example"),
                      linux(sysctl={"net.ipv4.ip_forward": "1", "kernel.shmmni": "999"}))
        text = self.sh("cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni",
                       change)
        self.assertEqual(text.split(), ["dom.example", "1", "999"])


if __name__ == "__main__":
    unittest.main()
