"""coffer inspect --as: what it prints makes the same container again."""
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs

# Of one container, or told from the others by its name.
OWN = {"Id", "Created", "Name", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
       "GraphDriver", "Mounts", "NetworkSettings", "ExecIDs"}

CASES = {
    "plain": ["busybox", "true"],
    "words": ["-e", "TEXT=it's a \"test\" of $HOME", "-l", "a=b c", "-l", "empty=", "-w", "/tmp",
              "-u", "1:2", "--hostname", "box", "--domainname", "example.org", "busybox", "sh",
              "-c", "echo 'one two'; exit 3"],
    "image": ["shaped"],
    "over the image": ["-e", "KIND=mine", "-l", "kind=mine", "--entrypoint", "echo", "shaped", "x"],
    "without its entrypoint": ["--entrypoint", "", "shaped", "true"],
    "limits": ["-m", "64m", "--memory-reservation", "32m", "--cpus", "1.5", "--cpu-shares", "512",
               "--pids-limit", "50", "--ulimit", "nofile=100:200", "--oom-score-adj", "100",
               "--shm-size", "8m", "--blkio-weight", "300", "busybox", "true"],
    "rights": ["--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", "--read-only", "--security-opt",
               "level=compat", "--group-add", "5", "--sysctl", "net.ipv4.ip_forward=1", "--device",
               "/dev/null:/dev/nil:r", "--security-opt", "systempaths=unconfined", "busybox", "true"],
    "storage": ["-v", "/tmp:/host:ro", "-v", "kept:/kept", "-v", "/anonymous", "--tmpfs",
                "/scratch:size=1m", "--mount", "type=volume,source=other,target=/other,readonly",
                "--mount", "type=tmpfs,target=/t,tmpfs-size=4096", "busybox", "true"],
    "network": ["--network", "name=net1,alias=www,ip=10.98.0.9,mac-address=02:00:00:00:00:09",
                "--network", "net2", "-p", "18080:80", "-p", "127.0.0.1:18081:81/udp", "--expose",
                "99", "--add-host", "db:10.0.0.9", "--dns", "10.0.0.1", "--dns-search", "x.org",
                "busybox", "true"],
    "no network": ["--network", "none", "busybox", "true"],
    "health": ["--health-cmd", "test -e /x", "--health-interval", "1m30s", "--health-retries", "2",
               "--health-timeout", "1500ms", "--restart", "on-failure:3", "--stop-timeout", "0",
               "--stop-signal", "INT", "busybox", "true"],
    "no health": ["--no-healthcheck", "-it", "--log-opt", "max-size=1m", "--log-driver", "local",
                  "shaped"],
}


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()
    engine.docker("import", "-c", 'ENTRYPOINT ["echo", "a b"]', "-c", 'CMD ["c"]', "-c",
                  "ENV KIND=image", "-c", "ENV PATH=/bin", "-c", "LABEL kind=image other=same",
                  "-c", "EXPOSE 7", "-c", "VOLUME /data", "-c", "USER 3", "-c", "WORKDIR /bin",
                  "-", "shaped", input=busybox_rootfs())
    engine.docker("network", "create", "--subnet", "10.98.0.0/24", "net1")
    engine.docker("network", "create", "net2")


def tearDownModule():
    engine.close()


class InspectAs(unittest.TestCase):
    maxDiff = None

    def tearDown(self):
        engine.remove_containers()

    def view(self, name):
        found = engine.json("GET", f"/containers/{name}/json")
        view = {key: value for key, value in found.items() if key not in OWN}
        if found["Config"]["Hostname"] == found["Id"][:12]:
            del view["Config"]["Hostname"]
        view["Networks"] = {
            name: [one["IPAMConfig"], one["Aliases"],
                   one["MacAddress"] if name == "net1" else ""]
            for name, one in found["NetworkSettings"]["Networks"].items()}
        # create attaches to what run would.
        for key in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"):
            del view["Config"][key]
        view["Binds"] = sorted(view["HostConfig"].pop("Binds") or [])
        return view

    def again(self, args, name="one"):
        """The words that are printed for a container of these arguments."""
        engine.coffer("create", "--name", name, *args)
        line = engine.coffer("inspect", "--as", "run", name).stdout
        return shlex.split(line)

    def test_run_makes_the_same_again(self):
        for case, args in CASES.items():
            with self.subTest(case):
                self.tearDown()
                words = self.again(args)
                self.assertEqual(words[:2], ["coffer", "run"])
                before = self.view("one")
                engine.coffer("rm", "-v", "one")
                engine.coffer("create", *[word for word in words[2:] if word != "-d"])
                self.assertEqual(self.view("one"), before)
                engine.coffer("rm", "-v", "one")

    def test_what_the_image_says_is_left_out(self):
        self.assertEqual(self.again(["shaped"]),
                         ["coffer", "run", "--name=one", "shaped"])
        engine.coffer("run", "-d", "--name", "two", "busybox", "true")
        self.assertEqual(engine.coffer("container", "inspect", "--as", "run", "two").stdout,
                         "coffer run -d --name=two busybox true\n")

    def test_compose_makes_the_same_again(self):
        engine.coffer("volume", "create", "kept")
        engine.coffer("volume", "create", "other")
        for case in ("words", "limits", "storage", "network", "health"):
            with self.subTest(case):
                self.tearDown()
                engine.coffer("create", "--name", "one", *CASES[case])
                text = engine.coffer("inspect", "--as", "compose", "one").stdout
                # docker-compose 1.29 does not know it.
                text = re.sub("\n *mac_address: .*", "", text)
                self.assertNotIn("not in compose", text)
                before = self.view("one")
                engine.coffer("rm", "-v", "one")
                with tempfile.TemporaryDirectory() as folder:
                    path = pathlib.Path(folder) / "compose.yaml"
                    path.write_text(text)
                    run = subprocess.run(
                        ["docker-compose", "-f", path, "-p", "again", "up", "--no-start"],
                        env={"DOCKER_HOST": f"unix://{engine.socket}", "PATH": "/usr/bin:/bin"},
                        capture_output=True, text=True)
                self.assertEqual(run.returncode, 0, text + run.stdout + run.stderr)
                after = self.view("one")
                for key in ("Env", "Cmd", "WorkingDir", "User", "Healthcheck", "ExposedPorts"):
                    self.assertEqual(after["Config"].get(key), before["Config"].get(key), key)
                for key in ("Memory", "NanoCpus", "PidsLimit", "PortBindings", "RestartPolicy",
                            "ShmSize", "Ulimits", "Dns", "ExtraHosts"):
                    self.assertEqual(after["HostConfig"][key] or [], before["HostConfig"][key] or [],
                                     key)
                self.assertEqual(after["Config"]["Labels"] | before["Config"]["Labels"],
                                 after["Config"]["Labels"])
                engine.coffer("rm", "-v", "one")

    def test_quadlet(self):
        engine.coffer("create", "--name", "one", "--restart", "unless-stopped", "-e", "A=50% off",
                      "-p", "18080:80", "--network", "name=net1,alias=www,ip=10.98.0.9",
                      "--cpus", "2", "busybox", "sh", "-c", 'echo "x"')
        self.assertEqual(engine.coffer("inspect", "--as", "quadlet", "one").stdout, """\
[Container]
Image=busybox
ContainerName=one
PodmanArgs=--cpus=2
Environment="A=50%% off"
Network=net1:alias=www,ip=10.98.0.9
PublishPort=18080:80
Exec=sh -c "echo \\"x\\""

[Service]
Restart=always

[Install]
WantedBy=default.target
""")

    def test_what_cannot_be_is_said(self):
        engine.coffer("create", "--name", "one", "--publish-all", "busybox")
        self.assertIn("# not in compose: --publish-all\n",
                      engine.coffer("inspect", "--as", "compose", "one").stdout)
        run = engine.coffer("inspect", "--as", "helm", "one", check=False)
        self.assertEqual((run.returncode, run.stderr),
                         (1, '"helm" is not a valid value for --as\n'))
        run = engine.coffer("inspect", "--as", "run", "none", check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("No such container: none", run.stderr)


if __name__ == "__main__":
    unittest.main()
