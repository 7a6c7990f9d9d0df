"""Networks of a container, at its start and while it runs: connect, disconnect, addresses, routes,
published ports, hosts, events."""
import json
import socket
import unittest

from support.engine import Engine
from support.registry import busybox_rootfs


class Connect(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        cls.engine.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())
        cls.engine.docker("network", "create", "--subnet", "10.91.1.0/24", "one")
        cls.engine.docker("network", "create", "--subnet", "10.91.2.0/24", "two")
        cls.engine.docker("network", "create", "--subnet", "10.91.3.0/24", "--internal", "inner")


    def start(self, *flags, name="c1", command=("sleep", "1000")):
        self.engine.docker("run", "-d", "--name", name, *flags, "busybox", *command)
        self.addCleanup(self.engine.docker, "rm", "-f", name)

    def networks(self, name="c1"):
        return self.engine.json("GET", f"/containers/{name}/json")["NetworkSettings"]["Networks"]

    def inside(self, *command, name="c1"):
        return self.engine.docker("exec", name, *command).stdout

    def addresses(self, name="c1"):
        """Interface -> address, as the container sees it."""
        lines = self.inside("ip", "-o", "-4", "addr", name=name).splitlines()
        return {line.split()[1]: line.split()[3] for line in lines if " lo " not in line}

    def default_route(self):
        lines = [line.split() for line in self.inside("ip", "route").splitlines()]
        return [words[2] for words in lines if words[0] == "default"]

    def connect(self, network, container="c1", **settings):
        status, _, text = self.engine.api("POST", f"/networks/{network}/connect",
                                          {"Container": container, "EndpointConfig": settings})
        return status, json.loads(text)["message"] if text.strip() else ""

    def disconnect(self, network, container="c1", force=False):
        status, _, text = self.engine.api("POST", f"/networks/{network}/disconnect",
                                          {"Container": container, "Force": force})
        return status, json.loads(text)["message"] if text.strip() else ""

    def test_running_container(self):
        self.start()
        bridge = self.networks()["bridge"]
        self.assertEqual(self.connect("one", IPAMConfig={"IPv4Address": "10.91.1.7"},
                                      Aliases=["seven"]), (200, ""))
        self.assertEqual(self.addresses(), {
            "eth0": f"{bridge['IPAddress']}/{bridge['IPPrefixLen']}", "eth1": "10.91.1.7/24"})
        one = self.networks()["one"]
        self.assertEqual((one["IPAddress"], one["Aliases"], one["Gateway"]),
                         ("10.91.1.7", ["seven"], "10.91.1.1"))
        self.assertEqual(self.default_route(), [bridge["Gateway"]])
        self.assertIn("10.91.1.7\t", self.inside("cat", "/etc/hosts"))
        self.assertIn("nameserver 127.0.0.11\n", self.inside("cat", "/etc/resolv.conf"))
        self.assertEqual(self.connect("one"),
                         (403, "endpoint with name c1 already exists in network one"))
        members = self.engine.json("GET", "/networks/one")["Containers"]
        self.assertEqual([one["IPv4Address"] for one in members.values()], ["10.91.1.7/24"])

        self.assertEqual(self.disconnect("bridge"), (200, ""))
        self.assertEqual(self.addresses(), {"eth1": "10.91.1.7/24"})
        self.assertEqual(self.default_route(), ["10.91.1.1"])
        self.assertNotIn(bridge["IPAddress"], self.inside("cat", "/etc/hosts"))
        self.assertEqual(self.disconnect("one"), (200, ""))
        self.assertEqual((self.addresses(), self.default_route(), self.networks()), ({}, [], {}))
        self.assertNotIn("127.0.0.11", self.inside("cat", "/etc/resolv.conf"))
        self.assertEqual(self.disconnect("one")[0], 403)
        self.assertEqual(self.connect("two"), (200, ""))
        self.assertEqual(self.addresses(), {"eth0": "10.91.2.2/24"})
        self.assertEqual(self.default_route(), ["10.91.2.1"])

    def test_stopped_container_gets_it_at_its_start(self):
        self.engine.docker("create", "--name", "c1", "--network", "one", "busybox", "sleep", "1000")
        self.addCleanup(self.engine.docker, "rm", "-f", "c1")
        self.assertEqual(self.connect("two", IPAMConfig={"IPv4Address": "10.91.2.9"}), (200, ""))
        self.assertEqual(self.connect("inner"), (200, ""))
        self.assertEqual(self.disconnect("one"), (200, ""))
        self.assertEqual(sorted(self.networks()), ["inner", "two"])
        self.engine.docker("start", "c1")
        self.assertEqual(sorted(self.addresses().values()), ["10.91.2.9/24", "10.91.3.2/24"])
        self.assertEqual(self.default_route(), ["10.91.2.1"], "not the internal one's")

    def test_several_at_create_with_static_addresses(self):
        mac = "02:42:0a:5b:01:63"
        status, _, text = self.engine.api("POST", "/v1.48/containers/create?name=c1", {
            "Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "two"},
            "NetworkingConfig": {"EndpointsConfig": {
                "one": {"IPAMConfig": {"IPv4Address": "10.91.1.99"}, "MacAddress": mac},
                "two": {"Aliases": ["x"], "GwPriority": 5}}}})
        self.assertEqual(status, 201, text)
        self.addCleanup(self.engine.docker, "rm", "-f", "c1")
        self.engine.docker("start", "c1")
        self.assertEqual(self.addresses(), {"eth0": "10.91.1.99/24", "eth1": "10.91.2.2/24"})
        self.assertEqual(self.inside("cat", "/sys/class/net/eth0/address"), mac + "\n")
        self.assertEqual(self.default_route(), ["10.91.2.1"], "the higher priority")

    def test_ports_move_with_the_way_out(self):
        self.start("--network", "one", "-p", "28091:80",
                   command=("sh", "-c", "while :; do echo hello | nc -l -p 80; done"))

        def greeting():
            with socket.create_connection(("127.0.0.1", 28091), 5) as client:
                return client.recv(100)
        self.assertEqual(greeting(), b"hello\n")
        self.assertEqual(self.connect("two"), (200, ""))
        self.assertEqual(self.disconnect("one"), (200, ""))
        self.assertEqual(self.engine.docker("port", "c1").stdout, "80/tcp -> 127.0.0.1:28091\n")
        self.assertEqual(greeting(), b"hello\n")

    def test_addresses_are_kept_over_a_restart_of_the_engine(self):
        self.start("--network", "one", "--ip", "10.91.1.50")
        self.assertEqual(self.connect("two"), (200, ""))
        before = self.networks()
        self.engine.stop()
        self.engine.start()
        self.assertEqual(self.networks(), before)
        self.assertEqual(self.disconnect("two"), (200, ""))
        self.assertEqual(self.addresses(), {"eth0": "10.91.1.50/24"})
        self.start("--network", "one", name="d1")
        self.assertNotEqual(self.networks("d1")["one"]["IPAddress"], "10.91.1.50")

    def test_what_cannot_be_connected(self):
        self.start("--network", "none")
        self.start("--network", "host", name="h1")
        self.start("--network", "container:c1", name="s1")
        none = ("container cannot be connected to multiple networks with one of the networks in "
                "private (none) mode")
        host = "container cannot be disconnected from host network or connected to host network"
        shared = ("container sharing network namespace with another container or host cannot be "
                  "connected to any other network")
        self.assertEqual(self.connect("one"), (400, none))
        self.assertEqual(self.connect("one", "h1"), (400, host))
        self.assertEqual(self.disconnect("host", "h1"), (400, host))
        self.assertEqual(self.connect("one", "s1"), (400, shared))
        self.assertEqual(self.connect("absent")[0], 404)
        self.assertEqual(self.connect("one", "absent")[0], 404)
        self.start(name="b1")
        self.assertEqual(self.connect("one", "b1", IPAMConfig={"IPv4Address": "10.9.9.9"})[0], 400)
        self.assertEqual(self.connect("one", "b1", IPAMConfig={"IPv6Address": "fe80::7"})[0], 400)
        self.assertEqual(self.connect("one", "b1", MacAddress="x")[0], 400)
        self.assertEqual(self.connect("one", "b1", DriverOpts={"a": "b"})[0], 501)
        run = self.engine.docker("run", "--rm", "--ip", "172.17.0.9", "busybox", "true",
                                 check=False)
        self.assertIn("user specified IP address is supported on user defined networks only",
                      run.stderr)
        self.assertEqual(self.addresses("b1").keys(), {"eth0"}, "nothing is left of a failure")

    def test_taken_address_is_refused(self):
        self.start("--network", "one", "--ip", "10.91.1.60")
        run = self.engine.docker("run", "--rm", "--network", "one", "--ip", "10.91.1.60", "busybox",
                                 "true", check=False)
        self.assertEqual(run.returncode, 125)
        self.assertIn("Address already in use", run.stderr)

    def test_network_in_use_stays_and_a_gone_one_can_be_left(self):
        self.start("--network", "one")
        self.assertIn("has active endpoints",
                      self.engine.docker("network", "rm", "one", check=False).stderr)
        self.engine.docker("network", "create", "short")
        self.engine.docker("create", "--name", "d1", "--network", "short", "busybox", "true")
        self.addCleanup(self.engine.docker, "rm", "d1")
        self.engine.docker("network", "rm", "short")
        self.assertIn("network short not found", self.engine.docker("start", "d1",
                                                                    check=False).stderr)
        self.assertEqual(self.disconnect("short", "d1"), (404, "network short not found"))
        self.assertEqual(self.disconnect("short", "d1", force=True), (200, ""))

    def test_events(self):
        since = self.engine.json("GET", "/info")["SystemTime"]
        self.start("--network", "one")
        self.connect("two")
        self.disconnect("two")
        self.engine.docker("rm", "-f", "c1")
        now = self.engine.json("GET", "/info")["SystemTime"]
        _, _, text = self.engine.api("GET", f"/events?since={since}&until={now}&filters="
                                            '{"type":["network"]}'.replace('"', "%22"))
        seen = [json.loads(line) for line in text.splitlines() if line.strip()]
        self.assertEqual([(one["Action"], one["Actor"]["Attributes"]["name"]) for one in seen],
                         [("connect", "one"), ("connect", "two"), ("disconnect", "two"),
                          ("disconnect", "one")])


if __name__ == "__main__":
    unittest.main()
