"""Attach: several clients, the log before the stream, slow clients, websockets."""
import base64
import hashlib
import os
import socket
import struct
import subprocess
import time
import unittest

from support.engine import DOCKER, Engine


def setUpModule():
    global engine
    engine = Engine()
    engine.import_busybox()


def tearDownModule():
    engine.close()


class Stream:
    """A hijacked connection."""

    def __init__(self, path, method="POST", headers=()):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(engine.socket))
        lines = [f"{method} {path} HTTP/1.1", "Host: docker", *headers]
        if not headers:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                break
            self.buffer += data
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1])

    def more(self):
        data = self.socket.recv(65536)
        self.buffer += data
        return data

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.more():
                raise EOFError(self.buffer)
        got, self.buffer = self.buffer[:size], self.buffer[size:]
        return got

    def frame(self):
        """One stdcopy frame: (stream, payload)."""
        head = self.exactly(8)
        return head[0], self.exactly(struct.unpack(">I", head[4:])[0])

    def until(self, text):
        """Payloads of frames until `text` is in them."""
        got = b""
        while text not in got:
            got += self.frame()[1]
        return got

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.socket.close()


class WebSocket(Stream):
    def __init__(self, path):
        key = base64.b64encode(os.urandom(16)).decode()
        super().__init__(path, "GET", ["Connection: Upgrade", "Upgrade: websocket",
                                       "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"])
        self.accept = base64.b64encode(hashlib.sha1(
            (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()

    def send_frame(self, opcode, payload):
        mask = os.urandom(4)
        size = struct.pack(">BB", 0x80 | opcode, 0x80 | len(payload)) if len(payload) < 126 else \
            struct.pack(">BBQ", 0x80 | opcode, 0xFF, len(payload))
        self.send(size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def receive(self):
        """One frame: (opcode, payload)."""
        first, size = self.exactly(2)
        if size == 126:
            size = struct.unpack(">H", self.exactly(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.exactly(8))[0]
        return first & 15, self.exactly(size)

    def until(self, text):
        got = b""
        while text not in got:
            opcode, payload = self.receive()
            if opcode != 2:
                raise AssertionError((opcode, payload, got))
            got += payload
        return got


class AttachTest(unittest.TestCase):
    def setUp(self):
        self.streams = []

    def tearDown(self):
        for stream in self.streams:
            stream.close()
        engine.remove_containers()

    def start(self, *command, flags=()):
        engine.docker("run", "-d", "--name", "ct", "--network", "none", *flags, "busybox",
                      *command)

    def attach(self, parameters="stream=1&stdin=1&stdout=1&stderr=1", name="ct"):
        stream = Stream(f"/v1.44/containers/{name}/attach?{parameters}")
        self.streams.append(stream)
        return stream

    def websocket(self, parameters, name="ct"):
        stream = WebSocket(f"/v1.44/containers/{name}/attach/ws?{parameters}")
        self.streams.append(stream)
        return stream


class Hijacked(AttachTest):
    def test_all_clients_see_all_output_and_each_may_type(self):
        self.start("cat", flags=["-i"])
        first, second = self.attach(), self.attach()
        self.assertEqual(first.status, 101)
        first.send(b"one\n")
        for stream in (first, second):
            self.assertEqual(stream.until(b"\n"), b"one\n")
        second.send(b"two\n")
        for stream in (first, second):
            self.assertEqual(stream.until(b"\n"), b"two\n")
        first.close()
        second.send(b"three\n")
        self.assertEqual(second.until(b"\n"), b"three\n")

    def test_output_after_the_reply_is_not_missed(self):
        self.start("cat", flags=["-i"])
        first = self.attach()
        for i in range(150):
            late = Stream("/v1.44/containers/ct/attach?stream=1&stdout=1")
            first.send(b"%d\n" % i)
            self.assertEqual(late.until(b"\n"), b"%d\n" % i)
            late.close()
            self.assertEqual(first.until(b"\n"), b"%d\n" % i)

    def test_logs_and_stream_give_every_line_once(self):
        self.start("sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; done")
        for _ in range(5):
            stream = self.attach("logs=1&stream=1&stdout=1")
            got = b""
            while len(got) < 400_000:
                got += stream.frame()[1]
            stream.close()
            numbers = [int(n) for n in got.split(b"\n")[:-1]]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            engine.docker("rm", "-f", "ct")
            self.start("sh", "-c", "i=0; while true; do i=$((i+1)); echo $i; done")

    def test_nothing_arrives_together_with_the_head(self):
        """docker-py reads the head through a buffer and the rest around it."""
        self.start("sh", "-c", "while true; do echo line; done")
        exec_id = engine.json("POST", "/containers/ct/exec", {
            "AttachStdout": True, "Cmd": ["sh", "-c", "while true; do echo line; done"]})["Id"]
        for path, body in [("containers/ct/attach?stream=1&stdout=1", b""),
                           ("containers/ct/attach?logs=1&stream=1&stdout=1", b""),
                           ("containers/ct/attach?logs=1&stdout=1", b""),
                           (f"exec/{exec_id}/start", b"{}")]:
            with self.subTest(path), socket.socket(socket.AF_UNIX) as client:
                client.settimeout(30)
                client.connect(str(engine.socket))
                client.sendall(f"POST /{path} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n"
                               "Upgrade: tcp\r\nContent-Type: application/json\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
                time.sleep(0.2)
                head = client.recv(1 << 20)
                self.assertTrue(head.endswith(b"\r\n\r\n"), head[:400])
                self.assertIn(b"line\n", client.recv(1 << 20))

    def test_logs_alone_end(self):
        engine.docker("run", "--name", "ct", "--network", "none", "busybox", "sh", "-c",
                      "echo out; echo err >&2")
        stream = self.attach("logs=1&stdout=1&stderr=1")
        self.assertEqual(sorted([stream.frame(), stream.frame()]), [(1, b"out\n"), (2, b"err\n")])
        self.assertEqual(stream.more(), b"")

    def test_a_slow_client_holds_nobody_up_once_it_goes(self):
        self.start("sh", "-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); "
                   "echo $i 012345678901234567890123456789012345678901234567890123456789; done; "
                   "sleep 100")
        slow = self.attach("stream=1&stdout=1")
        time.sleep(0.5)
        slow.close()
        deadline = time.monotonic() + 60
        while "60000 " not in engine.docker("logs", "--tail", "1", "ct").stdout:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_unknown_detach_keys_are_refused(self):
        self.start("cat", flags=["-i"])
        status, _, body = engine.api("POST", "/containers/ct/attach?stream=1&detachKeys=ctrl-zz")
        self.assertEqual(status, 400)
        self.assertIn(b"Invalid detach keys (ctrl-zz) provided", body)

    def test_a_gigabyte_like_stream_comes_back_whole(self):
        size = 64 * 1024 * 1024
        feed = subprocess.Popen(["head", "-c", str(size), "/dev/urandom"], stdout=subprocess.PIPE)
        run = subprocess.Popen([DOCKER, "-H", f"unix://{engine.socket}", "run", "-i", "--rm",
                                "--network", "none", "--log-driver", "none", "busybox", "cat"],
                               stdin=feed.stdout, stdout=subprocess.PIPE)
        feed.stdout.close()
        got = 0
        while data := run.stdout.read(1 << 20):
            got += len(data)
        run.stdout.close()
        self.assertEqual((run.wait(), feed.wait(), got), (0, 0, size))


class OverWebSocket(AttachTest):
    def test_both_directions_ping_and_close(self):
        self.start("sh", "-c", "while read line; do echo got $line; done", flags=["-i"])
        ws = self.websocket("stream=1&stdin=1&stdout=1&stderr=1")
        self.assertEqual(ws.status, 101)
        self.assertIn(f"Sec-WebSocket-Accept: {ws.accept}".encode(), ws.head)
        ws.send_frame(2, b"a\n")
        self.assertEqual(ws.until(b"\n"), b"got a\n", "raw, no frames of docker's")
        ws.send_frame(9, b"are you there")
        self.assertEqual(ws.receive(), (10, b"are you there"))
        ws.send_frame(1, b"b" * 200 + b"\n")
        self.assertEqual(ws.until(b"\n"), b"got " + b"b" * 200 + b"\n")
        ws.send_frame(8, struct.pack(">H", 1000))
        self.assertEqual(ws.receive(), (8, struct.pack(">H", 1000)))
        self.assertEqual(ws.more(), b"")
        self.assertEqual(engine.json("GET", "/containers/ct/json")["State"]["Status"], "running")

    def test_the_end_of_the_container_closes_it(self):
        self.start("sh", "-c", "read line; echo bye", flags=["-i"])
        ws = self.websocket("stream=1&stdin=1&stdout=1&logs=1")
        ws.send_frame(2, b"\n")
        self.assertEqual(ws.until(b"\n"), b"bye\n")
        self.assertEqual(ws.receive(), (8, struct.pack(">H", 1000)))

    def test_the_log_comes_first(self):
        self.start("sh", "-c", "echo before; read line; echo after", flags=["-i"])
        while engine.docker("logs", "ct").stdout != "before\n":
            time.sleep(0.05)
        ws = self.websocket("stream=1&stdin=1&stdout=1&logs=1")
        self.assertEqual(ws.until(b"\n"), b"before\n")
        ws.send_frame(2, b"\n")
        self.assertEqual(ws.until(b"\n"), b"after\n")

    def test_what_is_no_handshake_is_refused(self):
        self.start("cat", flags=["-i"])
        status, _, _ = engine.api("GET", "/containers/ct/attach/ws?stream=1")
        self.assertEqual(status, 400)
        status, _, _ = engine.api("GET", "/containers/none/attach/ws?stream=1")
        self.assertEqual(status, 404)

    def test_the_engine_ends_with_one_open(self):
        self.start("cat", flags=["-i"])
        ws = self.websocket("stream=1&stdout=1")
        engine.stop()
        self.assertEqual(ws.receive(), (8, struct.pack(">H", 1001)))
        engine.start()
        self.assertEqual(engine.json("GET", "/containers/ct/json")["State"]["Status"], "running")


if __name__ == "__main__":
    unittest.main()
