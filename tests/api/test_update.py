"""Changing limits and restart policy of containers that run: docker's client and coffer."""
import json
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs


def setUpModule():
    global engine
    engine = Engine()
    engine.docker("import", "-c", 'CMD ["sleep", "1000"]', "-c", "ENV PATH=/bin", "-", "box",
                  input=busybox_rootfs())


def tearDownModule():
    engine.close()


class Update(unittest.TestCase):
    def setUp(self):
        engine.docker("run", "-d", "--name", "box1", "-m", "64m", "--memory-swap", "128m", "box")

    def tearDown(self):
        engine.docker("rm", "-f", "box1")

    def inside(self, *names):
        """The first of these cgroup files that the container has."""
        text = engine.docker("exec", "box1", "sh", "-c", "cd /sys/fs/cgroup; for f in "
                             + " ".join(names) + "; do [ -e $f ] && cat $f && exit; done").stdout
        return text.split()

    def memory(self):
        return self.inside("memory/memory.limit_in_bytes", "memory.max")[0]

    def inspect(self):
        return json.loads(engine.docker("inspect", "box1").stdout)[0]["HostConfig"]

    def refused(self, *flags):
        run = engine.docker("update", *flags, "box1", check=False)
        self.assertEqual(run.returncode, 1, run.stdout)
        return run.stderr

    def test_at_once(self):
        self.assertEqual(engine.docker("update", "-m", "96m", "--cpus", "0.5", "--pids-limit", "33",
                                       "--restart", "on-failure:2", "box1").stdout, "box1\n")
        self.assertEqual(self.memory(), str(96 << 20))
        self.assertEqual(self.inside("pids/pids.max", "pids.max"), ["33"])
        self.assertIn("50000", self.inside("cpu/cpu.cfs_quota_us", "cpu.max"))
        host = self.inspect()
        self.assertEqual((host["Memory"], host["NanoCpus"], host["PidsLimit"]),
                         (96 << 20, 500_000_000, 33))
        self.assertEqual(host["MemorySwap"], 128 << 20)
        self.assertEqual(host["RestartPolicy"], {"Name": "on-failure", "MaximumRetryCount": 2})

    def test_lifted(self):
        engine.docker("update", "--pids-limit", "-1", "--memory", "100m", "--memory-swap", "-1", "box1")
        self.assertEqual(self.inside("pids/pids.max", "pids.max"), ["max"])
        self.assertEqual(self.memory(), str(100 << 20))

    def test_what_docker_refuses(self):
        self.assertIn("Memory limit should be smaller than already set memoryswap limit, update the "
                      "memoryswap at the same time", self.refused("-m", "256m"))
        self.assertIn("Minimum memory limit allowed is 6MB", self.refused("-m", "1m"))
        engine.docker("update", "--cpus", "1", "box1")
        self.assertIn("CPU Quota cannot be updated as NanoCPUs has already been set",
                      self.refused("--cpu-quota", "5000"))
        self.assertIn("Range of blkio weight is from 10 to 1000", self.refused("--blkio-weight", "5"))
        self.assertIn("cannot be updated", json.loads(engine.api(
            "POST", "/containers/box1/update", {"Ulimits": [{"Name": "nofile", "Soft": 1}]})[2])["message"])
        self.assertEqual(self.memory(), str(64 << 20))

    def test_all_or_nothing(self):
        run = self.refused("-m", "70m", "--cpuset-cpus", "4000")
        self.assertIn("Cannot update container", run)
        self.assertEqual(self.memory(), str(64 << 20))
        self.assertEqual(self.inspect()["Memory"], 64 << 20)

    def test_of_a_stopped_one_holds_from_the_next_start(self):
        engine.docker("stop", "-t", "0", "box1")
        engine.docker("update", "-m", "80m", "box1")
        engine.docker("start", "box1")
        self.assertEqual(self.memory(), str(80 << 20))

    def test_over_a_restart_of_the_engine(self):
        engine.docker("update", "-m", "80m", "box1")
        engine.stop()
        engine.start()
        self.assertEqual(self.inspect()["Memory"], 80 << 20)
        self.assertEqual(self.memory(), str(80 << 20))

    def test_restart_policy_and_automatic_removal(self):
        engine.docker("run", "-d", "--rm", "--name", "gone", "box")
        run = engine.docker("update", "--restart", "always", "gone", check=False)
        self.assertIn("Restart policy cannot be updated because AutoRemove is enabled for the "
                      "container", run.stderr)
        engine.docker("rm", "-f", "gone")

    def test_coffer_and_the_limits_of_the_log(self):
        self.assertEqual(engine.coffer("update", "--memory", "90m", "box1").stdout, "box1\n")
        self.assertEqual(self.memory(), str(90 << 20))
        engine.docker("run", "-d", "--name", "talker", "box", "sh", "-c",
                      "i=0; while :; do echo line-$i; i=$((i+1)); [ $i = 20000 ] && sleep 1000; done")
        try:
            self.assertEqual(engine.coffer("update", "--log-opt", "max-size=20k", "--log-opt",
                                           "max-file=2", "talker").stdout, "talker\n")
            config = json.loads(engine.docker("inspect", "talker").stdout)[0]["HostConfig"]
            self.assertEqual(config["LogConfig"]["Config"], {"max-size": "20k", "max-file": "2"})
            refused = engine.coffer("update", "--log-opt", "labels=x", "talker", check=False)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("cannot be changed", refused.stderr)
        finally:
            engine.docker("rm", "-f", "talker")
        self.assertEqual(engine.coffer("update", "box1", check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
