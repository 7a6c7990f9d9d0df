"""The body that `coffer create` sends is the one that docker's own command line sends."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from recording_daemon import RecordingDaemon  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COFFER = os.environ.get("COFFER") or os.path.join(
    os.environ.get("COFFER_BIN", os.path.join(ROOT, "build/dev/bin")), "coffer")
DOCKER = shutil.which("docker")

# Flags before the image "busybox"; what follows "--" is the command.
CASES = """
--name web -- true
-it -- sh
-i -a stdin -a stdout -- cat
-e A=1 -e B= -e COFFER_TEST_VARIABLE -e COFFER_TEST_ABSENT
-l a=1 --label b --label c=x=y
--entrypoint /bin/echo -- hi
--entrypoint= -- true
--init
--init=false
-u 1000:1000 --group-add 5 --group-add audio
-w /srv --hostname h --domainname d
--add-host a:1.2.3.4 --add-host b=::1 --add-host c:[::2] --add-host d:host-gateway
--dns 1.1.1.1 --dns-search example.com --dns-opt ndots:2 --dns-option rotate
--ulimit nofile=1024:2048 --ulimit core=-1 --ulimit nofile=5
--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=1
--device /dev/null --device /dev/zero:/dev/zer:r --device /dev/full:rw
--device vendor.com/class=all
--device-cgroup-rule "c 1:3 rwm"
--cap-add net_admin --cap-add ALL --cap-drop CAP_MKNOD
--security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt label:disable
--security-opt systempaths=unconfined
--privileged --userns host --pid host --ipc host --uts host --cgroupns host
--pid container:x --ipc shareable --cgroupns private
--shm-size 64m --tmpfs /t --tmpfs /u:size=1m,mode=700 --read-only
--volumes-from a --volumes-from b:ro
-v /host:/in -v named:/n:ro -v /anonymous -v ./rel:/r
--mount type=bind,src=/a,dst=/b,ro,bind-propagation=rslave
--mount type=volume,dst=/x,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=o=1
--mount type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770
--mount type=image,src=busybox,dst=/i,image-subpath=bin
--mount source=v,target=/x,readonly --mount type=bind,source=./rel,target=/y,bind-recursive=disabled
-m 64m --memory-reservation 32m --memory-swap 128m --memory-swappiness 10
--memory-swap -1 --oom-kill-disable --oom-score-adj -500
--cpus 1.5 --cpu-shares 512 --cpu-period 1000 --cpu-quota 500 --cpuset-cpus 0-1 --cpuset-mems 0
--cpu-rt-period 10 --cpu-rt-runtime 5
--blkio-weight 300 --blkio-weight-device /dev/sda:100
--device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:2m --device-read-iops /dev/sda:10
--device-write-iops /dev/sda:20
--pids-limit 100 --cgroup-parent /x
--restart on-failure:3
--restart always --stop-signal TERM --stop-timeout 5
--stop-timeout 0
--health-cmd "test -e /x" --health-interval 5s --health-timeout 1m --health-retries 3
--health-start-period 10s --health-start-interval 1s
--no-healthcheck
--log-driver json-file --log-opt max-size=1m --log-opt max-file=2
--platform linux/amd64 --runtime runc --annotation a=b
--gpus all
--gpus "device=0,driver=x"
--gpus "\\"capabilities=compute,utility\\",count=2"
--network host
--network none
--net mynet --network-alias a --net-alias b --ip 172.20.0.5 --ip6 2001:db8::5
--network mynet --mac-address 92:d0:c6:0a:29:33 --link-local-ip 169.254.1.1 --link db:database
--link db:database
--network name=n1,alias=x,driver-opt=a=b,gw-priority=5 --network n2
--network mynet
-p 80 -p 8080:80 -p 127.0.0.1:443:443/udp -p 9000-9002:7000-7002
-p 7000-7010:80 -p [::1]:81:81 --expose 90 --expose 100-102/udp -P
-p published=5,target=6,protocol=udp
--storage-opt size=10G --volume-driver local --isolation default
--kernel-memory 5m
--volume vol:/v:ro --user me --workdir /w --publish 1:2 --publish-all --tty --interactive
--rm -q --pull never
""".strip().splitlines()


def shell_words(line):
    import shlex
    return shlex.split(line)


def docker_release():
    if not DOCKER:
        return 0
    version = subprocess.run([DOCKER, "--version"], capture_output=True, text=True).stdout
    return int(re.search(r"[0-9]+", version)[0])


@unittest.skipUnless(docker_release() >= 28, "needs the command line of docker 28 or newer")
class SameBodyTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.daemon = RecordingDaemon(os.path.join(cls.folder.name, "d.sock"))
        cls.daemon.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()
        cls.folder.cleanup()

    def sent_by(self, program, flags, command):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder.name,
                       "DOCKER_HOST": self.daemon.host, "DOCKER_CONFIG": self.folder.name,
                       "COFFER_TEST_VARIABLE": "from outside"}
        done = subprocess.run([program, "create", *flags, "busybox", *command], env=environment,
                              cwd=self.folder.name, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        creates = [r for r in self.daemon.take() if r[1].startswith("/containers/create")]
        self.assertEqual(len(creates), 1)
        return creates[0]

    @staticmethod
    def comparable(body):
        document = json.loads(body)
        # docker walks a map here, so its order is random.
        for value in (document, document["HostConfig"]):
            for name in ("Env", "Binds"):
                if value.get(name):
                    value[name] = sorted(value[name])
        return document

    def test_bodies_are_equal(self):
        for line in CASES:
            words = shell_words(line)
            at = words.index("--") if "--" in words else len(words)
            flags, command = words[:at], words[at + 1:]
            with self.subTest(flags=line):
                theirs = self.sent_by(DOCKER, flags, command)
                ours = self.sent_by(COFFER, flags, command)
                self.assertEqual(self.comparable(theirs[2]), self.comparable(ours[2]))
                self.assertEqual(theirs[1], ours[1])

    def test_env_and_label_files(self):
        with open(os.path.join(self.folder.name, "vars"), "w") as file:
            file.write("\ufeff# comment\nA=1\n  B=two words \nCOFFER_TEST_VARIABLE\nABSENT\n\nC=\n")
        flags = ["--env-file", "vars", "--label-file", "vars", "-e", "A=2"]
        self.assertEqual(self.comparable(self.sent_by(DOCKER, flags, [])[2]),
                         self.comparable(self.sent_by(COFFER, flags, [])[2]))

    def test_mistakes_are_told_in_the_same_words(self):
        for line in ("--nope", "-z", "-m foo", "-e", "--name", "--rm=maybe", "--cpus x",
                     "--memory-swappiness 200", "--health-interval 3", "--blkio-weight 99999",
                     "--ulimit x=1", "--ulimit nofile=3:1", "--pull bad", "--=x", "---x",
                     "--mount type=bind", "--mount type=bind,dst=/x,volume-nocopy",
                     "--mount nope=1,dst=/x", "--gpus x", "--network a=b",
                     "--add-host x", "--dns x", "--dns-search -", "--sysctl a=b", "--link a:b:c",
                     "--device-read-bps x", "--blkio-weight-device /dev/x:5", "--attach x",
                     "--device-cgroup-rule x", "--label =x", "--env =x", "--pid x", "--uts x",
                     "--userns x", "--cgroupns x", "--restart :", "--restart a:b",
                     "--rm --restart always", "--security-opt x", "--security-opt seccomp=/nope",
                     "--no-healthcheck --health-cmd x", "--health-retries -1 --health-cmd x",
                     "-p x", "-p 1:2:3:4", "-p 80/x", "-p 1-2:3-5", "-p 80:", "--expose x",
                     "--expose 1:2", "--mac-address x",
                     "--device relative", "--device /a:/b:x", "--storage-opt x",
                     "--log-driver none --log-opt a=b", "--network host --network-alias a",
                     "--network a --network a", "--network a --network host",
                     "--network name=a,alias=b --network-alias c", "--env-file /nope",
                     "--mount type=bind,src=/a,dst=/b,bind-recursive=readonly,readonly"):
            with self.subTest(flags=line):
                results = []
                for program, name in ((DOCKER, "docker"), (COFFER, "coffer")):
                    done = subprocess.run(
                        [program, "run", *shell_words(line), "busybox"], capture_output=True,
                        text=True, timeout=60, cwd=self.folder.name,
                        env={"PATH": os.environ["PATH"], "HOME": self.folder.name,
                             "DOCKER_HOST": self.daemon.host})
                    results.append((done.returncode, done.stderr.replace(name, "PROGRAM")))
                self.daemon.take()
                self.assertEqual(results[0], results[1])

    def test_help_is_the_same(self):
        for command in ("run", "create", "exec", "stop", "restart", "kill", "rm", "wait", "logs",
                        "attach", "ps", "top", "rename", "pause", "unpause", "pull", "import",
                        "tag", "port", "container ls", "network ls", "network connect",
                        "network rm", "events"):
            with self.subTest(command=command):
                texts = [subprocess.run([program, *command.split(), "--help"], text=True,
                                        capture_output=True, timeout=60,
                                        env={"PATH": os.environ["PATH"], "HOME": "/nowhere",
                                             "DOCKER_HOST": self.daemon.host}).stdout
                         for program in (DOCKER, COFFER)]
                # What only coffer has: a line that begins with the flag, and those that go on.
                own = re.compile(r"^ +--(config|egress|health-http|health-on-failure|health-tcp|move-pin|rate|secret|watch) .*\n( {20,}.*\n)*",
                                 re.MULTILINE)
                self.assertEqual(texts[0].replace("docker ", "coffer "), own.sub("", texts[1]))


if __name__ == "__main__":
    unittest.main()
