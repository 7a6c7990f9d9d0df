"""A name server of the test's own, on 127.0.0.1 of its network namespace, and the resolv.conf that
names it. Knows outside.example (192.0.2.7), big.example (more than a datagram holds) and slow.example,
for which it takes `slowness` seconds, or what `known` says: a number of addresses by name, None for
a name that it cannot find out.

    with NameServer() as server:
        ...
        server.asked   # names that were asked for, with "udp" or "tcp"
"""
import socket
import struct
import subprocess
import tempfile
import threading
import time

RESOLV_CONF = "search test.example\nnameserver 127.0.0.1\noptions timeout:2\n"


def name_of(message):
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), at + 5


def query(name, kind=1, number=0x4321):
    encoded = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + encoded + b"\0" + struct.pack(
        ">2H", kind, 1)


class NameServer:
    def __init__(self, address="127.0.0.1", resolv_conf=RESOLV_CONF, slowness=0, known=None):
        self.asked = []
        self.slowness = slowness
        self.known = known or {"outside.example": 1, "slow.example": 1, "big.example": 200}
        self.resolv_conf = resolv_conf
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((address, 53))
        self.tcp.listen()

    def __enter__(self):
        if self.resolv_conf:
            # The test has a mount namespace of its own: the machine's file stays.
            self.text = tempfile.NamedTemporaryFile("w", prefix="coffer-test-resolv-")
            self.text.write(self.resolv_conf)
            self.text.flush()
            subprocess.run(["mount", "--bind", self.text.name, "/etc/resolv.conf"], check=True)
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        for one in (self.udp, self.tcp):
            one.close()
        if self.resolv_conf:
            subprocess.run(["umount", "/etc/resolv.conf"], check=True)
            self.text.close()

    def answer(self, message, over):
        name, end = name_of(message)
        self.asked.append((name.lower(), over))
        number, = struct.unpack(">H", message[:2])
        if name.lower() == "slow.example":
            time.sleep(self.slowness)
        known = self.known.get(name.lower(), 0)
        code = 2 if known is None else 0 if known else 3
        addresses = known or 0
        cut = addresses > 20 and over == "udp"
        record = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 60, 4) + bytes([192, 0, 2, 7])
        count = 0 if cut else addresses
        return struct.pack(">6H", number, 0x8180 | code | (0x0200 if cut else 0), 1, count, 0,
                           0) + message[12:end] + record * count

    def serve_udp(self):
        while True:
            try:
                message, client = self.udp.recvfrom(4096)
            except OSError:
                return
            self.udp.sendto(self.answer(message, "udp"), client)

    def serve_tcp(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            with connection:
                size = struct.unpack(">H", connection.recv(2))[0]
                reply = self.answer(connection.recv(size), "tcp")
                connection.sendall(struct.pack(">H", len(reply)) + reply)
