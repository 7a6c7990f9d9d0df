"""Networks and their addresses: subnets given and from the pools, ranges, sizes, clashes, texts."""
import ipaddress
import json
import unittest

from support.engine import Engine


class Networks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.engine = Engine("--default-address-pool", "base=10.93.0.0/16,size=24",
                            "--default-address-pool", "base=fd93::/48,size=64")
        cls.addClassCleanup(cls.engine.close)
        cls.engine.import_busybox()

    def create(self, name, *configs, **fields):
        status, _, text = self.engine.api("POST", "/networks/create", {
            "Name": name, "IPAM": {"Config": list(configs)}, **fields})
        answer = json.loads(text)
        if status == 201:
            self.addCleanup(self.engine.docker, "network", "rm", name)
        return status, answer.get("message", "")

    def subnets(self, name):
        return [config["Subnet"] for config in self.engine.json("GET", f"/networks/{name}")["IPAM"]["Config"]]

    def addresses(self, *flags):
        shown = self.engine.docker("run", "--rm", *flags, "busybox", "ip", "-o", "addr").stdout
        return [line.split()[3] for line in shown.splitlines()
                if " lo " not in line and "inet6 fe80" not in line]

    def test_of_a_size(self):
        self.assertEqual(self.create("sized", {"Subnet": "0.0.0.0/28"}, {"Subnet": "::/80"}, EnableIPv6=True),
                         (201, ""))
        four, six = map(ipaddress.ip_network, self.subnets("sized"))
        self.assertEqual((four.prefixlen, six.prefixlen), (28, 80))
        self.assertTrue(four.subnet_of(ipaddress.ip_network("10.93.0.0/16")))
        self.assertTrue(six.subnet_of(ipaddress.ip_network("fd93::/48")))

    def test_several_subnets_of_a_family(self):
        self.assertEqual(self.create("several", {"Subnet": "10.94.0.0/30"}, {"Subnet": "10.94.1.0/24"}),
                         (201, ""))
        self.engine.docker("run", "-d", "--name", "first", "--network", "several", "busybox", "sleep", "1000")
        self.addCleanup(self.engine.docker, "rm", "-f", "first")
        first = self.engine.json("GET", "/containers/first/json")["NetworkSettings"]["Networks"]["several"]
        self.assertEqual((first["IPAddress"], first["Gateway"]), ("10.94.0.2", "10.94.0.1"))
        self.assertEqual(self.addresses("--network", "several"), ["10.94.1.2/24"], "the first is full")
        self.assertEqual(self.addresses("--network", "several", "--ip", "10.94.1.77"), ["10.94.1.77/24"])

    def test_range_gateway_and_auxiliary_addresses(self):
        self.engine.docker("network", "create", "--subnet", "10.94.2.0/24", "--ip-range", "10.94.2.128/30",
                           "--gateway", "10.94.2.254", "--aux-address", "router=10.94.2.128", "ranged")
        self.addCleanup(self.engine.docker, "network", "rm", "ranged")
        self.assertEqual(self.addresses("--network", "ranged"), ["10.94.2.129/24"])
        use = self.engine.json("GET", "/networks/ranged")["Status"]["IPAM"]["Subnets"]
        self.assertEqual(use, {"10.94.2.0/24": {"IPsInUse": 4, "DynamicIPsAvailable": 3}})

    def test_a_clash_names_its_owner(self):
        self.assertEqual(self.create("owner", {"Subnet": "10.94.3.0/24"}), (201, ""))
        text = "invalid pool request: Pool overlaps with other one on this address space: "
        self.assertEqual(self.create("late", {"Subnet": "10.94.3.128/25"}),
                         (403, text + "10.94.3.128/25 overlaps 10.94.3.0/24 of network owner"))
        self.assertEqual(self.create("twice", {"Subnet": "10.94.4.0/24"}, {"Subnet": "10.94.4.0/25"}),
                         (403, text + "10.94.4.0/25 overlaps 10.94.4.0/24 of network twice"))
        self.assertEqual(self.create("loopback", {"Subnet": "127.1.0.0/16"}),
                         (403, text + "127.1.0.0/16 overlaps 127.0.0.0/8 of the host's interface lo"))
        self.assertEqual(self.create("owner", {"Subnet": "10.94.5.0/24"}),
                         (409, "network with name owner already exists"))

    def test_what_is_wrong_is_said_as_docker_does(self):
        net = "10.94.6.0/24"
        for config, text in [
                ({"Subnet": "x"}, "invalid subnet x: invalid CIDR block notation"),
                ({"Subnet": "10.94.6.7/24"}, "invalid subnet 10.94.6.7/24: it should be 10.94.6.0/24"),
                ({"Subnet": net, "IPRange": "10.94.0.0/16"},
                 f"invalid ip-range 10.94.0.0/16: CIDR block is bigger than its parent subnet {net}"),
                ({"Subnet": net, "IPRange": "10.94.7.0/25"},
                 f"invalid ip-range 10.94.7.0/25: parent subnet {net} doesn't contain ip-range"),
                ({"Subnet": net, "Gateway": "10.94.7.1"},
                 f"invalid gateway 10.94.7.1: parent subnet {net} doesn't contain this address"),
                ({"Subnet": net, "AuxiliaryAddresses": {"a": "10.94.7.1"}},
                 f"invalid auxiliary address a: parent subnet {net} doesn't contain this address")]:
            status, message = self.create("wrong", config)
            self.assertEqual(status, 400, message)
            self.assertIn(text, message)


if __name__ == "__main__":
    unittest.main()
