"""Networks with IPv6: both families, IPv6 alone, addresses from pools and static, names, routes."""
import ipaddress
import socket
import unittest

from support.engine import Engine, wait_until


class Ipv6(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        cls.engine.import_busybox()
        cls.engine.docker("network", "create", "--ipv6", "--subnet", "10.92.1.0/24",
                          "--subnet", "fd92:1::/64", "both")
        cls.engine.docker("network", "create", "--ipv6", "--ipv4=false", "six")

    def start(self, *flags, name="c1", command=("sleep", "1000")):
        self.engine.docker("run", "-d", "--name", name, *flags, "busybox", *command)
        self.addCleanup(self.engine.docker, "rm", "-f", name)

    def settings(self, network, name="c1"):
        return self.engine.json("GET", f"/containers/{name}/json")["NetworkSettings"]["Networks"][network]

    def inside(self, *command, name="c1"):
        return self.engine.docker("exec", name, *command).stdout

    def addresses(self, name="c1"):
        """Those of the container's interfaces, the kernel's own link-local ones excepted."""
        lines = [line.split() for line in self.inside("ip", "-o", "addr", name=name).splitlines()]
        return [words[3] for words in lines if words[1] != "lo" and "ff:fe" not in words[3]]

    def default_routes(self, family, name="c1"):
        lines = [line.split() for line in self.inside("ip", family, "route", name=name).splitlines()]
        return [words[2] for words in lines if words[0] == "default"]

    def test_both_families(self):
        self.start("--network", "both")
        self.assertEqual(self.addresses(), ["10.92.1.2/24", "fd92:1::2/64"])
        self.assertEqual(self.default_routes("-4"), ["10.92.1.1"])
        self.assertEqual(self.default_routes("-6"), ["fd92:1::1"])
        settings = self.settings("both")
        self.assertEqual((settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"],
                          settings["IPv6Gateway"]), ("fd92:1::2", 64, "fd92:1::1"))
        network = self.engine.json("GET", "/networks/both")
        self.assertEqual((network["EnableIPv4"], network["EnableIPv6"]), (True, True))
        self.assertEqual([config["Subnet"] for config in network["IPAM"]["Config"]],
                         ["10.92.1.0/24", "fd92:1::/64"])
        self.assertEqual([one["IPv6Address"] for one in network["Containers"].values()],
                         ["fd92:1::2/64"])
        self.assertEqual(network["Status"]["IPAM"]["Subnets"], {
            "10.92.1.0/24": {"IPsInUse": 4, "DynamicIPsAvailable": 252},
            "fd92:1::/64": {"IPsInUse": 3, "DynamicIPsAvailable": 2 ** 64 - 3}})
        hosts = self.inside("cat", "/etc/hosts")
        self.assertIn("10.92.1.2\t", hosts)
        self.assertIn("fd92:1::2\t", hosts)

    def test_they_reach_each_other_by_name(self):
        self.start("--network", "both", name="server",
                   command=("sh", "-c", "while :; do echo hello | nc -l -p 80; done"))
        self.start("--network", "both")
        answer = self.inside("nslookup", "-type=aaaa", "server", "127.0.0.11")
        self.assertIn(self.settings("both", "server")["GlobalIPv6Address"], answer)
        server = self.settings("both", "server")["GlobalIPv6Address"]
        self.assertIn("name = server.both",
                      self.inside("nslookup", "-type=ptr", ipaddress.ip_address(server).reverse_pointer,
                                  "127.0.0.11"))
        wait_until(lambda: self.engine.docker("exec", "c1", "nc", "-w", "5", server, "80",
                                              check=False).stdout == "hello\n")

    def test_ipv6_alone(self):
        self.start("--network", "six")
        network = self.engine.json("GET", "/networks/six")
        (config,) = network["IPAM"]["Config"]
        subnet = ipaddress.ip_network(config["Subnet"])
        self.assertEqual(subnet.prefixlen, 64)
        self.assertTrue(subnet.subnet_of(ipaddress.ip_network("fd00::/8")))
        self.assertEqual((network["EnableIPv4"], network["EnableIPv6"]), (False, True))
        self.assertEqual(self.addresses(), [f"{subnet[2]}/64"])
        self.assertEqual(self.default_routes("-6"), [config["Gateway"]])
        self.assertEqual(self.default_routes("-4"), [])
        self.assertEqual(self.settings("six")["IPAddress"], "")

    def test_the_pool_of_the_engine_is_a_48_and_stays(self):
        self.engine.docker("network", "create", "--ipv6", "more")
        self.addCleanup(self.engine.docker, "network", "rm", "more")

        def pool(name):
            subnets = [c["Subnet"] for c in self.engine.json("GET", f"/networks/{name}")["IPAM"]["Config"]]
            return ipaddress.ip_network(next(s for s in subnets if ":" in s)).supernet(new_prefix=48)
        self.assertEqual(pool("more"), pool("six"))
        self.engine.stop()
        self.engine.start()
        self.engine.docker("network", "create", "--ipv6", "again")
        self.addCleanup(self.engine.docker, "network", "rm", "again")
        self.assertEqual(pool("again"), pool("six"))

    def test_published_to_ipv6(self):
        self.start("--network", "both", "-p", "28192:80",
                   command=("sh", "-c", "while :; do echo hello | nc -l -p 80; done"))
        self.assertEqual(self.engine.docker("port", "c1").stdout, "80/tcp -> 127.0.0.1:28192\n")
        with self.assertRaises(ConnectionRefusedError):  # at once, so that clients go on to IPv4
            socket.create_connection(("::1", 28192), 5)

    def test_published_everywhere(self):
        self.start("--network", "both", "-p", "0.0.0.0::80", "-p", "[::]:28193:80",
                   command=("sh", "-c", "while :; do echo hello | nc -l -p 80; done"))
        gateway = self.engine.json("GET", "/networks/both")["IPAM"]["Config"][1]["Gateway"]
        with socket.create_connection((gateway.partition("/")[0], 28193), 5) as asked:
            self.assertEqual(asked.recv(100), b"hello\n")
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("::1", 28193), 5)

    def test_ipv6_loopback_is_refused(self):
        failed = self.engine.docker("run", "--rm", "--network", "both", "-p", "[::1]:28194:80", "busybox", "true", check=False)
        self.assertIn("cannot publish on '::1'", failed.stderr)

    def test_static_and_link_local_addresses(self):
        self.start("--network", "both", "--ip", "10.92.1.77", "--ip6", "FD92:1:0::0077",
                   "--link-local-ip", "169.254.7.7", "--link-local-ip", "fe80::77")
        self.assertEqual(sorted(self.addresses()),
                         ["10.92.1.77/24", "169.254.7.7/16", "fd92:1::77/64", "fe80::77/64"])
        taken = self.engine.docker("run", "--rm", "--network", "both", "--ip6", "fd92:1::77",
                                   "busybox", "true", check=False)
        self.assertIn("Address already in use", taken.stderr)
        outside = self.engine.docker("run", "--rm", "--network", "both", "--ip6", "fd92:2::1",
                                     "busybox", "true", check=False)
        self.assertIn("fd92:2::1", outside.stderr)
        self.assertEqual(outside.returncode, 125)

    def test_no_router_is_believed_and_without_ipv6_there_is_none(self):
        self.engine.docker("network", "create", "--subnet", "10.92.9.0/24", "four")
        self.addCleanup(self.engine.docker, "network", "rm", "four")
        self.start("--network", "four", name="without")
        self.assertEqual(self.addresses("without"), ["10.92.9.2/24"])
        self.assertEqual(self.inside("cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6", name="without"), "1\n")
        self.start("--network", "both", name="with")
        for key, value in {"accept_ra": "0", "autoconf": "0", "disable_ipv6": "0"}.items():
            self.assertEqual(self.inside("cat", f"/proc/sys/net/ipv6/conf/eth0/{key}", name="with"), value + "\n")

    def test_connect_and_disconnect_while_it_runs(self):
        self.start("--network", "six")
        six = self.default_routes("-6")
        self.engine.docker("network", "connect", "--ip6", "fd92:1::99", "both", "c1")
        self.assertIn("fd92:1::99/64", self.addresses())
        self.assertEqual(self.default_routes("-6"), ["fd92:1::1"], "the first by name")
        self.assertEqual(self.default_routes("-4"), ["10.92.1.1"])
        self.engine.docker("network", "disconnect", "both", "c1")
        self.assertEqual((self.default_routes("-6"), self.default_routes("-4")), (six, []))

    def test_kept_over_a_restart_of_the_engine(self):
        self.start("--network", "both", "--ip6", "fd92:1::55")
        self.engine.stop()
        self.engine.start()
        self.assertEqual(self.settings("both")["GlobalIPv6Address"], "fd92:1::55")
        taken = self.engine.docker("run", "--rm", "--network", "both", "--ip6", "fd92:1::55",
                                   "busybox", "true", check=False)
        self.assertIn("Address already in use", taken.stderr)

    def test_neither_family_is_refused(self):
        status, _, text = self.engine.api("POST", "/networks/create", {"Name": "no", "EnableIPv4": False})
        self.assertEqual(status, 400, text)


class DefaultBridge(unittest.TestCase):
    def test_has_it_when_asked_for(self):
        engine = Engine("--ipv6", "--fixed-cidr-v6", "fd92:b::/64")
        self.addCleanup(engine.close)
        engine.import_busybox()
        shown = engine.docker("run", "--rm", "busybox", "ip", "-6", "addr", "show", "eth0").stdout
        self.assertIn("fd92:b::2/64", shown)


if __name__ == "__main__":
    unittest.main()
