"""Small servers that take what the remote log drivers send."""
import gzip
import json
import os
import socket
import ssl
import struct
import threading
import zlib


class Receiver:
    """Listens on loopback or a unix path and keeps what comes: datagrams, or the bytes of all
    connections. `reads` is False for one that accepts and never reads."""

    def __init__(self, kind=socket.SOCK_DGRAM, path=None, port=0, context=None, reads=True,
                 answer=None):
        self.kind, self.path, self.context, self.answer = kind, path, context, answer
        self.reads = threading.Event()
        if reads:
            self.reads.set()
        self.changed = threading.Condition()
        self.datagrams, self.bytes, self.connections, self.kept = [], b"", 0, []
        if path:
            if os.path.exists(path):
                os.unlink(path)
            self.socket = socket.socket(socket.AF_UNIX, kind)
            self.socket.bind(path)
        else:
            self.socket = socket.socket(socket.AF_INET, kind)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(("127.0.0.1", port))
            self.port = self.socket.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            self.socket.listen()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            if self.kind == socket.SOCK_DGRAM:
                while True:
                    self.take(self.socket.recv(65536 * 4))
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with self.changed:
                self.connections += 1
                self.kept.append(connection)
            while True:
                self.reads.wait()
                data = connection.recv(65536)
                if not data:
                    return
                self.take(data)
                if self.answer:
                    for reply in self.answer(data):
                        connection.sendall(reply)
        except OSError:
            pass

    def take(self, data):
        with self.changed:
            self.datagrams.append(data)
            self.bytes += data
            self.changed.notify_all()

    def wait(self, condition, seconds=30):
        """What `condition` gives of this receiver, once it is true."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), seconds):
                raise AssertionError(f"received only {self.datagrams[-20:]}")
            return condition(self)

    def close(self):
        # A thread in accept() or recv() holds the socket open: shut down first.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        with self.changed:
            for connection in self.kept:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                connection.close()
        self.reads.set()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)


def gelf(datagrams):
    """The documents in the datagrams, chunks put together."""
    documents, chunks = [], {}
    for data in datagrams:
        if data[:2] == b"\x1e\x0f":
            parts = chunks.setdefault(data[2:10], {})
            parts[data[10]] = data[12:]
            if len(parts) < data[11]:
                continue
            data = b"".join(parts[i] for i in range(data[11]))
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:1] == b"\x78":
            data = zlib.decompress(data)
        documents.append(json.loads(data))
    return documents


def unpack(data):
    """The first msgpack value in `data`, and the rest: as much of msgpack as fluentd's clients use."""
    first, rest = data[0], data[1:]

    def take(count, rest):
        if len(rest) < count:
            raise IndexError
        return rest[:count], rest[count:]

    def text(count, rest):
        raw, rest = take(count, rest)
        return raw.decode(), rest

    def many(count, rest):
        values = []
        for _ in range(count):
            value, rest = unpack(rest)
            values.append(value)
        return values, rest

    if first < 0x80:
        return first, rest
    if first < 0x90:
        flat, rest = many(2 * (first & 15), rest)
        return dict(zip(flat[::2], flat[1::2])), rest
    if first < 0xA0:
        return many(first & 15, rest)
    if first < 0xC0:
        return text(first & 31, rest)
    if first in (0xD9, 0xDA, 0xDB):
        width = {0xD9: 1, 0xDA: 2, 0xDB: 4}[first]
        raw, rest = take(width, rest)
        return text(int.from_bytes(raw, "big"), rest)
    if first == 0xD3:
        raw, rest = take(8, rest)
        return struct.unpack(">q", raw)[0], rest
    if first == 0xD7:
        raw, rest = take(9, rest)
        return ("time", *struct.unpack(">II", raw[1:])), rest
    if first == 0xDE:
        raw, rest = take(2, rest)
        flat, rest = many(2 * int.from_bytes(raw, "big"), rest)
        return dict(zip(flat[::2], flat[1::2])), rest
    raise ValueError(f"msgpack {first:#x}")


def fluentd(data):
    """The whole messages at the front of `data`."""
    messages = []
    try:
        while data:
            message, data = unpack(data)
            messages.append(message)
    except IndexError:
        pass
    return messages


def journal(data):
    """The fields of one datagram of the journal's protocol."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        if b"=" in line:
            name, _, value = line.partition(b"=")
        else:
            name, size = line, struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8:8 + size], rest[9 + size:]
        fields[name.decode()] = value.decode()
        data = rest
    return fields
