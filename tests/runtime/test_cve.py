"""What went wrong in other runtimes, by CVE: a tree or a configuration that was made to mislead."""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from bundle import (BIN, RuntimeTest, all_capabilities, capabilities, digest, mount,  # noqa: E402
                    namespaces, payload, user_namespace)
from swapper import Swapper  # noqa: E402

ROUNDS = 10  # of each race


class Tree(RuntimeTest):
    """G1, G2, G3: names in the image, in volumes and in /proc."""

    def setUp(self):
        super().setUp()
        self.canary = self.dir / "canary"
        self.canary.mkdir()
        (self.canary / "file").write_text("untouched")

    def check_canary(self):
        self.assertEqual(os.listdir(self.canary), ["file"])
        self.assertEqual((self.canary / "file").read_text(), "untouched")

    def link_instead(self, bundle, name, target):
        os.rmdir(bundle.rootfs / name)
        os.symlink(target, bundle.rootfs / name)

    def image_with_link(self, name):
        bundle = self.bundle("echo", "must not run")
        (bundle.rootfs / "elsewhere").mkdir()
        for target in ("elsewhere", str(self.canary)):
            if (bundle.rootfs / name).is_symlink():
                (bundle.rootfs / name).unlink()
                (bundle.rootfs / name).mkdir()
            self.link_instead(bundle, name, target)
            ran = self.run_in(bundle, check=False)
            self.assertEqual((ran.status, ran.out), (1, ""))
            self.assertIn(f"'/{name}' of the image must be a folder", ran.err)
            self.assertEqual(os.listdir(bundle.rootfs / "elsewhere"), [])
            self.check_canary()

    def test_cve_2019_19921_proc_is_a_link(self):
        self.image_with_link("proc")

    def test_cve_2026_41579_dev_is_a_link(self):
        self.image_with_link("dev")

    def test_sys_is_a_link(self):
        self.image_with_link("sys")

    def test_cve_2023_27561_proc_is_swapped_for_a_link(self):
        bundle = self.bundle("sh", "-c", "echo bytes $(cat /proc/timer_list | wc -c); "
                                         "echo 1 > /proc/sys/kernel/msgmax && echo written")
        (bundle.rootfs / "fake").mkdir()
        os.symlink("fake", bundle.rootfs / "link")
        with Swapper(bundle.rootfs / "proc", bundle.rootfs / "link"):
            for _ in range(ROUNDS):
                ran = self.run_in(bundle, check=False)
                # It may find no procfs by that name, but never one that is not protected.
                self.assertIn(ran.out, ("", "bytes 0\n"))

    def test_cve_2023_27561_volume_on_proc(self):
        volume = self.dir / "volume"
        (volume / "sys/kernel").mkdir(parents=True)
        for name in ("timer_list", "sys/kernel/msgmax"):
            (volume / name).write_text("fake")

        def change(config):
            config["mounts"].append(mount("/proc", volume))
            config["linux"]["sysctl"] = {"kernel.msgmax": "4321"}
        self.sh("true", change)
        self.assertEqual((volume / "sys/kernel/msgmax").read_text(), "fake")

    def test_cve_2019_16884_labels_are_not_written_by_name(self):
        self.refused(lambda config: config["process"].update(apparmorProfile="some"),
                     "process.apparmorProfile")
        self.refused(lambda config: config["process"].update(selinuxLabel="some"),
                     "process.selinuxLabel")
        self.refused(lambda config: config["linux"].update(mountLabel="some"),
                     "linux.mountLabel")

    def test_cve_2025_52881_sysctl_is_misdirected(self):
        fake = self.dir / "fake"
        fake.write_text("untouched")

        def on_file(config):
            config["mounts"].append(mount("/proc/sys/kernel/msgmax", fake))
            config["linux"]["sysctl"] = {"kernel.msgmax": "4321"}
        self.refused(on_file, "kernel.msgmax")
        self.assertEqual(fake.read_text(), "untouched")

        folder = self.dir / "folder"
        folder.mkdir()
        os.symlink("/proc/sysrq-trigger", folder / "msgmax")

        def on_folder(config):
            config["mounts"].append(mount("/proc/sys/kernel", folder))
            config["linux"]["sysctl"] = {"kernel.msgmax": "4321"}
        self.refused(on_folder, "kernel.msgmax")

    def test_cve_2021_30465_volume_target_is_swapped(self):
        volume = self.dir / "volume"
        volume.mkdir()
        (volume / "marker").write_text("of the volume")
        for target in (self.canary, pathlib.Path("../../../../..") / str(self.canary)[1:]):
            bundle = self.bundle("sh", "-c", "grep -c ' /data' /proc/mounts; cat /data/sub/marker "
                                             "/real/sub/marker 2>/dev/null; true", change=lambda config:
                                 config["mounts"].append(mount("/data/sub", volume)))
            (bundle.rootfs / "data").mkdir()
            os.symlink(target, bundle.rootfs / "real")
            with Swapper(bundle.rootfs / "data", bundle.rootfs / "real"):
                for _ in range(ROUNDS):
                    self.run_in(bundle, check=False)
                    self.check_canary()
            self.assertEqual(os.listdir(volume), ["marker"])

    def test_cve_2024_45310_targets_are_made_inside(self):
        for link in (str(self.canary), "../../../../../.." + str(self.canary)):
            bundle = self.bundle("cat", "/made/link/folder/file", "/made/link/file")
            bundle.config["mounts"] += [mount("/made/link/folder", self.canary),
                                        mount("/made/link/file", self.canary / "file")]
            bundle.config["process"]["cwd"] = "/made/link/cwd"
            bundle.write()
            (bundle.rootfs / "made").mkdir()
            os.symlink(link, bundle.rootfs / "made/link")
            self.assertEqual(self.run_in(bundle, check=False).status, 1)  # the link leads nowhere
            self.check_canary()
            (bundle.rootfs / str(self.canary)[1:]).mkdir(parents=True)
            self.assertEqual(self.run_in(bundle).out, "untoucheduntouched")
            self.check_canary()
            self.assertTrue((bundle.rootfs / str(self.canary)[1:] / "cwd").is_dir())

    def test_cve_2024_45310_target_folder_is_swapped(self):
        bundle = self.bundle("true", change=lambda config: config["mounts"].append(
            mount("/data/a/b/c", self.canary / "file")))
        (bundle.rootfs / "data").mkdir()
        os.symlink(self.canary, bundle.rootfs / "real")
        with Swapper(bundle.rootfs / "data", bundle.rootfs / "real"):
            for _ in range(ROUNDS):
                self.run_in(bundle, check=False)
                shutil.rmtree(bundle.rootfs / "data/a", ignore_errors=True)
                self.check_canary()

    def test_cve_2025_31133_masks_are_not_of_the_image(self):
        volume = self.dir / "volume"
        volume.mkdir()
        os.symlink("/proc/sys/kernel/core_pattern", volume / "null")
        (volume / "file").write_text("evil")
        (volume / "folder").mkdir()
        script = "wc -c < /proc/timer_list; echo x > /proc/timer_list; ls /proc/acpi /sys/firmware; " \
                 "grep -c '/proc/timer_list tmpfs ro,' /proc/mounts; echo x > /dev/null"
        bundle = self.bundle("sh", "-c", script)
        bundle.config["mounts"] = [one for one in bundle.config["mounts"]
                                   if not one["destination"].startswith("/dev")]
        bundle.config["mounts"].append(mount("/dev", volume))
        bundle.write()
        before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
        ran = self.run_in(bundle, check=False)
        # An empty file, a write that fails, empty folders, the mask in the mount table.
        self.assertEqual(ran.out.split(), ["0", "/proc/acpi:", "/sys/firmware:", "1"])
        self.assertIn("can't create /proc/timer_list", ran.err)
        self.assertIn("can't create /dev/null", ran.err)
        self.assertEqual(pathlib.Path("/proc/sys/kernel/core_pattern").read_text(), before)

    def terminal_with(self, prepare):
        """A container with a terminal whose /dev is a folder of the host; gives the finished create."""
        devices = self.dir / "devices"
        (devices / "pts").mkdir(parents=True)
        prepare(devices)
        bundle = self.bundle("true")
        bundle.config["process"]["terminal"] = True
        bundle.config["mounts"] = [one for one in bundle.config["mounts"]
                                   if not one["destination"].startswith("/dev")]
        bundle.config["mounts"].append(mount("/dev", devices))
        if not os.listdir(devices / "pts"):
            bundle.config["mounts"].append(mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666",
                                                 type="devpts"))
        bundle.write()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.dir / "console.sock"))
            listener.listen()
            return self.oci("create", "-b", bundle.path, "--console-socket",
                            self.dir / "console.sock", "one", check=False)

    def test_cve_2025_52565_console_is_a_link(self):
        ran = self.terminal_with(lambda dev: os.symlink("/proc/sysrq-trigger", dev / "console"))
        self.assertEqual(ran.status, 1)
        self.assertIn("mount '/dev/console'", ran.err)

    def test_cve_2025_52565_terminals_are_no_terminals(self):
        ran = self.terminal_with(lambda dev: (dev / "pts/ptmx").write_text(""))
        self.assertEqual(ran.status, 1)
        self.assertIn("is not the device it should be", ran.err)

    def test_cve_2024_9676_passwd_that_blocks_or_never_ends(self):
        for make in (os.mkfifo, lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 1 << 40),
                     lambda path: os.symlink("/dev/zero", path), os.mkdir):
            bundle = self.bundle("sh", "-c", "echo $HOME")
            for name in ("passwd", "group"):
                (bundle.rootfs / "etc" / name).unlink()
                make(bundle.rootfs / "etc" / name)
            self.assertEqual(self.run_in(bundle).out, "/\n")

    def test_cve_2022_0811_sysctl_with_more_than_a_value(self):
        before = pathlib.Path("/proc/sys/kernel/core_pattern").read_text()
        for key, value in (("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"),
                           ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=|/x"),
                           ("kernel/shm_rmid_forced/../core_pattern", "|/x"),
                           ("kernel.core_pattern", "|/x"), ("kernel.sysrq", "1"),
                           ("net/../kernel/core_pattern", "|/x"), ("vm.overcommit_memory", "1")):
            self.refused(lambda config: config["linux"].update(sysctl={key: value}), "sysctl")
        self.assertEqual(pathlib.Path("/proc/sys/kernel/core_pattern").read_text(), before)


class Reach(RuntimeTest):
    """G4, G5, G21: the runtime's program, descriptors and privileges from inside."""

    def observer(self, bundle):
        bundle.add(payload("observe"))
        bundle.config["process"]["args"] = ["/bin/observe"]
        return bundle.write()

    def test_cve_2019_5736_the_program_cannot_be_overwritten(self):
        # A copy: should it be overwritten after all, nobody else suffers.
        program = self.dir / "coffer-oci"
        shutil.copy(BIN / "coffer-oci", program)
        before = digest(program)
        self.oci("create", "-b", self.bundle("sleep", "100").path, "victim", program=program)

        def inside_the_victim(config):
            namespaces(config, pid=f"/proc/{self.pid('victim')}/ns/pid")
            capabilities(config, all_capabilities())
        ran = self.start(self.observer(self.bundle(change=inside_the_victim)), "attacker")
        self.until_output(ran, "exe ")
        self.oci("start", "victim", program=program)  # from now on its program is not busy
        self.until_output(ran, "write ")
        self.assertNotIn("write done", ran.out)
        # A memory file, or a mount that is nowhere.
        self.assertRegex(ran.out, "exe (/memfd:|/)coffer-oci")
        self.assertEqual(digest(program), before)

    def test_cve_2019_5736_exec_runs_from_the_copy(self):
        program = self.dir / "coffer-oci"
        shutil.copy(BIN / "coffer-oci", program)
        before = digest(program)
        change = lambda config: capabilities(config, all_capabilities())  # noqa: E731
        ran = self.start(self.observer(self.bundle(change=change)), "one")
        self.until_output(ran, "watching")
        for _ in range(ROUNDS):
            self.oci("exec", "one", "true", program=program)
        self.assertNotIn("write done", ran.out)
        self.assertNotIn(str(program), ran.out)
        self.assertEqual(digest(program), before)

    def test_cve_2019_5736_the_program_does_not_execute_itself(self):
        for path in ("/proc/self/exe", "/bin/link"):
            bundle = self.bundle(path)
            os.symlink("/proc/self/exe", bundle.rootfs / "bin/link")
            ran = self.run_in(bundle, check=False)
            self.assertEqual(ran.status, 1)
            self.assertIn("permission denied", ran.err)
        bundle = self.bundle("/bin/script")
        (bundle.rootfs / "bin/script").write_text("#!/proc/self/exe\n")
        (bundle.rootfs / "bin/script").chmod(0o755)
        ran = self.run_in(bundle, check=False)
        self.assertEqual(ran.status, 1)
        self.assertIn("permission denied", ran.err)

    def test_cve_2016_9962_who_joins_is_out_of_reach(self):
        for name, change in (("plain", None), ("mapped", user_namespace)):
            ran = self.start(self.observer(self.bundle(change=change)), name)
            self.until_output(ran, "watching")
            for _ in range(ROUNDS):
                self.oci("exec", name, "true")
            self.assertEqual(ran.out, "watching \n")
            self.oci("delete", "--force", name)

    def test_cve_2016_9962_created_init_is_out_of_reach(self):
        self.oci("create", "-b", self.bundle("sleep", "100").path, "victim")
        change = lambda config: namespaces(config, pid=f"/proc/{self.pid('victim')}/ns/pid")  # noqa: E731
        ran = self.start(self.observer(self.bundle(change=change)), "attacker")
        self.until_output(ran, "watching")
        self.oci("start", "victim")
        self.assertEqual(ran.out, "watching \n")

    def test_cve_2024_21626_no_descriptor_leaks(self):
        bundle = self.bundle("sh", "-c", "ls /proc/1/fd; sleep 100")
        root = os.open("/", os.O_PATH)
        plain = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, root)
        self.addCleanup(os.close, plain)
        self.assertGreater(plain, 2)
        ran = self.oci("create", "-b", bundle.path, "one", pass_fds=(root, plain))
        links = [os.readlink(f"/proc/{self.pid('one')}/fd/{n}")
                 for n in os.listdir(f"/proc/{self.pid('one')}/fd") if int(n) > 2]
        self.assertEqual([link for link in links if not link.startswith("socket:")], [])
        self.oci("start", "one")
        self.until_output(ran, "2\n")
        self.assertEqual(ran.out.split(), ["0", "1", "2"])
        ran = self.oci("exec", "one", "sh", "-c", "ls /proc/$$/fd; true", pass_fds=(root, plain))
        self.assertEqual(ran.out.split(), ["0", "1", "2"])

    def test_cve_2024_21626_working_folder_through_a_descriptor(self):
        self.start(self.bundle("sleep", "100"), "one")
        root = os.open("/", os.O_RDONLY)
        self.addCleanup(os.close, root)
        places = [f"/proc/self/fd/{n}" for n in range(3, 12)] + [
            "/proc/self/cwd", "/proc/1/root", "/link/etc", "/proc/thread-self/fd/3"]
        for cwd in places:
            bundle = self.bundle("pwd", change=lambda config: config["process"].update(cwd=cwd))
            os.symlink("/proc/self/fd/3", bundle.rootfs / "link")
            ran = self.run_in(bundle, check=False, pass_fds=(root,))
            self.assertEqual((ran.status, ran.out), (1, ""), cwd)
            self.assertIn("chdir to cwd", ran.err)
            if cwd.startswith("/link"):
                continue
            ran = self.oci("exec", "--cwd", cwd, "one", "pwd", check=False, pass_fds=(root,))
            self.assertEqual((ran.status, ran.out), (255, ""), cwd)

    def test_cve_2022_29162_no_inheritable_capabilities(self):
        want = {"CapInh": 0, "CapAmb": 0, "CapPrm": 1 << 5, "CapEff": 1 << 5, "CapBnd": 1 << 5}
        some = "+chown,+net_raw,+kill,+sys_admin"
        with_all = ["setpriv", "--inh-caps", some, "--ambient-caps", some]
        change = lambda config: capabilities(config, ["CAP_KILL"])  # noqa: E731
        bundle = self.bundle("sh", "-c", "grep Cap /proc/self/status; sleep 100", change=change)
        ran = self.oci("create", "-b", bundle.path, "one", prefix=with_all)
        self.oci("start", "one", prefix=with_all)
        self.until_output(ran, "CapAmb")

        def sets(text):
            return {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines()}
        self.assertEqual(sets(ran.out), want)
        exec_ = ["exec", "one", "grep", "Cap", "/proc/self/status"]
        self.assertEqual(sets(self.oci(*exec_, prefix=with_all).out), want)
        exec_[1:1] = ["--cap", "CAP_NET_RAW"]
        want.update({kind: 1 << 5 | 1 << 13 for kind in ("CapPrm", "CapEff", "CapBnd")})
        self.assertEqual(sets(self.oci(*exec_, prefix=with_all).out), want)

    def test_cve_2026_30892_users_of_exec_are_what_they_say(self):
        self.start(self.bundle("sleep", "100"), "one")
        for given, ids in (("1", "1 0"), ("1:2", "1 2"), ("2147483647", "2147483647 0"), ("0", "0 0")):
            ran = self.oci("exec", "-u", given, "one", "sh", "-c", "echo $(id -u) $(id -g)")
            self.assertEqual(ran.out, ids + "\n")
        for given in ("", "-1", "1x", "0x1", "+1", " 1", "1 ", "1:", ":1", "1:-1", "1:2:3", "root",
                      "2147483648", "4294967295", "4294967296", "18446744073709551616"):
            ran = self.oci("exec", "-u", given, "one", "id", check=False)
            self.assertEqual((ran.status, ran.out), (255, ""), given)

    def test_cve_2024_40635_user_ids_out_of_range(self):
        for uid in (-1, 1 << 32, 1 << 64, "0", 1.5, 4294967295):
            ran = self.sh("id", lambda config: config["process"]["user"].update(uid=uid), check=False)
            self.assertEqual((ran.status, ran.out), (1, ""), uid)

    def test_cve_2023_25809_cgroups_cannot_be_written(self):
        script = """
            for d in /sys/fs/cgroup/*; do
                [ -d $d ] && [ ! -L $d ] || continue
                echo $$ > $d/cgroup.procs && echo joined $d
                mkdir $d/below && echo made $d
                echo /x > $d/release_agent && echo release_agent $d
            done
            mkdir /sys/fs/cgroup/below && echo made
            cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"""
        for kind in ("", None):
            for user in (False, True):
                def change(config):
                    namespaces(config, cgroup=kind)
                    config["linux"]["resources"]["memory"] = {"limit": 1 << 28}
                    if user:
                        user_namespace(config)
                self.assertEqual(self.sh(script, change, check=False).out, f"{1 << 28}\n")

    def test_cve_2022_0492_release_agent(self):
        # Even with every capability in a user namespace of its own.
        def change(config):
            user_namespace(config)
            capabilities(config, all_capabilities())
        ran = self.sh("mount -o remount,rw /sys/fs/cgroup/memory; "
                      "echo /x > /sys/fs/cgroup/memory/release_agent && echo set; "
                      "mkdir /tmp/g && mount -t cgroup -o memory memory /tmp/g && "
                      "echo /x > /tmp/g/release_agent && echo set", change, check=False)
        self.assertNotIn("set", ran.out)

    def test_cve_2022_1227_ps_is_the_hosts(self):
        bundle = self.bundle("sleep", "100")
        (bundle.rootfs / "bin/ps").unlink()
        (bundle.rootfs / "bin/ps").write_text("#!/bin/sh\necho evil\n")
        (bundle.rootfs / "bin/ps").chmod(0o755)
        self.start(bundle, "one")
        self.assertIn("sleep 100", self.oci("ps", "one").out)


if __name__ == "__main__":
    unittest.main()
