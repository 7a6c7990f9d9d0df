"""The log of a container: its files, rotation and compression, and what `logs` gives of it."""
import glob
import gzip
import json
import os
import re
import signal
import subprocess
import time
import unittest

from support.engine import DOCKER, Connection, Engine, wait_until


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


def counting(lines, pause=""):
    return f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; {pause} done"


class LogTest(unittest.TestCase):
    def tearDown(self):
        engine.remove_containers()

    def run_with(self, script, *options, driver="json-file", more=(), detach=False):
        flags = [word for option in options for word in ("--log-opt", option)]
        return engine.docker("run", *(["-d"] if detach else []), "--name", "ct", "--network",
                             "none", "--log-driver", driver, *flags, *more, "busybox", "sh", "-c",
                             script)

    def logs(self, *flags):
        return engine.docker("logs", *flags, "ct").stdout

    def path(self):
        return engine.json("GET", "/containers/ct/json")["LogPath"]

    def folder(self):
        return glob.glob(f"{engine.data_root}/*/{self.inspect('Id')}")[0]

    def inspect(self, key):
        return engine.json("GET", "/containers/ct/json")[key]

    def records(self):
        with open(self.path()) as file:
            return [json.loads(line) for line in file]


class JsonFile(LogTest):
    def test_the_file_is_dockers(self):
        self.run_with("printf 'a\\n\\nb'; echo err >&2", "labels=l", "env=E",
                      "tag={{.Name}}/{{.ImageName}}", more=["--label", "l=v w", "-e", "E=1"])
        records = sorted(self.records(), key=lambda r: (r["stream"], r["time"]))
        self.assertEqual([r["log"] for r in records], ["err\n", "a\n", "\n", "b"])
        for record in records:
            self.assertEqual(list(record), ["log", "stream", "attrs", "time"])
            self.assertEqual(record["attrs"], {"E": "1", "l": "v w", "tag": "ct/busybox"})
        self.assertEqual(self.logs("--details", "--tail", "1"), "E=1,l=v+w,tag=ct%2Fbusybox b")
        self.assertRegex(self.logs("--details", "--timestamps", "--tail", "1"),
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z E=1,l=v\+w,tag=ct%2Fbusybox b$")

    def test_long_lines_are_cut_at_16_kib_and_read_back_whole(self):
        self.run_with("head -c 50000 /dev/zero | tr '\\0' x; echo; echo next")
        self.assertEqual([len(r["log"]) for r in self.records()],
                         [16384, 16384, 16384, 50000 - 3 * 16384 + 1, 5])
        self.assertEqual(len({r["time"] for r in self.records()[:4]}), 1)
        self.assertEqual(self.logs(), "x" * 50000 + "\nnext\n")

    def test_tail_since_and_until(self):
        self.run_with(counting(20, "if [ $i = 10 ]; then sleep 0.5; fi;"))
        self.assertEqual(self.logs("--tail", "3"), "line 18\nline 19\nline 20\n")
        self.assertEqual(self.logs("--tail", "0"), "")
        for everything in ("all", "-1", "many"):
            self.assertEqual(self.logs("--tail", everything).count("\n"), 20)
        eleventh = self.records()[10]["time"]
        for since in (eleventh, ):
            self.assertEqual(self.logs("--since", since).split("\n")[0], "line 11")
        self.assertEqual(self.logs("--until", eleventh).count("\n"), 11)
        self.assertEqual(self.logs("--since", "1h").count("\n"), 20)
        self.assertEqual(self.logs("--until", "1h"), "")
        self.assertEqual(self.logs("--since", "1.5").count("\n"), 20)
        status, _, _ = engine.api("GET", "/containers/ct/logs?stdout=1&since=zz")
        self.assertEqual(status, 400)

    def test_rotated_files_are_compressed_and_read(self):
        self.run_with(counting(1500) + "; until [ -e /go ]; do sleep 0.01; done; j=$i; " +
                      "while [ $j -lt 1800 ]; do j=$((j+1)); echo line $j; done", "max-size=20k",
                      "max-file=5", "compress=true", detach=True)
        path = self.path()
        wait_until(lambda: glob.glob(path + ".*.gz"))
        engine.docker("exec", "ct", "sh", "-c", ": >/go")
        engine.docker("wait", "ct")
        wait_until(lambda: not glob.glob(path + "*.tmp"))
        names = sorted(os.path.basename(name).split("json.log")[1] for name in glob.glob(path + "*"))
        # A file that is filled before the last one is compressed stays as it is.
        self.assertEqual([name.removesuffix(".gz") for name in names], ["", ".1", ".2", ".3", ".4"])
        packed = glob.glob(path + ".*.gz")
        self.assertTrue(packed, names)
        with gzip.open(packed[0], "rt") as file:
            self.assertTrue(all(json.loads(line)["stream"] == "stdout" for line in file))
        lines = self.logs().splitlines()
        self.assertEqual(lines, [f"line {n}" for n in range(1801 - len(lines), 1801)])
        self.assertGreater(len(lines), 500)
        self.assertEqual(self.logs("--tail", "700").splitlines(),
                         [f"line {n}" for n in range(1101, 1801)])

    def test_none_cannot_be_read(self):
        self.run_with("echo hi", driver="none")
        for flags in ([], ["-f"]):
            out = engine.docker("logs", *flags, "ct", check=False)
            self.assertEqual(out.returncode, 1)
            self.assertIn("configured logging driver does not support reading", out.stderr)
        self.assertEqual(self.path(), "")


class Local(LogTest):
    def test_both_streams_parts_and_details(self):
        self.run_with("echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x",
                      "labels=l", driver="local", more=["--label", "l=v"])
        out = engine.docker("logs", "ct")
        self.assertEqual((out.stdout, out.stderr), ("out\n" + "x" * 20000, "err\n"))
        self.assertEqual(self.logs("--details").splitlines()[0], "l=v out")
        self.assertEqual(self.path(), "")
        self.assertEqual(os.listdir(self.folder() + "/local-logs"), ["container.log"])

    def test_a_few_bytes_a_line(self):
        self.run_with(counting(2000), driver="local")
        size = os.path.getsize(self.folder() + "/local-logs/container.log")
        self.assertLess(size, 2000 * 30)
        self.assertEqual(self.logs().splitlines(), [f"line {n}" for n in range(1, 2001)])

    def test_rotation_compression_and_tail(self):
        self.run_with(counting(3000), "max-size=10k", driver="local")
        folder = self.folder() + "/local-logs"
        wait_until(lambda: [name.removesuffix(".gz") for name in sorted(os.listdir(folder))] ==
                   ["container.log"] + [f"container.log.{n}" for n in range(1, 5)])
        lines = self.logs().splitlines()
        self.assertEqual(lines, [f"line {n}" for n in range(3001 - len(lines), 3001)])
        self.assertGreater(len(lines), 1000)
        for tail in (1, 50, 700, 1000):
            self.assertEqual(self.logs("--tail", str(tail)).splitlines(),
                             [f"line {n}" for n in range(3001 - tail, 3001)])


class Follow(LogTest):
    def follow(self, *flags):
        return subprocess.Popen([DOCKER, "-H", f"unix://{engine.socket}", "logs", "-f", *flags,
                                 "ct"], stdout=subprocess.PIPE, text=True)

    def test_no_line_is_lost_or_repeated_across_rotation_and_compression(self):
        for driver in ("json-file", "local"):
            with self.subTest(driver=driver):
                self.run_with("read line; " + counting(30000), "max-size=60k", "max-file=100",
                              "compress=true", driver=driver, more=["-i"], detach=True)
                follower = self.follow()
                engine.docker("attach", "ct", input="\n")
                got = follower.communicate(timeout=120)[0].splitlines()
                self.assertEqual(got, [f"line {n}" for n in range(1, 30001)])
                engine.docker("rm", "-f", "ct")

    def test_a_removed_container_ends_it(self):
        self.run_with("echo hi; sleep 1000", detach=True)
        follower = self.follow()
        self.assertEqual(follower.stdout.readline(), "hi\n")
        engine.docker("rm", "-f", "ct")
        self.assertEqual(follower.communicate(timeout=60)[0], "")

    def test_until_ends_it(self):
        self.run_with(counting(100000, "sleep 0.05;"), detach=True)
        follower = self.follow("--until", str(time.time() + 1))
        got = follower.communicate(timeout=60)[0].splitlines()
        self.assertEqual(got, [f"line {n}" for n in range(1, len(got) + 1)])
        self.assertGreater(len(got), 1)

    def test_a_follower_outlives_the_engine_only_as_docker_has_it(self):
        self.run_with(counting(100000, "sleep 0.02;"), detach=True)
        wait_until(lambda: "line 5\n" in self.logs())
        engine.stop(signal.SIGKILL)
        engine.start()
        seen = len(self.logs().splitlines())
        wait_until(lambda: len(self.logs().splitlines()) > seen + 5)
        lines = self.logs().splitlines()
        self.assertEqual(lines, [f"line {n}" for n in range(1, len(lines) + 1)])


class Damage(LogTest):
    def shim(self):
        """The process id of the container's shim."""
        with open(f"/proc/{self.inspect('State')['Pid']}/stat") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])

    def test_a_killed_shim_loses_no_line_that_it_had(self):
        for driver in ("json-file", "local"):
            with self.subTest(driver=driver):
                self.run_with(counting(1000000, "sleep 0.01;"), driver=driver, detach=True)
                wait_until(lambda: "line 20\n" in self.logs())
                before = self.logs().splitlines()
                os.kill(self.shim(), signal.SIGKILL)
                engine.docker("wait", "ct")
                after = self.logs().splitlines()
                self.assertEqual(after[:len(before)], before)
                self.assertEqual(after, [f"line {n}" for n in range(1, len(after) + 1)])
                engine.docker("start", "ct")
                wait_until(lambda: self.logs().count("line 1\n") == 2)
                engine.docker("rm", "-f", "ct")

    def test_a_full_disk_stops_nobody_and_is_told_once(self):
        engine.docker("create", "-i", "--name", "ct", "--network", "none", "--log-driver", "local",
                      "busybox", "sh", "-c",
                      "read line; " + counting(20000) + "; read line; echo end; read line")
        folder = self.folder() + "/local-logs"
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], stderr=subprocess.DEVNULL)
        with open(folder + "/filler", "wb") as filler:
            filler.write(b"x" * 65536)
        engine.docker("start", "ct")
        attached = subprocess.Popen([DOCKER, "-H", f"unix://{engine.socket}", "attach", "ct"],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        attached.stdin.write("\n")
        attached.stdin.flush()
        while attached.stdout.readline() != "line 20000\n":
            pass
        os.unlink(folder + "/filler")
        attached.stdin.write("\n")
        attached.stdin.flush()
        self.assertEqual(attached.stdout.readline(), "end\n")
        wait_until(lambda: self.logs("--tail", "1") == "end\n")
        lines = self.logs().splitlines()
        self.assertGreater(len(lines), 1000)
        self.assertEqual(lines[:-1], [f"line {n}" for n in range(1, len(lines))])
        told = [line for line in engine.log.read_text().splitlines() if self.inspect("Id") in line]
        self.assertEqual(len([line for line in told if "lines are lost" in line]), 1, told)
        self.assertEqual(len([line for line in told if "written again" in line]), 1, told)
        attached.stdin.close()
        attached.stdout.close()
        attached.wait()
        subprocess.run(["umount", folder], check=True)

    def test_memory_is_bounded(self):
        self.run_with("head -c 20000000 /dev/zero | tr '\\0' x; printf '\\033[2J\\033]0;%s\\007\\n' t; "
                      "sleep 1000", "max-size=1m", more=["-t"], detach=True)
        wait_until(lambda: "]0;t" in self.logs("--tail", "5"))
        connection = Connection(engine.socket, 60)
        self.addCleanup(connection.close)
        for n in range(10000):
            connection.request("POST", f"/containers/ct/resize?h={n % 100 + 1}&w={n % 90 + 1}")
            reply = connection.getresponse()
            self.assertEqual((reply.status, reply.read()), (200, b""))
        with open(f"/proc/{self.shim()}/status") as status:
            peak = int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])
        # AddressSanitizer keeps 256 MiB of what was freed.
        self.assertLess(peak, (600 if "ASAN_OPTIONS" in os.environ else 40) * 1024, "KiB")


if __name__ == "__main__":
    unittest.main()
