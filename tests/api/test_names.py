"""Names of containers in user-defined networks: the resolver at 127.0.0.11."""
import os
import socket
import struct
import threading
import unittest

from support.engine import Engine
from support.name_server import NameServer, query
from support.registry import busybox_rootfs


def in_netns_of(pid, work):
    """Runs `work` in a thread inside the network namespace of a process."""
    result = []

    def run():
        with open(f"/proc/{pid}/ns/net") as netns:
            os.setns(netns.fileno(), 0x40000000) if hasattr(os, "setns") else setns(netns.fileno())
        result.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return result[0] if result else None


def setns(fd):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ask_udp(message, timeout=5):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(("127.0.0.11", 53))
        client.send(message)
        try:
            return client.recv(65536)
        except (socket.timeout, ConnectionError):
            return None


def ask_tcp(message):
    with socket.create_connection(("127.0.0.11", 53), 5) as client:
        client.sendall(struct.pack(">H", len(message)) + message)
        reply = b""
        while len(reply) < 2 or len(reply) < 2 + struct.unpack(">H", reply[:2])[0]:
            more = client.recv(65536)
            if not more:
                return None
            reply += more
        return reply[2:]


def code_and_count(reply):
    flags, _, answers = struct.unpack(">3H", reply[2:8])
    return flags & 15, answers


class Names(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = NameServer()
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.engine = Engine()
        cls.addClassCleanup(cls.engine.close)
        cls.engine.docker("import", "-c", "ENV PATH=/bin", "-", "busybox", input=busybox_rootfs())
        cls.engine.docker("network", "create", "front")
        cls.engine.docker("network", "create", "--internal", "inner")
        cls.run_one("web", "--network", "front", "--network-alias", "www", "--hostname", "webhost")
        cls.run_one("db", "--network", "inner")
        cls.engine.docker("network", "connect", "--alias", "inner-web", "inner", "web")

    @classmethod
    def run_one(cls, name, *flags):
        return cls.engine.docker("run", "-d", "--name", name, *flags, "busybox", "sleep",
                                 "1000").stdout.strip()

    def inspect(self, name):
        return self.engine.json("GET", f"/containers/{name}/json")

    def address(self, name, network):
        return self.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]

    def look_up(self, container, name):
        """The addresses of a name in the container, None when there is none."""
        reply = self.ask(container, lambda: ask_udp(query(name)))
        _, count = code_and_count(reply)
        records = reply[len(query(name)):]
        return [socket.inet_ntoa(records[16 * i + 12:16 * i + 16]) for i in range(count)] or None

    def ask(self, container, work):
        return in_netns_of(self.inspect(container)["State"]["Pid"], work)

    def test_every_name_of_a_container_in_the_same_network(self):
        self.run_one("client", "--network", "front")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")
        web = self.address("web", "front")
        short = self.inspect("web")["Id"][:12]
        for name in ("web", "www", "WEB", "webhost", short, "web.front", "www.front"):
            self.assertEqual(self.look_up("client", name), [web], name)
        self.assertEqual(self.look_up("web", "client"), [self.address("client", "front")])
        run = self.engine.docker("exec", "client", "wget", "-O-", "http://www:1/", check=False)
        self.assertIn(f"www:1 ({web}:1)", run.stdout + run.stderr)
        settings = self.inspect("web")["NetworkSettings"]["Networks"]["front"]
        self.assertEqual(settings["DNSNames"], ["web", "www", short, "webhost"])

    def test_names_end_at_the_network(self):
        self.run_one("client", "--network", "front")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")
        self.assertIsNone(self.look_up("client", "db"))
        self.assertIsNone(self.look_up("client", "inner-web"))
        self.assertEqual(self.look_up("db", "inner-web"), [self.address("web", "inner")])
        self.assertEqual(self.look_up("web", "db"), [self.address("db", "inner")])

    def test_shared_alias_gives_all(self):
        for name in ("a1", "a2"):
            self.run_one(name, "--network", "front", "--network-alias", "pool")
            self.addCleanup(self.engine.docker, "rm", "-f", name)
        self.assertEqual(sorted(self.look_up("web", "pool")),
                         sorted(self.address(name, "front") for name in ("a1", "a2")))

    def test_link_is_a_name_for_one_alone(self):
        self.run_one("client", "--network", "front", "--link", "web:database")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")
        self.assertEqual(self.look_up("client", "database"), [self.address("web", "front")])
        self.assertIsNone(self.look_up("web", "database"))

    def test_addresses_have_names_and_ipv6_is_empty(self):
        web = self.address("web", "front")
        reverse = ".".join(reversed(web.split("."))) + ".in-addr.arpa"
        reply = self.ask("web", lambda: ask_udp(query(reverse, kind=12)))
        self.assertEqual(code_and_count(reply), (0, 1))
        self.assertIn(b"\x03web\x05front", reply)
        self.assertEqual(code_and_count(self.ask("web", lambda: ask_udp(query("web", kind=28)))),
                         (0, 0))

    def test_other_names_are_passed_on_over_udp_and_tcp(self):
        self.assertEqual(self.look_up("web", "outside.example"), ["192.0.2.7"])
        self.assertIn(("outside.example", "udp"), self.server.asked)
        self.assertEqual(code_and_count(self.ask("web", lambda: ask_tcp(query("big.example")))),
                         (0, 200))
        self.assertIn(("big.example", "tcp"), self.server.asked)
        cut = self.ask("web", lambda: ask_udp(query("big.example")))
        self.assertTrue(cut[2] & 2, "the mark that says: ask again by TCP")
        self.assertEqual(code_and_count(self.ask("web", lambda: ask_udp(query("no.example")))),
                         (3, 0))

    def test_what_was_answered_is_kept_for_the_container_alone(self):
        self.run_one("client", "--network", "front")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")
        outside = ("kept.outside.example", "udp")
        self.server.known["kept.outside.example"] = 1
        for number in (1, 2):
            reply = self.ask("client", lambda: ask_udp(query(outside[0], number=number)))
            self.assertEqual(struct.unpack(">H", reply[:2]), (number,))
            self.assertEqual(code_and_count(reply), (0, 1))
        self.assertEqual(self.server.asked.count(outside), 1)
        self.assertEqual(self.look_up("web", outside[0]), ["192.0.2.7"])
        self.assertEqual(self.server.asked.count(outside), 2)

    def test_the_first_server_that_can_help_is_heard(self):
        # One is slow, one fails: the slow one is waited for although others have been asked since.
        self.run_one("client", "--network", "front", "--dns", "127.0.0.1", "--dns", "127.0.0.3")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")

        def both():
            with NameServer("127.0.0.1", None, slowness=3.3) as slow, \
                    NameServer("127.0.0.3", None, known={"slow.example": None}) as wrong:
                return ask_udp(query("slow.example")), slow.asked, wrong.asked
        reply, slow, wrong = self.ask("client", both)
        self.assertEqual(code_and_count(reply), (0, 1))
        self.assertIn(("slow.example", "udp"), slow)
        self.assertIn(("slow.example", "udp"), wrong)

    def test_dead_servers_are_told_as_a_failure(self):
        self.run_one("client", "--network", "front", "--dns", "192.0.2.1", "--dns", "127.0.0.1")
        self.addCleanup(self.engine.docker, "rm", "-f", "client")
        reply = self.ask("client", lambda: ask_udp(query("outside.example")))
        self.assertEqual(code_and_count(reply), (2, 0))

    def test_a_change_of_the_hosts_file_is_followed(self):
        with NameServer("127.0.0.2", "nameserver 127.0.0.2\n",
                        known={"new.example": 1}) as other:
            self.assertEqual(self.look_up("web", "new.example"), ["192.0.2.7"])
            self.assertEqual(other.asked, [("new.example", "udp")])
        self.assertIsNone(self.look_up("web", "new.example"))

    def test_internal_network_does_not_ask_outside(self):
        before = len(self.server.asked)
        for how in (ask_udp, ask_tcp):
            reply = self.ask("db", lambda: how(query("secret.outside.example")))
            self.assertEqual(code_and_count(reply), (2, 0))
            chaos = query("secret.outside.example")[:-2] + b"\0\3"
            self.assertEqual(code_and_count(self.ask("db", lambda: how(chaos))), (2, 0))
        self.assertEqual(len(self.server.asked), before)

    def test_resolv_conf(self):
        text = self.engine.docker("exec", "web", "cat", "/etc/resolv.conf").stdout
        self.assertEqual(text, "nameserver 127.0.0.11\nsearch test.example\n"
                               "options timeout:2 ndots:0\n")
        text = self.engine.docker("run", "--rm", "--network", "front", "--dns-search", "a.example",
                                  "--dns-option", "ndots:3", "busybox", "cat",
                                  "/etc/resolv.conf").stdout
        self.assertEqual(text, "nameserver 127.0.0.11\nsearch a.example\noptions ndots:3\n")

    def test_servers_of_its_own_are_asked_from_its_network(self):
        gateway = self.inspect("web")["NetworkSettings"]["Networks"]["front"]["Gateway"]
        with NameServer(gateway, resolv_conf=None) as own:
            self.run_one("client", "--network", "front", "--dns", gateway)
            self.addCleanup(self.engine.docker, "rm", "-f", "client")
            self.assertEqual(self.look_up("client", "outside.example"), ["192.0.2.7"])
            self.assertEqual(own.asked, [("outside.example", "udp")])

    def test_port_53_is_left_to_the_container(self):
        run = self.engine.docker("exec", "web", "sh", "-c",
                                 "timeout 1 nc -l -p 53; echo $?")
        self.assertNotIn("in use", run.stdout + run.stderr)

    def test_default_bridge_has_no_names(self):
        self.run_one("plain")
        self.addCleanup(self.engine.docker, "rm", "-f", "plain")
        text = self.engine.docker("exec", "plain", "cat", "/etc/resolv.conf").stdout
        self.assertNotIn("127.0.0.11", text)

    def test_shared_network_namespace_has_the_same_names(self):
        run = self.engine.docker("run", "--rm", "--network", "container:web", "busybox",
                                 "nslookup", "-type=a", "db.inner")
        self.assertIn(self.address("db", "inner"), run.stdout)

    def test_garbage_does_not_stop_it(self):
        def attack():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect(("127.0.0.11", 53))
                for size in range(0, 600, 7):
                    client.send(os.urandom(size))
                client.send(query("x" * 63 + "." + "y" * 63))
                client.send(query("web") + b"\xff" * 5000)
            hangers = []
            for _ in range(40):
                try:
                    hangers.append(socket.create_connection(("127.0.0.11", 53), 1))
                    hangers[-1].sendall(b"\xff\xff" + b"x" * 100)
                except OSError:
                    break
            with socket.create_connection(("127.0.0.11", 53), 5) as half:
                half.sendall(b"\0")
            return True
        self.assertTrue(self.ask("web", attack))
        self.assertEqual(self.look_up("db", "inner-web"), [self.address("web", "inner")])
        self.assertEqual(self.look_up("web", "db"), [self.address("db", "inner")])
        self.assertIsNone(self.engine.process.poll())

    def test_names_come_back_with_a_new_engine(self):
        before = self.address("web", "inner")
        self.engine.docker("rename", "web", "web2")
        self.assertEqual(self.look_up("db", "web2"), [before])
        self.engine.stop()
        self.engine.start()
        self.assertEqual(self.address("web2", "inner"), before)
        self.assertEqual(self.look_up("db", "inner-web"), [before])
        self.assertEqual(self.look_up("db", "web2"), [before])
        self.assertIsNone(self.look_up("db", "web"))
        self.engine.docker("rename", "web2", "web")


if __name__ == "__main__":
    unittest.main()
