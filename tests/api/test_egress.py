"""Egress policies: what containers may reach outside their networks."""
import os
import subprocess
import unittest

from support.engine import Engine, wait_until
from support.name_server import NameServer, query
from support.registry import busybox_rootfs
from test_names import ask_udp, code_and_count, in_netns_of

OUTSIDE = ("198.51.100.1", "198.51.100.2", "203.0.113.1")


def ip(command, prefix=()):
    subprocess.run([*prefix, "ip", *command.split()], check=True)


class Egress(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The outside: a network namespace with these addresses and a server on each.
        outside = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
        cls.addClassCleanup(outside.wait)
        cls.addClassCleanup(outside.kill)
        wait_until(lambda: os.readlink(f"/proc/{outside.pid}/ns/net") !=
                   os.readlink("/proc/self/ns/net"))
        cls.inside = ["nsenter", "-t", str(outside.pid), "-n"]
        ip(f"link add outside0 type veth peer name out netns {outside.pid}")
        ip("address add 192.0.2.1/24 dev outside0")
        ip("link set outside0 up")
        for command in ("link set lo up", "address add 192.0.2.2/24 dev out", "link set out up"):
            ip(command, cls.inside)
        for address in OUTSIDE:
            ip(f"address add {address}/32 dev lo", cls.inside)
            ip(f"route add {address} via 192.0.2.2")
        cls.server = NameServer(known={"one.example": 1, "www.two.example": 1, "three.example": 1})
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        cls.engine.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())
        for address in OUTSIDE:
            for port in (8080, 8081):
                web = subprocess.Popen([*cls.inside, "busybox", "httpd", "-f", "-p",
                                        f"{address}:{port}"])
                cls.addClassCleanup(web.wait)
                cls.addClassCleanup(web.kill)
        cls.engine.docker("network", "create", "front")

    def start(self, name, *flags, network="front"):
        self.engine.coffer("run", "-d", "--name", name, "--network", network, *flags, "busybox",
                           "sleep", "1000")
        self.addCleanup(self.engine.docker, "rm", "-f", name)

    def reaches(self, container, address, port=8080):
        run = self.engine.docker("exec", container, "nc", "-w", "5", address, str(port),
                                 input="", check=False)
        return run.returncode == 0

    def inspect_pid(self, container):
        return self.engine.json("GET", f"/containers/{container}/json")["State"]["Pid"]

    def ask(self, container, name, kind=1, rest=b""):
        """`rest`: what the question ends with instead of its class."""
        message = query(name, kind)
        message = message[:len(message) - len(rest)] + rest
        return code_and_count(in_netns_of(self.inspect_pid(container), lambda: ask_udp(message)))

    def counts(self, container):
        rows = self.engine.json("GET", f"/coffer/containers/{container}/egress")
        return {row["Of"]: {rule["Rule"]: rule["Packets"] for rule in row["Rules"]}
                for row in rows}

    def test_without_a_policy_all_is_reached(self):
        self.start("free")
        for address in OUTSIDE:
            self.assertTrue(self.reaches("free", address), address)

    def test_denied_but_for_addresses_and_ports(self):
        self.start("web", "--egress", "deny", "--egress",
                   "allow:198.51.100.0/24:8080/tcp", "--egress", "deny:198.51.100.1")
        self.assertTrue(self.reaches("web", OUTSIDE[1]))
        self.assertTrue(self.reaches("web", OUTSIDE[0]), "the first rule decides")
        self.assertFalse(self.reaches("web", OUTSIDE[1], 8081))
        self.assertFalse(self.reaches("web", OUTSIDE[2]))
        counts = self.counts("web")["container web in front"]
        self.assertEqual(counts["allow:198.51.100.0/24:8080/tcp"], 2)
        self.assertGreaterEqual(counts["deny"], 2)
        table = self.engine.coffer("egress", "show", "web").stdout
        self.assertIn("allow:198.51.100.0/24:8080/tcp", table)

    def test_names_stand_for_the_addresses_that_were_answered(self):
        self.start("named", "--egress", "deny allow:one.example:8080 allow:*.two.example")
        self.assertFalse(self.reaches("named", OUTSIDE[0]), "nobody has asked for the name yet")
        self.server_gives(OUTSIDE[0])
        self.assertEqual(self.ask("named", "one.example"), (0, 1))
        self.assertTrue(self.reaches("named", OUTSIDE[0]))
        self.assertFalse(self.reaches("named", OUTSIDE[0], 8081))
        self.server_gives(OUTSIDE[1])
        self.assertEqual(self.ask("named", "www.two.example"), (0, 1))
        self.assertTrue(self.reaches("named", OUTSIDE[1], 8081))
        before = len(self.server.asked)
        for name, kind in (("three.example", 1), ("secret.three.example", 16), ("two.example", 1)):
            self.assertEqual(self.ask("named", name, kind), (5, 0), name)
        self.assertEqual(self.ask("named", "chaos.three.example", rest=b"\0\3"), (5, 0))
        self.assertEqual(len(self.server.asked), before, "what it may not ask it cannot tell")
        self.assertFalse(self.reaches("named", OUTSIDE[2]))
        report = self.engine.json("GET", "/coffer/containers/named/egress")[0]
        self.assertEqual(report["Names"], {"three.example": 1, "secret.three.example": 1,
                                           "chaos.three.example": 1, "two.example": 1})

    def server_gives(self, address):
        def answer(message, over):
            reply = NameServer.answer(self.server, message, over)
            return reply.replace(bytes([192, 0, 2, 7]), bytes(map(int, address.split("."))))
        self.server.answer = answer

    def test_the_default_bridge_has_the_resolver_then(self):
        self.start("plain", "--egress", "deny allow:one.example", network="bridge")
        text = self.engine.docker("exec", "plain", "cat", "/etc/resolv.conf").stdout
        self.assertIn("127.0.0.11", text)
        self.server_gives(OUTSIDE[0])
        self.assertEqual(self.ask("plain", "one.example"), (0, 1))
        self.assertTrue(self.reaches("plain", OUTSIDE[0]))
        self.assertEqual(self.ask("plain", "named"), (5, 0))

    def test_the_host_is_outside_too(self):
        gateway = self.engine.json("GET", "/networks/front")["IPAM"]["Config"][0]["Gateway"]
        self.start("shut", "--egress", "deny")
        self.start("open")
        web = subprocess.Popen(["busybox", "httpd", "-f", "-p", f"{gateway}:8090"])
        self.addCleanup(web.wait)
        self.addCleanup(web.kill)
        self.assertTrue(self.reaches("open", gateway, 8090))
        self.assertFalse(self.reaches("shut", gateway, 8090))

    def test_neighbours_and_published_ports_are_not_its_concern(self):
        self.engine.docker("run", "-d", "--name", "served", "--network", "front", "-p",
                           "127.0.0.1:18080:80", "--annotation", "coffer.egress=deny", "busybox",
                           "httpd", "-f", "-p", "80", "-h", "/bin")
        self.addCleanup(self.engine.docker, "rm", "-f", "served")
        self.start("other")
        self.assertTrue(self.reaches("other", "served", 80))
        got = subprocess.run(["curl", "-s", "-o", "/dev/null", "http://127.0.0.1:18080/busybox"])
        self.assertEqual(got.returncode, 0)

    def test_another_address_gains_nothing(self):
        # Where addresses are free, the policy alone decides.
        self.engine.docker("network", "create", "-o", "coffer.network.spoofing=allow", "free")
        self.addCleanup(self.engine.docker, "network", "rm", "free")
        self.start("shifty", "--egress", "deny", "--cap-add", "NET_ADMIN", network="free")
        config = self.engine.json("GET", "/networks/free")["IPAM"]["Config"][0]
        other = config["Gateway"].rpartition(".")[0] + ".200"
        self.engine.docker("exec", "shifty", "sh", "-ec",
                           f"ip address add {other}/{config['Subnet'].partition('/')[2]} dev eth0;"
                           f"ip route replace default via {config['Gateway']} src {other}")
        self.assertFalse(self.reaches("shifty", OUTSIDE[0]))
        # As a program in it could that finds a way round the system call filter.
        inside = ["nsenter", "-t", str(self.inspect_pid("shifty")), "-n"]
        for command in ("link set eth0 down", "link set eth0 address 02:00:00:00:00:99",
                        "link set eth0 up", f"route add default via {config['Gateway']}"):
            ip(command, inside)
        self.assertFalse(self.reaches("shifty", OUTSIDE[0]))
        self.engine.coffer("egress", "clear", "shifty")
        self.assertTrue(self.reaches("shifty", OUTSIDE[0]), "the addresses do work")

    def test_audit_refuses_nothing_and_counts(self):
        self.start("watched", "--egress", "deny audit allow:198.51.100.1")
        self.server_gives(OUTSIDE[2])
        self.assertTrue(self.reaches("watched", OUTSIDE[2]))
        self.assertEqual(self.ask("watched", "three.example"), (0, 1))
        report = self.engine.json("GET", "/coffer/containers/watched/egress")[0]
        self.assertEqual(report["Names"], {"three.example": 1})
        self.assertEqual(self.counts("watched")["container watched in front"]["deny"], 1)

    def test_a_network_s_policy_is_for_all_in_it_and_both_must_agree(self):
        self.engine.docker("network", "create", "-o", "coffer.egress=deny allow:198.51.100.0/24",
                           "closed")
        self.addCleanup(self.engine.docker, "network", "rm", "closed")
        self.start("in", network="closed")
        self.start("tight", "--egress", "deny:198.51.100.1", network="closed")
        self.assertTrue(self.reaches("in", OUTSIDE[0]))
        self.assertFalse(self.reaches("in", OUTSIDE[2]))
        self.assertFalse(self.reaches("tight", OUTSIDE[0]))
        self.assertTrue(self.reaches("tight", OUTSIDE[1]))
        self.assertFalse(self.reaches("tight", OUTSIDE[2]))
        self.engine.coffer("egress", "set", "--network", "closed", "deny:198.51.100.2")
        self.assertTrue(self.reaches("in", OUTSIDE[2]))
        self.assertFalse(self.reaches("in", OUTSIDE[1]))
        options = self.engine.json("GET", "/networks/closed")["Options"]
        self.assertEqual(options["coffer.egress"], "deny:198.51.100.2")

    def test_changed_live_and_kept_over_a_restart_of_the_engine_and_a_flush(self):
        self.start("moving")
        self.assertTrue(self.reaches("moving", OUTSIDE[0]))
        self.engine.coffer("egress", "set", "moving", "deny", "allow:198.51.100.2")
        self.assertFalse(self.reaches("moving", OUTSIDE[0]))
        self.engine.stop()
        self.engine.start()
        self.assertFalse(self.reaches("moving", OUTSIDE[0]))
        self.assertTrue(self.reaches("moving", OUTSIDE[1]))
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        wait_until(lambda: not self.reaches("moving", OUTSIDE[0]))
        self.engine.docker("restart", "-t", "0", "moving")
        self.assertFalse(self.reaches("moving", OUTSIDE[0]))
        self.engine.coffer("egress", "clear", "moving")
        self.assertTrue(self.reaches("moving", OUTSIDE[0]))
        self.assertEqual(self.counts("moving"), {})

    def buckets(self, name):
        pid = self.inspect_pid(name)
        inside = subprocess.run(["nsenter", "-t", str(pid), "-n", "tc", "qdisc", "show", "dev",
                                 "eth0"], capture_output=True, text=True, check=True).stdout
        peer = subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "-o", "link", "show", "eth0"],
                              capture_output=True, text=True, check=True).stdout
        link = peer.split("@if")[1].split(":")[0]
        outside = subprocess.run(["tc", "qdisc", "show"], capture_output=True, text=True,
                                 check=True).stdout
        names = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True,
                               check=True).stdout
        host = next(line.split()[1].split("@")[0] for line in names.splitlines()
                    if line.startswith(f"{link}: "))
        there = [line for line in outside.splitlines() if f"dev {host} " in line]
        return [(text.partition("rate ")[2].split() or ["none"])[0]
                for text in (" ".join(there), inside)]

    def test_rates(self):
        self.engine.docker("network", "create", "-o", "coffer.rate=in=50mbit,out=20mbit", "slow")
        self.addCleanup(self.engine.docker, "network", "rm", "slow")
        self.start("r1", network="slow")
        self.start("r2", "--rate", "in=10mbit", network="slow")
        self.start("r3", "--rate", "out=1gbit")
        self.assertEqual(self.buckets("r1"), ["50Mbit", "20Mbit"])
        self.assertEqual(self.buckets("r2"), ["10Mbit", "20Mbit"])
        self.assertEqual(self.buckets("r3"), ["none", "1Gbit"])
        self.assertTrue(self.reaches("r2", OUTSIDE[0]))

    def test_nothing_is_left_of_policies(self):
        self.start("brief", "--egress", "deny")
        self.engine.docker("rm", "-f", "brief")
        tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True,
                                check=True).stdout
        self.assertNotIn("egress", tables)

    def test_what_cannot_be_enforced_is_refused(self):
        for flags, text in ((["--egress", "deny:nowhere:x"], "has a port that is none"),
                            (["--egress", "deny", "--network", "host"], "conflicting options"),
                            (["--egress", "deny", "--network", "none"], "conflicting options"),
                            (["--rate", "10mbit"], "invalid rate '10mbit'"),
                            (["--rate", "in=1mbit", "--network", "host"], "conflicting options")):
            run = self.engine.coffer("run", "--rm", *flags, "busybox", "true", check=False)
            self.assertEqual(run.returncode, 125)
            self.assertIn(text, run.stderr)
        made = self.engine.docker("network", "create", "-o", "coffer.egress=forbid", "bad",
                                  check=False)
        self.assertIn("invalid egress policy: 'forbid'", made.stderr)
        run = self.engine.coffer("egress", "set", "--network", "bridge", "deny", check=False)
        self.assertIn("network bridge cannot have an egress policy", run.stderr)


if __name__ == "__main__":
    unittest.main()
